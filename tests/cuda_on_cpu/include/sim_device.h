/* Device words of the shadow headers: a kernel is a function that every thread of a block runs as a fibre. */
#ifndef MG_SIM_DEVICE_H
#define MG_SIM_DEVICE_H

#include <math.h>
#include <string.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
static inline int2 make_int2(int x, int y)
{
    return {x, y};
}
static inline int4 make_int4(int x, int y, int z, int w)
{
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}

namespace sim
{

/* What a thread sees of itself. The running thread's is *self. */
struct seat {
    dim3 thread_idx, block_idx;
};
extern seat *self;
extern dim3 grid_dim, block_dim;

enum class warp_kind { sync, shuffle, ballot, share };

/* A clock for events, which tell no time without it: it stands still but for kernels. From the first call on,
 * or with CUDA_ON_CPU=clock=SEED, each launch of `kernel` takes `us`, and every third one `more_us` on top;
 * other kernels take what the seed gives them, or 1 us. kernel NULL: forget all, and tell no time again. */
void set_cost(const void *kernel, double us, double more_us = 0);

/* Launches of it that the clock has seen. */
long n_launches(const void *kernel);

/* From now on launches are queued, counted and timed as ever, but their threads do nothing. */
void leave_out_threads(bool on);

/* Launches in the order in which they ran, once listen() was called: arguments of more than 8 bytes are 0. */
struct heard {
    const char *kernel;
    std::vector<uint64_t> arguments;
};
void listen();
std::vector<heard> take_heard();

/* Of all device memory but the block `except`. */
uint64_t hash_of_memory(const void *except);

/* Ends at once with a report: what, and where each thread of the block stands. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void barrier(const char *file, int line);
void nap();
void wait_for_predecessor();
uint64_t warp_op(warp_kind kind, unsigned mask, uint64_t value, unsigned src, const char *file, int line);

void *shared(const void *key, size_t bytes, size_t align);
void *dynamic_shared();

void cp_async16(void *dst, const void *src);
void cp_async_commit();
void cp_async_wait(int n_left);

inline float f32_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

inline float bf16_value(uint16_t h)
{
    return f32_of_bits(static_cast<uint32_t>(h) << 16);
}

inline float f16_value(uint16_t h)
{
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, size = static_cast<uint32_t>(h & 0x7fff)
                                                                          << 13;
    const float f = f32_of_bits(sign | size) * 0x1p112f; /* exact, whether it is normal or not */

    return (h & 0x7c00) == 0x7c00 ? f32_of_bits(sign | size | 0x7f800000u) : f;
}

/* mma.m16n8k16. */
void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
              const char *file = __builtin_FILE(), int line = __builtin_LINE());
void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
             const char *file = __builtin_FILE(), int line = __builtin_LINE());

template <typename T> uint64_t to_word(T v)
{
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "a register or two");
    uint64_t word = 0;
    memcpy(&word, &v, sizeof v);
    return word;
}
template <typename T> T from_word(uint64_t word)
{
    T v;
    memcpy(&v, &word, sizeof v);
    return v;
}

/* A launch: kept in its stream's queue with its arguments as they are now. */
struct call {
    const char *name;
    const void *function;
    dim3 grid, block;
    size_t smem_bytes;
    std::function<void()> body; /* one thread */
    bool overlaps;              /* may begin before its predecessor ends */
    bool waits_for_ranks;       /* its threads nap until other processes have done their part */
    std::vector<uint64_t> arguments;
};
void enqueue(cudaStream_t stream, call &&what);
void check_pointer(const char *kernel, int i_argument, const void *p);

template <typename T> void check_argument(const char *kernel, int i, const T &)
{
    static_assert(std::is_trivially_copyable<T>::value, "a kernel's argument is copied as bytes");
    (void)kernel, (void)i;
}
template <typename T> void check_argument(const char *kernel, int i, T *const &p)
{
    check_pointer(kernel, i, p);
}

template <typename T> uint64_t word_of_argument(const T &v)
{
    if constexpr (sizeof v <= 8)
        return to_word(v);
    else
        return 0;
}

