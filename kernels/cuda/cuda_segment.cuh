/* Attention over a segment: 32 keys of a head that is 64 wide, in 16 bits, by one warp. The segment stands in
 * shared memory as its lanes have copied it: piece i of a lane has 16 bytes of key 4 i + lane / 8, and their
 * values stand likewise. The sums are those of cuda_attention.cu in the same order. Inside the backend. */
#ifndef MG_CUDA_SEGMENT_CUH
#define MG_CUDA_SEGMENT_CUH

#include "cuda_half.cuh"

enum { MG_SEGMENT_LANES = 32 / MG_SEGMENT_AT_ONCE }; /* that hold a position, 16 bytes each */

/* warp_sum<8> of each of 8 values, bit for bit: value `return` of them is in v[0]. */
MG_INLINE int mg_sum_lanes(float (&v)[8])
{
    const int lane = threadIdx.x % 32;

#pragma unroll
    for (int width = 4, o = 1; width > 0; width /= 2, o *= 2) {
#pragma unroll
        for (int i = 0; i < width; i++) {
            const float mine = lane & o ? v[i + width] : v[i], other = lane & o ? v[i] : v[i + width];
            v[i] = mine + __shfl_xor_sync(0xffffffffu, other, o);
        }
    }
    return (lane & 1) * 4 + (lane & 2) + (lane & 4) / 4;
}

/* The sums over the four keys of a piece, of 8 columns: two of them are left, in v[0] and v[1]. */
MG_INLINE void mg_sum_positions(float (&v)[8])
{
    const int lane = threadIdx.x % 32;

#pragma unroll
    for (int width = 4, o = MG_SEGMENT_LANES; width > 1; width /= 2, o *= 2) {
#pragma unroll
        for (int i = 0; i < width; i++) {
            const float mine = lane & o ? v[i + width] : v[i], other = lane & o ? v[i] : v[i + width];
            v[i] = mine + __shfl_xor_sync(0xffffffffu, other, o);
        }
    }
}

/* Products of a query's 8 values of this lane with those of each key, pieces [FIRST, END). */
template <class T, int FIRST = 0, int END = MG_SEGMENT_PIECES>
MG_INLINE void mg_segment_dots(float (&dot)[MG_SEGMENT_PIECES], const uint4 *slot, const float *q)
{
#pragma unroll
    for (int i = FIRST; i < END; i++) {
        float key[8];
        mg_unpack<T>(key, slot[i * 32 + threadIdx.x % 32]);
        dot[i] = 0;
#pragma unroll
        for (int c = 0; c < 8; c++) dot[i] = fmaf(q[c], key[c], dot[i]);
    }
}

/* The weights of a lane's keys as they stand in shared memory: key 4 i + m at m * 8 + i. */
MG_INLINE void mg_segment_weights(float (&weight)[MG_SEGMENT_PIECES], const float *weights)
{
    const float4 *from = reinterpret_cast<const float4 *>(weights) + threadIdx.x % 32 / MG_SEGMENT_LANES * 2;
    const float4 low = from[0], high = from[1];

    weight[0] = low.x, weight[1] = low.y, weight[2] = low.z, weight[3] = low.w;
    weight[4] = high.x, weight[5] = high.y, weight[6] = high.z, weight[7] = high.w;
}

/* The lane's 8 columns of its keys' values, weighted, and the weights: both added to what is there. */
template <class T, int FIRST = 0, int END = MG_SEGMENT_PIECES>
MG_INLINE void mg_segment_mix(float (&mixed)[8], float *sum, const float (&weight)[MG_SEGMENT_PIECES],
                              const uint4 *slot)
{
#pragma unroll
    for (int i = FIRST; i < END; i++) {
        float value[8];
        mg_unpack<T>(value, slot[i * 32 + threadIdx.x % 32]);
        *sum += weight[i];
#pragma unroll
        for (int c = 0; c < 8; c++) mixed[c] = fmaf(weight[i], value[c], mixed[c]);
    }
}

/* Both over the four keys of a piece: columns mg_segment_column and the next are in mixed[0], mixed[1]. */
MG_INLINE void mg_segment_finish(float (&mixed)[8], float *sum)
{
    *sum += __shfl_xor_sync(0xffffffffu, *sum, MG_SEGMENT_LANES);
    *sum += __shfl_xor_sync(0xffffffffu, *sum, 2 * MG_SEGMENT_LANES);
    mg_sum_positions(mixed);
}

MG_INLINE int mg_segment_column()
{
    const int lane = threadIdx.x % 32;

    return lane % MG_SEGMENT_LANES * 8 + (lane & 8) / 2 + (lane & 16) / 8;
}

#endif
