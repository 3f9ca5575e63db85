/* Printing what was not written here: names out of files, prompts, paths. As printf, but control and
 * direction characters of a %s argument are escaped (\x1b, \n, \u202e), and so is what is not UTF-8: a name
 * can then neither colour a terminal nor forge a line of a log. Line breaks of the format stay. mg_fail, the
 * log and all that goes to stdout pass through here. */
#ifndef MG_SHOW_H
#define MG_SHOW_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Is it a control, or does it turn the direction of a line or end it? */
bool mg_show_escapes(int32_t c);

/* As vsnprintf: the length that the whole text has; `out` may be NULL if `size` is 0. Of the conversions, n
 * and m are not known. */
int mg_show_vformat(char *out, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* To stdout or stderr. */
void mg_print(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
