/* The sum over ranks, in the tree that all backends share: x [n] from parts [n_parts, n]. */
#include "cuda_context.cuh"

extern "C" {
#include "cuda_group.h"
}

template <int PARTS> static __global__ void tree_sum(float *x, const float *parts, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    float p[PARTS];

    let_successor_start();
    wait_for_predecessor();
    if (i >= n) return;
#pragma unroll
    for (int r = 0; r < PARTS; r++) p[r] = __ldcg(parts + r * n + i);
#pragma unroll
    for (int step = 1; step < PARTS; step *= 2)
#pragma unroll
        for (int r = 0; r < PARTS; r += 2 * step) p[r] += p[r + step];
    x[i] = p[0];
}

extern "C" void *mg_cuda_stream(const mg_ops *ops)
{
    return ((mg_cuda *)ops->ctx)->stream;
}

extern "C" mg_status mg_cuda_tree_sum(const mg_ops *ops, float *x, const float *parts, int n_parts, int64_t n)
{
    mg_cuda *cuda = (mg_cuda *)ops->ctx;
    const unsigned grid = mg_blocks(n, 256);

    MG_REQUIRE(n_parts == 2 || n_parts == 4 || n_parts == 8);
    if (n_parts == 2) MG_RUN(cuda, tree_sum<2>, grid, 256, 0, x, parts, n);
    if (n_parts == 4) MG_RUN(cuda, tree_sum<4>, grid, 256, 0, x, parts, n);
    if (n_parts == 8) MG_RUN(cuda, tree_sum<8>, grid, 256, 0, x, parts, n);
    return MG_OK;
}
