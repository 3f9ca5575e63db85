/* Each fault is made by hand, and so is its neighbour that is none: music has rests, drums that repeat, and
 * peaks. */
#include "dsp_fixture.h"

#include <string.h>

#include "quality.h"

enum { RATE = 32000, SECONDS = 4, N = RATE * SECONDS, K = 4, T = 200 };

static const mg_quality_limits limits = {.silence_db = -60,
                                         .silence = 0.8,
                                         .clipping = 0.005,
                                         .dc = 0.25,
                                         .dead_channel_db = 60,
                                         .repeat = 0.5,
                                         .loop = 0.7};

static void expect_words(const mg_quality *q, const char *words)
{
    char found[MG_QUALITY_WORDS_SIZE];

    mg_quality_words(found, q, &limits);
    assert_string_equal(found, words);
}

static void expect_sound(const mg_sound *s, const char *words)
{
    mg_quality q = {0};

    mg_quality_measure_sound(&q, s, limits.silence_db);
    expect_words(&q, words);
}

/* Numbers in [0,1) that are the same in every run. */
static double number(int64_t i)
{
    uint64_t x = (uint64_t)(i + 1) * UINT64_C(0x9E3779B97F4A7C15);

    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return (double)(x >> 11) / 9007199254740992.0;
}

static mg_sound noise(double amplitude, int n_channels)
{
    mg_sound s = {malloc(sizeof(float) * N * (size_t)n_channels), N, n_channels, RATE};

    assert_non_null(s.pcm);
    for (int64_t i = 0; i < N * n_channels; i++) s.pcm[i] = (float)(amplitude * (2 * number(i) - 1));
    return s;
}

static void test_silence(void **state)
{
    mg_sound s = noise(0.3, 2);

    (void)state;
    expect_sound(&s, "");
    for (int64_t i = 0; i < 2 * N; i++) s.pcm[i] *= 1e-4F; /* -86 dB */
    expect_sound(&s, "silence");
    s.pcm[0] = 1; /* a click is no music */
    expect_sound(&s, "silence");
    for (int64_t i = 0; i < 2 * N / 4; i++) s.pcm[i] *= 1e4F; /* a quarter of it sounds */
    expect_sound(&s, "");
    memset(s.pcm, 0, sizeof(float) * 2 * N);
    expect_sound(&s, "silence");
    s.n_frames = 0;
    expect_sound(&s, "silence");
    mg_sound_close(&s);
}

static void test_clipping(void **state)
{
    mg_quality q = {.clipping = 0.005}; /* counted by mg_normalize */

    (void)state;
    expect_words(&q, "");
    q.clipping = 0.006;
    expect_words(&q, "clipping");
}

static void test_offset(void **state)
{
    mg_sound s = noise(0.3, 2);
    mg_quality q = {0};

    (void)state;
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] += 0.02F; /* rms is 0.17 */
    expect_sound(&s, "");
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] += 0.08F;
    expect_sound(&s, "dc");
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] = -0.1F;
    mg_quality_measure_sound(&q, &s, -60);
    assert_true(fabs(q.dc - 1) < 1e-6);
    mg_sound_close(&s);
}

static void test_dead_channel(void **state)
{
    mg_sound s = noise(0.3, 2);

    (void)state;
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] *= 0.01F; /* far to the left */
    expect_sound(&s, "");
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] *= 0.01F;
    expect_sound(&s, "dead channel");
    for (int64_t i = 1; i < 2 * N; i += 2) s.pcm[i] = 0;
    expect_sound(&s, "dead channel");
    mg_sound_close(&s);
    s = noise(0.3, 1);
    expect_sound(&s, "");
    mg_sound_close(&s);
}

