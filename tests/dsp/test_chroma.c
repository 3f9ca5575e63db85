#include "dsp_fixture.h"

#include "chroma.h"

enum { RATE = 32000, CLASSES = 12 };

static mg_chroma *open_chroma(void)
{
    mg_chroma *c;

    GOLDEN_OK(mg_chroma_open(&c, RATE, CLASSES));
    return c;
}

static int32_t *bins_of(mg_chroma *c, const float *pcm, int64_t n, int64_t *n_bins)
{
    *n_bins = mg_chroma_count(n);
    int32_t *bins = malloc((size_t)*n_bins * sizeof *bins);

    assert_non_null(bins);
    GOLDEN_OK(mg_chroma_bins(c, bins, pcm, n));
    return bins;
}

static void check_bins(const char *name, const int32_t *got, const int32_t *want, int64_t n)
{
    for (int64_t t = 0; t < n; t++)
        if (got[t] != want[t])
            fail_msg("%s: frame %lld is %d, wanted %d", name, (long long)t, got[t], want[t]);
}

/* Spec values of librosa's filterbank: columns by hand, and the sum of each row. */
static void the_filters_have_the_known_values(void **state)
{
    static const struct {
        int row, column;
        double value;
    } known[] = {{8, 225, 0.1277632},  {9, 225, 0.8661476},   {10, 225, 0.1075474}, {8, 226, 0.09399062},
                 {9, 226, 0.8662422},  {10, 226, 0.1462232},  {8, 450, 0.1448397},  {9, 450, 0.9819142},
                 {10, 450, 0.1219219}, {6, 100, 0.09374983},  {7, 100, 0.5435417},  {8, 100, 0.0577188},
                 {0, 8192, 0.0338506}, {11, 8192, 0.1066526}, {0, 0, 4.37676e-7}};
    static const double row_sums[CLASSES] = {318.450102, 321.226017, 327.773526, 334.178104,
                                             340.416776, 346.497547, 352.386788, 358.085060,
                                             363.616534, 368.942834, 373.529802, 354.839735};
    mg_chroma *c = open_chroma();
    int64_t n_bins;
    const float *filters = mg_chroma_filters(c, &n_bins);
    double worst = 0;

    (void)state;
    assert_int_equal(n_bins, 8193);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double got = filters[known[i].row * n_bins + known[i].column];
        worst = fmax(worst, fabs(got / known[i].value - 1));
    }
    printf("filters: relative error %.2g\n", worst);
    assert_true(worst < 2e-6);
    for (int row = 0; row < CLASSES; row++) {
        double sum = 0;
        for (int64_t j = 0; j < n_bins; j++) sum += (double)filters[row * n_bins + j];
        if (fabs(sum - row_sums[row]) > 2e-6) fail_msg("row %d sums to %.7f", row, sum);
    }
    mg_chroma_close(c);
}

static void the_filters_are_librosas(void **state)
{
    mg_checkpoint *golden = golden_open("dsp.safetensors");
    mg_chroma *c = open_chroma();
    int64_t n_bins, n;
    const float *filters = mg_chroma_filters(c, &n_bins);
    float *want = golden_f32(golden, "filters", &n), got[CLASSES * 513];

    (void)state;
    assert_int_equal(n, CLASSES * 513);
    for (int64_t i = 0; i < n; i++) got[i] = filters[i / 513 * n_bins + i % 513 * 16];
    golden_close("filters", got, want, n, 1e-7);
    free(want);
    mg_chroma_close(c);
    mg_checkpoint_close(golden);
}

