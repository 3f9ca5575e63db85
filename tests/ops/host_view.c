#include "host_view.h"

#include <stdlib.h>
#include <string.h>

#include "slots.h"

enum { MOST_SHADOWS = 24 };

/* Host bytes and their copy on the device. */
typedef struct shadow {
    char *host, *device;
    size_t bytes;
} shadow;

typedef struct view {
    mg_ops ops;
    mg_ops *device;
} view;

/* The memory of one call. */
typedef struct call {
    const mg_ops *device;
    shadow list[MOST_SHADOWS];
    int n;
    mg_status st;
} call;

static call call_begin(const mg_ops *ops)
{
    return (call){.device = ((const view *)ops->ctx)->device};
}

/* The device's address of host bytes: inside what is there already, or copied now. */
static void *lend(call *c, const void *host, size_t bytes)
{
    if (!host || c->st != MG_OK) return NULL;
    for (int i = 0; i < c->n; i++) {
        shadow *s = &c->list[i];
        if ((char *)host >= s->host && (char *)host + bytes <= s->host + s->bytes)
            return s->device + ((char *)host - s->host);
    }
    if (c->n == MOST_SHADOWS) abort();
    shadow *s = &c->list[c->n];
    void *device;
    c->st = mg_ops_alloc(c->device, &device, bytes ? bytes : 1);
    if (c->st != MG_OK) return NULL;
    *s = (shadow){(char *)host, device, bytes};
    c->n++;
    if (bytes) c->st = mg_upload(c->device, device, host, bytes);
    return device;
}

static void take_back(call *c, const void *host, size_t bytes)
{
    void *device = lend(c, host, bytes);

    if (c->st == MG_OK && bytes) c->st = mg_download(c->device, (void *)host, device, bytes);
}

static mg_status call_end(call *c)
{
    char word = 0;
    void *device = lend(c, &word, 1);
    const mg_status faults = device ? mg_download(c->device, &word, device, 1) : MG_OK;

    for (int i = 0; i < c->n; i++) mg_ops_release(c->device, c->list[i].device, c->list[i].bytes);
    return c->st != MG_OK ? c->st : faults;
}

static mg_tensor lend_tensor(call *c, const mg_tensor *t)
{
    mg_tensor on_device = t ? *t : (mg_tensor){0};

    if (t) on_device.data = lend(c, t->data, mg_tensor_bytes(t));
    return on_device;
}

static void take_tensor(call *c, const mg_tensor *t)
{
    take_back(c, t->data, mg_tensor_bytes(t));
}

static mg_status end_with(call *c, const mg_tensor *result)
{
    take_tensor(c, result);
    return call_end(c);
}

static mg_matrix lend_matrix(call *c, const mg_matrix *w)
{
    mg_matrix on_device = *w;

    on_device.data = lend(c, w->data, mg_matrix_bytes(c->device, w));
    return on_device;
}

static mg_conv lend_conv(call *c, const mg_conv *conv)
{
    mg_conv on_device = *conv;

    on_device.data = lend(c, conv->data, mg_conv_bytes(c->device, conv));
    return on_device;
}

static mg_kv lend_kv(call *c, const mg_kv *kv)
{
    mg_kv on_device = *kv;

    on_device.k = lend(c, kv->k, mg_kv_bytes(c->device, kv));
    on_device.v = lend(c, kv->v, mg_kv_bytes(c->device, kv));
    return on_device;
}

static void take_kv(call *c, const mg_kv *kv)
{
    take_back(c, kv->k, mg_kv_bytes(c->device, kv));
    take_back(c, kv->v, mg_kv_bytes(c->device, kv));
}

#define BEGIN   call c = call_begin(ops)
#define LEND(t) mg_tensor d_##t = lend_tensor(&c, t)
#define LEND2(s, t) \
    LEND(s);        \
    LEND(t)
#define LEND3(r, s, t) \
    LEND(r);           \
    LEND2(s, t)
