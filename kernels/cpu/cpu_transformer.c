/* The transformer slots: indices are checked, rows are dealt to threads, the maths is in cpu_kernels.h. */
#include "cpu_transformer.h"

#include <string.h>

#include "cpu_gemm.h"

typedef struct norm_job {
    const mg_cpu_kernels *kernels;
    float *y;
    const float *x, *gamma, *beta; /* beta NULL: root mean square */
    int64_t D;
    float eps;
} norm_job;

enum {
    PIECE = 8192,           /* values of a tensor that a thread takes at once */
    VALUES_PER_PRODUCT = 4, /* that are only added or stored: they cost as much */
    SCALE_ALIGN = 64,
    KEYS_AHEAD = 8, /* that are fetched before they are written */
    LINE = 64,
};

typedef struct pointwise_job {
    void (*fn)(float *y, const float *x, int64_t n);
    float *y;
    const float *x;
    int64_t n;
} pointwise_job;

typedef struct kv_job {
    const mg_cpu_kernels *kernels;
    const mg_kv *kv;
    const float *k;              /* [N,W], from the column of the keys on */
    const int32_t *kv_row, *pos; /* [N] */
    int64_t N, W;
} kv_job;

typedef struct attention_job {
    const mg_cpu_kernels *kernels;
    float *y;                       /* [N,HE] */
    const float *x;                 /* [N,W] */
    const int32_t *kv_row, *n_keys; /* [N] */
    const float *rel_bias;          /* [H,2N-1] or NULL */
    const mg_kv *kv;
    int64_t N, W;
    float scale;
} attention_job;

mg_status mg_cpu_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                       const mg_tensor *positions, const mg_tensor *pos)
{
    const mg_cpu_kernels *kernels = ((const mg_cpu *)ops->ctx)->kernels;
    const int64_t N = x->dim[0], D = x->dim[1], K = tables->dim[0], V = tables->dim[1];
    const int32_t *id = ids->data;

    for (int64_t n = 0; n < N; n++) {
        float *out = (float *)x->data + n * D;
        for (int64_t k = 0; k < K; k++, id++) {
            if (*id < 0 || *id >= V) return mg_fail(MG_EBUG, "embed: token %d: not in the table", (int)*id);
            const float *row = (const float *)tables->data + (k * V + *id) * D;
            if (k)
                kernels->add(out, row, D);
            else
                memcpy(out, row, (size_t)D * sizeof *out);
        }
        if (!pos) continue;
        const int32_t p = ((const int32_t *)pos->data)[n];
        if (p < 0 || p >= positions->dim[0])
            return mg_fail(MG_EBUG, "embed: position %d: not in the table", (int)p);
        kernels->add(out, (const float *)positions->data + p * D, D);
    }
    return MG_OK;
}

static void norm_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const norm_job *j = arg;
    const int64_t D = j->D;

    (void)i_thread;
    for (int64_t n = first; n < end; n++) {
        if (j->beta)
            j->kernels->layer_norm(j->y + n * D, j->x + n * D, j->gamma, j->beta, D, j->eps);
        else
            j->kernels->rms_norm(j->y + n * D, j->x + n * D, j->gamma, D, j->eps);
    }
}

mg_status mg_cpu_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                            const mg_tensor *beta, float eps)
{
    const mg_cpu *cpu = ops->ctx;
    norm_job job = {cpu->kernels, y->data, x->data, gamma->data, beta->data, x->dim[1], eps};

    mg_cpu_run(cpu, norm_rows, &job, x->dim[0], mg_tensor_count(x));
    return MG_OK;
}

mg_status mg_cpu_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                          float eps)
{
    const mg_cpu *cpu = ops->ctx;
    norm_job job = {cpu->kernels, y->data, x->data, gamma->data, NULL, x->dim[1], eps};

    mg_cpu_run(cpu, norm_rows, &job, x->dim[0], mg_tensor_count(x));
    return MG_OK;
}

mg_status mg_cpu_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                        const mg_tensor *bias, mg_act act, bool accumulate)
{
    mg_cpu_gemm(ops->ctx, y->data, w->n_out, x->data, w->n_in, x->dim[0], w, bias ? bias->data : NULL, act,
                accumulate);
    return MG_OK;
}

mg_status mg_cpu_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                            const mg_matrix *w)
{
    (void)product;
    return mg_cpu_linear(ops, y, x, w, NULL, MG_ACT_NONE, true);
}

static void run_pieces(void *arg, int64_t first, int64_t end, int i_thread)
{
    const pointwise_job *j = arg;
    const int64_t at = first * PIECE, left = j->n - at, most = (end - first) * PIECE;

    (void)i_thread;
    j->fn(j->y + at, j->x + at, left < most ? left : most);
}

