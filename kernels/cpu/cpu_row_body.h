/* Element-wise ops and norms over one row, for one level. Included by cpu_kernels*.c only. */
#include <math.h>

#include "cpu_kernels.h"
#include "cpu_sums.h"

/* The first n lanes of a vector of y. */
VF void finish_lanes(float *y, const float *sum, const float *bias, int64_t n, const mg_act act,
                     bool accumulate)
{
    vf v = vf_load(sum);

    if (bias) v = vf_load_some(bias, n) + v;
    v = vf_act(v, act);
    if (accumulate) v = vf_load_some(y, n) + v;
    vf_store_some(y, v, n);
}

VF void finish_as(float *y, int64_t ldy, const float *sum, const float *bias, int64_t n_rows, int64_t n,
                  const mg_act act, bool accumulate)
{
    const int64_t whole = n / LANES * LANES;

    for (int64_t r = 0; r < n_rows; r++, y += ldy, sum += MG_CPU_SUM_WIDTH) {
        for (int64_t i = 0; i < whole; i += LANES)
            finish_lanes(y + i, sum + i, bias ? bias + i : NULL, LANES, act, accumulate);
        if (whole < n)
            finish_lanes(y + whole, sum + whole, bias ? bias + whole : NULL, n - whole, act, accumulate);
    }
}

static void finish(float *y, int64_t ldy, const float *sum, const float *bias, int64_t n_rows, int64_t n,
                   mg_act act, bool accumulate)
{
    switch (act) {
    case MG_ACT_NONE: finish_as(y, ldy, sum, bias, n_rows, n, MG_ACT_NONE, accumulate); break;
    case MG_ACT_RELU: finish_as(y, ldy, sum, bias, n_rows, n, MG_ACT_RELU, accumulate); break;
    case MG_ACT_GELU: finish_as(y, ldy, sum, bias, n_rows, n, MG_ACT_GELU, accumulate); break;
    case MG_ACT_GELU_TANH: finish_as(y, ldy, sum, bias, n_rows, n, MG_ACT_GELU_TANH, accumulate); break;
    case MG_ACT_ELU: finish_as(y, ldy, sum, bias, n_rows, n, MG_ACT_ELU, accumulate); break;
    }
}

VF void act_as(float *y, const float *x, int64_t n, const mg_act act)
{
    for (; n >= LANES; n -= LANES, x += LANES, y += LANES) vf_store(y, vf_act(vf_load(x), act));
    if (n > 0) vf_store_some(y, vf_act(vf_load_some(x, n), act), n);
}

static void act_row(float *y, const float *x, int64_t n, mg_act act)
{
    switch (act) {
    case MG_ACT_NONE: act_as(y, x, n, MG_ACT_NONE); break;
    case MG_ACT_RELU: act_as(y, x, n, MG_ACT_RELU); break;
    case MG_ACT_GELU: act_as(y, x, n, MG_ACT_GELU); break;
    case MG_ACT_GELU_TANH: act_as(y, x, n, MG_ACT_GELU_TANH); break;
    case MG_ACT_ELU: act_as(y, x, n, MG_ACT_ELU); break;
    }
}

static void add(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_some(y + i, vf_load_some(y + i, n - i) + vf_load_some(x + i, n - i), n - i);
}

static void mul(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_some(y + i, vf_load_some(y + i, n - i) * vf_load_some(x + i, n - i), n - i);
}

/* part += v, or v^2, over SUM_LANES values from d on; past D they count as zero. */
VF vs add_values(vs part, const float *x, int64_t D, int64_t d, float shift, const bool square)
{
    const vs v = vs_keep(vs_sub(vs_load_some(x + d, D - d), vs_set(shift)), D - d);

    if (square) return vs_fma(v, v, part);
    return vs_add(part, v);
}

/* Sum over d of x - shift, or of its square; four times SUM_LANES partial sums, combined as a tree. */
VF float sum_row(const float *x, int64_t D, float shift, const bool square)
{
    vs part[4] = {vs_set(0), vs_set(0), vs_set(0), vs_set(0)};
    int64_t d = 0;

    for (; d + 4 * SUM_LANES <= D; d += 4 * SUM_LANES)
        UNROLL for (int c = 0; c < 4; c++) part[c] =
            add_values(part[c], x, D, d + c * SUM_LANES, shift, square);
    UNROLL for (int c = 0; c < 4; c++)
    {
        if (d + c * SUM_LANES < D) part[c] = add_values(part[c], x, D, d + c * SUM_LANES, shift, square);
    }
    return vs_sum(vs_add(vs_add(part[0], part[1]), vs_add(part[2], part[3])));
}

static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, int64_t D, float eps)
{
    const float mean = sum_row(x, D, 0, false) / (float)D;
    const vf scale = vf_set(1 / sqrtf(sum_row(x, D, mean, true) / (float)D + eps)), shift = vf_set(mean);

    for (int64_t d = 0; d < D; d += LANES) {
        const vf v = (vf_load_some(x + d, D - d) - shift) * scale;
        const vf g = vf_load_some(gamma + d, D - d), b = vf_load_some(beta + d, D - d);
        vf_store_some(y + d, vf_fma(v, g, b), D - d);
    }
}

static void rms_norm(float *y, const float *x, const float *gamma, int64_t D, float eps)
{
    const vf scale = vf_set(1 / sqrtf(sum_row(x, D, 0, true) / (float)D + eps));

    for (int64_t d = 0; d < D; d += LANES)
        vf_store_some(y + d, vf_load_some(x + d, D - d) * scale * vf_load_some(gamma + d, D - d), D - d);
}

static void round_bf16(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += LANES) {
        uint16_t lane[LANES];
        vf_to_bf16(lane, vf_load_some(x + i, n - i));
        vf_store_some(y + i, vf_from_bf16(lane), n - i);
    }
}
