/* The tile of 4-bit weights for one level of the processor. Included by cpu_tile_body.h only. A group's sum
 * is exact: four products fit 16 bits (4 times 64 times 127) where there is no VNNI. */
#include "cpu_groups.h"

/* Of each byte, 0 to 15, the level. */
#if defined(__AVX512F__)
VF vi levels_of(vi index)
{
    const __m128i levels = _mm_loadu_si128((const __m128i *)(const void *)mg_cpu_q4_levels);

    return (vi)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), (__m512i)index);
}
#elif defined(__AVX2__)
VF vi levels_of(vi index)
{
    const __m128i levels = _mm_loadu_si128((const __m128i *)(const void *)mg_cpu_q4_levels);

    return (vi)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(levels), (__m256i)index);
}
#elif defined(MG_CPU_FOR_NEON)
VF vi levels_of(vi index)
{
    return (vi)vqtbl1q_u8(vld1q_u8(mg_cpu_q4_levels), (uint8x16_t)index);
}
#else
VF vi levels_of(vi index)
{
    uint8_t bytes[sizeof index];

    memcpy(bytes, &index, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = mg_cpu_q4_levels[bytes[i]];
    memcpy(&index, bytes, sizeof bytes);
    return index;
}
#endif

/* Of each byte, its upper half. */
VF vi upper_halves(vi eight)
{
#if defined(MG_CPU_FOR_NEON)
    return (vi)vshrq_n_u8((uint8x16_t)eight, 4);
#else
    return (eight >> 4) & 0x0F0F0F0F;
#endif
}

/* sum + eight products of unsigned w and signed x in each lane. */
#if defined(ADDS_BYTES)
VF vi add_eight(vi sum, const vi w[2], const vi x[2])
{
    return add_bytes(add_bytes(sum, w[0], x[0]), w[1], x[1]);
}
#elif defined(__AVX512F__)
VF vi add_eight(vi sum, const vi w[2], const vi x[2])
{
    const __m512i pairs = _mm512_add_epi16(_mm512_maddubs_epi16((__m512i)w[0], (__m512i)x[0]),
                                           _mm512_maddubs_epi16((__m512i)w[1], (__m512i)x[1]));

    return sum + (vi)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}
#elif defined(__AVX2__)
VF vi add_eight(vi sum, const vi w[2], const vi x[2])
{
    const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16((__m256i)w[0], (__m256i)x[0]),
                                           _mm256_maddubs_epi16((__m256i)w[1], (__m256i)x[1]));

    return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#elif defined(MG_CPU_FOR_NEON)
VF vi add_eight(vi sum, const vi w[2], const vi x[2])
{
    const int8x16_t w_0 = (int8x16_t)w[0], w_1 = (int8x16_t)w[1], x_0 = (int8x16_t)x[0],
                    x_1 = (int8x16_t)x[1];
    const int16x8_t first =
        vmlal_s8(vmull_s8(vget_low_s8(w_0), vget_low_s8(x_0)), vget_low_s8(w_1), vget_low_s8(x_1));
    const int16x8_t last = vmlal_high_s8(vmull_high_s8(w_0, x_0), w_1, x_1);

    return (vi)vpadalq_s16((int32x4_t)sum, vpaddq_s16(first, last));
}
#else
VF vi add_eight(vi sum, const vi w[2], const vi x[2])
{
    UNROLL for (int i = 0; i < 8; i++) sum +=
        ((w[i / 4] >> (8 * (i % 4))) & 0xFF) * ((vi)((vu)x[i / 4] << (24 - 8 * (i % 4))) >> 24);
    return sum;
}
#endif

/* As add_eight, of eight bytes of x. */
VF vi add_words(vi sum, const vi w[2], const char *x)
{
#if defined(MG_CPU_FOR_NEON) && defined(__ARM_FEATURE_DOTPROD)
    const int8x8_t both = vld1_s8((const int8_t *)x);

    return (vi)vdotq_lane_s32(vdotq_lane_s32((int32x4_t)sum, (int8x16_t)w[0], both, 0), (int8x16_t)w[1], both,
                              1);
#else
    const vi both[2] = {same_word(x), same_word(x + 4)};

    return add_eight(sum, w, both);
#endif
}

VF void run_groups(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, bool resume,
                   const char *far, int64_t far_step, const int n_strips, const int n_rows)
{
    enum { WORD_BYTES = MG_CPU_STRIP * 4, HALF_WORDS = MG_Q4_GROUP / 8 };
    const int n_vecs = n_strips * STRIP_VECS;
    vf acc[MOST_ROWS][WIDEST * STRIP_VECS];

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) acc[r][c] =
            resume ? vf_load(sum + r * MG_CPU_SUM_WIDTH + c * LANES) : vf_set(0);
    }
    for (int64_t i = 0; i < n; i++, w += ldw, x += MG_CPU_X4_STEP, far += far_step) {
        UNROLL for (int c = 0; c < n_vecs; c++)
        {
            const char *strip = w + c / STRIP_VECS * MG_CPU_Q4_STRIP;
            const int first = c % STRIP_VECS * LANES;
            if (first == 0) {
                UNROLL for (int b = 0; b < MG_CPU_Q4_STRIP; b += 64)
                    fetch_panel(strip + b, far + (strip - w) + b);
            }
            for (int half = 0; half < 2; half++) {
                if (FEW_REGISTERS && (LANES < 8 || n_rows < 3)) read_again(); /* AVX2: more gain nothing */
                vi total[MOST_ROWS];
                UNROLL for (int r = 0; r < n_rows; r++) total[r] = (vi)vf_set(0);
                UNROLL for (int k = 0; k < HALF_WORDS; k++)
                {
                    const vi eight =
                        (vi)vf_load((const float *)(const void *)(strip + first * 4 +
                                                                  (half * HALF_WORDS + k) * WORD_BYTES));
                    const vi w_k[2] = {levels_of(eight & 0x0F0F0F0F), levels_of(upper_halves(eight))};
                    UNROLL for (int r = 0; r < n_rows; r++) total[r] =
                        add_words(total[r], w_k, x + r * ldx + (half * HALF_WORDS + k) * 8);
                }
                const vf scale = vf_from_bf16(strip + MG_CPU_Q4_WEIGHTS + (half * MG_CPU_STRIP + first) * 2);
                UNROLL for (int r = 0; r < n_rows; r++)
                {
                    const vi whole = total[r] + same_word(x + r * ldx + 2 * MG_Q4_GROUP + 4 * half);
                    acc[r][c] += __builtin_convertvector(whole, vf) * scale;
                }
            }
        }
    }
    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) vf_store(sum + r * MG_CPU_SUM_WIDTH + c * LANES, acc[r][c]);
    }
}
