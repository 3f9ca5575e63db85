/* The lanes among which the values of a row are summed: value i belongs to lane i % SUM_LANES. They are one
 * vector; on NEON two, as many lanes as AVX2 has: so the sums of the level neon have the bits of avx2's, and
 * there are twice as many chains, half as long. Included by cpu_kernels*.c through their bodies. */
#ifndef MG_CPU_SUMS_H
#define MG_CPU_SUMS_H

#include "cpu_math.h"

#if defined(MG_CPU_FOR_NEON)
enum { SUM_LANES = 2 * LANES };

typedef struct vs {
    vf low, high;
} vs;

VF vs vs_set(float f)
{
    return (vs){vf_set(f), vf_set(f)};
}

VF vs vs_load(const float *p)
{
    return (vs){vf_load(p), vf_load(p + LANES)};
}

VF void vs_store(float *p, vs a)
{
    vf_store(p, a.low);
    vf_store(p + LANES, a.high);
}

VF vs vs_load_some(const float *p, int64_t n)
{
    if (n <= LANES) return (vs){vf_load_some(p, n), vf_set(0)};
    return (vs){vf_load(p), vf_load_some(p + LANES, n - LANES)};
}

VF vs vs_widen_some(const void *p, mg_dtype dtype, int64_t n)
{
    const int64_t bytes = LANES * (dtype == MG_F32 ? 4 : dtype == MG_I8 ? 1 : 2);

    if (n <= LANES) return (vs){vf_widen_some(p, dtype, n), vf_set(0)};
    return (vs){vf_widen(p, dtype), vf_widen_some((const char *)p + bytes, dtype, n - LANES)};
}

VF vs vs_add(vs a, vs b)
{
    return (vs){a.low + b.low, a.high + b.high};
}

VF vs vs_sub(vs a, vs b)
{
    return (vs){a.low - b.low, a.high - b.high};
}

VF vs vs_mul(vs a, vs b)
{
    return (vs){a.low * b.low, a.high * b.high};
}

VF vs vs_fma(vs a, vs b, vs c)
{
    return (vs){vf_fma(a.low, b.low, c.low), vf_fma(a.high, b.high, c.high)};
}

VF vs vs_max(vs a, vs b)
{
    return (vs){vf_max(a.low, b.low), vf_max(a.high, b.high)};
}

VF vs vs_exp(vs a)
{
    return (vs){vf_exp(a.low), vf_exp(a.high)};
}

VF vs vs_keep(vs a, int64_t n)
{
    if (n <= LANES) return (vs){vf_keep(a.low, n), vf_set(0)};
    return (vs){a.low, vf_keep(a.high, n - LANES)};
}

VF float vs_sum(vs a)
{
    return vf_sum(a.low + a.high);
}

VF vs vs_sum_each(vs *v)
{
    vf half[SUM_LANES];

    UNROLL for (int i = 0; i < SUM_LANES; i++) half[i] = v[i].low + v[i].high;
    return (vs){vf_sum_each(half), vf_sum_each(half + LANES)};
}

#else
enum { SUM_LANES = LANES };

#define vs            vf
#define vs_set        vf_set
#define vs_load       vf_load
#define vs_store      vf_store
#define vs_load_some  vf_load_some
#define vs_widen_some vf_widen_some
#define vs_add(a, b)  ((a) + (b))
#define vs_sub(a, b)  ((a) - (b))
#define vs_mul(a, b)  ((a) * (b))
#define vs_fma        vf_fma
#define vs_max        vf_max
#define vs_exp        vf_exp
#define vs_keep       vf_keep
#define vs_sum        vf_sum
#define vs_sum_each   vf_sum_each
#endif

#endif