static void run_pointwise(const mg_cpu *cpu, void (*fn)(float *y, const float *x, int64_t n), mg_tensor *y,
                          const mg_tensor *x)
{
    pointwise_job job = {fn, y->data, x->data, mg_tensor_count(x)};

    mg_cpu_run(cpu, run_pieces, &job, (job.n + PIECE - 1) / PIECE, job.n / VALUES_PER_PRODUCT);
}

mg_status mg_cpu_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    run_pointwise(ops->ctx, ((const mg_cpu *)ops->ctx)->kernels->add, y, x);
    return MG_OK;
}

mg_status mg_cpu_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    run_pointwise(ops->ctx, ((const mg_cpu *)ops->ctx)->kernels->mul, y, x);
    return MG_OK;
}

typedef struct copy_job {
    char *y;
    const char *x;
    size_t bytes;
} copy_job;

static void copy_pieces(void *arg, int64_t first, int64_t end, int i_thread)
{
    const copy_job *j = arg;
    const size_t at = (size_t)first * PIECE, left = j->bytes - at, most = (size_t)(end - first) * PIECE;

    (void)i_thread;
    memcpy(j->y + at, j->x + at, left < most ? left : most);
}

mg_status mg_cpu_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    copy_job job = {y->data, x->data, mg_tensor_bytes(x)};

    mg_cpu_run(ops->ctx, copy_pieces, &job, ((int64_t)job.bytes + PIECE - 1) / PIECE,
               (int64_t)job.bytes / (4 * VALUES_PER_PRODUCT));
    return MG_OK;
}

static mg_dtype kv_dtype(const mg_kv *kv)
{
    return kv->format == MG_FORMAT_Q8 ? MG_I8 : mg_format_dtype(kv->format);
}

/* Keys of the cache before key `j` of head h of a row; k and v alike. */
static int64_t kv_index(const mg_kv *kv, int64_t row, int64_t h, int64_t j)
{
    return (row * kv->n_heads + h) * kv->T_max + j;
}

static size_t kv_values_bytes(const mg_kv *kv)
{
    const size_t bytes = (size_t)(kv_index(kv, kv->n_rows, 0, 0) * kv->E) * mg_dtype_bytes(kv_dtype(kv));

    return kv->format == MG_FORMAT_Q8 ? (bytes + SCALE_ALIGN - 1) / SCALE_ALIGN * SCALE_ALIGN : bytes;
}

size_t mg_cpu_kv_bytes(const mg_ops *ops, const mg_kv *kv)
{
    const size_t n_scales = kv->format == MG_FORMAT_Q8 ? (size_t)kv_index(kv, kv->n_rows, 0, 0) : 0;

    (void)ops;
    return kv_values_bytes(kv) + n_scales * sizeof(float);
}

/* Q8: one for each key, behind all of them. */
static float *kv_scales(const mg_kv *kv, void *keys)
{
    return kv->format == MG_FORMAT_Q8 ? (float *)(void *)((char *)keys + kv_values_bytes(kv)) : NULL;
}

/* The i-th key, or value, of a cache. */
static void write_key(const kv_job *j, void *keys, int64_t i, const float *x)
{
    const mg_dtype dtype = kv_dtype(j->kv);
    const int64_t E = j->kv->E;
    char *to = (char *)keys + i * E * (int64_t)mg_dtype_bytes(dtype);

    if (dtype != MG_I8) {
        j->kernels->narrow(to, dtype, x, E);
        return;
    }
    kv_scales(j->kv, keys)[i] = j->kernels->quantise((uint8_t *)to, x, E);
    for (int64_t e = 0; e < E; e++) to[e] = (char)(to[e] ^ 0x80); /* 128 was zero */
}

/* Where token i % N of head i / N stands in the cache. */
static int64_t token_index(const kv_job *j, int64_t i)
{
    return kv_index(j->kv, j->kv_row[i % j->N], i / j->N, j->pos[i % j->N]);
}

/* Lines of the cache that will be written: nobody has read them since the last step. */
static void fetch_key(const kv_job *j, int64_t i)
{
    const int64_t bytes = j->kv->E * (int64_t)mg_dtype_bytes(kv_dtype(j->kv)), at = token_index(j, i) * bytes;

    for (int64_t b = 0; b < bytes; b += LINE) {
        __builtin_prefetch((char *)j->kv->k + at + b, 1);
        __builtin_prefetch((char *)j->kv->v + at + b, 1);
    }
}

/* Units are heads: each writes its tokens in order. */
static void write_heads(void *arg, int64_t first, int64_t end, int i_thread)
{
    const kv_job *j = arg;
    const int64_t H = j->kv->n_heads, E = j->kv->E, i_end = end * j->N;

    (void)i_thread;
    for (int64_t i = first * j->N; i < i_end; i++) {
        const float *k = j->k + i % j->N * j->W + i / j->N * E;
        const int64_t to = token_index(j, i);
        if (i + KEYS_AHEAD < i_end) fetch_key(j, i + KEYS_AHEAD);
        write_key(j, j->kv->k, to, k);
        write_key(j, j->kv->v, to, k + H * E);
    }
}

