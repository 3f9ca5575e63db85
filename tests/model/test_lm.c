/* The language model's logits against transformers, teacher-forced: in one pass, column by column over the
 * cache, with text and without; other forms of the checkpoint; one item alone and among others; half types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden_lm.h"

#define TOLERANCE 2e-4

static const char *const models[2] = {"tiny-mono", "tiny-variant"};

enum { WHOLE, STEPWISE };

/* logits [T,K,V] of item b. */
static void run_item(fixture *f, const golden_lm *g, int64_t b, bool with_text, int how, float *logits)
{
    if (how == WHOLE) {
        GOLDEN_OK(golden_forward(f->lm, g, b, 0, g->T, with_text, (int32_t)b, logits));
        return;
    }
    for (int64_t t = 0; t < g->T; t++)
        GOLDEN_OK(golden_forward(f->lm, g, b, t, 1, with_text, (int32_t)b, logits + t * g->K * g->V));
}

/* Worst error over all items, with text and without. */
static double worst_error(const char *model, const fixture_want *want, int how, bool print)
{
    golden_lm g;
    fixture f;
    double worst = 0;

    golden_lm_open(&g, model);
    fixture_open(&f, model, want);
    golden_set_texts(&f, &g);
    const int64_t n = g.T * g.K * g.V;
    float *got = malloc((size_t)n * sizeof *got);
    assert_non_null(got);
    for (int64_t b = 0; b < (test_cuts() ? 1 : g.B); b++)
        for (int with_text = 0; with_text < 2; with_text++) {
            float *expected = golden_by_column(&g, with_text ? g.logits : g.logits_unconditional, b);
            run_item(&f, &g, b, with_text, how, got);
            const double error = golden_max_error(got, expected, n);
            if (error > worst) worst = error;
            free(expected);
        }
    if (print)
        printf("%s %s %s logits: max error %.3g", f.ops->name, model, mg_format_name(want->format), worst);
    free(got);
    fixture_close(&f);
    golden_lm_close(&g);
    return worst;
}

static void check(const char *model, const fixture_want *want, int how, double tolerance)
{
    const double worst = worst_error(model, want, how, true);

    printf(", %.1f %% of tolerance used\n", 100 * worst / tolerance);
    assert_true(worst <= tolerance);
}

static void test_all_columns_at_once(void **state)
{
    const fixture_want want = {0};

    (void)state;
    for (int i = 0; i < 2; i++) check(models[i], &want, WHOLE, TOLERANCE);
}

static void test_column_by_column(void **state)
{
    const fixture_want want = {.n_threads = 2};

    (void)state;
    for (int i = 0; i < 2; i++) check(models[i], &want, STEPWISE, TOLERANCE);
}

/* Tolerances of docs/MODEL.md. Observed on AVX-512: tiny-mono 4e-3 and 5e-2, tiny-variant 2e-3 and 3.5e-2. */
static void test_half_types(void **state)
{
    static const struct {
        mg_format format;
        double tolerance;
    } half[2] = {{MG_FORMAT_F16, 2e-2}, {MG_FORMAT_BF16, 1.5e-1}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        const fixture_want want = {.format = half[i / 2].format};
        if (test_cuts() && i / 2 != i % 2) continue;
        check(models[i % 2], &want, STEPWISE, half[i / 2].tolerance);
    }
}

#ifndef MG_TEST_CUDA
/* 8 bits on random weights, logits of about +-10. Observed on every level: 0.17 and 0.185. */
static void test_int8(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        for (mg_cpu_level level = MG_CPU_SCALAR; level <= mg_cpu_best_level();
             level = test_next_level(level)) {
            const fixture_want want = {.format = MG_FORMAT_Q8, .level = level};
            check(models[i], &want, STEPWISE, 5e-1);
        }
}
#endif

/* What each format costs a trained model: its logits over codes that it was not trained on, which reach from
 * -22 to 28. Bounds of docs/MODEL.md, with what every level was seen to take of them. */