template <typename... P, typename... A>
void launch(const char *name, bool overlaps, bool waits_for_ranks, void (*kernel)(P...), dim3 grid,
            dim3 block, size_t smem, cudaStream_t stream, A &&...args)
{
    const std::tuple<P...> frozen(static_cast<P>(args)...);
    int i = 0;
    std::apply([&](const auto &...p) { (check_argument(name, i++, p), ...); }, frozen);
    enqueue(stream, call{name,
                         reinterpret_cast<const void *>(kernel),
                         grid,
                         block,
                         smem,
                         [kernel, frozen] { std::apply(kernel, frozen); },
                         overlaps,
                         waits_for_ranks,
                         {word_of_argument(static_cast<P>(args))...}});
}

cudaError_t set_attribute(cudaFuncAttribute attr, const void *function, int value);
cudaError_t image_error();
int active_blocks(int n_threads, size_t smem_bytes);

} // namespace sim

#define threadIdx (sim::self->thread_idx)
#define blockIdx  (sim::self->block_idx)
#define gridDim   (sim::grid_dim)
#define blockDim  (sim::block_dim)
static const int warpSize = 32;

static inline void __syncthreads(const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
    sim::barrier(file, line);
}
static inline void __nanosleep(unsigned)
{
    sim::nap();
}
static inline void __syncwarp(unsigned mask = 0xffffffffu, const char *file = __builtin_FILE(),
                              int line = __builtin_LINE())
{
    sim::warp_op(sim::warp_kind::sync, mask, 0, sim::self->thread_idx.x % 32, file, line);
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T v, int src, int width = 32, const char *file = __builtin_FILE(),
                            int line = __builtin_LINE())
{
    const int lane = static_cast<int>(sim::self->thread_idx.x % 32),
              from = lane / width * width + (src & (width - 1));
    return sim::from_word<T>(sim::warp_op(sim::warp_kind::shuffle, mask, sim::to_word(v),
                                          static_cast<unsigned>(from), file, line));
}
template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32,
                                const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
    const int lane = static_cast<int>(sim::self->thread_idx.x % 32), src = lane ^ with;
    const int from = src / width > lane / width ? lane : src;
    return sim::from_word<T>(sim::warp_op(sim::warp_kind::shuffle, mask, sim::to_word(v),
                                          static_cast<unsigned>(from), file, line));
}
template <typename T>
static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32,
                                 const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
    const int lane = static_cast<int>(sim::self->thread_idx.x % 32), src = lane + static_cast<int>(by);
    const int from = src / width != lane / width ? lane : src;
    return sim::from_word<T>(sim::warp_op(sim::warp_kind::shuffle, mask, sim::to_word(v),
                                          static_cast<unsigned>(from), file, line));
}
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32,
                               const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
    const int lane = static_cast<int>(sim::self->thread_idx.x % 32), src = lane - static_cast<int>(by);
    const int from = src < lane / width * width ? lane : src;
    return sim::from_word<T>(sim::warp_op(sim::warp_kind::shuffle, mask, sim::to_word(v),
                                          static_cast<unsigned>(from), file, line));
}
static inline unsigned __ballot_sync(unsigned mask, int pred, const char *file = __builtin_FILE(),
                                     int line = __builtin_LINE())
{
    return static_cast<unsigned>(sim::warp_op(sim::warp_kind::ballot, mask, pred != 0, 0, file, line));
}
static inline int __any_sync(unsigned mask, int pred, const char *file = __builtin_FILE(),
                             int line = __builtin_LINE())
{
    return __ballot_sync(mask, pred, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int pred, const char *file = __builtin_FILE(),
                             int line = __builtin_LINE())
{
    return __ballot_sync(mask, pred, file, line) == mask;
}

/* Integers only: a float's sum would depend on the order of arrival. */
#define MG_SIM_ATOMICS(T)                                                                              \
    static inline T atomicAdd(T *p, T v)                                                               \
    {                                                                                                  \
        return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);                                             \
    }                                                                                                  \
    static inline T atomicOr(T *p, T v)                                                                \
    {                                                                                                  \
        return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);                                              \
    }                                                                                                  \
    static inline T atomicExch(T *p, T v)                                                              \
    {                                                                                                  \
        return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);                                            \
    }                                                                                                  \
    static inline T atomicCAS(T *p, T expected, T v)                                                   \
    {                                                                                                  \
        __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);       \
        return expected;                                                                               \
    }                                                                                                  \
    static inline T atomicMax(T *p, T v)                                                               \
    {                                                                                                  \
        T old = __atomic_load_n(p, __ATOMIC_RELAXED);                                                  \
        while (old < v &&                                                                              \
               !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} \
        return old;                                                                                    \
    }                                                                                                  \
    static inline T atomicMin(T *p, T v)                                                               \
    {                                                                                                  \
        T old = __atomic_load_n(p, __ATOMIC_RELAXED);                                                  \
        while (v < old &&                                                                              \
               !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} \
        return old;                                                                                    \
    }
