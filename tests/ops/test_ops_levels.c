/* The levels avx2 and neon have the same bits, by either name: the hashes of what the one computes that this
 * processor has are those written here. */
#include "cpu_codec_kernels.h"
#include "cpu_kernels.h"
#include "hash.h"
#include "ops_test.h"

#if defined(__x86_64__)
static const mg_cpu_level own = MG_CPU_AVX2, other = MG_CPU_NEON;
#define KERNELS mg_cpu_kernels_avx2
#elif defined(__aarch64__)
static const mg_cpu_level own = MG_CPU_NEON, other = MG_CPU_AVX2;
#define KERNELS mg_cpu_kernels_neon
#else
static const mg_cpu_level own = MG_CPU_NEON, other = MG_CPU_AVX2; /* which are not had */
#define KERNELS mg_cpu_kernels_plain
#endif

enum { MOST = 40000 };

static void check(const char *what, const void *data, size_t bytes, const char *expected)
{
    char sha256[65];

    assert_int_equal(mg_hash_bytes(sha256, data, bytes), MG_OK);
    if (strncmp(sha256, expected, 16) != 0)
        fail_msg("%s at %s: %.16s, not %s", what, mg_cpu_level_name(own), sha256, expected);
}

/* One to nine rows, an odd number of outputs, slices: every tile. */
static void check_products(mg_cpu_level level)
{
    static const char *const expected[MG_N_FORMATS] = {
        "d35d724d7173ee61", "522dc12bc876edd3", "391958e5ac7adfbd", "4f7e8d570917ca92", "c2c41dd6e3fd6914"};
    enum { ROWS = 9, O = 71, I = 768 };
    float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I), *bias = random_floats(3, O);
    float *y = malloc(MOST * sizeof *y);

    bench_ops b = ops_open(level, 1);
    for (int f = 0; f < MG_N_FORMATS; f++) {
        float *to = y;
        for (int slices = 1; slices <= 8; slices *= 8) {
            mg_matrix m = {(mg_format)f, O, I, slices, NULL};
            const mg_host_matrix src = {
                .data = w, .dtype = MG_F32, .n_rows = O, .n_cols = I, .row_stride = I};
            int64_t n_bad = 0;
            assert_int_equal(mg_ops_alloc(b.ops, &m.data, mg_matrix_bytes(b.ops, &m)), MG_OK);
            assert_int_equal(mg_matrix_load(b.ops, &m, 0, &src, &n_bad), MG_OK);
            for (int64_t rows = 1; rows <= ROWS; to += rows++ * O)
                linear(b.ops, to, x, rows, &m, bias, MG_ACT_NONE, false);
            matrix_drop(b.ops, &m);
        }
        check(mg_format_name((mg_format)f), y, (size_t)(to - y) * sizeof *y, expected[f]);
    }
    ops_close(&b);
    free(x), free(w), free(bias), free(y);
}

static void test_products(void **state)
{
    (void)state;
    if (!mg_cpu_has_level(own)) skip();
    check_products(own);
    check_products(other);
}

/* Norms and activations, of all widths up to 100 and some of a model. */
static void test_rows(void **state)
{
    float *x = random_floats(4, 4096), *gamma = random_floats(5, 4096), *beta = random_floats(6, 4096);
    float *y = malloc(MOST * sizeof *y), *to = y;

    (void)state;
    if (!mg_cpu_has_level(own)) skip();
    for (int64_t D = 1; D <= 1024; D += D < 100 ? 1 : 231) {
        KERNELS.layer_norm(to, x, gamma, beta, D, 1e-5f);
        KERNELS.rms_norm(to + D, x + 7, gamma, D, 1e-6f);
        to += 2 * D;
    }
    check("norms", y, (size_t)(to - y) * sizeof *y, "ff78a995508f62b9");
    for (int act = MG_ACT_NONE; act <= MG_ACT_ELU; act++) KERNELS.act(y + act * 4091, x, 4091, (mg_act)act);
    check("activations", y, (size_t)5 * 4091 * sizeof *y, "6cc4d78544f515c4");
    free(x), free(gamma), free(beta), free(y);
}

