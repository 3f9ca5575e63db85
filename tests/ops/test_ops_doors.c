/* The front doors refuse what breaks the contract of ops.h, and the backend opens, names itself and closes.
 */
#include "ops_test.h"
#include "slots.h"

enum { N = 4, D = 32, H = 2, E = 16, F = 48 };

static float x[N * 3 * D], y[N * 3 * D], big[4096], gamma_row[D], beta_row[D];
static int32_t rows[N], positions[N], ids[N * 2];

#define REFUSED(call)                                 \
    do {                                              \
        mg_clear_error();                             \
        assert_int_equal((call), MG_EBUG);            \
        assert_string_not_equal(mg_last_error(), ""); \
    } while (0)

static bench_ops b;

static int open_backend(void **state)
{
    (void)state;
    b = ops_open(MG_CPU_AUTO, 2);
    return 0;
}

static int close_backend(void **state)
{
    (void)state;
    ops_close(&b);
    return 0;
}

static void test_open(void **state)
{
    mg_ops *ops = (mg_ops *)1;

    (void)state;
    for (int i = MG_CPU_SCALAR; i <= MG_CPU_NEON; i++) {
        const mg_cpu_level level = (mg_cpu_level)i;
        if (!mg_cpu_has_level(level)) {
            assert_int_equal(mg_cpu_open(&ops, level, b.threads), MG_EFIT);
            assert_null(ops);
            continue;
        }
        assert_int_equal(mg_cpu_open(&ops, level, b.threads), MG_OK);
        assert_string_equal(ops->name, mg_cpu_level_name(level));
        mg_ops_close(ops);
    }
    assert_int_equal(mg_cpu_has_level(MG_CPU_NEON), mg_cpu_has_level(MG_CPU_AVX2));
    assert_false(mg_cpu_best_level() == MG_CPU_NEON && mg_cpu_has_level(MG_CPU_AVX512));
    REFUSED(mg_cpu_open(&ops, MG_CPU_AUTO, NULL));
    assert_null(ops);
}

/* What stands before a backend in tests is held against the whole table. */
static void test_slots(void **state)
{
    mg_ops_iface table = *b.ops->iface;

    (void)state;
    assert_int_equal(slots_check("a table", &table), MG_OK);
    table.tune = NULL, table.fetch = NULL, table.attention_linear = NULL;
    assert_int_equal(slots_check("a table", &table), MG_OK);
    table.zero = NULL;
    REFUSED(slots_check("a table", &table));
    assert_string_equal(mg_last_error(), "a table: slot 7 of mg_ops_iface (ops.h) is missing");
}

static void test_memory(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 1 << 20, (1 << 20) - 1, (2 << 20) + 1, 9 << 20};
    char in[100], out[100] = {0};

    (void)state;
    for (int i = 0; i < COUNT(sizes); i++) {
        void *block = NULL;
        assert_int_equal(mg_ops_alloc(b.ops, &block, sizes[i]), MG_OK);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, sizes[i]);
        mg_ops_release(b.ops, block, sizes[i]);
    }
    void *block = (void *)1;
    assert_int_equal(mg_ops_alloc(b.ops, &block, SIZE_MAX / 4), MG_EFIT);
    assert_null(block);
    assert_int_equal(mg_ops_alloc(b.ops, &block, SIZE_MAX - 5), MG_EFIT);
    mg_ops_release(b.ops, NULL, 0);
    for (int i = 0; i < 100; i++) in[i] = (char)i;
    assert_int_equal(mg_ops_alloc(b.ops, &block, sizeof in), MG_OK);
    assert_int_equal(mg_upload(b.ops, block, in, sizeof in), MG_OK);
    assert_int_equal(mg_download(b.ops, out, block, sizeof in), MG_OK);
    assert_memory_equal(in, out, sizeof in);
    mg_ops_release(b.ops, block, sizeof in);
}

