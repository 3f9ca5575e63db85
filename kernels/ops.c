/* The checked front doors of ops.h: shapes, formats and aliasing are verified here, once, so that a backend
 * may trust its arguments. A broken contract is MG_EBUG and names the check that failed. No other file calls
 * a slot. */
#include "ops.h"

#include <stdlib.h>

static bool is_1d(const mg_tensor *t, mg_dtype dtype, int64_t d0)
{
    return t && t->data && mg_tensor_is(t, dtype, 1, (const int64_t[]){d0});
}

static bool is_2d(const mg_tensor *t, mg_dtype dtype, int64_t d0, int64_t d1)
{
    return t && t->data && mg_tensor_is(t, dtype, 2, (const int64_t[]){d0, d1});
}

/* A tensor [N, something] of activations. */
static bool is_rows(const mg_tensor *t)
{
    return t && t->data && t->dtype == MG_F32 && t->n_dims == 2 && t->dim[0] >= 0 && t->dim[1] > 0;
}

static bool is_source_dtype(mg_dtype dtype)
{
    return dtype == MG_F32 || dtype == MG_BF16 || dtype == MG_F16;
}

static bool is_format(mg_format format)
{
    return format >= MG_FORMAT_F32 && format <= MG_FORMAT_Q4;
}

static bool overlap(const mg_tensor *a, const mg_tensor *b)
{
    const uintptr_t a0 = (uintptr_t)a->data, b0 = (uintptr_t)b->data;

    return a0 < b0 + mg_tensor_bytes(b) && b0 < a0 + mg_tensor_bytes(a);
}

/* In place, or apart. */
static bool same_or_apart(const mg_tensor *a, const mg_tensor *b)
{
    return a->data == b->data || !overlap(a, b);
}

static bool is_matrix(const mg_matrix *w)
{
    if (!w || !w->data || !is_format(w->format) || w->n_out < 1 || w->n_in < 1) return false;
    const int s = w->n_slices;
    const int64_t unit = w->format == MG_FORMAT_Q4 ? MG_Q4_GROUP : 1;
    return (s == 1 || s == 2 || s == 4 || s == MG_TP_SLICES) && w->n_in % (s * unit) == 0;
}

static bool is_conv(const mg_conv *c)
{
    if (!c || c->c_in < 1 || c->c_out < 1 || c->n_taps < 1 || c->stride < 1) return false;
    return c->transposed ? c->dilation == 1 : c->dilation >= 1;
}

static bool is_kv(const mg_kv *kv)
{
    return kv && kv->k && kv->v && kv->k != kv->v && is_format(kv->format) && kv->format != MG_FORMAT_Q4 &&
           kv->n_rows > 0 && kv->n_heads > 0 && kv->T_max > 0 && kv->E > 0;
}

const char *mg_format_name(mg_format format)
{
    if (format == MG_FORMAT_Q4) return "int4";
    return format == MG_FORMAT_Q8 ? "int8" : mg_dtype_name(mg_format_dtype(format));
}

mg_status mg_ops_alloc(const mg_ops *ops, void **out, size_t bytes)
{
    MG_REQUIRE(ops && out);
    return ops->iface->alloc(ops, out, bytes);
}

void mg_ops_release(const mg_ops *ops, void *block, size_t bytes)
{
    if (block) ops->iface->release(ops, block, bytes);
}

mg_status mg_ops_budget(const mg_ops *ops, mg_budget *out)
{
    MG_REQUIRE(ops && out);
    return ops->iface->budget(ops, out);
}

void mg_ops_close(mg_ops *ops)
{
    if (ops) ops->iface->close(ops);
}

mg_status mg_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes)
{
    MG_REQUIRE((dst && src_host) || bytes == 0);
    return bytes > 0 ? ops->iface->upload(ops, dst, src_host, bytes) : MG_OK;
}

mg_status mg_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes)
{
    MG_REQUIRE((dst_host && src) || bytes == 0);
    return bytes > 0 ? ops->iface->download(ops, dst_host, src, bytes) : MG_OK;
}

mg_status mg_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    MG_REQUIRE(x && y && x->data && y->data && x->n_dims >= 1);
    MG_REQUIRE(mg_tensor_is(y, x->dtype, x->n_dims, x->dim) && !overlap(y, x));
    return ops->iface->copy(ops, y, x);
}

mg_status mg_zero(const mg_ops *ops, mg_tensor *y)
{
    MG_REQUIRE(y && y->data);
    return ops->iface->zero(ops, y);
}

