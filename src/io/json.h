/* JSON files through cJSON, with limits and with errors that name file and key.
 *
 * Numbers are doubles: an integer beyond 64 bits that nobody reads does no harm, one that somebody reads must
 * be exact. Text is refused if it is not UTF-8, nests deeper than 64 or holds more than 4 million values. So
 * is one with a NUL, raw or as \u0000, or with anything behind the value. */
#ifndef MG_JSON_H
#define MG_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

struct cJSON;

/* Parse a file (MG_EFAIL if unreadable or over 256 MiB, MG_ECHECKPOINT if not JSON). The caller
 * cJSON_Deletes it. */
mg_status mg_json_load(struct cJSON **out, const char *path);
mg_status mg_json_parse(struct cJSON **out, const char *name, const char *text, int64_t text_bytes);

/* Typed reads of object[key]. Absent or null: *out keeps its value (set the default first), and false comes
 * back in *found if found is not NULL. A wrong type, an integer that is not exact or a key that is there
 * twice is MG_ECHECKPOINT "name: key: …". */
mg_status mg_json_int(const struct cJSON *object, const char *name, const char *key, int64_t *out,
                      bool *found);
mg_status mg_json_double(const struct cJSON *object, const char *name, const char *key, double *out,
                         bool *found);
mg_status mg_json_bool(const struct cJSON *object, const char *name, const char *key, bool *out, bool *found);

/* Borrowed, NULL if absent or null. */
mg_status mg_json_string(const struct cJSON *object, const char *name, const char *key, const char **out);
mg_status mg_json_object(const struct cJSON *object, const char *name, const char *key,
                         const struct cJSON **out);
mg_status mg_json_array(const struct cJSON *object, const char *name, const char *key,
                        const struct cJSON **out);

/* A value as a message shows it, cut where it is long; "nothing" of NULL. */
enum { MG_JSON_SHOWN = 64 };
void mg_json_show(char out[MG_JSON_SHOWN], const struct cJSON *item);

/* The number itself, for elements of arrays: false if it is no integer of -2^53 < n < 2^53. */
bool mg_json_exact_int(const struct cJSON *item, int64_t *out);

#endif
