/* A step: what the host says goes up in one copy, the tokens through the model, and the draws into the grid
 * of codes. */
#include <stdlib.h>
#include <string.h>

#include "lm_impl.h"

int32_t mg_lm_cell(const mg_lm *lm, int64_t slot, int64_t k, int64_t frame)
{
    return (int32_t)((slot * lm->config.K + k) * lm->limits.n_frames + frame);
}

/* From a frame on, in row k of a slot. */
static void *cells_at(const mg_lm *lm, int64_t slot, int64_t k, int64_t frame)
{
    return (int32_t *)lm->codes.data + mg_lm_cell(lm, slot, k, frame);
}

static bool is_slot(const mg_lm *lm, int64_t slot, int64_t stride, int64_t T)
{
    return lm->inputs_host && slot >= 0 && slot < lm->limits.n_slots && T >= 0 && T <= stride &&
           T <= lm->limits.n_frames;
}

mg_status mg_lm_put_codes(mg_lm *lm, int64_t slot, const int32_t *codes_host, int64_t stride, int64_t T)
{
    MG_REQUIRE(is_slot(lm, slot, stride, T));
    for (int64_t k = 0; k < lm->config.K; k++)
        MG_RETURN(mg_upload(lm->ops, cells_at(lm, slot, k, 0), codes_host + k * stride,
                            (size_t)T * sizeof *codes_host));
    return MG_OK;
}

mg_status mg_lm_get_codes(mg_lm *lm, int64_t slot, int32_t *codes_host, int64_t stride, int64_t first,
                          int64_t end)
{
    MG_REQUIRE(is_slot(lm, slot, stride, end) && first >= 0 && first <= end);
    for (int64_t k = 0; k < lm->config.K; k++)
        MG_RETURN(mg_download(lm->ops, codes_host + k * stride + first, cells_at(lm, slot, k, first),
                              (size_t)(end - first) * sizeof *codes_host));
    return MG_OK;
}

static mg_status check_batch(const mg_lm *lm, const mg_lm_batch *b)
{
    const int64_t n_positions = lm->config.max_positions, n_cells = mg_tensor_count(&lm->codes);

    MG_REQUIRE(lm->inputs_host && b->n_tokens > 0 && b->n_tokens <= lm->limits.n_tokens);
    MG_REQUIRE(!b->with_logits || b->n_tokens <= lm->limits.n_logits);
    MG_REQUIRE(b->n_with_text >= 0 && b->n_with_text <= (lm->config.n_chroma ? 0 : b->n_tokens));
    for (int64_t n = 0; n < b->n_tokens; n++) {
        MG_REQUIRE(b->row[n] >= 0 && b->row[n] < lm->limits.n_rows);
        MG_REQUIRE(b->position[n] >= 0 && b->position[n] < lm->limits.T_max && b->position[n] < n_positions);
    }
    for (int64_t i = 0; i < b->n_tokens * lm->config.K; i++)
        MG_REQUIRE(b->cells[i] >= -1 && b->cells[i] < n_cells);
    for (int64_t n = 0; n < b->n_with_text; n++)
        MG_REQUIRE(b->text[n] >= 0 && b->text[n] < lm->limits.n_texts && lm->n_text_tokens[b->text[n]] > 0);
    return MG_OK;
}

static mg_status check_draws(const mg_lm *lm, const mg_lm_batch *b, const mg_draw *draws, int64_t n_draws)
{
    const int64_t n_cells = mg_tensor_count(&lm->codes);

    MG_REQUIRE(n_draws >= 0 && n_draws <= lm->limits.n_slots * lm->config.K);
    MG_REQUIRE(n_draws == 0 || b->with_logits);
    for (int64_t i = 0; i < n_draws; i++) {
        const mg_draw *d = &draws[i];
        MG_REQUIRE(d->cell >= -1 && d->cell < n_cells && d->k >= 0 && d->k < lm->config.K);
        MG_REQUIRE(d->n_roles >= 1 && d->n_roles <= MG_MAX_ROLES);
        for (int r = 0; r < d->n_roles; r++) MG_REQUIRE(d->token[r] >= 0 && d->token[r] < b->n_tokens);
    }
    return MG_OK;
}

