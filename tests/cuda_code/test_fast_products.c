/* Products of many rows by cuBLASLt against those of our own kernels: as near as the order of sums allows,
 * and in the fixture other bits; the same bits where it is not to be asked. */
#include "ops_test.h"

enum { EXACT, FAST, N_WAYS };

/* |error| / sum |x w|: two orders of fp32 sums of a thousand terms. 1.7e-7 observed over the fixture. */
#define TOL_ORDERS 1e-6

typedef struct pair {
    bench_ops way[N_WAYS];
} pair;

static pair open_pair(void)
{
    pair p;

    for (int i = 0; i < N_WAYS; i++) {
        bench_ops *b = &p.way[i];
        assert_int_equal(mg_threads_open(&b->threads, 1, 0), MG_OK);
        const mg_cuda_settings settings = {.threads = b->threads, .fast_products = i == FAST};
        if (mg_cuda_open(&b->ops, &settings) != MG_OK) fail_msg("%s", mg_last_error());
        assert_int_equal(host_view_open(&b->ops, b->ops), MG_OK);
    }
    return p;
}

static void close_pair(pair *p)
{
    for (int i = 0; i < N_WAYS; i++) ops_close(&p->way[i]);
}

static bool is_same(const float *a, const float *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* The bits tell whose product it is: cuBLASLt's in the fixture has an order of its own. That of a GPU may
 * happen to have ours, so there only the reverse holds: who was not asked cannot have made it. */
static void check_who(const float *fast, const float *exact, int64_t n, bool is_asked)
{
#ifdef MG_TEST_GPU
    if (is_asked) return;
#endif
    assert_int_equal(is_same(fast, exact, n), !is_asked);
}

/* The largest |a - b| in n values. */
static double distance(const float *a, const float *b, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d; /* NaN too */
    }
    return most;
}

typedef struct product {
    int64_t rows, n_out, n_in;
    int n_slices;
    bool is_asked[2]; /* cuBLASLt: in fp32, and in 16 bits */
} product;

static const product products[] = {
    {33, 64, 96, 1, {true, true}},    {200, 48, 1024, 8, {true, true}}, {64, 100, 72, 4, {true, true}},
    {32, 64, 96, 1, {false, false}},  {70, 64, 129, 1, {false, true}}, /* fp32 rows that are not aligned */
    {70, 33, 128, 1, {false, false}},                                  /* nor are those of y */
};

static void test_products(void **state)
{
    static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};
    pair p = open_pair();

    (void)state;
    for (int i = 0; i < COUNT(products) * COUNT(dtypes); i++) {
        const product *s = &products[i / COUNT(dtypes)];
        const mg_dtype dtype = dtypes[i % COUNT(dtypes)];
        float *x = random_floats(1, s->rows * s->n_in), *w = random_floats(2, s->n_out * s->n_in);
        float *y[N_WAYS], *again = random_floats(4, s->rows * s->n_out);
        char what[64];
        for (int k = 0; k < N_WAYS; k++) {
            const mg_ops *ops = p.way[k].ops;
            y[k] = random_floats(3, s->rows * s->n_out);
            mg_matrix m = matrix_make(ops, dtype, s->n_out, s->n_in, s->n_slices, w, s->n_in);
            linear(ops, y[k], x, s->rows, &m, NULL, MG_ACT_NONE, false);
            linear(ops, again, x, s->rows, &m, NULL, MG_ACT_NONE, false);
            assert_true(is_same(again, y[k], s->rows * s->n_out));
            matrix_drop(ops, &m);
        }
        const int64_t n = s->rows * s->n_out;
        snprintf(what, sizeof what, "%lld rows, %lld x %lld, %s", (long long)s->rows, (long long)s->n_out,
                 (long long)s->n_in, mg_dtype_name(dtype));
        assert_true(tol_within(what, distance(y[FAST], y[EXACT], n) / (double)s->n_in, TOL_ORDERS));
        check_who(y[FAST], y[EXACT], n, s->is_asked[dtype != MG_F32]);
        for (int k = 0; k < N_WAYS; k++) free(y[k]);
        free(x), free(w), free(again);
    }
    close_pair(&p);
}

