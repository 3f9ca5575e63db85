/* Loading of matrices: any source dtype, alignment and stride, row blocks in any order, fetched or in memory,
 * NaN, Inf and what fp16 cannot hold counted, nothing written past mg_matrix_bytes. What was loaded is read
 * back by multiplying with unit vectors, or compared byte by byte with what was loaded another way. */
#include "ops_test.h"

enum { GUARD = 64 };

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};

typedef struct guarded {
    mg_matrix m;
    size_t bytes;
} guarded;

static guarded guarded_make(const mg_ops *ops, mg_dtype dtype, int64_t n_out, int64_t n_in, int n_slices)
{
    guarded g = {.m = {format_of(dtype), n_out, n_in, n_slices, NULL}};
    g.bytes = mg_matrix_bytes(ops, &g.m);

    g.m.data = aligned_alloc(64, (g.bytes + GUARD + 63) / 64 * 64);
    assert_non_null(g.m.data);
    memset(g.m.data, 0xFF, g.bytes + GUARD); /* NaN where nothing is loaded */
    return g;
}

static void guarded_drop(guarded *g)
{
    for (size_t i = 0; i < GUARD; i++) assert_int_equal(((uint8_t *)g->m.data)[g->bytes + i], 0xFF);
    free(g->m.data);
}

/* Rows of w as `dtype`, starting one byte off any alignment, `stride` elements apart. */
static uint8_t *source_make(const float *w, mg_dtype dtype, int64_t n_rows, int64_t n_cols, int64_t stride)
{
    const size_t size = mg_dtype_bytes(dtype);
    uint8_t *block = malloc((size_t)(n_rows * stride) * size + 1);

    assert_non_null(block);
    memset(block, 0xFF, (size_t)(n_rows * stride) * size + 1);
    for (int64_t i = 0; i < n_rows * n_cols; i++) {
        uint8_t *to = block + 1 + (size_t)(i / n_cols * stride + i % n_cols) * size;
        const uint16_t h = dtype == MG_BF16 ? mg_f32_to_bf16(w[i]) : mg_f32_to_f16(w[i]);
        if (dtype == MG_F32)
            memcpy(to, &w[i], sizeof w[i]);
        else
            memcpy(to, &h, sizeof h);
    }
    return block;
}

/* w[o,i] as it was stored, by x = a unit vector: exact at every level. */
static void check_contents(const mg_ops *ops, const mg_matrix *m, const float *w, mg_dtype source)
{
    float *x = calloc((size_t)(m->n_in * m->n_in), sizeof *x), *y = random_floats(9, m->n_in * m->n_out);

    for (int64_t i = 0; i < m->n_in; i++) x[i * m->n_in + i] = 1;
    linear(ops, y, x, m->n_in, m, NULL, MG_ACT_NONE, false);
    for (int64_t i = 0; i < m->n_in; i++) {
        for (int64_t o = 0; o < m->n_out; o++)
            assert_true(y[i * m->n_out + o] ==
                        rounded(rounded(w[o * m->n_in + i], source), mg_format_dtype(m->format)));
    }
    free(x), free(y);
}

static void load_rows(const mg_ops *ops, const mg_matrix *m, const uint8_t *block, mg_dtype dtype,
                      int64_t first, int64_t n, int64_t stride)
{
    const mg_host_matrix src = {.data = block + 1 + (size_t)(first * stride) * mg_dtype_bytes(dtype),
                                .dtype = dtype,
                                .n_rows = n,
                                .n_cols = m->n_in,
                                .row_stride = stride};
    int64_t n_bad = 0;

    assert_int_equal(mg_matrix_load(ops, m, first, &src, &n_bad), MG_OK);
    assert_int_equal(n_bad, 0);
}

