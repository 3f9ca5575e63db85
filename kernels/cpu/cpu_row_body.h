/* Element-wise ops and norms over one row, for one level. Included by cpu_kernels*.c only. */
#include <math.h>

#include "cpu_kernels.h"
#include "cpu_math.h"

VF void finish_as(float *y, const float *sum, const float *bias, int64_t n, const mg_act act, bool accumulate)
{
    for (int64_t i = 0; i < n; i += LANES) {
        vf v = vf_load(sum + i);
        if (bias) v = vf_load_some(bias + i, n - i) + v;
        v = vf_act(v, act);
        if (accumulate) v = vf_load_some(y + i, n - i) + v;
        vf_store_some(y + i, v, n - i);
    }
}

static void finish(float *y, const float *sum, const float *bias, int64_t n, mg_act act, bool accumulate)
{
    switch (act) {
    case MG_ACT_NONE: finish_as(y, sum, bias, n, MG_ACT_NONE, accumulate); break;
    case MG_ACT_RELU: finish_as(y, sum, bias, n, MG_ACT_RELU, accumulate); break;
    case MG_ACT_GELU: finish_as(y, sum, bias, n, MG_ACT_GELU, accumulate); break;
    case MG_ACT_GELU_TANH: finish_as(y, sum, bias, n, MG_ACT_GELU_TANH, accumulate); break;
    case MG_ACT_ELU: finish_as(y, sum, bias, n, MG_ACT_ELU, accumulate); break;
    }
}

static void act_row(float *y, const float *x, int64_t n, mg_act act)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_some(y + i, vf_act(vf_load_some(x + i, n - i), act), n - i);
}

static void add(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_some(y + i, vf_load_some(y + i, n - i) + vf_load_some(x + i, n - i), n - i);
}

static void mul(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_some(y + i, vf_load_some(y + i, n - i) * vf_load_some(x + i, n - i), n - i);
}

/* part += v, or v^2, over LANES values from d on; past D they count as zero. */
VF vf add_values(vf part, const float *x, int64_t D, int64_t d, float shift, const bool square)
{
    const vf v = vf_keep(vf_load_some(x + d, D - d) - vf_set(shift), D - d);

    if (square) return vf_fma(v, v, part);
    return part + v;
}

/* Sum over d of x - shift, or of its square; four vectors of partial sums, combined as a tree. */
VF float sum_row(const float *x, int64_t D, float shift, const bool square)
{
    vf part[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    int64_t d = 0;

    for (; d + 4 * LANES <= D; d += 4 * LANES)
        UNROLL for (int c = 0; c < 4; c++) part[c] = add_values(part[c], x, D, d + c * LANES, shift, square);
    UNROLL for (int c = 0; c < 4; c++)
    {
        if (d + c * LANES < D) part[c] = add_values(part[c], x, D, d + c * LANES, shift, square);
    }
    return vf_sum((part[0] + part[1]) + (part[2] + part[3]));
}

static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, int64_t D, float eps)
{
    const float mean = sum_row(x, D, 0, false) / (float)D;
    const vf scale = vf_set(1 / sqrtf(sum_row(x, D, mean, true) / (float)D + eps)), shift = vf_set(mean);

    for (int64_t d = 0; d < D; d += LANES) {
        const vf v = (vf_load_some(x + d, D - d) - shift) * scale;
        const vf g = vf_load_some(gamma + d, D - d), b = vf_load_some(beta + d, D - d);
        vf_store_some(y + d, vf_fma(v, g, b), D - d);
    }
}

static void rms_norm(float *y, const float *x, const float *gamma, int64_t D, float eps)
{
    const vf scale = vf_set(1 / sqrtf(sum_row(x, D, 0, true) / (float)D + eps));

    for (int64_t d = 0; d < D; d += LANES)
        vf_store_some(y + d, vf_load_some(x + d, D - d) * scale * vf_load_some(gamma + d, D - d), D - d);
}

VF int64_t widen_as(float *y, const char *x, const mg_dtype dtype, int64_t n)
{
    const int64_t size = dtype == MG_F32 ? 4 : 2;
    vu bad = {0};
    int64_t n_bad = 0;

    for (int64_t i = 0; i < n; i += LANES) {
        const vf v = vf_widen_some(x + i * size, dtype, n - i);
        vf_store_some(y + i, v, n - i);
        bad -= (vu)(((vu)v & 0x7F800000u) == 0x7F800000u);
    }
    for (int i = 0; i < LANES; i++) n_bad += bad[i];
    return n_bad;
}

static int64_t widen(float *y, const void *x, mg_dtype dtype, int64_t n)
{
    if (dtype == MG_BF16) return widen_as(y, x, MG_BF16, n);
    if (dtype == MG_F16) return widen_as(y, x, MG_F16, n);
    return widen_as(y, x, MG_F32, n);
}

VF void narrow_as(uint16_t *y, const float *x, int64_t n, const mg_dtype dtype)
{
    for (int64_t i = 0; i < n; i += LANES) {
        uint16_t lane[LANES];
        const vf v = vf_load_some(x + i, n - i);
        uint16_t *to = n - i >= LANES ? y + i : lane;
        if (dtype == MG_BF16)
            vf_to_bf16(to, v);
        else
            vf_to_f16(to, v);
        if (to == lane) memcpy(y + i, lane, (size_t)(n - i) * sizeof *y);
    }
}

static void narrow(void *y, mg_dtype dtype, const float *x, int64_t n)
{
    if (dtype == MG_BF16)
        narrow_as(y, x, n, MG_BF16);
    else if (dtype == MG_F16)
        narrow_as(y, x, n, MG_F16);
    else
        memcpy(y, x, (size_t)n * sizeof *x);
}

static void round_bf16(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES) {
        uint16_t lane[LANES];
        vf_to_bf16(lane, vf_load_some(x + i, n - i));
        vf_store_some(y + i, vf_from_bf16(lane), n - i);
    }
}

#if defined(__AVX512F__)
/* 16 x 16: four rounds of exchanging the halves, quarters … of rows that stand 8, 4 … apart. */
VF void transpose_16(char *to, int64_t step_bytes, const uint32_t *tile, int64_t ld)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i r[16];

    UNROLL for (int c = 0; c < 16; c++) r[c] = _mm512_loadu_si512(tile + c * ld);
    UNROLL for (int w = 8; w > 0; w /= 2)
    {
        const __mmask16 upper = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(w));
        const __m512i first = _mm512_mask_add_epi32(lane, upper, lane, _mm512_set1_epi32(16 - w));
        const __m512i second = _mm512_mask_add_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(w)), upper,
                                                     lane, _mm512_set1_epi32(16));
        UNROLL for (int c = 0; c < 16; c++)
        {
            if (c & w) continue;
            const __m512i a = r[c], b = r[c + w];
            r[c] = _mm512_permutex2var_epi32(a, first, b);
            r[c + w] = _mm512_permutex2var_epi32(a, second, b);
        }
    }
    UNROLL for (int c = 0; c < 16; c++) _mm512_storeu_si512(to + c * step_bytes, r[c]);
}
#endif

static void transpose(char *to, int64_t step_bytes, const uint32_t *tile, int64_t ld, int64_t n_steps)
{
    int64_t s = 0;

#if defined(__AVX512F__)
    for (; s + 16 <= n_steps; s += 16) transpose_16(to + s * step_bytes, step_bytes, tile + s, ld);
#endif
    for (; s < n_steps; s++) {
        uint32_t *step = (uint32_t *)(void *)(to + s * step_bytes);
        for (int c = 0; c < MG_CPU_STRIP; c++) step[c] = tile[c * ld + s];
    }
}