#define GIVEN(t) ((t) ? &d_##t : NULL)
#define RUN(door, ...)                                         \
    do {                                                       \
        if (c.st == MG_OK) c.st = door(c.device, __VA_ARGS__); \
    } while (0)

static mg_status view_alloc(const mg_ops *ops, void **out, size_t bytes)
{
    const mg_ops *device = ((const view *)ops->ctx)->device;

    MG_RETURN(mg_ops_alloc(device, out, bytes)); /* its limits */
    mg_ops_release(device, *out, bytes);
    *out = aligned_alloc(64, (bytes + 64) / 64 * 64);
    return *out ? MG_OK : mg_fail(MG_EFIT, "view: %zu bytes", bytes);
}

static void view_release(const mg_ops *ops, void *block, size_t bytes)
{
    (void)ops, (void)bytes;
    free(block);
}

static mg_status view_budget(const mg_ops *ops, mg_budget *out)
{
    return mg_ops_budget(((const view *)ops->ctx)->device, out);
}

static mg_status view_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes)
{
    BEGIN;
    void *device = lend(&c, dst, bytes);
    RUN(mg_upload, device, src_host, bytes);
    take_back(&c, dst, bytes);
    return call_end(&c);
}

static mg_status view_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes)
{
    BEGIN;
    RUN(mg_download, dst_host, lend(&c, src, bytes), bytes);
    return call_end(&c);
}

static mg_status view_zero(const mg_ops *ops, mg_tensor *y)
{
    BEGIN;
    LEND(y);
    RUN(mg_zero, &d_y);
    return end_with(&c, y);
}

static size_t view_matrix_bytes(const mg_ops *ops, const mg_matrix *w)
{
    return mg_matrix_bytes(((const view *)ops->ctx)->device, w);
}

static size_t view_conv_bytes(const mg_ops *ops, const mg_conv *conv)
{
    return mg_conv_bytes(((const view *)ops->ctx)->device, conv);
}

static size_t view_kv_bytes(const mg_ops *ops, const mg_kv *kv)
{
    return mg_kv_bytes(((const view *)ops->ctx)->device, kv);
}

static mg_status view_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                                  const mg_host_matrix *src, int64_t *n_bad)
{
    BEGIN;
    const mg_matrix d_w = lend_matrix(&c, w);
    RUN(mg_matrix_load, &d_w, first_out, src, n_bad);
    take_back(&c, w->data, mg_matrix_bytes(c.device, w));
    return call_end(&c);
}

static mg_status view_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    const size_t bytes = (size_t)src->n_cols * sizeof(float);

    BEGIN;
    RUN(mg_tensor_load, lend(&c, dst, bytes), src, n_bad);
    take_back(&c, dst, bytes);
    return call_end(&c);
}

static mg_status view_conv_load(const mg_ops *ops, const mg_conv *conv, const mg_host_matrix *src)
{
    BEGIN;
    const mg_conv d_conv = lend_conv(&c, conv);
    RUN(mg_conv_load, &d_conv, src);
    take_back(&c, conv->data, mg_conv_bytes(c.device, conv));
    return call_end(&c);
}

static mg_status view_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                            const mg_tensor *positions, const mg_tensor *pos)
{
    BEGIN;
    LEND3(x, tables, ids);
    LEND2(positions, pos);
    RUN(mg_embed, &d_x, &d_tables, &d_ids, GIVEN(positions), GIVEN(pos));
    return end_with(&c, x);
}

static mg_status view_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                                 const mg_tensor *beta, float eps)
{
    BEGIN;
    LEND2(y, x);
    LEND2(gamma, beta);
    RUN(mg_layer_norm, &d_y, &d_x, &d_gamma, &d_beta, eps);
    return end_with(&c, y);
}

static mg_status view_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                               float eps)
{
    BEGIN;
    LEND3(y, x, gamma);
    RUN(mg_rms_norm, &d_y, &d_x, &d_gamma, eps);
    return end_with(&c, y);
}

