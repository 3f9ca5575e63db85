/* 4-bit matrices: bit for bit what a plain loop over the definition in ops.h gives, on every level, however
 * rows, slices, threads and loads are cut; and near enough to the product that they stand for. */
#include "cpu_kernels.h"
#include "ops_test.h"

typedef struct shape {
    int64_t rows, n_out, n_in;
    int n_slices;
} shape;

enum { GROUP = 32 };

static const shape shapes[] = {{1, 1, 32, 1},    {2, 7, 64, 1},    {3, 16, 96, 1},   {5, 48, 256, 8},
                               {7, 65, 768, 8},  {9, 100, 640, 4}, {13, 80, 192, 2}, {30, 33, 800, 1},
                               {26, 70, 512, 8}, {4, 96, 3072, 2}, {12, 130, 160, 1}};

static mg_matrix take(const mg_ops *ops, const shape *s)
{
    mg_matrix m = {MG_FORMAT_Q4, s->n_out, s->n_in, s->n_slices, NULL};

    assert_int_equal(mg_ops_alloc(ops, &m.data, mg_matrix_bytes(ops, &m)), MG_OK);
    return m;
}

static mg_matrix make(const mg_ops *ops, const shape *s, const float *w, int64_t stride)
{
    const mg_host_matrix src = {
        .data = w, .dtype = MG_F32, .n_rows = s->n_out, .n_cols = s->n_in, .row_stride = stride};
    mg_matrix m = take(ops, s);
    int64_t n_bad = 0;

    assert_int_equal(mg_matrix_load(ops, &m, 0, &src, &n_bad), MG_OK);
    assert_int_equal(n_bad, 0);
    return m;
}

/* n values as whole steps; returns the scale. */
static float plain_quantise(int *q, const float *x, int64_t n)
{
    float most = 0;

    for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    const float per_step = most > 0 ? 127.0f / most : 0;
    for (int64_t i = 0; i < n; i++) q[i] = (int)rintf(x[i] * per_step);
    return most / 127.0f;
}

static float to_bf16(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float clamped(float w, float scale)
{
    const float q = rintf(w * (1 / scale));

    return q < -8 ? -8 : q > 7 ? 7 : q;
}

/* Of five scales, all bf16, the one of the least squared error: the value farthest from zero is then -8,
 * -7.4, -6.8, 7 or -8.8 of it. The errors of inputs i, i + 4, i + 8 … are summed apart. */
static float plain_scale(const float *w)
{
    const float at[] = {-8.0f, -7.4f, -6.8f, 7.0f, -8.8f};
    float far = 0, best = 0, least = INFINITY;

    for (int i = 0; i < GROUP; i++)
        if (fabsf(w[i]) > fabsf(far)) far = w[i];
    for (int k = 0; k < COUNT(at) && far != 0; k++) {
        const float scale = to_bf16(far / at[k]);
        float error[4] = {0};
        for (int i = 0; i < GROUP; i++) {
            const float d = clamped(w[i], scale) * scale - w[i];
            error[i % 4] += d * d;
        }
        const float all = (error[0] + error[1]) + (error[2] + error[3]);
        if (all < least) least = all, best = scale;
    }
    return best;
}

/* The definition: whole sums of a group times its scale, one group after the other; times the scale of x;
 * slices in a binary tree. */
static float plain_product(const float *x, const float *w, const shape *s)
{
    const int64_t L = s->n_in / s->n_slices;
    int *q_x = malloc((size_t)L * sizeof *q_x);
    float slice[8];

    for (int i = 0; i < s->n_slices; i++) {
        const float scale_x = plain_quantise(q_x, x + i * L, L);
        float sum = 0;
        for (int64_t g = 0; g < L; g += GROUP) {
            const float *of_group = w + i * L + g, scale = plain_scale(of_group);
            int whole = 0;
            for (int k = 0; k < GROUP && scale != 0; k++)
                whole += q_x[g + k] * (int)clamped(of_group[k], scale);
            sum += (float)whole * scale;
        }
        slice[i] = sum * scale_x;
    }
    for (int gap = 1; gap < s->n_slices; gap *= 2)
        for (int i = 0; i < s->n_slices; i += 2 * gap) slice[i] += slice[i + gap];
    free(q_x);
    return slice[0];
}

static void test_exact(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(shapes); i++) {
        const shape *s = &shapes[i];
        float *x = random_floats(1, s->rows * s->n_in), *w = random_floats(2, s->n_out * s->n_in);
        float *y = random_floats(3, s->rows * s->n_out);
        double error = 0, size = 0;
        FOR_LEVELS(level)
        {
            bench_ops b = ops_open(level, 2);
            mg_matrix m = make(b.ops, s, w, s->n_in);
            linear(b.ops, y, x, s->rows, &m, NULL, MG_ACT_NONE, false);
            for (int64_t r = 0; r < s->rows; r++)
                for (int64_t o = 0; o < s->n_out; o++) {
                    double exact = 0;
                    for (int64_t k = 0; k < s->n_in; k++)
                        exact += (double)x[r * s->n_in + k] * w[o * s->n_in + k];
                    assert_true(y[r * s->n_out + o] == plain_product(x + r * s->n_in, w + o * s->n_in, s));
                    error += (y[r * s->n_out + o] - exact) * (y[r * s->n_out + o] - exact),
                        size += exact * exact;
                }
            matrix_drop(b.ops, &m);
            ops_close(&b);
        }
        /* 16 steps from end to end of 32 normal values: an error of 7 % of a product's size */
        assert_true(sqrt(error) <= 0.1 * sqrt(size));
        free(x), free(w), free(y);
    }
}

