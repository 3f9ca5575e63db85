/* MERT's states against transformers' HubertModel, in the names of its own file and in today's, and with taps
 * that have a middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "style_fixture.h"

#define TOLERANCE 5e-5

static float *states_of(style_fixture *f, const float *pcm, int64_t n_samples, int64_t *count)
{
    mg_tensor states;

    GOLDEN_OK(mg_mert_encode(f->mert, &states, pcm, n_samples));
    *count = mg_tensor_count(&states);
    return fixture_host(&f->base, &states);
}

static void check_sound(style_fixture *f, const mg_mert_config *c, const char *model, const char *name)
{
    char array[64];
    int64_t n, n_want, n_got;

    snprintf(array, sizeof array, "pcm_%s", name);
    float *pcm = golden_f32(f->file, array, &n);
    snprintf(array, sizeof array, "%s_states_%s", model, name);
    float *want = golden_f32(f->file, array, &n_want), *got = states_of(f, pcm, n, &n_got);
    assert_int_equal(n_got, n_want);
    assert_int_equal(n_got, mg_mert_n_rows(c, n) * c->D);
    golden_close(array, got, want, n_want, TOLERANCE);
    free(pcm);
    free(want);
    free(got);
}

static void check_model(const mg_mert_config *c, const char *model)
{
    static const char *const sound[] = {"long", "short", "silence", "row", "long"};
    char prefix[16];
    style_fixture f;

    snprintf(prefix, sizeof prefix, "%s.", model);
    FOR_LEVELS(level)
    {
        style_fixture_open(&f, "mert.safetensors", prefix, c, NULL, 12000, level, 2);
        for (int i = 0; i < 5; i++) check_sound(&f, c, model, sound[i]);
        style_fixture_close(&f);
    }
}

static void test_even_taps(void **state)
{
    (void)state;
    check_model(&tiny_even, "even");
}

static void test_odd_taps(void **state)
{
    (void)state;
    check_model(&tiny_odd, "odd");
}

/* The same bits, whatever the room, the sound before and the threads are. */
static void test_a_sound_alone(void **state)
{
    style_fixture f;
    int64_t n, n_other, n_one, n_two;

    (void)state;
    style_fixture_open(&f, "mert.safetensors", "even.", &tiny_even, NULL, 1400, mg_cpu_best_level(), 1);
    float *pcm = golden_f32(f.file, "pcm_short", &n), *other = golden_f32(f.file, "pcm_long", &n_other);
    float *one = states_of(&f, pcm, n, &n_one);
    style_fixture_close(&f);
    style_fixture_open(&f, "mert.safetensors", "even.", &tiny_even, NULL, n_other, mg_cpu_best_level(), 3);
    free(states_of(&f, other, n_other, &n_two));
    float *two = states_of(&f, pcm, n, &n_two);
    style_fixture_close(&f);
    assert_int_equal(n_one, n_two);
    assert_memory_equal(one, two, (size_t)n_one * sizeof *one);
    free(pcm);
    free(other);
    free(one);
    free(two);
}

static void test_counts_rows(void **state)
{
    mg_mert_config c = tiny_even;

    (void)state;
    assert_int_equal(mg_mert_n_rows(&c, 72000), 224);
    assert_int_equal(mg_mert_n_rows(&c, 400), 1);
    assert_int_equal(mg_mert_n_rows(&c, 399), 0);
    assert_int_equal(mg_mert_n_rows(&c, 0), 0);
    c.n_convs = 1;
    assert_int_equal(mg_mert_n_rows(&c, 10), 1);
}

static void test_random_weights(void **state)
{
    style_fixture f;
    float pcm[2000];
    int64_t n;

    (void)state;
    for (int i = 0; i < 2000; i++) pcm[i] = (float)(i % 50) / 50;
    style_fixture_open(&f, NULL, "", &tiny_odd, NULL, 2000, mg_cpu_best_level(), 1);
    float *states = states_of(&f, pcm, 2000, &n);
    for (int64_t i = 0; i < n; i++) assert_true(isfinite(states[i]));
    free(states);
    style_fixture_close(&f);
}

/* A checkpoint that is another model: every tensor that does not fit is named at once. */
static void test_what_is_missing_is_named(void **state)
{
    mg_mert_config c = tiny_even;
    mg_arena measured = mg_arena_measure("weights");
    style_fixture f = {.prefix = "even."};

    (void)state;
    c.n_layers = 3;
    c.n_pos_taps = 8;
    fixture_backend(&f.base, MG_CPU_AUTO, 1);
    f.file = golden_open("mert.safetensors");
    assert_int_equal(style_fixture_load(&f, &measured, &c, NULL), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "even.encoder.pos_conv_embed.conv.weight_g: shape [1,1,16]"));
    assert_non_null(strstr(mg_last_error(), "even.encoder.layers.2.attention.q_proj.bias: missing"));
    style_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_taps),      cmocka_unit_test(test_odd_taps),
        cmocka_unit_test(test_a_sound_alone),  cmocka_unit_test(test_counts_rows),
        cmocka_unit_test(test_random_weights), cmocka_unit_test(test_what_is_missing_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
