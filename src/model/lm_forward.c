/* The language model's maths, in order. Ported from transformers' modeling_musicgen.py,
 * MusicgenDecoder.forward (4.46): pre-norm blocks of causal attention, attention over the text,
 * feed-forward; exact GELU; no biases in the blocks.
 *
 * A row-parallel product (out, cross_out, fc2) leaves a partial sum: all_reduce completes it before it is
 * added to the residual stream, for one rank too, so that any number of ranks adds the same value. Rows
 * without a text skip the text block: what they would add is exactly zero. */
#include <math.h>

#include "lm_impl.h"

static const float norm_eps = 1e-5f;

static mg_status upload(const mg_lm *lm, const mg_tensor *t, const int32_t *host, int64_t n)
{
    return mg_upload(lm->ops, t->data, host, (size_t)n * sizeof *host);
}

mg_status mg_lm_project(mg_lm *lm, mg_tensor *projected, const mg_tensor *states)
{
    *projected = *states;
    MG_REQUIRE(states->n_dims == 2 && states->dim[1] == lm->config.d_text);
    MG_REQUIRE(states->dim[0] > 0 && states->dim[0] <= lm->limits.S_max);
    if (!lm->config.project_text) return MG_OK;
    *projected = mg_tensor_rows(&lm->projected, 0, states->dim[0]);
    return mg_linear(lm->ops, projected, states, &lm->project, &lm->project_bias, MG_ACT_NONE, false);
}

mg_status mg_lm_set_text(mg_lm *lm, int64_t text, const mg_tensor *states)
{
    const int64_t S = states->dim[0];
    int32_t *host = lm->counts_host;
    mg_tensor projected;

    MG_REQUIRE(text >= 0 && text < lm->limits.n_texts && lm->n_text_tokens && !lm->config.n_chroma);
    MG_RETURN(mg_lm_project(lm, &projected, states));
    const mg_tensor row = mg_tensor_rows(&lm->text_row, 0, S),
                    column = mg_tensor_rows(&lm->text_column, 0, S);
    mg_tensor text_kv = mg_tensor_rows(&lm->text_kv, 0, S);

    for (int64_t s = 0; s < S; s++) host[s] = (int32_t)text;
    MG_RETURN(upload(lm, &row, host, S));
    for (int64_t s = 0; s < S; s++) host[s] = (int32_t)s;
    MG_RETURN(upload(lm, &column, host, S));
    for (int64_t l = 0; l < lm->config.L; l++) {
        mg_lm_layer *layer = &lm->layers[l];
        MG_RETURN(mg_linear(lm->ops, &text_kv, &projected, &layer->cross_kv, NULL, MG_ACT_NONE, false));
        MG_RETURN(mg_kv_write(lm->ops, &layer->cross, &text_kv, 0, &row, &column));
    }
    lm->n_text_tokens[text] = (int32_t)S;
    return MG_OK;
}

/* x += the sum over ranks of a W^T. */
static mg_status add_row_parallel(mg_lm *lm, mg_tensor *x, const mg_tensor *a, const mg_matrix *w)
{
    mg_tensor partial = mg_tensor_rows(&lm->partial, 0, x->dim[0]);

    if (lm->comm->size == 1) return mg_linear_add(lm->ops, x, &partial, a, w);
    MG_RETURN(mg_linear(lm->ops, &partial, a, w, NULL, MG_ACT_NONE, false));
    MG_RETURN(mg_comm_all_reduce(lm->comm, partial.data, mg_tensor_count(&partial)));
    return mg_add(lm->ops, x, &partial);
}

/* Queries, keys and values of x; the latter two into the cache. */
static mg_status forward_qkv(mg_lm *lm, mg_lm_layer *layer, const mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const mg_norm norm = {&layer->self_gamma, &layer->self_beta, norm_eps};
    const mg_tensor row = mg_tensor_rows(&lm->row, 0, N), column = mg_tensor_rows(&lm->column, 0, N);
    const mg_kv_place into = {&layer->self, lm->H * lm->E, &row, &column};
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), qkv = mg_tensor_rows(&lm->qkv, 0, N);

    return mg_norm_linear(lm->ops, &qkv, &a, x, &norm, &layer->qkv, MG_ACT_NONE, &into);
}

static mg_status forward_self(mg_lm *lm, mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const float scale = 1 / sqrtf((float)lm->E);
    const mg_tensor row = mg_tensor_rows(&lm->row, 0, N), n_keys = mg_tensor_rows(&lm->n_keys, 0, N);
    const mg_tensor qkv = mg_tensor_rows(&lm->qkv, 0, N);
    mg_tensor mixed = mg_tensor_rows(&lm->mixed, 0, N);

    MG_RETURN(mg_attention(lm->ops, &mixed, &qkv, &layer->self, &row, &n_keys, scale, NULL));
    return add_row_parallel(lm, x, &mixed, &layer->out);
}

/* x: only the rows that have a text. */
static mg_status forward_cross(mg_lm *lm, mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const float scale = 1 / sqrtf((float)lm->E);
    const mg_norm norm = {&layer->cross_gamma, &layer->cross_beta, norm_eps};
    const mg_tensor text = mg_tensor_rows(&lm->text, 0, N);
    const mg_tensor n_keys = mg_tensor_rows(&lm->n_text_keys, 0, N);
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), mixed = mg_tensor_rows(&lm->mixed, 0, N);
    mg_tensor q = mg_tensor_2d(lm->qkv.data, MG_F32, N, lm->H * lm->E);

    MG_RETURN(mg_norm_linear(lm->ops, &q, &a, x, &norm, &layer->cross_q, MG_ACT_NONE, NULL));
    MG_RETURN(mg_attention(lm->ops, &mixed, &q, &layer->cross, &text, &n_keys, scale, NULL));
    return add_row_parallel(lm, x, &mixed, &layer->cross_out);
}

