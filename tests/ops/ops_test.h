/* What the op tests share: the backend at each level of this machine, reproducible random values, matrices
 * built through the front door. */
#ifndef OPS_TEST_H
#define OPS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format_of.h"
#include "rng.h"
#include "test_backend.h"
#include "tol.h"
#ifdef MG_TEST_CUDA
#include "host_view.h"
#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

typedef struct bench_ops {
    mg_threads *threads;
    mg_ops *ops;
} bench_ops;

static inline bench_ops ops_open(mg_cpu_level level, int n_threads)
{
    bench_ops b;

    assert_int_equal(mg_threads_open(&b.threads, n_threads, 0), MG_OK);
    assert_int_equal(test_backend_open(&b.ops, level, b.threads), MG_OK);
#ifdef MG_TEST_CUDA
    assert_int_equal(host_view_open(&b.ops, b.ops), MG_OK);
#endif
    return b;
}

static inline void ops_close(bench_ops *b)
{
    mg_ops_close(b->ops);
    mg_threads_close(b->threads);
}

/* Sums of four uniforms, variance 1: near enough to normal. */
static inline float random_value(uint32_t stream, int64_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), stream, 0}, key[2] = {1, 2};
    uint32_t u[4];
    double sum = 0;

    mg_philox(u, counter, key);
    for (int k = 0; k < 4; k++) sum += u[k] * 0x1p-32 - 0.5;
    return (float)(sum * 1.7320508);
}

static inline float *random_floats(uint32_t stream, int64_t n)
{
    float *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = random_value(stream, i);
    return x;
}

static inline float rounded(float x, mg_dtype dtype)
{
    if (dtype == MG_BF16) return mg_bf16_to_f32(mg_f32_to_bf16(x));
    if (dtype == MG_F16) return mg_f16_to_f32(mg_f32_to_f16(x));
    return x;
}

/* A matrix over fresh memory, loaded from rows of fp32 at w, `stride` apart. Free with matrix_drop. */
static inline mg_matrix matrix_make(const mg_ops *ops, mg_dtype dtype, int64_t n_out, int64_t n_in,
                                    int n_slices, const float *w, int64_t stride)
{
    mg_matrix m = {format_of(dtype), n_out, n_in, n_slices, NULL};
    const mg_host_matrix src = {
        .data = w, .dtype = MG_F32, .n_rows = n_out, .n_cols = n_in, .row_stride = stride};
    int64_t n_bad = 0;

    assert_int_equal(mg_ops_alloc(ops, &m.data, mg_matrix_bytes(ops, &m)), MG_OK);
    assert_int_equal(mg_matrix_load(ops, &m, 0, &src, &n_bad), MG_OK);
    assert_int_equal(n_bad, 0);
    return m;
}

static inline void matrix_drop(const mg_ops *ops, mg_matrix *m)
{
    mg_ops_release(ops, m->data, mg_matrix_bytes(ops, m));
}

/* y [N, n_out] = act(x w^T + bias) through the front door. */
static inline void linear(const mg_ops *ops, float *y, float *x, int64_t N, const mg_matrix *w, float *bias,
                          mg_act act, bool accumulate)
{
    mg_tensor ty = mg_tensor_2d(y, MG_F32, N, w->n_out), tx = mg_tensor_2d(x, MG_F32, N, w->n_in);
    mg_tensor tb = mg_tensor_1d(bias, MG_F32, w->n_out);

    assert_int_equal(mg_linear(ops, &ty, &tx, w, bias ? &tb : NULL, act, accumulate), MG_OK);
}

#endif
