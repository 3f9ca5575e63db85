/* Of avx512.h: what bf16's instructions share, and VDPBF16PS: to each float the product of the odd pair is
 * added, then that of the even one, each fused, to nearest, with denormals as zero before and after, whatever
 * MXCSR says. */
#ifndef MG_EMULATED_BF16_H
#define MG_EMULATED_BF16_H

/* a b + c under that rule; eight lanes. */
static inline __attribute__((unused)) __m256 emulated_flushed_fmadd(__m256 a, __m256 b, __m256 c)
{
    const unsigned before = _mm_getcsr();

    _mm_setcsr(0x1F80 | _MM_FLUSH_ZERO_ON | 0x40 /* denormals in are zero */);
    __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
    __m256 to = _mm256_fmadd_ps(a, b, c);
    __asm__ volatile("" : "+x"(to));
    _mm_setcsr(before);
    return to;
}

static inline __attribute__((unused)) __m256 emulated_flushed_add(__m256 a, __m256 b)
{
    return emulated_flushed_fmadd(a, _mm256_set1_ps(1), b);
}

EMULATED __m256 emulated_even(__m256i pairs)
{
    return (__m256)_mm256_slli_epi32(pairs, 16);
}

EMULATED __m256 emulated_odd(__m256i pairs)
{
    return (__m256)_mm256_slli_epi32(_mm256_srli_epi32(pairs, 16), 16);
}

EMULATED __m512 emulated_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b)
{
    wide to = {.f = sum}, x = {.i = (__m512i)a}, y = {.i = (__m512i)b};

    for (int h = 0; h < 2; h++) {
        const __m256 odd =
            emulated_flushed_fmadd(emulated_odd(x.half_i[h]), emulated_odd(y.half_i[h]), to.half[h]);
        to.half[h] = emulated_flushed_fmadd(emulated_even(x.half_i[h]), emulated_even(y.half_i[h]), odd);
    }
    return to.f;
}

#define _mm512_dpbf16_ps emulated_dpbf16_ps
#if defined(MG_EMULATED_BF16)
#define __AVX512BF16__ 1
#endif

#endif
