/* Both convolutions as matrix products. Sound is time-major, so the n_taps rows under one output row are one
 * contiguous vector of n_taps * c_in floats: the product's rows overlap (ldx = stride * c_in), and nothing is
 * copied. Layouts of the weight, by geometry:
 *   dilation 1   a matrix [c_out, n_taps * c_in], tap-major
 *   dilated      n_taps matrices [c_out, c_in], one accumulating product each
 *   few outputs  plain [c_out, n_taps, c_in]: dot products, where a vector of outputs would be mostly empty
 *   transposed   a matrix [stride * c_out, J * c_in]: row p * c_out + o, earliest input row first */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"
#include "cpu_codec.h"
#include "cpu_codec_kernels.h"
#include "cpu_gemm.h"
#include "cpu_layout.h"
#include "cpu_matrix.h"
#include "numbers.h"

enum {
    FEW_OUTPUTS = 4,
    HUGE_PAGE = 2 << 20,
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
    mg_matrix w = {.format = MG_FORMAT_F32,
                   .n_out = c->transposed ? c->stride * c->c_out : c->c_out,
                   .n_in = (c->transposed ? J : c->n_taps / n_matrices(c)) * c->c_in,
                   .n_slices = 1};

    *bytes = mg_cpu_matrix_bytes(&w);
    *bytes = (*bytes + MG_ARENA_ALIGN - 1) / MG_ARENA_ALIGN * MG_ARENA_ALIGN;
    if (c->data) w.data = (char *)c->data + (size_t)i * *bytes;
    return w;
}

size_t mg_cpu_conv_bytes(const mg_ops *ops, const mg_conv *c)
{
    size_t bytes;

    (void)ops;
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

/* A convolution's weight as the rows of one of its matrices: turned around by the threads that load it. */
typedef struct ordered_weight {
    const mg_conv *c;
    const float *w;
    int64_t first_col; /* of the matrix, where [n_taps, c_in] is cut into several */
} ordered_weight;

/* Rows of [c_out, n_taps, c_in] from [c_out, c_in, n_taps]. */
static void read_by_tap(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                        int64_t n_cols)
{
    const ordered_weight *j = arg;
    const mg_conv *c = j->c;
    const int64_t begin = j->first_col + first_col, end = begin + n_cols;
    float *to = dst;

    for (int64_t o = first_row; o < first_row + n_rows; o++) {
        const float *row = j->w + o * c->c_in * c->n_taps;
        for (int64_t t = begin / c->c_in; t * c->c_in < end; t++) {
            const int64_t first = t * c->c_in < begin ? begin - t * c->c_in : 0;
            const int64_t last = end - t * c->c_in < c->c_in ? end - t * c->c_in : c->c_in;
            for (int64_t i = first; i < last; i++) *to++ = row[i * c->n_taps + t];
        }
    }
}

/* Rows of [stride, c_out, J, c_in] from [c_in, c_out, n_taps]: y[m, p] takes W[j*stride + p] from row
 * m + J-1 - j. By blocks of columns, so that each write is a whole cache line. */
static void read_by_phase(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                          int64_t n_cols)
{
    const ordered_weight *job = arg;
    const mg_conv *c = job->c;
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride;

    for (int64_t begin = 0, end; begin < n_cols; begin = end) {
        const int64_t tap = (first_col + begin) / c->c_in, i = (first_col + begin) % c->c_in;
        const int64_t j = J - 1 - tap, left = mg_smaller(c->c_in - i, n_cols - begin);
        int64_t p = first_row / c->c_out, o = first_row % c->c_out;
        end = begin + mg_smaller(COPY_BLOCK, left);
        for (int64_t r = 0; r < n_rows; r++) {
            const int64_t t = j * c->stride + p;
            float *to = (float *)dst + r * n_cols + begin;
            for (int64_t n = 0; n < end - begin; n++)
                to[n] = t < c->n_taps ? job->w[((i + n) * c->c_out + o) * c->n_taps + t] : 0;
            if (++o == c->c_out) o = 0, p++;
        }
    }
}

static void order(mg_cpu *cpu, const mg_conv *c, const float *w_host)
{
    int64_t n_bad = 0; /* counted by who read the tensor */

    if (has_few_outputs(c)) {
        order_by_tap(c->data, w_host, c);
        return;
    }
    for (int64_t i = 0; i < n_matrices(c); i++) {
        size_t bytes;
        const mg_matrix w = conv_matrix(c, i, &bytes);
        ordered_weight source = {c, w_host, i * w.n_in};
        const mg_host_matrix rows = {.dtype = MG_F32,
                                     .n_rows = w.n_out,
                                     .n_cols = w.n_in,
                                     .read = c->transposed ? read_by_phase : read_by_tap,
                                     .read_arg = &source};
        mg_cpu_matrix_load(cpu, &w, 0, &rows, &n_bad);
    }
}

typedef struct fetch_job {
    const mg_host_matrix *src;
    float *to;
} fetch_job;

static void fetch_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const fetch_job *j = arg;

    (void)i_thread;
    j->src->read(j->src->read_arg, j->to + first * j->src->n_cols, first, end - first, 0, j->src->n_cols);
}

mg_status mg_cpu_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src)
{
    mg_cpu *cpu = ops->ctx;
    const int64_t n = src->n_rows * src->n_cols;
    const size_t size = ((size_t)n * sizeof(float) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const size_t align = size > HUGE_PAGE ? HUGE_PAGE : MG_ARENA_ALIGN;

    if (!src->read) {
        order(cpu, c, src->data);
        return MG_OK;
    }
    fetch_job job = {src, aligned_alloc(align, size)};
    if (!job.to) return mg_fail(MG_ENOMEM, "convolution: %lld floats to load a weight", (long long)n);
    if (align == HUGE_PAGE) madvise(job.to, size, MADV_HUGEPAGE);
    mg_cpu_run(cpu, fetch_rows, &job, src->n_rows, n);
    order(cpu, c, job.to);
    free(job.to);
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

mg_status mg_cpu_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                        const mg_tensor *bias, bool accumulate)
{
    mg_cpu *cpu = ops->ctx;
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
mg_status mg_cpu_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                  const mg_tensor *bias)
{
    mg_cpu *cpu = ops->ctx;
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