static void test_not_a_number(void **state)
{
    mg_sound s = noise(0.3, 1);
    mg_quality q = {0};
    char text[MG_QUALITY_TEXT_SIZE];

    (void)state;
    s.pcm[100] = NAN, s.pcm[200] = INFINITY;
    expect_sound(&s, "not a number");
    mg_quality_measure_sound(&q, &s, -60);
    q.loop = 0.9;
    mg_quality_describe(text, &q, &limits);
    assert_string_equal(text, "not a number in 2 samples, loop 0.9 (limit 0.7)");
    mg_sound_close(&s);
}

static void fill_codes(int32_t *codes)
{
    for (int64_t i = 0; i < K * T; i++) codes[i] = (int32_t)(2048 * number(i));
}

static void expect_codes(const int32_t *codes, int64_t n_channels, const char *words)
{
    mg_quality q = {0};

    mg_quality_measure_codes(&q, codes, K, T, 0, n_channels);
    expect_words(&q, words);
}

static void test_one_code(void **state)
{
    int32_t codes[K * T];

    (void)state;
    fill_codes(codes);
    expect_codes(codes, 1, "");
    for (int64_t t = 0; t < 90; t++) codes[t] = 7; /* 45 % of the clip is one stretch of one code */
    expect_codes(codes, 1, "");
    for (int64_t t = 90; t < 110; t++) codes[t] = 7;
    expect_codes(codes, 1, "repeat");
    for (int64_t t = 0; t < 110; t += 50) codes[t] = 8; /* never for long */
    expect_codes(codes, 1, "");
    fill_codes(codes);
    for (int64_t t = 0; t < T; t++)
        codes[T + t] = 7; /* the second codebook: of the right channel, or a detail */
    expect_codes(codes, 1, "");
    expect_codes(codes, 2, "repeat");
}

static void loop(int32_t *codes, int64_t period, int64_t end)
{
    for (int64_t k = 0; k < K; k++)
        for (int64_t t = period; t < end; t++) codes[k * T + t] = codes[k * T + t - period];
}

static void test_a_loop(void **state)
{
    int32_t codes[K * T];
    mg_quality q = {0};

    (void)state;
    for (int64_t period = 2; period <= T / 2; period += 7) {
        fill_codes(codes);
        loop(codes, period, T);
        expect_codes(codes, 1, "loop");
        mg_quality_measure_codes(&q, codes, K, T, 0, 1);
        assert_true(fabs(q.loop - 1) < 1e-9);
        codes[3 * T + T - 1]++; /* one code of one codebook ends it; what is before still is one */
        mg_quality_measure_codes(&q, codes, K, T, 0, 1);
        assert_true(q.loop < 1);
    }
    fill_codes(codes);
    loop(codes, 20, 120);
    expect_codes(codes, 1, ""); /* 60 % */
    fill_codes(codes);
    loop(codes, T - 20, T); /* what comes back once, after a long time, is music */
    expect_codes(codes, 1, "");
    fill_codes(codes);
    loop(codes, 1, T);
    expect_codes(codes, 1, "repeat, loop");
    mg_quality_measure_codes(&q, codes, K, 1, 0, 1);
    assert_true(q.loop == 0 && q.repeat == 0);
}

/* What stands before the first column that counts does not hide what is behind it. */
static void test_from_a_column_on(void **state)
{
    int32_t codes[K * T];
    mg_quality q = {0};

    (void)state;
    fill_codes(codes);
    for (int64_t k = 0; k < K; k++)
        for (int64_t t = T - 40; t < T; t++) codes[k * T + t] = 7;
    mg_quality_measure_codes(&q, codes, K, T, 0, 1);
    assert_true(fabs(q.repeat - 0.2) < 1e-9 && fabs(q.loop - 0.2) < 1e-9);
    mg_quality_measure_codes(&q, codes, K, T, T - 40, 1);
    assert_true(q.repeat == 1 && q.loop == 1);
    mg_quality_measure_codes(&q, codes, K, T, T, 1);
    assert_true(q.repeat == 0 && q.loop == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence),      cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_offset),       cmocka_unit_test(test_dead_channel),
        cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_one_code),
        cmocka_unit_test(test_a_loop),       cmocka_unit_test(test_from_a_column_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
