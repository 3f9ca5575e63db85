/* Matrix products: against fp64, and bit against bit however rows, columns, slices and threads are cut. */
#include "ops_test.h"

typedef struct shape {
    int64_t rows, n_out, n_in;
    int n_slices;
} shape;

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};

static const shape shapes[] = {
    {1, 1, 1, 1},     {2, 7, 3, 1},     {3, 16, 65, 1},   {5, 48, 64, 8},   {7, 65, 24, 8},
    {6, 64, 129, 1},  {9, 100, 56, 4},  {13, 80, 40, 2},  {70, 33, 77, 1},  {200, 64, 96, 1},
    {33, 128, 72, 8}, {4, 96, 1030, 2}, {250, 1, 448, 1}, {4, 48, 1100, 1},
};

/* The largest |error| / sum |x w| of y. */
static double worst_error(const float *y, const float *x, const float *w, const shape *s, mg_dtype dtype)
{
    double worst = 0;

    for (int64_t r = 0; r < s->rows; r++) {
        for (int64_t o = 0; o < s->n_out; o++) {
            double sum = 0, size = 1e-30;
            for (int64_t i = 0; i < s->n_in; i++) {
                const double a = rounded(x[r * s->n_in + i], test_rows_dtype(dtype));
                const double p = a * (double)rounded(w[o * s->n_in + i], dtype);
                sum += p, size += fabs(p);
            }
            worst = fmax(worst, fabs(y[r * s->n_out + o] - sum) / size);
        }
    }
    return worst;
}

static void test_products(void **state)
{
    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int d = 0; d < COUNT(dtypes); d++) {
            double worst = 0;
            char what[64];
            for (int i = 0; i < COUNT(shapes); i++) {
                const shape *s = &shapes[i];
                float *x = random_floats(1, s->rows * s->n_in), *w = random_floats(2, s->n_out * s->n_in);
                float *y = random_floats(3, s->rows * s->n_out);
                mg_matrix m = matrix_make(b.ops, dtypes[d], s->n_out, s->n_in, s->n_slices, w, s->n_in);
                linear(b.ops, y, x, s->rows, &m, NULL, MG_ACT_NONE, false);
                worst = fmax(worst, worst_error(y, x, w, s, dtypes[d]));
                matrix_drop(b.ops, &m);
                free(x), free(w), free(y);
            }
            snprintf(what, sizeof what, "gemm %s %s", b.ops->name, mg_dtype_name(dtypes[d]));
            assert_true(tol_within(what, worst, TOL_GEMM));
        }
        ops_close(&b);
    }
}

/* The sibling that must fail: one weight off by a thousandth is seen. */
static void test_products_notice(void **state)
{
    const shape s = {3, 16, 65, 1};
    float *x = random_floats(1, s.rows * s.n_in), *w = random_floats(2, s.n_out * s.n_in), y[3 * 16];

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        w[5 * s.n_in + 64] += 0.001f;
        mg_matrix m = matrix_make(b.ops, MG_F32, s.n_out, s.n_in, 1, w, s.n_in);
        w[5 * s.n_in + 64] -= 0.001f;
        linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
        assert_true(worst_error(y, x, w, &s, MG_F32) > TOL_GEMM);
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
    free(x), free(w);
}

