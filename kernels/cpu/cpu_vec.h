/* A vector of floats as wide as the instructions that the including file is compiled for: 16, 8 or 4 lanes.
 * Included by cpu_kernels*.c only, once per level, so that each body of the backend is written once. Every
 * aarch64 compiler has NEON, the plain level's too: files of the level neon define MG_CPU_FOR_NEON.
 *
 * vf_fma is fused on the vector levels and a product and a sum on the plain one; tails of rows go through the
 * same lanes, padded with zeros, so an element's bits do not depend on where in a row it stands. */
#ifndef MG_CPU_VEC_H
#define MG_CPU_VEC_H

#include <stdint.h>
#include <string.h>

#include "tensor.h"

#define VF static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
enum { LANES = 16 };
typedef __m512 vf;
#elif defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
typedef __m256 vf;
#elif defined(MG_CPU_FOR_NEON)
#include <arm_neon.h>
enum { LANES = 4 };
typedef float32x4_t vf;
#else
enum { LANES = 4 };
typedef float vf __attribute__((vector_size(16)));
#endif

typedef uint32_t vu __attribute__((vector_size(sizeof(vf))));
typedef int32_t vi __attribute__((vector_size(sizeof(vf))));
typedef uint16_t vh __attribute__((vector_size(sizeof(vf) / 2)));

VF vf vf_load(const float *p)
{
    vf v;

    memcpy(&v, p, sizeof v);
    return v;
}

VF void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n lanes from memory, the others zero; n <= LANES. */
VF vf vf_load_some(const float *p, int64_t n)
{
    if (n >= LANES) return vf_load(p);
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    float lane[LANES] = {0};
    memcpy(lane, p, (size_t)n * sizeof *p);
    return vf_load(lane);
#endif
}

VF void vf_store_some(float *p, vf v, int64_t n)
{
    if (n >= LANES) {
        vf_store(p, v);
        return;
    }
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#else
    float lane[LANES];
    vf_store(lane, v);
    memcpy(p, lane, (size_t)n * sizeof *p);
#endif
}

VF vf vf_set(float f)
{
#if defined(__AVX512F__)
    return _mm512_set1_ps(f);
#elif defined(__AVX2__)
    return _mm256_set1_ps(f);
#elif defined(MG_CPU_FOR_NEON)
    return vdupq_n_f32(f);
#else
    return (vf){f, f, f, f};
#endif
}

/* a b + c */
VF vf vf_fma(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(MG_CPU_FOR_NEON)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

/* mask ? a : b; a mask is all ones or all zeros in each lane, as a comparison gives it */
VF vf vf_pick(vu mask, vf a, vf b)
{
#if defined(MG_CPU_FOR_NEON)
    return vbslq_f32((uint32x4_t)mask, a, b);
#else
    return (vf)((mask & (vu)a) | (~mask & (vu)b));
#endif
}

/* The larger; b where either is not a number. */
VF vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return vf_pick((vu)(a > b), a, b);
#endif
}

VF vf vf_abs(vf a)
{
    return (vf)((vu)a & 0x7FFFFFFFu);
}

/* Lanes from n on become zero. */
VF vf vf_keep(vf a, int64_t n)
{
    float lane[LANES];

    if (n >= LANES) return a;
    vf_store(lane, a);
    return vf_load_some(lane, n);
}

/* The sum over the lanes, as a binary tree of halves. */
VF float vf_sum(vf a)
{
#if defined(__AVX512F__)
    const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
#elif defined(__AVX2__)
    const __m256 b = a;
#endif
#if defined(__AVX2__)
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
#elif defined(MG_CPU_FOR_NEON)
    return vpadds_f32(vadd_f32(vget_low_f32(a), vget_high_f32(a)));
#else
    return (a[0] + a[2]) + (a[1] + a[3]);
#endif
}

/* In each quarter of four lanes: the first, second, even or odd two of a, then of b. */
#if defined(__AVX512F__)
#define QUARTERS(a, b, i, j) _mm512_shuffle_ps(a, b, (i) | (j) << 2 | (i) << 4 | (j) << 6)
#elif defined(__AVX2__)
#define QUARTERS(a, b, i, j) _mm256_shuffle_ps(a, b, (i) | (j) << 2 | (i) << 4 | (j) << 6)
#elif defined(MG_CPU_FOR_NEON) /* (0, 1), (2, 3), (0, 2) and (1, 3) */
#define HALVES(zip, a, b) ((vf)zip((float64x2_t)(a), (float64x2_t)(b)))
#define QUARTERS(a, b, i, j)               \
    ((j) == 1   ? HALVES(vzip1q_f64, a, b) \
     : (i) == 2 ? HALVES(vzip2q_f64, a, b) \
     : (i) == 0 ? vuzp1q_f32(a, b)         \
                : vuzp2q_f32(a, b))
