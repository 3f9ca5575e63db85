#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"
#include "utf8.h"

enum { FIRST_BYTES = 64, FIRST_ITEMS = 16 };

/* Room for n more bytes and the NUL. */
static bool reserve(mg_text *t, size_t n)
{
    if (t->failed || n < t->capacity - t->n) return !t->failed;
    const size_t capacity = 2 * (t->n + n) + FIRST_BYTES;
    char *grown = realloc(t->data, capacity);

    if (!grown) t->failed = true;
    if (grown) t->data = grown, t->capacity = capacity;
    return !t->failed;
}

void mg_text_add_bytes(mg_text *t, const void *data, size_t n)
{
    if (!reserve(t, n)) return;
    if (n) memcpy(t->data + t->n, data, n);
    t->n += n;
    t->data[t->n] = '\0';
}

void mg_text_add(mg_text *t, const char *text)
{
    mg_text_add_bytes(t, text, strlen(text));
}

void mg_text_format(mg_text *t, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) t->failed = true;
    if (n >= 0 && reserve(t, (size_t)n))
        t->n += (size_t)vsnprintf(t->data + t->n, (size_t)n + 1, format, args);
    va_end(args);
}

void mg_text_vshow(mg_text *t, const char *format, va_list args)
{
    const int n = mg_show_vformat(NULL, 0, format, args);

    if (reserve(t, (size_t)n)) t->n += (size_t)mg_show_vformat(t->data + t->n, (size_t)n + 1, format, args);
}

void mg_text_show(mg_text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    mg_text_vshow(t, format, args);
    va_end(args);
}

void mg_text_quote(mg_text *t, const char *text)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *end = text + strlen(text);

    mg_text_add(t, "\"");
    while (text < end) {
        const char *from = text, *name;
        const int32_t c = mg_utf8_next(&text, end);
        if (c < 0) text++; /* not UTF-8: as it is, so that a path stays the path */
        if (c > 0 && c < 128 && (name = strchr(named, c)))
            mg_text_format(t, "\\%c", letters[name - named]);
        else if (c >= 0 && mg_show_escapes(c))
            mg_text_format(t, "\\u%04x", (unsigned)c);
        else
            mg_text_add_bytes(t, from, (size_t)(text - from));
    }
    mg_text_add(t, "\"");
}

void mg_text_quote_shell(mg_text *t, const char *word)
{
    mg_text_add(t, "'");
    for (; *word; word++)
        if (*word == '\'')
            mg_text_add(t, "'\\''");
        else
            mg_text_add_bytes(t, word, 1);
    mg_text_add(t, "'");
}

mg_status mg_text_check(const mg_text *t, const char *what)
{
    return t->failed ? mg_fail(MG_ENOMEM, "%s: no memory for more than %zu bytes of text", what, t->n)
                     : MG_OK;
}

mg_status mg_text_fail(mg_text *t, mg_status code)
{
    MG_RETURN(mg_text_check(t, "a message"));
    if (t->n && t->data[t->n - 1] == '\n') t->data[--t->n] = '\0';
    return mg_fail_text(code, t->n ? t->data : "");
}

mg_status mg_text_end(mg_text *t, char **out, const char *what)
{
    *out = NULL;
    mg_text_add(t, "");
    const mg_status st = mg_text_check(t, what);
    if (st == MG_OK) {
        *out = t->data;
        t->data = NULL;
    }
    mg_text_reset(t);
    return st;
}

void mg_text_reset(mg_text *t)
{
    free(t->data);
    *t = (mg_text){0};
}

mg_status mg_grow(void *list, size_t *capacity, size_t n, size_t size, const char *what)
{
    size_t larger = 2 * *capacity + FIRST_ITEMS, bytes;
    void *old, *grown = NULL;

    if (n <= *capacity) return MG_OK;
    if (larger < n) larger = n;
    memcpy(&old, list, sizeof old); /* a pointer of any type */
    if (!__builtin_mul_overflow(larger, size, &bytes)) grown = realloc(old, bytes);
    if (!grown) return mg_fail(MG_ENOMEM, "%s: no memory for %zu times %zu bytes", what, larger, size);
    memcpy(list, &grown, sizeof grown);
    *capacity = larger;
    return MG_OK;
}

bool mg_text_is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

uint64_t mg_text_hash(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

bool mg_text_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

int mg_double_digits(double v)
{
    char text[40];

    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) return digits;
    }
    return 17;
}

int mg_double_shown_digits(double v)
{
    const int digits = mg_double_digits(v);

    return digits < 6 ? 6 : digits;
}