mg_status mg_step_begin(const mg_ops *ops, uint64_t key, bool *replay)
{
    MG_REQUIRE(replay);
    *replay = false;
    return ops->iface->step_begin ? ops->iface->step_begin(ops, key, replay) : MG_OK;
}

mg_status mg_step_end(const mg_ops *ops)
{
    return ops->iface->step_end ? ops->iface->step_end(ops) : MG_OK;
}

void mg_step_forget(const mg_ops *ops)
{
    if (ops->iface->step_forget) ops->iface->step_forget(ops);
}

bool mg_ops_has_reader(const mg_ops *ops)
{
    return ops->iface->open_reader != NULL;
}

mg_status mg_ops_open_reader(const mg_ops *ops, mg_ops **out)
{
    *out = NULL;
    return ops->iface->open_reader ? ops->iface->open_reader(ops, out) : MG_OK;
}

mg_status mg_ops_pin(const mg_ops *ops, void **out, size_t bytes)
{
    *out = NULL;
    MG_REQUIRE(bytes > 0);
    if (ops->iface->pin) return ops->iface->pin(ops, out, bytes);
    *out = malloc(bytes);
    return *out ? MG_OK : mg_fail(MG_EFIT, "memory: %zu bytes: not available", bytes);
}

void mg_ops_unpin(const mg_ops *ops, void *block)
{
    if (!block) return;
    if (ops->iface->unpin)
        ops->iface->unpin(ops, block);
    else
        free(block);
}

mg_status mg_fetch(const mg_ops *ops, int lane, void *dst, const void *src_host, size_t bytes)
{
    MG_REQUIRE(lane >= 0 && lane < MG_FETCH_LANES && dst && src_host);
    return ops->iface->fetch ? ops->iface->fetch(ops, lane, dst, src_host, bytes)
                             : ops->iface->upload(ops, dst, src_host, bytes);
}

mg_status mg_fetched(const mg_ops *ops, int lane)
{
    MG_REQUIRE(lane >= 0 && lane < MG_FETCH_LANES);
    return ops->iface->fetched ? ops->iface->fetched(ops, lane) : MG_OK;
}

size_t mg_matrix_bytes(const mg_ops *ops, const mg_matrix *w)
{
    return ops->iface->matrix_bytes(ops, w);
}

size_t mg_conv_bytes(const mg_ops *ops, const mg_conv *c)
{
    return ops->iface->conv_bytes(ops, c);
}

size_t mg_kv_bytes(const mg_ops *ops, const mg_kv *kv)
{
    return ops->iface->kv_bytes(ops, kv);
}

/* Of one shape, format and number of slices. */
static bool is_like(const mg_matrix *a, const mg_matrix *b)
{
    return a->format == b->format && a->n_out == b->n_out && a->n_in == b->n_in && a->n_slices == b->n_slices;
}

mg_status mg_tune_products(const mg_ops *ops, const mg_matrix *const *w, int64_t n, bool with_norm,
                           int64_t n_rows)
{
    MG_REQUIRE(n >= 0 && n_rows > 0 && (w || n == 0));
    for (int64_t i = 0; i < n; i++) MG_REQUIRE(is_matrix(w[i]) && is_like(w[i], w[0]));
    return ops->iface->tune && n > 0 ? ops->iface->tune(ops, w, n, with_norm, n_rows) : MG_OK;
}

static bool is_source(const mg_host_matrix *src)
{
    if (!src || !is_source_dtype(src->dtype) || src->n_rows < 0 || src->n_cols < 1) return false;
    return src->read || (src->data && src->row_stride >= src->n_cols);
}

mg_status mg_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                         int64_t *n_bad)
{
    MG_REQUIRE(is_matrix(w));
    MG_REQUIRE(is_source(src) && n_bad);
    MG_REQUIRE(src->n_cols == w->n_in);
    MG_REQUIRE(first_out >= 0 && first_out + src->n_rows <= w->n_out);
    return ops->iface->matrix_load(ops, w, first_out, src, n_bad);
}

mg_status mg_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    MG_REQUIRE(dst && is_source(src) && src->n_rows == 1 && n_bad);
    return ops->iface->tensor_load(ops, dst, src, n_bad);
}

mg_status mg_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src)
{
    MG_REQUIRE(is_conv(c) && c->data && is_source(src) && src->dtype == MG_F32);
    MG_REQUIRE(src->n_rows == (c->transposed ? c->c_in : c->c_out));
    MG_REQUIRE(src->n_cols == (c->transposed ? c->c_out : c->c_in) * c->n_taps);
    MG_REQUIRE(src->read || src->row_stride == src->n_cols);
    return ops->iface->conv_load(ops, c, src);
}