/* Rows 1 … 70, alone and together, on 1, 2 and 4 threads: the same bits. */
static void test_rows_alone(void **state)
{
    enum { ROWS = 70, I = 72 };
    static const int64_t widths[] = {1, 20, 64, 150};
    static const int n_threads[] = {1, 2, 4};

    (void)state;
    FOR_LEVELS(level)
    {
        for (int t = 0; t < (test_has_threads() ? COUNT(n_threads) : 1); t++) {
            for (int d = 0; d < COUNT(dtypes) * COUNT(widths); d++) {
                const int64_t O = widths[d / 3];
                float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I),
                      *bias = random_floats(3, O);
                float *y = random_floats(4, ROWS * O), *one = random_floats(5, ROWS * O);
                bench_ops b = ops_open(level, n_threads[t]), single = ops_open(level, 1);
                mg_matrix m = matrix_make(b.ops, dtypes[d % 3], O, I, 8, w, I);
                for (int64_t r = 0; r < ROWS; r++)
                    linear(single.ops, one + r * O, x + r * I, 1, &m, bias, MG_ACT_GELU, false);
                for (int64_t rows = 1; rows <= ROWS; rows += test_cuts() && rows > 9 ? 20 : 1) {
                    memset(y, 0xFF, (size_t)(ROWS * O) * sizeof *y);
                    linear(b.ops, y, x, rows, &m, bias, MG_ACT_GELU, false);
                    assert_memory_equal(y, one, (size_t)(rows * O) * sizeof *y);
                }
                matrix_drop(b.ops, &m);
                ops_close(&b), ops_close(&single);
                free(x), free(w), free(bias), free(y), free(one);
            }
        }
    }
}

/* Many rows over a long inner dimension: parked accumulators keep the bits of a row alone. */
static void test_long_rows_alone(void **state)
{
    enum { ROWS = 230, O = 70 };
    const int64_t I = test_cuts() ? 301 : 3001;
    float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I);
    float *y = random_floats(4, ROWS * O), *one = random_floats(5, ROWS * O);

    (void)state;
    FOR_LEVELS(level)
    {
        for (int d = 0; d < COUNT(dtypes); d++) {
            bench_ops b = ops_open(level, 2);
            mg_matrix m = matrix_make(b.ops, dtypes[d], O, I, 1, w, I);
            for (int64_t r = 0; r < ROWS; r++)
                linear(b.ops, one + r * O, x + r * I, 1, &m, NULL, MG_ACT_NONE, false);
            linear(b.ops, y, x, ROWS, &m, NULL, MG_ACT_NONE, false);
            assert_memory_equal(y, one, (size_t)(ROWS * O) * sizeof *y);
            matrix_drop(b.ops, &m);
            ops_close(&b);
        }
    }
    free(x), free(w), free(y), free(one);
}

/* As mg_comm_all_reduce sums T parts of n values: a binary tree in rank order, into part 0. */
static void reduce_tree(float *parts, int T, int64_t n)
{
    for (int gap = 1; gap < T; gap *= 2) {
        for (int r = 0; r < T; r += 2 * gap) {
            for (int64_t i = 0; i < n; i++) parts[r * n + i] += parts[(r + gap) * n + i];
        }
    }
}

/* A row-parallel product of 1, 2, 4 and 8 ranks gives the same bits, odd slices included. */
static void test_slices(void **state)
{
    enum { ROWS = 5, O = 37 };
    static const int64_t inner[] = {8, 24, 72, 128, 1024};
    float *y = random_floats(4, ROWS * O), *parts = random_floats(5, 8 * ROWS * O);

    (void)state;
    FOR_LEVELS(level)
    {
        for (int d = 0; d < COUNT(dtypes) * COUNT(inner); d++) {
            const int64_t I = inner[d / 3];
            float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I),
                  *part_x = random_floats(3, ROWS * I);
            bench_ops b = ops_open(level, 2);
            mg_matrix m = matrix_make(b.ops, dtypes[d % 3], O, I, MG_TP_SLICES, w, I);
            linear(b.ops, y, x, ROWS, &m, NULL, MG_ACT_NONE, false);
            matrix_drop(b.ops, &m);
            for (int T = 1; T <= 8; T *= 2) {
                for (int rank = 0; rank < T; rank++) {
                    const int64_t n = I / T;
                    for (int64_t r = 0; r < ROWS; r++)
                        memcpy(part_x + r * n, x + r * I + rank * n, (size_t)n * sizeof *x);
                    m = matrix_make(b.ops, dtypes[d % 3], O, n, MG_TP_SLICES / T, w + rank * n, I);
                    linear(b.ops, parts + rank * ROWS * O, part_x, ROWS, &m, NULL, MG_ACT_NONE, false);
                    matrix_drop(b.ops, &m);
                }
                reduce_tree(parts, T, ROWS * O);
                assert_memory_equal(parts, y, ROWS * O * sizeof *y);
            }
            ops_close(&b);
            free(x), free(w), free(part_x);
        }
    }
    free(y), free(parts);
}

