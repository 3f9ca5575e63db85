/* Weights on their way in, for one level: rows of a checkpoint checked, converted and turned into steps of a
 * panel. Included by cpu_kernels*.c only. */
#include "cpu_kernels.h"
#include "cpu_vec.h"

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

#if defined(__AVX512F__)
/* 16 x 16: four rounds of exchanging the halves, quarters … of rows that stand 8, 4 … apart. */
VF void transpose_16(char *to, int64_t step_bytes, __m512i *r)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

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
    for (; s + 16 <= n_steps; s += 16) {
        __m512i r[16];
        UNROLL for (int c = 0; c < 16; c++) r[c] = _mm512_loadu_si512(tile + c * ld + s);
        transpose_16(to + s * step_bytes, step_bytes, r);
    }
#endif
    for (; s < n_steps; s++) {
        uint32_t *step = (uint32_t *)(void *)(to + s * step_bytes);
        for (int c = 0; c < MG_CPU_STRIP; c++) step[c] = tile[c * ld + s];
    }
}

#if defined(__AVX512F__)
/* fp32 to bf16 as vf_to_bf16 does it, but for NaN: the upper half of each lane. */
VF __m512i round_up_half(__m512i u)
{
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));

    return _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
}

/* 16 values as fp32; NaN and Inf set bits of *bad. */
VF __m512i widen_16(const char *p, const mg_dtype from, __mmask32 *bad)
{
    enum { NAN_OR_INF = 0x99 };
    const __m512 v = vf_widen(p, from);

    *bad |= _mm512_fpclass_ps_mask(v, NAN_OR_INF);
    return _mm512_castps_si512(v);
}

/* The next 16 steps of one row: 16 fp32 values, or 16 pairs of bf16. */
VF __m512i steps_16(const char *p, const mg_dtype from, const mg_dtype to, __mmask32 *bad)
{
    if (to == MG_F32) return widen_16(p, from, bad);
    if (from == MG_BF16) {
        const __m512i v = _mm512_loadu_si512(p), exponent = _mm512_set1_epi16(0x7F80);
        *bad |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(v, exponent), exponent);
        return v;
    }
    const __m512i odd_words = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33,
                                               31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    const int size = from == MG_F32 ? 4 : 2;
    const __m512i first = round_up_half(widen_16(p, from, bad));
    const __m512i second = round_up_half(widen_16(p + 16 * size, from, bad));
    return _mm512_permutex2var_epi16(first, odd_words, second);
}

VF int64_t pack_as(char *to, int64_t step_bytes, const char *src, int64_t row_bytes, int64_t n,
                   const mg_dtype from, const mg_dtype dtype)
{
    const int64_t n_values = dtype == MG_BF16 ? 32 : 16, size = from == MG_F32 ? 4 : 2;
    __mmask32 bad = 0;
    int64_t i = 0;

    for (; i + n_values <= n; i += n_values, to += 16 * step_bytes) {
        __m512i r[16];
        UNROLL for (int c = 0; c < 16; c++) r[c] =
            steps_16(src + c * row_bytes + i * size, from, dtype, &bad);
        transpose_16(to, step_bytes, r);
    }
    return bad ? 0 : i;
}
#endif

static int64_t pack(char *to, int64_t step_bytes, mg_dtype dtype, const char *src, int64_t row_bytes,
                    mg_dtype from, int64_t n)
{
#if defined(__AVX512F__)
    if (dtype == MG_F32) {
        if (from == MG_F32) return pack_as(to, step_bytes, src, row_bytes, n, MG_F32, MG_F32);
        if (from == MG_BF16) return pack_as(to, step_bytes, src, row_bytes, n, MG_BF16, MG_F32);
        return pack_as(to, step_bytes, src, row_bytes, n, MG_F16, MG_F32);
    }
    if (dtype == MG_BF16) {
        if (from == MG_F32) return pack_as(to, step_bytes, src, row_bytes, n, MG_F32, MG_BF16);
        if (from == MG_BF16) return pack_as(to, step_bytes, src, row_bytes, n, MG_BF16, MG_BF16);
        return pack_as(to, step_bytes, src, row_bytes, n, MG_F16, MG_BF16);
    }
#endif
    (void)to, (void)step_bytes, (void)dtype, (void)src, (void)row_bytes, (void)from, (void)n;
    return 0;
}
