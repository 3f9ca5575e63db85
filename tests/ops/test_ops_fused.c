/* Fused slots: the bits of the primitives that they stand for, whether the backend has the slot or ops.c
 * composes it. */
#include "ops_test.h"

enum { N = 5, D = 48, O = 96, H = 2, E = 16, T = 8 };

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};

/* A backend of the same table, with or without the fused slots. */
static mg_ops with_table(const mg_ops *ops, mg_ops_iface *table, bool fused)
{
    mg_ops out = *ops;

    *table = *ops->iface;
    if (!fused) table->norm_linear = NULL, table->linear_add = NULL, table->attention_linear = NULL;
    out.iface = table;
    return out;
}

static void test_linear_add(void **state)
{
    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(dtypes) * 2; i++) {
            const int n_slices = i / 3 ? MG_TP_SLICES : 1;
            float *w = random_floats(1, O * D), *x = random_floats(2, N * D), *y = random_floats(3, N * O);
            float *want = random_floats(3, N * O), *product = random_floats(4, N * O);
            mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, O);
            mg_tensor tp = mg_tensor_2d(product, MG_F32, N, O), tw = mg_tensor_2d(want, MG_F32, N, O);
            mg_matrix m = matrix_make(b.ops, dtypes[i % 3], O, D, n_slices, w, D);
            mg_ops_iface table;

            assert_int_equal(mg_linear(b.ops, &tp, &tx, &m, NULL, MG_ACT_NONE, false), MG_OK);
            assert_int_equal(mg_add(b.ops, &tw, &tp), MG_OK);
            for (int fused = 0; fused < 2; fused++) {
                const mg_ops ops = with_table(b.ops, &table, fused);
                for (int k = 0; k < N * O; k++) y[k] = random_value(3, k);
                assert_int_equal(mg_linear_add(&ops, &ty, &tp, &tx, &m), MG_OK);
                assert_memory_equal(y, want, N * O * sizeof *y);
            }
            assert_int_equal(mg_linear_add(b.ops, &ty, &tp, &ty, &m), MG_EBUG);
            assert_int_equal(mg_linear_add(b.ops, &tx, &tp, &tx, &m), MG_EBUG);
            matrix_drop(b.ops, &m);
            free(w), free(x), free(y), free(want), free(product);
        }
        ops_close(&b);
    }
}

static void test_norm_linear(void **state)
{
    const int W = 3 * H * E;

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(dtypes); i++) {
            float *w = random_floats(1, W * D), *x = random_floats(2, N * D),
                  *scale = random_floats(3, 2 * D);
            float a[N * D], y[N * 3 * H * E], want[N * 3 * H * E];
            float cache[2][2][2 * H * T * E] = {0}; /* of both ways: keys, values */
            int32_t row[N] = {0, 1, 0, 1, 0}, pos[N] = {0, 0, 1, 1, 2};
            mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ta = mg_tensor_2d(a, MG_F32, N, D);
            mg_tensor ty = mg_tensor_2d(y, MG_F32, N, W), tw = mg_tensor_2d(want, MG_F32, N, W);
            const mg_tensor gamma = mg_tensor_1d(scale, MG_F32, D), beta = mg_tensor_1d(scale + D, MG_F32, D);
            const mg_tensor t_row = mg_tensor_1d(row, MG_I32, N), t_pos = mg_tensor_1d(pos, MG_I32, N);
            const mg_norm norm = {&gamma, &beta, 1e-5f};
            mg_matrix m = matrix_make(b.ops, dtypes[i], W, D, 1, w, D);
            mg_kv kv[2];
            for (int k = 0; k < 2; k++)
                kv[k] = (mg_kv){MG_FORMAT_F32, false, 2, H, T, E, cache[k][0], cache[k][1]};
            const mg_kv_place into = {&kv[1], H * E, &t_row, &t_pos};

            assert_int_equal(mg_kv_bytes(b.ops, &kv[0]), sizeof cache[0][0]);
            assert_int_equal(mg_layer_norm(b.ops, &ta, &tx, &gamma, &beta, 1e-5f), MG_OK);
            assert_int_equal(mg_linear(b.ops, &tw, &ta, &m, NULL, MG_ACT_GELU, false), MG_OK);
            assert_int_equal(mg_kv_write(b.ops, &kv[0], &tw, H * E, &t_row, &t_pos), MG_OK);
            assert_int_equal(mg_norm_linear(b.ops, &ty, &ta, &tx, &norm, &m, MG_ACT_GELU, &into), MG_OK);
            for (int n = 0; n < N; n++) assert_memory_equal(y + n * W, want + n * W, H * E * sizeof *y);
            assert_memory_equal(cache[0], cache[1], sizeof cache[0]);
            assert_int_equal(mg_norm_linear(b.ops, &ty, &ta, &tx, &norm, &m, MG_ACT_GELU, NULL), MG_OK);
            assert_memory_equal(y, want, sizeof y);
            assert_int_equal(mg_norm_linear(b.ops, &ty, &ta, &ty, &norm, &m, MG_ACT_GELU, NULL), MG_EBUG);
            matrix_drop(b.ops, &m);
            free(w), free(x), free(scale);
        }
        ops_close(&b);
    }
}

