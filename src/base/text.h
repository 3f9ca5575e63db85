/* Text and arrays that grow, and small questions about text. */
#ifndef MG_TEXT_H
#define MG_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Bytes that grow, always with a NUL behind them. Zeroed it is empty. Adding never fails: the end reports it.
 */
typedef struct mg_text {
    char *data; /* [n] and a NUL; NULL while nothing was added */
    size_t n, capacity;
    bool failed; /* memory was short */
} mg_text;

void mg_text_add(mg_text *t, const char *text);
void mg_text_add_bytes(mg_text *t, const void *data, size_t n);
void mg_text_format(mg_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with control characters of %s arguments escaped (show.h): for people, not for files. */
void mg_text_vshow(mg_text *t, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void mg_text_show(mg_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text as a string of JSON, in quotes: control and direction characters are escaped, and what is not
 * UTF-8 stays as it is, so that a path stays the path. */
void mg_text_quote(mg_text *t, const char *text);

/* A word as a shell takes it, in single quotes. */
void mg_text_quote_shell(mg_text *t, const char *word);

/* MG_ENOMEM names `what` if any addition has failed. */
mg_status mg_text_check(const mg_text *t, const char *what);

/* mg_fail_text with the text, without its last newline; MG_ENOMEM if any addition has failed. */
mg_status mg_text_fail(mg_text *t, mg_status code);

/* Hand the text over: *out is malloc'ed, "" if nothing was added, NULL on failure. Empties `t` either way. */
mg_status mg_text_end(mg_text *t, char **out, const char *what);
void mg_text_reset(mg_text *t); /* empty, its memory freed */

/* Make room for n elements of `size` bytes in the malloc'ed array whose address is at `list`; *capacity is
 * how many there is room for. It grows by doubling, and new elements are not set. MG_ENOMEM names `what`. */
mg_status mg_grow(void *list, size_t *capacity, size_t n, size_t size, const char *what);

/* The ending of a word behind a number: "1 clip", "2 clips". */
static inline const char *mg_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* Equal, or both NULL. */
bool mg_text_is_same(const char *a, const char *b);

bool mg_text_ends_with(const char *text, const char *end);

/* FNV-1a: spreads well, and is no proof against malice. Some of them are kept in files. */
uint64_t mg_text_hash(const char *text);

/* How many significant digits `v` needs to read back as itself: 1 to 17. */
int mg_double_digits(double v);

/* The same for people, six at least: 10 is written so, and not as 1e+01. */
int mg_double_shown_digits(double v);

#endif
