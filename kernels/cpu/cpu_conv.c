/* Both convolutions as matrix products. Sound is time-major, so the n_taps rows under one output row are one
 * contiguous vector of n_taps * c_in floats: the product's rows overlap (ldx = stride * c_in), and nothing is
 * copied. Layouts of the weight, by geometry:
 *   dilation 1   a matrix [c_out, n_taps * c_in], tap-major
 *   dilated      n_taps matrices [c_out, c_in], one accumulating product each
 *   few outputs  plain [c_out, n_taps, c_in]: dot products, where a vector of outputs would be mostly empty
 *   transposed   a matrix [stride * c_out, J * c_in]: row p * c_out + o, earliest input row first */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cpu_codec.h"
#include "cpu_codec_kernels.h"

enum {
    FEW_OUTPUTS = 4,
    COPY_BLOCK = 16, /* floats of a cache line: how the transposed weight is turned around */
    DOT_ROWS = 64,   /* rows of dot products that a thread takes at least */
};

static bool has_few_outputs(const mg_conv *c)
{
    return !c->transposed && c->c_out < FEW_OUTPUTS;
}

static int64_t n_matrices(const mg_conv *c)
{
    return c->dilation > 1 ? c->n_taps : 1;
}

/* Matrix i of the convolution's products; `data` follows one another, each rounded up to MG_ARENA_ALIGN. */
static mg_matrix conv_matrix(const mg_conv *c, int64_t i, size_t *bytes)
{
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride;
    mg_matrix w = {.dtype = MG_F32,
                   .n_out = c->transposed ? c->stride * c->c_out : c->c_out,
                   .n_in = (c->transposed ? J : c->n_taps / n_matrices(c)) * c->c_in,
                   .n_slices = 1};

    *bytes = mg_cpu_matrix_bytes(w.dtype, w.n_out, w.n_in);
    *bytes = (*bytes + MG_ARENA_ALIGN - 1) / MG_ARENA_ALIGN * MG_ARENA_ALIGN;
    if (c->data) w.data = (char *)c->data + (size_t)i * *bytes;
    return w;
}

size_t mg_cpu_conv_bytes(void *ctx, const mg_conv *c)
{
    size_t bytes;

    (void)ctx;
    if (has_few_outputs(c)) return (size_t)(c->c_out * c->n_taps * c->c_in) * sizeof(float);
    conv_matrix(c, 0, &bytes);
    return bytes * (size_t)n_matrices(c);
}

/* [c_out, c_in, n_taps] -> [c_out, n_taps, c_in] */
static void order_by_tap(float *to, const float *from, const mg_conv *c)
{
    for (int64_t o = 0; o < c->c_out; o++)
        for (int64_t i = 0; i < c->c_in; i++)
            for (int64_t t = 0; t < c->n_taps; t++)
                to[(o * c->n_taps + t) * c->c_in + i] = from[(o * c->c_in + i) * c->n_taps + t];
}

/* [c_in, c_out, n_taps] -> [stride, c_out, J, c_in]: y[m, p] takes W[j*stride + p] from row m + J-1 - j.
 * By blocks of c_in, so that each write is a whole cache line. */
static void order_by_phase(float *to, const float *from, const mg_conv *c)
{
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride;

    for (int64_t first = 0; first < c->c_in; first += COPY_BLOCK)
        for (int64_t o = 0; o < c->c_out; o++)
            for (int64_t t = 0; t < c->n_taps; t++) {
                const int64_t p = t % c->stride, j = t / c->stride;
                const int64_t end = first + COPY_BLOCK < c->c_in ? first + COPY_BLOCK : c->c_in;
                float *row = to + ((p * c->c_out + o) * J + J - 1 - j) * c->c_in;
                for (int64_t i = first; i < end; i++) row[i] = from[(i * c->c_out + o) * c->n_taps + t];
            }
}

