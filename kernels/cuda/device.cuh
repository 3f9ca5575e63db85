/* What a kernel may use beside plain CUDA: one file, because this is the only one that knows whether nvcc
 * compiles it or the host compiler under tests/cuda_on_cpu. Everything has one meaning on both.
 *
 * Rules for kernels (docs/GPU.md says why):
 *   launch with MG_LAUNCH; shared memory by MG_SHARED and MG_DYNAMIC_SHARED alone; one __syncthreads() a line
 *   a block is a multiple of 32 threads; warp operations name their mask, which is the whole warp
 *   flags between blocks or GPUs are read by ld_acquire and written by st_release; a loop that waits for one
 *   calls __nanosleep, or look_again where the wait is of a microsecond
 *   pointers are arguments, not members of struct arguments that live on the host
 *   no atomicAdd on floats, no thread fences: the order of every sum is fixed */
#ifndef MG_DEVICE_CUH
#define MG_DEVICE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

template <typename T> struct mg_type_of {
    typedef T type;
};

#ifdef __CUDACC__

/* MG_LAUNCH((kernel<2, false>), grid, block, dynamic shared bytes, stream, arguments…) */
#define MG_LAUNCH(kernel, grid, block, smem, stream, ...) (kernel)<<<grid, block, smem, stream>>>(__VA_ARGS__)

/* The same; with `overlap` (sm_90 and later) the kernel may start before its predecessor in the stream ends.
 * It must call wait_for_predecessor() before it reads what that wrote, or writes what that reads. */
template <typename... P, typename... A>
static inline void mg_launch_overlapping(bool overlap, void (*kernel)(P...), dim3 grid, dim3 block,
                                         size_t smem, cudaStream_t stream, A... args)
{
    cudaLaunchAttribute how = {};
    how.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    how.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block;
    config.dynamicSmemBytes = smem, config.stream = stream;
    config.attrs = &how, config.numAttrs = overlap ? 1 : 0;
    cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...);
}
#define MG_LAUNCH_OVERLAPPING(overlap, kernel, grid, block, smem, stream, ...) \
    mg_launch_overlapping(overlap, kernel, grid, block, smem, stream, __VA_ARGS__)
/* The same, of a kernel that waits for the GPUs of other ranks. */
#define MG_LAUNCH_COLLECTIVE MG_LAUNCH_OVERLAPPING

/* MG_SHARED(part, float[8]); in a kernel: `part` is a reference to a block's own float[8]. */
#define MG_SHARED(name, ...) __shared__ typename mg_type_of<__VA_ARGS__>::type name
/* The dynamic shared memory of the launch as T *name, aligned to 16 bytes. Once a kernel. */
#define MG_DYNAMIC_SHARED(T, name)         \
    extern __shared__ float4 mg_dynamic[]; \
    T *const name = reinterpret_cast<T *>(mg_dynamic)

#else