MG_SIM_ATOMICS(int)
MG_SIM_ATOMICS(unsigned)
MG_SIM_ATOMICS(unsigned long long)
#undef MG_SIM_ATOMICS

template <typename T> static inline T __ldg(const T *p)
{
    return *p;
}
template <typename T> static inline T __ldcg(const T *p)
{
    return *p;
}
template <typename T> static inline T __ldcs(const T *p)
{
    return *p;
}
template <typename T> static inline T __ldca(const T *p)
{
    return *p;
}
template <typename T> static inline void __stcg(T *p, T v)
{
    *p = v;
}
template <typename T> static inline void __stcs(T *p, T v)
{
    *p = v;
}

static inline unsigned __float_as_uint(float v)
{
    return sim::from_word<unsigned>(sim::to_word(v));
}
static inline int __float_as_int(float v)
{
    return sim::from_word<int>(sim::to_word(v));
}
static inline float __uint_as_float(unsigned v)
{
    return sim::from_word<float>(sim::to_word(v));
}
static inline float __int_as_float(int v)
{
    return sim::from_word<float>(sim::to_word(v));
}
static inline long long __double_as_longlong(double v)
{
    return sim::from_word<long long>(sim::to_word(v));
}
static inline double __longlong_as_double(long long v)
{
    return sim::from_word<double>(sim::to_word(v));
}
static inline int __popc(unsigned v)
{
    return __builtin_popcount(v);
}
static inline int __clz(int v)
{
    return v ? __builtin_clz(static_cast<unsigned>(v)) : 32;
}
static inline int __ffs(int v)
{
    return __builtin_ffs(v);
}
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

static inline float __fadd_rn(float a, float b)
{
    return a + b;
}
static inline float __fsub_rn(float a, float b)
{
    return a - b;
}
static inline float __fmul_rn(float a, float b)
{
    return a * b;
}
static inline float __fdiv_rn(float a, float b)
{
    return a / b;
}
static inline float __fsqrt_rn(float a)
{
    return sqrtf(a);
}
static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
static inline double __dadd_rn(double a, double b)
{
    return a + b;
}
static inline double __dsub_rn(double a, double b)
{
    return a - b;
}
static inline double __dmul_rn(double a, double b)
{
    return a * b;
}
static inline double __ddiv_rn(double a, double b)
{
    return a / b;
}
static inline double __fma_rn(double a, double b, double c)
{
    return fma(a, b, c);
}
static inline float __int2float_rn(int v)
{
    return static_cast<float>(v);
}
static inline int __double2int_rn(double v)
{
    return static_cast<int>(nearbyint(v));
}
static inline float rsqrtf(float v)
{
    return 1.0f / sqrtf(v);
}

using std::max;
using std::min;

template <typename... P>
static inline cudaError_t cudaFuncSetAttribute(void (*f)(P...), cudaFuncAttribute attr, int value)
{
    return sim::set_attribute(attr, reinterpret_cast<const void *>(f), value);
}
template <typename... P>
static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *to, void (*)(P...))
{
    to->ptxVersion = 90;
    return sim::image_error();
}
template <typename... P>
static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void (*)(P...), int n_threads,
                                                                        size_t smem_bytes)
{
    *n = sim::active_blocks(n_threads, smem_bytes);
    return cudaSuccess;
}

#endif