static void test_sources(void **state)
{
    static const struct {
        int64_t n_out, n_in;
        int n_slices;
    } shapes[] = {{1, 1, 1}, {17, 9, 1}, {80, 24, 8}, {150, 65, 1}, {64, 130, 2}, {33, 56, 8}};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(shapes) * 9; i++) {
            const mg_dtype from = dtypes[i % 3], to = dtypes[i / 3 % 3];
            const int64_t O = shapes[i / 9].n_out, n_in = shapes[i / 9].n_in, stride = n_in + 3;
            float *w = random_floats(2, O * n_in);
            uint8_t *block = source_make(w, from, O, n_in, stride);
            guarded g = guarded_make(b.ops, to, O, n_in, shapes[i / 9].n_slices);
            load_rows(b.ops, &g.m, block, from, 0, O, stride);
            check_contents(b.ops, &g.m, w, from);
            /* again in blocks, the last one first */
            memset(g.m.data, 0xFF, g.bytes);
            const int64_t cut = O / 3, cut2 = O - O / 4;
            load_rows(b.ops, &g.m, block, from, cut2, O - cut2, stride);
            load_rows(b.ops, &g.m, block, from, cut, cut2 - cut, stride);
            load_rows(b.ops, &g.m, block, from, 0, cut, stride);
            if (O - cut2 > 0) check_contents(b.ops, &g.m, w, from);
            guarded_drop(&g);
            free(w), free(block);
        }
        ops_close(&b);
    }
}

/* Finite values that become infinite in a matrix of this dtype, where that is fp16. */
static int64_t count_too_large(const void *block, mg_dtype from, mg_dtype to, int64_t n)
{
    float *w = malloc((size_t)n * sizeof *w);
    int64_t n_large = 0;

    assert_non_null(w);
    mg_widen(w, block, from, n);
    for (int64_t i = 0; i < n && to == MG_F16; i++) n_large += isfinite(w[i]) && isinf(rounded(w[i], MG_F16));
    free(w);
    return n_large;
}

static void test_bad_values(void **state)
{
    enum { O = 70, I = 33 };
    static const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    static const float large[] = {65519, -65519, 65520, -65520, 7e4f, 3e38f};
    /* From fp32, bf16, fp16 to each of them. The first two are 65504 in fp16, and 65536 in bf16. */
    static const int n_large[3][3] = {{0, 0, 4}, {0, 0, 6}, {4, 4, 4}};
    float *w = random_floats(2, O * I);

    (void)state;
    for (int i = 0; i < COUNT(bad); i++) w[i * 577] = bad[i];
    for (int i = 0; i < COUNT(large); i++) w[5 + i * 301] = large[i];
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < 9; i++) {
            uint8_t *block = source_make(w, dtypes[i % 3], O, I, I);
            guarded g = guarded_make(b.ops, dtypes[i / 3], O, I, 1);
            const mg_host_matrix src = {
                .data = block + 1, .dtype = dtypes[i % 3], .n_rows = O, .n_cols = I, .row_stride = I};
            int64_t n_bad = 100; /* the call adds to it */
            assert_int_equal(mg_matrix_load(b.ops, &g.m, 0, &src, &n_bad), MG_OK);
            assert_int_equal(n_bad, 100 + COUNT(bad) + n_large[i % 3][i / 3]);
            guarded_drop(&g);
            free(block);
        }
        ops_close(&b);
    }
    free(w);
}

/* Bits of every kind: signs, ties, values below the normal ones, values that round to infinity. */
static void *any_finite_bits(mg_dtype dtype, int64_t n)
{
    const size_t size = mg_dtype_bytes(dtype);
    const uint32_t exponent = dtype == MG_F32 ? 0x7F800000u : dtype == MG_BF16 ? 0x7F80 : 0x7C00;
    char *block = malloc((size_t)n * size);
    uint32_t x = 1;

    assert_non_null(block);
    for (int64_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        uint32_t bits = size == 4 ? x : x >> 16;
        if (i % 5 == 0) bits &= ~exponent;                               /* below the normal ones */
        if (i % 7 == 0 && size == 4) bits = (bits & ~0xFFFFu) | 0x8000u; /* a tie in bf16 */
        if (i % 11 == 0) bits |= exponent; /* the largest, after the next line */
        if ((bits & exponent) == exponent) bits ^= exponent & (~exponent + 1);
        memcpy(block + (size_t)i * size, &bits, size);
    }
    return block;
}

/* Rows from a block, as a file would give them; counts what it is asked for. */
typedef struct fetcher {
    const char *block;
    int64_t n_cols, size, n_values;
} fetcher;

static void fetch(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols)
{
    fetcher *f = arg;

    for (int64_t r = 0; r < n_rows; r++)
        memcpy((char *)dst + r * n_cols * f->size,
               f->block + ((first_row + r) * f->n_cols + first_col) * f->size, (size_t)(n_cols * f->size));
    __atomic_fetch_add(&f->n_values, n_rows * n_cols, __ATOMIC_RELAXED);
}

