/* Rows of x to bytes with a scale, and sums of their products back to fp32, for one level. Every step is
 * exact or rounded once, so all levels give the same bits. Included by cpu_kernels*.c only. */
#include "cpu_kernels.h"
#include "cpu_math.h"
#include "cpu_vec.h"

/* The bytes of v, which lies in -127 … 127, plus 128; to nearest even. */
VF void store_bytes(uint8_t *to, vf v)
{
#if defined(__AVX512F__)
    const __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(128));
    _mm_storeu_si128((void *)to, _mm512_cvtepi32_epi8(i));
#elif defined(__AVX2__)
    const __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(128));
    const __m256i four = _mm256_shuffle_epi8(i, _mm256_set1_epi32(0x0C080400)); /* the lowest byte of each */
    const __m128i bytes = _mm_unpacklo_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    _mm_storel_epi64((void *)to, bytes);
#elif defined(MG_CPU_FOR_NEON)
    const int16x4_t i = vadd_s16(vmovn_s32(vcvtnq_s32_f32(v)), vdup_n_s16(128));
    const uint8x8_t bytes = vreinterpret_u8_s8(vmovn_s16(vcombine_s16(i, i)));
    memcpy(to, &bytes, LANES);
#else
    float lane[LANES];
    vf_store(lane, v);
    for (int i = 0; i < LANES; i++) to[i] = (uint8_t)((int)nearbyintf(lane[i]) + 128);
#endif
}

/* A byte has no NaN, so the scale is NaN where a value is NaN or infinite: zero times such a value is. */
static float quantise(uint8_t *y, const float *x, int64_t n)
{
    vf top = vf_set(0), zero = vf_set(0);
    float lane[LANES], most = 0;

    for (int64_t i = 0; i < n; i += LANES) {
        const vf v = vf_load_some(x + i, n - i);
        top = vf_max(vf_abs(v), top);
        zero = vf_fma(v, vf_set(0), zero);
    }
    vf_store(lane, top);
    for (int i = 0; i < LANES; i++) most = lane[i] > most ? lane[i] : most;
    const vf per_unit = vf_set(mg_cpu_steps_per_unit(most));
    for (int64_t i = 0; i < n; i += LANES) {
        uint8_t bytes[LANES];
        store_bytes(bytes, vf_load_some(x + i, n - i) * per_unit);
        memcpy(y + i, bytes, (size_t)(n - i < LANES ? n - i : LANES));
    }
    return (mg_cpu_steps_per_unit(most) > 0 ? most / 127.0f : 0) + vf_sum(zero);
}

static void rescale(float *sum, const float *scale, const int32_t *offset, float x_scale, int64_t n)
{
    for (int64_t o = 0; o < n; o += LANES) {
        vi whole = (vi)vf_load(sum + o);
        if (offset) whole -= (vi)vf_load((const float *)(const void *)(offset + o));
        vf_store(sum + o, __builtin_convertvector(whole, vf) * (vf_set(x_scale) * vf_load(scale + o)));
    }
}
