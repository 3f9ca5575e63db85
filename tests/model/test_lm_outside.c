/* Layers that come when a step reaches them: any number of them, the same bits as with all in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "golden_lm.h"
#include "patched_file.h"

enum { N_PROMPT = 3, N_STEPS = 2, MOST_FLOATS = 1 << 16 };

/* Two clips' texts, a prompt of several columns at once, then steps; without a text, too. */
static int64_t run_mono(fixture *f, float *logits)
{
    golden_lm g;

    golden_lm_open(&g, "tiny-mono");
    const int64_t KV = g.K * g.V, T = N_PROMPT + N_STEPS, n = 2 * T * KV;
    assert_true(n <= MOST_FLOATS && T <= g.T);
    golden_set_texts(f, &g);
    for (int with_text = 1; with_text >= 0; with_text--, logits += T * KV) {
        GOLDEN_OK(golden_forward(f->lm, &g, 1, 0, N_PROMPT, with_text, with_text, logits));
        for (int64_t t = N_PROMPT; t < T; t++)
            GOLDEN_OK(golden_forward(f->lm, &g, 1, t, 1, with_text, with_text, logits + t * KV));
    }
    golden_lm_close(&g);
    return n;
}

/* A prefix, whose last layer is left half way, and a column behind it. */
static int64_t run_melody(fixture *f, float *logits)
{
    const mg_lm_config *c = &f->config.lm;
    const int64_t S = 4;
    const int32_t row[1] = {2}, position[1] = {(int32_t)mg_lm_prefix_length(c, 0, S)};
    const int32_t bins[3] = {1, 5, 9};
    float states[4 * 512];
    int32_t ids[16];

    assert_true(S * c->d_text <= 4 * 512 && c->K <= 16);
    for (int64_t i = 0; i < S * c->d_text; i++) states[i] = (float)(i % 17) / 17 - 0.5f;
    for (int64_t k = 0; k < c->K; k++) ids[k] = (int32_t)k;
    const mg_lm_batch batch = {.n_tokens = 1, .row = row, .position = position};
    GOLDEN_OK(mg_lm_set_prefix(f->lm, 2, &(mg_lm_prefix){bins, 3, NULL, 0, states, S, S}));
    GOLDEN_OK(fixture_forward(f->lm, c->K, c->V, batch, ids, logits));
    return c->K * c->V;
}

static int64_t run(float *logits, const char *model, fixture_want want, int64_t n_outside)
{
    fixture f;

    want.n_outside = n_outside;
    fixture_open(&f, model, &want);
    const int64_t n = f.config.lm.n_chroma ? run_melody(&f, logits) : run_mono(&f, logits);
    if (getenv("MG_TEST_UNPINNED")) assert_int_equal(mg_lm_n_unpinned(f.lm), n_outside);
    fixture_close(&f);
    return n;
}

static void check(const char *model, fixture_want want, int64_t L)
{
    static float whole[MOST_FLOATS], some[MOST_FLOATS];
    const int64_t n = run(whole, model, want, 0);

    for (int64_t i = 1; i <= L; i++) {
        memset(some, 0, sizeof some);
        assert_int_equal(run(some, model, want, i), n);
        if (memcmp(whole, some, (size_t)n * sizeof *whole) != 0)
            fail_msg("%s, %lld layers outside: differs by %g", model, (long long)i,
                     golden_max_error(some, whole, n));
    }
}

/* Odd and even numbers of layers over two buffers. */
static void test_every_split(void **state)
{
    (void)state;
    check("tiny-mono", (fixture_want){.n_random = 5, .n_threads = 2}, 5);
    check("tiny-melody", (fixture_want){.n_random = 3, .format = MG_FORMAT_BF16}, 3);
    if (test_has_threads()) check("tiny-mono", (fixture_want){.n_random = 4, .format = MG_FORMAT_Q8}, 4);
}

static void test_from_a_file(void **state)
{
    (void)state;
    check("tiny-mono", (fixture_want){.format = MG_FORMAT_F16}, 2);
}

/* Cut short while the model is at work: the step that needs it fails, if the backend still reads. */
static void test_a_file_that_changes(void **state)
{
    fixture_want want = {.n_outside = 2};
    char path[1024];
    float logits[2048];
    mg_ops *reader;
    mg_status st = MG_OK;
    patched_file p = {0};
    golden_lm g;
    fixture f;

    (void)state;
    snprintf(path, sizeof path, "%s/checkpoints/tiny-mono/model.safetensors", MG_GOLDEN_DIR);
    golden_lm_open(&g, "tiny-mono");
    assert_true(g.K * g.V <= 2048);
    patched_read(&p, path);
    patched_write(&p, 0);
    want.weights_path = p.path;
    fixture_open(&f, "tiny-mono", &want);
    golden_set_texts(&f, &g);
    assert_int_equal(truncate(p.path, 1000), 0);
    for (int64_t t = 0; st == MG_OK && t < 8; t++) st = golden_forward(f.lm, &g, 1, t, 1, true, 1, logits);
    GOLDEN_OK(mg_ops_open_reader(f.ops, &reader));
    assert_int_equal(st, reader ? MG_EFAIL : MG_OK);
    if (reader) assert_non_null(strstr(mg_last_error(), p.path));
    mg_ops_close(reader);
    fixture_close(&f);
    patched_close(&p);
    golden_lm_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_from_a_file),
        cmocka_unit_test(test_a_file_that_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
