/* What the tests of 8- and 4-bit matrices share. The includer defines FORMAT, and plain_product. */
#ifndef MG_QUANTISED_TEST_H
#define MG_QUANTISED_TEST_H

#include "ops_test.h"

typedef struct shape {
    int64_t rows, n_out, n_in;
    int n_slices;
} shape;

/* One product, by a plain loop over the definition in ops.h. */
static float plain_product(const float *x, const float *w, const shape *s);

static mg_matrix take(const mg_ops *ops, const shape *s)
{
    mg_matrix m = {FORMAT, s->n_out, s->n_in, s->n_slices, NULL};

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

/* slice [n], in a binary tree. */
static float add_slices(float *slice, int n)
{
    for (int gap = 1; gap < n; gap *= 2)
        for (int i = 0; i < n; i += 2 * gap) slice[i] += slice[i + gap];
    return slice[0];
}

/* Exact on every level; and no farther from the true products than `bound` of their size. */
static void check_exact(const shape *shapes, int n_shapes, double bound)
{
    for (int i = 0; i < n_shapes; i++) {
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
        assert_true(sqrt(error) <= bound * sqrt(size));
        free(x), free(w), free(y);
    }
}

/* The sibling that must fail: a weight one step off is seen. from [n_from]: the first weights of an output.
 */
static void check_notices(const float *from, int n_from, float to)
{
    const shape s = {1, 16, 64, 1};
    float *x = random_floats(1, s.n_in), *w = random_floats(2, s.n_out * s.n_in), y[16];
    bench_ops b = ops_open(MG_CPU_AUTO, 1);

    x[0] = 1;
    memcpy(w + 3 * s.n_in, from, (size_t)n_from * sizeof *w);
    const float before = plain_product(x, w + 3 * s.n_in, &s);
    w[3 * s.n_in] = to;
    mg_matrix m = make(b.ops, &s, w, s.n_in);
    linear(b.ops, y, x, 1, &m, NULL, MG_ACT_NONE, false);
    assert_true(y[3] != before);
    matrix_drop(b.ops, &m);
    ops_close(&b);
    free(x), free(w);
}

/* Rows alone and together, on 1 and 3 threads. */
static void check_rows_alone(shape s)
{
    float *x = random_floats(1, s.rows * s.n_in), *w = random_floats(2, s.n_out * s.n_in);
    float *bias = random_floats(3, s.n_out), *y = random_floats(4, s.rows * s.n_out);
    float *one = random_floats(5, s.rows * s.n_out);

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

/* What is no number, or infinite, does not become a zero: its row of y is NaN, in whatever lane it stands and
 * whatever follows it, and no other row is. */
static void test_no_numbers(void **state)
{
    enum { I = 8 * 32, L = I / 8 };
    const shape s = {3, 17, I, 8};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[3 * I], w[17 * I], y[3 * 17];

    (void)state;
    for (int i = 0; i < COUNT(w); i++) w[i] = random_value(1, i);
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        mg_matrix m = make(b.ops, &s, w, s.n_in);
        for (int k = 0; k < COUNT(bad); k++)
            for (int at = 0; at < I; at += at < L ? 1 : L + 1) {
                for (int i = 0; i < COUNT(x); i++) x[i] = random_value(2, i);
                x[I + at] = bad[k];
                linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
                for (int i = 0; i < COUNT(y); i++) assert_true(!isnan(y[i]) == (i / 17 != 1));
            }
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
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
    int64_t n_in, n_read;
} file;

static void read_file(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                      int64_t n_cols)
{
    file *f = arg;

    __atomic_fetch_add(&f->n_read, n_rows * n_cols, __ATOMIC_RELAXED);
    for (int64_t r = 0; r < n_rows; r++)
        memcpy((uint16_t *)dst + r * n_cols, f->w + (first_row + r) * f->n_in + first_col,
               (size_t)n_cols * sizeof *f->w);
}

/* Loaded from a half-precision file, in two loads at an odd row, in pieces: as from memory at once. */
static void test_loads(void **state)
{
    const shape s = {2, 70, 40000, 2};
    enum { FIRST = 21 };
    float *w = random_floats(1, s.n_out * s.n_in), *x = random_floats(2, s.rows * s.n_in), y[140], z[140];
    uint16_t *half = malloc((size_t)(s.n_out * s.n_in) * sizeof *half);
    bench_ops b = ops_open(MG_CPU_AUTO, 2);
    int64_t n_bad = 0;

    (void)state;
    for (int64_t i = 0; i < s.n_out * s.n_in; i++)
        half[i] = mg_f32_to_f16(w[i]), w[i] = mg_f16_to_f32(half[i]);
    mg_matrix m = make(b.ops, &s, w, s.n_in), read = take(b.ops, &s);
    file head = {half, s.n_in, 0}, tail = {half + FIRST * s.n_in, s.n_in, 0};
    const mg_host_matrix parts[] = {
        {.dtype = MG_F16, .n_rows = FIRST, .n_cols = s.n_in, .read = read_file, .read_arg = &head},
        {.dtype = MG_F16, .n_rows = s.n_out - FIRST, .n_cols = s.n_in, .read = read_file, .read_arg = &tail}};
    assert_int_equal(mg_matrix_load(b.ops, &read, 0, &parts[0], &n_bad), MG_OK);
    assert_int_equal(mg_matrix_load(b.ops, &read, FIRST, &parts[1], &n_bad), MG_OK);
    linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
    linear(b.ops, z, x, s.rows, &read, NULL, MG_ACT_NONE, false);
    assert_memory_equal(y, z, sizeof y);
    assert_int_equal(n_bad, 0);
    half[5 * s.n_in + 7] = 0x7E00, half[6 * s.n_in + 39999] = 0x7C00; /* NaN, infinity: counted */
    assert_int_equal(mg_matrix_load(b.ops, &read, 0, &parts[0], &n_bad), MG_OK);
    assert_int_equal(n_bad, 2);
    matrix_drop(b.ops, &m), matrix_drop(b.ops, &read);
    ops_close(&b);
    free(w), free(x), free(half);
}

/* What a thread has room for is read once, however often it is looked at: an adapter's product is added to it
 * by the reading. */
static void test_reads_once(void **state)
{
    const shape s = {1, 70, 2048, 1};
    bench_ops b = ops_open(MG_CPU_AUTO, 2);
    uint16_t *half = calloc((size_t)(s.n_out * s.n_in), sizeof *half);
    mg_matrix m = take(b.ops, &s);
    file f = {half, s.n_in, 0};
    const mg_host_matrix src = {
        .dtype = MG_F16, .n_rows = s.n_out, .n_cols = s.n_in, .read = read_file, .read_arg = &f};
    int64_t n_bad = 0;

    (void)state;
    assert_int_equal(mg_matrix_load(b.ops, &m, 0, &src, &n_bad), MG_OK);
    assert_int_equal(f.n_read, s.n_out * s.n_in);
    matrix_drop(b.ops, &m);
    ops_close(&b);
    free(half);
}

#endif
