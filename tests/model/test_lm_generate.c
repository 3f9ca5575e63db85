/* Greedy generation against transformers: texts to codes, exactly, with guidance and without, a batch and one
 * alone, and with no text at all. The loop is the plainest one: no scheduler, every clip of one length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "delay.h"
#include "golden_lm.h"
#include "tokenizer.h"

enum { MAX_CLIPS = 3, MAX_FRAMES = 60, MAX_CODES = 4 * MAX_FRAMES };

typedef struct generation {
    int64_t B, T; /* clips, frames */
    float guidance;
    bool with_text;
    int32_t codes[MAX_CLIPS * MAX_CODES]; /* [B,K,T] */
} generation;

/* Column j of every clip, the guided rows first; then a draw of every code of column j + 1. */
static void step(fixture *f, const generation *g, const mg_delay *d, int64_t j)
{
    const bool guided = g->with_text && g->guidance != 1;
    const int64_t N = guided ? 2 * g->B : g->B, K = d->K;
    int32_t cells[2 * MAX_CLIPS * 4], row[2 * MAX_CLIPS], position[2 * MAX_CLIPS], text[2 * MAX_CLIPS];
    mg_draw draws[MAX_CLIPS * 4];

    for (int64_t n = 0; n < N; n++) {
        for (int64_t k = 0; k < K; k++) {
            const int64_t t = mg_delay_frame(d, g->T, k, j);
            cells[n * K + k] = t < 0 ? -1 : mg_lm_cell(f->lm, n % g->B, k, t);
        }
        row[n] = (int32_t)n;
        position[n] = (int32_t)j;
        text[n] = (int32_t)(n % g->B);
    }
    for (int64_t i = 0; i < g->B * K; i++) {
        const int64_t b = i / K, k = i % K, t = mg_delay_frame(d, g->T, k, j + 1);
        draws[i] = (mg_draw){.token = {(int32_t)b, (int32_t)(g->B + b)},
                             .n_roles = guided ? 2 : 1,
                             .k = (int32_t)k,
                             .cell = t < 0 ? -1 : mg_lm_cell(f->lm, b, k, t),
                             .coef = g->guidance,
                             .how = {.greedy = true},
                             .uniform = 0.5};
    }
    const mg_lm_batch batch = {.n_tokens = N,
                               .n_with_text = g->with_text ? g->B : 0,
                               .with_logits = true,
                               .cells = cells,
                               .row = row,
                               .position = position,
                               .text = text};
    GOLDEN_OK(mg_lm_step(f->lm, &batch, draws, g->B * K));
}

static void generate(fixture *f, generation *g)
{
    const mg_delay d = {f->config.lm.K, f->config.lm.n_channels};

    for (int64_t j = 0; j + 1 < mg_delay_columns(&d, g->T); j++) step(f, g, &d, j);
    for (int64_t b = 0; b < g->B; b++)
        GOLDEN_OK(mg_lm_get_codes(f->lm, b, g->codes + b * d.K * g->T, g->T, 0, g->T));
}

/* Texts through tokenizer and T5 into the language model. */
static void set_texts(fixture *f, const char *const *texts, int64_t n)
{
    mg_tokenizer *tokenizer;

    GOLDEN_OK(mg_tokenizer_open(&tokenizer, MG_GOLDEN_DIR "/tokenizer"));
    for (int64_t b = 0; b < n; b++) {
        float states[64 * 256];
        int32_t *ids;
        int64_t n_ids;
        GOLDEN_OK(mg_tokenizer_encode(tokenizer, texts[b], &ids, &n_ids));
        assert_true(n_ids <= 64 && f->config.t5.d_model <= 256);
        GOLDEN_OK(mg_t5_encode(f->t5, states, ids, n_ids));
        GOLDEN_OK(mg_lm_set_text(f->lm, b, states, n_ids));
        free(ids);
    }
    mg_tokenizer_close(tokenizer);
}

typedef struct generate_case {
    const char *name;
    float guidance;
    int64_t n_clips, n_texts;
    const char *texts[MAX_CLIPS];
} generate_case;

#define THREE_TEXTS                                                            \
    {                                                                          \
        "80s pop track with bassy drums and synth", "slow sad piano", "techno" \
    }

static const generate_case cases[] = {
    {"text_cfg3", 3, 3, 3, THREE_TEXTS},
    {"text_nocfg", 1, 3, 3, THREE_TEXTS},
    {"single_cfg3", 3, 1, 1, {"90s rock song with loud guitars and heavy drums"}},
    {"uncond", 1, 2, 0, {NULL}},
};

/* Codes that differ from the golden ones. */
static int64_t count_different(fixture *f, const mg_checkpoint *golden, const generate_case *c,
                               float guidance)
{
    char key[64];
    int64_t n_codes, n_different = 0;

    snprintf(key, sizeof key, "%s_codes", c->name);
    int32_t *want = golden_i32(golden, key, &n_codes);
    generation g = {.B = c->n_clips, .guidance = guidance, .with_text = c->n_texts > 0};
    g.T = n_codes / (g.B * f->config.lm.K);
    assert_true(g.T <= MAX_FRAMES && g.B <= MAX_CLIPS);
    set_texts(f, c->texts, c->n_texts);
    generate(f, &g);
    for (int64_t i = 0; i < n_codes; i++) n_different += g.codes[i] != want[i];
    free(want);
    return n_different;
}

/* Under test_cuts every second case, from `first` on. */
static void check_model(const char *model, const char *weights_path, size_t first)
{
    const fixture_want want = {.with_t5 = true, .n_threads = 2, .weights_path = weights_path};
    char file[128];
    fixture f;

    snprintf(file, sizeof file, "hf/%s.safetensors", model);
    mg_checkpoint *golden = golden_open(file);
    fixture_open(&f, model, &want);
    for (size_t i = test_cuts() ? first : 0; i < sizeof cases / sizeof *cases; i += test_cuts() ? 2 : 1) {
        const int64_t n_different = count_different(&f, golden, &cases[i], cases[i].guidance);
        printf("%s %s: %d codes differ\n", model, cases[i].name, (int)n_different);
        assert_int_equal(n_different, 0);
    }
    /* the sibling that must fail: another guidance, other codes */
    if (!test_thins()) assert_int_not_equal(count_different(&f, golden, &cases[0], 2.5f), 0);
    fixture_close(&f);
    mg_checkpoint_close(golden);
}

static void test_tiny_mono(void **state)
{
    (void)state;
    check_model("tiny-mono", NULL, 0);
}

static void test_tiny_variant(void **state)
{
    (void)state;
    check_model("tiny-variant", NULL, 1);
}

static void test_sharded(void **state)
{
    (void)state;
    if (test_cuts()) skip(); /* how weights are found is the same on every backend */
    check_model("tiny-mono", MG_GOLDEN_DIR "/checkpoints/tiny-mono-sharded", 0);
}

static void test_fused_no_positions(void **state)
{
    (void)state;
    if (test_cuts()) skip();
    check_model("tiny-mono", MG_GOLDEN_DIR "/checkpoints/tiny-mono-fused-no-positions", 0);
}

static void test_param_names(void **state)
{
    char path[1024];

    (void)state;
    if (test_cuts() ||
        golden_shared_missing("checkpoints/tiny-mono-param-names/model.safetensors", path, sizeof path))
        skip();
    check_model("tiny-mono", path, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_mono),   cmocka_unit_test(test_tiny_variant),
        cmocka_unit_test(test_sharded),     cmocka_unit_test(test_fused_no_positions),
        cmocka_unit_test(test_param_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
