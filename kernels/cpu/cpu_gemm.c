/* The matrix product: how rows and columns are dealt to threads and to register tiles.
 *
 * A unit of work is a chunk of rows by a group of columns (up to one panel). Inside it, steps down the panel
 * come in blocks that stay in the cache while all rows of the chunk pass over them; between blocks the
 * accumulators are parked as they are, so blocking does not change a bit. Slices are summed apart and
 * combined as the binary tree of ops.h. */
#include "cpu_gemm.h"

#include <string.h>

#include "cpu_groups.h"
#include "cpu_layout.h"

enum {
    ROWS = 96, /* of a chunk; a quarter of it when the inner dimension is sliced */
    WIDTH = MG_CPU_SUM_WIDTH,
    BLOCK_BYTES = 64 << 10, /* of a panel: with the rows of x that meet it, in the second-level cache */
    WHOLE_STEPS = 16,       /* a block has: what AMX takes at once must not depend on the number of rows */
    LINE = 64,
};

typedef struct gemm_job {
    const mg_cpu_kernels *kernels;
    const mg_cpu *cpu;
    const mg_matrix *w;
    const float *bias;
    mg_act act;
    bool accumulate;
    float *y;
    int64_t ldy;
    const char *x;
    int64_t ldx_bytes, slice_bytes; /* from row to row of x, from slice to slice in a row */
    int64_t step_bytes;             /* of x */
    int64_t n_rows, n_chunks, n_strips, n_groups;
    bool by_rows; /* the next unit is of the same rows, else of the same columns */
} gemm_job;

typedef struct round_job {
    const mg_cpu *cpu;
    const mg_matrix *w;
    const float *x;
    int64_t ldx, ld_bytes;
} round_job;

/* sum [n_rows, WIDTH] of one slice. */
static void sum_slice(const gemm_job *j, float *sum, const char *x, int64_t n_rows, const char *w,
                      int64_t ldw, int64_t n_strips)
{
    const int64_t n_steps = mg_cpu_slice_steps(j->w),
                  tile_strips = j->kernels->tile_strips[j->w->format](j->w->format, n_strips, n_rows);
    int64_t n_tiles = 0;

    for (int64_t r = 0; r < n_rows; r += j->kernels->tile_rows[j->w->format](tile_strips, n_rows - r))
        n_tiles += n_strips / tile_strips;
    const int64_t block = n_tiles > 1 ? BLOCK_BYTES / ldw / WHOLE_STEPS * WHOLE_STEPS : n_steps;
    for (int64_t s = 0; s < n_steps; s += block) {
        const int64_t n = n_steps - s < block ? n_steps - s : block;
        const char *next = w + (s + n) * ldw; /* each tile fetches its share, for memory never to rest */
        for (int64_t r = 0, strip = 0; r < n_rows;) {
            const int64_t take = j->kernels->tile_rows[j->w->format](tile_strips, n_rows - r);
            const int64_t share = take * tile_strips, all = n_rows * n_strips;
            mg_cpu_tile *add = j->kernels->tile[j->w->format](j->w->format, tile_strips, take);
            add(sum + r * WIDTH + strip * MG_CPU_STRIP, x + r * j->ldx_bytes + s * j->step_bytes,
                j->ldx_bytes, w + s * ldw + strip * mg_cpu_strip_bytes(j->w->format), ldw, n, s > 0,
                n_tiles > 1 ? next : NULL, (ldw * share + all - 1) / all, take);
            next += n * ldw * share / all;
            strip = (strip + tile_strips) % n_strips;
            if (strip == 0) r += take;
        }
    }
}

/* Sums of slice s: int32 ones become fp32, and the scales of x come in. */
static void rescale_slice(const gemm_job *j, float *sum, int64_t r, int64_t n_rows, int64_t o, int64_t n_cols,
                          int s)
{
    for (int64_t i = 0; i < n_rows; i++) {
        const float *x_scales =
            (const float *)(const void *)(j->x + (r + i) * j->ldx_bytes + j->w->n_slices * j->slice_bytes);
        if (j->w->format == MG_FORMAT_Q4) {
            for (int64_t c = 0; c < n_cols; c++) sum[i * WIDTH + c] *= x_scales[s];
            continue;
        }
        j->kernels->rescale(sum + i * WIDTH, mg_cpu_scales(j->w, s) + o,
                            j->kernels->x_from_zero ? NULL : mg_cpu_offsets(j->w, s) + o, x_scales[s],
                            n_cols);
    }
}

