/* The codec's operations against PyTorch (codec_ops.safetensors), at every level of instructions; and that a
 * row's result does not depend on its neighbours or on the threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden.h"
#include "test_backend.h"
#ifdef MG_TEST_CUDA
#include "host_view.h"
#endif

#define TOLERANCE     1e-5 /* 1e-6 observed, values of about 3 */
#define ELU_TOLERANCE 2e-7 /* 6e-8 observed */

typedef struct backend {
    mg_threads *threads;
    mg_ops *ops;
    mg_checkpoint *golden;
    void *blocks[128]; /* taken by make() */
    size_t block_bytes[128];
    int n_blocks;
} backend;

static void backend_open(backend *b, mg_cpu_level level, int n_threads)
{
    *b = (backend){0};
    GOLDEN_OK(mg_threads_open(&b->threads, n_threads, 0));
    GOLDEN_OK(test_backend_open(&b->ops, level, b->threads));
#ifdef MG_TEST_CUDA
    GOLDEN_OK(host_view_open(&b->ops, b->ops));
#endif
    b->golden = golden_open("codec_ops.safetensors");
}

static void backend_close(backend *b)
{
    for (int i = 0; i < b->n_blocks; i++) mg_ops_release(b->ops, b->blocks[i], b->block_bytes[i]);
    mg_checkpoint_close(b->golden);
    mg_ops_close(b->ops);
    mg_threads_close(b->threads);
}

static void *take(backend *b, size_t bytes)
{
    void *block;

    assert_true(b->n_blocks < 128);
    GOLDEN_OK(mg_ops_alloc(b->ops, &block, bytes));
    b->block_bytes[b->n_blocks] = bytes;
    return b->blocks[b->n_blocks++] = block;
}

/* A tensor of the backend, [d0,d1] or [d0] if d1 is 0, filled with NaN. */
static mg_tensor make(backend *b, int64_t d0, int64_t d1)
{
    mg_tensor t = d1 ? mg_tensor_2d(NULL, MG_F32, d0, d1) : mg_tensor_1d(NULL, MG_F32, d0);

    t.data = take(b, mg_tensor_bytes(&t));
    memset(t.data, 0xFF, mg_tensor_bytes(&t));
    return t;
}

static mg_tensor golden(backend *b, const char *format, int i)
{
    char name[64];

    snprintf(name, sizeof name, format, i);
    const mg_tensor *t = golden_tensor(b->golden, name);
    mg_tensor copy = make(b, t->dim[0], t->n_dims == 1 ? 0 : t->dim[1] * t->dim[2]);
    memcpy(copy.data, t->data, mg_tensor_bytes(t));
    return copy;
}

static bool has(const backend *b, const char *format, int i)
{
    char name[64];

    snprintf(name, sizeof name, format, i);
    return mg_checkpoint_find(b->golden, name) != NULL;
}

static mg_conv load_conv(backend *b, const char *kind, int i, bool transposed)
{
    char name[64];
    int32_t *g;

    snprintf(name, sizeof name, "%s.%d.geometry", kind, i);
    g = golden_i32(b->golden, name, NULL);
    mg_conv c = {.transposed = transposed,
                 .c_in = g[0],
                 .c_out = g[1],
                 .n_taps = g[2],
                 .stride = g[3],
                 .dilation = transposed ? 1 : g[4]};
    free(g);
    c.data = take(b, mg_conv_bytes(b->ops, &c));
    snprintf(name, sizeof name, "%s.%d.w", kind, i);
    float *w = golden_f32(b->golden, name, NULL);
    const int64_t n_rows = transposed ? c.c_in : c.c_out, n_cols = c.c_in * c.c_out * c.n_taps / n_rows;
    const mg_host_matrix src = {
        .data = w, .dtype = MG_F32, .n_rows = n_rows, .n_cols = n_cols, .row_stride = n_cols};
    GOLDEN_OK(mg_conv_load(b->ops, &c, &src));
    free(w);
    return c;
}

typedef void check_fn(backend *b, int i);

static void check_all(check_fn *check, const char *first)
{
    FOR_LEVELS(level)
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
        backend b;
        printf("%s, %d threads\n", mg_cpu_level_name(level), n_threads);
        for (int i = 0; i == 0 || b.n_blocks; i++) {
            backend_open(&b, level, n_threads);
            if (has(&b, first, i)) check(&b, i);
            const bool more = b.n_blocks > 0;
            backend_close(&b);
            if (!more) break;
        }
    }
}