mg_status mg_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                   const mg_tensor *positions, const mg_tensor *pos)
{
    MG_REQUIRE(is_rows(x));
    const int64_t N = x->dim[0], D = x->dim[1];

    MG_REQUIRE(tables && tables->data && tables->dtype == MG_F32 && tables->n_dims == 3);
    MG_REQUIRE(tables->dim[0] > 0 && tables->dim[1] > 0 && tables->dim[2] == D);
    MG_REQUIRE(is_2d(ids, MG_I32, N, tables->dim[0]));
    MG_REQUIRE(!positions == !pos);
    MG_REQUIRE(!positions || (is_rows(positions) && positions->dim[1] == D));
    MG_REQUIRE(!pos || is_1d(pos, MG_I32, N));
    MG_REQUIRE(!overlap(x, tables) && !(positions && overlap(x, positions)));
    return ops->iface->embed(ops, x, tables, ids, positions, pos);
}

mg_status mg_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                        const mg_tensor *beta, float eps)
{
    MG_REQUIRE(is_rows(x) && is_2d(y, MG_F32, x->dim[0], x->dim[1]));
    MG_REQUIRE(is_1d(gamma, MG_F32, x->dim[1]) && is_1d(beta, MG_F32, x->dim[1]));
    MG_REQUIRE(same_or_apart(y, x) && !overlap(y, gamma) && !overlap(y, beta));
    return ops->iface->layer_norm(ops, y, x, gamma, beta, eps);
}

mg_status mg_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma, float eps)
{
    MG_REQUIRE(is_rows(x) && is_2d(y, MG_F32, x->dim[0], x->dim[1]));
    MG_REQUIRE(is_1d(gamma, MG_F32, x->dim[1]));
    MG_REQUIRE(same_or_apart(y, x) && !overlap(y, gamma));
    return ops->iface->rms_norm(ops, y, x, gamma, eps);
}

mg_status mg_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                    const mg_tensor *bias, mg_act act, bool accumulate)
{
    MG_REQUIRE(is_matrix(w) && is_rows(x) && x->dim[1] == w->n_in);
    MG_REQUIRE(is_2d(y, MG_F32, x->dim[0], w->n_out) && !overlap(y, x));
    MG_REQUIRE(!bias || (is_1d(bias, MG_F32, w->n_out) && !overlap(y, bias)));
    MG_REQUIRE(act >= MG_ACT_NONE && act <= MG_ACT_ELU);
    return ops->iface->linear(ops, y, x, w, bias, act, accumulate);
}

mg_status mg_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    MG_REQUIRE(x && y && x->data && y->data && x->n_dims >= 1 && x->dtype == MG_F32);
    MG_REQUIRE(mg_tensor_is(y, MG_F32, x->n_dims, x->dim) && same_or_apart(y, x));
    return ops->iface->add(ops, y, x);
}

mg_status mg_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    MG_REQUIRE(x && y && x->data && y->data && x->n_dims >= 1 && x->dtype == MG_F32);
    MG_REQUIRE(mg_tensor_is(y, MG_F32, x->n_dims, x->dim) && same_or_apart(y, x));
    return ops->iface->mul(ops, y, x);
}

mg_status mg_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                      const mg_tensor *kv_row, const mg_tensor *pos)
{
    MG_REQUIRE(is_kv(kv) && is_rows(x) && first_col >= 0);
    MG_REQUIRE(x->dim[1] >= first_col + 2 * kv->n_heads * kv->E);
    MG_REQUIRE(is_1d(kv_row, MG_I32, x->dim[0]) && is_1d(pos, MG_I32, x->dim[0]));
    return ops->iface->kv_write(ops, kv, x, first_col, kv_row, pos);
}

mg_status mg_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                       const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                       const mg_tensor *rel_bias)
{
    MG_REQUIRE(is_kv(kv) && is_rows(x));
    const int64_t N = x->dim[0], D = kv->n_heads * kv->E;

    MG_REQUIRE(x->dim[1] >= D && is_2d(y, MG_F32, N, D) && !overlap(y, x));
    MG_REQUIRE(is_1d(kv_row, MG_I32, N) && is_1d(n_keys, MG_I32, N));
    MG_REQUIRE(!rel_bias || (N > 0 && is_2d(rel_bias, MG_F32, kv->n_heads, 2 * N - 1)));
    return ops->iface->attention(ops, y, x, kv, kv_row, n_keys, scale, rel_bias);
}