/* Bias, activation and what y held: of all three at once cuBLASLt is not asked. */
static void test_finish(void **state)
{
    enum { N = 40, O = 48, I = 256 };
    float *x = random_floats(1, N * I), *w = random_floats(2, O * I), *bias = random_floats(3, O);
    pair p = open_pair();

    (void)state;
    for (int i = 0; i < 8; i++) {
        const mg_act act = i & 1 ? MG_ACT_GELU : MG_ACT_NONE;
        const bool accumulate = i & 2, with_bias = i & 4;
        float *y[N_WAYS];
        for (int k = 0; k < N_WAYS; k++) {
            y[k] = random_floats(4, N * O);
            mg_matrix m = matrix_make(p.way[k].ops, MG_BF16, O, I, 1, w, I);
            linear(p.way[k].ops, y[k], x, N, &m, with_bias ? bias : NULL, act, accumulate);
            matrix_drop(p.way[k].ops, &m);
        }
        assert_true(distance(y[FAST], y[EXACT], N * O) <= TOL_ORDERS * I);
        check_who(y[FAST], y[EXACT], N * O, !accumulate || act == MG_ACT_NONE);
        free(y[EXACT]), free(y[FAST]);
    }
    close_pair(&p);
    free(x), free(w), free(bias);
}

/* Norm, product and cache; product and residual. */
static void test_fused(void **state)
{
    enum { N = 40, D = 96, H = 2, E = 16, T = 24, W = 3 * H * E, CACHE = 2 * H * T * E };
    static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};
    float *x = random_floats(1, N * D), *w = random_floats(2, W * D), *scale = random_floats(3, 2 * D);
    int32_t row[N], pos[N];
    pair p = open_pair();

    (void)state;
    for (int n = 0; n < N; n++) row[n] = n % 2, pos[n] = n / 2;
    for (int i = 0; i < COUNT(dtypes); i++) {
        static float a[N * D], y[N_WAYS][N * W], added[N_WAYS][N * D], cache[N_WAYS][2][CACHE];
        for (int k = 0; k < N_WAYS; k++) {
            const mg_ops *ops = p.way[k].ops;
            mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ta = mg_tensor_2d(a, MG_F32, N, D);
            mg_tensor ty = mg_tensor_2d(y[k], MG_F32, N, W), tq = mg_tensor_2d(added[k], MG_F32, N, D);
            const mg_tensor gamma = mg_tensor_1d(scale, MG_F32, D), beta = mg_tensor_1d(scale + D, MG_F32, D);
            const mg_tensor t_row = mg_tensor_1d(row, MG_I32, N), t_pos = mg_tensor_1d(pos, MG_I32, N);
            const mg_norm norm = {&gamma, &beta, 1e-5f};
            memset(cache[k], 0, sizeof cache[k]);
            const mg_kv kv = {MG_FORMAT_F32, false, 2, H, T, E, cache[k][0], cache[k][1]};
            const mg_kv_place into = {&kv, H * E, &t_row, &t_pos};
            mg_matrix m = matrix_make(ops, dtypes[i], W, D, 1, w, D);
            mg_matrix square = matrix_make(ops, dtypes[i], D, D, MG_TP_SLICES, w, D);
            assert_int_equal(mg_norm_linear(ops, &ty, &ta, &tx, &norm, &m, MG_ACT_NONE, &into), MG_OK);
            memcpy(added[k], x, sizeof added[k]);
            assert_int_equal(mg_linear_add(ops, &tq, &ta, &tx, &square), MG_OK);
            matrix_drop(ops, &m), matrix_drop(ops, &square);
        }
        for (int n = 0; n < N; n++)
            assert_true(distance(y[FAST] + n * W, y[EXACT] + n * W, H * E) <= TOL_ORDERS * D);
        assert_true(distance(cache[FAST][0], cache[EXACT][0], 2 * CACHE) <= TOL_ORDERS * D);
        assert_true(distance(added[FAST], added[EXACT], N * D) <= TOL_ORDERS * D);
        check_who(cache[FAST][0], cache[EXACT][0], CACHE, true);
        check_who(cache[FAST][1], cache[EXACT][1], CACHE, true);
        check_who(added[FAST], added[EXACT], N * D, true);
    }
    close_pair(&p);
    free(x), free(w), free(scale);
}