static void test_copies(void **state)
{
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, D);
    mg_tensor flat = mg_tensor_1d(y, MG_F32, N * D), none = mg_tensor_2d(NULL, MG_F32, N, D);
    mg_budget budget = {.place = 1};
    bool replay = true;

    (void)state;
    for (int i = 0; i < N * D; i++) x[i] = (float)i, y[i] = -1;
    assert_int_equal(mg_copy(b.ops, &ty, &tx), MG_OK);
    assert_memory_equal(x, y, N * D * sizeof *x);
    assert_int_equal(mg_zero(b.ops, &ty), MG_OK);
    for (int i = 0; i < N * D; i++) assert_true(y[i] == 0);
    REFUSED(mg_copy(b.ops, &tx, &tx));
    REFUSED(mg_copy(b.ops, &flat, &tx));
    REFUSED(mg_copy(b.ops, &none, &tx));
    REFUSED(mg_zero(b.ops, &none));
    REFUSED(mg_upload(b.ops, NULL, x, 4));
    REFUSED(mg_download(b.ops, x, NULL, 4));
    assert_int_equal(mg_upload(b.ops, NULL, NULL, 0), MG_OK);
    assert_int_equal(mg_ops_budget(b.ops, &budget), MG_OK);
    assert_true(budget.place == 0 && budget.available_bytes > 0);
    assert_int_equal(b.ops->space, MG_HOST);
    assert_true(b.ops->hints.n_slots > 0 && b.ops->hints.n_prefill_tokens > 0 &&
                b.ops->hints.n_sequences > 0);
    assert_int_equal(mg_step_begin(b.ops, 7, &replay), MG_OK); /* a CPU records nothing */
    assert_false(replay);
    assert_int_equal(mg_step_end(b.ops), MG_OK);
    mg_step_forget(b.ops);
}

static void test_linear(void **state)
{
    float w[F * D] = {0};
    mg_matrix m = matrix_make(b.ops, MG_F32, F, D, 1, w, D), odd = m;
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, F);
    mg_tensor bias = mg_tensor_1d(big, MG_F32, F), wrong = mg_tensor_2d(y, MG_F32, N, D);
    mg_tensor none = mg_tensor_2d(x, MG_F32, 0, D), none_y = mg_tensor_2d(y, MG_F32, 0, F);

    (void)state;
    assert_int_equal(mg_linear(b.ops, &ty, &tx, &m, &bias, MG_ACT_GELU, false), MG_OK);
    assert_int_equal(mg_linear(b.ops, &none_y, &none, &m, NULL, MG_ACT_NONE, false), MG_OK);
    REFUSED(mg_linear(b.ops, &wrong, &tx, &m, NULL, MG_ACT_NONE, false));
    REFUSED(mg_linear(b.ops, &ty, &ty, &m, NULL, MG_ACT_NONE, false));
    wrong = mg_tensor_2d(x + 8, MG_F32, N, F);
    REFUSED(mg_linear(b.ops, &wrong, &tx, &m, NULL, MG_ACT_NONE, false)); /* overlaps x */
    wrong = mg_tensor_2d(y, MG_BF16, N, F);
    REFUSED(mg_linear(b.ops, &wrong, &tx, &m, NULL, MG_ACT_NONE, false));
    wrong = mg_tensor_1d(big, MG_F32, F - 1);
    REFUSED(mg_linear(b.ops, &ty, &tx, &m, &wrong, MG_ACT_NONE, false));
    REFUSED(mg_linear(b.ops, &ty, &tx, &m, NULL, (mg_act)9, false));
    odd.n_slices = 3;
    REFUSED(mg_linear(b.ops, &ty, &tx, &odd, NULL, MG_ACT_NONE, false));
    odd = m, odd.n_in = D + 1;
    REFUSED(mg_linear(b.ops, &ty, &tx, &odd, NULL, MG_ACT_NONE, false));
    odd = m, odd.data = NULL;
    REFUSED(mg_linear(b.ops, &ty, &tx, &odd, NULL, MG_ACT_NONE, false));
    matrix_drop(b.ops, &m);
}

/* Nothing to choose from, on a CPU; what is asked for is looked at all the same. */
static void test_tune(void **state)
{
    float w[F * D] = {0};
    mg_matrix m = matrix_make(b.ops, MG_F32, F, D, 1, w, D), odd = m;
    const mg_matrix *list[2] = {&m, &odd};

    (void)state;
    assert_int_equal(mg_tune_products(b.ops, list, 2, true, N), MG_OK);
    assert_int_equal(mg_tune_products(b.ops, NULL, 0, true, N), MG_OK);
    REFUSED(mg_tune_products(b.ops, list, 2, true, 0));
    odd.n_slices = 2;
    REFUSED(mg_tune_products(b.ops, list, 2, true, N));
    odd = m, odd.n_out = F - 1;
    REFUSED(mg_tune_products(b.ops, list, 2, true, N));
    odd = m, odd.data = NULL;
    REFUSED(mg_tune_products(b.ops, list, 2, true, N));
    matrix_drop(b.ops, &m);
}