static void check_conv(backend *b, int i)
{
    const mg_conv c = load_conv(b, "conv", i, false);
    const mg_tensor x = golden(b, "conv.%d.x", i), bias = golden(b, "conv.%d.b", i),
                    want = golden(b, "conv.%d.y", i);
    const int64_t n = mg_tensor_count(&want);
    mg_tensor y = make(b, want.dim[0], want.dim[1]), zero = make(b, c.c_out, 0);
    float *got = y.data, *wanted = want.data;

    GOLDEN_OK(mg_conv1d(b->ops, &y, &x, &c, &bias, false));
    golden_close("conv1d", got, wanted, n, TOLERANCE);
    GOLDEN_OK(mg_conv1d(b->ops, &y, &x, &c, NULL, true)); /* y = 2 y - bias */
    for (int64_t k = 0; k < n; k++) wanted[k] = 2 * wanted[k] - ((const float *)bias.data)[k % c.c_out];
    golden_close("conv1d, accumulated", got, wanted, n, 2 * TOLERANCE);

    /* row 3 alone has the bits of row 3 among others */
    const int64_t span = (c.n_taps - 1) * c.dilation + 1;
    const mg_tensor one = mg_tensor_rows(&x, 3 * c.stride, span);
    mg_tensor alone = make(b, 1, c.c_out);
    memset(zero.data, 0, mg_tensor_bytes(&zero));
    GOLDEN_OK(mg_conv1d(b->ops, &y, &x, &c, &bias, false));
    GOLDEN_OK(mg_conv1d(b->ops, &alone, &one, &c, &bias, false));
    assert_memory_equal(alone.data, got + 3 * c.c_out, mg_tensor_bytes(&alone));
    GOLDEN_OK(mg_conv1d(b->ops, &y, &x, &c, &zero, false));
    golden_not_close("conv1d without bias", got, wanted, n, TOLERANCE);
}

static void test_conv(void **state)
{
    (void)state;
    check_all(check_conv, "conv.%d.x");
}

/* PyTorch's full output is the inner part over x with J-1 rows of zeros on both sides. */
static void check_up(backend *b, int i)
{
    const mg_conv c = load_conv(b, "up", i, true);
    const mg_tensor x = golden(b, "up.%d.x", i), bias = golden(b, "up.%d.b", i),
                    want = golden(b, "up.%d.y", i);
    const int64_t J = (c.n_taps + c.stride - 1) / c.stride, M = x.dim[0] + J - 1;
    mg_tensor padded = make(b, M + J - 1, c.c_in), y = make(b, M * c.stride, c.c_out);
    const int64_t n = mg_tensor_count(&want);
    float *got = y.data, *wanted = want.data;

    GOLDEN_OK(mg_pad(b->ops, &padded, &x, J - 1, J - 1, MG_PAD_ZERO, MG_ACT_NONE));
    GOLDEN_OK(mg_conv_transpose1d(b->ops, &y, &padded, &c, &bias));
    golden_close("conv_transpose1d", got, wanted, n, TOLERANCE);

    mg_tensor alone = make(b, c.stride, c.c_out);
    const mg_tensor some = mg_tensor_rows(&padded, 2, J);
    GOLDEN_OK(mg_conv_transpose1d(b->ops, &alone, &some, &c, &bias));
    assert_memory_equal(alone.data, got + 2 * c.stride * c.c_out, mg_tensor_bytes(&alone));
    GOLDEN_OK(mg_conv_transpose1d(b->ops, &y, &padded, &c, NULL));
    golden_not_close("conv_transpose1d without bias", got, wanted, n, TOLERANCE);
    for (int64_t k = 0; k < n; k++) wanted[k] -= ((const float *)bias.data)[k % c.c_out];
    golden_close("conv_transpose1d, bias NULL", got, wanted, n, TOLERANCE);
}

static void test_up(void **state)
{
    (void)state;
    check_all(check_up, "up.%d.x");
}

