/* min_p against transformers 4.46.3 (tests/golden/make_min_p.py), alone and behind the other cuts. */
#include "ops_test.h"

#include "cpu_sampler.h"
#include "golden.h"

/* Rows 2 and 3 have equals: under top-p which of them survive is an accident of the reference's sort, so
 * there probabilities are compared in falling order. */
static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x < y) - (x > y);
}

static double max_error(double nudge)
{
    mg_checkpoint *c = golden_open("min_p.safetensors");
    int64_t count;
    enum { N_ROWS = 5, N_CASES = 9, V = 512 };
    float *logits = golden_f32(c, "logits", NULL), *cases = golden_f32(c, "cases", NULL);
    float *probs = golden_f32(c, "probs", &count), *got = malloc((size_t)V * sizeof *got);
    void *room = malloc(mg_cpu_sampler_bytes(V));
    mg_cpu_sampler s = mg_cpu_sampler_over(room, V);
    double worst = 0;

    assert_int_equal(count, N_CASES * N_ROWS * V);
    for (int64_t i = 0; i < N_CASES; i++) {
        const float *say = cases + 4 * i;
        const mg_sampling how = {.rules = MG_RULES_HF,
                                 .temperature = (float)(round(say[0] * 1e4) / 1e4),
                                 .top_k = (int64_t)say[1],
                                 .top_p = round(say[2] * 1e4) / 1e4,
                                 .min_p = round(say[3] * 1e4) / 1e4 + nudge};
        for (int64_t r = 0; r < N_ROWS; r++) {
            float *want = probs + (i * N_ROWS + r) * V;
            mg_cpu_sampler_probs(&s, got, logits + r * V, &how);
            if (how.top_p < 1 && (r == 2 || r == 3)) {
                qsort(got, (size_t)V, sizeof *got, falling);
                qsort(want, (size_t)V, sizeof *want, falling);
            }
            worst = fmax(worst, golden_max_error(got, want, V));
        }
    }
    free(logits);
    free(cases);
    free(probs);
    free(got);
    free(room);
    mg_checkpoint_close(c);
    return worst;
}

static void test_probs(void **state)
{
    const double worst = max_error(0);

    (void)state;
    printf("min_p: max error %.3g, %.1f %% of tolerance used\n", worst, worst / 1e-6 * 100);
    assert_true(worst <= 1e-6);
    assert_true(max_error(2e-3) > 1e-6);
}

/* A code that is cut is never drawn, whatever the uniform. */
static void test_draws(void **state)
{
    const float logits[4] = {0, 1, 2, -1};
    const mg_sampling how = {.temperature = 1, .min_p = 0.3}; /* e^-1 = 0.37 stays, e^-2 = 0.14 goes */
    void *room = malloc(mg_cpu_sampler_bytes(4));
    mg_cpu_sampler s = mg_cpu_sampler_over(room, 4);
    int count[4] = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) count[mg_cpu_sampler_draw(&s, logits, &how, (i + 0.5) / 1000)]++;
    assert_true(count[0] == 0 && count[3] == 0);
    assert_in_range(count[2], 730, 732); /* 1 / (1 + e^-1) = 0.7311 */
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_probs), cmocka_unit_test(test_draws)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
