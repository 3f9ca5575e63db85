/* What the CUDA backend's files share: its state, how a CUDA error becomes a status, a launch. Inside the
 * backend.
 *
 * All work of an instance is in one stream, in the order in which it was asked for, but for what mg_fetch
 * copies. Scratch is taken once, at opening, and used by one op after the other; the host never waits but in
 * download and while weights are loaded. */
#ifndef MG_CUDA_CONTEXT_CUH
#define MG_CUDA_CONTEXT_CUH

#include <cuda_runtime.h>

#include "attended.h"
#include "device.cuh"

extern "C" {
#include "mg_cuda.h"
#include "numbers.h"
}

enum {
    MG_RING_PIECES = 8,
    MG_RING_BYTES = 512 << 10, /* of a piece of pinned memory */
    MG_MAX_TICKETS = 16384,    /* column tiles of a product over slices */
    MG_MAX_RECORDINGS = 256,
    MG_MOST_CHOICES = 64,
    MG_MOST_TOLD = 512,
    MG_OWN_SHARED = 256, /* bytes that kernels with dynamic shared memory may have of their own beside it */
};

/* What a kernel found wrong with an index that only the device knows. The first one stays, and the next
 * download reports it. */
enum mg_fault_kind {
    MG_FAULT_NONE,
    MG_FAULT_TOKEN,
    MG_FAULT_POSITION,
    MG_FAULT_CACHE,
    MG_FAULT_KEYS,
    MG_FAULT_CELL,
    MG_FAULT_DRAW
};

typedef struct mg_ring_piece {
    char *pinned;
    cudaEvent_t done; /* the copy out of it */
    bool in_flight;
} mg_ring_piece;

/* Of mg_fetch. */
typedef struct mg_lane {
    cudaEvent_t is_free, is_here; /* its target, of earlier work; its bytes */
} mg_lane;

/* A step that can be replayed. */
typedef struct mg_recording {
    uint64_t key;
    cudaGraphExec_t graph;
} mg_recording;

/* How 16-bit products of a shape are made, for as many rows as n_tiles of 8 hold (cuda_variants.cuh). */
typedef struct mg_choice {
    int64_t n_out, n_in;
    int32_t format, n_slices, with_norm, n_tiles;
    int32_t variant; /* -1: as the rule says */
} mg_choice;

/* What CUDA has been told of a kernel. */
typedef struct mg_told {
    const void *kernel;
    cudaFuncAttribute what;
} mg_told;

typedef struct mg_fast mg_fast; /* cuda_fast.cuh */

typedef struct mg_cuda {
    mg_cuda_settings settings;
    int n_sms, level;    /* level: 90 for compute capability 9.0 */
    uint64_t place;      /* of the device's memory, as ops.h means it */
    bool is_integrated;  /* … which is the host's, as in a Jetson or a DGX Spark */
    bool overlap;        /* kernels may start before their predecessors end */
    size_t shared_bytes; /* that a block may ask for */
    size_t shared_limit; /* that a kernel is allowed: all that the device has for a block */
    cudaStream_t stream;
    cudaEvent_t reached;
    cudaStream_t copier; /* of mg_fetch */
    mg_lane lane[MG_FETCH_LANES];
    mg_ring_piece ring[MG_RING_PIECES];
    int next_piece;
    size_t scratch_bytes;
    char *scratch;     /* device; a piece of the ring has its own part while weights are loaded */
    uint32_t *tickets; /* [MG_MAX_TICKETS] device, zero between products */
    int32_t *fault;    /* [2] device: kind, value */
    mg_recording steps[MG_MAX_RECORDINGS];
    int n_steps; /* recorded; the one that is being recorded or replayed comes first */
    bool recording;
    bool is_in_group; /* NCCL queues its work in the stream, too, and wants all ranks to record it together */
    int32_t *n_bad;   /* [1] device: NaN and Inf of a load */
    mg_fast *fast;    /* NULL: every product by our own kernels */
    mg_choice choices[MG_MOST_CHOICES];
    int n_choices;
    mg_told told[MG_MOST_TOLD];
    int n_told;
    bool tells_no_time; /* its events do not */
} mg_cuda;

/* The instance, and its device made the calling thread's: CUDA begins each host thread with the first one,
 * and refuses a launch into a stream of another. Every slot begins with it. */
mg_cuda *mg_cuda_of(const mg_ops *ops);

