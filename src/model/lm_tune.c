/* Which matrices of the layers are products of one shape, for the backend to try its ways on. */
#include <stdlib.h>

#include "lm_impl.h"

enum { NO_OTHER = -1 };

/* A matrix of a layer, and another one of the same shape. */
typedef struct product {
    ptrdiff_t at, other;
    bool with_norm;
} product;

static const product products[] = {
    {offsetof(mg_lm_layer, qkv), NO_OTHER, true},
    {offsetof(mg_lm_layer, out), offsetof(mg_lm_layer, cross_out), false},
    {offsetof(mg_lm_layer, cross_q), NO_OTHER, true},
    {offsetof(mg_lm_layer, fc1), NO_OTHER, true},
    {offsetof(mg_lm_layer, fc2), NO_OTHER, false},
};

/* A melody model has no cross-attention, and with int4 the first layer is of another format. */
static void add(const mg_matrix **list, int64_t *n, const mg_lm_layer *layer, ptrdiff_t at)
{
    const mg_matrix *w = (const mg_matrix *)(const void *)((const char *)layer + at);

    if (at != NO_OTHER && w->data && (*n == 0 || list[0]->format == w->format)) list[(*n)++] = w;
}

mg_status mg_lm_tune(mg_lm *lm)
{
    const int64_t n_layers = lm->config.L - lm->n_outside;
    const mg_matrix *const heads = &lm->heads;
    const int64_t n_rows = lm->limits.n_logits, n_tokens = lm->limits.n_tokens;
    mg_status st = MG_OK;
    const mg_matrix **list = calloc((size_t)(2 * n_layers + 1), sizeof(const mg_matrix *));

    MG_TRY(list ? MG_OK : mg_fail(MG_ENOMEM, "lm: no memory for %lld layers", (long long)n_layers));
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        int64_t n = 0;
        for (int64_t l = 0; l < n_layers; l++) {
            add(list, &n, &lm->layers[l], products[i].at);
            add(list, &n, &lm->layers[l], products[i].other);
        }
        /* First as many as a step has: what is chosen for them stays. */
        MG_TRY(mg_tune_products(lm->ops, list, n, products[i].with_norm, n_rows));
        if (n_tokens > n_rows) MG_TRY(mg_tune_products(lm->ops, list, n, products[i].with_norm, n_tokens));
    }
    MG_TRY(mg_tune_products(lm->ops, &heads, 1, true, n_rows));
done:
    free(list);
    return st;
}