#else
#define QUARTERS(a, b, i, j) ((vf){(a)[i], (a)[j], (b)[i], (b)[j]})
#endif

/* Lane i: vf_sum(v[i]), by the same tree for all of them at once. v is used up. */
VF vf vf_sum_each(vf *v)
{
#if defined(__AVX512F__)
    UNROLL for (int i = 0; i < 4; i++)
    {
        const vf a = v[i], b = v[i + 4], c = v[i + 8], d = v[i + 12];
        const vf ab = _mm512_shuffle_f32x4(a, b, 0x44) + _mm512_shuffle_f32x4(a, b, 0xEE);
        const vf cd = _mm512_shuffle_f32x4(c, d, 0x44) + _mm512_shuffle_f32x4(c, d, 0xEE);
        v[i] = _mm512_shuffle_f32x4(ab, cd, 0x88) + _mm512_shuffle_f32x4(ab, cd, 0xDD);
    }
#elif defined(__AVX2__)
    UNROLL for (int i = 0; i < 4; i++) v[i] =
        _mm256_permute2f128_ps(v[i], v[i + 4], 0x20) + _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
#endif
    const vf x = QUARTERS(v[0], v[1], 0, 1) + QUARTERS(v[0], v[1], 2, 3);
    const vf y = QUARTERS(v[2], v[3], 0, 1) + QUARTERS(v[2], v[3], 2, 3);
    return QUARTERS(x, y, 0, 2) + QUARTERS(x, y, 1, 3);
}

/* The compilers' own conversions of these widths take five instructions for one. */
VF vf vf_from_bf16(const void *p)
{
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16);
#elif defined(MG_CPU_FOR_NEON)
    return (vf)vshll_n_u16(vld1_u16(p), 16);
#else
    vh h;
    memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vu) << 16);
#endif
}

/* To nearest even, as mg_f32_to_bf16. */
VF void vf_to_bf16(uint16_t *p, vf v)
{
    const vu u = (vu)v, rounded = u + 0x7FFFu + ((u >> 16) & 1u);
    const vu nan = (vu)((u & 0x7FFFFFFFu) > 0x7F800000u);
    const vh h = __builtin_convertvector(((nan & (u | 0x400000u)) | (~nan & rounded)) >> 16, vh);

    memcpy(p, &h, sizeof h);
}

VF vf vf_from_f16(const void *p)
{
#if defined(__AVX512F__)
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
#elif defined(__AVX2__)
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
#elif defined(MG_CPU_FOR_NEON)
    return vcvt_f32_f16(vld1_f16(p));
#else
    uint16_t h[LANES];
    memcpy(h, p, sizeof h);
    return (vf){mg_f16_to_f32(h[0]), mg_f16_to_f32(h[1]), mg_f16_to_f32(h[2]), mg_f16_to_f32(h[3])};
#endif
}

VF void vf_to_f16(uint16_t *p, vf v)
{
#if defined(__AVX512F__)
    _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__AVX2__)
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(MG_CPU_FOR_NEON)
    vst1_f16((void *)p, vcvt_f16_f32(v));
#else
    for (int i = 0; i < LANES; i++) p[i] = mg_f32_to_f16(v[i]);
#endif
}

VF vf vf_from_i8(const void *p)
{
#if defined(__AVX512F__)
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
#elif defined(__AVX2__)
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
#elif defined(MG_CPU_FOR_NEON)
    int32_t four;
    memcpy(&four, p, sizeof four);
    const int16x8_t wide = vmovl_s8(vcreate_s8((uint32_t)four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
#else
    int8_t b[LANES];
    memcpy(b, p, sizeof b);
    return (vf){b[0], b[1], b[2], b[3]};
#endif
}

/* LANES values of any weight dtype, or bytes as they are. */
VF vf vf_widen(const void *p, mg_dtype dtype)
{
    if (dtype == MG_I8) return vf_from_i8(p);
    if (dtype == MG_BF16) return vf_from_bf16(p);
    if (dtype == MG_F16) return vf_from_f16(p);
    return vf_load(p);
}

VF vf vf_widen_some(const void *p, mg_dtype dtype, int64_t n)
{
    float lane[LANES] = {0}; /* larger than it need be: GCC 14 sees copies that are not made */

    if (n >= LANES) return vf_widen(p, dtype);
    if (dtype == MG_F32) return vf_load_some(p, n);
    memcpy(lane, p, (size_t)n % LANES * (dtype == MG_I8 ? 1 : 2)); /* n < LANES: it wants to see that, too */
    return vf_widen(lane, dtype);
}

#endif