mg_status mg_cpu_conv_load(void *ctx, const mg_conv *c, const float *w_host)
{
    size_t bytes;
    mg_matrix w = conv_matrix(c, 0, &bytes);
    int64_t n_bad = 0; /* counted by who read the tensor */

    if (has_few_outputs(c)) {
        order_by_tap(c->data, w_host, c);
        return MG_OK;
    }
    const int64_t row_count = w.n_in * n_matrices(c);
    float *ordered = calloc((size_t)(w.n_out * row_count), sizeof *ordered);
    if (!ordered)
        return mg_fail(MG_ENOMEM, "convolution: %lld floats to load a weight",
                       (long long)(w.n_out * row_count));
    if (c->transposed)
        order_by_phase(ordered, w_host, c);
    else
        order_by_tap(ordered, w_host, c);
    for (int64_t i = 0; i < n_matrices(c); i++) {
        const mg_host_matrix rows = {.data = ordered + i * w.n_in,
                                     .dtype = MG_F32,
                                     .n_rows = w.n_out,
                                     .n_cols = w.n_in,
                                     .row_stride = row_count};
        w = conv_matrix(c, i, &bytes);
        mg_cpu_matrix_load(ctx, &w, 0, &rows, &n_bad);
    }
    free(ordered);
    return MG_OK;
}

typedef struct dots_job {
    float *y;       /* [N, c_out] */
    const float *x; /* row n at n * dots.row_stride */
    int64_t n_rows;
    mg_cpu_dots dots;
    const mg_cpu_codec_kernels *kernels;
} dots_job;

static void run_dots(void *arg, int64_t first_unit, int64_t end_unit, int i_thread)
{
    const dots_job *job = arg;
    const int64_t first = first_unit * DOT_ROWS, end = end_unit * DOT_ROWS;
    const int64_t n = (end < job->n_rows ? end : job->n_rows) - first;

    (void)i_thread;
    job->kernels->dots(job->y + first * job->dots.c_out, job->x + first * job->dots.row_stride, n,
                       &job->dots);
}

static void conv_by_dots(const mg_cpu *cpu, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                         const float *bias, bool accumulate)
{
    const bool dilated = c->dilation > 1;
    dots_job job = {.y = y->data,
                    .x = x->data,
                    .n_rows = y->dim[0],
                    .dots = {.w = c->data,
                             .bias = bias,
                             .c_out = c->c_out,
                             .n_runs = dilated ? c->n_taps : 1,
                             .run_count = dilated ? c->c_in : c->n_taps * c->c_in,
                             .run_stride = c->dilation * c->c_in,
                             .row_stride = c->stride * c->c_in,
                             .accumulate = accumulate},
                    .kernels = mg_cpu_codec_at(cpu->level)};

    mg_cpu_run(cpu, run_dots, &job, (job.n_rows + DOT_ROWS - 1) / DOT_ROWS,
               job.n_rows * c->c_out * c->n_taps * c->c_in);
}

mg_status mg_cpu_conv1d(void *ctx, mg_tensor *y, const mg_tensor *x, const mg_conv *c, const mg_tensor *bias,
                        bool accumulate)
{
    mg_cpu *cpu = ctx;
    const float *b = bias ? bias->data : NULL;

    if (has_few_outputs(c)) {
        conv_by_dots(cpu, y, x, c, b, accumulate);
        return MG_OK;
    }
    for (int64_t i = 0; i < n_matrices(c); i++) {
        size_t bytes;
        const mg_matrix w = conv_matrix(c, i, &bytes);
        const float *from = (const float *)x->data + i * c->dilation * c->c_in;
        mg_cpu_gemm(cpu, y->data, c->c_out, from, c->stride * c->c_in, y->dim[0], &w, i == 0 ? b : NULL,
                    MG_ACT_NONE, accumulate || i > 0);
    }
    return MG_OK;
}

typedef struct fill_job {
    float *y; /* [N, C] */
    const float *bias;
    int64_t C;
} fill_job;

static void fill_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const fill_job *job = arg;

    (void)i_thread;
    for (int64_t n = first; n < end; n++)
        memcpy(job->y + n * job->C, job->bias, (size_t)job->C * sizeof *job->y);
}

/* The product's columns are (phase, channel): the bias, which knows no phase, goes in first. */
mg_status mg_cpu_conv_transpose1d(void *ctx, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                  const mg_tensor *bias)
{
    mg_cpu *cpu = ctx;
    size_t bytes;
    const mg_matrix w = conv_matrix(c, 0, &bytes);

    if (bias) {
        fill_job job = {.y = y->data, .bias = bias->data, .C = c->c_out};
        mg_cpu_run(cpu, fill_rows, &job, y->dim[0], y->dim[0] * c->c_out);
    }
    mg_cpu_gemm(cpu, y->data, w.n_out, x->data, c->c_in, y->dim[0] / c->stride, &w, NULL, MG_ACT_NONE,
                bias != NULL);
    return MG_OK;
}
