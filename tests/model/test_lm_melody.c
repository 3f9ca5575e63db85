/* Melody models: the prefix of chroma and text, against transformers' logits, and what must not matter: how
 * many tokens a pass has, neighbours, ranks' own business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model_fixture.h"

#define TOLERANCE 2e-4

static const char *const models[2] = {"tiny-melody", "tiny-stereo-melody"};

enum { ROW = 3, MAX_COLUMNS = 16, MAX_K = 8, MAX_V = 64 };

/* Teacher-forced on item 0, the longest text: ids [K,T], logits [K,T,V]; states [S,d]; bins of the melody. */
typedef struct golden_melody {
    int64_t K, T, V, S, d, n_bins;
    int32_t *ids, bins[64];
    float *logits, *states;
} golden_melody;

static void open_golden(golden_melody *g, const char *model)
{
    char file[128];

    snprintf(file, sizeof file, "hf/%s.safetensors", model);
    mg_checkpoint *c = golden_open(file);
    const mg_tensor *logits = golden_tensor(c, "lm_logits"), *states = golden_tensor(c, "t5_last_hidden");
    const mg_tensor *onehot = golden_tensor(c, "chroma_onehot");
    g->K = logits->dim[1], g->T = logits->dim[2], g->V = logits->dim[3];
    g->S = states->dim[1], g->d = states->dim[2];
    g->ids = golden_i32(c, "lm_ids", NULL);
    g->logits = golden_f32(c, "lm_logits", NULL);
    g->states = golden_f32(c, "t5_last_hidden", NULL);
    g->n_bins = onehot->dim[0];
    float *rows = golden_f32(c, "chroma_onehot", NULL);
    for (int64_t f = 0; f < g->n_bins; f++)
        for (int64_t b = 0; b < onehot->dim[1]; b++)
            if (rows[f * onehot->dim[1] + b] == 1) g->bins[f] = (int32_t)b;
    free(rows);
    mg_checkpoint_close(c);
}

static void close_golden(golden_melody *g)
{
    free(g->ids);
    free(g->logits);
    free(g->states);
}

/* Logits of all columns in the golden order [K,T,V], in passes of `n_at_once` columns. */
static void run(fixture *f, const golden_melody *g, const int32_t *bins, const float *states_host,
                int64_t n_at_once, float *out)
{
    static float logits[MAX_COLUMNS * MAX_K * MAX_V];
    int32_t ids[MAX_COLUMNS * MAX_K], row[MAX_COLUMNS], position[MAX_COLUMNS];
    const int64_t prefix = mg_lm_prefix_length(&f->config.lm, 0, g->S);

    GOLDEN_OK(
        mg_lm_set_prefix(f->lm, ROW, &(mg_lm_prefix){bins, g->n_bins, NULL, 0, states_host, g->S, g->S}));
    for (int64_t first = 0; first < g->T; first += n_at_once) {
        const int64_t n = first + n_at_once < g->T ? n_at_once : g->T - first;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = 0; k < g->K; k++) ids[i * g->K + k] = g->ids[k * g->T + first + i];
            row[i] = ROW;
            position[i] = (int32_t)(prefix + first + i);
        }
        const mg_lm_batch batch = {.n_tokens = n, .row = row, .position = position};
        GOLDEN_OK(fixture_forward(f->lm, g->K, g->V, batch, ids, logits));
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < g->K; k++)
                memcpy(out + (k * g->T + first + i) * g->V, logits + (i * g->K + k) * g->V,
                       (size_t)g->V * sizeof *out);
    }
}

static void test_logits(void **state)
{
    static float got[MAX_COLUMNS * MAX_K * MAX_V], stepwise[MAX_COLUMNS * MAX_K * MAX_V];

    (void)state;
    for (int i = 0; i < 2; i++) {
        const fixture_want want = {.n_threads = 2};
        golden_melody g;
        fixture f;

        open_golden(&g, models[i]);
        fixture_open(&f, models[i], &want);
        const int64_t n = g.K * g.T * g.V;
        assert_true(n <= MAX_COLUMNS * MAX_K * MAX_V);
        run(&f, &g, g.bins, g.states, g.T, got);
        golden_close(models[i], got, g.logits, n, TOLERANCE);
        run(&f, &g, g.bins, g.states, 1, stepwise);
        assert_memory_equal(got, stepwise, (size_t)n * sizeof *got);
        run(&f, &g, NULL, g.states, g.T, got);
        golden_not_close("logits without the melody", got, g.logits, n, TOLERANCE);
        run(&f, &g, g.bins, NULL, g.T, got);
        golden_not_close("logits without the text", got, g.logits, n, TOLERANCE);
        g.bins[5] = (g.bins[5] + 1) % 12;
        run(&f, &g, g.bins, g.states, g.T, got);
        golden_not_close("logits after one other pitch", got, g.logits, n, TOLERANCE);
        fixture_close(&f);
        close_golden(&g);
    }
}

/* A prefix longer than a pass is fed in several: the same bits. */
static void test_passes_change_nothing(void **state)
{
    static float whole[MAX_COLUMNS * MAX_K * MAX_V], cut[MAX_COLUMNS * MAX_K * MAX_V];
    const fixture_want want = {0}, small = {.limits = {8, 4, 16, 16, 80, 32, 4, 80}};
    golden_melody g;
    fixture f;

    (void)state;
    open_golden(&g, models[0]);
    fixture_open(&f, models[0], &want);
    run(&f, &g, g.bins, g.states, g.T, whole);
    fixture_close(&f);
    fixture_open(&f, models[0], &small);
    run(&f, &g, g.bins, g.states, 4, cut);
    assert_memory_equal(whole, cut, (size_t)(g.K * g.T * g.V) * sizeof *whole);
    fixture_close(&f);
    close_golden(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_passes_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