static void test_load(void **state)
{
    float w[F * D] = {0};
    mg_matrix m = matrix_make(b.ops, MG_F32, F, D, 1, w, D);
    const mg_host_matrix good = {.data = w, .dtype = MG_F32, .n_rows = F, .n_cols = D, .row_stride = D};
    mg_host_matrix src = good;
    int64_t n_bad = 0;

    (void)state;
    REFUSED(mg_matrix_load(b.ops, &m, 1, &good, &n_bad));
    REFUSED(mg_matrix_load(b.ops, &m, -1, &good, &n_bad));
    REFUSED(mg_matrix_load(b.ops, &m, 0, &good, NULL));
    src.n_cols = D - 1;
    REFUSED(mg_matrix_load(b.ops, &m, 0, &src, &n_bad));
    src = good, src.row_stride = D - 1;
    REFUSED(mg_matrix_load(b.ops, &m, 0, &src, &n_bad));
    src = good, src.dtype = MG_I32;
    REFUSED(mg_matrix_load(b.ops, &m, 0, &src, &n_bad));
    matrix_drop(b.ops, &m);
}

static void test_norms(void **state)
{
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, D);
    mg_tensor g = mg_tensor_1d(gamma_row, MG_F32, D), be = mg_tensor_1d(beta_row, MG_F32, D);
    mg_tensor shorter = mg_tensor_1d(gamma_row, MG_F32, D - 1), shifted = mg_tensor_2d(x + D, MG_F32, N, D);
    mg_tensor fewer = mg_tensor_2d(y, MG_F32, N - 1, D);

    (void)state;
    assert_int_equal(mg_layer_norm(b.ops, &ty, &tx, &g, &be, 1e-5f), MG_OK);
    REFUSED(mg_layer_norm(b.ops, &ty, &tx, &shorter, &be, 1e-5f));
    REFUSED(mg_layer_norm(b.ops, &ty, &tx, &g, &shorter, 1e-5f));
    REFUSED(mg_layer_norm(b.ops, &shifted, &tx, &g, &be, 1e-5f));
    REFUSED(mg_layer_norm(b.ops, &fewer, &tx, &g, &be, 1e-5f));
    REFUSED(mg_rms_norm(b.ops, &ty, &tx, &shorter, 1e-6f));
    REFUSED(mg_rms_norm(b.ops, &shifted, &tx, &g, 1e-6f));
    REFUSED(mg_add(b.ops, &fewer, &tx));
    REFUSED(mg_mul(b.ops, &shifted, &tx));
}

static void test_embed(void **state)
{
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), tables = mg_tensor_3d(big, MG_F32, 2, 5, D);
    mg_tensor ti = mg_tensor_2d(ids, MG_I32, N, 2), table = mg_tensor_2d(big + 1024, MG_F32, 7, D);
    mg_tensor pos = mg_tensor_1d(positions, MG_I32, N), wrong = mg_tensor_2d(ids, MG_I32, N, 1);

    (void)state;
    assert_int_equal(mg_embed(b.ops, &tx, &tables, &ti, &table, &pos), MG_OK);
    REFUSED(mg_embed(b.ops, &tx, &tables, &wrong, NULL, NULL));
    REFUSED(mg_embed(b.ops, &tx, &tables, &ti, &table, NULL));
    REFUSED(mg_embed(b.ops, &tx, &tables, &ti, NULL, &pos));
    wrong = mg_tensor_3d(big, MG_F32, 2, 5, D + 1);
    REFUSED(mg_embed(b.ops, &tx, &wrong, &ti, NULL, NULL));
    wrong = mg_tensor_1d(positions, MG_I32, N - 1);
    REFUSED(mg_embed(b.ops, &tx, &tables, &ti, &table, &wrong));
}