mg_status mg_lm_upload_inputs(mg_lm *lm)
{
    return mg_upload(lm->ops, lm->inputs, lm->inputs_host, lm->inputs_bytes);
}

static void pack(const mg_lm *lm, const mg_lm_batch *b, const mg_draw *draws, int64_t n_draws)
{
    const mg_lm_inputs *to = &lm->in_host;
    const size_t n_bytes = (size_t)b->n_tokens * sizeof(int32_t);

    if (n_draws > 0) memcpy(to->draws, draws, (size_t)n_draws * sizeof *draws);
    memcpy(to->cells, b->cells, n_bytes * (size_t)lm->config.K);
    memcpy(to->row, b->row, n_bytes);
    memcpy(to->position, b->position, n_bytes);
    for (int64_t n = 0; n < b->n_tokens; n++) to->n_keys[n] = b->position[n] + 1;
    for (int64_t n = 0; n < b->n_with_text; n++) {
        to->text[n] = b->text[n];
        to->n_text_keys[n] = lm->n_text_tokens[b->text[n]];
    }
}

/* What a backend may record: it depends on these numbers alone. */
static mg_status run(mg_lm *lm, int64_t N, int64_t n_with_text, bool with_logits, int64_t n_draws)
{
    const mg_tensor cells = mg_tensor_2d(lm->in.cells, MG_I32, N, lm->config.K);
    const mg_tensor position = mg_tensor_1d(lm->in.position, MG_I32, N);
    mg_tensor ids = mg_tensor_rows(&lm->ids, 0, N), x = mg_tensor_rows(&lm->x, 0, N), logits;

    MG_RETURN(mg_gather_ids(lm->ops, &ids, &lm->codes, &cells, (int32_t)lm->config.V));
    MG_RETURN(mg_embed(lm->ops, &x, &lm->embeddings, &ids, &lm->positions, &position));
    MG_RETURN(mg_lm_run_layers(lm, &x, n_with_text, with_logits));
    if (!with_logits) return MG_OK;
    MG_RETURN(mg_lm_run_heads(lm, &logits, &x));
    return mg_sample(lm->ops, &lm->codes, &logits, lm->config.V, lm->in.draws, n_draws);
}

static uint64_t key_of(const mg_lm_batch *b, int64_t n_draws)
{
    return (uint64_t)b->n_tokens | (uint64_t)b->n_with_text << 20 | (uint64_t)n_draws << 40 |
           (uint64_t)b->with_logits << 63;
}

mg_status mg_lm_step(mg_lm *lm, const mg_lm_batch *b, const mg_draw *draws, int64_t n_draws)
{
    const uint64_t key = key_of(b, n_draws);
    bool replay = false;

    MG_RETURN(check_batch(lm, b));
    MG_RETURN(check_draws(lm, b, draws, n_draws));
    pack(lm, b, draws, n_draws);
    MG_RETURN(mg_lm_upload_inputs(lm));
    if (!lm->stream) MG_RETURN(mg_step_begin(lm->ops, key, &replay));
    if (!replay) MG_RETURN(run(lm, b->n_tokens, b->n_with_text, b->with_logits, n_draws));
    if (!lm->stream) MG_RETURN(mg_step_end(lm->ops));
    lm->n_logits = b->with_logits ? b->n_tokens : 0;
    return MG_OK;
}

mg_status mg_lm_logits(mg_lm *lm, float *logits_host)
{
    const int64_t N = lm->n_logits, KV = lm->KV, tp = lm->comm->size;
    const size_t bytes = (size_t)(tp * N * KV) * sizeof(float);
    mg_status st = MG_OK;
    float *pieces;

    MG_REQUIRE(N > 0);
    if (tp == 1) return mg_download(lm->ops, logits_host, lm->logits.data, bytes);
    pieces = malloc(bytes);
    if (!pieces) return mg_fail(MG_ENOMEM, "lm: no memory for %lld logits", (long long)(tp * N * KV));
    MG_TRY(mg_download(lm->ops, pieces, lm->gathered.data, bytes));
    for (int64_t r = 0; r < tp; r++)
        for (int64_t n = 0; n < N; n++)
            memcpy(logits_host + (n * tp + r) * KV, pieces + (r * N + n) * KV, (size_t)KV * sizeof(float));
done:
    free(pieces);
    return st;
}
