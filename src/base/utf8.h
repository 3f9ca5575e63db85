/* Is it UTF-8? */
#ifndef MG_UTF8_H
#define MG_UTF8_H

#include <stdint.h>

/* Offset of the first byte that does not belong to a well-formed UTF-8 character (overlong forms,
 * surrogates and code points above U+10FFFF are not), or -1 if the text is UTF-8. */
int64_t mg_utf8_bad_offset(const char *text, int64_t bytes);

#endif
