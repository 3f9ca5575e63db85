/* One beginning before all names, which no rule knows. */
#include <stdio.h>
#include <string.h>

#include "key_map.h"

enum { MAX_NAMES = 20000, MAX_COMPONENTS = 6 };

/* How many of the names that begin with `prefix` a rule of the dialect knows without it, or may be left; 0 if
 * one of them is neither. */
static size_t count_known(const char *const *names, size_t n, const char *prefix, mg_dialect d)
{
    const size_t n_prefix = strlen(prefix);
    mg_key_target target[MG_KEY_PARTS];
    size_t n_known = 0, n_mapped = 0;

    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], prefix, n_prefix) != 0) continue;
        const bool mapped = mg_key_map(target, d, names[i] + n_prefix) > 0;
        if (!mapped && !mg_key_map_is_ignorable(names[i] + n_prefix)) return 0;
        n_mapped += mapped;
        n_known++;
    }
    return n_mapped ? n_known : 0;
}

/* Do some names speak a dialect as they stand? Then nothing stands before all of them. */
static bool is_plain(const char *const *names, size_t n)
{
    mg_key_target target[MG_KEY_PARTS];

    for (int d = 0; d < MG_DIALECT_UNKNOWN; d++) {
        size_t n_known = 0;
        for (size_t i = 0; i < n; i++)
            n_known += mg_key_map(target, (mg_dialect)d, names[i]) > 0 || mg_key_map_is_ignorable(names[i]);
        if (10 * n_known > n) return true;
    }
    return false;
}

void mg_key_map_prefix(char out[MG_KEY_MAX], const char *const *names, size_t n)
{
    char prefix[MG_KEY_MAX];

    out[0] = '\0';
    if (n == 0 || n > MAX_NAMES || is_plain(names, n)) return;
    const char *const samples[] = {names[n / 2], names[0], names[n - 1]};
    for (int s = 0; s < 3; s++) {
        size_t used = 0;
        for (int i = 0; i < MAX_COMPONENTS; i++) {
            const char *dot = strchr(samples[s] + used, '.');
            if (!dot || dot + 1 - samples[s] >= MG_KEY_MAX) break;
            used = (size_t)(dot + 1 - samples[s]);
            snprintf(prefix, sizeof prefix, "%.*s", (int)used, samples[s]);
            for (int d = 0; d < MG_DIALECT_UNKNOWN; d++) {
                if (2 * count_known(names, n, prefix, (mg_dialect)d) <= n) continue;
                memcpy(out, prefix, used + 1);
                return;
            }
        }
    }
}
