/* By hand: cJSON prints tabs, doubles for integers and 17 digits; config.json wants Python's indent, order,
 * integers of 64 bits and the shortest digits. */
#include "json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(mg_json_text *t, const char *text)
{
    mg_text_add(&t->text, text);
}

static void new_line(mg_json_text *t)
{
    put(t, "\n");
    for (int i = 0; i < t->depth; i++) put(t, t->layout == MG_JSON_TABS ? "\t" : "  ");
}

/* Between two items, or before the first. */
static void separate(mg_json_text *t, bool is_first, bool is_array)
{
    if (!is_first) put(t, ",");
    if (t->layout == MG_JSON_PYTHON || (t->layout == MG_JSON_TABS && !is_array))
        new_line(t);
    else if (t->layout == MG_JSON_TABS && !is_first)
        put(t, " ");
}

/* What stands before a value: a comma, its line, its key. */
static void begin_value(mg_json_text *t, const char *key)
{
    if (t->depth > 0) {
        separate(t, !t->has_item[t->depth - 1], t->is_array[t->depth - 1]);
        t->has_item[t->depth - 1] = true;
    }
    if (!key) return;
    mg_text_quote(&t->text, key);
    put(t, t->layout == MG_JSON_PYTHON ? ": " : t->layout == MG_JSON_TABS ? ":\t" : ":");
}

static void open(mg_json_text *t, const char *key, bool is_array)
{
    begin_value(t, key);
    if (t->depth == MG_JSON_TEXT_DEPTH) {
        t->text.failed = true;
        return;
    }
    put(t, is_array ? "[" : "{");
    t->is_array[t->depth] = is_array;
    t->has_item[t->depth++] = false;
}

void mg_json_text_object(mg_json_text *t, const char *key)
{
    open(t, key, false);
}

void mg_json_text_array(mg_json_text *t, const char *key)
{
    open(t, key, true);
}

void mg_json_text_close(mg_json_text *t)
{
    if (t->depth == 0) {
        t->text.failed = true;
        return;
    }
    t->depth--;
    if (t->layout == MG_JSON_PYTHON ? t->has_item[t->depth]
                                    : t->layout == MG_JSON_TABS && !t->is_array[t->depth])
        new_line(t);
    put(t, t->is_array[t->depth] ? "]" : "}");
}

void mg_json_text_string(mg_json_text *t, const char *key, const char *value)
{
    begin_value(t, key);
    if (value)
        mg_text_quote(&t->text, value);
    else
        put(t, "null");
}

void mg_json_text_int(mg_json_text *t, const char *key, int64_t value)
{
    char text[32];

    begin_value(t, key);
    snprintf(text, sizeof text, "%lld", (long long)value);
    put(t, text);
}

/* The shortest text that reads back as the same double, and, as Python writes it, reads back as one: 2.0. */
static void put_number(mg_json_text *t, const char *key, double value, bool python)
{
    const int digits = mg_double_digits(value); /* cJSON begins with 15 */
    char text[40];

    begin_value(t, key);
    if (!isfinite(value)) {
        put(t, "null");
        return;
    }
    snprintf(text, sizeof text, "%.*g", python || digits > 15 ? digits : 15, value);
    put(t, text);
    if (python && !strpbrk(text, ".e")) put(t, ".0");
}

void mg_json_text_number(mg_json_text *t, const char *key, double value)
{
    put_number(t, key, value, t->layout == MG_JSON_PYTHON);
}

void mg_json_text_real(mg_json_text *t, const char *key, double value)
{
    put_number(t, key, value, true);
}

void mg_json_text_bool(mg_json_text *t, const char *key, bool value)
{
    begin_value(t, key);
    put(t, value ? "true" : "false");
}

mg_status mg_json_text_end(mg_json_text *t, char **out)
{
    while (t->depth > 0 && !t->text.failed) mg_json_text_close(t);
    if (t->layout != MG_JSON_LINE) put(t, "\n");
    const mg_status st = mg_text_end(&t->text, out, "json");
    *t = (mg_json_text){0};
    return st;
}
