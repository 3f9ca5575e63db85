/* The style encoder's rows against AudioCraft's StyleConditioner, with its batch norm and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "style_fixture.h"

#define TOLERANCE 1e-4

static void open_style(style_fixture *f, const mg_style_config *c, mg_cpu_level level, int n_threads)
{
    /* "mert." is taken off MERT's names, as one beginning of most of the file's */
    style_fixture_open(f, "style_encoder.safetensors", "", NULL, c, 12000, level, n_threads);
}

static float *rows_of(style_fixture *f, const mg_style_config *c, int64_t n_codebooks, int64_t *count)
{
    int64_t n;
    float *pcm = golden_f32(f->file, "pcm", &n);

    *count = mg_style_n_rows(c, n) * c->D;
    float *rows = malloc((size_t)*count * sizeof *rows);
    if (!rows) fail_msg("no memory");
    GOLDEN_OK(mg_style_encode(f->style, rows, pcm, n, n_codebooks));
    free(pcm);
    return rows;
}

static void check_rows(style_fixture *f, const mg_style_config *c, int64_t n_codebooks, const char *array)
{
    int64_t n_want, n_got;
    float *want = golden_f32(f->file, array, &n_want), *got = rows_of(f, c, n_codebooks, &n_got);

    assert_int_equal(n_got, n_want);
    golden_close(array, got, want, n_want, TOLERANCE);
    free(want);
    free(got);
}

static void test_quantised(void **state)
{
    style_fixture f;

    (void)state;
    FOR_LEVELS(level)
    {
        open_style(&f, &tiny_style, level, 2);
        check_rows(&f, &tiny_style, 3, "rows_3");
        check_rows(&f, &tiny_style, 1, "rows_1");
        check_rows(&f, &tiny_style, 2, "rows_2");
        style_fixture_close(&f);
    }
}

/* AudioCraft's rows before the quantiser, each as the sum of its nearest code vectors. */
static float *quantise_plainly(style_fixture *f, const char *array, int64_t n_codebooks, int64_t *count)
{
    const int64_t V = tiny_style.codebook_size, D = tiny_style.D;
    float *left = golden_f32(f->file, array, count), *sum = calloc((size_t)*count, sizeof *sum);
    char name[64];

    assert_non_null(sum);
    for (int64_t k = 0; k < n_codebooks; k++) {
        snprintf(name, sizeof name, "own.rvq.vq.layers.%d._codebook.embed", (int)k);
        float *code = golden_f32(f->file, name, NULL);
        for (int64_t r = 0; r < *count; r += D) {
            int64_t best = 0;
            double least = INFINITY;
            for (int64_t v = 0; v < V; v++) {
                double far = 0;
                for (int64_t i = 0; i < D; i++) far += pow((double)left[r + i] - code[v * D + i], 2);
                if (far < least) least = far, best = v;
            }
            for (int64_t i = 0; i < D; i++) {
                left[r + i] -= code[best * D + i];
                sum[r + i] += code[best * D + i];
            }
        }
        free(code);
    }
    free(left);
    return sum;
}

static void check_plainly(style_fixture *f, const mg_style_config *c, const char *array)
{
    int64_t n_want, n_got;
    float *want = quantise_plainly(f, array, 3, &n_want), *got = rows_of(f, c, 3, &n_got);

    assert_int_equal(n_got, n_want);
    golden_close(array, got, want, n_want, TOLERANCE);
    free(want);
    free(got);
}

static void test_without_batch_norm(void **state)
{
    mg_style_config c = tiny_style;
    style_fixture f;

    (void)state;
    open_style(&f, &c, mg_cpu_best_level(), 1);
    check_plainly(&f, &c, "rows_unquantised"); /* as rows_3 */
    style_fixture_close(&f);
    c.batch_norm = false;
    open_style(&f, &c, mg_cpu_best_level(), 1);
    check_plainly(&f, &c, "rows_plain");
    style_fixture_close(&f);
}

/* A row is what it was, however many are left out beside it. */
static void test_keeps_every_so_many(void **state)
{
    mg_style_config all = tiny_style;
    style_fixture f;
    int64_t n_all, n;

    (void)state;
    all.ds_factor = 1;
    open_style(&f, &all, mg_cpu_best_level(), 1);
    float *every = rows_of(&f, &all, 2, &n_all);
    style_fixture_close(&f);
    open_style(&f, &tiny_style, mg_cpu_best_level(), 3);
    float *some = rows_of(&f, &tiny_style, 2, &n);
    style_fixture_close(&f);
    assert_int_equal(n_all, 37 * 32);
    assert_int_equal(n, 8 * 32);
    for (int64_t r = 0; r < 8; r++) assert_memory_equal(some + r * 32, every + r * 5 * 32, 32 * sizeof *some);
    free(every);
    free(some);
}

static void test_random_weights(void **state)
{
    const mg_style_config *c = &tiny_style;
    style_fixture f;
    float pcm[2000], rows[2 * 32];

    (void)state;
    for (int i = 0; i < 2000; i++) pcm[i] = (float)(i % 50) / 50;
    style_fixture_open(&f, NULL, "", NULL, c, 2000, mg_cpu_best_level(), 1);
    assert_int_equal(mg_style_n_rows(c, 2000), 2);
    GOLDEN_OK(mg_style_encode(f.style, rows, pcm, 2000, c->eval_codebooks));
    for (int i = 0; i < 2 * 32; i++) assert_true(isfinite(rows[i]));
    style_fixture_close(&f);
}

static void test_more_codebooks_than_there_are(void **state)
{
    const float pcm[400] = {0};
    float rows[32];
    style_fixture f;

    (void)state;
    open_style(&f, &tiny_style, mg_cpu_best_level(), 1);
    assert_int_equal(mg_style_encode(f.style, rows, pcm, 400, 4), MG_EBUG);
    assert_int_equal(mg_style_encode(f.style, rows, pcm, 400, 0), MG_EBUG);
    assert_int_equal(mg_style_encode(f.style, rows, pcm, 399, 3), MG_EBUG);
    assert_int_equal(mg_style_encode(f.style, rows, pcm, 12001, 3), MG_EBUG);
    style_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantised),
        cmocka_unit_test(test_without_batch_norm),
        cmocka_unit_test(test_keeps_every_so_many),
        cmocka_unit_test(test_random_weights),
        cmocka_unit_test(test_more_codebooks_than_there_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
