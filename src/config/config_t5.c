/* Which T5 is it? Two of the same width have nothing in common. */
#include <string.h>

#include "config.h"

static const struct {
    const char *name;
    int64_t d_model, n_layers, d_ff;
    bool gated;
} known[] = {
    {"t5-small", 512, 6, 2048, false},
    {"t5-base", 768, 12, 3072, false},
    {"t5-large", 1024, 24, 4096, false},
    {"t5-3b", 1024, 24, 16384, false},
    {"google/flan-t5-small", 512, 8, 1024, true},
    {"google/flan-t5-base", 768, 12, 2048, true},
    {"google/flan-t5-large", 1024, 24, 2816, true},
};

enum { N_KNOWN = sizeof known / sizeof *known };

const char *mg_config_public_t5(const mg_t5_config *c)
{
    for (int i = 0; i < N_KNOWN; i++)
        if (c->d_model == known[i].d_model && c->n_layers == known[i].n_layers && c->d_ff == known[i].d_ff &&
            c->gated == known[i].gated)
            return known[i].name;
    return NULL;
}

/* Without its owner: google-t5/t5-base is t5-base. */
static const char *bare(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

mg_status mg_config_check_t5(const mg_t5_config *c, const char *path, const char *trained_with)
{
    const char *is = mg_config_public_t5(c);
    bool is_known = false;

    if (!is || !trained_with || strcmp(bare(is), bare(trained_with)) == 0) return MG_OK;
    for (int i = 0; i < N_KNOWN; i++)
        is_known = is_known || strcmp(bare(known[i].name), bare(trained_with)) == 0;
    if (!is_known) return MG_OK;
    return mg_fail(MG_ECHECKPOINT,
                   "text encoder: %s: has the sizes of %s, and the language model was trained with %s: give "
                   "that as --text-encoder",
                   path, is, trained_with);
}