static mg_status view_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                             const mg_tensor *bias, mg_act act, bool accumulate)
{
    BEGIN;
    LEND3(y, x, bias);
    const mg_matrix d_w = lend_matrix(&c, w);
    RUN(mg_linear, &d_y, &d_x, &d_w, GIVEN(bias), act, accumulate);
    return end_with(&c, y);
}

static mg_status in_place(const mg_ops *ops, mg_tensor *y, const mg_tensor *x,
                          mg_status (*door)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x))
{
    BEGIN;
    LEND2(y, x);
    RUN(door, &d_y, &d_x);
    return end_with(&c, y);
}

static mg_status view_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    return in_place(ops, y, x, mg_add);
}

static mg_status view_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    return in_place(ops, y, x, mg_mul);
}

static mg_status view_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    return in_place(ops, y, x, mg_copy);
}

static mg_status view_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                               const mg_tensor *kv_row, const mg_tensor *pos)
{
    BEGIN;
    const mg_kv d_kv = lend_kv(&c, kv);
    LEND3(x, kv_row, pos);
    RUN(mg_kv_write, &d_kv, &d_x, first_col, &d_kv_row, &d_pos);
    take_kv(&c, kv);
    return call_end(&c);
}

static mg_status view_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                                const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                                const mg_tensor *rel_bias)
{
    BEGIN;
    const mg_kv d_kv = lend_kv(&c, kv);
    LEND3(y, x, kv_row);
    LEND2(n_keys, rel_bias);
    RUN(mg_attention, &d_y, &d_x, &d_kv, &d_kv_row, &d_n_keys, scale, GIVEN(rel_bias));
    return end_with(&c, y);
}

static mg_status view_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes,
                                 const mg_tensor *cells, int32_t pad)
{
    BEGIN;
    LEND3(ids, codes, cells);
    RUN(mg_gather_ids, &d_ids, &d_codes, &d_cells, pad);
    return end_with(&c, ids);
}

static mg_status view_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                             const mg_draw *draws, int64_t n)
{
    BEGIN;
    LEND2(codes, logits);
    RUN(mg_sample, &d_codes, &d_logits, V, lend(&c, draws, (size_t)n * sizeof *draws), n);
    return end_with(&c, codes);
}

static mg_status view_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                          mg_pad_mode mode, mg_act act)
{
    BEGIN;
    LEND2(y, x);
    RUN(mg_pad, &d_y, &d_x, left, right, mode, act);
    return end_with(&c, y);
}

static mg_status view_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *conv,
                             const mg_tensor *bias, bool accumulate)
{
    BEGIN;
    LEND3(y, x, bias);
    const mg_conv d_conv = lend_conv(&c, conv);
    RUN(mg_conv1d, &d_y, &d_x, &d_conv, GIVEN(bias), accumulate);
    return end_with(&c, y);
}

static mg_status view_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x,
                                       const mg_conv *conv, const mg_tensor *bias)
{
    BEGIN;
    LEND3(y, x, bias);
    const mg_conv d_conv = lend_conv(&c, conv);
    RUN(mg_conv_transpose1d, &d_y, &d_x, &d_conv, GIVEN(bias));
    return end_with(&c, y);
}

static mg_status view_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                           const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias,
                           mg_tensor *gates, mg_tensor *state)
{
    BEGIN;
    LEND3(y, x, bias);
    LEND2(gates, state);
    const mg_matrix d_ih = lend_matrix(&c, w_ih), d_hh = lend_matrix(&c, w_hh);
    RUN(mg_lstm, &d_y, &d_x, n_rows_host, &d_ih, &d_hh, &d_bias, &d_gates, &d_state);
    take_tensor(&c, y);
    return end_with(&c, state);
}

static mg_status view_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                                   const mg_tensor *table, const mg_tensor *norms)
{
    BEGIN;
    LEND3(ids, x, products);
    LEND2(table, norms);
    RUN(mg_nearest_code, &d_ids, &d_x, &d_products, &d_table, &d_norms);
    take_tensor(&c, ids);
    return end_with(&c, x);
}

