/* Weights into the layout of cpu_kernels.h: rows of a checkpoint, any dtype and alignment, are checked,
 * converted and transposed into panels, 16 outputs at a time, all threads. What is read from a file passes
 * through a piece of the scratch that stays in the thread's cache. */
#include "cpu_matrix.h"

#include <string.h>

#include "arena.h"
#include "cpu_groups.h"
#include "cpu_layout.h"
#include "cpu_quantise.h"
#include "numbers.h"

enum {
    STRIP = MG_CPU_STRIP,
    BLOCK = 64,              /* of i, even */
    TENSOR_BLOCK = 64 << 10, /* values of a plain tensor that a thread takes at once */
};

typedef struct load_job {
    mg_cpu *cpu;
    const mg_matrix *w;
    const mg_host_matrix *src;
    int64_t first_out;
    int64_t *n_bad;
    int64_t n_strips; /* of a unit */
    int64_t n_cols;   /* of a piece: all, or a part of one slice */
} load_job;

static int64_t ceil_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Steps of n <= BLOCK values of a strip's rows [c0, c1), row c at src + c * row_bytes, to `to`; columns
 * [c1, c2) become zero. */
static int64_t load_block(const load_job *j, char *to, int64_t step_bytes, const char *src, int64_t row_bytes,
                          int64_t n, int64_t c0, int64_t c1, int64_t c2)
{
    const mg_cpu_kernels *k = j->cpu->kernels;
    const mg_dtype dtype = mg_format_dtype(j->w->format);
    float row[BLOCK];
    uint32_t tile[STRIP][BLOCK]; /* converted, by output */
    int64_t n_bad = 0;

    for (int64_t c = c0; c < c1; c++) {
        n_bad += k->widen(row, src + c * row_bytes, j->src->dtype, n);
        if (dtype == MG_BF16) tile[c][n / 2] = 0; /* the second of a last, odd pair */
        k->narrow(tile[c], dtype, row, n);
    }
    for (int64_t c = c1; c < c2; c++) memset(tile[c], 0, sizeof tile[c]);
    if (dtype == MG_F16) {
        n_bad = 0; /* again: what is too large has become infinite */
        for (int64_t s = 0; s < n; s++, to += step_bytes) {
            for (int64_t c = c0; c < c2; c++) {
                const uint16_t half = ((const uint16_t *)tile[c])[s];
                ((uint16_t *)to)[c] = half;
                n_bad += (half & 0x7C00) == 0x7C00;
            }
        }
        return n_bad;
    }
    const int64_t n_steps = dtype == MG_BF16 ? (n + 1) / 2 : n;
    if (c0 == 0 && c2 == STRIP) {
        k->transpose(to, step_bytes, tile[0], BLOCK, n_steps);
        return n_bad;
    }
    for (int64_t s = 0; s < n_steps; s++, to += step_bytes) {
        for (int64_t c = c0; c < c2; c++) ((uint32_t *)to)[c] = tile[c][s];
    }
    return n_bad;
}

/* What a piece has of the strip at column o. */
static int64_t load_strip(const load_job *j, int64_t o, const mg_cpu_piece *p)
{
    const mg_matrix *w = j->w;
    const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, o);
    const int64_t end = j->first_out + j->src->n_rows, size = (int64_t)mg_dtype_bytes(j->src->dtype);
    const int64_t c0 = j->first_out > o ? j->first_out - o : 0, c1 = mg_smaller(end - o, STRIP);
    const int64_t c2 = end == w->n_out ? STRIP : c1;
    const int64_t L = w->n_in / w->n_slices, per_step = w->format == MG_FORMAT_BF16 ? 2 : 1;
    const char *rows =
        p->data + (o - j->first_out - p->first_row) * p->row_bytes; /* of column o, if it is there */
    int64_t n_bad = 0, n;

    for (int64_t col = p->first_col; col < p->first_col + p->n_cols; col += n) {
        const int64_t s = col / L, i = col % L, left = mg_smaller(L - i, p->first_col + p->n_cols - col);
        const char *src = rows + (col - p->first_col) * size;
        char *to = column.panel + column.offset_bytes +
                   (s * mg_cpu_slice_steps(w) + i / per_step) * column.step_bytes;
        n = 0;
        if (c0 == 0 && c1 == STRIP)
            n = j->cpu->kernels->pack(to, column.step_bytes, mg_format_dtype(w->format), src, p->row_bytes,
                                      j->src->dtype, left);
        if (n > 0) continue;
        n = mg_smaller(left, BLOCK);
        n_bad += load_block(j, to, column.step_bytes, src, p->row_bytes, n, c0, c1, c2);
    }
    return n_bad;
}