static void test_attention(void **state)
{
    static float k[2 * H * 8 * E], v[2 * H * 8 * E];
    const mg_kv kv = {MG_FORMAT_F32, false, 2, H, 8, E, k, v};
    mg_kv bad = kv;
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, 3 * D), ty = mg_tensor_2d(y, MG_F32, N, D);
    mg_tensor row = mg_tensor_1d(rows, MG_I32, N), pos = mg_tensor_1d(positions, MG_I32, N);
    mg_tensor bias = mg_tensor_2d(big, MG_F32, H, 2 * N - 1), wrong = mg_tensor_2d(big, MG_F32, H, 2 * N);
    int32_t many[N] = {5, 5, 5, 5};
    mg_tensor too_many = mg_tensor_1d(many, MG_I32, N);

    (void)state;
    assert_int_equal(mg_kv_write(b.ops, &kv, &tx, D, &row, &pos), MG_OK);
    assert_int_equal(mg_attention(b.ops, &ty, &tx, &kv, &row, &pos, 1, &bias), MG_OK);
    REFUSED(mg_kv_write(b.ops, &kv, &tx, D + 1, &row, &pos));
    REFUSED(mg_kv_write(b.ops, &kv, &tx, -1, &row, &pos));
    REFUSED(mg_attention(b.ops, &ty, &tx, &kv, &row, &pos, 1, &wrong));
    REFUSED(mg_attention(b.ops, &tx, &tx, &kv, &row, &pos, 1, NULL));
    REFUSED(mg_attention(b.ops, &ty, &tx, &kv, &row, &too_many, 1, &bias)); /* more keys than the bias has */
    many[0] = 9;
    REFUSED(mg_attention(b.ops, &ty, &tx, &kv, &row, &too_many, 1, NULL)); /* more than the cache has */
    bad.format = (mg_format)99;
    REFUSED(mg_attention(b.ops, &ty, &tx, &bad, &row, &pos, 1, NULL));
    bad = kv, bad.v = NULL;
    REFUSED(mg_kv_write(b.ops, &bad, &tx, D, &row, &pos));
    wrong = mg_tensor_1d(rows, MG_I32, N - 1);
    REFUSED(mg_attention(b.ops, &ty, &tx, &kv, &wrong, &pos, 1, NULL));
}

static void test_codec(void **state)
{
    float w[F * 3 * D] = {0};
    mg_conv c = {false, D, F, 3, 1, 1, NULL};
    mg_host_matrix src = {.data = w, .dtype = MG_F32, .n_rows = F, .n_cols = 3 * D, .row_stride = 3 * D};
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N - 2, F), wrong;
    const size_t bytes = mg_conv_bytes(b.ops, &c);

    (void)state;
    REFUSED(mg_conv_load(b.ops, &c, &src)); /* no memory yet */
    assert_int_equal(mg_ops_alloc(b.ops, &c.data, bytes), MG_OK);
    assert_int_equal(mg_conv_load(b.ops, &c, &src), MG_OK);
    src.n_cols = D;
    REFUSED(mg_conv_load(b.ops, &c, &src));
    assert_int_equal(mg_conv1d(b.ops, &ty, &tx, &c, NULL, false), MG_OK);
    wrong = mg_tensor_2d(y, MG_F32, N - 1, F);
    REFUSED(mg_conv1d(b.ops, &wrong, &tx, &c, NULL, false));
    wrong = mg_tensor_2d(x, MG_F32, 2, D);
    REFUSED(mg_conv1d(b.ops, &ty, &wrong, &c, NULL, false)); /* shorter than the window */
    REFUSED(mg_conv_transpose1d(b.ops, &ty, &tx, &c, NULL));
    mg_conv odd = c;
    odd.stride = 0;
    REFUSED(mg_conv1d(b.ops, &ty, &tx, &odd, NULL, false));
    odd = c, odd.transposed = true, odd.dilation = 2;
    REFUSED(mg_conv_transpose1d(b.ops, &ty, &tx, &odd, NULL));
    wrong = mg_tensor_2d(y, MG_F32, 2 * N, D);
    REFUSED(mg_pad(b.ops, &wrong, &tx, N, 0, MG_PAD_REFLECT, MG_ACT_NONE));
    REFUSED(mg_pad(b.ops, &wrong, &tx, 1, 0, MG_PAD_ZERO, MG_ACT_NONE));
    assert_int_equal(mg_pad(b.ops, &wrong, &tx, 1, N - 1, MG_PAD_REFLECT, MG_ACT_NONE), MG_OK);
    mg_ops_release(b.ops, c.data, bytes);
}