static mg_status view_norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                                  const mg_norm *norm, const mg_matrix *w, mg_act act,
                                  const mg_kv_place *into)
{
    mg_kv_place d_into;
    mg_kv d_kv;
    mg_tensor row, pos;

    BEGIN;
    LEND3(y, a, x);
    mg_tensor gamma = lend_tensor(&c, norm->gamma), beta = lend_tensor(&c, norm->beta);
    const mg_norm d_norm = {&gamma, &beta, norm->eps};
    const mg_matrix d_w = lend_matrix(&c, w);
    if (into) {
        d_kv = lend_kv(&c, into->kv), row = lend_tensor(&c, into->kv_row), pos = lend_tensor(&c, into->pos);
        d_into = (mg_kv_place){&d_kv, into->first_col, &row, &pos};
    }
    RUN(mg_norm_linear, &d_y, &d_a, &d_x, &d_norm, &d_w, act, into ? &d_into : NULL);
    take_tensor(&c, y);
    if (into) take_kv(&c, into->kv);
    return call_end(&c);
}

static mg_status view_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                                 const mg_matrix *w)
{
    BEGIN;
    LEND3(y, product, x);
    const mg_matrix d_w = lend_matrix(&c, w);
    RUN(mg_linear_add, &d_y, &d_product, &d_x, &d_w);
    return end_with(&c, y);
}

static mg_status view_attention_linear(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                       mg_tensor *a, const mg_tensor *x, const mg_attend *over,
                                       const mg_matrix *w)
{
    BEGIN;
    *done = true;
    LEND2(y, x);
    LEND2(product, a);
    const mg_kv d_kv = lend_kv(&c, over->kv);
    const mg_matrix d_w = lend_matrix(&c, w);
    const mg_tensor kv_row = lend_tensor(&c, over->kv_row), n_keys = lend_tensor(&c, over->n_keys);
    const mg_attend d_over = {&d_kv, &kv_row, &n_keys, over->scale};
    RUN(mg_attention_linear, &d_y, GIVEN(product), &d_a, &d_x, &d_over, &d_w);
    return end_with(&c, y);
}

static void view_close(mg_ops *ops)
{
    view *v = ops->ctx;

    mg_ops_close(v->device);
    free(v);
}

static const mg_ops_iface view_iface = {
    .alloc = view_alloc,
    .release = view_release,
    .budget = view_budget,
    .upload = view_upload,
    .download = view_download,
    .copy = view_copy,
    .zero = view_zero,
    .matrix_bytes = view_matrix_bytes,
    .conv_bytes = view_conv_bytes,
    .kv_bytes = view_kv_bytes,
    .matrix_load = view_matrix_load,
    .tensor_load = view_tensor_load,
    .conv_load = view_conv_load,
    .embed = view_embed,
    .layer_norm = view_layer_norm,
    .rms_norm = view_rms_norm,
    .linear = view_linear,
    .add = view_add,
    .mul = view_mul,
    .kv_write = view_kv_write,
    .attention = view_attention,
    .gather_ids = view_gather_ids,
    .sample = view_sample,
    .pad = view_pad,
    .conv1d = view_conv1d,
    .conv_transpose1d = view_conv_transpose1d,
    .lstm = view_lstm,
    .nearest_code = view_nearest_code,
    .norm_linear = view_norm_linear,
    .linear_add = view_linear_add,
    .attention_linear = view_attention_linear,
    .close = view_close,
};

mg_status host_view_open(mg_ops **out, mg_ops *device)
{
    view *v = calloc(1, sizeof *v);

    slots_need("host_view.c", &view_iface);
    *out = NULL;
    if (!v) return mg_fail(MG_ENOMEM, "view: %zu bytes", sizeof *v);
    v->device = device;
    v->ops = (mg_ops){&view_iface, device->name, MG_HOST, device->hints, v};
    *out = &v->ops;
    return MG_OK;
}
