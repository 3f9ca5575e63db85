#include "choice_words.h"

#include <stdio.h>
#include <string.h>

void mg_choice_word(char out[MG_CHOICE_WORD_SIZE], const char *choices, int i)
{
    const char *word = choices;

    for (; word && i > 0; i--) {
        word = strchr(word, '|');
        if (word) word++;
    }
    snprintf(out, MG_CHOICE_WORD_SIZE, "%.*s", word && i == 0 ? (int)strcspn(word, "|") : 0,
             word ? word : "");
}

int mg_choice_find(const char *choices, const char *word)
{
    const char *p = choices;

    for (int i = 0; word && p; i++) {
        const size_t n = strcspn(p, "|");
        if (strlen(word) == n && strncmp(p, word, n) == 0) return i;
        p = p[n] ? p + n + 1 : NULL;
    }
    return -1;
}
