/* The CPU backend's inner loops: one table a level, filled by cpu_kernels.c (any machine),
 * cpu_kernels_avx2.c, _avx512.c and _neon.c from the same bodies. They run on the calling thread. Inside the
 * backend.
 *
 * W in a matrix's `data`: columns (outputs) stand in panels of `panel`, the last one narrower, its width
 * rounded up to 16 with zeros; a panel is [n_in, width]. bf16: pairs of i side by side, [ceil(n/2), width, 2]
 * for each slice of n. Q8: four of i side by side, [ceil(n/4), width, 4] signed bytes for each slice; behind
 * all panels the scales, then the offsets, [n_slices, O rounded up to 16] each (cpu_quantise.h). Q4: strips
 * of 16 outputs stand whole, [ceil(n/64), width / 16, MG_CPU_Q4_STRIP bytes] for each slice. A strip is
 * [8, 16] words, then the scales [2, 16]. A word has eight i, the first four in the low halves of its bytes
 * (cpu_groups.h). */
#ifndef MG_CPU_KERNELS_H
#define MG_CPU_KERNELS_H

#include "cpu.h"

enum {
    MG_CPU_STRIP = 16,       /* columns: the narrowest panel */
    MG_CPU_SUM_WIDTH = 64,   /* columns of the widest: the row stride of a tile's sums */
    MG_CPU_Q4_WEIGHTS = 512, /* bytes of a strip's step before the scales */
    MG_CPU_Q4_STRIP = 576,
    MG_CPU_X4_STEP = 72, /* of a row of x: 64 signed bytes, where the sums of two groups begin */
};

/* sum[r, o] = (resume ? sum[r, o] : 0) + over i < n ascending of x[r, i] w[i, o], one accumulator each. x row
 * r stands at x + r ldx; step i of w at w + i ldw, both in bytes. For bf16 a step is a pair of i, for Q4 two
 * groups. For Q8 it is four, and x is bytes 1 … 255 (128 is zero); sum holds int32, of x or of x - 128
 * (x_from_zero).
 *
 * Rows of several tiles walk the same steps one after the other, from the cache. Meanwhile some of those that
 * follow are fetched from memory: from `next` on, next_step bytes a step. NULL: w itself is. n_rows, as it
 * was found for, is for those that take any number. */
typedef void mg_cpu_tile(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n,
                         bool resume, const char *next, int64_t next_step, int64_t n_rows);

enum { MG_CPU_QUERIES = 4 }; /* that attend takes at once */

/* One query over its keys and values, both [n_keys, E]. MG_I8: each has a scale. */
typedef struct mg_cpu_query {
    float *y;       /* [E] */
    const float *q; /* [E] */
    const void *k, *v;
    const void *next_k;             /* which the same thread scores next, or NULL */
    const float *k_scale, *v_scale; /* [n_keys] or NULL */
    mg_dtype dtype;
    int64_t E, n_keys;
    float scale;
    const float *bias; /* [n_keys] or NULL */
} mg_cpu_query;

/* Steps of an 8-bit scale a unit, where the largest value is `most`; 0 where all are too small to count. */
static inline float mg_cpu_steps_per_unit(float most)
{
    return most >= 1e-30f ? 127.0f / most : 0;
}

