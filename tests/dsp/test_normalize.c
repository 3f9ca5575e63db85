#include "dsp_fixture.h"

#include "loudness.h"
#include "normalize.h"

static const mg_normalization defaults = {
    .peak_headroom_db = 1, .rms_headroom_db = 18, .loudness_headroom_db = 14};
static const char *const signals[] = {"tone_quiet", "tone_loud",    "noise",  "stereo",
                                      "bursts",     "near_silence", "silence"};
static const struct {
    const char *suffix;
    mg_strategy strategy;
    bool compressor;
    double tolerance;
} ways[] = {
    {"peak", MG_STRATEGY_PEAK, false, 1e-4},
    {"rms", MG_STRATEGY_RMS, false, 1e-4},
    {"clip", MG_STRATEGY_CLIP, false, 1e-4},
    {"loudness", MG_STRATEGY_LOUDNESS, false, 2e-3},
    {"loudness_compressor", MG_STRATEGY_LOUDNESS, true, 2e-3},
};
static int64_t n_cut; /* by the last call */

enum { N_SIGNALS = sizeof signals / sizeof *signals, N_WAYS = sizeof ways / sizeof *ways };

static mg_normalization way(int i)
{
    mg_normalization how = defaults;

    how.strategy = ways[i].strategy, how.loudness_compressor = ways[i].compressor;
    return how;
}

/* AudioCraft's answer; where it divides by zero, the sound as it was. */
static mg_sound wanted(const mg_checkpoint *golden, int i_signal, int i_way)
{
    const bool divides_by_zero = strcmp(signals[i_signal], "silence") == 0 && i_way <= 1;
    char name[64];

    snprintf(name, sizeof name, divides_by_zero ? "in_%s" : "out_%s_%s", signals[i_signal],
             ways[i_way].suffix);
    return golden_sound(golden, name, 32000);
}

static void audiocraft_is_matched(void **state)
{
    mg_checkpoint *golden = golden_open("normalize.safetensors");

    (void)state;
    for (int i = 0; i < N_SIGNALS; i++) {
        for (int w = 0; w < N_WAYS; w++) {
            char name[64];
            const mg_normalization how = way(w);
            snprintf(name, sizeof name, "in_%s", signals[i]);
            mg_sound s = golden_sound(golden, name, 32000), want = wanted(golden, i, w);
            const int64_t n = s.n_frames * s.n_channels;
            GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
            snprintf(name, sizeof name, "%s %s", signals[i], ways[w].suffix);
            golden_close(name, s.pcm, want.pcm, n, ways[w].tolerance);
            mg_sound_close(&s);
            mg_sound_close(&want);
        }
    }
    mg_checkpoint_close(golden);
}

/* Another headroom is another sound. */
static void headrooms_matter(void **state)
{
    mg_checkpoint *golden = golden_open("normalize.safetensors");

    (void)state;
    for (int w = 0; w < N_WAYS; w++) {
        mg_normalization how = way(w);
        mg_sound s = golden_sound(golden, "in_noise", 32000), want = wanted(golden, 2, w);
        how.peak_headroom_db += 0.1, how.rms_headroom_db += 0.1, how.loudness_headroom_db += 0.1;
        GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
        golden_not_close(ways[w].suffix, s.pcm, want.pcm, s.n_frames * s.n_channels, ways[w].tolerance);
        mg_sound_close(&s);
        mg_sound_close(&want);
    }
    mg_checkpoint_close(golden);
}

static void silence_is_left_alone(void **state)
{
    (void)state;
    for (int w = 0; w < N_WAYS; w++) {
        const mg_normalization how = way(w);
        mg_sound s = new_sound(32000, 2, 32000);
        GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
        for (int64_t n = 0; n < 2 * 32000; n++) assert_true(s.pcm[n] == 0);
        s.n_frames = 0;
        GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
        mg_sound_close(&s);
    }
}

