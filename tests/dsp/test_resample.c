#include "dsp_fixture.h"

#include "resample.h"

static const double tolerance = 1e-4; /* over the whole length, the edges included */

static const struct {
    int from_hz, from_channels, to_channels;
} cases[] = {{44100, 2, 1}, {48000, 1, 1}, {16000, 1, 1}, {22050, 2, 2}, {32000, 2, 1}, {44100, 1, 2}};
enum { N_CASES = sizeof cases / sizeof *cases };

static mg_sound converted(const mg_sound *in, int64_t rate_hz, int64_t n_channels)
{
    mg_sound out;

    GOLDEN_OK(mg_sound_convert(&out, in, rate_hz, n_channels));
    assert_int_equal(out.rate_hz, rate_hz);
    assert_int_equal(out.n_channels, n_channels);
    assert_int_equal(out.n_frames, mg_resample_count(in->n_frames, in->rate_hz, rate_hz));
    return out;
}

static void audiocraft_is_matched(void **state)
{
    mg_checkpoint *c = golden_open("resample.safetensors");

    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        char in_name[32], out_name[48];
        snprintf(in_name, sizeof in_name, "in_%d_%d_%d", cases[i].from_hz, cases[i].from_channels,
                 cases[i].to_channels);
        snprintf(out_name, sizeof out_name, "out%s", in_name + 2);
        mg_sound in = golden_sound(c, in_name, cases[i].from_hz), want = golden_sound(c, out_name, 32000);
        assert_int_equal(in.n_channels, cases[i].from_channels);
        mg_sound out = converted(&in, 32000, cases[i].to_channels);
        assert_int_equal(out.n_frames, want.n_frames);
        const int64_t n = want.n_frames * want.n_channels;
        golden_close(in_name, out.pcm, want.pcm, n, tolerance);
        mg_sound_close(&out);
        in.pcm[in.n_frames * in.n_channels / 2] += 0.01f;
        out = converted(&in, 32000, cases[i].to_channels);
        golden_not_close(in_name, out.pcm, want.pcm, n, tolerance);
        mg_sound_close(&out);
        mg_sound_close(&in);
        mg_sound_close(&want);
    }
    mg_checkpoint_close(c);
}

/* Other rates, also up and without a common divisor. */
static void julius_is_matched(void **state)
{
    static const int rates[][2] = {{8000, 32000},  {96000, 32000}, {32000, 48000}, {32000, 44100},
                                   {16000, 48000}, {11025, 32000}, {32000, 31999}};
    mg_checkpoint *c = golden_open("dsp.safetensors");

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        char name[64];
        snprintf(name, sizeof name, "resample_%d_%d_in", rates[i][0], rates[i][1]);
        mg_sound in = golden_sound(c, name, rates[i][0]);
        snprintf(name, sizeof name, "resample_%d_%d_out", rates[i][0], rates[i][1]);
        mg_sound want = golden_sound(c, name, rates[i][1]), out = converted(&in, rates[i][1], 1);
        assert_int_equal(out.n_frames, want.n_frames);
        golden_close(name, out.pcm, want.pcm, want.n_frames, tolerance);
        mg_sound_close(&in);
        mg_sound_close(&out);
        mg_sound_close(&want);
    }
    mg_checkpoint_close(c);
}

static void counts_are_rounded_down(void **state)
{
    (void)state;
    assert_int_equal(mg_resample_count(441, 44100, 32000), 320);
    assert_int_equal(mg_resample_count(440, 44100, 32000), 319);
    assert_int_equal(mg_resample_count(1, 48000, 32000), 0);
    assert_int_equal(mg_resample_count(2, 48000, 32000), 1);
    assert_int_equal(mg_resample_count(1, 16000, 32000), 2);
    assert_int_equal(mg_resample_count(0, 16000, 32000), 0);
    assert_int_equal(mg_resample_count(INT64_C(1) << 50, 44100, 44100), INT64_C(1) << 50);
    assert_int_equal(mg_resample_count(INT64_C(44101) << 32, 44101, 32000), INT64_C(32000) << 32);
}

/* Every kernel sums to one and the edges are repeated: a constant stays one, to the first and last value. */
static void a_constant_stays_constant(void **state)
{
    static const int rates[][2] = {{44100, 32000}, {32000, 44100}, {8000, 48000},   {48000, 16000},
                                   {44101, 32000}, {1000, 32000},  {768000, 32000}, {32000, 31999}};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        mg_sound in = new_sound(40000, 1, rates[i][0]);
        for (int64_t n = 0; n < in.n_frames; n++) in.pcm[n] = 0.75f;
        mg_sound out = converted(&in, rates[i][1], 1);
        for (int64_t n = 0; n < out.n_frames; n++)
            if (fabsf(out.pcm[n] - 0.75f) > 1e-6f)
                fail_msg("%d to %d: frame %lld is %g", rates[i][0], rates[i][1], (long long)n, out.pcm[n]);
        mg_sound_close(&in);
        mg_sound_close(&out);
    }
}

