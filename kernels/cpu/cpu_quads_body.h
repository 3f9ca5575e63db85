/* The tile of 8-bit weights on NEON. Included by cpu_tile_body.h only.
 *
 * NEON multiplies bytes that both have signs: x becomes x - 128, whose zero is 0, so what is summed needs no
 * offset (rescale, cpu_quantise_body.h). Sums are exact, with dot products and without. Four steps of x are
 * loaded at once. */

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
