/* After Table 3-7 of the Unicode standard: the range of the second byte depends on the first. */
#include "utf8.h"

#include <stdbool.h>
#include <string.h>

/* Length of the character at s, of which `left` bytes are there, or 0. */
static int64_t character_bytes(const unsigned char *s, int64_t left)
{
    unsigned char low = 0x80, high = 0xBF; /* of the second byte */
    int64_t n;

    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (n > left) return 0;
    if (s[0] == 0xE0) low = 0xA0;
    if (s[0] == 0xED) high = 0x9F;
    if (s[0] == 0xF0) low = 0x90;
    if (s[0] == 0xF4) high = 0x8F;
    if (s[1] < low || s[1] > high) return 0;
    for (int64_t i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xBF) return 0;
    }
    return n;
}

int32_t mg_utf8_next(const char **text, const char *end)
{
    const unsigned char *s = (const unsigned char *)*text;
    const int64_t n = *text < end ? character_bytes(s, end - *text) : 0;

    if (!n) return -1;
    int32_t c = n == 1 ? s[0] : s[0] & (0xFF >> (n + 1));
    for (int64_t i = 1; i < n; i++) c = c << 6 | (s[i] & 0x3F);
    *text += n;
    return c;
}

int64_t mg_utf8_bad_offset(const char *text, int64_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;

    for (int64_t i = 0; i < bytes;) {
        const int64_t n = character_bytes(s + i, bytes - i);
        if (!n) return i;
        i += n;
    }
    return -1;
}

static bool goes_on(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

int mg_utf8_fit(const char *text, int most)
{
    const int bytes = (int)strnlen(text, (size_t)most + 1);
    int n = bytes <= most ? bytes : most;

    while (bytes > most && n > 0 && most - n < 3 && goes_on(text[n])) n--;
    return bytes > most && goes_on(text[n]) ? most : n; /* `most`: it was no UTF-8 */
}

void mg_utf8_copy(char *out, size_t size, const char *text)
{
    const int n = mg_utf8_fit(text, (int)size - 1);

    memcpy(out, text, (size_t)n);
    out[n] = '\0';
}
