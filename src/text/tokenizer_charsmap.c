/* The double array is Darts-clone's: unit 0 is the root; the children of a unit at i lie at base ^ byte with
 * base = i ^ offset(unit), a unit is a child only if its label is that byte, and the value of a key is in the
 * unit at base. The library follows it without bounds and keeps at most 32 keys that begin a text, so here
 * every step from the root is tried once: it must stay inside, must not loop, and must meet at most 32 keys
 * on any way down. */
#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer_impl.h"
#include "utf8.h"

enum { MAX_KEYS_ON_A_WAY = 32, MAX_KEY_BYTES = 512, UNSEEN = -1, OPEN = -2, BROKEN = -3 };

typedef struct trie {
    const unsigned char *units; /* [n_units] little-endian u32, perhaps unaligned */
    uint32_t n_units;
    int64_t replacement_bytes;
    signed char *n_keys; /* [n_units], by base: the most keys on a way below it, or UNSEEN, OPEN */
} trie;

static uint32_t unit_at(const trie *t, uint32_t i)
{
    uint32_t unit;

    memcpy(&unit, t->units + 4 * (size_t)i, sizeof unit); /* one load, and one check of a sanitizer's */
    return le32toh(unit);
}

static bool has_leaf(uint32_t unit)
{
    return unit >> 8 & 1;
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 0x200u) >> 6);
}

/* The most keys on any way below `base`, or BROKEN. */
static int walk(const trie *t, uint32_t base, int depth)
{
    int most = 0;

    if (depth > MAX_KEY_BYTES || (base | 0xFFu) >= t->n_units) return BROKEN;
    if (t->n_keys[base] != UNSEEN) return t->n_keys[base] == OPEN ? BROKEN : t->n_keys[base];
    t->n_keys[base] = OPEN;
    for (uint32_t byte = 1; byte < 256; byte++) {
        const uint32_t i = base ^ byte, unit = unit_at(t, i);
        if ((unit & 0x800000FFu) != byte) continue;
        const uint32_t below = i ^ offset_of(unit);
        int n = walk(t, below, depth + 1);
        if (n < 0) return BROKEN;
        if (has_leaf(unit)) {
            if ((unit_at(t, below) & 0x7FFFFFFFu) >= (uint64_t)t->replacement_bytes) return BROKEN;
            n++;
        }
        if (n > most) most = n;
    }
    if (most > MAX_KEYS_ON_A_WAY) return BROKEN;
    t->n_keys[base] = (signed char)most;
    return most;
}

mg_status mg_charsmap_check(const char *name, const void *blob, int64_t bytes)
{
    const unsigned char *p = blob;
    uint32_t n_trie = 0;

    if (bytes == 0) return MG_OK; /* no normalisation */
    for (int i = 0; bytes >= 4 && i < 4; i++) n_trie |= (uint32_t)p[i] << (8 * i);
    const int64_t n_text = bytes - 4 - (int64_t)n_trie;
    if (n_trie < 4 * 256 || n_trie % 4 != 0 || n_text < 1)
        return mg_fail(MG_ECHECKPOINT, "%s: its normalisation table is not whole", name);
    const char *text = (const char *)p + 4 + n_trie;
    if (text[n_text - 1] != '\0' || mg_utf8_bad_offset(text, n_text) >= 0)
        return mg_fail(MG_ECHECKPOINT, "%s: the replacements of its normalisation table are no text", name);

    trie t = {p + 4, n_trie / 4, n_text, NULL};
    t.n_keys = malloc(t.n_units);
    if (!t.n_keys) return mg_fail(MG_ENOMEM, "%s: %u bytes", name, t.n_units);
    memset(t.n_keys, UNSEEN, t.n_units);
    const int n = walk(&t, offset_of(unit_at(&t, 0)), 0);
    free(t.n_keys);
    return n >= 0 ? MG_OK : mg_fail(MG_ECHECKPOINT, "%s: its normalisation table is broken", name);
}