static void test_lstm(void **state)
{
    enum { C = 8 };
    float w[4 * C * D] = {0};
    mg_matrix ih = matrix_make(b.ops, MG_F32, 4 * C, D, 1, w, D),
              hh = matrix_make(b.ops, MG_F32, 4 * C, C, 1, w, C);
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, C);
    mg_tensor bias = mg_tensor_1d(big, MG_F32, 4 * C), gates = mg_tensor_2d(big + 64, MG_F32, N, 4 * C);
    mg_tensor cells = mg_tensor_3d(big + 512, MG_F32, 2, 2, C);
    mg_tensor wrong = mg_tensor_3d(big + 512, MG_F32, 2, 1, C);
    const int64_t split[2] = {N - 1, 1}, fewer[2] = {N - 2, 1}, negative[2] = {N + 1, -1};

    (void)state;
    assert_int_equal(mg_lstm(b.ops, &ty, &tx, split, &ih, &hh, &bias, &gates, &cells), MG_OK);
    REFUSED(mg_lstm(b.ops, &ty, &tx, split, &ih, &hh, &bias, &gates, &wrong));
    REFUSED(mg_lstm(b.ops, &ty, &tx, split, &hh, &hh, &bias, &gates, &cells));
    REFUSED(mg_lstm(b.ops, &ty, &tx, split, &ih, &ih, &bias, &gates, &cells));
    wrong = mg_tensor_2d(y, MG_F32, N, 4 * C);
    REFUSED(mg_lstm(b.ops, &ty, &tx, split, &ih, &hh, &bias, &wrong, &cells)); /* gates over y */
    REFUSED(mg_lstm(b.ops, &ty, &tx, fewer, &ih, &hh, &bias, &gates, &cells));
    REFUSED(mg_lstm(b.ops, &ty, &tx, negative, &ih, &hh, &bias, &gates, &cells));
    for (mg_format format = 0; format < MG_N_FORMATS;
         format++) { /* rows of such a product are in the scratch, too */
        if (format == MG_FORMAT_F32 || format == MG_FORMAT_F16) continue;
        mg_matrix rounded = hh;
        rounded.format = format;
        REFUSED(mg_lstm(b.ops, &ty, &tx, split, &ih, &rounded, &bias, &gates, &cells));
    }
    matrix_drop(b.ops, &ih), matrix_drop(b.ops, &hh);
}

/* Inputs beyond what a sum of bytes can hold, or a row of x in the scratch. */
static void test_long_rows(void **state)
{
    static const struct {
        mg_format format;
        int64_t n_in;
        int n_slices;
        bool is_taken;
    } cases[] = {{MG_FORMAT_Q8, 66311, 1, true},
                 {MG_FORMAT_Q8, 66312, 1, false},
                 {MG_FORMAT_Q8, 2 * 66311, 2, true},
                 {MG_FORMAT_Q4, 1 << 20, 1, true},
                 {MG_FORMAT_Q4, 1 << 22, 1, false}};

    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        mg_matrix m = {cases[i].format, 1, cases[i].n_in, cases[i].n_slices, NULL};
        float *w = malloc((size_t)m.n_in * sizeof *w);
        int64_t n_bad = 0;
        for (int64_t k = 0; k < m.n_in; k++) w[k] = 1;
        const mg_host_matrix src = {
            .data = w, .dtype = MG_F32, .n_rows = 1, .n_cols = m.n_in, .row_stride = m.n_in};
        assert_int_equal(mg_ops_alloc(b.ops, &m.data, mg_matrix_bytes(b.ops, &m)), MG_OK);
        if (!cases[i].is_taken) {
            REFUSED(mg_matrix_load(b.ops, &m, 0, &src, &n_bad));
        } else {
            float sum = 0;
            assert_int_equal(mg_matrix_load(b.ops, &m, 0, &src, &n_bad), MG_OK);
            linear(b.ops, &sum, w, 1, &m, NULL, MG_ACT_NONE, false);
            assert_true(fabsf(sum / (float)m.n_in - 1) < 1e-3f);
        }
        matrix_drop(b.ops, &m);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),      cmocka_unit_test(test_slots),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_linear),    cmocka_unit_test(test_load),   cmocka_unit_test(test_norms),
        cmocka_unit_test(test_embed),     cmocka_unit_test(test_codec),  cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_copies), cmocka_unit_test(test_tune),
        cmocka_unit_test(test_long_rows),
    };

    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
