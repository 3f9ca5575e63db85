/* mg_sample: the rules against both references' probabilities, the draws against these probabilities, logits
 * in pieces, guidance and cells; and the speed of a draw. */
#include "ops_test.h"

#include "clock.h"
#include "cpu_sampler.h"
#include "golden.h"

enum { N_CASES = 8, N_ROWS = 6, V = 2048 };

static bench_ops bench;

/* `n` codes from one row of V logits, one for each uniform. */
static void draw_many(int32_t *codes, float *logits, const mg_sampling *how, const double *uniform, int n)
{
    mg_draw *draws = calloc((size_t)n, sizeof *draws);
    const mg_tensor t = mg_tensor_3d(logits, MG_F32, 1, 1, V);
    mg_tensor out = mg_tensor_1d(codes, MG_I32, n);

    assert_non_null(draws);
    for (int i = 0; i < n; i++)
        draws[i] = (mg_draw){.n_roles = 1, .cell = i, .how = *how, .uniform = uniform[i]};
    assert_int_equal(mg_sample(bench.ops, &out, &t, V, draws, n), MG_OK);
    free(draws);
}

static int32_t draw_one(float *logits, const mg_sampling *how, double uniform)
{
    int32_t code = -1;

    draw_many(&code, logits, how, &uniform, 1);
    return code;
}

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
static double max_error(mg_sampler_rules rules, double nudge)
{
    mg_checkpoint *c = golden_open("sampler.safetensors");
    float *logits = golden_f32(c, "logits", NULL);
    static float got[V];
    void *room = malloc(mg_cpu_sampler_bytes(V));
    mg_cpu_sampler s = mg_cpu_sampler_over(room, V);
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
            mg_cpu_sampler_probs(&s, got, logits + r * V, &how);
            if (cuts_p && r >= 2 && r <= 4) {
                qsort(got, V, sizeof *got, falling);
                qsort(want + r * V, V, sizeof *want, falling);
            }
            worst = fmax(worst, golden_max_error(got, want + r * V, V));
        }
        free(want);
    }
    free(logits);
    free(room);
    mg_checkpoint_close(c);
    return worst;
}

static void test_probs(void **state)
{
    static const mg_sampler_rules rules[2] = {MG_RULES_AUDIOCRAFT, MG_RULES_HF};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const double worst = max_error(rules[i], 0);
        printf("sampler rules %d: max error %.3g, %.1f %% of tolerance used\n", i, worst, worst / 1e-6 * 100);
        assert_true(worst <= 1e-6);
    }
}

static void test_probs_perturbed(void **state)
{
    (void)state;
    assert_true(max_error(MG_RULES_AUDIOCRAFT, 1e-3) > 1e-6);
    assert_true(max_error(MG_RULES_HF, 1e-3) > 1e-6);
}

/* Roles, pieces and cells: greedy takes the largest of what guidance leaves. R pieces cut a codebook in two.
 */
static void test_guidance(void **state)
{
    enum { N = 3, K = 3, C = 8, R = 2, W = K * C / R };
    float whole[N][K * C], pieces[R][N][W];
    int32_t codes[2][4] = {{0}};

    (void)state;
    for (int n = 0; n < N; n++)
        for (int c = 0; c < K * C; c++)
            whole[n][c] = pieces[c / W][n][c % W] = (float)((c * 7 + n * 13 + c * n) % 17);
    mg_draw draws[4] = {{.token = {1}, .n_roles = 1, .k = 0, .cell = 3},
                        {.token = {0, 1}, .n_roles = 2, .k = 1, .cell = 0, .coef = 3},
                        {.token = {0, 1, 2}, .n_roles = 3, .k = 2, .cell = 1, .coef = 3, .beta = 5},
                        {.token = {0, 1, 2}, .n_roles = 3, .k = 1, .cell = -1, .coef = 3, .beta = 5}};
    for (int i = 0; i < 4; i++) draws[i].how.greedy = true;
    for (int cut = 0; cut < 2; cut++) {
        mg_tensor out = mg_tensor_1d(codes[cut], MG_I32, 4);
        const mg_tensor t =
            mg_tensor_3d(cut ? pieces[0][0] : whole[0], MG_F32, cut ? R : 1, N, cut ? W : K * C);
        codes[cut][2] = 77; /* nobody's cell */
        assert_int_equal(mg_sample(bench.ops, &out, &t, C, draws, 4), MG_OK);
    }
    assert_memory_equal(codes[0], codes[1], sizeof codes[0]);
    assert_int_equal(codes[0][2], 77);
    for (int i = 0; i < 3; i++) {
        int best = -1;
        float top = -INFINITY;
        for (int v = 0; v < C; v++) {
            const int c = draws[i].k * C + v;
            float l = whole[draws[i].token[0]][c];
            if (draws[i].n_roles == 3) l = whole[2][c] + (l - whole[2][c]) * 5;
            if (draws[i].n_roles >= 2) l = whole[1][c] + (l - whole[1][c]) * 3;
            if (l > top) top = l, best = v;
        }
        assert_int_equal(codes[0][draws[i].cell], best);
    }
}