/* The sibling that must fail: a weight one step off is seen. */
static void test_notices(void **state)
{
    const shape s = {1, 16, 64, 1};
    float *x = random_floats(1, s.n_in), *w = random_floats(2, s.n_out * s.n_in), y[16];
    bench_ops b = ops_open(MG_CPU_AUTO, 1);

    (void)state;
    x[0] = 1, w[3 * s.n_in] = 0.02f, w[3 * s.n_in + 1] = 2;
    const float before = plain_product(x, w + 3 * s.n_in, &s);
    w[3 * s.n_in] = 0.7f;
    mg_matrix m = make(b.ops, &s, w, s.n_in);
    linear(b.ops, y, x, 1, &m, NULL, MG_ACT_NONE, false);
    assert_true(y[3] != before);
    matrix_drop(b.ops, &m);
    ops_close(&b);
    free(x), free(w);
}

/* Rows alone and together, on 1 and 3 threads. */
static void test_rows_alone(void **state)
{
    const shape s = {70, 150, 256, 8};
    float *x = random_floats(1, s.rows * s.n_in), *w = random_floats(2, s.n_out * s.n_in);
    float *bias = random_floats(3, s.n_out), *y = random_floats(4, s.rows * s.n_out);
    float *one = random_floats(5, s.rows * s.n_out);

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 3), single = ops_open(level, 1);
        mg_matrix m = make(b.ops, &s, w, s.n_in);
        for (int64_t r = 0; r < s.rows; r++)
            linear(single.ops, one + r * s.n_out, x + r * s.n_in, 1, &m, bias, MG_ACT_GELU, false);
        for (int64_t rows = 1; rows <= s.rows; rows += 3) {
            memset(y, 0xFF, (size_t)(s.rows * s.n_out) * sizeof *y);
            linear(b.ops, y, x, rows, &m, bias, MG_ACT_GELU, false);
            assert_memory_equal(y, one, (size_t)(rows * s.n_out) * sizeof *y);
        }
        matrix_drop(b.ops, &m);
        ops_close(&b), ops_close(&single);
    }
    free(x), free(w), free(bias), free(y), free(one);
}

