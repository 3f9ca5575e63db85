/* Shadow: fp16 as bits, rounded to the nearest even value; NaN becomes 0x7fff as on the device. */
#ifndef MG_SHADOW_CUDA_FP16_H
#define MG_SHADOW_CUDA_FP16_H

#include "cuda_runtime.h"

struct __half {
    unsigned short v;
};
struct alignas(4) __half2 {
    __half x, y;
};
typedef __half half;
typedef __half2 half2;

static inline float __half2float(__half h)
{
    return sim::f16_value(h.v);
}
static inline __half __float2half_rn(float f)
{
    const unsigned u = __float_as_uint(f), sign = (u >> 16) & 0x8000u, size = u & 0x7fffffffu;
    if (size > 0x7f800000u) return {0x7fff};
    if (size >= 0x477ff000u) return {static_cast<unsigned short>(sign | 0x7c00u)}; /* rounds past 65504 */
    if (size < 0x38800000u) { /* below the smallest normal: a multiple of 2^-24 */
        const float scaled = nearbyintf(__uint_as_float(size) * 16777216.0f);
        return {static_cast<unsigned short>(sign | static_cast<unsigned>(scaled))};
    }
    const unsigned rounded = size + 0xfffu + ((size >> 13) & 1u);
    return {static_cast<unsigned short>(sign | ((rounded - 0x38000000u) >> 13))};
}
static inline __half __float2half(float f)
{
    return __float2half_rn(f);
}
static inline __half2 __floats2half2_rn(float x, float y)
{
    return {__float2half_rn(x), __float2half_rn(y)};
}
static inline float2 __half22float2(__half2 h)
{
    return {__half2float(h.x), __half2float(h.y)};
}
static inline float __low2float(__half2 h)
{
    return __half2float(h.x);
}
static inline float __high2float(__half2 h)
{
    return __half2float(h.y);
}
static inline unsigned short __half_as_ushort(__half h)
{
    return h.v;
}
static inline __half __ushort_as_half(unsigned short v)
{
    return {v};
}

#endif
