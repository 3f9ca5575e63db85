/* The sampler against both references' probabilities, its draws against these probabilities, and its speed
 * class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "clock.h"
#include "golden.h"
#include "rng.h"
#include "sampler.h"

enum { N_CASES = 8, N_ROWS = 6, V = 2048 };

static const struct {
    double temperature, top_p;
    int64_t top_k;
} cases[N_CASES] = {{1.0, 0.0, 250}, {1.0, 1.0, 50}, {0.7, 0.0, 250}, {1.3, 0.9, 0},
                    {1.0, 0.5, 0},   {1.0, 0.0, 1},  {1.0, 0.9, 5},   {1.0, 0.0, 0}};

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x < y) - (x > y);
}

/* Rows 2, 3 and 4 have ties: under top-p which of the tied survive is an accident of the reference's sort, so
 * there the probabilities are compared in falling order. */
static double max_error(mg_sampler *s, mg_sampler_rules rules, double nudge)
{
    mg_checkpoint *c = golden_open("sampler.safetensors");
    float *logits = golden_f32(c, "logits", NULL);
    static float got[V];
    double worst = 0;

    for (int i = 0; i < N_CASES; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_probs_%d", rules == MG_RULES_HF ? "hf" : "ac", i);
        float *want = golden_f32(c, key, NULL);
        const bool cuts_p = cases[i].top_p > 0 && cases[i].top_p < 1;
        const mg_sampling how = {.rules = rules,
                                 .top_k = cases[i].top_k,
                                 .top_p = cases[i].top_p,
                                 .temperature = cases[i].temperature + nudge};
        for (int r = 0; r < N_ROWS; r++) {
            mg_sampler_probs(s, got, logits + r * V, &how);
            if (cuts_p && r >= 2 && r <= 4) {
                qsort(got, V, sizeof *got, falling);
                qsort(want + r * V, V, sizeof *want, falling);
            }
            worst = fmax(worst, golden_max_error(got, want + r * V, V));
        }
        free(want);
    }
    free(logits);
    mg_checkpoint_close(c);
    return worst;
}

static void test_probs(void **state)
{
    static const mg_sampler_rules rules[2] = {MG_RULES_AUDIOCRAFT, MG_RULES_HF};

    for (int i = 0; i < 2; i++) {
        const double worst = max_error(*state, rules[i], 0);
        printf("sampler rules %d: max error %.3g, %.1f %% of tolerance used\n", i, worst, worst / 1e-6 * 100);
        assert_true(worst <= 1e-6);
    }
}

static void test_probs_perturbed(void **state)
{
    assert_true(max_error(*state, MG_RULES_AUDIOCRAFT, 1e-3) > 1e-6);
    assert_true(max_error(*state, MG_RULES_HF, 1e-3) > 1e-6);
}

static void test_guide(void **state)
{
    float cond[3] = {1, 2, 3};
    const float uncond[3] = {0.5f, 2, 5};

    (void)state;
    mg_guide(cond, cond, uncond, 3, 3);
    assert_true(cond[0] == 2 && cond[1] == 2 && cond[2] == -1);
}

static void test_greedy_takes_first_of_equals(void **state)
{
    static float logits[V];
    const mg_sampling greedy = {.greedy = true}, cold = {.temperature = 0, .top_k = 5};

    logits[700] = logits[1900] = 3;
    assert_int_equal(mg_sample(*state, logits, &greedy, 0.9), 700);
    assert_int_equal(mg_sample(*state, logits, &cold, 0.9), 700);
}