/* A row-parallel product of 1, 2, 4 and 8 ranks gives the same bits. */
static void test_ranks(void **state)
{
    enum { ROWS = 3, O = 37, I = 1024 };
    float *x = random_floats(1, ROWS * I), *w = random_floats(2, O * I), *part_x = random_floats(3, ROWS * I);
    float *y = random_floats(4, ROWS * O), *parts = random_floats(5, 8 * ROWS * O);
    bench_ops b = ops_open(MG_CPU_AUTO, 2);

    (void)state;
    for (int T = 1; T <= 8; T *= 2) {
        const shape s = {ROWS, O, I / T, MG_TP_SLICES / T};
        for (int rank = 0; rank < T; rank++) {
            for (int64_t r = 0; r < ROWS; r++)
                memcpy(part_x + r * s.n_in, x + r * I + rank * s.n_in, (size_t)s.n_in * sizeof *x);
            mg_matrix m = make(b.ops, &s, w + rank * s.n_in, I);
            linear(b.ops, parts + rank * ROWS * O, part_x, ROWS, &m, NULL, MG_ACT_NONE, false);
            matrix_drop(b.ops, &m);
        }
        for (int gap = 1; gap < T; gap *= 2)
            for (int r = 0; r < T; r += 2 * gap)
                for (int64_t i = 0; i < ROWS * O; i++)
                    parts[r * ROWS * O + i] += parts[(r + gap) * ROWS * O + i];
        if (T == 1) memcpy(y, parts, ROWS * O * sizeof *y);
        assert_memory_equal(parts, y, ROWS * O * sizeof *y);
    }
    ops_close(&b);
    free(x), free(w), free(part_x), free(y), free(parts);
}

typedef struct file {
    const uint16_t *w;
    int64_t n_in;
} file;

static void read_file(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                      int64_t n_cols)
{
    const file *f = arg;

    for (int64_t r = 0; r < n_rows; r++)
        memcpy((uint16_t *)dst + r * n_cols, f->w + (first_row + r) * f->n_in + first_col,
               (size_t)n_cols * sizeof *f->w);
}

/* Loaded from a half-precision file, in two loads at an odd row, in pieces: as from memory at once. */
static void test_loads(void **state)
{
    const shape s = {2, 70, 40000 / 64 * 64, 2};
    enum { FIRST = 21 };
    float *w = random_floats(1, s.n_out * s.n_in), *x = random_floats(2, s.rows * s.n_in), y[140], z[140];
    uint16_t *half = malloc((size_t)(s.n_out * s.n_in) * sizeof *half);
    bench_ops b = ops_open(MG_CPU_AUTO, 2);
    int64_t n_bad = 0;

    (void)state;
    for (int64_t i = 0; i < s.n_out * s.n_in; i++)
        half[i] = mg_f32_to_f16(w[i]), w[i] = mg_f16_to_f32(half[i]);
    mg_matrix m = make(b.ops, &s, w, s.n_in), read = take(b.ops, &s);
    file head = {half, s.n_in}, tail = {half + FIRST * s.n_in, s.n_in};
    const mg_host_matrix parts[] = {
        {.dtype = MG_F16, .n_rows = FIRST, .n_cols = s.n_in, .read = read_file, .read_arg = &head},
        {.dtype = MG_F16, .n_rows = s.n_out - FIRST, .n_cols = s.n_in, .read = read_file, .read_arg = &tail}};
    assert_int_equal(mg_matrix_load(b.ops, &read, 0, &parts[0], &n_bad), MG_OK);
    assert_int_equal(mg_matrix_load(b.ops, &read, FIRST, &parts[1], &n_bad), MG_OK);
    linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
    linear(b.ops, z, x, s.rows, &read, NULL, MG_ACT_NONE, false);
    assert_memory_equal(y, z, sizeof y);
    assert_int_equal(n_bad, 0);
    half[5 * s.n_in + 7] = 0x7E00, half[7 * s.n_in - 1] = 0x7C00; /* NaN, infinity: counted */
    assert_int_equal(mg_matrix_load(b.ops, &read, 0, &parts[0], &n_bad), MG_OK);
    assert_int_equal(n_bad, 2);
    matrix_drop(b.ops, &m), matrix_drop(b.ops, &read);
    ops_close(&b);
    free(w), free(x), free(half);
}

