/* Room for a run: the KV caches of every layer and the buffers of one forward pass. */
#include <stdlib.h>

#include "lm_impl.h"

static mg_status take(mg_arena *run, mg_tensor *t, mg_dtype dtype, int64_t d0, int64_t d1, int64_t d2)
{
    *t = d2   ? mg_tensor_3d(NULL, dtype, d0, d1, d2)
         : d1 ? mg_tensor_2d(NULL, dtype, d0, d1)
              : mg_tensor_1d(NULL, dtype, d0);
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

static mg_status take_kv(const mg_lm *lm, mg_arena *run, mg_kv *kv, int64_t n_rows, int64_t T_max)
{
    *kv = (mg_kv){.format = lm->formats.kv, .n_rows = n_rows, .n_heads = lm->H, .T_max = T_max, .E = lm->E};
    MG_RETURN(mg_arena_take(run, &kv->k, mg_kv_bytes(lm->ops, kv)));
    return mg_arena_take(run, &kv->v, mg_kv_bytes(lm->ops, kv));
}

static mg_status take_step(mg_lm *lm, mg_arena *run, int64_t N, int64_t n_logits)
{
    const int64_t D = lm->config.D, HE = lm->H * lm->E;

    MG_RETURN(take(run, &lm->ids, MG_I32, N, lm->config.K, 0));
    MG_RETURN(take(run, &lm->row, MG_I32, N, 0, 0));
    MG_RETURN(take(run, &lm->column, MG_I32, N, 0, 0));
    MG_RETURN(take(run, &lm->n_keys, MG_I32, N, 0, 0));
    MG_RETURN(take(run, &lm->text, MG_I32, N, 0, 0));
    MG_RETURN(take(run, &lm->n_text_keys, MG_I32, N, 0, 0));
    MG_RETURN(take(run, &lm->x, MG_F32, N, D, 0));
    MG_RETURN(take(run, &lm->a, MG_F32, N, D, 0));
    MG_RETURN(take(run, &lm->partial, MG_F32, N, D, 0));
    MG_RETURN(take(run, &lm->qkv, MG_F32, N, 3 * HE, 0));
    MG_RETURN(take(run, &lm->mixed, MG_F32, N, HE, 0));
    MG_RETURN(take(run, &lm->ff, MG_F32, N, lm->F, 0));
    MG_RETURN(take(run, &lm->logits, MG_F32, n_logits, lm->KV, 0));
    if (lm->comm->size > 1) MG_RETURN(take(run, &lm->gathered, MG_F32, lm->comm->size, n_logits, lm->KV));
    return MG_OK;
}

static mg_status take_prefix(mg_lm *lm, mg_arena *run, int64_t S)
{
    const mg_lm_config *c = &lm->config;

    MG_RETURN(take(run, &lm->onehot, MG_F32, c->chroma_length, c->n_chroma, 0));
    return take(run, &lm->prefix, MG_F32, c->chroma_length + S, c->D, 0);
}

/* Host staging. */
static mg_status take_host(mg_lm *lm, int64_t n_texts, int64_t S)
{
    const mg_lm_config *c = &lm->config;
    const int64_t n_counts = lm->limits.n_tokens > S ? lm->limits.n_tokens : S;
    const int64_t n_onehot = c->chroma_length * c->n_chroma + 1; /* 0 but for melody models */

    free(lm->n_text_tokens);
    free(lm->counts_host);
    free(lm->prefix_host);
    free(lm->places_host);
    lm->n_text_tokens = calloc((size_t)n_texts, sizeof *lm->n_text_tokens);
    lm->counts_host = calloc((size_t)n_counts, sizeof *lm->counts_host);
    lm->places_host = calloc((size_t)lm->limits.n_tokens * 2, sizeof *lm->places_host);
    lm->prefix_host = calloc((size_t)n_onehot, sizeof *lm->prefix_host);
    if (!lm->n_text_tokens || !lm->counts_host || !lm->prefix_host || !lm->places_host)
        return mg_fail(MG_ENOMEM, "lm: no memory for %lld tokens", (long long)n_counts);
    return MG_OK;
}

mg_status mg_lm_reserve(mg_lm *lm, mg_arena *run, const mg_lm_limits *limits)
{
    const int64_t S = limits->S_max > 0 ? limits->S_max : 1;
    const int64_t n_texts = limits->n_texts > 0 ? limits->n_texts : 1;
    const bool has_cross = lm->config.n_chroma == 0;

    MG_REQUIRE(limits->n_rows > 0 && limits->n_tokens > 0 && limits->n_logits > 0 && limits->T_max > 0);
    if (limits->T_max > lm->config.max_positions)
        return mg_fail(MG_EUSAGE, "duration: %lld positions: the model's table has %lld",
                       (long long)limits->T_max, (long long)lm->config.max_positions);
    lm->limits = *limits;
    lm->limits.S_max = S;
    lm->limits.n_texts = n_texts;
    for (int64_t l = 0; l < lm->config.L; l++) {
        MG_RETURN(take_kv(lm, run, &lm->layers[l].self, limits->n_rows, limits->T_max));
        if (has_cross) MG_RETURN(take_kv(lm, run, &lm->layers[l].cross, n_texts, S));
    }
    MG_RETURN(take_step(lm, run, limits->n_tokens, limits->n_logits));
    MG_RETURN(take(run, &lm->projected, MG_F32, S, lm->config.D, 0));
    if (has_cross) {
        MG_RETURN(take(run, &lm->text_row, MG_I32, S, 0, 0));
        MG_RETURN(take(run, &lm->text_column, MG_I32, S, 0, 0));
        MG_RETURN(take(run, &lm->text_kv, MG_F32, S, 2 * lm->H * lm->E, 0));
    } else {
        MG_RETURN(take_prefix(lm, run, S));
    }
    return mg_arena_is_measuring(run) ? MG_OK : take_host(lm, n_texts, S);
}
