#include "io_fixture.h"

#include <math.h>

#include "audio_file.h"

static uint32_t little_endian(const char *p, int bytes)
{
    uint32_t v = 0;

    for (int i = 0; i < bytes; i++) v |= (uint32_t)(uint8_t)p[i] << (8 * i);
    return v;
}

/* The chunk `id` of a RIFF file: its data and *bytes. */
static const char *find_chunk(const char *file, int64_t n, const char *id, uint32_t *bytes)
{
    assert_memory_equal(file, "RIFF", 4);
    assert_int_equal(little_endian(file + 4, 4), n - 8);
    assert_memory_equal(file + 8, "WAVE", 4);
    for (int64_t at = 12; at + 8 <= n; at += 8 + *bytes + *bytes % 2) {
        *bytes = little_endian(file + at + 4, 4);
        if (memcmp(file + at, id, 4) == 0) return file + at + 8;
    }
    return NULL;
}

static void int16_is_rounded_and_saturated(void **state)
{
    static const struct {
        float x;
        int16_t want;
    } cases[] = {
        {0, 0},
        {-0.0f, 0},
        {0.5f, 16384},
        {-0.5f, -16384},
        {1, 32767},
        {-1, -32768},
        {1.5f, 32767},
        {-7, -32768},
        {3e38f, 32767},
        {-3e38f, -32768},
        {0.5f / 32768, 0}, /* halves to the even one */
        {1.5f / 32768, 2},
        {2.5f / 32768, 2},
        {-0.5f / 32768, 0},
        {-1.5f / 32768, -2},
        {0.50001f / 32768, 1},
        {32766.5f / 32768, 32766},
        {32766.75f / 32768, 32767},
        {-32767.5f / 32768, -32768},
        {1e-40f, 0},
    };
    enum { N = sizeof cases / sizeof *cases };
    float pcm[N];
    int64_t n;
    uint32_t bytes;

    (void)state;
    for (int i = 0; i < N; i++) pcm[i] = cases[i].x;
    expect_ok(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV, pcm, N, 1, 32000));
    char *file = get_file(in_dir("a.wav"), &n);
    assert_int_equal(n, 44 + 2 * N);
    const char *format = find_chunk(file, n, "fmt ", &bytes);
    assert_int_equal(little_endian(format, 2), 1); /* PCM */
    assert_int_equal(little_endian(format + 2, 2), 1);
    assert_int_equal(little_endian(format + 4, 4), 32000);
    assert_int_equal(little_endian(format + 14, 2), 16);
    const char *data = find_chunk(file, n, "data", &bytes);
    assert_int_equal(bytes, 2 * N);
    for (int i = 0; i < N; i++) assert_int_equal((int16_t)little_endian(data + 2 * i, 2), cases[i].want);
    free(file);
    assert_int_equal(count_files(test_dir), 1);
}

static void floats_are_untouched(void **state)
{
    enum { FRAMES = 30001 }; /* several chunks and a rest */
    float *pcm = malloc(2 * FRAMES * sizeof *pcm);
    uint32_t bytes, n_peak;
    int64_t n;

    (void)state;
    assert_non_null(pcm);
    for (int i = 0; i < 2 * FRAMES; i++) pcm[i] = sinf((float)i) * 3;
    pcm[5] = -0.0f, pcm[6] = 1e-42f, pcm[7] = 3e38f;
    expect_ok(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV_F32, pcm, FRAMES, 2, 16000));
    char *file = get_file(in_dir("a.wav"), &n);
    const char *format = find_chunk(file, n, "fmt ", &bytes);
    assert_int_equal(little_endian(format, 2), 3); /* IEEE float */
    assert_int_equal(little_endian(format + 2, 2), 2);
    assert_int_equal(little_endian(format + 4, 4), 16000);
    assert_null(find_chunk(file, n, "PEAK", &n_peak)); /* it would hold the time of day */
    const char *data = find_chunk(file, n, "data", &bytes);
    assert_int_equal(bytes, 2 * FRAMES * sizeof *pcm);
    assert_memory_equal(data, pcm, bytes);
    free(file);
    free(pcm);
}

static void the_same_sound_gives_the_same_bytes(void **state)
{
    float pcm[1000];

    (void)state;
    for (int i = 0; i < 1000; i++) pcm[i] = cosf((float)i);
    for (mg_audio_format format = MG_AUDIO_WAV; format <= MG_AUDIO_WAV_F32; format++) {
        int64_t n, n_again;
        expect_ok(mg_audio_file_write(in_dir("a.wav"), format, pcm, 1000, 1, 32000));
        char *file = get_file(in_dir("a.wav"), &n);
        sleep(1); /* a time stamp would show */
        expect_ok(mg_audio_file_write(in_dir("b.wav"), format, pcm, 1000, 1, 32000));
        char *again = get_file(in_dir("b.wav"), &n_again);
        assert_int_equal(n, n_again);
        assert_memory_equal(file, again, (size_t)n);
        pcm[999] += 0.25f;
        expect_ok(mg_audio_file_write(in_dir("b.wav"), format, pcm, 1000, 1, 32000));
        free(again);
        again = get_file(in_dir("b.wav"), &n_again);
        assert_memory_not_equal(file, again, (size_t)n);
        free(file);
        free(again);
    }
}

static void what_is_no_sound_is_refused(void **state)
{
    float pcm[8] = {0};

    (void)state;
    pcm[5] = NAN;
    expect_failure(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV, pcm, 4, 2, 32000), MG_EFAIL,
                   "a.wav: sample 2 of channel 1 is not a number");
    pcm[5] = -INFINITY;
    expect_failure(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV_F32, pcm, 8, 1, 32000), MG_EFAIL,
                   "a.wav: sample 5 of channel 0 is infinite");
    expect_failure(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV, pcm, (int64_t)1 << 31, 1, 32000),
                   MG_EFAIL, "2147483648 frames are more than a WAV file holds");
    expect_failure(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV, pcm, 4, 0, 32000), MG_EBUG,
                   "n_channels");
    expect_failure(mg_audio_file_write(in_dir("gone/a.wav"), MG_AUDIO_WAV, pcm, 2, 1, 32000), MG_EFAIL,
                   "gone/a.wav: cannot create: No such file");
    assert_int_equal(count_files(test_dir), 0);
}

static void no_frames_are_a_file(void **state)
{
    uint32_t bytes = 1;
    int64_t n;

    (void)state;
    expect_ok(mg_audio_file_write(in_dir("a.wav"), MG_AUDIO_WAV, NULL, 0, 1, 32000));
    char *file = get_file(in_dir("a.wav"), &n);
    assert_non_null(find_chunk(file, n, "data", &bytes));
    assert_int_equal(bytes, 0);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(int16_is_rounded_and_saturated, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(floats_are_untouched, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(the_same_sound_gives_the_same_bytes, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(what_is_no_sound_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(no_frames_are_a_file, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