/* Rows [r, r + n_rows) of columns [o, o + 16 n_strips). */
static void run_unit(const gemm_job *j, int64_t r, int64_t n_rows, int64_t o, int64_t n_strips)
{
    _Alignas(64) float sums[ROWS * WIDTH]; /* a stack of slices' sums, at most 4 deep */
    const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, j->w, o);
    const int64_t slice_steps = mg_cpu_slice_steps(j->w), one = n_rows * WIDTH;
    const int64_t left = j->w->n_out - o, n = left < n_strips * MG_CPU_STRIP ? left : n_strips * MG_CPU_STRIP;
    float *top = sums;

    for (int s = 0; s < j->w->n_slices; s++, top += one) {
        const char *w = column.panel + column.offset_bytes + s * slice_steps * column.step_bytes;
        sum_slice(j, top, j->x + r * j->ldx_bytes + s * j->slice_bytes, n_rows, w, column.step_bytes,
                  n_strips);
        if (mg_format_is_quantised(j->w->format))
            rescale_slice(j, top, r, n_rows, o, n_strips * MG_CPU_STRIP, s);
        for (int bit = 1; s & bit; bit <<= 1, top -= one) j->kernels->add(top - one, top, one);
    }
    j->kernels->finish(j->y + r * j->ldy + o, j->ldy, sums, j->bias ? j->bias + o : NULL, n_rows, n, j->act,
                       j->accumulate);
}

static void run_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    const gemm_job *j = arg;
    const int64_t all_strips = (j->w->n_out + MG_CPU_STRIP - 1) / MG_CPU_STRIP;

    (void)i_thread;
    for (int64_t u = first; u < end; u++) {
        const int64_t group = j->by_rows ? u % j->n_groups : u / j->n_chunks;
        const int64_t chunk = j->by_rows ? u / j->n_groups : u % j->n_chunks;
        const int64_t r = j->n_rows * chunk / j->n_chunks, r_end = j->n_rows * (chunk + 1) / j->n_chunks;
        int64_t strip = group * j->n_strips;
        const int64_t strip_end = strip + j->n_strips < all_strips ? strip + j->n_strips : all_strips;
        while (strip < strip_end) {
            const int64_t left = strip_end - strip, take = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            run_unit(j, r, r_end - r, strip * MG_CPU_STRIP, take);
            strip += take;
        }
    }
}

/* Units: as few as the threads can share evenly, so that each streams long stretches of W. Where x is larger
 * than W, a thread takes all columns of its rows: lines of y that two threads write by turns cost more than
 * the products of a small W. */
static int64_t deal_units(gemm_job *j)
{
    const int64_t T = mg_threads_count(j->cpu->threads), most = j->w->n_slices > 1 ? ROWS / 4 : ROWS;
    const int64_t all_strips = (j->w->n_out + MG_CPU_STRIP - 1) / MG_CPU_STRIP;

    j->n_strips = j->kernels->panel / MG_CPU_STRIP;
    j->n_chunks = (j->n_rows + most - 1) / most;
    j->by_rows = j->n_rows * j->ldx_bytes > (int64_t)mg_cpu_matrix_bytes(j->w);
    for (;;) {
        j->n_groups = (all_strips + j->n_strips - 1) / j->n_strips;
        const int64_t n = j->n_groups * j->n_chunks;
        const int64_t share = (n + T - 1) / T;
        if (n * 10 >= share * T * 9) return n;
        if (j->n_rows / j->n_chunks > 24)
            j->n_chunks *= 2;
        else if (j->n_strips > 1 && n * 4 < share * T * 3)
            j->n_strips /= 2; /* a panel's half is read with gaps: that may cost a quarter */
        else
            return n;
    }
}

/* Rows of x for bf16 products: rounded, each slice padded to whole pairs. */
static void round_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const round_job *j = arg;
    const int64_t S = j->w->n_slices, L = j->w->n_in / S, n_steps = mg_cpu_slice_steps(j->w);
    const bool pairs = j->cpu->kernels->pair_x;
    const int64_t size = pairs ? 2 : 4;

    (void)i_thread;
    for (int64_t u = first; u < end; u++) {
        char *to = (char *)j->cpu->scratch + u / S * j->ld_bytes + u % S * n_steps * 2 * size;
        const float *x = j->x + u / S * j->ldx + u % S * L;
        if (pairs)
            j->cpu->kernels->narrow(to, MG_BF16, x, L);
        else
            j->cpu->kernels->round_bf16((float *)to, x, L);
        if (L % 2) memset(to + L * size, 0, (size_t)size);
    }
}

