/* Of avx512.h: what moves bits and whole numbers. */
#ifndef MG_EMULATED_AVX512_BITS_H
#define MG_EMULATED_AVX512_BITS_H

EMULATED __m512i emulated_loadu_si512(const void *p)
{
    wide to;

    memcpy(&to, p, sizeof to);
    return to.i;
}

EMULATED void emulated_storeu_si512(void *p, __m512i v)
{
    memcpy(p, &v, sizeof v);
}

EMULATED __m512i emulated_set1_epi32(int v)
{
    wide to;

    EACH_LANE(16, l, to.i32[l] = v)
    return to.i;
}

EMULATED __m512i emulated_set1_epi16(short v)
{
    wide to;

    EACH_LANE(32, l, to.i16[l] = v)
    return to.i;
}

/* The first argument is the last lane, as everywhere in Intel's sets. */
#define BACKWARDS_16(v, ...) ((__m512i)(__v16si){BACKWARDS_16_(v, __VA_ARGS__)})
#define BACKWARDS_16_(p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a) \
    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p
#define BACKWARDS_32(...) ((__m512i)(__v32hi){BACKWARDS_32_(__VA_ARGS__)})
#define BACKWARDS_32_(P, O, N, M, L, K, J, I, H, G, F, E, D, C, B, A, p, o, n, m, l, k, j, i, h, g, f, e, d, \
                      c, b, a)                                                                               \
    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P

EMULATED __m512i emulated_and_si512(__m512i a, __m512i b)
{
    return a & b;
}

EMULATED __m512i emulated_add_epi32(__m512i a, __m512i b)
{
    return (__m512i)((__v16su)a + (__v16su)b);
}

EMULATED __m512i emulated_mask_add_epi32(__m512i from, __mmask16 mask, __m512i a, __m512i b)
{
    wide to = {.i = from}, sum = {.i = emulated_add_epi32(a, b)};

    EACH_LANE(16, l, if (mask >> l & 1) to.i32[l] = sum.i32[l])
    return to.i;
}

EMULATED __m512i emulated_add_epi16(__m512i a, __m512i b)
{
    return (__m512i)((__v32hu)a + (__v32hu)b);
}

#define SHIFT(name)                                                                \
    EMULATED __m512i emulated_##name(__m512i a, unsigned n_bits)                   \
    {                                                                              \
        wide from = {.i = a}, to;                                                  \
        EACH_LANE(2, h, to.half_i[h] = _mm256_##name(from.half_i[h], (int)n_bits)) \
        return to.i;                                                               \
    }
SHIFT(slli_epi32)
SHIFT(srli_epi32)
SHIFT(slli_epi16)
SHIFT(srli_epi16)
SHIFT(srai_epi16)
OF_TWO(__m512i, i, half_i, madd_epi16)
OF_TWO(__m512i, i, half_i, maddubs_epi16)
OF_TWO(__m512i, i, half_i, shuffle_epi8)

EMULATED __m512i emulated_broadcast_i32x4(__m128i a)
{
    wide to;

    EACH_LANE(4, q, to.quarter_i[q] = a)
    return to.i;
}

EMULATED __m512i emulated_permutex2var_epi32(__m512i a, __m512i index, __m512i b)
{
    wide of[2] = {{.i = a}, {.i = b}}, at = {.i = index}, to;

    EACH_LANE(16, l, to.i32[l] = of[at.u32[l] >> 4 & 1].i32[at.u32[l] & 15])
    return to.i;
}

EMULATED __m512i emulated_permutex2var_epi16(__m512i a, __m512i index, __m512i b)
{
    wide of[2] = {{.i = a}, {.i = b}}, at = {.i = index}, to;

    EACH_LANE(32, l, to.i16[l] = of[at.u16[l] >> 5 & 1].i16[at.u16[l] & 31])
    return to.i;
}

EMULATED __mmask16 emulated_test_epi32_mask(__m512i a, __m512i b)
{
    wide both = {.i = a & b};
    unsigned mask = 0;

    EACH_LANE(16, l, mask |= (unsigned)(both.i32[l] != 0) << l)
    return (__mmask16)mask;
}

EMULATED __mmask32 emulated_cmpeq_epi16_mask(__m512i a, __m512i b)
{
    wide x = {.i = a}, y = {.i = b};
    uint32_t mask = 0;

    EACH_LANE(32, l, mask |= (uint32_t)(x.i16[l] == y.i16[l]) << l)
    return mask;
}

EMULATED __m512i emulated_cvtepu16_epi32(__m256i a)
{
    wide to;

    to.half_i[0] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(a));
    to.half_i[1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1));
    return to.i;
}

EMULATED __m512i emulated_cvtepi8_epi32(__m128i a)
{
    wide to;

    to.half_i[0] = _mm256_cvtepi8_epi32(a);
    to.half_i[1] = _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8));
    return to.i;
}

/* The low byte of each. */
EMULATED __m128i emulated_cvtepi32_epi8(__m512i a)
{
    wide from = {.i = a};
    union {
        __m128i all;
        uint8_t u8[16];
    } to;

    EACH_LANE(16, l, to.u8[l] = (uint8_t)from.u32[l])
    return to.all;
}

#undef _mm512_loadu_si512
#undef _mm512_storeu_si512
#undef _mm512_set_epi32
#undef _mm512_set_epi16
#undef _mm512_slli_epi32
#undef _mm512_srli_epi32
#undef _mm512_slli_epi16
#undef _mm512_srli_epi16
#undef _mm512_srai_epi16
#define _mm512_loadu_si512        emulated_loadu_si512
#define _mm512_storeu_si512       emulated_storeu_si512
#define _mm512_set1_epi32         emulated_set1_epi32
#define _mm512_set1_epi16         emulated_set1_epi16
#define _mm512_set_epi32          BACKWARDS_16
#define _mm512_set_epi16          BACKWARDS_32
#define _mm512_and_si512          emulated_and_si512
#define _mm512_add_epi32          emulated_add_epi32
#define _mm512_mask_add_epi32     emulated_mask_add_epi32
#define _mm512_add_epi16          emulated_add_epi16
#define _mm512_slli_epi32         emulated_slli_epi32
#define _mm512_srli_epi32         emulated_srli_epi32
#define _mm512_slli_epi16         emulated_slli_epi16
#define _mm512_srli_epi16         emulated_srli_epi16
#define _mm512_srai_epi16         emulated_srai_epi16
#define _mm512_madd_epi16         emulated_madd_epi16
#define _mm512_maddubs_epi16      emulated_maddubs_epi16
#define _mm512_shuffle_epi8       emulated_shuffle_epi8
#define _mm512_broadcast_i32x4    emulated_broadcast_i32x4
#define _mm512_permutex2var_epi32 emulated_permutex2var_epi32
#define _mm512_permutex2var_epi16 emulated_permutex2var_epi16
#define _mm512_test_epi32_mask    emulated_test_epi32_mask
#define _mm512_cmpeq_epi16_mask   emulated_cmpeq_epi16_mask
#define _mm512_cvtepu16_epi32     emulated_cvtepu16_epi32
#define _mm512_cvtepi8_epi32      emulated_cvtepi8_epi32
#define _mm512_cvtepi32_epi8      emulated_cvtepi32_epi8
#define _mm512_castsi512_ps(a)    ((__m512)(a))
#define _mm512_castps_si512(a)    ((__m512i)(a))

#endif