#define MG_LAUNCH(kernel, grid, block, smem, stream, ...) \
    sim::launch(#kernel, false, false, kernel, grid, block, smem, stream, __VA_ARGS__)
#define MG_LAUNCH_OVERLAPPING(overlap, kernel, grid, block, smem, stream, ...) \
    sim::launch(#kernel, overlap, false, kernel, grid, block, smem, stream, __VA_ARGS__)
#define MG_LAUNCH_COLLECTIVE(overlap, kernel, grid, block, smem, stream, ...) \
    sim::launch(#kernel, overlap, true, kernel, grid, block, smem, stream, __VA_ARGS__)
#define MG_SHARED(name, ...)                                                     \
    static const char name##_key = 0;                                            \
    auto &name = *static_cast<typename mg_type_of<__VA_ARGS__>::type *>(         \
        sim::shared(&name##_key, sizeof(typename mg_type_of<__VA_ARGS__>::type), \
                    alignof(typename mg_type_of<__VA_ARGS__>::type)))
#define MG_DYNAMIC_SHARED(T, name) T *const name = static_cast<T *>(sim::dynamic_shared())

#endif

/* ---- Overlap with the predecessor in the stream (sm_90 and later; nothing elsewhere) ---- */

/* Lets the next kernel start its blocks, which wait in the SMs from then on. Call it first, but for a kernel
 * that lasts. */
static __device__ __forceinline__ void let_successor_start()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Returns when the predecessor has ended and its writes can be read. A whole block may end without it, if it
 * has read and written nothing of others' work; but one block of every grid must call it: the successor waits
 * for this grid alone, and so for the kernel before it. */
static __device__ __forceinline__ void wait_for_predecessor()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#elif !defined(__CUDACC__)
    sim::wait_for_predecessor();
#endif
}

/* What is computed of v is computed here, not later where the compiler first needs it: before a wait, say. */
template <typename T> static __device__ __forceinline__ void compute_here(T *&p)
{
#ifdef __CUDA_ARCH__
    asm volatile("" : "+l"(p));
#else
    (void)p;
#endif
}

static __device__ __forceinline__ void compute_here(unsigned &v)
{
#ifdef __CUDA_ARCH__
    asm volatile("" : "+r"(v));
#else
    (void)v;
#endif
}

/* ---- Memory ---- */

/* 16 bytes of weights, read once: past L1, and never moved behind wait_for_predecessor(), which a
 * non-coherent load would be (the compiler is free to, and does). */
static __device__ __forceinline__ uint4 ld_weights(const uint4 *p)
{
#ifdef __CUDA_ARCH__
    uint4 v;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
#else
    return *p;
#endif
}

/* Flags among blocks of a GPU, GPUs of a host and the host: what was written before st_release is seen after
 * the ld_acquire that reads it. */
static __device__ __forceinline__ uint32_t ld_acquire(const uint32_t *p)
{
#ifdef __CUDA_ARCH__
    uint32_t v;
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
#else
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
#endif
}

static __device__ __forceinline__ void st_release(uint32_t *p, uint32_t v)
{
#ifdef __CUDA_ARCH__
    asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
#else
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
#endif
}

/* Words that are their own flags, among blocks of a GPU: what is read here says nothing of other memory. */
static __device__ __forceinline__ uint4 ld_relaxed(const uint4 *p)
{
#ifdef __CUDA_ARCH__
    uint4 v;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
#else
    return uint4{__atomic_load_n(&p->x, __ATOMIC_RELAXED), __atomic_load_n(&p->y, __ATOMIC_RELAXED),
                 __atomic_load_n(&p->z, __ATOMIC_RELAXED), __atomic_load_n(&p->w, __ATOMIC_RELAXED)};
#endif
}

static __device__ __forceinline__ uint32_t ld_relaxed(const uint32_t *p)
{
#ifdef __CUDA_ARCH__
    uint32_t v;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
#else
    return __atomic_load_n(p, __ATOMIC_RELAXED);
#endif
}

static __device__ __forceinline__ void st_relaxed(uint32_t *p, uint32_t v)
{
#ifdef __CUDA_ARCH__
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
#else
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
#endif
}

/* Between two looks at a word that another block is about to write. */
static __device__ __forceinline__ void look_again()
{
#ifndef __CUDACC__
    __nanosleep(0);
#endif
}

/* Adds, and returns what was there. Acquires and releases: the last block to arrive at a counter sees what
 * all others wrote before they arrived. A block syncs its threads before one of them calls it, and after. */
static __device__ __forceinline__ uint32_t atomic_add_ordered(uint32_t *p, uint32_t n)
{
#ifdef __CUDA_ARCH__
    uint32_t old;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(n) : "memory");
    return old;
#else
    return __atomic_fetch_add(p, n, __ATOMIC_ACQ_REL);
#endif
}

/* A copy of 16 bytes, global to shared, that goes on while the thread does: in flight until
 * cp_async_wait<N>() says that all but the N groups committed last have landed, for this thread's own copies;
 * __syncthreads() then for the block's. */
static __device__ __forceinline__ void cp_async16(void *shared_dst, const void *global_src)
{
#ifdef __CUDA_ARCH__
    const uint32_t dst = (uint32_t)__cvta_generic_to_shared(shared_dst);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(dst), "l"(global_src) : "memory");
#elif !defined(__CUDACC__)
    sim::cp_async16(shared_dst, global_src);
#endif
}

/* The same, or 16 bytes of zeros, for which nothing is read. */
static __device__ __forceinline__ void cp_async16_or_zeros(void *shared_dst, const void *global_src,
                                                           bool is_there)
{
#ifdef __CUDA_ARCH__
    const uint32_t dst = (uint32_t)__cvta_generic_to_shared(shared_dst);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(global_src),
                 "r"(is_there ? 16 : 0)
                 : "memory");
#elif !defined(__CUDACC__)
    if (is_there)
        sim::cp_async16(shared_dst, global_src);
    else
        *static_cast<uint4 *>(shared_dst) = make_uint4(0, 0, 0, 0);