/* MG_OK, or what CUDA says about `what`: MG_EDEVICE; running out of memory is MG_EFIT. */
mg_status mg_cuda_check(cudaError_t error, const char *what);

#define MG_CUDA(call) MG_RETURN(mg_cuda_check((call), #call))

/* CUDA has been told that of the kernel, and has taken it. */
bool mg_is_told(const mg_cuda *cuda, const void *kernel, cudaFuncAttribute what);
void mg_note_told(mg_cuda *cuda, const void *kernel, cudaFuncAttribute what);

/* Sets an attribute once for each kernel and instance, and so for each device. Drivers have been seen to wait
 * for all copies under way at such a call, so one at each launch would stop the codec's thread, and steps
 * with layers outside. */
template <class K>
static inline mg_status mg_tell(mg_cuda *cuda, K *kernel, cudaFuncAttribute what, size_t value)
{
    const void *const name = reinterpret_cast<const void *>(kernel);

    if (mg_is_told(cuda, name, what)) return MG_OK;
    MG_RETURN(mg_cuda_check(cudaFuncSetAttribute(kernel, what, (int)value), "cudaFuncSetAttribute"));
    mg_note_told(cuda, name, what);
    return MG_OK;
}

/* Kernels that meet in an SM, those of the codec's stream and the language model's on any device, must agree
 * how its memory is divided, so all of them ask for as much shared memory as there is. */
template <class K> static inline mg_status mg_prepare(mg_cuda *cuda, K *kernel)
{
    return mg_tell(cuda, kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                   cudaSharedmemCarveoutMaxShared);
}

/* Launch and report what the launch itself refuses. Each kernel begins with let_successor_start (the LSTM's
 * ends with it), asks for weights at most, and then calls wait_for_predecessor: every thread of a block, or
 * none of it; one block of a grid at least (device.cuh). */
#define MG_RUN(cuda, kernel, grid, block, smem, ...)                                                    \
    do {                                                                                                \
        MG_RETURN(mg_prepare(cuda, kernel));                                                            \
        MG_LAUNCH_OVERLAPPING((cuda)->overlap, kernel, grid, block, smem, (cuda)->stream, __VA_ARGS__); \
        MG_RETURN(mg_cuda_check(cudaPeekAtLastError(), #kernel));                                       \
    } while (0)

/* The same, of a kernel that waits for the GPUs of other ranks. */
#define MG_RUN_COLLECTIVE(cuda, kernel, grid, block, smem, ...)                                        \
    do {                                                                                               \
        MG_RETURN(mg_prepare(cuda, kernel));                                                           \
        MG_LAUNCH_COLLECTIVE((cuda)->overlap, kernel, grid, block, smem, (cuda)->stream, __VA_ARGS__); \
        MG_RETURN(mg_cuda_check(cudaPeekAtLastError(), #kernel));                                      \
    } while (0)

/* Let a kernel have that much shared memory, if it is more than any may have: 48 KB, with what is its own. A
 * kernel has one limit for all threads, launches and recordings, so it is always set to the same: a lower one
 * would take from another thread, between this call and its launch, what it was allowed. */
template <class K> static inline mg_status mg_allow_shared(mg_cuda *cuda, K *kernel, size_t bytes)
{
    if (bytes <= (48 << 10) - MG_OWN_SHARED) return MG_OK;
    if (bytes > cuda->shared_limit) return mg_cuda_check(cudaErrorInvalidValue, "shared memory of a kernel");
    return mg_tell(cuda, kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, cuda->shared_limit);
}

/* Reads all of a block, 16 bytes at a time: the cache of the device holds that then, as far as it can, and
 * owes memory nothing. */
mg_status mg_read_through(mg_cuda *cuda, const void *block, size_t bytes);

/* Wait for all that was asked of the stream, looking after the group meanwhile (settings.check). */
mg_status mg_cuda_wait(mg_cuda *cuda);

/* The next piece of pinned memory, free for writing; send it with mg_ring_send. */
mg_status mg_ring_take(mg_cuda *cuda, mg_ring_piece **out);
mg_status mg_ring_send(mg_cuda *cuda, mg_ring_piece *piece, void *dst, size_t bytes);

static inline int64_t mg_ceil_div(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit;
}

static inline unsigned mg_blocks(int64_t n_threads, int per_block)
{
    return (unsigned)mg_ceil_div(n_threads, per_block);
}

#endif
