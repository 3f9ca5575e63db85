/* Of avx512.h: floats. Rounding and denormals are as MXCSR says, as those of AVX2 are. */
#ifndef MG_EMULATED_AVX512_FLOATS_H
#define MG_EMULATED_AVX512_FLOATS_H

EMULATED __m512 emulated_loadu_ps(const void *p)
{
    wide to;

    memcpy(&to, p, sizeof to);
    return to.f;
}

EMULATED void emulated_storeu_ps(void *p, __m512 v)
{
    memcpy(p, &v, sizeof v);
}

/* What the mask leaves out is not touched. */
EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 mask, const void *p)
{
    wide to = {.f = {0}};

    EACH_LANE(16, l, if (mask >> l & 1) memcpy(&to.lane[l], (const float *)p + l, sizeof(float)))
    return to.f;
}

EMULATED void emulated_mask_storeu_ps(void *p, __mmask16 mask, __m512 v)
{
    wide from = {.f = v};

    EACH_LANE(16, l, if (mask >> l & 1) memcpy((float *)p + l, &from.lane[l], sizeof(float)))
}

EMULATED __m512 emulated_set1_ps(float v)
{
    wide to;

    EACH_LANE(2, h, to.half[h] = _mm256_set1_ps(v))
    return to.f;
}

EMULATED __m512 emulated_setzero_ps(void)
{
    return (__m512){0};
}

OF_TWO(__m512, f, half, add_ps)
OF_TWO(__m512, f, half, max_ps)

EMULATED __m512 emulated_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
    wide x = {.f = a}, y = {.f = b}, z = {.f = c}, to;

    EACH_LANE(2, h, to.half[h] = _mm256_fmadd_ps(x.half[h], y.half[h], z.half[h]))
    return to.f;
}

EMULATED __m512 emulated_shuffle_ps(__m512 a, __m512 b, const int pick)
{
    wide x = {.f = a}, y = {.f = b}, to;

    EACH_LANE(16, l, to.lane[l] = (l % 4 < 2 ? x : y).lane[l / 4 * 4 + (pick >> l % 4 * 2 & 3)])
    return to.f;
}

EMULATED __m512 emulated_shuffle_f32x4(__m512 a, __m512 b, const int pick)
{
    wide x = {.f = a}, y = {.f = b}, to;

    EACH_LANE(4, q, to.quarter_i[q] = (q < 2 ? x : y).quarter_i[pick >> q * 2 & 3])
    return to.f;
}

EMULATED __m256 emulated_half(__m512 a, const int which)
{
    wide from = {.f = a};

    return from.half[which];
}

EMULATED __m512 emulated_cvtph_ps(__m256i a)
{
    wide to;

    to.half[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(a));
    to.half[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1));
    return to.f;
}

#define emulated_cvtps_ph(a, rounding)                                   \
    _mm256_set_m128i(_mm256_cvtps_ph(emulated_half(a, 1), (rounding)&7), \
                     _mm256_cvtps_ph(emulated_half(a, 0), (rounding)&7))

EMULATED __m512i emulated_cvtps_epi32(__m512 a)
{
    wide from = {.f = a}, to;

    EACH_LANE(2, h, to.half_i[h] = _mm256_cvtps_epi32(from.half[h]))
    return to.i;
}

EMULATED __m512 emulated_cvtepi32_ps(__m512i a)
{
    wide from = {.i = a}, to;

    EACH_LANE(2, h, to.half[h] = _mm256_cvtepi32_ps(from.half_i[h]))
    return to.f;
}

/* The classes that kernels ask for: quiet NaN 0x01, infinities 0x08 and 0x10, signalling NaN 0x80. */
EMULATED __mmask16 emulated_fpclass_ps_mask(__m512 a, const int classes)
{
    wide from = {.f = a};
    unsigned mask = 0;

    for (int l = 0; l < 16; l++) {
        const uint32_t u = from.u32[l], exponent = u & 0x7F800000u, fraction = u & 0x7FFFFFu;
        int is = 0;
        if (exponent == 0x7F800000u)
            is = fraction ? (fraction & 0x400000u ? 0x01 : 0x80) : u >> 31 ? 0x10 : 0x08;
        mask |= (unsigned)((is & classes) != 0) << l;
    }
    return (__mmask16)mask;
}

#undef _mm512_shuffle_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_extractf32x8_ps
#undef _mm512_cvtps_ph
#undef _mm512_fpclass_ps_mask
#define _mm512_loadu_ps           emulated_loadu_ps
#define _mm512_storeu_ps          emulated_storeu_ps
#define _mm512_maskz_loadu_ps     emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps     emulated_mask_storeu_ps
#define _mm512_set1_ps            emulated_set1_ps
#define _mm512_setzero_ps         emulated_setzero_ps
#define _mm512_add_ps             emulated_add_ps
#define _mm512_max_ps             emulated_max_ps
#define _mm512_fmadd_ps           emulated_fmadd_ps
#define _mm512_shuffle_ps         emulated_shuffle_ps
#define _mm512_shuffle_f32x4      emulated_shuffle_f32x4
#define _mm512_extractf32x8_ps    emulated_half
#define _mm512_castps512_ps256(a) emulated_half(a, 0)
#define _mm512_cvtph_ps           emulated_cvtph_ps
#define _mm512_cvtps_ph           emulated_cvtps_ph
#define _mm512_cvtps_epi32        emulated_cvtps_epi32
#define _mm512_cvtepi32_ps        emulated_cvtepi32_ps
#define _mm512_fpclass_ps_mask    emulated_fpclass_ps_mask

#endif