/* The melody of the golden clips; and a semitone higher it is another. */
static void the_golden_melodies_are_matched(void **state)
{
    static const char *const files[] = {"hf/tiny-melody.safetensors", "hf/tiny-stereo-melody.safetensors"};
    mg_chroma *c = open_chroma();

    (void)state;
    for (int f = 0; f < 2; f++) {
        mg_checkpoint *golden = golden_open(files[f]);
        int64_t n, n_onehot, n_bins;
        float *pcm = golden_f32(golden, "melody_audio", &n);
        float *onehot = golden_f32(golden, "chroma_onehot", &n_onehot);
        int32_t *bins = bins_of(c, pcm, n, &n_bins);
        assert_int_equal(n_onehot, n_bins * CLASSES);
        for (int64_t i = 0; i < n_onehot; i++)
            if ((onehot[i] == 1) != (bins[i / CLASSES] == i % CLASSES))
                fail_msg("%s: frame %lld", files[f], (long long)(i / CLASSES));
        free(bins);
        int64_t n_moved = 0;
        for (int64_t i = 0; i < n; i++) pcm[i] = pcm[i * 18 / 17 < n ? i * 18 / 17 : n - 1];
        bins = bins_of(c, pcm, n, &n_bins);
        for (int64_t t = 0; t < n_bins; t++) n_moved += onehot[t * CLASSES + bins[t]] != 1;
        if (n_moved < n_bins / 2)
            fail_msg("%s: perturbed, yet %lld frames moved", files[f], (long long)n_moved);
        free(bins);
        free(pcm);
        free(onehot);
        mg_checkpoint_close(golden);
    }
    mg_chroma_close(c);
}

static void transformers_is_matched(void **state)
{
    static const char *const names[] = {"notes",       "chords",     "chirp",    "noise", "short",
                                        "odd",         "one_window", "one_less", "quiet", "half_silent",
                                        "two_samples", "silence",    "impulse",  "edges"};
    mg_checkpoint *golden = golden_open("dsp.safetensors");
    mg_chroma *c = open_chroma();
    int64_t n_frames = 0;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        int64_t n, n_want, n_bins;
        snprintf(name, sizeof name, "melody_%s", names[i]);
        mg_sound s = golden_sound_f16(golden, name, RATE);
        snprintf(name, sizeof name, "melody_%s_bins", names[i]);
        int32_t *want = golden_i32(golden, name, &n_want);
        n = s.n_frames;
        int32_t *bins = bins_of(c, s.pcm, n, &n_bins);
        assert_int_equal(n_bins, n_want);
        check_bins(names[i], bins, want, n_bins);
        n_frames += n_bins;
        free(want);
        free(bins);
        mg_sound_close(&s);
    }
    printf("%lld frames of 14 melodies, all exact\n", (long long)n_frames);
    mg_chroma_close(c);
    mg_checkpoint_close(golden);
}

/* Spec: a 440 Hz tone that sounds in every other eighth of a second is A; what follows it is silence, C. */
static void the_bip_bip_is_an_a(void **state)
{
    enum { LONG = RATE, SHORT = RATE / 2 };
    static const int32_t want_short[8] = {9, 9, 9, 9, 9, 9, 0, 0}, want_long[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    mg_chroma *c = open_chroma();
    float *pcm = calloc(LONG, sizeof *pcm);
    int64_t n_bins;

    (void)state;
    assert_non_null(pcm);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < (pass == 0 ? SHORT : LONG); i++) {
            const double t = (double)i / RATE;
            pcm[i] = fmod(t, 0.25) / 0.25 >= 0.5 ? (float)cos(2 * M_PI * 440 * t) : 0;
        }
        int32_t *bins = bins_of(c, pcm, LONG, &n_bins);
        assert_int_equal(n_bins, 8);
        check_bins(pass == 0 ? "short" : "long", bins, pass == 0 ? want_short : want_long, 8);
        free(bins);
    }
    free(pcm);
    mg_chroma_close(c);
}

static void silence_and_nothing_are_c(void **state)
{
    static const float zeros[30000];
    mg_chroma *c = open_chroma();
    int64_t n_bins;

    (void)state;
    for (int64_t n = 0; n <= 30000; n += 15000) {
        int32_t *bins = bins_of(c, zeros, n, &n_bins);
        for (int64_t t = 0; t < n_bins; t++) assert_int_equal(bins[t], 0);
        free(bins);
    }
    assert_int_equal(mg_chroma_count(0), 5);
    assert_int_equal(mg_chroma_count(16384), 5);
    assert_int_equal(mg_chroma_count(20479), 5);
    assert_int_equal(mg_chroma_count(20480), 6);
    assert_int_equal(mg_chroma_count(960000), 235);
    mg_chroma_close(c);
    mg_chroma_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_filters_have_the_known_values),
        cmocka_unit_test(the_filters_are_librosas),
        cmocka_unit_test(the_golden_melodies_are_matched),
        cmocka_unit_test(transformers_is_matched),
        cmocka_unit_test(the_bip_bip_is_an_a),
        cmocka_unit_test(silence_and_nothing_are_c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