typedef struct mg_cpu_kernels {
    int64_t panel;    /* columns */
    bool pair_x;      /* bf16: rounded rows of x are bf16 pairs; else fp32 */
    bool x_from_zero; /* Q8: tiles sum products of x - 128; else of x */
    /* By format; 1, 2 or 4 strips. tile_strips: how many of a panel's a tile of a product with n_rows takes.
     * tile_rows: how many of the rows left to take next. */
    int64_t (*tile_strips[MG_N_FORMATS])(mg_format format, int64_t n_strips, int64_t n_rows);
    int64_t (*tile_rows[MG_N_FORMATS])(int64_t n_strips, int64_t left);
    mg_cpu_tile *(*tile[MG_N_FORMATS])(mg_format format, int64_t n_strips, int64_t n_rows);

    /* y = act(bias + sum), or y += that; n columns; a row of sum, as a tile leaves it, has whole strips. */
    void (*finish)(float *y, int64_t ldy, const float *sum, const float *bias, int64_t n_rows, int64_t n,
                   mg_act act, bool accumulate);

    void (*add)(float *y, const float *x, int64_t n);
    void (*mul)(float *y, const float *x, int64_t n);
    void (*act)(float *y, const float *x, int64_t n, mg_act act);
    void (*layer_norm)(float *y, const float *x, const float *gamma, const float *beta, int64_t D, float eps);
    void (*rms_norm)(float *y, const float *x, const float *gamma, int64_t D, float eps);
    /* n is 1, or MG_CPU_QUERIES of the same k, v, dtype, E and scale, none without keys. */
    void (*attend)(const mg_cpu_query *a, int64_t n);

    int64_t (*widen)(float *y, const void *x, mg_dtype dtype, int64_t n); /* returns how many NaN and Inf */
    void (*narrow)(void *y, mg_dtype dtype, const float *x, int64_t n);
    /* Step s of `to`, [n_steps, STRIP] 4-byte values, from column s of tile [STRIP, ld]. */
    void (*transpose)(char *to, int64_t step_bytes, const uint32_t *tile, int64_t ld, int64_t n_steps);
    /* As widen, narrow and transpose in one pass over STRIP whole rows: returns how many of the n values of
     * each are done (0: none, for those dtypes or on this level, or because of a NaN or Inf). */
    int64_t (*pack)(char *to, int64_t step_bytes, mg_dtype dtype, const char *src, int64_t row_bytes,
                    mg_dtype from, int64_t n);
    void (*round_bf16)(float *y, const float *x, int64_t n); /* to bf16 values, kept as fp32 */

    /* y [n] = 128 + x / scale, to nearest even; returns the scale: the largest |x| is 127 of it. NaN if a
     * value is NaN or infinite. */
    float (*quantise)(uint8_t *y, const float *x, int64_t n);
    /* sum[o] = (int32 sum[o] - offset[o]) * (x_scale * scale[o]); offset may be NULL, n is whole strips */
    void (*rescale)(float *sum, const float *scale, const int32_t *offset, float x_scale, int64_t n);
} mg_cpu_kernels;

/* The table of the bodies that a cpu_kernels*.c has included. */
#define MG_CPU_KERNELS                                                                                    \
    {                                                                                                     \
        .panel = WIDEST * MG_CPU_STRIP, .pair_x = X_IN_PAIRS, .x_from_zero = X_FROM_ZERO,                 \
        .tile_strips = {tile_strips, tile_strips, tile_strips, tile_strips, tile_strips},                 \
        .tile_rows = {tile_rows, tile_rows, tile_rows, tile_rows, tile_rows},                             \
        .tile = {find_tile, find_tile, find_tile, find_tile, find_tile}, .finish = finish, .add = add,    \
        .mul = mul, .act = act_row, .layer_norm = layer_norm, .rms_norm = rms_norm, .attend = attend,     \
        .widen = widen, .narrow = narrow, .round_bf16 = round_bf16, .transpose = transpose, .pack = pack, \
        .quantise = quantise, .rescale = rescale                                                          \
    }

extern const mg_cpu_kernels mg_cpu_kernels_plain, mg_cpu_kernels_avx2, mg_cpu_kernels_avx512,
    mg_cpu_kernels_neon;

/* Tiles of one format for processors with instructions of its own: the same bits as the avx512 table's,
 * sooner. bf16's take rows of x in pairs. */
mg_cpu_tile *mg_cpu_tile_avx512bf16(mg_format format, int64_t n_strips, int64_t n_rows);
mg_cpu_tile *mg_cpu_groups_avx512vnni(mg_format format, int64_t n_strips, int64_t n_rows);
mg_cpu_tile *mg_cpu_tile_avx512vnni(mg_format format, int64_t n_strips, int64_t n_rows);

/* The same beside the avx2 table's, and whether this processor has AVX2's 8-bit products. */
bool mg_cpu_has_avxvnni(void);
mg_cpu_tile *mg_cpu_groups_avxvnni(mg_format format, int64_t n_strips, int64_t n_rows);
mg_cpu_tile *mg_cpu_tile_avxvnni(mg_format format, int64_t n_strips, int64_t n_rows);

/* The same beside the neon table's, and whether this processor has NEON's dot products. */
bool mg_cpu_has_neondot(void);
mg_cpu_tile *mg_cpu_groups_neondot(mg_format format, int64_t n_strips, int64_t n_rows);
mg_cpu_tile *mg_cpu_tile_neondot(mg_format format, int64_t n_strips, int64_t n_rows);

/* Tiles for AMX: of Q8 with the bits of all levels, of bf16 with bits of their own, which the plain ones have
 * too. bf16's take rows of x in pairs. */
mg_cpu_tile *mg_cpu_tile_amx(mg_format format, int64_t n_strips, int64_t n_rows);
mg_cpu_tile *mg_cpu_tile_amx_plain(mg_format format, int64_t n_strips, int64_t n_rows);
int64_t mg_cpu_tile_amx_strips(mg_format format, int64_t n_strips, int64_t n_rows);
int64_t mg_cpu_tile_amx_rows(int64_t n_strips, int64_t left);

#endif