static void load_strips(void *arg, int64_t first, int64_t end, int i_thread)
{
    const load_job *j = arg;
    const int64_t base = j->first_out / STRIP, end_row = j->first_out + j->src->n_rows;
    const int64_t L = j->w->n_in / j->w->n_slices;
    int64_t n_bad = 0, n_cols;

    for (int64_t u = first; u < end; u++) {
        const int64_t o = (base + u * j->n_strips) * STRIP,
                      o_end = mg_smaller(o + j->n_strips * STRIP, end_row);
        const int64_t o_first = o < j->first_out ? j->first_out : o;
        for (int64_t col = 0; col < j->w->n_in; col += n_cols) {
            n_cols = j->n_cols == j->w->n_in ? j->n_cols : mg_smaller(j->n_cols, L - col % L);
            const mg_cpu_piece p =
                mg_cpu_fetch(j->cpu, j->src, o_first - j->first_out, o_end - o_first, col, n_cols, i_thread);
            for (int64_t strip = o; strip < o_end; strip += STRIP) n_bad += load_strip(j, strip, &p);
        }
    }
    __atomic_fetch_add(j->n_bad, n_bad, __ATOMIC_RELAXED);
}

void mg_cpu_matrix_load(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad)
{
    load_job job = {cpu, w, src, first_out, n_bad, 1, w->n_in};
    const int64_t first = first_out / STRIP, end = ceil_to(first_out + src->n_rows, STRIP) / STRIP;
    const int64_t room = (int64_t)mg_cpu_room_bytes(cpu) / (STRIP * (int64_t)mg_dtype_bytes(src->dtype));

    if (src->n_rows == 0) return;
    if (w->format == MG_FORMAT_Q8) {
        mg_cpu_quantise(cpu, w, first_out, src, n_bad);
        return;
    }
    if (w->format == MG_FORMAT_Q4) {
        mg_cpu_load_groups(cpu, w, first_out, src, n_bad);
        return;
    }
    if (src->read && room < w->n_in)
        job.n_cols = room / BLOCK * BLOCK;
    else if (room / w->n_in > 1)
        job.n_strips = mg_smaller(room / w->n_in, 1 + (end - first) / (4 * mg_threads_count(cpu->threads)));
    mg_cpu_run(cpu, load_strips, &job, (end - first + job.n_strips - 1) / job.n_strips,
               src->n_rows * src->n_cols);
}

typedef struct tensor_job {
    mg_cpu *cpu;
    const mg_host_matrix *src;
    float *dst;
    int64_t *n_bad;
} tensor_job;

static void load_values(void *arg, int64_t first, int64_t end, int i_thread)
{
    const tensor_job *j = arg;
    const mg_host_matrix *src = j->src;
    const int64_t last = mg_smaller(end * TENSOR_BLOCK, src->n_cols);
    int64_t n_bad = 0;

    for (int64_t i = first * TENSOR_BLOCK; i < last; i += TENSOR_BLOCK) {
        const int64_t n = mg_smaller(TENSOR_BLOCK, last - i);
        const char *from = (const char *)src->data + i * (int64_t)mg_dtype_bytes(src->dtype);
        if (src->read) {
            void *to = src->dtype == MG_F32 ? (void *)(j->dst + i) : mg_cpu_room(j->cpu, i_thread);
            src->read(src->read_arg, to, 0, 1, i, n);
            from = to;
        }
        n_bad += j->cpu->kernels->widen(j->dst + i, from, src->dtype, n);
    }
    __atomic_fetch_add(j->n_bad, n_bad, __ATOMIC_RELAXED);
}

void mg_cpu_tensor_load(mg_cpu *cpu, float *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    tensor_job job = {cpu, src, dst, n_bad};

    mg_cpu_run(cpu, load_values, &job, (src->n_cols + TENSOR_BLOCK - 1) / TENSOR_BLOCK, src->n_cols);
}
