/* Sums over ranks, in the tree that all backends share: from parts that NCCL has gathered; and in one kernel,
 * over memory that the ranks of a host share.
 *
 * One shot: block b of every rank makes one piece of the sum. It writes its part into its place in every
 * other rank's mailbox, says so with a flag (release), waits for the flags of the others in its own mailbox
 * (acquire), adds, and is done: one way over the link. Two sets of places take turns. A rank that writes
 * into a set has seen all others begin the sum before, hence end the one before that, whose set it is. */
#include "cuda_context.cuh"

extern "C" {
#include "cuda_group.h"
}

enum {
    THREADS = 256,
    BLOCKS = 64,
    LEAST_PIECE = 4 * THREADS, /* floats of a block */
    MOST_PIECE = 4 * LEAST_PIECE,
    LOOK_EVERY = 256, /* naps between two looks at what the host says */
};

/* The tree over p [PARTS]. */
template <int PARTS> static __device__ __forceinline__ float add_parts(float (&p)[PARTS])
{
#pragma unroll
    for (int step = 1; step < PARTS; step *= 2)
#pragma unroll
        for (int r = 0; r < PARTS; r += 2 * step) p[r] += p[r + step];
    return p[0];
}

template <int PARTS>
static __global__ void __launch_bounds__(THREADS) tree_sum(float *y, float *x, const float *parts, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    float p[PARTS];

    let_successor_start();
    wait_for_predecessor();
    if (i >= n) return;
#pragma unroll
    for (int r = 0; r < PARTS; r++) p[r] = __ldcg(parts + r * n + i);
    const float sum = add_parts(p);
    if (y)
        y[i] = __ldcg(y + i) + sum;
    else
        x[i] = sum;
}

/* A mailbox: how many sums block b has made, and how many rank r says that its block b has. Behind it the
 * parts, [2][size][BLOCKS * MOST_PIECE]. */
typedef struct mailbox {
    uint32_t n_sums[BLOCKS];
    uint32_t flag[MG_ONESHOT_MOST_RANKS][BLOCKS];
} mailbox;

static __device__ __forceinline__ float *place_of(void *box, int set, int size, int rank)
{
    float *part = reinterpret_cast<float *>(static_cast<char *>(box) + sizeof(mailbox));

    return part + ((int64_t)set * size + rank) * BLOCKS * MOST_PIECE + blockIdx.x * MOST_PIECE;
}

/* Until rank r has come to this sum, or the host gives up. */
static __device__ __forceinline__ void await_rank(uint32_t *words, const uint32_t *flag, uint32_t n_sums,
                                                  int r)
{
    for (int n = 1; (int32_t)(ld_acquire(flag) - n_sums) < 0; n++) {
        __nanosleep(32);
        if (n % LOOK_EVERY != 0) continue;
        st_release(words + 1, (uint32_t)r + 1);
        if (ld_acquire(words) != 0) return;
    }
}

template <int SIZE>
static __global__ void __launch_bounds__(THREADS)
    oneshot_k(const __grid_constant__ mg_oneshot o, float *y, float *x, int64_t n, int piece)
{
    mailbox *own = static_cast<mailbox *>(o.mailbox[o.rank]);
    const int b = blockIdx.x, r = threadIdx.x;
    const int64_t first = (int64_t)b * piece;
    const int n_mine = n - first < piece ? (int)(n - first) : piece;

    let_successor_start();
    wait_for_predecessor();
    const uint32_t n_sums = __ldcg(own->n_sums + b) + 1;
    const int set = n_sums & 1;
    for (int i = threadIdx.x; i < n_mine; i += THREADS) {
        const float v = __ldcg(x + first + i);
#pragma unroll
        for (int to = 0; to < SIZE; to++) place_of(o.mailbox[to], set, SIZE, o.rank)[i] = v;
    }
    __syncthreads();
    if (r < SIZE && r != o.rank) {
        st_release(static_cast<mailbox *>(o.mailbox[r])->flag[o.rank] + b, n_sums);
        await_rank(o.words, own->flag[r] + b, n_sums, r);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n_mine; i += THREADS) {
        float p[SIZE];
#pragma unroll
        for (int from = 0; from < SIZE; from++) p[from] = __ldcg(place_of(own, set, SIZE, from) + i);
        const float sum = add_parts(p);
        if (y)
            y[first + i] = __ldcg(y + first + i) + sum;
        else
            x[first + i] = sum;
    }
    if (threadIdx.x == 0) own->n_sums[b] = n_sums;
}

extern "C" void *mg_cuda_join_group(const mg_ops *ops)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    cuda->is_in_group = true;
    return cuda->stream;
}

extern "C" mg_status mg_cuda_tree_sum(const mg_ops *ops, float *y, float *x, const float *parts, int n_parts,
                                      int64_t n)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const unsigned grid = mg_blocks(n, THREADS);

    MG_REQUIRE(n_parts == 2 || n_parts == 4 || n_parts == 8);
    if (n_parts == 2) MG_RUN(cuda, tree_sum<2>, grid, THREADS, 0, y, x, parts, n);
    if (n_parts == 4) MG_RUN(cuda, tree_sum<4>, grid, THREADS, 0, y, x, parts, n);
    if (n_parts == 8) MG_RUN(cuda, tree_sum<8>, grid, THREADS, 0, y, x, parts, n);
    return MG_OK;
}

extern "C" size_t mg_cuda_oneshot_bytes(int size)
{
    return sizeof(mailbox) + (size_t)2 * size * BLOCKS * MOST_PIECE * sizeof(float);
}

extern "C" int64_t mg_cuda_oneshot_floats(void)
{
    return (int64_t)BLOCKS * MOST_PIECE;
}

/* As many blocks as there is work for; every rank counts alike. */
static mg_status run_oneshot(mg_cuda *cuda, const mg_oneshot *o, float *y, float *x, int64_t n)
{
    int64_t piece = mg_ceil_div(n, BLOCKS);

    piece = piece < LEAST_PIECE ? (int64_t)LEAST_PIECE : mg_ceil_div(piece, THREADS) * THREADS;
    const unsigned grid = mg_blocks(n, (int)piece);
    switch (o->size) {
    case 2: MG_RUN_COLLECTIVE(cuda, oneshot_k<2>, grid, THREADS, 0, *o, y, x, n, (int)piece); break;
    case 4: MG_RUN_COLLECTIVE(cuda, oneshot_k<4>, grid, THREADS, 0, *o, y, x, n, (int)piece); break;
    default: MG_RUN_COLLECTIVE(cuda, oneshot_k<8>, grid, THREADS, 0, *o, y, x, n, (int)piece); break;
    }
    return MG_OK;
}

extern "C" mg_status mg_cuda_oneshot_sum(const mg_ops *ops, const mg_oneshot *o, float *y, float *x,
                                         int64_t n)
{
    const int64_t most = mg_cuda_oneshot_floats();
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_REQUIRE(o->size == 2 || o->size == 4 || o->size == 8);
    for (int64_t at = 0; at < n; at += most)
        MG_RETURN(run_oneshot(cuda, o, y ? y + at : NULL, x + at, mg_smaller(most, n - at)));
    return MG_OK;
}