/* Keys and values of each type; alone and four together, some with fewer keys. */
static void test_attention(void **state)
{
    static const char *const expected[] = {"2eb9d77ce264f4b2", "fa2e3cedcd4a3f89", "21f5fd53d24bed32",
                                           "4e72ad8f29618e9a"};
    static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16, MG_I8};
    enum { KEYS = 300, E = 64 };
    float *kv = random_floats(7, 2 * KEYS * E), *q = random_floats(8, MG_CPU_QUERIES * E);
    float *scales = random_floats(9, 2 * KEYS), *bias = random_floats(10, KEYS);
    char *k = malloc(KEYS * E * 8);

    (void)state;
    if (!mg_cpu_has_level(own)) skip();
    for (int t = 0; t < COUNT(dtypes); t++) {
        const int64_t size = dtypes[t] == MG_F32 ? 4 : dtypes[t] == MG_I8 ? 1 : 2;
        char *v = k + KEYS * E * size;
        float y[5 * MG_CPU_QUERIES * 2 * E], *to = y;
        if (dtypes[t] == MG_I8)
            for (int i = 0; i < 2 * KEYS * E; i++) k[i] = (char)((int)(kv[i] * 40) % 128);
        else
            KERNELS.narrow(k, dtypes[t], kv, 2 * KEYS * E);
        for (int width = E; width > 40; width -= 21) { /* 64 and 43 */
            mg_cpu_query a[MG_CPU_QUERIES];
            for (int i = 0; i < MG_CPU_QUERIES; i++)
                a[i] = (mg_cpu_query){.q = q + i * E,
                                      .k = k,
                                      .v = v,
                                      .k_scale = dtypes[t] == MG_I8 ? scales : NULL,
                                      .v_scale = dtypes[t] == MG_I8 ? scales + KEYS : NULL,
                                      .dtype = dtypes[t],
                                      .E = width,
                                      .n_keys = KEYS - i,
                                      .scale = 0.125f,
                                      .bias = i % 2 ? bias : NULL};
            for (int i = 0; i < MG_CPU_QUERIES; i++, to += width) a[i].y = to;
            KERNELS.attend(a, MG_CPU_QUERIES);
            for (int i = 0; i < MG_CPU_QUERIES; i++, to += width) {
                a[i].y = to, a[i].n_keys = 5 + 70 * i;
                KERNELS.attend(&a[i], 1);
            }
        }
        check(mg_dtype_name(dtypes[t]), y, (size_t)(to - y) * sizeof *y, expected[t]);
    }
    free(kv), free(q), free(scales), free(bias), free(k);
}

static void test_codec(void **state)
{
    enum { ROWS = 7, OUT = 2, C = 77 };
    float *x = random_floats(11, 4096), *w = random_floats(12, 4096), y[61 * ROWS * OUT], h[C], c[C], *to = y;

    (void)state;
    if (!mg_cpu_has_level(own)) skip();
    for (int64_t n = 1; n <= 61; n++, to += ROWS * OUT) {
        const mg_cpu_dots d = {w, x + 100, OUT, 3, n, 70, 64, false};
        mg_cpu_codec_at(own)->dots(to, x, ROWS, &d);
    }
    check("dots", y, sizeof y, "ceae9767587ef1de");
    memcpy(c, w, sizeof c);
    mg_cpu_codec_at(own)->lstm_cell(h, c, x, C);
    check("LSTM", h, sizeof h, "6507f3b90547b28a");
    free(x), free(w);
}

/* 16-bit numbers and bytes: rounded alike, infinities and what is not a number too. */
static void test_conversions(void **state)
{
    enum { N = 1 << 16 };
    float *x = malloc(N * sizeof *x);
    uint16_t *half = malloc(N * sizeof *half);

    (void)state;
    if (!mg_cpu_has_level(own)) skip();
    for (int i = 0; i < N; i++) half[i] = (uint16_t)i;
    (void)KERNELS.widen(x, half, MG_F16, N);
    check("fp16", x, N * sizeof *x, "b636c5716ff84d97");
    for (int i = 0; i < N; i++) {
        const uint32_t bits = (uint32_t)i << 16 | ((uint32_t)i * 40503u & 0xFFFFu);
        memcpy(&x[i], &bits, sizeof bits);
    }
    KERNELS.narrow(half, MG_F16, x, N);
    check("to fp16", half, N * sizeof *half, "09367b07b1c53530");
    KERNELS.narrow(half, MG_BF16, x, N);
    check("to bf16", half, N * sizeof *half, "9079d14c8d9ba7e6");
    for (int i = 0; i < N; i++) x[i] = random_value(13, i);
    const float scale = KERNELS.quantise((uint8_t *)half, x, N - 3);
    assert_true(scale > 0);
    check("to bytes", half, N - 3, "60b2d2e8fc00bdb5");
    free(x), free(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_attention), cmocka_unit_test(test_codec),
                                       cmocka_unit_test(test_conversions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
