#include "cpu_quantise.h"

#include <math.h>
#include <string.h>

#include "cpu_layout.h"
#include "numbers.h"

enum { STRIP = MG_CPU_STRIP, BLOCK = 256 };

typedef struct quantise_job {
    mg_cpu *cpu;
    const mg_matrix *w;
    const mg_host_matrix *src;
    int64_t first_out;
    int64_t *n_bad;
    int64_t n_cols; /* of a piece */
} quantise_job;

/* What is known of a strip's rows [c0, c1) in one slice. */
typedef struct strip {
    int64_t o, c0, c1;
    float most[STRIP];
    int32_t sum[STRIP];
} strip;

/* The largest |w| of each row of a piece; returns how many values are no numbers. */
static int64_t measure(const quantise_job *j, strip *st, const mg_cpu_piece *p)
{
    const int64_t size = (int64_t)mg_dtype_bytes(j->src->dtype);
    float row[BLOCK];
    int64_t n_bad = 0;

    for (int64_t c = st->c0; c < st->c1; c++)
        for (int64_t i = 0; i < p->n_cols; i += BLOCK) {
            const int64_t n = mg_smaller(BLOCK, p->n_cols - i);
            n_bad += j->cpu->kernels->widen(row, p->data + (c - st->c0) * p->row_bytes + i * size,
                                            j->src->dtype, n);
            for (int64_t k = 0; k < n; k++)
                st->most[c] = fabsf(row[k]) > st->most[c] ? fabsf(row[k]) : st->most[c];
        }
    return n_bad;
}

/* A piece's values into the panel; `i` is its first column in the slice, whose steps begin at `to`. */
static void store(const quantise_job *j, strip *st, const mg_cpu_piece *p, char *to, int64_t step_bytes,
                  int64_t i0)
{
    const int64_t size = (int64_t)mg_dtype_bytes(j->src->dtype);
    float row[BLOCK];

    for (int64_t c = st->c0; c < st->c1; c++) {
        const float per_unit = mg_cpu_steps_per_unit(st->most[c]);
        for (int64_t i = 0; i < p->n_cols; i += BLOCK) {
            const int64_t n = mg_smaller(BLOCK, p->n_cols - i);
            j->cpu->kernels->widen(row, p->data + (c - st->c0) * p->row_bytes + i * size, j->src->dtype, n);
            for (int64_t k = 0; k < n; k++) {
                const int64_t at = i0 + i + k;
                const float v = nearbyintf(row[k] * per_unit);
                const int q =
                    v == v ? (int)v : 0; /* a value that is no number is counted, and the load refused */
                ((int8_t *)(to + at / 4 * step_bytes))[c * 4 + at % 4] = (int8_t)q;
                st->sum[c] += q;
            }
        }
    }
}

/* One slice of a strip. Its pieces are fetched twice; a slice of one piece is still in the thread's room. */
static int64_t quantise_slice(const quantise_job *j, strip *st, int s, int i_thread)
{
    const mg_matrix *w = j->w;
    const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, st->o);
    const int64_t L = w->n_in / w->n_slices, n_steps = mg_cpu_slice_steps(w);
    const int64_t row = st->o + st->c0 - j->first_out, n_rows = st->c1 - st->c0;
    char *to = column.panel + column.offset_bytes + s * n_steps * column.step_bytes;
    mg_cpu_piece p = {0};
    int64_t n_bad = 0, n;

    memset(st->most, 0, sizeof st->most);
    memset(st->sum, 0, sizeof st->sum);
    for (int64_t i = 0; i < L; i += n) {
        n = mg_smaller(j->n_cols, L - i);
        p = mg_cpu_fetch(j->cpu, j->src, row, n_rows, s * L + i, n, i_thread);
        n_bad += measure(j, st, &p);
    }
    for (int64_t c = st->c0; c < st->c1; c++) memset(to + (n_steps - 1) * column.step_bytes + c * 4, 0, 4);
    for (int64_t i = 0; i < L; i += n) {
        n = mg_smaller(j->n_cols, L - i);
        if (n < L) p = mg_cpu_fetch(j->cpu, j->src, row, n_rows, s * L + i, n, i_thread);
        store(j, st, &p, to, column.step_bytes, i);
    }
    for (int64_t c = st->c0; c < st->c1; c++) {
        mg_cpu_scales(w, s)[st->o + c] = mg_cpu_steps_per_unit(st->most[c]) > 0 ? st->most[c] / 127.0f : 0;
        mg_cpu_offsets(w, s)[st->o + c] = 128 * st->sum[c];
    }
    return n_bad;
}

static void quantise_strips(void *arg, int64_t first, int64_t end, int i_thread)
{
    const quantise_job *j = arg;
    const mg_matrix *w = j->w;
    const int64_t end_row = j->first_out + j->src->n_rows;
    int64_t n_bad = 0;

    for (int64_t u = first; u < end; u++) {
        strip st = {.o = (j->first_out / STRIP + u) * STRIP};
        st.c0 = j->first_out > st.o ? j->first_out - st.o : 0;
        st.c1 = mg_smaller(end_row - st.o, STRIP);
        for (int s = 0; s < w->n_slices; s++) {
            const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, st.o);
            const int64_t n_steps = mg_cpu_slice_steps(w);
            char *to = column.panel + column.offset_bytes + s * n_steps * column.step_bytes;
            n_bad += quantise_slice(j, &st, s, i_thread);
            if (end_row < w->n_out) continue;
            for (int64_t c = st.c1; c < STRIP; c++) { /* columns past the last output */
                for (int64_t i = 0; i < n_steps; i++) memset(to + i * column.step_bytes + c * 4, 0, 4);
                mg_cpu_scales(w, s)[st.o + c] = 0;
                mg_cpu_offsets(w, s)[st.o + c] = 0;
            }
        }
    }
    __atomic_fetch_add(j->n_bad, n_bad, __ATOMIC_RELAXED);
}

void mg_cpu_quantise(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                     int64_t *n_bad)
{
    const int64_t first = first_out / STRIP, end = (first_out + src->n_rows + STRIP - 1) / STRIP;
    const int64_t room = (int64_t)mg_cpu_room_bytes(cpu) / (STRIP * (int64_t)mg_dtype_bytes(src->dtype));
    quantise_job job = {cpu, w, src, first_out, n_bad, src->read ? room : w->n_in};

    mg_cpu_run(cpu, quantise_strips, &job, end - first, src->n_rows * src->n_cols);
}
