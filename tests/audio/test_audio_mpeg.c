#include "audio_fixture.h"

/* Where the frame behind the header's frame begins, in an MP3 file without tags. */
static int64_t second_frame(const char *file, int64_t bytes)
{
    int64_t at = 4;

    while (at + 2 < bytes && memcmp(file + at, file, 2) != 0) at++;
    return at;
}

/* Noise, loud and then quiet: a variable rate goes down. */
static void make_noise(float *pcm, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        pcm[i] = ((float)(i * 7919 % 1000) * 1e-3f - 0.5f) * (i < n / 4 ? 1 : 0.002f);
}

/* A tag of `n_head` bytes, `n_zeros` that it does not count, the sound, `n_foot` bytes of an APE tag. */
static void put_tagged(const char *path, const char *mpeg, int64_t n, const int64_t around[3])
{
    const int64_t n_head = around[0], n_zeros = around[1], n_foot = around[2];
    const int64_t begin = n_head + n_zeros, bytes = begin + n + n_foot;
    char *all = calloc(1, (size_t)bytes), *foot = all + bytes - 32;

    assert_non_null(all);
    if (n_head) {
        memcpy(all, "ID3\3", 4);
        for (int i = 0; i < 4; i++) all[6 + i] = (char)((n_head - 10) >> 7 * (3 - i) & 127);
    }
    memcpy(all + begin, mpeg, (size_t)n);
    if (n_foot) {
        memcpy(foot, "APETAGEX", 8);
        put_u32(foot + 12, (uint32_t)n_foot);
    }
    put_file(path, all, (size_t)bytes);
    free(all);
}

/* libmpg123 guesses its length from the first frame, and the tags are sound to it. */
static void mpeg_without_a_header_is_read_to_its_end(void **state)
{
    enum { N = 5 * 44100, DELAY = 576 + 529 };
    static float pcm[N];
    static const int64_t tags[][3] = {{0, 0, 0}, {200000, 0, 0}, {10, 700, 50000}};
    const mg_sound sound = {pcm, N, 1, 44100};
    const mg_audio_coding coding = {.format = MG_AUDIO_MP3, .has_quality = true, .quality = 5};
    mg_audio_info info;
    mg_sound whole, s;
    int64_t n;
    int kept;

    (void)state;
    make_noise(pcm, N);
    expect_ok(mg_audio_file_write_coded(NULL, in_dir("whole.mp3"), &coding, &sound, NULL));
    expect_ok(mg_audio_file_read(&whole, in_dir("whole.mp3"), INFINITY));
    assert_int_equal(whole.n_frames, N);
    char *file = get_file(in_dir("whole.mp3"), &n);
    const int64_t first = second_frame(file, n);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        put_tagged(in_dir("bare.mp3"), file + first, n - first, tags[i]);
        listen_begin(&kept);
        expect_ok(mg_audio_file_probe(&info, in_dir("bare.mp3")));
        expect_ok(mg_audio_file_read(&s, in_dir("bare.mp3"), INFINITY));
        listen_end(kept);
        assert_string_equal(said, "");
        assert_int_equal(info.n_frames, s.n_frames);
        assert_in_range(s.n_frames, N + DELAY, N + DELAY + 2 * 1152);
        for (int64_t k = 2 * 1152; k < N; k++)
            if (s.pcm[k + DELAY] != whole.pcm[k]) fail_msg("tags %zu: frame %lld", i, (long long)k);
        mg_sound_close(&s);
    }
    put_file(in_dir("cut-bare.mp3"), file + first, (size_t)n / 2);
    free(file);
    listen_begin(&kept);
    assert_in_range(frames_read(in_dir("cut-bare.mp3")), N / 10, N);
    listen_end(kept);
    assert_non_null(strstr(said, "cut-bare.mp3: it was cut off or is damaged: the "));
    mg_sound_close(&whole);
}

/* The header of the first knows nothing of the second. */
static void mpeg_put_together_is_read_to_its_last_file(void **state)
{
    enum { N = 96000, M = 64000, APE = 32 + 6000, ID3V1 = 128, TAGS = APE + ID3V1 };
    static float pcm[2 * N];
    static const mg_audio_tags tags = {.title = "the second", .software = "a program"};
    mg_sound sound = {pcm, N, 1, 32000}, both, one;
    mg_audio_info info;
    int64_t n, m;
    int kept;

    (void)state;
    make_noise(pcm, sizeof pcm / sizeof *pcm);
    expect_ok(mg_audio_file_write(in_dir("one.mp3"), MG_AUDIO_MP3, &sound, NULL));
    for (int64_t C = 1; C <= 2; C++) {
        sound.n_frames = M, sound.n_channels = C;
        expect_ok(mg_audio_file_write(in_dir("two.mp3"), MG_AUDIO_MP3, &sound, &tags));
        char *first = get_file(in_dir("one.mp3"), &n), *second = get_file(in_dir("two.mp3"), &m);
        first = realloc(first, (size_t)(n + TAGS + m));
        assert_non_null(first);
        memset(first + n, 0, TAGS);
        memcpy(first + n, "APETAGEX", 8);
        put_u32(first + n + 12, APE - 32);
        memcpy(first + n + APE, "TAG", 3);
        memcpy(first + n + TAGS, second, (size_t)m);
        put_file(in_dir("both.mp3"), first, (size_t)(n + TAGS + m));
        free(first);
        free(second);
        if (C == 2) break;
        listen_begin(&kept);
        expect_ok(mg_audio_file_probe(&info, in_dir("both.mp3")));
        expect_ok(mg_audio_file_read(&both, in_dir("both.mp3"), INFINITY));
        listen_end(kept);
        assert_string_equal(said, "");
        assert_int_equal(info.n_frames, N + M);
        assert_int_equal(both.n_frames, N + M);
        expect_ok(mg_audio_file_read(&one, in_dir("one.mp3"), INFINITY));
        assert_memory_equal(both.pcm, one.pcm, N * sizeof *one.pcm);
        mg_sound_close(&one);
        expect_ok(mg_audio_file_read(&one, in_dir("two.mp3"), INFINITY));
        assert_memory_equal(both.pcm + N, one.pcm, M * sizeof *one.pcm);
        mg_sound_close(&one);
        mg_sound_close(&both);
    }
    refused(in_dir("both.mp3"), "its link 2 of 2 has 2 channels at 32000 Hz, the first has 1 at 32000 Hz");
}

/* libsndfile finds the sound where we do not: nobody would know how long it is. */
static void mpeg_behind_a_damaged_tag_is_refused(void **state)
{
    static float pcm[32000];
    static const int64_t tags[3] = {20, 0, 0};
    const mg_sound sound = {pcm, 32000, 1, 32000};
    int64_t n;

    (void)state;
    make_noise(pcm, sound.n_frames);
    expect_ok(mg_audio_file_write(in_dir("a.mp3"), MG_AUDIO_MP3, &sound, NULL));
    char *file = get_file(in_dir("a.mp3"), &n);
    put_tagged(in_dir("a.mp3"), file, n, tags);
    free(file);
    assert_int_equal(frames_read(in_dir("a.mp3")), sound.n_frames);
    file = get_file(in_dir("a.mp3"), &n);
    file[5] = 0x10; /* a footer, which is not there */
    put_file(in_dir("a.mp3"), file, (size_t)n);
    free(file);
    refused(in_dir("a.mp3"), "a.mp3: MP3 behind a tag that is damaged: save it as FLAC, by: ffmpeg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mpeg_without_a_header_is_read_to_its_end, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(mpeg_put_together_is_read_to_its_last_file, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(mpeg_behind_a_damaged_tag_is_refused, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