/* What a draw names must be there. */
static void test_draws_are_checked(void **state)
{
    static const mg_draw good = {.n_roles = 2, .token = {0, 1}, .k = 1, .cell = 3, .how = {.greedy = true}};
    float logits[2 * 16] = {0};
    int32_t codes[4];
    mg_tensor out = mg_tensor_1d(codes, MG_I32, 4), t = mg_tensor_3d(logits, MG_F32, 1, 2, 16);
    mg_draw d = good;

    (void)state;
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, &d, 1), MG_OK);
    d.cell = 4;
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, &d, 1), MG_EBUG);
    d = good, d.k = 2;
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, &d, 1), MG_EBUG);
    d = good, d.token[1] = 2;
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, &d, 1), MG_EBUG);
    d = good, d.n_roles = 4;
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, &d, 1), MG_EBUG);
    assert_int_equal(mg_sample(bench.ops, &out, &t, 7, &good, 1), MG_EBUG);
    assert_int_equal(mg_sample(bench.ops, &out, &t, 8, NULL, 1), MG_EBUG);
}

static void test_gather_ids(void **state)
{
    int32_t codes[6] = {10, 11, 12, 13, 14, 15}, cells[4] = {5, -1, 0, 5}, ids[4];
    const mg_tensor t_codes = mg_tensor_2d(codes, MG_I32, 2, 3), t_cells = mg_tensor_2d(cells, MG_I32, 2, 2);
    mg_tensor t_ids = mg_tensor_2d(ids, MG_I32, 2, 2), wrong = mg_tensor_2d(ids, MG_I32, 4, 1);

    (void)state;
    assert_int_equal(mg_gather_ids(bench.ops, &t_ids, &t_codes, &t_cells, 99), MG_OK);
    assert_true(ids[0] == 15 && ids[1] == 99 && ids[2] == 10 && ids[3] == 15);
    assert_int_equal(mg_gather_ids(bench.ops, &wrong, &t_codes, &t_cells, 99), MG_EBUG);
    cells[3] = 6;
    assert_int_equal(mg_gather_ids(bench.ops, &t_ids, &t_codes, &t_cells, 99), MG_EBUG);
}

static void test_greedy_takes_first_of_equals(void **state)
{
    static float logits[V];
    const mg_sampling greedy = {.greedy = true}, cold = {.temperature = 0, .top_k = 5};

    (void)state;
    logits[700] = logits[1900] = 3;
    assert_int_equal(draw_one(logits, &greedy, 0.9), 700);
    assert_int_equal(draw_one(logits, &cold, 0.9), 700);
}

/* transformers fails there ("probability tensor contains either `inf`, `nan` …"): V is no code. */
static void test_nothing_to_draw_from(void **state)
{
    static const mg_sampling all[] = {{.greedy = true},
                                      {.temperature = 1, .top_k = 250},
                                      {.temperature = 1, .top_p = 0.9},
                                      {.rules = MG_RULES_HF, .temperature = 0.7, .top_k = 50, .min_p = 0.1}};
    const float bad[] = {NAN, copysignf(NAN, -1), INFINITY};
    static const int places[] = {0, 7, V - 1};
    static float logits[V];

    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 9; k++) {
            for (int v = 0; v < V; v++) logits[v] = (float)(v % 5);
            logits[places[k / 3]] = bad[k % 3];
            assert_int_equal(draw_one(logits, &all[i], 0.5), V);
        }
        for (int v = 0; v < V; v++) logits[v] = -INFINITY;
        assert_int_equal(draw_one(logits, &all[i], 0.5), V);
        logits[900] = -3e38f; /* over 0.7 it is infinite */
        assert_int_equal(draw_one(logits, &all[i], 0.5), all[i].temperature == 0.7 ? V : 900);
    }
}

/* The draw walks the survivors by falling probability, equals by rising index. */
static void test_draw_order(void **state)
{
    static float logits[V];
    const mg_sampling how = {.top_k = 4, .temperature = 1};

    (void)state;
    for (int v = 0; v < V; v++) logits[v] = -1000;
    logits[1500] = logits[3] = 1, logits[40] = 2, logits[7] = 0;
    const double e = exp(1), total = e * e + 2 * e + 1;
    assert_int_equal(draw_one(logits, &how, 1e-9), 40);
    assert_int_equal(draw_one(logits, &how, (e * e - 1e-6) / total), 40);
    assert_int_equal(draw_one(logits, &how, (e * e + 1e-6) / total), 3);
    assert_int_equal(draw_one(logits, &how, (e * e + e + 1e-6) / total), 1500);
    assert_int_equal(draw_one(logits, &how, 1 - 1e-12), 7);
}