/* Left and right cancel: there is no mean to scale. */
static void opposite_channels_keep_their_level(void **state)
{
    mg_normalization how = defaults;
    mg_sound s = tone(0.25, 440, 1, 2, 32000), before = tone(0.25, 440, 1, 2, 32000);

    (void)state;
    for (int64_t n = 0; n < s.n_frames; n++) s.pcm[2 * n + 1] = before.pcm[2 * n + 1] = -s.pcm[2 * n];
    how.strategy = MG_STRATEGY_RMS;
    GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
    assert_memory_equal(s.pcm, before.pcm, (size_t)(2 * s.n_frames) * sizeof(float));
    mg_sound_close(&s);
    mg_sound_close(&before);
}

/* Shorter than a block of 0.4 s: cut to ±1, its level kept. */
static void a_short_sound_keeps_its_level(void **state)
{
    mg_normalization how = defaults;
    mg_sound s = tone(1.5, 440, 0.39, 1, 32000), before = tone(1.5, 440, 0.39, 1, 32000);

    (void)state;
    how.strategy = MG_STRATEGY_LOUDNESS;
    GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
    for (int64_t n = 0; n < s.n_frames; n++) {
        assert_true(s.pcm[n] == fminf(fmaxf(before.pcm[n], -1), 1));
        n_cut -= s.pcm[n] != before.pcm[n];
    }
    assert_int_equal(n_cut, 0);
    mg_sound_close(&s);
    mg_sound_close(&before);
}

/* An rms of 2e-3 is the least that is made louder. */
static void the_quiet_keep_their_level(void **state)
{
    static const double rms[2] = {1.95e-3, 2.05e-3};
    mg_normalization how = defaults;

    (void)state;
    how.strategy = MG_STRATEGY_LOUDNESS;
    for (int i = 0; i < 2; i++) {
        mg_sound s = tone(rms[i] * M_SQRT2, 440, 1, 1, 32000);
        const float before = s.pcm[100];
        GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
        assert_true((s.pcm[100] == before) == (i == 0));
        mg_sound_close(&s);
    }
}

static void the_loudness_is_what_was_asked(void **state)
{
    mg_normalization how = defaults;
    mg_sound s = tone(0.1, 440, 2, 2, 44100);
    double lufs;

    (void)state;
    how.strategy = MG_STRATEGY_LOUDNESS, how.loudness_headroom_db = 16;
    GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
    GOLDEN_OK(mg_loudness(&lufs, &s));
    printf("asked for -16 LUFS: %.6f\n", lufs);
    assert_true(fabs(lufs + 16) < 1e-4);
    mg_sound_close(&s);
}

static void none_touches_nothing(void **state)
{
    mg_normalization how = defaults;
    mg_sound s = tone(3, 440, 1, 1, 32000), before = tone(3, 440, 1, 1, 32000);

    (void)state;
    how.strategy = MG_STRATEGY_NONE;
    GOLDEN_OK(mg_normalize(&n_cut, &s, &how));
    assert_memory_equal(s.pcm, before.pcm, (size_t)s.n_frames * sizeof(float));
    mg_sound_close(&s);
    mg_sound_close(&before);
}

static void what_is_not_finite_is_named(void **state)
{
    mg_sound s = new_sound(4, 2, 32000);

    (void)state;
    s.pcm[5] = NAN;
    expect_failure(mg_normalize(&n_cut, &s, &defaults), MG_EFAIL, "sample 2 of channel 1 is not a number");
    s.pcm[3] = -INFINITY;
    expect_failure(mg_normalize(&n_cut, &s, &defaults), MG_EFAIL, "sample 1 of channel 1 is infinite");
    mg_sound_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audiocraft_is_matched),
        cmocka_unit_test(headrooms_matter),
        cmocka_unit_test(silence_is_left_alone),
        cmocka_unit_test(opposite_channels_keep_their_level),
        cmocka_unit_test(a_short_sound_keeps_its_level),
        cmocka_unit_test(the_quiet_keep_their_level),
        cmocka_unit_test(the_loudness_is_what_was_asked),
        cmocka_unit_test(none_touches_nothing),
        cmocka_unit_test(what_is_not_finite_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