/* A column-parallel product: shards of the outputs are columns of the whole. */
static void test_column_shards(void **state)
{
    enum { ROWS = 9, O = 128, I = 50 };
    float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I);
    float *y = random_floats(4, ROWS * O), *part = random_floats(5, ROWS * O);

    (void)state;
    FOR_LEVELS(level)
    {
        for (int d = 0; d < COUNT(dtypes); d++) {
            bench_ops b = ops_open(level, 2);
            mg_matrix m = matrix_make(b.ops, dtypes[d], O, I, 1, w, I);
            linear(b.ops, y, x, ROWS, &m, NULL, MG_ACT_GELU, false);
            matrix_drop(b.ops, &m);
            for (int T = 2; T <= 32; T *= 2) {
                const int64_t n = O / T;
                for (int64_t rank = 0; rank < T; rank++) {
                    m = matrix_make(b.ops, dtypes[d], n, I, 1, w + rank * n * I, I);
                    linear(b.ops, part, x, ROWS, &m, NULL, MG_ACT_GELU, false);
                    for (int64_t r = 0; r < ROWS; r++)
                        assert_memory_equal(part + r * n, y + r * O + rank * n, (size_t)n * sizeof *y);
                    matrix_drop(b.ops, &m);
                }
            }
            ops_close(&b);
        }
    }
    free(x), free(w), free(y), free(part);
}

static double exact_act(double x, mg_act act)
{
    switch (act) {
    case MG_ACT_NONE: return x;
    case MG_ACT_RELU: return x > 0 ? x : 0;
    case MG_ACT_GELU: return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case MG_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case MG_ACT_ELU: return x > 0 ? x : expm1(x);
    }
    return x;
}

/* A 1x1 identity lets bias and activation be seen alone, over all sizes of x; tails included. */
static void test_activations(void **state)
{
    enum { O = 3 };
    const int N = test_cuts() ? 401 : 4001;
    const float step = 20.0f / (float)N;
    static const char *const names[] = {"none", "relu", "gelu", "gelu tanh", "elu"};
    float *x = random_floats(1, N), *y = random_floats(2, N * O), w[O] = {1, 1, 1}, bias[O] = {0, 0.25f, -1};

    (void)state;
    for (int i = 0; i < N; i++) x[i] = (float)(i - N / 2) * (i % 3 ? step : 10 * step);
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        mg_matrix m = matrix_make(b.ops, MG_F32, O, 1, 1, w, 1);
        for (int act = MG_ACT_NONE; act <= MG_ACT_ELU; act++) {
            double worst = 0;
            char what[64];
            linear(b.ops, y, x, N, &m, bias, (mg_act)act, false);
            for (int i = 0; i < N * O; i++) {
                const float in = bias[i % O] + x[i / O];
                worst = fmax(worst, fabs(y[i] - exact_act(in, (mg_act)act)) / fmax(1, fabs(in)));
            }
            snprintf(what, sizeof what, "%s %s", b.ops->name, names[act]);
            assert_true(tol_within(what, worst, TOL_ACT));
            linear(b.ops, y, x, N, &m, bias, (mg_act)act, true);
            for (int i = 0; i < N * O; i += O) {
                float once[O];
                linear(b.ops, once, x + i / O, 1, &m, bias, (mg_act)act, false);
                for (int o = 0; o < O; o++) assert_true(y[i + o] == once[o] + once[o]);
            }
        }
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
    free(x), free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),    cmocka_unit_test(test_products_notice),
        cmocka_unit_test(test_rows_alone),  cmocka_unit_test(test_long_rows_alone),
        cmocka_unit_test(test_slices),      cmocka_unit_test(test_column_shards),
        cmocka_unit_test(test_activations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
