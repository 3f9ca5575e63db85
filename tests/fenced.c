#include "fenced.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "slots.h"

static void fence_protect(fence *f, int how)
{
    for (int i = 0; i < f->n_blocks; i++)
        if (mprotect(f->block[i].base, f->block[i].bytes, how) != 0) abort();
}

static bool fence_has(const fence *f, const void *p)
{
    for (int i = 0; i < f->n_blocks; i++)
        if ((const char *)p >= f->block[i].base && (const char *)p < f->block[i].base + f->block[i].bytes)
            return true;
    return false;
}

static void fence_note(fence *f, const void *what, size_t bytes)
{
    const unsigned char *c = what;

    for (size_t i = 0; f->in_step && i < bytes; i++) f->hash = (f->hash ^ c[i]) * 1099511628211u;
}

/* An argument must be in the fenced memory; it is part of a recorded step. */
static bool fence_tensor(fence *f, const mg_tensor *t)
{
    if (!t) return true;
    fence_note(f, &t->data, sizeof t->data);
    fence_note(f, t->dim, sizeof t->dim);
    return fence_has(f, t->data) || mg_tensor_count(t) == 0;
}

static bool fence_matrix(fence *f, const mg_matrix *w)
{
    fence_note(f, &w->data, sizeof w->data);
    return fence_has(f, w->data);
}

static bool fence_conv(fence *f, const mg_conv *c)
{
    return fence_has(f, c->data);
}

static bool fence_kv(fence *f, const mg_kv *kv)
{
    fence_note(f, &kv->k, sizeof kv->k);
    return fence_has(f, kv->k) && fence_has(f, kv->v);
}

#define FENCE_CALL(name, ok, ...)                                                        \
    fence *f = ops->ctx;                                                                 \
    fence_note(f, #name, sizeof #name);                                                  \
    if (!(ok)) return mg_fail(MG_EBUG, "fence: " #name ": a pointer into other memory"); \
    fence_protect(f, PROT_READ | PROT_WRITE);                                            \
    const mg_status st = f->inner->iface->name(f->inner, __VA_ARGS__);                   \
    fence_protect(f, PROT_NONE);                                                         \
    return st

/* On huge pages where the system has them: they are protected hundreds of times faster. */
static mg_status fence_alloc(const mg_ops *ops, void **out, size_t bytes)
{
    fence *f = ops->ctx;
    const size_t size = (bytes + FENCE_PAGE) & ~(size_t)(FENCE_PAGE - 1);

    if (f->in_step || f->n_blocks == FENCE_BLOCKS) return mg_fail(MG_EBUG, "fence: alloc: not now");
    char *raw = mmap(NULL, size + FENCE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return mg_fail(MG_EFIT, "fence: %zu bytes", bytes);
    char *base = raw + (FENCE_PAGE - (uintptr_t)raw % FENCE_PAGE) % FENCE_PAGE;
    if (base > raw) munmap(raw, (size_t)(base - raw));
    munmap(base + size, (size_t)(raw + FENCE_PAGE - base));
    madvise(base, size, MADV_HUGEPAGE);
    f->block[f->n_blocks++] = (fence_block){base, size};
    *out = base;
    return MG_OK;
}

static void fence_release(const mg_ops *ops, void *block, size_t bytes)
{
    fence *f = ops->ctx;

    (void)bytes;
    for (int i = 0; i < f->n_blocks; i++) {
        if (f->block[i].base != block) continue;
        munmap(block, f->block[i].bytes);
        f->block[i] = f->block[--f->n_blocks];
        return;
    }
    abort(); /* nobody's block */
}

static mg_status fence_budget(const mg_ops *ops, mg_budget *out)
{
    *out = (mg_budget){.place = (uint64_t)(uintptr_t)ops, .available_bytes = INT64_MAX};
    return MG_OK;
}

static mg_status fence_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes)
{
    ((fence *)ops->ctx)->n_uploads++;
    if (((fence *)ops->ctx)->in_step) return mg_fail(MG_EBUG, "fence: upload in a recorded step");
    FENCE_CALL(upload, fence_has(f, dst) && !fence_has(f, src_host), dst, src_host, bytes);
}

static mg_status fence_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes)
{
    ((fence *)ops->ctx)->n_downloads++;
    if (((fence *)ops->ctx)->in_step) return mg_fail(MG_EBUG, "fence: download in a recorded step");
    FENCE_CALL(download, fence_has(f, src) && !fence_has(f, dst_host), dst_host, src, bytes);
}

static size_t fence_matrix_bytes(const mg_ops *ops, const mg_matrix *w)
{
    return mg_matrix_bytes(((fence *)ops->ctx)->inner, w);
}

static size_t fence_conv_bytes(const mg_ops *ops, const mg_conv *c)
{
    return mg_conv_bytes(((fence *)ops->ctx)->inner, c);
}

static size_t fence_kv_bytes(const mg_ops *ops, const mg_kv *kv)
{
    return mg_kv_bytes(((fence *)ops->ctx)->inner, kv);
}

static mg_status fence_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                                   const mg_host_matrix *src, int64_t *n_bad)
{
    FENCE_CALL(matrix_load, fence_matrix(f, w) && !fence_has(f, src->data), w, first_out, src, n_bad);
}