/* As cross-attention of a step is: one text, or two of different lengths, of few keys or of too many for one
 * kernel; heads of 64 in slices of whole heads, and others. */
static const struct attend_case {
    int64_t H, E, T_max, N;
    int n_slices;
} attend_cases[] = {{16, 64, 16, 1, 8}, {8, 64, 20, 2, 8}, {4, 64, 13, 3, 4},
                    {8, 64, 33, 2, 8},  {4, 64, 16, 1, 8}, {8, 16, 9, 2, 8}};

static void fill_cache(const mg_ops *ops, const mg_kv *kv)
{
    const int64_t W = 2 * kv->n_heads * kv->E, n = kv->n_rows * kv->T_max;
    float *x = random_floats(6, n * W);
    int32_t *row = calloc((size_t)n, sizeof *row), *pos = calloc((size_t)n, sizeof *pos);
    const mg_tensor tx = mg_tensor_2d(x, MG_F32, n, W), t_row = mg_tensor_1d(row, MG_I32, n),
                    t_pos = mg_tensor_1d(pos, MG_I32, n);

    for (int64_t i = 0; i < n; i++) row[i] = (int32_t)(i / kv->T_max), pos[i] = (int32_t)(i % kv->T_max);
    assert_int_equal(mg_kv_write(ops, kv, &tx, 0, &t_row, &t_pos), MG_OK);
    free(x), free(row), free(pos);
}

static void attend_and_multiply(const mg_ops *ops, const struct attend_case *a, mg_dtype dtype)
{
    const int64_t HE = a->H * a->E, W = HE + 4;
    float *w = random_floats(1, 24 * HE), *x = random_floats(2, a->N * W), *y = random_floats(3, a->N * 24);
    float *mixed = random_floats(4, a->N * HE), *product = random_floats(5, a->N * 24);
    float *want = random_floats(3, a->N * 24);
    int32_t row[3] = {1, 0, 1}, n_keys[3] = {(int32_t)a->T_max, (int32_t)a->T_max - 3, 0};
    mg_tensor tx = mg_tensor_2d(x, MG_F32, a->N, W), ty = mg_tensor_2d(y, MG_F32, a->N, 24);
    mg_tensor ta = mg_tensor_2d(mixed, MG_F32, a->N, HE), tp = mg_tensor_2d(product, MG_F32, a->N, 24);
    mg_tensor tw = mg_tensor_2d(want, MG_F32, a->N, 24);
    const mg_tensor t_row = mg_tensor_1d(row, MG_I32, a->N), t_keys = mg_tensor_1d(n_keys, MG_I32, a->N);
    mg_kv kv = {format_of(dtype), true, 2, a->H, a->T_max, a->E, NULL, NULL};
    const mg_attend over = {&kv, &t_row, &t_keys, 0.125f};
    mg_matrix m = matrix_make(ops, dtype, 24, HE, a->n_slices, w, HE);
    mg_ops_iface table;

    kv.k = calloc(1, mg_kv_bytes(ops, &kv)), kv.v = calloc(1, mg_kv_bytes(ops, &kv));
    fill_cache(ops, &kv);
    for (int adds = 0; adds < 2; adds++) {
        mg_tensor *scratch = adds ? &tp : NULL;
        assert_int_equal(mg_attention(ops, &ta, &tx, &kv, &t_row, &t_keys, 0.125f, NULL), MG_OK);
        assert_int_equal(mg_linear(ops, adds ? &tp : &tw, &ta, &m, NULL, MG_ACT_NONE, false), MG_OK);
        for (int64_t k = 0; adds && k < a->N * 24; k++) want[k] = random_value(3, k);
        if (adds) assert_int_equal(mg_add(ops, &tw, &tp), MG_OK);
        for (int fused = 0; fused < 2; fused++) {
            const mg_ops one = with_table(ops, &table, fused);
            for (int64_t k = 0; k < a->N * 24; k++) y[k] = random_value(3, k);
            assert_int_equal(mg_attention_linear(&one, &ty, scratch, &ta, &tx, &over, &m), MG_OK);
            assert_memory_equal(y, want, (size_t)(a->N * 24) * sizeof *y);
        }
        assert_int_equal(mg_attention_linear(ops, &ty, scratch, &tx, &tx, &over, &m), MG_EBUG);
        assert_int_equal(mg_attention_linear(ops, &tx, scratch, &ta, &tx, &over, &m), MG_EBUG);
        assert_int_equal(mg_attention_linear(ops, &ty, scratch, &ta, &tx, NULL, &m), MG_EBUG);
    }
    matrix_drop(ops, &m);
    free(kv.k), free(kv.v), free(w), free(x), free(y), free(mixed), free(product), free(want);
}

static void test_attention_linear(void **state)
{
    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(attend_cases); i++)
            for (int d = 0; d < COUNT(dtypes); d++) attend_and_multiply(b.ops, &attend_cases[i], dtypes[d]);
        ops_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_add),
        cmocka_unit_test(test_norm_linear),
        cmocka_unit_test(test_attention_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
