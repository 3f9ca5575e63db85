/* The tensor cores' product c [16,8] += a [16,16] b [16,8] of a warp (device.cuh says who has what). Each
 * lane widens what it brings; the last one multiplies for all, each sum over ascending k. */
#include "block.h"

namespace sim
{

typedef float four __attribute__((vector_size(16)));

struct operands {
    alignas(16) float a[16][16]; /* [k][row] */
    alignas(16) float b[16][8];  /* [k][column] */
    alignas(16) float c[16][8];  /* [row][column] */
};
static_assert(sizeof(operands) <= BOARD_BYTES, "a warp's board holds them");

template <float (*VALUE)(uint16_t)>
static void bring(operands *to, const uint32_t (&a)[4], const uint32_t (&b)[2], unsigned g, unsigned t)
{
    for (unsigned i = 0; i < 4; i++) {
        const unsigned right = i / 2, k = 2 * t + i % 2 + 8 * right, shift = 16 * (i % 2);
        to->a[k][g] = VALUE(static_cast<uint16_t>(a[2 * right] >> shift));
        to->a[k][g + 8] = VALUE(static_cast<uint16_t>(a[2 * right + 1] >> shift));
        to->b[k][g] = VALUE(static_cast<uint16_t>(b[right] >> shift));
    }
}

/* Four rows at once: their sums are registers. */
static void multiply(operands *all)
{
    enum { ROWS = 4 };

    for (unsigned row = 0; row < 16; row += ROWS) {
        four sum[ROWS][2];
        memcpy(sum, all->c[row], sizeof sum);
        for (unsigned k = 0; k < 16; k++) {
            four b[2];
            memcpy(b, all->b[k], sizeof b);
#pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; r++) {
                sum[r][0] += all->a[k][row + r] * b[0];
                sum[r][1] += all->a[k][row + r] * b[1];
            }
        }
        memcpy(all->c[row], sum, sizeof sum);
    }
}

template <float (*VALUE)(uint16_t)>
static void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char *file, int line)
{
    operands *all = static_cast<operands *>(warp_board());
    const unsigned lane = static_cast<thread *>(self)->lane, g = lane / 4, t = lane % 4;

    bring<VALUE>(all, a, b, g, t);
    memcpy(&all->c[g][2 * t], &c[0], 2 * sizeof c[0]);
    memcpy(&all->c[g + 8][2 * t], &c[2], 2 * sizeof c[0]);
    if (is_last_at_board()) multiply(all);
    meet_at_board(file, line);
    memcpy(&c[0], &all->c[g][2 * t], 2 * sizeof c[0]);
    memcpy(&c[2], &all->c[g + 8][2 * t], 2 * sizeof c[0]);
}

void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char *file, int line)
{
    mma<bf16_value>(c, a, b, file, line);
}

void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char *file, int line)
{
    mma<f16_value>(c, a, b, file, line);
}

} // namespace sim
