/* Shadow: bf16 as bits, rounded to the nearest even value; NaN becomes 0x7fff as on the device. */
#ifndef MG_SHADOW_CUDA_BF16_H
#define MG_SHADOW_CUDA_BF16_H

#include "cuda_runtime.h"

struct __nv_bfloat16 {
    unsigned short v;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

static inline float __bfloat162float(__nv_bfloat16 h)
{
    return sim::bf16_value(h.v);
}
static inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
    const unsigned u = __float_as_uint(f);
    if (f != f) return {0x7fff};
    return {static_cast<unsigned short>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
static inline __nv_bfloat16 __float2bfloat16(float f)
{
    return __float2bfloat16_rn(f);
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
static inline float2 __bfloat1622float2(__nv_bfloat162 h)
{
    return {__bfloat162float(h.x), __bfloat162float(h.y)};
}
static inline float __low2float(__nv_bfloat162 h)
{
    return __bfloat162float(h.x);
}
static inline float __high2float(__nv_bfloat162 h)
{
    return __bfloat162float(h.y);
}
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h)
{
    return h.v;
}
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short v)
{
    return {v};
}

#endif
