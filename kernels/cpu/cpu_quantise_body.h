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

static float quantise(uint8_t *y, const float *x, int64_t n)
{
    vf top = vf_set(0);
    float lane[LANES], most = 0;

    for (int64_t i = 0; i < n; i += LANES) top = vf_max(vf_abs(vf_load_some(x + i, n - i)), top);
    vf_store(lane, top);
    for (int i = 0; i < LANES; i++) most = lane[i] > most ? lane[i] : most;
    const vf per_unit = vf_set(mg_cpu_steps_per_unit(most));
    for (int64_t i = 0; i < n; i += LANES) {
        uint8_t bytes[LANES];
        store_bytes(bytes, vf_load_some(x + i, n - i) * per_unit);
        memcpy(y + i, bytes, (size_t)(n - i < LANES ? n - i : LANES));
    }
    return mg_cpu_steps_per_unit(most) > 0 ? most / 127.0f : 0;
}

#if defined(MG_CPU_FOR_NEON)
/* The products of these tiles are of x - 128: their sums have no offset (cpu_quads_body.h). */
static void rescale(float *sum, const float *scale, const int32_t *offset, float x_scale, int64_t n)
{
    (void)offset;
    for (int64_t o = 0; o < n; o += LANES) /* whole strips */
        vf_store(sum + o,
                 vcvtq_f32_s32((int32x4_t)vf_load(sum + o)) * (vf_set(x_scale) * vf_load(scale + o)));
}
#else
static void rescale(float *sum, const float *scale, const int32_t *offset, float x_scale, int64_t n)
{
    int32_t whole[MG_CPU_SUM_WIDTH];

    memcpy(whole, sum, (size_t)n * sizeof *whole);
    for (int64_t o = 0; o < n; o++) sum[o] = (float)(whole[o] - offset[o]) * (x_scale * scale[o]);
}
#endif
