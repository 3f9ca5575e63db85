/* JSON written as text, in order: what config.json, an index, `--json` and a clip's metadata are made of.
 *
 * A key is NULL at the root and in an array. Nothing fails before mg_json_text_end, which reports it. */
#ifndef MG_JSON_TEXT_H
#define MG_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum { MG_JSON_TEXT_DEPTH = 16 };

typedef enum mg_json_layout {
    MG_JSON_PYTHON, /* json.dumps(indent=2): two spaces an indent, 2.0 for the double 2, a newline at the end
                     */
    MG_JSON_TABS,   /* cJSON_Print: a tab an indent and behind a key, 2 for the double 2, a newline at the end
                     */
    MG_JSON_LINE,   /* cJSON_PrintUnformatted: no blanks at all, 2 for the double 2, no newline */
} mg_json_layout;

/* Zeroed it is empty; then `layout` may be set. */
typedef struct mg_json_text {
    mg_json_layout layout;
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
/* The same, but 2.0 for the double 2 in every layout: for readers that make a column of one type of it. */
void mg_json_text_real(mg_json_text *t, const char *key, double value);
void mg_json_text_bool(mg_json_text *t, const char *key, bool value);

/* The text, closed; the caller frees it. Ends `t` either way. */
mg_status mg_json_text_end(mg_json_text *t, char **out);

#endif
