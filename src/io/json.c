/* cJSON believes what it reads; scan() looks first, so that hostile text costs neither stack nor memory and
 * a string never ends early at a NUL. */
#include "json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "text.h"
#include "utf8.h"

enum { MAX_DEPTH = 64, MAX_VALUES = 4 << 20 };
#define MAX_FILE_BYTES ((int64_t)256 << 20)
#define INT_LIMIT      0x1p53

static mg_status not_json(const char *name, int64_t offset, const char *why)
{
    return mg_fail(MG_ECHECKPOINT, "%s: not JSON: %s at byte %lld", name, why, (long long)offset);
}

static mg_status scan(const char *name, const char *text, int64_t bytes)
{
    const int64_t bad = mg_utf8_bad_offset(text, bytes);
    int64_t depth = 0, n_values = 1;
    bool in_string = false;

    if (bad >= 0) return not_json(name, bad, "a byte that is not UTF-8");
    for (int64_t i = 0; i < bytes; i++) {
        const char c = text[i];
        if (c == '\0') return not_json(name, i, "a NUL");
        if (in_string && c == '\\') {
            if (bytes - i > 5 && memcmp(text + i + 1, "u0000", 5) == 0)
                return not_json(name, i, "an escaped NUL");
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            continue;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) return not_json(name, i, "nested deeper than 64");
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' && ++n_values > MAX_VALUES) {
            return not_json(name, i, "more than 4194304 values");
        }
    }
    return MG_OK;
}

mg_status mg_json_parse(cJSON **out, const char *name, const char *text, int64_t text_bytes)
{
    const char *end = NULL;

    *out = NULL;
    MG_RETURN(scan(name, text, text_bytes));
    cJSON *value = text_bytes > 0 ? cJSON_ParseWithLengthOpts(text, (size_t)text_bytes, &end, false) : NULL;
    if (!value) return not_json(name, end ? end - text : 0, "an error");
    while (end < text + text_bytes && *end && strchr(" \t\r\n", *end)) end++;
    if (end < text + text_bytes) {
        cJSON_Delete(value);
        return not_json(name, end - text, "something behind the value");
    }
    *out = value;
    return MG_OK;
}

mg_status mg_json_load(cJSON **out, const char *path)
{
    char *text;
    int64_t bytes;

    *out = NULL;
    MG_RETURN(mg_in_file_read(&text, &bytes, path, MAX_FILE_BYTES));
    const mg_status st = mg_json_parse(out, path, text, bytes);
    free(text);
    return st;
}

/* object[key], NULL if absent or null. */
static mg_status find(const cJSON *object, const char *name, const char *key, const cJSON **out)
{
    *out = NULL;
    if (!cJSON_IsObject(object)) return mg_fail(MG_ECHECKPOINT, "%s: must be a JSON object", name);
    for (const cJSON *item = object->child; item; item = item->next) {
        if (strcmp(item->string, key) != 0) continue;
        if (*out) return mg_fail(MG_ECHECKPOINT, "%s: %s: given twice", name, key);
        *out = item;
    }
    if (cJSON_IsNull(*out)) *out = NULL;
    return MG_OK;
}

bool mg_json_exact_int(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item)) return false;
    const double v = item->valuedouble;
    if (!(v > -INT_LIMIT && v < INT_LIMIT) || v != floor(v)) return false;
    *out = (int64_t)v;
    return true;
}

void mg_json_show(char out[MG_JSON_SHOWN], const cJSON *item)
{
    enum { MOST = MG_JSON_SHOWN - (int)sizeof "…" };
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    size_t n = text ? strlen(text) : 0;

    if (n > MOST) /* between two characters */
        for (n = MOST; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    if (cJSON_IsNumber(item)) /* cJSON prints infinity as null, and 2^53 with too few digits */
        snprintf(out, MG_JSON_SHOWN, "%.*g", mg_double_digits(item->valuedouble), item->valuedouble);
    else if (text)
        snprintf(out, MG_JSON_SHOWN, "%.*s%s", (int)n, text, text[n] ? "…" : "");
    else
        snprintf(out, MG_JSON_SHOWN, "nothing");
    cJSON_free(text);
}

static mg_status refuse(const cJSON *item, const char *name, const char *key, const char *what)
{
    char shown[MG_JSON_SHOWN];

    mg_json_show(shown, item);
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %s: must be %s", name, key, shown, what);
}

mg_status mg_json_int(const cJSON *object, const char *name, const char *key, int64_t *out, bool *found)
{
    const cJSON *item;

    MG_RETURN(find(object, name, key, &item));
    if (found) *found = item != NULL;
    if (!item || mg_json_exact_int(item, out)) return MG_OK;
    if (cJSON_IsNumber(item))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %.17g: must be an integer below 2^53", name, key,
                       item->valuedouble);
    return refuse(item, name, key, "an integer");
}

mg_status mg_json_double(const cJSON *object, const char *name, const char *key, double *out, bool *found)
{
    const cJSON *item;

    MG_RETURN(find(object, name, key, &item));
    if (found) *found = item != NULL;
    if (!item) return MG_OK;
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
        return refuse(item, name, key, "a finite number");
    *out = item->valuedouble;
    return MG_OK;
}

mg_status mg_json_bool(const cJSON *object, const char *name, const char *key, bool *out, bool *found)
{
    const cJSON *item;

    MG_RETURN(find(object, name, key, &item));
    if (found) *found = item != NULL;
    if (!item) return MG_OK;
    if (!cJSON_IsBool(item)) return refuse(item, name, key, "true or false");
    *out = cJSON_IsTrue(item);
    return MG_OK;
}

mg_status mg_json_string(const cJSON *object, const char *name, const char *key, const char **out)
{
    const cJSON *item;

    *out = NULL;
    MG_RETURN(find(object, name, key, &item));
    if (!item) return MG_OK;
    if (!cJSON_IsString(item)) return refuse(item, name, key, "a string");
    *out = item->valuestring;
    return MG_OK;
}

mg_status mg_json_object(const cJSON *object, const char *name, const char *key, const cJSON **out)
{
    MG_RETURN(find(object, name, key, out));
    if (*out && !cJSON_IsObject(*out))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: must be a JSON object", name, key);
    return MG_OK;
}

mg_status mg_json_array(const cJSON *object, const char *name, const char *key, const cJSON **out)
{
    MG_RETURN(find(object, name, key, out));
    if (*out && !cJSON_IsArray(*out))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: must be a JSON array", name, key);
    return MG_OK;
}
