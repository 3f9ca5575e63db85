#include "dsp_fixture.h"

#include "loudness.h"
#include "sound_levels.h"

static mg_sound_levels measured(const mg_sound *s)
{
    mg_sound_levels l;

    GOLDEN_OK(mg_sound_measure(&l, s));
    return l;
}

static double wanted(const mg_checkpoint *golden, const char *sound, const char *fact)
{
    char name[64];

    snprintf(name, sizeof name, "%s_%s", sound, fact);
    float *value = golden_f32(golden, name, NULL);
    const double v = (double)value[0];
    free(value);
    return v;
}

/* Loudness within 0.01 (blocks of a rate that has no whole tenth of a second lie elsewhere), the peak between
 * samples within 0.2 dB: both interpolate, with other windows. */
static void libebur128_is_matched(void **state)
{
    static const char *const names[] = {"tone_44100", "low_48000",    "over_22050",      "noise_16000",
                                        "odd_11025",  "fading_32000", "one_block_32000", "ramp_16000"};
    mg_checkpoint *sounds = golden_open("dsp.safetensors"), *golden = golden_open("levels.safetensors");
    double worst[3] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "loudness_%s", names[i]);
        mg_sound s = golden_sound_f16(sounds, name, atoi(strrchr(name, '_') + 1));
        const mg_sound_levels l = measured(&s);
        const double error[3] = {fabs(l.loudness_lufs - wanted(golden, names[i], "lufs")),
                                 fabs(l.true_peak_dbtp - wanted(golden, names[i], "dbtp")),
                                 fabs(l.sample_peak_dbfs - wanted(golden, names[i], "dbfs"))};
        printf("%s: %.3f LUFS, %.3f dBTP, %.3f dBFS; off by %.2g, %.2g, %.2g\n", names[i], l.loudness_lufs,
               l.true_peak_dbtp, l.sample_peak_dbfs, error[0], error[1], error[2]);
        for (int k = 0; k < 3; k++) worst[k] = fmax(worst[k], error[k]);
        assert_true(l.true_peak_dbtp >= l.sample_peak_dbfs);
        mg_sound_close(&s);
    }
    printf("%.0f, %.0f, %.0f %% of tolerance used\n", worst[0] / 1e-4, worst[1] / 2e-3, worst[2] / 1e-7);
    assert_true(worst[0] < 0.01 && worst[1] < 0.2 && worst[2] < 1e-5);
    mg_checkpoint_close(golden);
    mg_checkpoint_close(sounds);
}

/* The tables of BS.1770 make a full-scale tone of 997 Hz in one channel -3.01 LUFS; torchaudio's filters do
 * not. */
static void the_standard_tone(void **state)
{
    mg_sound s = tone(1, 997, 5, 1, 48000);
    double lufs, torchaudio;

    (void)state;
    GOLDEN_OK(mg_loudness_standard(&lufs, &s));
    GOLDEN_OK(mg_loudness(&torchaudio, &s));
    printf("997 Hz: %.4f LUFS, by torchaudio %.4f\n", lufs, torchaudio);
    assert_true(fabs(lufs + 3.01) < 0.01);
    assert_true(fabs(torchaudio + 3.01) > 0.01);
    mg_sound_close(&s);
}

/* A tone of a quarter of the rate whose samples all stand at 45 degrees: 3 dB between them. */
static void peaks_between_samples_are_found(void **state)
{
    mg_sound s = new_sound(1000, 2, 48000);

    (void)state;
    for (int64_t n = 0; n < s.n_frames; n++) {
        s.pcm[2 * n] = (n / 2) % 2 ? -0.5f : 0.5f;
        s.pcm[2 * n + 1] = 0.25f;
    }
    const mg_sound_levels l = measured(&s);
    printf("%.3f dBFS, %.3f dBTP\n", l.sample_peak_dbfs, l.true_peak_dbtp);
    assert_true(fabs(l.sample_peak_dbfs + 6.0206) < 1e-3);
    assert_true(fabs(l.true_peak_dbtp + 3.0103) < 0.5 && l.true_peak_dbtp > -3.2);
    mg_sound_close(&s);
}

