/* Room for a run: the KV caches of every layer, the grid of codes and the buffers of one forward pass. */
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
    *kv = (mg_kv){.format = lm->formats.kv,
                  .settled = true,
                  .n_rows = n_rows,
                  .n_heads = lm->H,
                  .T_max = T_max,
                  .E = lm->E};
    MG_RETURN(mg_arena_take(run, &kv->k, mg_kv_bytes(lm->ops, kv)));
    return mg_arena_take(run, &kv->v, mg_kv_bytes(lm->ops, kv));
}

static mg_status take_step(mg_lm *lm, mg_arena *run, int64_t N, int64_t n_logits)
{
    const int64_t D = lm->config.D, HE = lm->H * lm->E;

    MG_RETURN(take(run, &lm->ids, MG_I32, N, lm->config.K, 0));
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

/* The pieces of a block of inputs for N tokens. */
static void lay_out_inputs(mg_lm_inputs *in, char *block, int64_t n_draws, int64_t N, int64_t K)
{
    in->draws = (mg_draw *)block;
    in->cells = (int32_t *)(block + (size_t)n_draws * sizeof *in->draws);
    in->row = in->cells + N * K;
    in->position = in->row + N;
    in->n_keys = in->position + N;
    in->text = in->n_keys + N;
    in->n_text_keys = in->text + N;
}

static mg_status take_inputs(mg_lm *lm, mg_arena *run)
{
    const mg_lm_limits *l = &lm->limits;
    const int64_t K = lm->config.K, N = l->n_tokens > l->S_max ? l->n_tokens : l->S_max;

    lm->inputs_bytes = (size_t)(l->n_slots * K) * sizeof(mg_draw) + (size_t)(N * (K + 5)) * sizeof(int32_t);
    MG_RETURN(mg_arena_take(run, &lm->inputs, lm->inputs_bytes));
    if (mg_arena_is_measuring(run)) return MG_OK;
    free(lm->inputs_host);
    lm->inputs_host = calloc(1, lm->inputs_bytes);
    if (!lm->inputs_host) return mg_fail(MG_ENOMEM, "lm: no memory for %lld tokens", (long long)N);
    lay_out_inputs(&lm->in, lm->inputs, l->n_slots * K, N, K);
    lay_out_inputs(&lm->in_host, lm->inputs_host, l->n_slots * K, N, K);
    return MG_OK;
}

/* What the model keeps on the host beside it. */
static mg_status take_host(mg_lm *lm)
{
    const int64_t n_onehot = lm->config.chroma_length * lm->config.n_chroma; /* 0 but for melody models */

    free(lm->n_text_tokens);
    free(lm->onehot_host);
    lm->n_text_tokens = calloc((size_t)lm->limits.n_texts, sizeof *lm->n_text_tokens);
    lm->onehot_host = calloc((size_t)n_onehot + 1, sizeof *lm->onehot_host);
    if (!lm->n_text_tokens || !lm->onehot_host)
        return mg_fail(MG_ENOMEM, "lm: no memory for %lld texts", (long long)lm->limits.n_texts);
    return MG_OK;
}

int64_t mg_lm_most_slots(const mg_lm_config *config, int64_t n_frames)
{
    return INT32_MAX / config->K / (n_frames > 0 ? n_frames : 1);
}

mg_status mg_lm_reserve(mg_lm *lm, mg_arena *run, const mg_lm_limits *limits)
{
    const int64_t S = limits->S_max > 0 ? limits->S_max : 1;
    const int64_t n_texts = limits->n_texts > 0 ? limits->n_texts : 1;
    const bool has_cross = lm->config.n_chroma == 0;

    MG_REQUIRE(limits->n_rows > 0 && limits->n_tokens > 0 && limits->n_logits > 0 && limits->T_max > 0);
    MG_REQUIRE(limits->n_slots > 0 && limits->n_frames > 0);
    const int64_t most = mg_lm_most_slots(&lm->config, limits->n_frames);
    if (limits->n_slots > most)
        return mg_fail(MG_EFIT,
                       "duration: %lld clip%s at a time of %lld frames in %lld codebooks: there is room for "
                       "the codes of %lld; use a %s",
                       (long long)limits->n_slots, limits->n_slots == 1 ? "" : "s",
                       (long long)limits->n_frames, (long long)lm->config.K, (long long)most,
                       most > 0 ? "smaller --batch" : "shorter --duration");
    if (limits->T_max > lm->config.max_positions)
        return mg_fail(MG_EUSAGE, "duration: %lld positions: the model's table has %lld",
                       (long long)limits->T_max, (long long)lm->config.max_positions);
    lm->limits = *limits;
    lm->limits.S_max = S;
    lm->limits.n_texts = n_texts;
    if (!mg_arena_is_measuring(run)) mg_step_forget(lm->ops);
    for (int64_t l = 0; l < lm->config.L; l++) {
        MG_RETURN(take_kv(lm, run, &lm->caches[l].self, limits->n_rows, limits->T_max));
        if (has_cross) MG_RETURN(take_kv(lm, run, &lm->caches[l].cross, n_texts, S));
    }
    MG_RETURN(take_inputs(lm, run));
    MG_RETURN(take(run, &lm->codes, MG_I32, limits->n_slots, lm->config.K, limits->n_frames));
    MG_RETURN(take_step(lm, run, limits->n_tokens, limits->n_logits));
    MG_RETURN(take(run, &lm->states, MG_F32, S, lm->config.d_text, 0));
    MG_RETURN(take(run, &lm->projected, MG_F32, S, lm->config.D, 0));
    if (has_cross) {
        MG_RETURN(take(run, &lm->text_kv, MG_F32, S, 2 * lm->H * lm->E, 0));
    } else {
        MG_RETURN(take_prefix(lm, run, S));
    }
    return mg_arena_is_measuring(run) ? MG_OK : take_host(lm);
}
