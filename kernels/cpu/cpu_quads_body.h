/* The tile of 8-bit weights for one level of the processor. Included by cpu_tile_body.h only. Sums are exact,
 * so they do not depend on the level.
 *
 * The zero of x is 128. Where both factors have to be signed, x becomes x - 128, and what is summed needs no
 * offset (X_FROM_ZERO; rescale, cpu_quantise_body.h). */

#if defined(MG_CPU_FOR_NEON)
enum { X_FROM_ZERO = true };

/* Four steps of x are loaded at once. */
enum { QUADS = 4 }; /* steps */

/* sum + the four products of step k of x in each lane. Two products of -127 … 127 fit 16 bits. */
#if defined(__ARM_FEATURE_DOTPROD)
VF int32x4_t add_signed(int32x4_t sum, int8x16_t w, int8x16_t x, const int k)
{
    return k == 0   ? vdotq_laneq_s32(sum, w, x, 0)
           : k == 1 ? vdotq_laneq_s32(sum, w, x, 1)
           : k == 2 ? vdotq_laneq_s32(sum, w, x, 2)
                    : vdotq_laneq_s32(sum, w, x, 3);
}
#else
VF int32x4_t add_signed(int32x4_t sum, int8x16_t w, int8x16_t x, const int k)
{
    const int32x4_t steps = (int32x4_t)x;
    const int8x16_t step = (int8x16_t)(k == 0   ? vdupq_laneq_s32(steps, 0)
                                       : k == 1 ? vdupq_laneq_s32(steps, 1)
                                       : k == 2 ? vdupq_laneq_s32(steps, 2)
                                                : vdupq_laneq_s32(steps, 3));
    const int16x8_t first = vmull_s8(vget_low_s8(w), vget_low_s8(step)), last = vmull_high_s8(w, step);

    return vpadalq_s16(sum, vpaddq_s16(first, last));
}
#endif

/* n_steps of a panel, at most QUADS, over all rows of the tile. */
VF void add_steps(int32x4_t (*acc)[WIDEST * STRIP_VECS], const char *x, int64_t ldx, const char *w,
                  int64_t ldw, const char *far, int64_t far_step, const int n_steps, const int n_strips,
                  const int n_rows)
{
    int8x16_t steps[MOST_ROWS];

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        uint8_t bytes[4 * QUADS];
        memcpy(bytes, x + r * ldx, (size_t)n_steps * 4);
        for (int i = n_steps * 4; i < 4 * QUADS; i++) bytes[i] = 128;
        steps[r] = (int8x16_t)veorq_u8(vld1q_u8(bytes), vdupq_n_u8(128));
    }
    UNROLL for (int k = 0; k < n_steps; k++)
    {
        const int8_t *w_k = (const int8_t *)w + k * ldw;
        UNROLL for (int b = 0; b < n_strips * 64; b += 64)
            fetch_panel((const char *)w_k + b, far + k * far_step + b);
        UNROLL for (int c = 0; c < n_strips * STRIP_VECS; c++)
        {
            const int8x16_t w_c = vld1q_s8(w_k + c * 16);
            UNROLL for (int r = 0; r < n_rows; r++) acc[r][c] = add_signed(acc[r][c], w_c, steps[r], k);
        }
    }
}

VF void run_quads(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, bool resume,
                  const char *far, int64_t far_step, const int n_strips, const int n_rows)
{
    int32x4_t acc[MOST_ROWS][WIDEST * STRIP_VECS];
    int64_t i = 0;

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_strips * STRIP_VECS; c++) acc[r][c] =
            (int32x4_t)(resume ? vf_load(sum + r * MG_CPU_SUM_WIDTH + c * LANES) : vf_set(0));
    }
    for (; i + QUADS <= n; i += QUADS, w += QUADS * ldw, x += QUADS * 4, far += QUADS * far_step)
        add_steps(acc, x, ldx, w, ldw, far, far_step, QUADS, n_strips, n_rows);
    for (; i < n; i++, w += ldw, x += 4, far += far_step)
        add_steps(acc, x, ldx, w, ldw, far, far_step, 1, n_strips, n_rows);
    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_strips * STRIP_VECS; c++)
            vf_store(sum + r * MG_CPU_SUM_WIDTH + c * LANES, (vf)acc[r][c]);
    }
}
#else