/* Rows of zeros and of values too small to count give zeros; very large ones stay what they are. */
static void test_edges(void **state)
{
    const shape s = {3, 16, 32, 1};
    float x[96] = {0}, w[512] = {0}, y[48];

    (void)state;
    for (int i = 0; i < 32; i++) x[32 + i] = 1e-38f, x[64 + i] = 1e8f, w[i] = 1e28f, w[32 + i] = -2e28f;
    for (int i = 0; i < 32; i++) w[64 + i] = 1e-38f;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        mg_matrix m = make(b.ops, &s, w, s.n_in);
        linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
        for (int o = 0; o < 32; o++) assert_true(y[o] == 0);
        /* a scale is bf16: within 0.4 % */
        assert_true(fabsf(y[32] / 32e36f - 1) < 0.004f && fabsf(y[33] / -64e36f - 1) < 0.004f && y[34] == 0);
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
}

/* AVX-512 with 8-bit products and without: the same bits, of 4-bit weights and of 8-bit ones. */
static void test_without_vnni(void **state)
{
    enum { STEPS = 5, MOST = 12, WIDTH = MG_CPU_SUM_WIDTH };
    static char w[STEPS * 4 * MG_CPU_Q4_STRIP], x[MOST * STEPS * MG_CPU_X4_STEP];
    static float a[MOST * WIDTH], b[MOST * WIDTH];
    float *noise = random_floats(9, COUNT(w));

    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AVX512 || !__builtin_cpu_supports("avx512vnni")) {
        free(noise);
        skip();
    }
    for (int i = 0; i < COUNT(w); i++) w[i] = (char)(int)(noise[i] * 100);
    for (int i = 0; i < COUNT(x); i++) x[i] = (char)(int)(noise[i] * 3000);
    for (int i = 0; i < 4 * STEPS; i++) { /* scales are numbers */
        char *scales = w + i * MG_CPU_Q4_STRIP + MG_CPU_Q4_WEIGHTS;
        for (int k = 0; k < 32; k++) {
            const uint16_t scale = mg_f32_to_bf16(noise[i * 32 + k]);
            memcpy(scales + 2 * k, &scale, sizeof scale);
        }
    }
    for (int64_t strips = 1; strips <= 4; strips *= 2)
        for (int64_t rows = 1; rows <= 6; rows++)
            for (int four = 0; four < 2; four++) {
                const mg_format f = four ? MG_FORMAT_Q4 : MG_FORMAT_Q8;
                const int64_t ldw = strips * (four ? MG_CPU_Q4_STRIP : 4 * MG_CPU_STRIP);
                mg_cpu_tile *with = four ? mg_cpu_groups_avx512vnni(f, strips, rows)
                                         : mg_cpu_tile_avx512vnni(f, strips, rows);
                with(a, x, STEPS * MG_CPU_X4_STEP, w, ldw, STEPS, false);
                mg_cpu_kernels_avx512.tile[f](f, strips, rows)(b, x, STEPS * MG_CPU_X4_STEP, w, ldw, STEPS,
                                                               false);
                for (int64_t r = 0; r < rows; r++)
                    assert_memory_equal(a + r * WIDTH, b + r * WIDTH,
                                        (size_t)strips * MG_CPU_STRIP * sizeof *a);
            }
    free(noise);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact),       cmocka_unit_test(test_notices),
                                       cmocka_unit_test(test_rows_alone),  cmocka_unit_test(test_ranks),
                                       cmocka_unit_test(test_loads),       cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_without_vnni)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
