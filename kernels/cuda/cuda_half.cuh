/* The two half formats behind one name each, and the activations: what several kernels share. */
#ifndef MG_CUDA_HALF_CUH
#define MG_CUDA_HALF_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda_context.cuh"

#define MG_INLINE __device__ static __forceinline__

/* To fp32 and back, nearest even. A value past the largest fp16 becomes that one: weights and activations
 * stay finite, and not-a-number stays so. */
template <class T> struct mg_value;

template <> struct mg_value<float> {
    __device__ static float widen(float v) { return v; }
    __device__ static float narrow(float v) { return v; }
};

template <> struct mg_value<__nv_bfloat16> {
    __device__ static float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
    __device__ static __nv_bfloat16 narrow(float v) { return __float2bfloat16_rn(v); }
};

template <> struct mg_value<__half> {
    __device__ static float widen(__half v) { return __half2float(v); }
    __device__ static __half narrow(float v)
    {
        return __float2half_rn(v > 65504.0f ? 65504.0f : v < -65504.0f ? -65504.0f : v);
    }
};

/* The first fault stays. */
MG_INLINE void mg_note_fault(int32_t *fault, int kind, int value)
{
    if (atomicCAS(fault, MG_FAULT_NONE, kind) == MG_FAULT_NONE) fault[1] = value;
}

/* Eight halves in 16 bytes, or four floats, as fp32. */
template <class T> MG_INLINE void mg_unpack(float *to, uint4 from)
{
    const uint32_t word[4] = {from.x, from.y, from.z, from.w};
    const T *value = reinterpret_cast<const T *>(word);
#pragma unroll
    for (int i = 0; i < (int)(16 / sizeof(T)); i++) to[i] = mg_value<T>::widen(value[i]);
}

template <class T> MG_INLINE uint32_t mg_pair(float first, float second)
{
    union {
        T half[2];
        uint32_t word;
    } u = {{mg_value<T>::narrow(first), mg_value<T>::narrow(second)}};
    return u.word;
}

template <class T> MG_INLINE void mg_mma(float (&c)[4], uint4 a, uint2 b);

template <> __device__ __forceinline__ void mg_mma<__nv_bfloat16>(float (&c)[4], uint4 a, uint2 b)
{
    const uint32_t a_words[4] = {a.x, a.y, a.z, a.w}, b_words[2] = {b.x, b.y};
    mma_bf16(c, a_words, b_words);
}

template <> __device__ __forceinline__ void mg_mma<__half>(float (&c)[4], uint4 a, uint2 b)
{
    const uint32_t a_words[4] = {a.x, a.y, a.z, a.w}, b_words[2] = {b.x, b.y};
    mma_f16(c, a_words, b_words);
}

MG_INLINE float mg_activate(float x, int act)
{
    switch (act) {
    case MG_ACT_RELU: return x > 0 ? x : x == x ? 0.0f : x;
    case MG_ACT_GELU: return 0.5f * x * erfcf(x * -0.707106781f);
    case MG_ACT_GELU_TANH: return 0.5f * x * (1.0f + tanhf(0.797884561f * fmaf(0.044715f * x * x, x, x)));
    case MG_ACT_ELU: return x > 0 ? x : expm1f(x);
    default: return x;
    }
}

/* An epilogue's value: the bias, the activation, and y if it is added to. */
MG_INLINE float mg_finished(float sum, const float *bias, int act, bool accumulate, const float *y)
{
    const float v = mg_activate(bias ? *bias + sum : sum, act);

    return accumulate ? __ldcg(y) + v : v;
}

#endif
