/* The tensor cores' product c [16,8] += a [16,16] b [16,8] of a warp (device.cuh says who has what). Each
 * lane widens what it brings, for all, and writes it as groups of four numbers, of which each lane multiplies
 * one of a by one of b for its four sums. */
#include "block.h"

namespace sim
{

typedef float four __attribute__((vector_size(16)));

struct operands {
    four a[16][8]; /* [k][g]: rows g, g, g + 8, g + 8 */
    four b[16][4]; /* [k][t]: columns 2t, 2t + 1, 2t, 2t + 1 */
};
static_assert(sizeof(operands) <= BOARD_BYTES, "a warp's board holds them");

template <float (*VALUE)(uint16_t)>
static void bring(operands *to, const uint32_t (&a)[4], const uint32_t (&b)[2], unsigned g, unsigned t)
{
    for (unsigned i = 0; i < 4; i++) {
        const unsigned right = i / 2, k = 2 * t + i % 2 + 8 * right, shift = 16 * (i % 2);
        const float upper = VALUE(static_cast<uint16_t>(a[2 * right] >> shift));
        const float lower = VALUE(static_cast<uint16_t>(a[2 * right + 1] >> shift));
        to->a[k][g] = four{upper, upper, lower, lower};
        four *column = &to->b[k][g / 2];
        (*column)[g % 2] = (*column)[g % 2 + 2] = VALUE(static_cast<uint16_t>(b[right] >> shift));
    }
}

template <float (*VALUE)(uint16_t)>
static void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char *file, int line)
{
    operands *all = static_cast<operands *>(warp_board());
    const unsigned lane = static_cast<thread *>(self)->i % WARP, g = lane / 4, t = lane % 4;
    four sum = {c[0], c[1], c[2], c[3]};

    bring<VALUE>(all, a, b, g, t);
    meet_at_board(file, line);
    for (unsigned k = 0; k < 16; k++) sum += all->a[k][g] * all->b[k][t];
    for (unsigned i = 0; i < 4; i++) c[i] = sum[i];
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
