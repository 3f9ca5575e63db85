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

/* x += the sum over ranks of their partial sums. */
static mg_status add_partial(mg_lm *lm, mg_tensor *x, mg_tensor *partial)
{
    if (mg_comm_can_add(lm->comm))
        return mg_comm_all_reduce_add(lm->comm, x->data, partial->data, mg_tensor_count(partial));
    MG_RETURN(mg_comm_all_reduce(lm->comm, partial->data, mg_tensor_count(partial)));
    return mg_add(lm->ops, x, partial);
}

/* x += the sum over ranks of a W^T. */
static mg_status add_row_parallel(mg_lm *lm, mg_tensor *x, const mg_tensor *a, const mg_matrix *w)
{
    mg_tensor partial = mg_tensor_rows(&lm->partial, 0, x->dim[0]);

    if (lm->comm->size == 1) return mg_linear_add(lm->ops, x, &partial, a, w);
    MG_RETURN(mg_linear(lm->ops, &partial, a, w, NULL, MG_ACT_NONE, false));
    return add_partial(lm, x, &partial);
}

/* Queries, keys and values of x; the latter two into the cache. */
static mg_status forward_qkv(mg_lm *lm, int64_t l, const mg_lm_layer *layer, const mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const mg_norm norm = {&layer->self_gamma, &layer->self_beta, norm_eps};
    const mg_tensor row = mg_tensor_1d(lm->in.row, MG_I32, N),
                    position = mg_tensor_1d(lm->in.position, MG_I32, N);
    const mg_kv_place into = {&lm->caches[l].self, lm->H * lm->E, &row, &position};
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), qkv = mg_tensor_rows(&lm->qkv, 0, N);

    return mg_norm_linear(lm->ops, &qkv, &a, x, &norm, &layer->qkv, MG_ACT_NONE, &into);
}

static mg_status forward_self(mg_lm *lm, int64_t l, const mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const float scale = 1 / sqrtf((float)lm->E);
    const mg_tensor row = mg_tensor_1d(lm->in.row, MG_I32, N),
                    n_keys = mg_tensor_1d(lm->in.n_keys, MG_I32, N);
    const mg_tensor qkv = mg_tensor_rows(&lm->qkv, 0, N);
    mg_tensor mixed = mg_tensor_rows(&lm->mixed, 0, N);

    MG_RETURN(mg_attention(lm->ops, &mixed, &qkv, &lm->caches[l].self, &row, &n_keys, scale, NULL));
    return add_row_parallel(lm, x, &mixed, &layer->out);
}

/* x: only the rows that have a text. */
static mg_status forward_cross(mg_lm *lm, int64_t l, const mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const float scale = 1 / sqrtf((float)lm->E);
    const mg_norm norm = {&layer->cross_gamma, &layer->cross_beta, norm_eps};
    const mg_tensor text = mg_tensor_1d(lm->in.text, MG_I32, N);
    const mg_tensor n_keys = mg_tensor_1d(lm->in.n_text_keys, MG_I32, N);
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), mixed = mg_tensor_rows(&lm->mixed, 0, N);
    mg_tensor q = mg_tensor_2d(lm->qkv.data, MG_F32, N, lm->H * lm->E);
    mg_tensor partial = mg_tensor_rows(&lm->partial, 0, N);
    const mg_attend over = {&lm->caches[l].cross, &text, &n_keys, scale};
    const bool is_alone = lm->comm->size == 1;

    MG_RETURN(mg_norm_linear(lm->ops, &q, &a, x, &norm, &layer->cross_q, MG_ACT_NONE, NULL));
    MG_RETURN(mg_attention_linear(lm->ops, is_alone ? x : &partial, is_alone ? &partial : NULL, &mixed, &q,
                                  &over, &layer->cross_out));
    return is_alone ? MG_OK : add_partial(lm, x, &partial);
}

static mg_status forward_ff(mg_lm *lm, const mg_lm_layer *layer, mg_tensor *x)
{
    const int64_t N = x->dim[0];
    const mg_norm norm = {&layer->ff_gamma, &layer->ff_beta, norm_eps};
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), ff = mg_tensor_rows(&lm->ff, 0, N);

    MG_RETURN(mg_norm_linear(lm->ops, &ff, &a, x, &norm, &layer->fc1, MG_ACT_GELU, NULL));
    return add_row_parallel(lm, x, &ff, &layer->fc2);
}

static mg_status forward_layer(mg_lm *lm, int64_t l, const mg_lm_layer *layer, mg_tensor *x,
                               int64_t n_with_text, bool to_the_end)
{
    mg_tensor x_with_text = mg_tensor_rows(x, 0, n_with_text);

    MG_RETURN(forward_qkv(lm, l, layer, x));
    if (l == lm->config.L - 1 && !to_the_end) return MG_OK;
    MG_RETURN(forward_self(lm, l, layer, x));
    if (n_with_text) MG_RETURN(forward_cross(lm, l, layer, &x_with_text));
    return forward_ff(lm, layer, x);
}

mg_status mg_lm_run_layers(mg_lm *lm, mg_tensor *x, int64_t n_with_text, bool to_the_end)
{
    const int64_t n_here = lm->config.L - lm->n_outside;
    const mg_lm_layer *layer;

    if (lm->stream) MG_RETURN(mg_lm_stream_begin(lm->stream));
    for (int64_t l = 0; l < n_here; l++)
        MG_RETURN(forward_layer(lm, l, &lm->layers[l], x, n_with_text, to_the_end));
    for (int64_t l = n_here; l < lm->config.L; l++) {
        MG_RETURN(mg_lm_stream_enter(lm->stream, &layer));
        MG_RETURN(forward_layer(lm, l, layer, x, n_with_text, to_the_end));
        MG_RETURN(mg_lm_stream_leave(lm->stream));
    }
    return MG_OK;
}

/* Each rank computes columns [r KV, (r+1) KV) of a token's K V logits. */
mg_status mg_lm_run_heads(mg_lm *lm, mg_tensor *logits, const mg_tensor *x)
{
    const mg_norm norm = {&lm->final_gamma, &lm->final_beta, norm_eps};
    const int64_t N = x->dim[0], tp = lm->comm->size;
    mg_tensor a = mg_tensor_rows(&lm->a, 0, N), mine = mg_tensor_rows(&lm->logits, 0, N);

    MG_RETURN(mg_norm_linear(lm->ops, &mine, &a, x, &norm, &lm->heads, MG_ACT_NONE, NULL));
    *logits = mg_tensor_3d(tp > 1 ? lm->gathered.data : mine.data, MG_F32, tp, N, lm->KV);
    if (tp == 1) return MG_OK;
    return mg_comm_all_gather(lm->comm, logits->data, mine.data, N * lm->KV, MG_F32);
}
