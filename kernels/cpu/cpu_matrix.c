/* Weights into the layout of cpu_kernels.h: rows of a checkpoint, any dtype and alignment, are checked,
 * converted and transposed into panels, 16 outputs at a time, all threads. */
#include <string.h>

#include "cpu_gemm.h"

enum { STRIP = MG_CPU_STRIP, BLOCK = 64 /* of i, even */ };

typedef struct load_job {
    const mg_cpu *cpu;
    const mg_matrix *w;
    const mg_host_matrix *src;
    int64_t first_out;
    int64_t *n_bad;
} load_job;

static int64_t ceil_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static int64_t step_size(mg_dtype dtype)
{
    return dtype == MG_F16 ? 2 : 4;
}

size_t mg_cpu_matrix_bytes(mg_dtype dtype, int64_t n_out, int64_t n_in)
{
    const int64_t columns = ceil_to(n_out, STRIP);

    if (dtype != MG_BF16) return (size_t)(columns * n_in) * mg_dtype_bytes(dtype);
    /* An odd slice ends in half a pair. Slices are 1, 2, 4 or 8: there are most of them when each is odd. */
    const int64_t odd_slices = n_in % (2 * MG_TP_SLICES) ? n_in & -n_in : 0;
    return (size_t)(columns * (n_in + odd_slices) / 2) * 4;
}

int64_t mg_cpu_slice_steps(const mg_matrix *w)
{
    const int64_t n = w->n_in / w->n_slices;

    return w->dtype == MG_BF16 ? (n + 1) / 2 : n;
}

mg_cpu_column mg_cpu_matrix_column(const mg_cpu *cpu, const mg_matrix *w, int64_t o)
{
    const int64_t P = cpu->kernels->panel, size = step_size(w->dtype), first = o / P * P;
    const int64_t left = ceil_to(w->n_out, STRIP) - first, width = left < P ? left : P;
    const int64_t n_steps = mg_cpu_slice_steps(w) * w->n_slices;

    return (mg_cpu_column){(char *)w->data + first * n_steps * size, width * size, (o - first) * size};
}

/* Steps of n values of the strip's rows [c0, c1), from source column i on, to `to`; columns [c1, c2) become
 * zero. */
static int64_t load_block(const load_job *j, char *to, int64_t step_bytes, int64_t o, int64_t i, int64_t n,
                          int64_t c0, int64_t c1, int64_t c2)
{
    const mg_cpu_kernels *k = j->cpu->kernels;
    const mg_host_matrix *src = j->src;
    const mg_dtype dtype = j->w->dtype;
    const size_t src_size = mg_dtype_bytes(src->dtype);
    float row[BLOCK];
    uint32_t tile[STRIP][BLOCK]; /* converted, by output */
    int64_t n_bad = 0;

    for (int64_t c = c0; c < c1; c++) {
        const int64_t at = (o + c - j->first_out) * src->row_stride + i;
        n_bad += k->widen(row, (const char *)src->data + (size_t)at * src_size, src->dtype, n);
        if (dtype == MG_BF16) tile[c][n / 2] = 0; /* the second of a last, odd pair */
        k->narrow(tile[c], dtype, row, n);
    }
    for (int64_t c = c1; c < c2; c++) memset(tile[c], 0, sizeof tile[c]);
    if (dtype == MG_F16) {
        for (int64_t s = 0; s < n; s++, to += step_bytes) {
            for (int64_t c = c0; c < c2; c++) ((uint16_t *)to)[c] = ((const uint16_t *)tile[c])[s];
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

static int64_t load_strip(const load_job *j, int64_t o)
{
    const mg_matrix *w = j->w;
    const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, o);
    const int64_t end = j->first_out + j->src->n_rows;
    const int64_t c0 = j->first_out > o ? j->first_out - o : 0, c1 = end - o < STRIP ? end - o : STRIP;
    const int64_t c2 = end == w->n_out ? STRIP : c1;
    const int64_t L = w->n_in / w->n_slices, per_step = w->dtype == MG_BF16 ? 2 : 1;
    int64_t n_bad = 0;

    for (int64_t s = 0; s < w->n_slices; s++) {
        char *to = column.panel + column.offset_bytes + s * mg_cpu_slice_steps(w) * column.step_bytes;
        for (int64_t i = 0; i < L; i += BLOCK) {
            const int64_t n = L - i < BLOCK ? L - i : BLOCK;
            n_bad += load_block(j, to + i / per_step * column.step_bytes, column.step_bytes, o, s * L + i, n,
                                c0, c1, c2);
        }
    }
    return n_bad;
}

static void load_strips(void *arg, int64_t first, int64_t end, int i_thread)
{
    const load_job *j = arg;
    const int64_t base = j->first_out / STRIP;
    int64_t n_bad = 0;

    (void)i_thread;
    for (int64_t u = first; u < end; u++) n_bad += load_strip(j, (base + u) * STRIP);
    __atomic_fetch_add(j->n_bad, n_bad, __ATOMIC_RELAXED);
}

void mg_cpu_matrix_load(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad)
{
    load_job job = {cpu, w, src, first_out, n_bad};
    const int64_t first = first_out / STRIP, end = ceil_to(first_out + src->n_rows, STRIP) / STRIP;

    if (src->n_rows > 0) mg_cpu_run(cpu, load_strips, &job, end - first, src->n_rows * src->n_cols);
}
