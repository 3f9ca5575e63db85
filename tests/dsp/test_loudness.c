#include "dsp_fixture.h"

#include "loudness.h"

static const double tolerance = 1e-4; /* LUFS */

static double measured(const mg_sound *s)
{
    double lufs;

    GOLDEN_OK(mg_loudness(&lufs, s));
    return lufs;
}

static void tones_have_the_known_loudness(void **state)
{
    static const struct {
        double amplitude, pitch_hz;
        int n_channels;
        double lufs;
    } known[] = {{0.5, 1000, 1, -9.07053},
                 {0.5, 1000, 2, -6.06023},
                 {0.5, 100, 1, -10.89436},
                 {0.99, 6000, 1, -2.14249}}; /* the last one needs the cut at ±1 */

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        mg_sound s = tone(known[i].amplitude, known[i].pitch_hz, 3, known[i].n_channels, 32000);
        const double lufs = measured(&s);
        printf("%g Hz: %.5f LUFS\n", known[i].pitch_hz, lufs);
        if (fabs(lufs - known[i].lufs) > 1e-5) fail_msg("%.6f, wanted %.6f", lufs, known[i].lufs);
        for (int64_t n = 0; n < s.n_frames * s.n_channels; n++) s.pcm[n] *= 0.999f;
        assert_true(fabs(measured(&s) - known[i].lufs) > tolerance);
        mg_sound_close(&s);
    }
}

static void torchaudio_is_matched(void **state)
{
    static const char *const names[] = {"tone_44100", "low_48000",    "over_22050",      "noise_16000",
                                        "odd_11025",  "fading_32000", "one_block_32000", "ramp_16000"};
    mg_checkpoint *golden = golden_open("dsp.safetensors");
    double worst = 0;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "loudness_%s", names[i]);
        mg_sound s = golden_sound_f16(golden, name, atoi(strrchr(name, '_') + 1));
        snprintf(name, sizeof name, "loudness_%s_lufs", names[i]);
        float *want = golden_f32(golden, name, NULL);
        const double lufs = measured(&s), error = fabs(lufs - (double)want[0]);
        printf("%s: %.5f LUFS, off by %.1g\n", names[i], lufs, error);
        worst = fmax(worst, error);
        free(want);
        mg_sound_close(&s);
    }
    printf("loudness: %.1f %% of tolerance used\n", 100 * worst / tolerance);
    assert_true(worst <= tolerance);
    mg_checkpoint_close(golden);
}

static void what_cannot_be_measured_is_not_a_number(void **state)
{
    mg_sound s = tone(0.5, 1000, 1, 1, 32000), silence = new_sound(32000, 2, 32000);

    (void)state;
    s.n_frames = 12799; /* a block is 12800 */
    assert_true(isnan(measured(&s)));
    s.n_frames = 12800;
    assert_true(measured(&s) < 0);
    s.rate_hz = 2000; /* its filters are above what it holds */
    assert_true(isnan(measured(&s)));
    s.n_frames = 0, s.rate_hz = 32000;
    assert_true(isnan(measured(&s)));
    assert_true(isnan(measured(&silence)));
    mg_sound_close(&s);
    mg_sound_close(&silence);
    double lufs;
    const mg_sound many = {NULL, 0, 6, 32000};
    expect_failure(mg_loudness(&lufs, &many), MG_EBUG, "n_channels");
}

/* A block of less than -70 LUFS is silence. */
static void the_silent_are_not_measured(void **state)
{
    mg_sound heard = tone(0.5 * pow(10, -60.5 / 20), 1000, 1, 1, 32000);
    mg_sound unheard = tone(0.5 * pow(10, -61.5 / 20), 1000, 1, 1, 32000);

    (void)state;
    assert_true(fabs(measured(&heard) + 69.57) < 0.01);
    assert_true(isnan(measured(&unheard)));
    mg_sound_close(&heard);
    mg_sound_close(&unheard);
}

/* Silence before and after does not count: the gates. */
static void pauses_do_not_count(void **state)
{
    mg_sound s = tone(0.5, 1000, 4, 1, 32000), paused = tone(0.5, 1000, 12, 1, 32000);

    (void)state;
    for (int64_t n = 128000; n < paused.n_frames; n++) paused.pcm[n] = 0;
    const double whole = measured(&s), with_pauses = measured(&paused);
    printf("4 s: %.3f LUFS, with 8 s of silence: %.3f\n", whole, with_pauses);
    assert_true(fabs(whole - with_pauses) < 0.2); /* blocks at the border count */
    mg_sound_close(&s);
    mg_sound_close(&paused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tones_have_the_known_loudness),
        cmocka_unit_test(torchaudio_is_matched),
        cmocka_unit_test(what_cannot_be_measured_is_not_a_number),
        cmocka_unit_test(the_silent_are_not_measured),
        cmocka_unit_test(pauses_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
