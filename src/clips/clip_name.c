#include "clip_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "utf8.h"

/* What a letter is without its accent, from Unicode's decompositions: '-' parts words, '2' stands for two
 * letters, in `pairs`. */
enum { LATIN_1 = 0xC0, LATIN_1_END = 0x180, LATIN_MORE = 0x1E00, LATIN_MORE_END = 0x1F00 };
static const char latin_1[] = "aaaaaa2ceeeeiiiidnooooo-ouuuuy22aaaaaa2ceeeeiiiidnooooo-ouuuuy2y"
                              "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii22jjkkklllllll"
                              "lllnnnnnnnnnoooooo22rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static const char latin_more[] = "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
                                 "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
                                 "wwwwwwwwwwxxxxyyzzzzzzhtwyas--2-aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
                                 "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy------";
static const struct {
    uint32_t character;
    const char *letters;
} pairs[] = {{0xC6, "ae"},  {0xDE, "th"},  {0xDF, "ss"},  {0xE6, "ae"},  {0xFE, "th"},
             {0x132, "ij"}, {0x133, "ij"}, {0x152, "oe"}, {0x153, "oe"}, {0x1E9E, "ss"}};

_Static_assert(sizeof latin_1 - 1 == LATIN_1_END - LATIN_1, "a letter for each");
_Static_assert(sizeof latin_more - 1 == LATIN_MORE_END - LATIN_MORE, "a letter for each");

/* "" for what vanishes, "-" for what parts words. `one` is room. */
static const char *fold(char one[2], uint32_t c)
{
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    one[0] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? (char)c : '-';
    one[1] = '\0';
    if (c == '\'' || c == 0x2018 || c == 0x2019 || (c >= 0x300 && c <= 0x36F)) return ""; /* accents apart */
    if (c >= LATIN_1 && c < LATIN_1_END) one[0] = latin_1[c - LATIN_1];
    if (c >= LATIN_MORE && c < LATIN_MORE_END) one[0] = latin_more[c - LATIN_MORE];
    for (size_t i = 0; one[0] == '2' && c >= LATIN_1 && i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].character == c) return pairs[i].letters;
    return one;
}

void mg_slug_make(char out[MG_SLUG_SIZE], const char *text)
{
    const char *p = text, *end = text + strlen(text);
    int32_t c;
    size_t n = 0, n_words = 0; /* bytes so far, and up to the end of the last whole word */
    bool full = false, within = false;
    char one[2];

    while (!full && (c = mg_utf8_next(&p, end)) >= 0) {
        const char *letters = fold(one, (uint32_t)c);
        const size_t n_letters = strlen(letters);
        if (strcmp(letters, "-") == 0) {
            if (within) n_words = n;
            within = false;
            continue;
        }
        if (n_letters == 0) continue;
        const size_t gap = !within && n > 0;
        full = n + gap + n_letters >= MG_SLUG_SIZE;
        if (full) break;
        if (gap) out[n++] = '-';
        memcpy(out + n, letters, n_letters);
        n += n_letters;
        within = true;
    }
    if (full && within && n_words > 0) n = n_words;
    out[n] = '\0';
    if (n == 0) snprintf(out, MG_SLUG_SIZE, "clip");
}

/* Open addressing; never more than half full, so a search ends. */
typedef struct entry {
    char *name;
    int64_t n_taken; /* of name, name-2, …: where the next search begins */
} entry;

struct mg_name_set {
    entry *entries; /* [n_entries] */
    size_t n_entries, n_used;
};

static entry *find(const mg_name_set *s, const char *name)
{
    size_t i = (size_t)mg_text_hash(name) % s->n_entries;

    while (s->entries[i].name && strcmp(s->entries[i].name, name) != 0) i = (i + 1) % s->n_entries;
    return &s->entries[i];
}

mg_status mg_name_set_open(mg_name_set **out, int64_t n_most)
{
    mg_name_set *s = *out = calloc(1, sizeof *s);

    if (s) s->n_entries = 2 * (size_t)n_most + 16, s->entries = calloc(s->n_entries, sizeof *s->entries);
    if (s && s->entries) return MG_OK;
    mg_name_set_close(s);
    *out = NULL;
    return mg_fail(MG_ENOMEM, "names: no memory for %lld", (long long)n_most);
}

void mg_name_set_close(mg_name_set *s)
{
    for (size_t i = 0; s && s->entries && i < s->n_entries; i++) free(s->entries[i].name);
    if (s) free(s->entries);
    free(s);
}

int mg_name_set_has(const mg_name_set *s, const char *name)
{
    return find(s, name)->name != NULL;
}

static mg_status put(mg_name_set *s, const char *name)
{
    entry *e = find(s, name);

    MG_REQUIRE(!e->name && s->n_used < s->n_entries / 2);
    *e = (entry){strdup(name), 1};
    s->n_used++;
    return e->name ? MG_OK : mg_fail(MG_ENOMEM, "names: %s", name);
}

mg_status mg_name_set_take(mg_name_set *s, char **out, const char *name)
{
    entry *first = find(s, name);
    char *other = NULL;

    *out = NULL;
    if (!first->name) {
        MG_RETURN(put(s, name));
        *out = strdup(name);
        return *out ? MG_OK : mg_fail(MG_ENOMEM, "names: %s", name);
    }
    do {
        free(other);
        if (asprintf(&other, "%s-%lld", name, (long long)++first->n_taken) < 0)
            return mg_fail(MG_ENOMEM, "names: %s", name);
    } while (mg_name_set_has(s, other));
    const mg_status st = put(s, other);
    if (st == MG_OK)
        *out = other;
    else
        free(other);
    return st;
}