static mg_status fence_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    FENCE_CALL(tensor_load, fence_has(f, dst) && !fence_has(f, src->data), dst, src, n_bad);
}

static mg_status fence_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src)
{
    FENCE_CALL(conv_load, fence_conv(f, c) && !fence_has(f, src->data), c, src);
}

/* It never replays: the calls come each time, and are held against those that came first. */
static mg_status fence_step_begin(const mg_ops *ops, uint64_t key, bool *replay)
{
    fence *f = ops->ctx;

    *replay = false;
    if (f->in_step) return mg_fail(MG_EBUG, "fence: a step in a step");
    f->in_step = true, f->key = key, f->hash = 14695981039346656037u;
    return MG_OK;
}

static mg_status fence_step_end(const mg_ops *ops)
{
    fence *f = ops->ctx;
    int i = 0;

    if (!f->in_step) return mg_fail(MG_EBUG, "fence: the end of no step");
    f->in_step = false;
    f->n_steps++;
    while (i < f->n_known && f->known[i].key != f->key) i++;
    if (i < f->n_known) {
        f->n_replayable++;
        return f->known[i].hash == f->hash
                   ? MG_OK
                   : mg_fail(MG_EBUG, "fence: a step of a known key makes other calls");
    }
    if (f->n_known == FENCE_KEYS) return MG_OK;
    f->known[f->n_known].key = f->key;
    f->known[f->n_known++].hash = f->hash;
    return MG_OK;
}

static void fence_step_forget(const mg_ops *ops)
{
    ((fence *)ops->ctx)->n_known = 0;
}

static void fence_close(mg_ops *ops)
{
    fence *f = ops->ctx;

    if (f->n_blocks != 0) abort(); /* memory that nobody gave back */
    mg_ops_close(f->inner);
    free(f);
}

static mg_status fence_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    FENCE_CALL(copy, fence_tensor(f, y) && fence_tensor(f, x), y, x);
}

static mg_status fence_zero(const mg_ops *ops, mg_tensor *y)
{
    FENCE_CALL(zero, fence_tensor(f, y), y);
}

static mg_status fence_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                             const mg_tensor *positions, const mg_tensor *pos)
{
    FENCE_CALL(embed,
               fence_tensor(f, x) && fence_tensor(f, tables) && fence_tensor(f, ids) &&
                   fence_tensor(f, positions) && fence_tensor(f, pos),
               x, tables, ids, positions, pos);
}

static mg_status fence_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                                  const mg_tensor *beta, float eps)
{
    FENCE_CALL(layer_norm,
               fence_tensor(f, y) && fence_tensor(f, x) && fence_tensor(f, gamma) && fence_tensor(f, beta), y,
               x, gamma, beta, eps);
}

