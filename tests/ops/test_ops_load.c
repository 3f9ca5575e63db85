/* Loading of matrices: any source dtype, alignment and stride, row blocks in any order, NaN and Inf counted,
 * nothing written past mg_matrix_bytes. What was loaded is read back by multiplying with unit vectors. */
#include "ops_test.h"

enum { GUARD = 64 };

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};

typedef struct guarded {
    mg_matrix m;
    size_t bytes;
} guarded;

static guarded guarded_make(const mg_ops *ops, mg_dtype dtype, int64_t n_out, int64_t n_in, int n_slices)
{
    guarded g = {{dtype, n_out, n_in, n_slices, NULL}, mg_matrix_bytes(ops, dtype, n_out, n_in)};

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
            assert_true(y[i * m->n_out + o] == rounded(rounded(w[o * m->n_in + i], source), m->dtype));
    }
    free(x), free(y);
}

static void load_rows(const mg_ops *ops, const mg_matrix *m, const uint8_t *block, mg_dtype dtype,
                      int64_t first, int64_t n, int64_t stride)
{
    const mg_host_matrix src = {block + 1 + (size_t)(first * stride) * mg_dtype_bytes(dtype), dtype, n,
                                m->n_in, stride};
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

static void test_bad_values(void **state)
{
    enum { O = 70, I = 33 };
    static const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    float *w = random_floats(2, O * I);

    (void)state;
    for (int i = 0; i < COUNT(bad); i++) w[i * 577] = bad[i];
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < 9; i++) {
            uint8_t *block = source_make(w, dtypes[i % 3], O, I, I);
            guarded g = guarded_make(b.ops, dtypes[i / 3], O, I, 1);
            const mg_host_matrix src = {block + 1, dtypes[i % 3], O, I, I};
            int64_t n_bad = 100; /* the call adds to it */
            assert_int_equal(mg_matrix_load(b.ops, &g.m, 0, &src, &n_bad), MG_OK);
            assert_int_equal(n_bad, 100 + COUNT(bad));
            guarded_drop(&g);
            free(block);
        }
        ops_close(&b);
    }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sources), cmocka_unit_test(test_bad_values)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