/* Four bytes a lane, ready to be multiplied. */
typedef struct quads {
    vi first, second;
} quads;

#if defined(__AVX512F__) && !defined(ADDS_BYTES) /* in 16 bits: bytes 0 and 2, and 1 and 3 */
enum { X_FROM_ZERO = false };

VF quads ready_w(vi w)
{
    return (quads){(vi)_mm512_srai_epi16(_mm512_slli_epi16((__m512i)w, 8), 8),
                   (vi)_mm512_srai_epi16((__m512i)w, 8)};
}

VF quads ready_x(vi x)
{
    return (quads){(vi)_mm512_and_si512((__m512i)x, _mm512_set1_epi16(0xFF)),
                   (vi)_mm512_srli_epi16((__m512i)x, 8)};
}

VF vi add_quads(vi sum, quads w, quads x)
{
    return sum + ((vi)_mm512_madd_epi16((__m512i)w.first, (__m512i)x.first) +
                  (vi)_mm512_madd_epi16((__m512i)w.second, (__m512i)x.second));
}
#elif defined(__AVX2__) && !defined(ADDS_BYTES)
enum { X_FROM_ZERO = true };

/* |w| times x with the sign of w: two products of -127 … 127 fit 16 bits. */
VF quads ready_w(vi w)
{
    return (quads){(vi)_mm256_abs_epi8((__m256i)w), w};
}

VF quads ready_x(vi x)
{
    const vi from_zero = x ^ (int32_t)0x80808080;

    return (quads){from_zero, from_zero};
}

VF vi add_quads(vi sum, quads w, quads x)
{
    const __m256i signed_x = _mm256_sign_epi8((__m256i)x.first, (__m256i)w.second);
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)w.first, signed_x);

    return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#else
enum { X_FROM_ZERO = false };

VF quads ready_w(vi w)
{
    return (quads){w, w};
}

VF quads ready_x(vi x)
{
    return (quads){x, x};
}

VF vi add_quads(vi sum, quads w, quads x)
{
#if defined(ADDS_BYTES)
    return add_bytes(sum, x.first, w.first);
#else
    UNROLL for (int b = 0; b < 4; b++) sum +=
        ((vi)((vu)w.first << (24 - 8 * b)) >> 24) * ((x.first >> (8 * b)) & 0xFF);
    return sum;
#endif
}
#endif

VF void run_quads(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, bool resume,
                  const char *far, int64_t far_step, const int n_strips, const int n_rows)
{
    const int n_vecs = n_strips * STRIP_VECS, at_once = FEW_REGISTERS ? 1 : n_vecs; /* vectors of w */
    vi acc[MOST_ROWS][WIDEST * STRIP_VECS];

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) acc[r][c] =
            (vi)(resume ? vf_load(sum + r * MG_CPU_SUM_WIDTH + c * LANES) : vf_set(0));
    }
    for (int64_t i = 0; i < n; i++, w += ldw, x += 4, far += far_step) {
        UNROLL for (int b = 0; b < n_strips * MG_CPU_STRIP * 4; b += 64) fetch_panel(w + b, far + b);
        UNROLL for (int first = 0; first < n_vecs; first += at_once)
        {
            quads w_c[WIDEST * STRIP_VECS];
            UNROLL for (int c = first; c < first + at_once; c++) w_c[c] =
                ready_w((vi)vf_load((const float *)(const void *)w + c * LANES));
            UNROLL for (int r = 0; r < n_rows; r++)
            {
                const quads x_r = ready_x(same_word(x + r * ldx));
                UNROLL for (int c = first; c < first + at_once; c++) acc[r][c] =
                    add_quads(acc[r][c], w_c[c], x_r);
            }
        }
    }
    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++)
            vf_store(sum + r * MG_CPU_SUM_WIDTH + c * LANES, (vf)acc[r][c]);
    }
}
#endif