#ifndef MG_TEST_CUDA
/* chi-square of 1e5 draws over the 100 likeliest codes and the rest. */
static double chi_square(float *logits, const mg_sampling *how, const float *probs, uint64_t seed)
{
    enum { N_DRAWS = 100000 };
    static int64_t count[V];
    static double uniform[N_DRAWS];
    static int32_t code[N_DRAWS];
    double chi = 0, rest_p = 0;
    int64_t rest_n = 0;

    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < N_DRAWS; i++) uniform[i] = mg_rng_uniform(seed, i, 0);
    draw_many(code, logits, how, uniform, N_DRAWS);
    for (int64_t i = 0; i < N_DRAWS; i++) count[code[i]]++;
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
    (void)state;
    if (test_is_watched()) skip(); /* test_speed draws on two threads too */

    enum { N_SEEDS = 3 };
    const mg_sampling how = {.top_k = 250, .temperature = 1};
    mg_checkpoint *c = golden_open("sampler.safetensors");
    float *logits = golden_f32(c, "logits", NULL), *probs = golden_f32(c, "ac_probs_0", NULL);
    int64_t n_bins = 1;

    for (int v = 0; v < V; v++) n_bins += probs[v] * 100000 >= 20;
    const double freedom = (double)n_bins - 1, limit = freedom + 4 * sqrt(2 * freedom) + 4;
    for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
        const double chi = chi_square(logits, &how, probs, seed);
        printf("chi-square %.1f with %.0f degrees of freedom, %.1f %% of limit used\n", chi, freedom,
               100 * chi / limit);
        assert_true(chi < limit);
    }
    const mg_sampling warmer = {.top_k = 250, .temperature = 1.1};
    assert_true(chi_square(logits, &warmer, probs, 1) > limit);
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
    static double uniform[2000];
    static int32_t code[2000];

    (void)state;
    for (int i = 0; i < 2000; i++) uniform[i] = mg_rng_uniform(1, i, 0);
    const double begin_s = mg_clock_s();
    draw_many(code, logits, &how, uniform, 2000);
    printf("a draw, top-k 250 of %d, two threads: %.1f us\n", V, (mg_clock_s() - begin_s) / 2000 * 1e6);
    free(logits);
    mg_checkpoint_close(c);
}

#else
/* Any logits, rules and cuts: the CPU backend's code, to the bit. */
static void test_same_as_cpu(void **state)
{
    enum { ROWS = 3, DRAWS = 240 };
    float *logits = random_floats(31, ROWS * V);
    static mg_draw draws[DRAWS];
    int32_t codes[2][DRAWS];
    const mg_tensor t = mg_tensor_3d(logits, MG_F32, 1, ROWS, V);
    mg_threads *threads;
    mg_ops *cpu;

    (void)state;
    for (int i = 0; i < ROWS * V; i++) logits[i] = floorf(logits[i] * 40) / 10; /* ties, too */
    for (int i = 0; i < DRAWS; i++)
        draws[i] = (mg_draw){.token = {i % ROWS, (i + 1) % ROWS, (i + 2) % ROWS},
                             .n_roles = 1 + i % 3,
                             .cell = DRAWS - 1 - i,
                             .coef = 3.1f,
                             .beta = 1.7f,
                             .how = {.greedy = i % 17 == 0,
                                     .rules = i % 2 ? MG_RULES_HF : MG_RULES_AUDIOCRAFT,
                                     .top_k = cases[i % N_CASES].top_k,
                                     .top_p = cases[i % N_CASES].top_p,
                                     .temperature = cases[i % N_CASES].temperature,
                                     .min_p = i % 5 == 2 ? 0.2 : 0},
                             .uniform = mg_rng_uniform(7, i, 0)};
    assert_int_equal(mg_threads_open(&threads, 1, 0), MG_OK);
    assert_int_equal(mg_cpu_open(&cpu, MG_CPU_AUTO, threads), MG_OK);
    for (int i = 0; i < 2; i++) {
        mg_tensor out = mg_tensor_1d(codes[i], MG_I32, DRAWS);
        assert_int_equal(mg_sample(i ? cpu : bench.ops, &out, &t, V, draws, DRAWS), MG_OK);
    }
    assert_memory_equal(codes[0], codes[1], sizeof codes[0]);
    mg_ops_close(cpu);
    mg_threads_close(threads);
    free(logits);
}
#endif

static int open_backend(void **state)
{
    (void)state;
    bench = ops_open(MG_CPU_AUTO, 2);
    return 0;
}

static int close_backend(void **state)
{
    (void)state;
    ops_close(&bench);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probs),       cmocka_unit_test(test_probs_perturbed),
        cmocka_unit_test(test_guidance),    cmocka_unit_test(test_draws_are_checked),
        cmocka_unit_test(test_gather_ids),  cmocka_unit_test(test_greedy_takes_first_of_equals),
        cmocka_unit_test(test_draw_order),  cmocka_unit_test(test_nothing_to_draw_from),
#ifdef MG_TEST_CUDA /* the CPU's codes follow the probabilities */
        cmocka_unit_test(test_same_as_cpu),
#else
        cmocka_unit_test(test_draws_follow_probs), cmocka_unit_test(test_speed),
#endif
    };

    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
