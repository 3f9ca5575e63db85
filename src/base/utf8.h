/* UTF-8, one character after the other. */
#ifndef MG_UTF8_H
#define MG_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that belongs to no well-formed UTF-8 character, or -1 if the text is UTF-8.
 * Overlong forms, surrogates and code points above U+10FFFF are not well-formed. */
int64_t mg_utf8_bad_offset(const char *text, int64_t bytes);

/* The character at *text, which goes on behind it; -1 if none that is well-formed stands before `end`, and
 * *text stays. */
int32_t mg_utf8_next(const char **text, const char *end);

/* Bytes of the text's beginning, at most `most`, that end between two characters. */
int mg_utf8_fit(const char *text, int most);

/* As much of the text as there is room for, with a NUL: cut between two characters. */
void mg_utf8_copy(char *out, size_t size, const char *text);

#endif
