/* Reads a block of the device's memory: for `bench`, how fast it does, the ceiling of everything that streams
 * weights; for a tuner, so that nothing else is in the cache. */
#include <time.h>

#include "cuda_context.cuh"

extern "C" {
#include "cuda_read.h"
}

enum { READ_THREADS = 256, READ_AT_ONCE = 8, BLOCKS_PER_SM = 8, PASSES = 8 };
static const double LONG_PASS_S = 0.1; /* a GPU takes a thousandth */

/* 16 bytes a lane, READ_AT_ONCE of them before the first is used; the sum keeps them from being left out. */
static __global__ void read_k(uint32_t *out, const uint4 *x, int64_t n)
{
    const int64_t n_threads = (int64_t)gridDim.x * READ_THREADS;
    const int64_t first = (int64_t)blockIdx.x * READ_THREADS + threadIdx.x;
    uint32_t sum = 0;

    let_successor_start();
    wait_for_predecessor();
    for (int64_t i = first; i < n; i += n_threads * READ_AT_ONCE) {
        uint4 v[READ_AT_ONCE];
#pragma unroll
        for (int k = 0; k < READ_AT_ONCE; k++) {
            const int64_t at = i + k * n_threads;
            v[k] = at < n ? ld_weights(x + at) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int k = 0; k < READ_AT_ONCE; k++) sum += v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    if (sum == 0x9e3779b9u) *out = sum; /* hardly ever: a word of scratch, whatever is in it */
}

static double now_s()
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

mg_status mg_read_through(mg_cuda *cuda, const void *block, size_t bytes)
{
    const unsigned grid = (unsigned)(cuda->n_sms * BLOCKS_PER_SM);

    MG_RUN(cuda, read_k, grid, READ_THREADS, 0, (uint32_t *)cuda->scratch, (const uint4 *)block,
           (int64_t)(bytes / sizeof(uint4)));
    return MG_OK;
}

extern "C" mg_status mg_cuda_read(const mg_ops *ops, const void *block, size_t bytes, double *gbps)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_RETURN(mg_cuda_wait(cuda));
    for (int n_passes = 1;; n_passes = PASSES) { /* one alone first; where it lasts, it is enough */
        const double begin_s = now_s();
        for (int i = 0; i < n_passes; i++) MG_RETURN(mg_read_through(cuda, block, bytes));
        /* No other rank has a part in it, and mg_cuda_wait naps: it would be late by a twentieth. */
        MG_CUDA(cudaStreamSynchronize(cuda->stream));
        const double s = now_s() - begin_s;
        *gbps = (double)(bytes * (size_t)n_passes) / s / 1e9;
        if (n_passes == PASSES || s > LONG_PASS_S) return MG_OK;
    }
}

extern "C" mg_status mg_cuda_link(const mg_ops *ops, double *gbps)
{
    enum { LINK_PASSES = 32 };
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_RETURN(mg_cuda_wait(cuda));
    const double begin_s = now_s();
    for (int i = 0; i < LINK_PASSES * MG_RING_PIECES; i++) {
        const int piece = i % MG_RING_PIECES;
        MG_CUDA(cudaMemcpyAsync(cuda->scratch + (size_t)piece * MG_RING_BYTES, cuda->ring[piece].pinned,
                                MG_RING_BYTES, cudaMemcpyHostToDevice, cuda->stream));
    }
    MG_RETURN(mg_cuda_wait(cuda));
    *gbps = (double)(int64_t{LINK_PASSES} * MG_RING_PIECES * MG_RING_BYTES) / (now_s() - begin_s) / 1e9;
    return MG_OK;
}
