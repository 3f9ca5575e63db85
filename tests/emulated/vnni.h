/* Of avx512.h: VPDPBUSD, 16 lanes of AVX-512 VNNI and 8 of AVX-VNNI: four products of an unsigned and a
 * signed byte added to each int32, which wraps. */
#ifndef MG_EMULATED_VNNI_H
#define MG_EMULATED_VNNI_H

EMULATED void emulated_dpbusd(int32_t *sum, const uint8_t *u, const int8_t *s, int n_lanes)
{
    for (int l = 0; l < n_lanes; l++) {
        int32_t products = 0;
        for (int b = 4 * l; b < 4 * l + 4; b++) products += u[b] * s[b];
        sum[l] = (int32_t)((uint32_t)sum[l] + (uint32_t)products);
    }
}

EMULATED __m512i emulated_dpbusd_epi32(__m512i sum, __m512i u, __m512i s)
{
    wide to = {.i = sum}, x = {.i = u}, y = {.i = s};

    emulated_dpbusd(to.i32, x.u8, y.i8, 16);
    return to.i;
}

EMULATED __m256i emulated_dpbusd_avx_epi32(__m256i sum, __m256i u, __m256i s)
{
    wide to = {.half_i = {sum}}, x = {.half_i = {u}}, y = {.half_i = {s}};

    emulated_dpbusd(to.i32, x.u8, y.i8, 8);
    return to.half_i[0];
}

#define _mm512_dpbusd_epi32     emulated_dpbusd_epi32
#define _mm256_dpbusd_avx_epi32 emulated_dpbusd_avx_epi32

#if defined(MG_EMULATED_AVXVNNI)
#define __AVXVNNI__ 1
#else
#define __AVX512VNNI__ 1
#endif

#endif