#endif
}

static __device__ __forceinline__ void cp_async_commit()
{
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.commit_group;" ::: "memory");
#elif !defined(__CUDACC__)
    sim::cp_async_commit();
#endif
}

template <int N> static __device__ __forceinline__ void cp_async_wait()
{
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#elif !defined(__CUDACC__)
    sim::cp_async_wait(N);
#endif
}

/* ---- Sums in a fixed order ---- */

/* The sum over the lanes of each group of WIDTH, as the binary tree ((l0+l1)+(l2+l3))+…, on every lane. */
template <int WIDTH = 32> static __device__ __forceinline__ float warp_sum(float v)
{
#pragma unroll
    for (int o = 1; o < WIDTH; o *= 2) v += __shfl_xor_sync(0xffffffffu, v, o);
    return v;
}

/* warp_sum of each of N values, N a power of two up to 32, bit for bit, with a fifth of the shuffles: every
 * step halves what a lane still adds. Value `return` of the N is in v[0], on every lane of one lane % N. */
template <int N, int HALF = N / 2, int O = 1> static __device__ __forceinline__ int warp_sums(float (&v)[N])
{
    const int lane = (int)threadIdx.x % 32;

    if constexpr (HALF > 0) {
        const bool upper = lane & O;
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            const float mine = upper ? v[i + HALF] : v[i], other = upper ? v[i] : v[i + HALF];
            v[i] = mine + __shfl_xor_sync(0xffffffffu, other, O);
        }
        return (upper ? HALF : 0) + warp_sums<N, HALF / 2, 2 * O>(v);
    } else {
#pragma unroll
        for (int o = O; o < 32; o *= 2) v[0] += __shfl_xor_sync(0xffffffffu, v[0], o);
        return 0;
    }
}

template <int WIDTH = 32> static __device__ __forceinline__ float warp_max(float v)
{
#pragma unroll
    for (int o = 1; o < WIDTH; o *= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
    return v;
}

/* The sum over a block's threads, on every thread: warps first, then the warps' sums in ascending order.
 * Every thread calls it. `scratch` is shared, [32], and free again for another use after a __syncthreads().
 */
static __device__ __forceinline__ float block_sum(float v, float *scratch)
{
    const int n_warps = (int)blockDim.x / 32;

    v = warp_sum(v);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    v = scratch[0];
    for (int i = 1; i < n_warps; i++) v += scratch[i];
    return v;
}

static __device__ __forceinline__ float block_max(float v, float *scratch)
{
    const int n_warps = (int)blockDim.x / 32;

    v = warp_max(v);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    v = scratch[0];
    for (int i = 1; i < n_warps; i++) v = fmaxf(v, scratch[i]);
    return v;
}

/* All blocks of the grid meet; what a block wrote before is seen by all after. The grid must be resident at
 * once (cudaOccupancyMaxActiveBlocksPerMultiprocessor times the SMs). counter: device memory, 0 before the
 * first launch; it goes on counting, so every grid that uses one has the same number of blocks. 1D grids. */
static __device__ __forceinline__ void grid_barrier(uint32_t *counter)
{
    __syncthreads(); /* kept: what the block wrote; the LSTM has one of its own before */
    if (threadIdx.x == 0) {
        const uint32_t n = gridDim.x, before = atomic_add_ordered(counter, 1);
        const uint32_t goal = before / n * n + n;
        while ((int32_t)(ld_acquire(counter) - goal) < 0) __nanosleep(64);
    }
    __syncthreads();
}

/* ---- Tensor cores: c [16,8] += a [16,16] b [16,8], fp32 sums, one warp ----
 * Lane l = 4g + t holds a: (row g, cols 2t 2t+1), (g+8, 2t…), (g, 2t+8…), (g+8, 2t+8…), two values a word,
 * the lower column in the lower half · b: (rows 2t 2t+1, col g), (rows 2t+8 2t+9, col g) · c: (g, 2t), (g,
 * 2t+1), (g+8, 2t), (g+8, 2t+1). On the host the sum goes over ascending k, which is not a tensor core's
 * rounding. */
static __device__ __forceinline__ void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#ifdef __CUDA_ARCH__
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif !defined(__CUDACC__)
    sim::mma_bf16(c, a, b);
#endif
}

static __device__ __forceinline__ void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#ifdef __CUDA_ARCH__
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif !defined(__CUDACC__)
    sim::mma_f16(c, a, b);
#endif
}

#endif
