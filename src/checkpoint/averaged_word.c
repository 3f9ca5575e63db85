#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "averaged.h"

bool mg_averaged_is_word(const char *text, size_t n)
{
    static const char *const words[] = {"ema", "swa", "averaged", "shadow", "polyak"};

    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        const size_t n_word = strlen(words[w]);
        for (size_t i = 0; i + n_word <= n; i++) {
            if (strncasecmp(text + i, words[w], n_word) != 0) continue;
            /* "EMACallback" and "lm_ema", but not "schema" and not "emails" */
            const bool begins = i == 0 || !isalpha((unsigned char)text[i - 1]) ||
                                (isupper((unsigned char)text[i]) && islower((unsigned char)text[i - 1]));
            const bool ends = i + n_word == n || !islower((unsigned char)text[i + n_word]);
            if (begins && ends) return true;
        }
    }
    return false;
}
