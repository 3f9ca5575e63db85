/* The transformer's operations against PyTorch's results (tests/golden/ops.safetensors, made by make_ops.py).
 */
#include "ops_test.h"

#include "golden.h"

enum { N = 6, I = 72, O = 40, H = 3, E = 24, J = 37, D = H * E };

static void check_to(const mg_ops *ops, const mg_checkpoint *golden, const char *name, const float *y,
                     int64_t n, double tolerance)
{
    int64_t count;
    float *want = golden_f32(golden, name, &count);
    double worst = 0;
    char what[64];

    assert_int_equal(count, n);
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)y[i] - want[i]) / (1 + fabs((double)want[i])));
    snprintf(what, sizeof what, "%s %s", ops->name, name);
    assert_true(tol_within(what, worst, tolerance));
    want[n / 2] += tolerance > 1e-4 ? 0.1f : 0.0001f; /* and a small change is seen */
    assert_true(fabs((double)y[n / 2] - want[n / 2]) / (1 + fabs((double)want[n / 2])) > tolerance);
    free(want);
}

static void check(const mg_ops *ops, const mg_checkpoint *golden, const char *name, const float *y, int64_t n)
{
    check_to(ops, golden, name, y, n, TOL_TORCH);
}

static void check_linear(const mg_ops *ops, const mg_checkpoint *golden)
{
    static const struct {
        const char *name;
        mg_dtype dtype;
        mg_act act;
        bool with_bias;
    } cases[] = {
        {"linear", MG_F32, MG_ACT_NONE, true},       {"relu", MG_F32, MG_ACT_RELU, true},
        {"gelu", MG_F32, MG_ACT_GELU, true},         {"gelu_tanh", MG_F32, MG_ACT_GELU_TANH, true},
        {"elu", MG_F32, MG_ACT_ELU, true},           {"linear_bf16", MG_BF16, MG_ACT_NONE, false},
        {"linear_fp16", MG_F16, MG_ACT_NONE, false},
    };
    float *x = golden_f32(golden, "x", NULL), *w = golden_f32(golden, "w", NULL);
    float *bias = golden_f32(golden, "bias", NULL), y[N * O];

    for (int i = 0; i < COUNT(cases); i++) {
        mg_matrix m = matrix_make(ops, cases[i].dtype, O, I, 1, w, I);
        linear(ops, y, x, N, &m, cases[i].with_bias ? bias : NULL, cases[i].act, false);
        /* the golden product keeps x in fp32 */
        const bool rounds_x = cases[i].dtype == MG_F16 && test_rows_dtype(MG_F16) == MG_F16;
        check_to(ops, golden, cases[i].name, y, N * O, rounds_x ? TOL_TORCH_F16 : TOL_TORCH);
        matrix_drop(ops, &m);
    }
    free(x), free(w), free(bias);
}

static void check_norms(const mg_ops *ops, const mg_checkpoint *golden)
{
    float *x = golden_f32(golden, "x", NULL), y[N * I];
    float *gamma = golden_f32(golden, "gamma", NULL), *beta = golden_f32(golden, "beta", NULL);
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, I), ty = mg_tensor_2d(y, MG_F32, N, I);
    mg_tensor tg = mg_tensor_1d(gamma, MG_F32, I), tb = mg_tensor_1d(beta, MG_F32, I);

    assert_int_equal(mg_layer_norm(ops, &ty, &tx, &tg, &tb, 1e-5f), MG_OK);
    check(ops, golden, "layer_norm", y, N * I);
    assert_int_equal(mg_rms_norm(ops, &ty, &tx, &tg, 1e-6f), MG_OK);
    check(ops, golden, "rms_norm", y, N * I);
    free(x), free(gamma), free(beta);
}

/* q, k and v of J tokens of one sequence, written to the cache from their projection's columns. */
static void check_attention(const mg_ops *ops, const mg_checkpoint *golden)
{
    float *qkv = golden_f32(golden, "qkv", NULL), *bias = golden_f32(golden, "rel_bias", NULL);
    static float k[H * J * E], v[H * J * E], y[J * D];
    int32_t row[J] = {0}, pos[J], n_keys[J];
    const mg_kv kv = {MG_FORMAT_F32, false, 1, H, J, E, k, v};
    mg_tensor tx = mg_tensor_2d(qkv, MG_F32, J, 3 * D), ty = mg_tensor_2d(y, MG_F32, J, D);
    mg_tensor tr = mg_tensor_1d(row, MG_I32, J), tp = mg_tensor_1d(pos, MG_I32, J);
    mg_tensor tk = mg_tensor_1d(n_keys, MG_I32, J), tb = mg_tensor_2d(bias, MG_F32, H, 2 * J - 1);

    for (int n = 0; n < J; n++) pos[n] = n, n_keys[n] = n + 1;
    assert_int_equal(mg_kv_write(ops, &kv, &tx, D, &tr, &tp), MG_OK);
    assert_int_equal(mg_attention(ops, &ty, &tx, &kv, &tr, &tk, 1 / sqrtf(E), NULL), MG_OK);
    check(ops, golden, "attention", y, J * D);
    for (int n = 0; n < J; n++) n_keys[n] = J;
    assert_int_equal(mg_attention(ops, &ty, &tx, &kv, &tr, &tk, 1, &tb), MG_OK);
    check(ops, golden, "attention_bias", y, J * D);
    free(qkv), free(bias);
}

static void test_torch(void **state)
{
    mg_checkpoint *golden = golden_open("ops.safetensors");

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        check_linear(b.ops, golden);
        check_norms(b.ops, golden);
        check_attention(b.ops, golden);
        ops_close(&b);
    }
    mg_checkpoint_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