static mg_matrix load_matrix(backend *b, const char *format, int i)
{
    const mg_tensor t = golden(b, format, i);
    mg_matrix w = {.format = MG_FORMAT_F32, .n_out = t.dim[0], .n_in = t.dim[1], .n_slices = 1};
    const mg_host_matrix rows = {
        .data = t.data, .dtype = MG_F32, .n_rows = w.n_out, .n_cols = w.n_in, .row_stride = w.n_in};
    int64_t n_bad = 0;

    w.data = take(b, mg_matrix_bytes(b->ops, &w));
    GOLDEN_OK(mg_matrix_load(b->ops, &w, 0, &rows, &n_bad));
    return w;
}

/* [1,2,C] */
static mg_tensor lstm_state(backend *b, int i)
{
    const mg_tensor t = golden(b, "lstm.%d.state", i);

    return mg_tensor_3d(t.data, MG_F32, 1, 2, t.dim[1]);
}

static void check_lstm(backend *b, int i)
{
    const mg_tensor x = golden(b, "lstm.%d.x", i), bias = golden(b, "lstm.%d.bias", i),
                    want = golden(b, "lstm.%d.y", i), end = golden(b, "lstm.%d.end", i);
    const mg_matrix w_ih = load_matrix(b, "lstm.%d.w_ih", i), w_hh = load_matrix(b, "lstm.%d.w_hh", i);
    const int64_t N = x.dim[0], C = want.dim[1], n = mg_tensor_count(&want);
    mg_tensor state = lstm_state(b, i), y = make(b, N, C), gates = make(b, N, 4 * C);

    GOLDEN_OK(mg_lstm(b->ops, &y, &x, &N, &w_ih, &w_hh, &bias, &gates, &state));
    golden_close("lstm", y.data, want.data, n, TOLERANCE / 10);
    golden_close("lstm, last state", state.data, end.data, 2 * C, TOLERANCE / 10);

    /* in two parts, the state carried */
    mg_tensor again = make(b, N, C), carried = lstm_state(b, i);
    for (int64_t from = 0; from < N; from += (N + 1) / 2) {
        const int64_t rows = N - from < (N + 1) / 2 ? N - from : (N + 1) / 2;
        const mg_tensor part = mg_tensor_rows(&x, from, rows);
        mg_tensor to = mg_tensor_rows(&again, from, rows), part_gates = mg_tensor_rows(&gates, 0, rows);
        GOLDEN_OK(mg_lstm(b->ops, &to, &part, &rows, &w_ih, &w_hh, &bias, &part_gates, &carried));
    }
    assert_memory_equal(again.data, y.data, mg_tensor_bytes(&y));
    assert_memory_equal(carried.data, state.data, mg_tensor_bytes(&state));

    ((float *)bias.data)[2 * C] += 0.5F;
    memcpy(carried.data, lstm_state(b, i).data, mg_tensor_bytes(&carried));
    GOLDEN_OK(mg_lstm(b->ops, &y, &x, &N, &w_ih, &w_hh, &bias, &gates, &carried));
    golden_not_close("lstm", y.data, want.data, n, TOLERANCE / 10);
}

static void test_lstm(void **state)
{
    (void)state;
    check_all(check_lstm, "lstm.%d.x");
}

/* Sequence s of a mix is rows of x from here on, of states of two kinds. */
static int64_t mix_begin(int s, int64_t N)
{
    return s * 5 % N;
}

static void mix_state(float *state, const mg_tensor *golden, int s)
{
    memcpy(state, golden->data, mg_tensor_bytes(golden));
    state[0] += s % 3 ? 0.25F : 0;
}

/* Sequences of these lengths at most, all in one call: each has the bits, in y and in its state, that it has
 * alone; a sequence of no rows keeps its state. Those that begin as the golden one are like it. */