/* A tone below both Nyquist rates is the same tone after it, away from the edges. Rates without a common
 * divisor need more kernels than one table holds, and there julius' float times cost accuracy. */
static void a_tone_stays_a_tone(void **state)
{
    static const struct {
        int from_hz, to_hz;
        double tolerance;
    } rates[] = {{44100, 32000, 1e-5},
                 {32000, 44100, 1e-5},
                 {192000, 32000, 1e-5},
                 {44101, 32000, 1e-3},
                 {47999, 48001, 1e-3}};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        mg_sound in = tone(0.5, 1000, 3, 1, rates[i].from_hz), want = tone(0.5, 1000, 3, 1, rates[i].to_hz);
        mg_sound out = converted(&in, rates[i].to_hz, 1);
        const int64_t edge = 2000;
        char what[64];
        snprintf(what, sizeof what, "1 kHz, %d to %d", rates[i].from_hz, rates[i].to_hz);
        assert_int_equal(out.n_frames, want.n_frames);
        golden_close(what, out.pcm + edge, want.pcm + edge, out.n_frames - 2 * edge, rates[i].tolerance);
        mg_sound_close(&in);
        mg_sound_close(&want);
        mg_sound_close(&out);
    }
}

/* A part of a long sound, resampled alone, has the same values away from its edges: no seams between runs. */
static void long_sounds_have_no_seams(void **state)
{
    enum { PART = 441 * 3, LONG = 441 * 100 };
    mg_sound in = new_sound(LONG, 2, 44100);

    (void)state;
    for (int64_t i = 0; i < 2 * LONG; i++) in.pcm[i] = (float)sin(0.37 * (double)(i % 7919));
    mg_sound out = converted(&in, 32000, 2);
    for (int64_t at = 0; at + PART <= LONG; at += 441) {
        const mg_sound part = {in.pcm + 2 * at, PART, 2, 44100};
        mg_sound alone = converted(&part, 32000, 2);
        assert_memory_equal(alone.pcm + 2 * 100, out.pcm + 2 * (at / 441 * 320 + 100),
                            (size_t)(alone.n_frames - 200) * 2 * sizeof(float));
        mg_sound_close(&alone);
    }
    mg_sound_close(&in);
    mg_sound_close(&out);
}

static void channels_follow_the_rule(void **state)
{
    static float six[] = {1, 2, 3, 4, 5, 9, -1, -2, -3, -4, -5, -9};
    const mg_sound in = {six, 2, 6, 32000}, one = {six, 4, 1, 32000};

    (void)state;
    mg_sound out = converted(&in, 32000, 1);
    assert_memory_equal(out.pcm, ((float[]){4, -4}), 2 * sizeof(float));
    mg_sound_close(&out);
    out = converted(&in, 32000, 2);
    assert_memory_equal(out.pcm, ((float[]){1, 2, -1, -2}), 4 * sizeof(float));
    mg_sound_close(&out);
    out = converted(&one, 32000, 2);
    assert_memory_equal(out.pcm, ((float[]){1, 1, 2, 2, 3, 3, 4, 4}), 8 * sizeof(float));
    mg_sound_close(&out);
    out = converted(&in, 64000, 2);
    assert_int_equal(out.n_frames, 4);
    mg_sound_close(&out);
}

static void a_single_frame_is_enough(void **state)
{
    static float x[] = {0.5f};
    const mg_sound in = {x, 1, 1, 16000}, fast = {x, 1, 1, 48000};
    mg_sound out = converted(&in, 32000, 1);

    (void)state;
    assert_true(fabsf(out.pcm[0] - 0.5f) < 1e-6f && fabsf(out.pcm[1] - 0.5f) < 1e-6f);
    mg_sound_close(&out);
    expect_failure(mg_sound_convert(&out, &fast, 32000, 1), MG_EFAIL,
                   "1 frames of 48000 Hz are too short to make one of 32000 Hz");
    assert_null(out.pcm);
}

static int n_asked;

static mg_status stop_at_the_third(void)
{
    return ++n_asked < 3 ? MG_OK : mg_fail(MG_ESTOPPED, "stopped");
}

static void a_long_sound_can_be_stopped(void **state)
{
    mg_sound in = {calloc(500000, sizeof(float)), 500000, 1, 48000}, out;

    (void)state;
    assert_non_null(in.pcm);
    expect_failure(mg_sound_convert_unless(&out, &in, 32000, 1, stop_at_the_third), MG_ESTOPPED, "stopped");
    assert_int_equal(n_asked, 3);
    assert_null(out.pcm);
    mg_sound_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audiocraft_is_matched),       cmocka_unit_test(julius_is_matched),
        cmocka_unit_test(counts_are_rounded_down),     cmocka_unit_test(a_constant_stays_constant),
        cmocka_unit_test(a_tone_stays_a_tone),         cmocka_unit_test(long_sounds_have_no_seams),
        cmocka_unit_test(channels_follow_the_rule),    cmocka_unit_test(a_single_frame_is_enough),
        cmocka_unit_test(a_long_sound_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