/* Bytes of a step of x. */
static int64_t quantised_step(const mg_matrix *w)
{
    return w->format == MG_FORMAT_Q4 ? MG_CPU_X4_STEP : 4;
}

/* Rows of x in bytes: each slice's steps, the last one whole, then the scales of all slices. */
static void quantise_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const round_job *j = arg;
    const int64_t S = j->w->n_slices, L = j->w->n_in / S;
    const int64_t slice_bytes = mg_cpu_slice_steps(j->w) * quantised_step(j->w);

    (void)i_thread;
    for (int64_t u = first; u < end; u++) {
        const float *x = j->x + u / S * j->ldx + u % S * L;
        char *row = (char *)j->cpu->scratch + u / S * j->ld_bytes, *to = row + u % S * slice_bytes;
        float scale;
        if (j->w->format == MG_FORMAT_Q4) {
            scale = mg_cpu_group_row(j->cpu->kernels, to, slice_bytes, x, L);
        } else {
            scale = j->cpu->kernels->quantise((uint8_t *)to, x, L);
            memset(to + L, 128, (size_t)(slice_bytes - L));
        }
        memcpy(row + S * slice_bytes + u % S * 4, &scale, sizeof scale);
    }
}

static int64_t rounded_step(const mg_cpu *cpu, const mg_matrix *w)
{
    return mg_format_is_quantised(w->format) ? quantised_step(w) : cpu->kernels->pair_x ? 4 : 8;
}

/* An odd number of cache lines from row to row: rows that AMX loads at once must not meet in a set. */
int64_t mg_cpu_gemm_scratch_bytes(const mg_cpu *cpu, const mg_matrix *w)
{
    const bool quantised = mg_format_is_quantised(w->format);
    const int64_t scales_bytes = quantised ? 4 : 0;
    const int64_t row_bytes = w->n_slices * (mg_cpu_slice_steps(w) * rounded_step(cpu, w) + scales_bytes);

    return quantised || w->format == MG_FORMAT_BF16 ? ((row_bytes + LINE - 1) / LINE | 1) * LINE : 0;
}

/* Products whose rows of x go through the scratch first: bf16, Q8 and Q4. */
static void run_rounded(mg_cpu *cpu, gemm_job *j, const float *x, int64_t ldx, int64_t n_rows)
{
    const int64_t S = j->w->n_slices, n_steps = mg_cpu_slice_steps(j->w);
    const bool quantised = mg_format_is_quantised(j->w->format);
    round_job round = {cpu, j->w, x, ldx, 0};

    j->step_bytes = rounded_step(cpu, j->w);
    j->slice_bytes = n_steps * j->step_bytes;
    j->ldx_bytes = round.ld_bytes = mg_cpu_gemm_scratch_bytes(cpu, j->w);
    j->x = cpu->scratch;
    const int64_t most = (int64_t)cpu->scratch_bytes / j->ldx_bytes;
    for (int64_t r = 0; r < n_rows; r += most) {
        j->n_rows = n_rows - r < most ? n_rows - r : most;
        round.x = x + r * ldx;
        mg_cpu_run(cpu, quantised ? quantise_rows : round_rows, &round, j->n_rows * S,
                   j->n_rows * j->w->n_in / 4);
        const int64_t n_units = deal_units(j);
        mg_cpu_run(cpu, run_units, j, n_units, j->n_rows * j->w->n_in * j->w->n_out);
        j->y += j->n_rows * j->ldy;
    }
}

void mg_cpu_gemm(mg_cpu *cpu, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t n_rows,
                 const mg_matrix *w, const float *bias, mg_act act, bool accumulate)
{
    gemm_job j = {.kernels = cpu->kernels,
                  .cpu = cpu,
                  .w = w,
                  .bias = bias,
                  .act = act,
                  .accumulate = accumulate,
                  .y = y,
                  .ldy = ldy,
                  .x = (const char *)x,
                  .ldx_bytes = ldx * 4,
                  .slice_bytes = w->n_in / w->n_slices * 4,
                  .step_bytes = 4,
                  .n_rows = n_rows};

    if (n_rows < 1) return;
    if (w->format == MG_FORMAT_BF16 || mg_format_is_quantised(w->format)) {
        run_rounded(cpu, &j, x, ldx, n_rows);
        return;
    }
    const int64_t n_units = deal_units(&j);
    mg_cpu_run(cpu, run_units, &j, n_units, n_rows * w->n_in * w->n_out);
}