static mg_status fence_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                                float eps)
{
    FENCE_CALL(rms_norm, fence_tensor(f, y) && fence_tensor(f, x) && fence_tensor(f, gamma), y, x, gamma,
               eps);
}

static mg_status fence_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                              const mg_tensor *bias, mg_act act, bool accumulate)
{
    FENCE_CALL(linear,
               fence_tensor(f, y) && fence_tensor(f, x) && fence_matrix(f, w) && fence_tensor(f, bias), y, x,
               w, bias, act, accumulate);
}

static mg_status fence_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    FENCE_CALL(add, fence_tensor(f, y) && fence_tensor(f, x), y, x);
}

static mg_status fence_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    FENCE_CALL(mul, fence_tensor(f, y) && fence_tensor(f, x), y, x);
}

static mg_status fence_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                                const mg_tensor *kv_row, const mg_tensor *pos)
{
    FENCE_CALL(kv_write,
               fence_kv(f, kv) && fence_tensor(f, x) && fence_tensor(f, kv_row) && fence_tensor(f, pos), kv,
               x, first_col, kv_row, pos);
}

static mg_status fence_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                                 const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                                 const mg_tensor *rel_bias)
{
    FENCE_CALL(attention,
               fence_tensor(f, y) && fence_tensor(f, x) && fence_kv(f, kv) && fence_tensor(f, kv_row) &&
                   fence_tensor(f, n_keys) && fence_tensor(f, rel_bias),
               y, x, kv, kv_row, n_keys, scale, rel_bias);
}

static mg_status fence_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes,
                                  const mg_tensor *cells, int32_t pad)
{
    FENCE_CALL(gather_ids, fence_tensor(f, ids) && fence_tensor(f, codes) && fence_tensor(f, cells), ids,
               codes, cells, pad);
}

static mg_status fence_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                              const mg_draw *draws, int64_t n)
{
    FENCE_CALL(sample, fence_tensor(f, codes) && fence_tensor(f, logits) && fence_has(f, draws), codes,
               logits, V, draws, n);
}

static mg_status fence_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                           mg_pad_mode mode, mg_act act)
{
    FENCE_CALL(pad, fence_tensor(f, y) && fence_tensor(f, x), y, x, left, right, mode, act);
}

static mg_status fence_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                              const mg_tensor *bias, bool accumulate)
{
    FENCE_CALL(conv1d, fence_tensor(f, y) && fence_tensor(f, x) && fence_conv(f, c) && fence_tensor(f, bias),
               y, x, c, bias, accumulate);
}

static mg_status fence_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                        const mg_tensor *bias)
{
    FENCE_CALL(conv_transpose1d,
               fence_tensor(f, y) && fence_tensor(f, x) && fence_conv(f, c) && fence_tensor(f, bias), y, x, c,
               bias);
}

static mg_status fence_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                            const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias,
                            mg_tensor *gates, mg_tensor *state)
{
    FENCE_CALL(lstm,
               fence_tensor(f, y) && fence_tensor(f, x) && fence_matrix(f, w_ih) && fence_matrix(f, w_hh) &&
                   fence_tensor(f, bias) && fence_tensor(f, gates) && fence_tensor(f, state),
               y, x, n_rows_host, w_ih, w_hh, bias, gates, state);
}

static mg_status fence_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x,
                                    const mg_tensor *products, const mg_tensor *table, const mg_tensor *norms)
{
    FENCE_CALL(nearest_code,
               fence_tensor(f, ids) && fence_tensor(f, x) && fence_tensor(f, products) &&
                   fence_tensor(f, table) && fence_tensor(f, norms),
               ids, x, products, table, norms);
}