static mg_status forward_ff(mg_lm *lm, mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const mg_norm norm = {&layer->ff_gamma, &layer->ff_beta, norm_eps};
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), ff = mg_tensor_rows(&lm->ff, 0, N);

    MG_RETURN(mg_norm_linear(lm->ops, &ff, &a, x, &norm, &layer->fc1, MG_ACT_GELU, NULL));
    return add_row_parallel(lm, x, &ff, &layer->fc2);
}

/* Each rank has columns [r KV, (r+1) KV) of the logits [N, K V]. */
static mg_status forward_heads(mg_lm *lm, float *logits_host, const mg_tensor *x)
{
    const mg_ops *ops = lm->ops;
    const mg_norm norm = {&lm->final_gamma, &lm->final_beta, norm_eps};
    const int64_t N = x->dim[0], KV = lm->KV, tp = lm->comm->size;
    const size_t piece_bytes = (size_t)KV * sizeof(float);
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), logits = mg_tensor_rows(&lm->logits, 0, N);

    MG_RETURN(mg_norm_linear(ops, &logits, &a, x, &norm, &lm->heads, MG_ACT_NONE, NULL));
    if (tp == 1) return mg_download(ops, logits_host, logits.data, (size_t)N * piece_bytes);
    MG_RETURN(mg_comm_all_gather(lm->comm, lm->gathered.data, logits.data, N * KV, MG_F32));
    for (int64_t r = 0; r < tp; r++)
        for (int64_t n = 0; n < N; n++)
            MG_RETURN(mg_download(ops, logits_host + (n * tp + r) * KV,
                                  (const float *)lm->gathered.data + (r * N + n) * KV, piece_bytes));
    return MG_OK;
}

static mg_status check_batch(const mg_lm *lm, const mg_lm_batch *b, bool with_logits)
{
    const int64_t n_positions = lm->config.max_positions;

    MG_REQUIRE(lm->counts_host && b->n_tokens > 0 && b->n_tokens <= lm->limits.n_tokens);
    MG_REQUIRE(!with_logits || b->n_tokens <= lm->limits.n_logits);
    MG_REQUIRE(b->n_with_text >= 0 && b->n_with_text <= (lm->config.n_chroma ? 0 : b->n_tokens));
    for (int64_t n = 0; n < b->n_tokens; n++) {
        MG_REQUIRE(b->row[n] >= 0 && b->row[n] < lm->limits.n_rows);
        MG_REQUIRE(b->position[n] >= 0 && b->position[n] < lm->limits.T_max && b->position[n] < n_positions);
    }
    for (int64_t i = 0; i < b->n_tokens * lm->config.K; i++)
        MG_REQUIRE(b->ids[i] >= 0 && b->ids[i] <= lm->config.V);
    for (int64_t n = 0; n < b->n_with_text; n++)
        MG_REQUIRE(b->text[n] >= 0 && b->text[n] < lm->limits.n_texts && lm->n_text_tokens[b->text[n]] > 0);
    return MG_OK;
}

mg_status mg_lm_place_tokens(mg_lm *lm, const int32_t *row, const int32_t *position, int64_t N)
{
    int32_t *host = lm->counts_host;

    MG_RETURN(upload(lm, &lm->row, row, N));
    MG_RETURN(upload(lm, &lm->column, position, N));
    for (int64_t n = 0; n < N; n++) host[n] = position[n] + 1;
    return upload(lm, &lm->n_keys, host, N);
}

static mg_status upload_batch(mg_lm *lm, const mg_lm_batch *b)
{
    int32_t *host = lm->counts_host;

    MG_RETURN(upload(lm, &lm->ids, b->ids, b->n_tokens * lm->config.K));
    MG_RETURN(mg_lm_place_tokens(lm, b->row, b->position, b->n_tokens));
    if (!b->n_with_text) return MG_OK;
    MG_RETURN(upload(lm, &lm->text, b->text, b->n_with_text));
    for (int64_t n = 0; n < b->n_with_text; n++) host[n] = lm->n_text_tokens[b->text[n]];
    return upload(lm, &lm->n_text_keys, host, b->n_with_text);
}

mg_status mg_lm_run_layers(mg_lm *lm, mg_tensor *x, int64_t n_with_text, bool to_the_end)
{
    mg_tensor x_with_text = mg_tensor_rows(x, 0, n_with_text);

    for (int64_t l = 0; l < lm->config.L; l++) {
        MG_RETURN(forward_qkv(lm, &lm->layers[l], x));
        if (l == lm->config.L - 1 && !to_the_end) break;
        MG_RETURN(forward_self(lm, &lm->layers[l], x));
        if (n_with_text) MG_RETURN(forward_cross(lm, &lm->layers[l], &x_with_text));
        MG_RETURN(forward_ff(lm, &lm->layers[l], x));
    }
    return MG_OK;
}

mg_status mg_lm_forward(mg_lm *lm, const mg_lm_batch *b, float *logits_host)
{
    MG_RETURN(check_batch(lm, b, logits_host != NULL));
    MG_RETURN(upload_batch(lm, b));

    const int64_t N = b->n_tokens;
    const mg_tensor ids = mg_tensor_rows(&lm->ids, 0, N), column = mg_tensor_rows(&lm->column, 0, N);
    mg_tensor x = mg_tensor_rows(&lm->x, 0, N);

    MG_RETURN(mg_embed(lm->ops, &x, &lm->embeddings, &ids, &lm->positions, &column));
    MG_RETURN(mg_lm_run_layers(lm, &x, b->n_with_text, logits_host != NULL));
    if (!logits_host) return MG_OK;
    return forward_heads(lm, logits_host, &x);
}