mg_status mg_norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                         const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into)
{
    if (!ops->iface->norm_linear) {
        MG_RETURN(mg_layer_norm(ops, a, x, norm->gamma, norm->beta, norm->eps));
        MG_RETURN(mg_linear(ops, y, a, w, NULL, act, false));
        return into ? mg_kv_write(ops, into->kv, y, into->first_col, into->kv_row, into->pos) : MG_OK;
    }
    MG_REQUIRE(is_matrix(w) && is_rows(x) && x->dim[1] == w->n_in);
    const int64_t N = x->dim[0], D = x->dim[1];

    MG_REQUIRE(is_2d(a, MG_F32, N, D) && is_2d(y, MG_F32, N, w->n_out));
    MG_REQUIRE(norm && is_1d(norm->gamma, MG_F32, D) && is_1d(norm->beta, MG_F32, D));
    MG_REQUIRE(!overlap(y, x) && !overlap(y, a) && !overlap(a, x));
    MG_REQUIRE(act >= MG_ACT_NONE && act <= MG_ACT_ELU);
    if (into) {
        MG_REQUIRE(is_kv(into->kv) && into->first_col >= 0);
        MG_REQUIRE(w->n_out >= into->first_col + 2 * into->kv->n_heads * into->kv->E);
        MG_REQUIRE(is_1d(into->kv_row, MG_I32, N) && is_1d(into->pos, MG_I32, N));
    }
    return ops->iface->norm_linear(ops, y, a, x, norm, w, act, into);
}

mg_status mg_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                        const mg_matrix *w)
{
    if (!ops->iface->linear_add) {
        MG_RETURN(mg_linear(ops, product, x, w, NULL, MG_ACT_NONE, false));
        return mg_add(ops, y, product);
    }
    MG_REQUIRE(is_matrix(w) && is_rows(x) && x->dim[1] == w->n_in);
    MG_REQUIRE(is_2d(y, MG_F32, x->dim[0], w->n_out) && is_2d(product, MG_F32, x->dim[0], w->n_out));
    MG_REQUIRE(!overlap(y, x) && !overlap(product, x) && !overlap(product, y));
    return ops->iface->linear_add(ops, y, product, x, w);
}

mg_status mg_attention_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *product, mg_tensor *a,
                              const mg_tensor *x, const mg_attend *over, const mg_matrix *w)
{
    bool done = false;

    MG_REQUIRE(over && is_kv(over->kv) && is_matrix(w) && is_rows(x));
    const int64_t N = x->dim[0], D = over->kv->n_heads * over->kv->E;

    MG_REQUIRE(x->dim[1] >= D && w->n_in == D && is_2d(a, MG_F32, N, D) && is_2d(y, MG_F32, N, w->n_out));
    MG_REQUIRE(is_1d(over->kv_row, MG_I32, N) && is_1d(over->n_keys, MG_I32, N));
    MG_REQUIRE(!overlap(y, x) && !overlap(y, a) && !overlap(a, x));
    if (product) {
        MG_REQUIRE(is_2d(product, MG_F32, N, w->n_out));
        MG_REQUIRE(!overlap(product, x) && !overlap(product, y) && !overlap(product, a));
    }
    if (ops->iface->attention_linear)
        MG_RETURN(ops->iface->attention_linear(ops, &done, y, product, a, x, over, w));
    if (done) return MG_OK;
    MG_RETURN(mg_attention(ops, a, x, over->kv, over->kv_row, over->n_keys, over->scale, NULL));
    return product ? mg_linear_add(ops, y, product, a, w) : mg_linear(ops, y, a, w, NULL, MG_ACT_NONE, false);
}

mg_status mg_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                        int32_t pad)
{
    MG_REQUIRE(codes && codes->data && codes->dtype == MG_I32);
    MG_REQUIRE(ids && ids->data && ids->dtype == MG_I32 && ids->n_dims == 2);
    MG_REQUIRE(is_2d(cells, MG_I32, ids->dim[0], ids->dim[1]));
    MG_REQUIRE(!overlap(ids, codes) && !overlap(ids, cells));
    return ops->iface->gather_ids(ops, ids, codes, cells, pad);
}

mg_status mg_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                    const mg_draw *draws, int64_t n)
{
    MG_REQUIRE(codes && codes->data && codes->dtype == MG_I32 && V > 0 && n >= 0 && (draws || n == 0));
    MG_REQUIRE(logits && logits->data && logits->dtype == MG_F32 && logits->n_dims == 3);
    MG_REQUIRE(logits->dim[0] * logits->dim[2] >= V && logits->dim[0] * logits->dim[2] % V == 0);
    MG_REQUIRE(!overlap(codes, logits));
    return n > 0 ? ops->iface->sample(ops, codes, logits, V, draws, n) : MG_OK;
}