/* Takes `inner` over. */
mg_ops *fence_open(mg_ops *inner)
{
    fence *f = calloc(1, sizeof *f);

    if (!f) abort();
    f->inner = inner;
    f->table = (mg_ops_iface){
        .alloc = fence_alloc,
        .release = fence_release,
        .budget = fence_budget,
        .upload = fence_upload,
        .download = fence_download,
        .matrix_bytes = fence_matrix_bytes,
        .conv_bytes = fence_conv_bytes,
        .kv_bytes = fence_kv_bytes,
        .matrix_load = fence_matrix_load,
        .tensor_load = fence_tensor_load,
        .conv_load = fence_conv_load,
        .step_begin = fence_step_begin,
        .step_end = fence_step_end,
        .step_forget = fence_step_forget,
        .close = fence_close,
        .copy = fence_copy,
        .zero = fence_zero,
        .embed = fence_embed,
        .layer_norm = fence_layer_norm,
        .rms_norm = fence_rms_norm,
        .linear = fence_linear,
        .add = fence_add,
        .mul = fence_mul,
        .kv_write = fence_kv_write,
        .attention = fence_attention,
        .gather_ids = fence_gather_ids,
        .sample = fence_sample,
        .pad = fence_pad,
        .conv1d = fence_conv1d,
        .conv_transpose1d = fence_conv_transpose1d,
        .lstm = fence_lstm,
        .nearest_code = fence_nearest_code,
    };
    slots_need("fenced.c", &f->table);
    f->ops = (mg_ops){
        .iface = &f->table, .name = inner->name, .space = MG_DEVICE, .hints = inner->hints, .ctx = f};
    return &f->ops;
}

typedef struct fenced_group {
    mg_comm *inner; /* borrowed */
    fence *f;
} fenced_group;

static mg_status fence_all_reduce(mg_comm *c, float *x, int64_t n)
{
    const fenced_group *g = c->ctx;

    fence_note(g->f, &x, sizeof x);
    fence_note(g->f, &n, sizeof n);
    if (!fence_has(g->f, x)) return mg_fail(MG_EBUG, "fence: all_reduce: a pointer into other memory");
    fence_protect(g->f, PROT_READ | PROT_WRITE);
    const mg_status st = mg_comm_all_reduce(g->inner, x, n);
    fence_protect(g->f, PROT_NONE);
    return st;
}

static mg_status fence_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    const fenced_group *g = c->ctx;

    fence_note(g->f, &all, sizeof all);
    fence_note(g->f, &n, sizeof n);
    if (!fence_has(g->f, all) || !fence_has(g->f, mine))
        return mg_fail(MG_EBUG, "fence: all_gather: a pointer into other memory");
    fence_protect(g->f, PROT_READ | PROT_WRITE);
    const mg_status st = mg_comm_all_gather(g->inner, all, mine, n, dtype);
    fence_protect(g->f, PROT_NONE);
    return st;
}

static mg_status fence_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    (void)c, (void)x, (void)n, (void)dtype, (void)root;
    return mg_fail(MG_EBUG, "fence: bcast: the language model needs none");
}

static mg_status fence_barrier(mg_comm *c)
{
    (void)c;
    return mg_fail(MG_EBUG, "fence: barrier: the language model needs none");
}

static void fence_group_close(mg_comm *c)
{
    free(c->ctx);
}

mg_comm *fence_group_open(mg_comm *inner, mg_ops *fenced)
{
    static const mg_comm_iface iface = {.all_reduce = fence_all_reduce,
                                        .all_gather = fence_all_gather,
                                        .bcast = fence_bcast,
                                        .barrier = fence_barrier,
                                        .close = fence_group_close};
    mg_comm *c = calloc(1, sizeof *c);
    fenced_group *g = calloc(1, sizeof *g);

    if (!c || !g) abort();
    *g = (fenced_group){inner, fenced->ctx};
    *c = (mg_comm){.iface = &iface,
                   .name = "fenced",
                   .rank = inner->rank,
                   .size = inner->size,
                   .space = MG_DEVICE,
                   .ctx = g};
    return c;
}