typedef struct convolution {
    bool transposed;
    int64_t c_in, c_out, n_taps, stride, dilation;
    bool is_asked;
} convolution;

static const convolution convolutions[] = {
    {false, 128, 32, 3, 1, 1, true}, {false, 128, 16, 3, 1, 2, true}, /* a run a tap */
    {false, 128, 16, 5, 2, 1, true},                                  /* a stride at a time, and the rest */
    {true, 128, 16, 4, 2, 1, true},  {false, 64, 16, 3, 1, 1, false}, /* pieces that are too narrow */
    {false, 256, 16, 1, 1, 1, true},
};

static void convolve(float *y, const mg_ops *ops, float *x, int64_t N, int64_t rows, const convolution *c,
                     float *w, float *bias)
{
    mg_conv conv = {c->transposed, c->c_in, c->c_out, c->n_taps, c->stride, c->dilation, NULL};
    const int64_t n_rows = c->transposed ? c->c_in : c->c_out,
                  n_cols = (c->transposed ? c->c_out : c->c_in) * c->n_taps;
    const mg_host_matrix source = {
        .data = w, .dtype = MG_F32, .n_rows = n_rows, .n_cols = n_cols, .row_stride = n_cols};
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, c->c_in), ty = mg_tensor_2d(y, MG_F32, rows, c->c_out);
    const mg_tensor tb = mg_tensor_1d(bias, MG_F32, c->c_out);
    const size_t bytes = mg_conv_bytes(ops, &conv);

    assert_int_equal(mg_ops_alloc(ops, &conv.data, bytes), MG_OK);
    assert_int_equal(mg_conv_load(ops, &conv, &source), MG_OK);
    const mg_status st = c->transposed ? mg_conv_transpose1d(ops, &ty, &tx, &conv, &tb)
                                       : mg_conv1d(ops, &ty, &tx, &conv, &tb, false);
    if (st != MG_OK) fail_msg("%s", mg_last_error());
    mg_ops_release(ops, conv.data, bytes);
}

static void test_convolutions(void **state)
{
    enum { N = 90 };
    pair p = open_pair();

    (void)state;
    for (int i = 0; i < COUNT(convolutions); i++) {
        const convolution *c = &convolutions[i];
        const int64_t J = (c->n_taps + c->stride - 1) / c->stride;
        const int64_t rows =
            c->transposed ? (N - J + 1) * c->stride : (N - (c->n_taps - 1) * c->dilation - 1) / c->stride + 1;
        float *x = random_floats(1, N * c->c_in), *w = random_floats(2, c->c_out * c->c_in * c->n_taps);
        float *bias = random_floats(3, c->c_out), *y[N_WAYS];
        for (int k = 0; k < N_WAYS; k++) {
            y[k] = random_floats(4, rows * c->c_out);
            convolve(y[k], p.way[k].ops, x, N, rows, c, w, bias);
        }
        assert_true(distance(y[FAST], y[EXACT], rows * c->c_out) <=
                    TOL_ORDERS * (double)(c->c_in * c->n_taps));
        check_who(y[FAST], y[EXACT], rows * c->c_out, c->is_asked);
        free(x), free(w), free(bias), free(y[EXACT]), free(y[FAST]);
    }
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_fused),
        cmocka_unit_test(test_convolutions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