static void test_formats_of_a_trained_model(void **state)
{
    static const struct {
        mg_format format;
        bool kv_int8;
        double bound;
    } cases[] = {
        {MG_FORMAT_F32, false, 2e-4}, {MG_FORMAT_F16, false, 2e-2}, {MG_FORMAT_BF16, false, 3e-1},
        {MG_FORMAT_Q8, false, 1.4},   {MG_FORMAT_Q8, true, 1.7},    {MG_FORMAT_Q4, false, 5},
        {MG_FORMAT_Q4, true, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) FOR_LEVELS(level)
        {
            const fixture_want want = {.dir = MG_GOLDEN_DIR "/../../models/mg-demo",
                                       .format = cases[i].format,
                                       .kv_int8 = cases[i].kv_int8,
                                       .level = level};
#ifdef MG_TEST_CUDA /* which has the first three */
            if (mg_format_is_quantised(want.format)) continue;
            if (test_cuts() && want.format != MG_FORMAT_BF16) continue;
#endif
            check("mg-demo", &want, STEPWISE, cases[i].bound);
        }
}

static void test_every_level(void **state)
{
    (void)state;
    if (test_cuts()) skip(); /* one level, which the tests above have been over */
    for (mg_cpu_level level = MG_CPU_SCALAR; level <= test_last_level(); level = test_next_level(level))
        for (int i = 0; i < 2; i++) {
            const fixture_want fp32 = {.level = level}, bf16 = {.level = level, .format = MG_FORMAT_BF16};
            check(models[i], &fp32, STEPWISE, TOLERANCE);
            check(models[i], &bf16, STEPWISE, 1.5e-1);
        }
}

static void test_other_forms_of_the_checkpoint(void **state)
{
    static const char *const forms[2] = {"tiny-mono-sharded", "tiny-mono-fused-no-positions"};
    char dir[1024];

    (void)state;
    for (int i = 0; i < 2; i++) {
        const fixture_want want = {.dir = dir};
        snprintf(dir, sizeof dir, "%s/checkpoints/%s", MG_GOLDEN_DIR, forms[i]);
        printf("%s: ", forms[i]);
        check("tiny-mono", &want, WHOLE, TOLERANCE);
    }
}

static void test_perturbed(void **state)
{
    const fixture_want want = {0};
    golden_lm g;
    fixture f;

    (void)state;
    if (test_thins()) skip(); /* which tensors matter is the model's, whatever the backend */
    golden_lm_open(&g, "tiny-mono");
    fixture_open(&f, "tiny-mono", &want);
    golden_set_texts(&f, &g);
    float *expected = golden_by_column(&g, g.logits, 0),
          *got = malloc((size_t)(g.T * g.K * g.V) * sizeof *got);
    assert_non_null(got);
    run_item(&f, &g, 0, false, WHOLE, got); /* without its text */
    golden_not_close("logits without text", got, expected, g.T * g.K * g.V, TOLERANCE);
    g.ids[3] = (g.ids[3] + 1) % 64; /* one code of codebook 0, column 3 */
    run_item(&f, &g, 0, true, WHOLE, got);
    golden_not_close("logits after another code", got, expected, g.T * g.K * g.V, TOLERANCE);
    g.states[5] += 0.01f; /* one value of the text */
    g.ids[3] = (g.ids[3] + 63) % 64;
    golden_set_texts(&f, &g);
    run_item(&f, &g, 0, true, WHOLE, got);
    golden_not_close("logits of another text", got, expected, g.T * g.K * g.V, TOLERANCE);
    free(expected);
    free(got);
    fixture_close(&f);
    golden_lm_close(&g);
}

/* A step of item 0 with its text and without, alone and among all items in both ways: the same bits. */
static void test_neighbours_change_nothing(void **state)
{
    static const mg_format formats[3] = {MG_FORMAT_F32, MG_FORMAT_BF16, MG_FORMAT_F16};

    (void)state;
    for (int d = 0; d < 3; d++) {
        const fixture_want want = {.format = formats[d]};
        golden_lm g;
        fixture f;
        float alone[2][4 * 64], together[6 * 4 * 64];

        golden_lm_open(&g, "tiny-mono");
        fixture_open(&f, "tiny-mono", &want);
        golden_set_texts(&f, &g);
        for (int32_t t = 0; t < (test_cuts() ? 6 : g.T); t++) {
            GOLDEN_OK(golden_forward(f.lm, &g, 0, t, 1, true, 6, alone[0]));
            GOLDEN_OK(golden_forward(f.lm, &g, 0, t, 1, false, 7, alone[1]));
            int32_t ids[6 * 4], row[6] = {0, 1, 2, 3, 4, 5}, text[3] = {2, 1, 0};
            const int32_t position[6] = {t, t, t, t, t, t}, item[6] = {2, 1, 0, 2, 1, 0};
            for (int n = 0; n < 6; n++)
                for (int k = 0; k < 4; k++) ids[n * 4 + k] = g.ids[(item[n] * g.K + k) * g.T + t];
            const mg_lm_batch batch = {
                .n_tokens = 6, .n_with_text = 3, .row = row, .position = position, .text = text};
            GOLDEN_OK(fixture_forward(f.lm, g.K, g.V, batch, ids, together));
            assert_memory_equal(together + 2 * 256, alone[0], sizeof alone[0]);
            assert_memory_equal(together + 5 * 256, alone[1], sizeof alone[1]);
        }
        fixture_close(&f);
        golden_lm_close(&g);
    }
}

/* Check values of the specification, from double arithmetic. */
static void test_position_table(void **state)
{
    static const struct {
        int64_t D, p, i;
        float value;
    } points[] = {
        {1024, 1, 0, 0.54030231f},     {1024, 1, 512, 0.84147098f},   {1024, 1, 1, 0.55524624f},
        {1024, 1, 513, 0.83168600f},   {1024, 1, 511, 1.0f},          {1024, 1, 1023, 1.0e-4f},
        {1024, 100, 10, -0.25190375f}, {1024, 100, 522, 0.96775229f}, {1536, 1, 1, 0.55030776f},
        {1536, 100, 10, 0.75172793f},  {2048, 1, 1, 0.54782249f},     {2048, 100, 10, -0.95995707f}};

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        float *table = malloc(101 * 2048 * sizeof *table);
        assert_non_null(table);
        mg_lm_positions(table, 101, points[i].D);
        const float error = table[points[i].p * points[i].D + points[i].i] - points[i].value;
        assert_true(fabsf(error) <= (points[i].p == 1 ? 2e-7f : 1e-5f));
        free(table);
    }
}

