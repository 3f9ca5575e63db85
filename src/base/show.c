#include "show.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* Where the text goes: as much of it as there is room for, counted to its end. */
typedef struct target {
    char *out;
    size_t size, n;
} target;

static void put(target *t, const char *text, size_t n)
{
    if (t->n < t->size) {
        const size_t room = t->size - t->n;
        memcpy(t->out + t->n, text, n < room ? n : room);
    }
    t->n += n;
}

bool mg_show_escapes(int32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

static size_t escape(char out[16], int32_t c)
{
    if (c == '\n') return (size_t)snprintf(out, 16, "\\n");
    if (c == '\t') return (size_t)snprintf(out, 16, "\\t");
    if (c == '\r') return (size_t)snprintf(out, 16, "\\r");
    return (size_t)snprintf(out, 16, c <= 0x9F ? "\\x%02x" : "\\u%04x", (unsigned)c);
}

/* [text, end), escaped. A character that a precision cuts through is left out. */
static void put_escaped(target *t, const char *text, const char *end, bool is_cut)
{
    char escaped[16];

    while (text < end) {
        const char *from = text;
        const int32_t c = mg_utf8_next(&text, end);
        if (c >= 0 && !mg_show_escapes(c)) {
            put(t, from, (size_t)(text - from));
        } else if (c >= 0) {
            put(t, escaped, escape(escaped, c));
        } else {
            if (is_cut && end - text < 4 && (uint8_t)*text >= 0xC0) return;
            put(t, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\x%02x", (uint8_t)*text++));
        }
    }
}

typedef struct conversion {
    char flags[8];
    int width, precision; /* -1: none */
    char length[3], kind;
} conversion;

/* The conversion that begins behind a %; `format` goes on behind it. */
static conversion parse(const char **format, va_list *args)
{
    conversion c = {.width = -1, .precision = -1};
    const char *p = *format;
    size_t n = 0;

    for (; *p && strchr("-+ #0'", *p); p++)
        if (n + 1 < sizeof c.flags) c.flags[n++] = *p;
    if (*p == '*') {
        c.width = va_arg(*args, int);
        if (c.width < 0 && n + 1 < sizeof c.flags) c.flags[n++] = '-';
        if (c.width < 0) c.width = c.width == -1 ? 1 : -c.width;
        p++;
    } else if (*p >= '1' && *p <= '9') {
        for (c.width = 0; *p >= '0' && *p <= '9'; p++) c.width = 10 * c.width + (*p - '0');
    }
    if (*p == '.') {
        p++;
        c.precision = 0;
        if (*p == '*') {
            c.precision = va_arg(*args, int);
            p++;
        }
        for (; *p >= '0' && *p <= '9'; p++) c.precision = 10 * c.precision + (*p - '0');
    }
    for (n = 0; *p && strchr("hlzjtL", *p); p++)
        if (n + 1 < sizeof c.length) c.length[n++] = *p;
    c.kind = *p;
    *format = *p ? p + 1 : p;
    return c;
}

static void put_string(target *t, const conversion *c, const char *text)
{
    if (!text) text = "(null)";
    const size_t n = c->precision >= 0 ? strnlen(text, (size_t)c->precision) : strlen(text);
    target measure = {0};
    put_escaped(&measure, text, text + n, c->precision >= 0);
    const size_t gap = c->width > 0 && (size_t)c->width > measure.n ? (size_t)c->width - measure.n : 0;
    const bool is_left = strchr(c->flags, '-') != NULL;

    for (size_t i = 0; i < gap && !is_left; i++) put(t, " ", 1);
    put_escaped(t, text, text + n, c->precision >= 0);
    for (size_t i = 0; i < gap && is_left; i++) put(t, " ", 1);
}

/* A number, by snprintf. */
static void put_number(target *t, const conversion *c, va_list *args)
{
    char spec[64], text[512], *p = spec;
    const bool is_float = strchr("aAeEfFgG", c->kind) != NULL;
    int n = 0;

    p += sprintf(p, "%%%s", c->flags);
    if (c->width >= 0) p += sprintf(p, "%d", c->width);
    if (c->precision >= 0) p += sprintf(p, ".%d", c->precision);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (is_float) {
        sprintf(p, "%c", c->kind);
        n = snprintf(text, sizeof text, spec, va_arg(*args, double));
    } else if (c->kind == 'p') {
        sprintf(p, "p");
        n = snprintf(text, sizeof text, spec, va_arg(*args, void *));
    } else if (c->kind == 'c') {
        const char one = (char)va_arg(*args, int);
        put_escaped(t, &one, &one + 1, false);
        return;
    } else { /* all integers go through 64 bits; what is shorter than int was widened to one */
        const bool is_short = !c->length[0] || c->length[0] == 'h',
                   is_signed = c->kind == 'd' || c->kind == 'i';
        const long long v = is_short && is_signed         ? va_arg(*args, int)
                            : is_short                    ? (long long)va_arg(*args, unsigned)
                            : strcmp(c->length, "l") == 0 ? va_arg(*args, long)
                                                          : va_arg(*args, long long);
        sprintf(p, "ll%c", c->kind);
        n = snprintf(text, sizeof text, spec, v);
    }
#pragma GCC diagnostic pop
    if (n > 0) put(t, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

int mg_show_vformat(char *out, size_t size, const char *format, va_list args)
{
    target t = {out, size, 0};
    va_list rest;

    va_copy(rest, args);
    while (*format) {
        const size_t n = strcspn(format, "%");
        put(&t, format, n);
        format += n;
        if (!*format) break;
        format++;
        const conversion c = parse(&format, &rest);
        if (c.kind == '%')
            put(&t, "%", 1);
        else if (c.kind == 's')
            put_string(&t, &c, va_arg(rest, const char *));
        else if (c.kind && strchr("diuoxXcpaAeEfFgG", c.kind))
            put_number(&t, &c, &rest);
        else
            break; /* not a conversion that we know: what would follow is not safe to take */
    }
    va_end(rest);
    if (size) out[t.n < size ? t.n : size - 1] = '\0';
    return (int)t.n;
}

void mg_print(FILE *to, const char *format, ...)
{
    char short_text[512], *text = short_text;
    va_list args;

    va_start(args, format);
    const int n = mg_show_vformat(short_text, sizeof short_text, format, args);
    if (n >= (int)sizeof short_text) {
        text = malloc((size_t)n + 1);
        if (text) mg_show_vformat(text, (size_t)n + 1, format, args);
    }
    va_end(args);
    fputs(text ? text : short_text, to); /* without memory: as much as there is room for */
    if (text != short_text) free(text);
}
