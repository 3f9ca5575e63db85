/* Exponentials and activations over vectors; included by cpu_kernels*.c through their bodies. */
#ifndef MG_CPU_MATH_H
#define MG_CPU_MATH_H

#include "cpu_vec.h"
#include "ops.h"

/* x = n ln 2 + r, |r| <= ln 2 / 2. Returns r; *scale = 2^n. For x in [-87.4, 88]. */
VF vf vf_reduce(vf x, vf *scale)
{
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: its last bits then hold n */
    const vf shifted = vf_fma(x, vf_set(1.44269504f), magic);
    const vf n = shifted - magic;

    *scale = (vf)(((vu)shifted << 23) + 0x3F800000u);
    return vf_fma(n, vf_set(2.12194440e-4f), vf_fma(n, vf_set(-0.693359375f), x));
}

/* e^r - 1 for |r| <= ln 2 / 2: Cephes' expf polynomial. */
VF vf vf_expm1_core(vf r)
{
    vf p = vf_set(1.9875691500e-4f);

    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    return vf_fma(p * r, r, r);
}

/* e^x for x <= 88; zero below the least normal number. Not a number stays so. */
VF vf vf_exp(vf x)
{
    const vf low = vf_set(-87.3365447f);
    vf scale;
    const vf y = vf_expm1_core(vf_reduce(vf_max(low, x), &scale)) + vf_set(1);

    return vf_pick((vu)(x < low), vf_set(0), y * scale);
}

VF vf vf_elu(vf x)
{
    vf scale;
    const vf core = vf_expm1_core(vf_reduce(vf_max(vf_set(-20), vf_pick((vu)(x > 0), vf_set(0), x)), &scale));

    return vf_pick((vu)(x > 0), x, vf_fma(core, scale, scale - vf_set(1)));
}

/* x Phi(x). The normal tail Phi(-z) = t P(t) e^(-z^2/2), t = 1/(1 + 0.35 z): P is our least-maximum fit over
 * z in [0, 14], relative error 3.2e-8. */
VF vf vf_gelu(vf x)
{
    const vf z = vf_abs(x), t = vf_set(1) / vf_fma(z, vf_set(0.35f), vf_set(1));
    vf p = vf_set(-2.914602682e-02f);

    p = vf_fma(p, t, vf_set(1.439721584e-01f));
    p = vf_fma(p, t, vf_set(-2.557151914e-01f));
    p = vf_fma(p, t, vf_set(1.591751873e-01f));
    p = vf_fma(p, t, vf_set(-2.311052009e-02f));
    p = vf_fma(p, t, vf_set(1.055082828e-01f));
    p = vf_fma(p, t, vf_set(1.198327988e-01f));
    p = vf_fma(p, t, vf_set(1.398618817e-01f));
    p = vf_fma(p, t, vf_set(1.396214068e-01f));
    const vf tail = p * t * vf_exp(z * z * vf_set(-0.5f)), part = x * tail;
    return vf_pick((vu)(x < 0), part, x - part);
}

/* 0.5 (1 + tanh u) = 1 / (1 + e^(-2u)), from e^(-|2u|) so that nothing overflows or cancels. */
VF vf vf_gelu_tanh(vf x)
{
    const vf u2 = vf_set(1.59576912f) * vf_fma(vf_set(0.044715f) * x * x, x, x);
    const vf e = vf_exp((vf)((vu)u2 | 0x80000000u));

    return x * (vf_pick((vu)(u2 < 0), e, vf_set(1)) / (e + vf_set(1)));
}

VF vf vf_act(vf x, mg_act act)
{
    switch (act) {
    case MG_ACT_NONE: return x;
    case MG_ACT_RELU: return vf_max(vf_set(0), x);
    case MG_ACT_GELU: return vf_gelu(x);
    case MG_ACT_GELU_TANH: return vf_gelu_tanh(x);
    case MG_ACT_ELU: return vf_elu(x);
    }
    return x;
}

#endif