mg_status mg_cpu_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                          const mg_tensor *kv_row, const mg_tensor *pos)
{
    const mg_cpu *cpu = ops->ctx;
    const int64_t N = x->dim[0];
    kv_job job = {cpu->kernels, kv, (const float *)x->data + first_col, kv_row->data, pos->data, N,
                  x->dim[1]};

    for (int64_t n = 0; n < N; n++) {
        const int32_t row = job.kv_row[n], p = job.pos[n];
        if (row < 0 || row >= kv->n_rows || p < 0 || p >= kv->T_max)
            return mg_fail(MG_EBUG, "kv_write: row %d, position %d: outside the cache", (int)row, (int)p);
    }
    mg_cpu_run(cpu, write_heads, &job, kv->n_heads, N * 2 * kv->n_heads * kv->E / VALUES_PER_PRODUCT);
    return MG_OK;
}

/* How many tokens from n on, at most `most`, go through the keys together: neighbours in one sequence do. */
static int64_t count_together(const attention_job *j, int64_t n, int64_t most)
{
    if (most < MG_CPU_QUERIES || j->n_keys[n] == 0) return 1;
    for (int64_t i = n + 1; i < n + MG_CPU_QUERIES; i++) {
        const int64_t more = (int64_t)j->n_keys[i] - j->n_keys[n];
        if (j->kv_row[i] != j->kv_row[n] || more < 0 || more >= MG_CPU_QUERIES) return 1;
    }
    return MG_CPU_QUERIES;
}

/* Where the keys of unit u begin; NULL behind the last unit. */
static const char *unit_keys(const attention_job *j, int64_t u)
{
    const mg_kv *kv = j->kv;

    if (u >= j->N * kv->n_heads) return NULL;
    return (const char *)kv->k +
           kv_index(kv, j->kv_row[u % j->N], u / j->N, 0) * kv->E * (int64_t)mg_dtype_bytes(kv_dtype(kv));
}

/* Units in the order [H,N]: threads share the heads, so sequences of different lengths cost them the same. */
static void attend_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    const attention_job *j = arg;
    const int64_t N = j->N, H = j->kv->n_heads, E = j->kv->E;
    const mg_dtype dtype = kv_dtype(j->kv);
    const float *const k_scale = kv_scales(j->kv, j->kv->k), *const v_scale = kv_scales(j->kv, j->kv->v);
    mg_cpu_query query[MG_CPU_QUERIES];

    (void)i_thread;
    for (int64_t u = first, n_queries; u < end; u += n_queries) {
        const int64_t h = u / N, n = u % N, key = kv_index(j->kv, j->kv_row[n], h, 0);
        const int64_t at = key * E * (int64_t)mg_dtype_bytes(dtype);
        n_queries = count_together(j, n, end - u < N - n ? end - u : N - n);
        for (int64_t i = 0; i < n_queries; i++)
            query[i] = (mg_cpu_query){
                .y = j->y + ((n + i) * H + h) * E,
                .q = j->x + (n + i) * j->W + h * E,
                .k = (const char *)j->kv->k + at,
                .v = (const char *)j->kv->v + at,
                .next_k = unit_keys(j, u + 1),
                .k_scale = k_scale ? k_scale + key : NULL,
                .v_scale = v_scale ? v_scale + key : NULL,
                .dtype = dtype,
                .E = E,
                .n_keys = j->n_keys[n + i],
                .scale = j->scale,
                .bias = j->rel_bias ? j->rel_bias + h * (2 * N - 1) + N - 1 - n - i : NULL,
            };
        j->kernels->attend(query, n_queries);
    }
}

mg_status mg_cpu_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                           const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                           const mg_tensor *rel_bias)
{
    const mg_cpu *cpu = ops->ctx;
    const int64_t N = x->dim[0], most = rel_bias && N < kv->T_max ? N : kv->T_max;
    attention_job job = {
        cpu->kernels, y->data, x->data,   kv_row->data, n_keys->data, rel_bias ? rel_bias->data : NULL,
        kv,           N,       x->dim[1], scale};
    int64_t all_keys = 0;

    for (int64_t n = 0; n < N; n++) {
        if (job.kv_row[n] < 0 || job.kv_row[n] >= kv->n_rows || job.n_keys[n] < 0 || job.n_keys[n] > most)
            return mg_fail(MG_EBUG, "attention: row %d, %d keys: outside the cache", (int)job.kv_row[n],
                           (int)job.n_keys[n]);
        all_keys += job.n_keys[n];
    }
    mg_cpu_run(cpu, attend_units, &job, N * kv->n_heads, all_keys * kv->n_heads * kv->E * 2);
    return MG_OK;
}
