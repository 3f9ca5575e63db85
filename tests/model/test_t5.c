/* T5 states against transformers, for the relu and the gated encoder, with and without projection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lm_impl.h"
#include "model_fixture.h"

#define TOLERANCE 2e-5

/* [B,S] ids and mask, states [B,S,D] of the text encoder and [B,S,H] after the projection. */
typedef struct golden_text {
    mg_checkpoint *file;
    int64_t B, S, D, H;
    int32_t *ids, *mask;
    float *states, *projected;
} golden_text;

static void golden_text_open(golden_text *g, const char *model)
{
    char file[128];

    snprintf(file, sizeof file, "hf/%s.safetensors", model);
    g->file = golden_open(file);
    g->ids = golden_i32(g->file, "t5_ids", NULL);
    g->mask = golden_i32(g->file, "t5_mask", NULL);
    g->states = golden_f32(g->file, "t5_last_hidden", NULL);
    g->projected = golden_f32(g->file, "t5_projected", NULL);
    g->B = golden_tensor(g->file, "t5_projected")->dim[0];
    g->S = golden_tensor(g->file, "t5_projected")->dim[1];
    g->H = golden_tensor(g->file, "t5_projected")->dim[2];
    g->D = golden_tensor(g->file, "t5_last_hidden")->dim[2];
}

static void golden_text_close(golden_text *g)
{
    free(g->ids);
    free(g->mask);
    free(g->states);
    free(g->projected);
    mg_checkpoint_close(g->file);
}

static mg_status project(mg_lm *lm, float *projected_host, const float *states_host, int64_t S)
{
    mg_tensor projected;

    MG_RETURN(mg_lm_run_projection(lm, &projected, states_host, S));
    return mg_download(lm->ops, projected_host, projected.data, mg_tensor_bytes(&projected));
}

static void check_model(const char *model)
{
    const fixture_want want = {.with_t5 = true, .n_threads = 2};
    golden_text g;
    fixture f;

    golden_text_open(&g, model);
    fixture_open(&f, model, &want);
    for (int64_t b = 0; b < g.B; b++) {
        int64_t S = 0;
        char what[128];
        while (S < g.S && g.mask[b * g.S + S]) S++;
        float *got = calloc((size_t)(S * g.D), sizeof *got),
              *projected = calloc((size_t)(S * g.H), sizeof *projected);
        assert_true(got && projected);
        GOLDEN_OK(mg_t5_encode(f.t5, got, g.ids + b * g.S, S));
        snprintf(what, sizeof what, "%s t5 states of text %d, %d tokens", model, (int)b, (int)S);
        golden_close(what, got, g.states + b * g.S * g.D, S * g.D, TOLERANCE);
        GOLDEN_OK(project(f.lm, projected, got, S));
        snprintf(what, sizeof what, "%s projected text %d", model, (int)b);
        golden_close(what, projected, g.projected + b * g.S * g.H, S * g.H, TOLERANCE);
        free(got);
        free(projected);
    }
    fixture_close(&f);
    golden_text_close(&g);
}

static void test_relu_with_projection(void **state)
{
    (void)state;
    check_model("tiny-mono");
}

static void test_gated_gelu_without_projection(void **state)
{
    (void)state;
    check_model("tiny-variant");
}

static void test_perturbed(void **state)
{
    const fixture_want want = {.with_t5 = true, .no_lm = true};
    golden_text g;
    fixture f;

    (void)state;
    golden_text_open(&g, "tiny-mono");
    fixture_open(&f, "tiny-mono", &want);
    g.ids[2] += 1;
    float *got = calloc((size_t)(g.S * g.D), sizeof *got);
    assert_non_null(got);
    GOLDEN_OK(mg_t5_encode(f.t5, got, g.ids, g.S));
    golden_not_close("t5 states", got, g.states, g.S * g.D, TOLERANCE);
    free(got);
    fixture_close(&f);
    golden_text_close(&g);
}

/* The first text of a batch, encoded after a longer one and before it: the same bits. */
static void test_no_memory_of_other_texts(void **state)
{
    const fixture_want want = {.with_t5 = true, .no_lm = true};
    const int32_t ids[20] = {5, 9, 300, 41, 77, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    fixture f;

    (void)state;
    fixture_open(&f, "tiny-mono", &want);
    const size_t bytes = (size_t)(20 * f.config.t5.d_model) * sizeof(float);
    float *before = calloc(1, bytes), *after = calloc(1, bytes), *other = calloc(1, bytes);
    assert_true(before && after && other);
    GOLDEN_OK(mg_t5_encode(f.t5, before, ids, 7));
    GOLDEN_OK(mg_t5_encode(f.t5, other, ids, 20));
    GOLDEN_OK(mg_t5_encode(f.t5, after, ids, 7));
    assert_memory_equal(before, after, bytes);
    free(other);
    free(before);
    free(after);
    fixture_close(&f);
}

static void test_unknown_token_is_named(void **state)
{
    const fixture_want want = {.with_t5 = true, .no_lm = true};
    const int32_t ids[2] = {5, 1128};
    fixture f;
    float states[2 * 1024];

    (void)state;
    fixture_open(&f, "tiny-mono", &want);
    assert_true(f.config.t5.d_model <= 1024);
    assert_int_equal(mg_t5_encode(f.t5, states, ids, 2), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "1128"));
    fixture_close(&f);
}

/* The table of docs/MODEL.md §T5: the last distance of each bucket. */
static void test_buckets(void **state)
{
    static const int last[16] = {0, 1, 2, 3, 4, 5, 6, 7, 11, 15, 22, 31, 45, 63, 90, 600};
    int bucket = 0;

    (void)state;
    for (int n = 0; n <= 600; n++) {
        if (n > last[bucket]) bucket++;
        assert_int_equal(mg_t5_bucket(-n, 32, 128), bucket);
        assert_int_equal(mg_t5_bucket(n, 32, 128), n ? 16 + bucket : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relu_with_projection),
        cmocka_unit_test(test_gated_gelu_without_projection),
        cmocka_unit_test(test_perturbed),
        cmocka_unit_test(test_no_memory_of_other_texts),
        cmocka_unit_test(test_unknown_token_is_named),
        cmocka_unit_test(test_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