static void test_computed_positions_near_stored(void **state)
{
    fixture f;
    const fixture_want want = {0};

    (void)state;
    fixture_open(&f, "tiny-mono", &want);
    const mg_checkpoint_entry *e =
        mg_checkpoint_find(f.checkpoint, "decoder.model.decoder.embed_positions.weights");
    assert_non_null(e);
    const int64_t P = e->tensor.dim[0], D = e->tensor.dim[1];
    float *table = malloc(mg_tensor_bytes(&e->tensor)), *stored = malloc(mg_tensor_bytes(&e->tensor));
    assert_true(table && stored);
    memcpy(stored, e->tensor.data, mg_tensor_bytes(&e->tensor));
    mg_lm_positions(table, P, D);
    assert_int_equal(P, mg_lm_max_positions(f.lm));
    golden_close("computed positions", table, stored, P * D, 1.5e-4);
    free(table);
    free(stored);
    fixture_close(&f);
}

static void test_split_is_checked(void **state)
{
    const mg_lm_formats formats = {MG_FORMAT_F32, MG_FORMAT_F32};
    mg_comm eight = {.size = 8}, three = {.size = 3};
    mg_arena measured = mg_arena_measure("weights");
    mg_config config;
    mg_weights w;
    fixture f = {0};
    mg_lm *lm = NULL;

    (void)state;
    fixture_backend(&f, MG_CPU_AUTO, 1);
    eight.space = three.space = f.ops->space;
    GOLDEN_OK(mg_config_load(&config, MG_GOLDEN_DIR "/checkpoints/tiny-variant")); /* 4 heads */
    mg_weights_init(&w, f.ops, NULL, &measured, "");
    assert_int_equal(mg_lm_load(&lm, &config.lm, formats, &eight, &w), MG_EUSAGE);
    assert_null(lm);
    assert_int_equal(mg_lm_load(&lm, &config.lm, formats, &three, &w), MG_EUSAGE);
    assert_non_null(strstr(mg_last_error(), "4 heads"));
    eight.space = f.ops->space == MG_HOST ? MG_DEVICE : MG_HOST; /* a group in other memory */
    assert_int_equal(mg_lm_load(&lm, &config.lm, formats, &eight, &w), MG_EBUG);
    mg_weights_close(&w);
    mg_ops_close(f.ops);
    mg_threads_close(f.threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_columns_at_once),
        cmocka_unit_test(test_column_by_column),
        cmocka_unit_test(test_half_types),
#ifndef MG_TEST_CUDA /* which has no int8 yet */
        cmocka_unit_test(test_int8),
#endif

        cmocka_unit_test(test_formats_of_a_trained_model),
        cmocka_unit_test(test_every_level),
        cmocka_unit_test(test_other_forms_of_the_checkpoint),
        cmocka_unit_test(test_perturbed),
        cmocka_unit_test(test_neighbours_change_nothing),
        cmocka_unit_test(test_position_table),
        cmocka_unit_test(test_computed_positions_near_stored),
        cmocka_unit_test(test_split_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