mg_status mg_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                 mg_pad_mode mode, mg_act act)
{
    MG_REQUIRE(is_rows(x) && left >= 0 && right >= 0);
    const int64_t N = x->dim[0];

    MG_REQUIRE(mode == MG_PAD_ZERO || (mode == MG_PAD_REFLECT && left < N && right < N));
    MG_REQUIRE(is_2d(y, MG_F32, left + N + right, x->dim[1]) && !overlap(y, x));
    MG_REQUIRE(act >= MG_ACT_NONE && act <= MG_ACT_ELU);
    return ops->iface->pad(ops, y, x, left, right, mode, act);
}

mg_status mg_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                    const mg_tensor *bias, bool accumulate)
{
    MG_REQUIRE(is_conv(c) && c->data && !c->transposed && is_rows(x) && x->dim[1] == c->c_in);
    const int64_t span = (c->n_taps - 1) * c->dilation + 1; /* rows of x under one row of y */

    MG_REQUIRE(x->dim[0] >= span);
    MG_REQUIRE(is_2d(y, MG_F32, (x->dim[0] - span) / c->stride + 1, c->c_out) && !overlap(y, x));
    MG_REQUIRE(!bias || (is_1d(bias, MG_F32, c->c_out) && !overlap(y, bias)));
    return ops->iface->conv1d(ops, y, x, c, bias, accumulate);
}

mg_status mg_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                              const mg_tensor *bias)
{
    MG_REQUIRE(is_conv(c) && c->data && c->transposed && is_rows(x) && x->dim[1] == c->c_in);
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride; /* rows of x under one row of y */

    MG_REQUIRE(x->dim[0] >= J);
    MG_REQUIRE(is_2d(y, MG_F32, (x->dim[0] - J + 1) * c->stride, c->c_out) && !overlap(y, x));
    MG_REQUIRE(!bias || (is_1d(bias, MG_F32, c->c_out) && !overlap(y, bias)));
    return ops->iface->conv_transpose1d(ops, y, x, c, bias);
}

/* Are these N rows in all? */
static bool is_split(const int64_t *n_rows, int64_t n, int64_t N)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i++) {
        if (n_rows[i] < 0 || n_rows[i] > N) return false;
        sum += n_rows[i];
    }
    return sum == N;
}

mg_status mg_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                  const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                  mg_tensor *state)
{
    MG_REQUIRE(is_rows(x) && is_rows(y) && y->dim[0] == x->dim[0]);
    const int64_t N = x->dim[0], C = y->dim[1];

    MG_REQUIRE(is_matrix(w_ih) && w_ih->n_out == 4 * C && w_ih->n_in == x->dim[1]);
    MG_REQUIRE(is_matrix(w_hh) && w_hh->n_out == 4 * C && w_hh->n_in == C);
    MG_REQUIRE(is_1d(bias, MG_F32, 4 * C) && is_2d(gates, MG_F32, N, 4 * C));
    MG_REQUIRE(state && state->data && state->n_dims == 3);
    MG_REQUIRE(mg_tensor_is(state, MG_F32, 3, (const int64_t[]){state->dim[0], 2, C}));
    MG_REQUIRE(n_rows_host && is_split(n_rows_host, state->dim[0], N));
    MG_REQUIRE(same_or_apart(y, x) && !overlap(gates, x) && !overlap(gates, y));
    MG_REQUIRE(!overlap(state, x) && !overlap(state, y) && !overlap(state, gates));
    return ops->iface->lstm(ops, y, x, n_rows_host, w_ih, w_hh, bias, gates, state);
}

mg_status mg_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                          const mg_tensor *table, const mg_tensor *norms)
{
    MG_REQUIRE(is_rows(x) && is_rows(table) && table->dim[0] > 0 && table->dim[1] == x->dim[1]);
    MG_REQUIRE(is_2d(products, MG_F32, x->dim[0], table->dim[0]) && is_1d(norms, MG_F32, table->dim[0]));
    MG_REQUIRE(is_1d(ids, MG_I32, x->dim[0]));
    MG_REQUIRE(!overlap(x, products) && !overlap(x, table) && !overlap(x, norms));
    MG_REQUIRE(!overlap(ids, x) && !overlap(ids, products) && !overlap(ids, table) && !overlap(ids, norms));
    return ops->iface->nearest_code(ops, ids, x, products, table, norms);
}