/* Whole strips, single rows and fetched pieces give the same bytes, whatever the bits. */
static void test_ways_agree(void **state)
{
    static const struct {
        int64_t n_out, n_in;
        int n_slices;
    } shapes[] = {{48, 64, 1}, {80, 1000, 8}, {33, 331, 1}, {40, 9200, 8}, {96, 5001, 1}};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(shapes) * 9; i++) {
            const mg_dtype from = dtypes[i % 3], to = dtypes[i / 3 % 3];
            const int64_t O = shapes[i / 9].n_out, n_in = shapes[i / 9].n_in;
            char *block = any_finite_bits(from, O * n_in);
            fetcher f = {block, n_in, (int64_t)mg_dtype_bytes(from), 0};
            mg_host_matrix src = {
                .data = block, .dtype = from, .n_rows = O, .n_cols = n_in, .row_stride = n_in};
            guarded whole = guarded_make(b.ops, to, O, n_in, shapes[i / 9].n_slices);
            guarded fetched = guarded_make(b.ops, to, O, n_in, shapes[i / 9].n_slices);
            guarded rows = guarded_make(b.ops, to, O, n_in, shapes[i / 9].n_slices);
            const int64_t n_large = count_too_large(block, from, to, O * n_in);
            int64_t n_bad = 0;
            assert_int_equal(mg_matrix_load(b.ops, &whole.m, 0, &src, &n_bad), MG_OK);
            for (int64_t o = 0; o < O; o++) {
                const mg_host_matrix row = {.data = block + o * n_in * f.size,
                                            .dtype = from,
                                            .n_rows = 1,
                                            .n_cols = n_in,
                                            .row_stride = n_in};
                assert_int_equal(mg_matrix_load(b.ops, &rows.m, o, &row, &n_bad), MG_OK);
            }
            src.data = NULL, src.row_stride = 0, src.read = fetch, src.read_arg = &f;
            assert_int_equal(mg_matrix_load(b.ops, &fetched.m, 0, &src, &n_bad), MG_OK);
            assert_int_equal(n_bad, 3 * n_large);
            assert_int_equal(f.n_values, O * n_in); /* nothing is read twice */
            assert_memory_equal(whole.m.data, rows.m.data, whole.bytes);
            assert_memory_equal(whole.m.data, fetched.m.data, whole.bytes);
            guarded_drop(&whole), guarded_drop(&fetched), guarded_drop(&rows);
            free(block);
        }
        ops_close(&b);
    }
}

static void test_plain_tensors(void **state)
{
    enum { N = 100001 };
    static const float bad[] = {NAN, -INFINITY};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(dtypes); i++) {
            float *w = random_floats(3, N), *y = malloc((N + 1) * sizeof *y);
            uint8_t *block = source_make(w, dtypes[i], 1, N, N);
            fetcher f = {(const char *)block + 1, N, (int64_t)mg_dtype_bytes(dtypes[i]), 0};
            mg_host_matrix src = {
                .data = block + 1, .dtype = dtypes[i], .n_rows = 1, .n_cols = N, .row_stride = N};
            for (int fetched = 0; fetched < 2; fetched++) {
                int64_t n_bad = 0;
                y[N] = 7;
                if (fetched) src.data = NULL, src.read = fetch, src.read_arg = &f;
                assert_int_equal(mg_tensor_load(b.ops, y, &src, &n_bad), MG_OK);
                assert_int_equal(n_bad, 0);
                for (int k = 0; k < N; k++) assert_true(y[k] == rounded(w[k], dtypes[i]));
                assert_true(y[N] == 7);
            }
            free(block);
            w[5] = bad[0], w[N - 1] = bad[1];
            block = source_make(w, dtypes[i], 1, N, N);
            f.block = (const char *)block + 1;
            int64_t n_bad = 0;
            assert_int_equal(mg_tensor_load(b.ops, y, &src, &n_bad), MG_OK);
            assert_int_equal(n_bad, 2);
            free(block), free(w), free(y);
        }
        ops_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sources), cmocka_unit_test(test_bad_values),
                                       cmocka_unit_test(test_ways_agree),
                                       cmocka_unit_test(test_plain_tensors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
