/* JSON written as text, in order: what config.json, an index and `--json` are made of. Two spaces an indent,
 * as Python's json.dumps(indent=2) writes it.
 *
 * A key is NULL at the root and in an array. Nothing fails before mg_json_text_end, which reports it. */
#ifndef MG_JSON_TEXT_H
#define MG_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum { MG_JSON_TEXT_DEPTH = 16 };

/* Zeroed it is empty. */
typedef struct mg_json_text {
    mg_text text; /* failed also where it nests too deep */
    int depth;
    bool is_array[MG_JSON_TEXT_DEPTH], has_item[MG_JSON_TEXT_DEPTH];
} mg_json_text;

void mg_json_text_object(mg_json_text *t, const char *key);
void mg_json_text_array(mg_json_text *t, const char *key);
void mg_json_text_close(mg_json_text *t); /* the innermost object or array */

void mg_json_text_string(mg_json_text *t, const char *key, const char *value); /* NULL: null */
void mg_json_text_int(mg_json_text *t, const char *key, int64_t value);
void mg_json_text_number(mg_json_text *t, const char *key, double value); /* not finite: null */
void mg_json_text_bool(mg_json_text *t, const char *key, bool value);

/* The text, closed and with a newline; the caller frees it. Ends `t` either way. */
mg_status mg_json_text_end(mg_json_text *t, char **out);

#endif
