/* The codec's inner loops over vectors: dot products and the LSTM cell. Included by cpu_codec_kernels.c and
 * its _avx2, _avx512 and _neon siblings, once per level. */
#ifndef MG_CPU_CODEC_BODY_H
#define MG_CPU_CODEC_BODY_H

#include "cpu_codec_kernels.h"
#include "cpu_sums.h"

VF vf vf_sigmoid(vf x)
{
    const vf e = vf_exp((vf)((vu)x | 0x80000000u)); /* of -|x|: nothing overflows */

    return vf_pick((vu)(x < 0), e, vf_set(1)) / (e + vf_set(1));
}

/* tanh(-|x|) = m / (2 + m), m = expm1(-2|x|): full accuracy near zero too */
VF vf vf_tanh(vf x)
{
    const vf m = vf_elu((vf)((vu)(x + x) | 0x80000000u)), t = m / (m + vf_set(2));

    return (vf)(((vu)t & 0x7FFFFFFFu) | ((vu)x & 0x80000000u));
}

/* n_rows is a constant where this is inlined: the sums stay in registers. */
VF void dot_rows(float *y, const float *x, int n_rows, const mg_cpu_dots *d, int64_t o)
{
    const int64_t n = d->run_count, whole = n / SUM_LANES * SUM_LANES;
    vs sum[4] = {vs_set(0), vs_set(0), vs_set(0), vs_set(0)};

    for (int64_t run = 0; run < d->n_runs; run++) {
        const float *a = x + run * d->run_stride, *w = d->w + (o * d->n_runs + run) * n;
        for (int64_t i = 0; i < whole; i += SUM_LANES)
            for (int r = 0; r < n_rows; r++)
                sum[r] = vs_fma(vs_load(a + r * d->row_stride + i), vs_load(w + i), sum[r]);
        if (whole == n) continue;
        const vs w_tail = vs_load_some(w + whole, n - whole);
        for (int r = 0; r < n_rows; r++)
            sum[r] = vs_fma(vs_load_some(a + r * d->row_stride + whole, n - whole), w_tail, sum[r]);
    }
    for (int r = 0; r < n_rows; r++) {
        const float value = vs_sum(sum[r]) + (d->bias ? d->bias[o] : 0.0F);
        y[r * d->c_out + o] = d->accumulate ? y[r * d->c_out + o] + value : value;
    }
}

static void dots(float *y, const float *x, int64_t n_rows, const mg_cpu_dots *d)
{
    for (int64_t o = 0; o < d->c_out; o++) {
        int64_t r = 0;
        for (; r + 4 <= n_rows; r += 4) dot_rows(y + r * d->c_out, x + r * d->row_stride, 4, d, o);
        for (; r < n_rows; r++) dot_rows(y + r * d->c_out, x + r * d->row_stride, 1, d, o);
    }
}

static void lstm_cell(float *h, float *c, const float *gates, int64_t C)
{
    for (int64_t i = 0; i < C; i += LANES) {
        const int64_t n = C - i;
        const vf in = vf_sigmoid(vf_load_some(gates + i, n));
        const vf forget = vf_sigmoid(vf_load_some(gates + C + i, n));
        const vf cell = vf_tanh(vf_load_some(gates + 2 * C + i, n));
        const vf out = vf_sigmoid(vf_load_some(gates + 3 * C + i, n));
        const vf c_new = vf_fma(forget, vf_load_some(c + i, n), in * cell);
        vf_store_some(c + i, c_new, n);
        vf_store_some(h + i, out * vf_tanh(c_new), n);
    }
}

#endif