/* The draw walks the survivors by falling probability, equals by rising index. */
static void test_draw_order(void **state)
{
    static float logits[V];
    const mg_sampling how = {.top_k = 4, .temperature = 1};

    for (int v = 0; v < V; v++) logits[v] = -1000;
    logits[1500] = logits[3] = 1, logits[40] = 2, logits[7] = 0;
    const double e = exp(1), total = e * e + 2 * e + 1;
    assert_int_equal(mg_sample(*state, logits, &how, 1e-9), 40);
    assert_int_equal(mg_sample(*state, logits, &how, (e * e - 1e-6) / total), 40);
    assert_int_equal(mg_sample(*state, logits, &how, (e * e + 1e-6) / total), 3);
    assert_int_equal(mg_sample(*state, logits, &how, (e * e + e + 1e-6) / total), 1500);
    assert_int_equal(mg_sample(*state, logits, &how, 1 - 1e-12), 7);
}

/* chi-square of 1e5 draws over the 100 likeliest codes and the rest. */
static double chi_square(mg_sampler *s, const float *logits, const mg_sampling *how, const float *probs,
                         uint64_t seed)
{
    enum { N_DRAWS = 100000 };
    static int64_t count[V];
    double chi = 0, rest_p = 0;
    int64_t rest_n = 0;

    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < N_DRAWS; i++) count[mg_sample(s, logits, how, mg_rng_uniform(seed, i, 0))]++;
    for (int v = 0; v < V; v++) {
        const double expected = probs[v] * N_DRAWS;
        if (probs[v] == 0) assert_int_equal(count[v], 0);
        if (expected < 20) {
            rest_p += probs[v];
            rest_n += count[v];
            continue;
        }
        const double difference = (double)count[v] - expected;
        chi += difference * difference / expected;
    }
    const double difference = (double)rest_n - rest_p * N_DRAWS;
    return rest_p > 1e-4 ? chi + difference * difference / (rest_p * N_DRAWS) : chi;
}

static void test_draws_follow_probs(void **state)
{
    const mg_sampling how = {.top_k = 250, .temperature = 1};
    mg_checkpoint *c = golden_open("sampler.safetensors");
    float *logits = golden_f32(c, "logits", NULL), *probs = golden_f32(c, "ac_probs_0", NULL);
    int64_t n_bins = 1;

    for (int v = 0; v < V; v++) n_bins += probs[v] * 100000 >= 20;
    const double freedom = (double)n_bins - 1, limit = freedom + 4 * sqrt(2 * freedom) + 4;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const double chi = chi_square(*state, logits, &how, probs, seed);
        printf("chi-square %.1f with %.0f degrees of freedom, %.1f %% of limit used\n", chi, freedom,
               100 * chi / limit);
        assert_true(chi < limit);
    }
    const mg_sampling warmer = {.top_k = 250, .temperature = 1.1};
    assert_true(chi_square(*state, logits, &warmer, probs, 1) > limit);
    free(logits);
    free(probs);
    mg_checkpoint_close(c);
}

/* Not a limit on time, which a busy machine breaks: the number is printed for docs/PERFORMANCE.md. */
static void test_speed(void **state)
{
    const mg_sampling how = {.top_k = 250, .temperature = 1};
    mg_checkpoint *c = golden_open("sampler.safetensors");
    float *logits = golden_f32(c, "logits", NULL);
    int64_t sum = 0;
    const double begin_s = mg_clock_s();

    for (int i = 0; i < 2000; i++) sum += mg_sample(*state, logits, &how, mg_rng_uniform(1, i, 0));
    printf("a draw, top-k 250 of %d: %.1f us\n", V, (mg_clock_s() - begin_s) / 2000 * 1e6);
    assert_true(sum > 0);
    free(logits);
    mg_checkpoint_close(c);
}

static int open_sampler(void **state)
{
    return mg_sampler_open((mg_sampler **)state, V) != MG_OK;
}

static int close_sampler(void **state)
{
    mg_sampler_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probs),      cmocka_unit_test(test_probs_perturbed),
        cmocka_unit_test(test_guide),      cmocka_unit_test(test_greedy_takes_first_of_equals),
        cmocka_unit_test(test_draw_order), cmocka_unit_test(test_draws_follow_probs),
        cmocka_unit_test(test_speed),
    };

    return cmocka_run_group_tests(tests, open_sampler, close_sampler);
}