static void check_mix(backend *b, int i, const int64_t *lengths, int n)
{
    enum { MOST = 24 };
    const mg_tensor x = golden(b, "lstm.%d.x", i), bias = golden(b, "lstm.%d.bias", i),
                    want = golden(b, "lstm.%d.y", i), begin = lstm_state(b, i);
    const mg_matrix w_ih = load_matrix(b, "lstm.%d.w_ih", i), w_hh = load_matrix(b, "lstm.%d.w_hh", i);
    const int64_t N = x.dim[0], I = x.dim[1], C = want.dim[1];
    int64_t all = 0, at = 0, n_rows[MOST];

    for (int s = 0; s < n; s++) {
        const int64_t most = N - mix_begin(s, N);
        all += n_rows[s] = lengths[s] < most ? lengths[s] : most;
    }
    mg_tensor in = make(b, all, I), y = make(b, all, C), gates = make(b, all, 4 * C);
    mg_tensor alone = make(b, N, C), block = make(b, n, 2 * C), one = lstm_state(b, i);
    mg_tensor states = mg_tensor_3d(block.data, MG_F32, n, 2, C);
    for (int s = 0; s < n; at += n_rows[s++]) {
        const mg_tensor part = mg_tensor_rows(&x, mix_begin(s, N), n_rows[s]);
        memcpy((float *)in.data + at * I, part.data, mg_tensor_bytes(&part));
        mix_state((float *)states.data + s * 2 * C, &begin, s);
    }
    GOLDEN_OK(mg_lstm(b->ops, &y, &in, n_rows, &w_ih, &w_hh, &bias, &gates, &states));
    at = 0;
    for (int s = 0; s < n; at += n_rows[s++]) {
        const mg_tensor part = mg_tensor_rows(&x, mix_begin(s, N), n_rows[s]);
        mg_tensor part_gates = mg_tensor_rows(&gates, 0, n_rows[s]);
        alone.dim[0] = n_rows[s];
        mix_state(one.data, &begin, s);
        GOLDEN_OK(mg_lstm(b->ops, &alone, &part, n_rows + s, &w_ih, &w_hh, &bias, &part_gates, &one));
        assert_memory_equal((float *)y.data + at * C, alone.data, mg_tensor_bytes(&alone));
        assert_memory_equal((float *)states.data + s * 2 * C, one.data, mg_tensor_bytes(&one));
        if (s % 3 == 0 && mix_begin(s, N) == 0)
            golden_close("one of a mix", alone.data, want.data, n_rows[s] * C, TOLERANCE / 10);
    }
}

static void check_mixes(backend *b, int i)
{
    const int64_t two[] = {40, 1}, three[] = {1, 0, 40}, same[] = {3, 3, 3, 3, 3}, none[] = {0, 0};
    int64_t many[19];

    for (int s = 0; s < 19; s++) many[s] = s % 4 == 2 ? 0 : s * 7 % 17 + 1;
    check_mix(b, i, two, 2);
    check_mix(b, i, three, 3);
    check_mix(b, i, same, 5);
    check_mix(b, i, many, 19);
    check_mix(b, i, none, 2);
}

static void test_lstm_mixes(void **state)
{
    (void)state;
    check_all(check_mixes, "lstm.%d.x");
}

static void check_pad(backend *b, int i)
{
    static const char *const format[] = {[MG_PAD_ZERO] = "pad.%d.zero", [MG_PAD_REFLECT] = "pad.%d.reflect"};
    const mg_tensor x = golden(b, "pad.%d.x", i);
    char name[64];

    snprintf(name, sizeof name, "pad.%d.geometry", i);
    int32_t *side = golden_i32(b->golden, name, NULL);
    for (mg_pad_mode mode = MG_PAD_ZERO; mode <= MG_PAD_REFLECT; mode++) {
        const mg_tensor want = golden(b, format[mode], i);
        const int64_t n = mg_tensor_count(&want);
        mg_tensor y = make(b, want.dim[0], want.dim[1]);
        GOLDEN_OK(mg_pad(b->ops, &y, &x, side[0], side[1], mode, MG_ACT_ELU));
        golden_close(mode ? "elu, reflected" : "elu, zeros", y.data, want.data, n, ELU_TOLERANCE);
        GOLDEN_OK(mg_pad(b->ops, &y, &x, side[0], side[1], mode, MG_ACT_NONE));
        golden_not_close("pad without elu", y.data, want.data, n, ELU_TOLERANCE);
        assert_memory_equal((const float *)y.data + side[0] * x.dim[1], x.data, mg_tensor_bytes(&x));
    }
    free(side);
}

static void test_pad(void **state)
{
    (void)state;
    check_all(check_pad, "pad.%d.x");
}