/* Wherever it lies: at the ends, at the borders of blocks. */
static void no_peak_is_missed(void **state)
{
    (void)state;
    for (int64_t at = 0; at < 1030; at++) {
        mg_sound s = new_sound(1030, 1, 32000);
        s.pcm[at] = 0.7f;
        if (at + 1 < s.n_frames) s.pcm[at + 1] = 0.7f; /* between them it is higher */
        const mg_sound_levels l = measured(&s);
        const double higher = l.true_peak_dbtp - l.sample_peak_dbfs;
        if (at + 1 < s.n_frames ? higher < 1.9 || higher > 2.3 : higher > 0.01)
            fail_msg("at %lld: %g dB", (long long)at, higher);
        mg_sound_close(&s);
    }
}

static void what_is_beyond_is_counted(void **state)
{
    mg_sound s = new_sound(100, 2, 32000);

    (void)state;
    s.pcm[0] = 1, s.pcm[1] = -1, s.pcm[10] = 1.0001f, s.pcm[11] = -3, s.pcm[12] = 0.9999f;
    assert_int_equal(measured(&s).n_over, 2);
    mg_sound_close(&s);
}

static void silence_at_the_ends(void **state)
{
    mg_sound s = new_sound(32000, 2, 32000);
    mg_sound_levels l = measured(&s);

    (void)state;
    assert_true(l.silence_start_s == 1 && l.silence_end_s == 1);
    assert_true(isinf(l.true_peak_dbtp) && isinf(l.sample_peak_dbfs) && isnan(l.loudness_lufs));
    for (int64_t n = 0; n < s.n_frames; n++) s.pcm[2 * n] = 0.0009f; /* -60.9 dBFS */
    s.pcm[2 * 8000 + 1] = 0.002f;
    s.pcm[2 * 23999] = -0.002f;
    l = measured(&s);
    assert_true(l.silence_start_s == 0.25 && l.silence_end_s == 0.25);
    s.n_frames = 0;
    l = measured(&s);
    assert_true(l.silence_start_s == 0 && isinf(l.sample_peak_dbfs));
    mg_sound_close(&s);
}

/* To the frame, as ffmpeg's silencedetect finds it (tests/golden/make_silence.py). */
static void silence_is_that_of_ffmpeg(void **state)
{
    static const char *const names[] = {"both_32000", "stereo_44100", "click_48000", "fade_16000",
                                        "none_32000", "start_8000",   "hole_32000",  "all_22050"};
    mg_checkpoint *golden = golden_open("silence.safetensors");

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        const int rate_hz = atoi(strrchr(names[i], '_') + 1);
        mg_sound s = golden_sound(golden, names[i], rate_hz);
        const mg_sound_levels l = measured(&s);
        snprintf(name, sizeof name, "%s_ends", names[i]);
        int64_t n;
        int32_t *ends = golden_copy(golden, name, MG_I32, &n);
        assert_int_equal(n, 2);
        const double start = l.silence_start_s * rate_hz, end = l.silence_end_s * rate_hz;
        if (fabs(start - ends[0]) > 1e-6 || fabs(end - ends[1]) > 1e-6)
            fail_msg("%s: %g and %g frames, not %d and %d", names[i], start, end, ends[0], ends[1]);
        free(ends);
        mg_sound_close(&s);
    }
    mg_checkpoint_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libebur128_is_matched),           cmocka_unit_test(the_standard_tone),
        cmocka_unit_test(peaks_between_samples_are_found), cmocka_unit_test(no_peak_is_missed),
        cmocka_unit_test(what_is_beyond_is_counted),       cmocka_unit_test(silence_at_the_ends),
        cmocka_unit_test(silence_is_that_of_ffmpeg),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