/* x as it stands in `out` after the op, and its ids. */
static void run_nearest(backend *b, const mg_tensor *x, const mg_tensor *table, const mg_matrix *w,
                        const mg_tensor *norms, mg_tensor *ids, mg_tensor *out)
{
    mg_tensor products = make(b, x->dim[0], table->dim[0]);

    *out = make(b, x->dim[0], x->dim[1]);
    memcpy(out->data, x->data, mg_tensor_bytes(x));
    *ids = mg_tensor_1d(make(b, x->dim[0], 0).data, MG_I32, x->dim[0]);
    GOLDEN_OK(mg_linear(b->ops, &products, x, w, NULL, MG_ACT_NONE, false));
    GOLDEN_OK(mg_nearest_code(b->ops, ids, out, &products, table, norms));
}

static void check_nearest(backend *b, int i)
{
    const mg_tensor x = golden(b, "nearest.%d.x", i), table = golden(b, "nearest.%d.table", i),
                    left = golden(b, "nearest.%d.left", i);
    const mg_matrix w = load_matrix(b, "nearest.%d.table", i);
    const int64_t V = table.dim[0], D = table.dim[1], N = x.dim[0];
    mg_tensor norms = make(b, V, 0), ids, got;
    float *norm = norms.data;
    char name[64];

    snprintf(name, sizeof name, "nearest.%d.ids", i);
    int32_t *want = golden_i32(b->golden, name, NULL);
    for (int64_t v = 0; v < V; v++) {
        const float *row = (const float *)table.data + v * D;
        norm[v] = 0;
        for (int64_t k = 0; k < D; k++) norm[v] += row[k] * row[k];
    }
    run_nearest(b, &x, &table, &w, &norms, &ids, &got);
    assert_memory_equal(ids.data, want, (size_t)N * sizeof *want);
    golden_close("what is left", got.data, left.data, N * D, ELU_TOLERANCE);

    const mg_tensor one = mg_tensor_rows(&x, 3, 1);
    mg_tensor one_id, alone;
    run_nearest(b, &one, &table, &w, &norms, &one_id, &alone);
    assert_memory_equal(one_id.data, want + 3, sizeof *want);
    assert_memory_equal(alone.data, (const float *)got.data + 3 * D, mg_tensor_bytes(&alone));

    norm[want[0]] += 1000; /* farther than any other now, and its twin too if it has one */
    norm[(want[0] + V / 2) % V] += 1000;
    run_nearest(b, &x, &table, &w, &norms, &ids, &got);
    assert_int_not_equal(*(int32_t *)ids.data, want[0]);
    golden_not_close("another code", got.data, left.data, N * D, ELU_TOLERANCE);

    mg_tensor products = make(b, N, V), narrow = make(b, N, V - 1);
    assert_int_equal(mg_nearest_code(b->ops, &ids, &got, &narrow, &table, &norms), MG_EBUG);
    assert_int_equal(mg_nearest_code(b->ops, &one_id, &got, &products, &table, &norms), MG_EBUG);
    assert_int_equal(mg_nearest_code(b->ops, &ids, &got, &products, &norms, &norms), MG_EBUG);
    free(want);
}

static void test_nearest(void **state)
{
    (void)state;
    check_all(check_nearest, "nearest.%d.x");
}

/* ELU over its whole range against fp64, and the same bits wherever a value stands. */
static void test_elu_everywhere(void **state)
{
    enum { N = 4099 };

    (void)state;
    FOR_LEVELS(level)
    {
        backend b;
        backend_open(&b, level, 2);
        mg_tensor x = make(&b, N, 1), y = make(&b, N, 1), x1 = make(&b, 1, 1), y1 = make(&b, 1, 1);
        float *in = x.data, *got = y.data, want[N];
        for (int i = 0; i < N; i++) {
            in[i] = (float)(i - N + 40) * (i % 2 ? 0.025F : 0.0001F);
            want[i] = in[i] > 0 ? in[i] : (float)expm1((double)in[i]);
        }
        GOLDEN_OK(mg_pad(b.ops, &y, &x, 0, 0, MG_PAD_ZERO, MG_ACT_ELU));
        golden_close("elu", got, want, N, ELU_TOLERANCE);
        for (int i = 0; i < N; i += 37) {
            memcpy(x1.data, in + i, sizeof *in);
            GOLDEN_OK(mg_pad(b.ops, &y1, &x1, 0, 0, MG_PAD_ZERO, MG_ACT_ELU));
            assert_memory_equal(y1.data, got + i, sizeof *got);
        }
        backend_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),       cmocka_unit_test(test_up),  cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_lstm_mixes), cmocka_unit_test(test_pad), cmocka_unit_test(test_elu_everywhere),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
