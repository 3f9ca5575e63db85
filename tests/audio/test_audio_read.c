#include <sys/stat.h>

#include "audio_fixture.h"

/* Only the samples tell. */
static void refused_by_read(const char *path, double limit_s, const char *part)
{
    mg_audio_info info;
    mg_sound s = {NULL, 1, 1, 1};

    expect_ok(mg_audio_file_probe(&info, path));
    expect_failure(mg_audio_file_read(&s, path, limit_s), MG_EFAIL, part);
    assert_null(s.pcm);
    assert_int_equal(s.n_frames, 0);
}

static void any_rate_and_channel_count_is_read(void **state)
{
    float pcm[960], *p = pcm;
    static const uint32_t rates[] = {1000, 11025, 44100, 192000, 768000};

    (void)state;
    for (int i = 0; i < 960; i++) pcm[i] = sinf((float)i) * 2;
    for (uint32_t C = 1; C <= 8; C++) {
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
            mg_audio_info info;
            mg_sound s;
            const int64_t n = 960 / C * C;
            put_whole_wav(in_dir("a.wav"), p, n, C, rates[r]);
            expect_ok(mg_audio_file_probe(&info, in_dir("a.wav")));
            expect_ok(mg_audio_file_read(&s, in_dir("a.wav"), NAN));
            assert_int_equal(info.n_frames, n / C);
            assert_int_equal(info.n_channels, C);
            assert_int_equal(info.rate_hz, rates[r]);
            assert_int_equal(s.n_frames, n / C);
            assert_int_equal(s.n_channels, C);
            assert_int_equal(s.rate_hz, rates[r]);
            assert_memory_equal(s.pcm, pcm, (size_t)n * sizeof *pcm);
            mg_sound_close(&s);
        }
    }
}

static void limits_are_kept(void **state)
{
    static const struct {
        double limit_s;
        int64_t n_frames;
    } cases[] = {{0.5, 500}, {1, 1000}, {2, 2000},        {2.5, 2000}, {0.0299, 29},
                 {0, 1},     {-1, 1},   {INFINITY, 2000}, {NAN, 2000}};
    float pcm[4000];

    (void)state;
    for (int i = 0; i < 4000; i++) pcm[i] = (float)i;
    put_whole_wav(in_dir("a.wav"), pcm, 4000, 2, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_sound s;
        expect_ok(mg_audio_file_read(&s, in_dir("a.wav"), cases[i].limit_s));
        assert_int_equal(s.n_frames, cases[i].n_frames);
        assert_memory_equal(s.pcm, pcm, (size_t)(2 * s.n_frames) * sizeof *pcm);
        mg_sound_close(&s);
    }
}

static void one_frame_is_a_sound(void **state)
{
    const float x = 0.5f;
    mg_sound s;

    (void)state;
    put_whole_wav(in_dir("a.wav"), &x, 1, 1, 32000);
    expect_ok(mg_audio_file_read(&s, in_dir("a.wav"), INFINITY));
    assert_int_equal(s.n_frames, 1);
    assert_true(s.pcm[0] == x);
    mg_sound_close(&s);
}

static void what_is_no_sound_file_is_refused(void **state)
{
    static const char text[] = "{\"prompt\": \"a song\"}";
    char noise[5000];

    (void)state;
    refused(in_dir("gone.wav"), "gone.wav: cannot open: No such file or directory");
    refused(test_dir, ": cannot open: Is a directory");
    assert_int_equal(mkfifo(in_dir("pipe.wav"), 0600), 0);
    refused(in_dir("pipe.wav"), "pipe.wav: cannot open: it is no regular file");
    put_file(in_dir("a.wav"), text, 0);
    refused(in_dir("a.wav"), "a.wav: is empty, not a sound file");
    put_file(in_dir("a.wav"), "version https://git-lfs.github.com/spec/v1\n", 43);
    refused(in_dir("a.wav"), "a.wav: a Git LFS pointer, not a sound file: fetch it with git lfs pull");
    put_file(in_dir("a.mid"), "MThd\0\0\0\6\0\1\0\1\0\x60", 14);
    refused(in_dir("a.mid"), "a.mid: MIDI, notes without sound: play it into a file first, by: fluidsynth ");
    put_file(in_dir("a.mp3"), "<!doctype html>\n<html>", 22);
    refused(in_dir("a.mp3"), "a.mp3: a web page, not a sound file: fetch the file itself");
    put_file(in_dir("a.wav"), text, sizeof text);
    refused(in_dir("a.wav"), "a.wav: not a sound file that libsndfile reads: ");
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * i * 7 / 11);
    put_file(in_dir("a.mp3"), noise, sizeof noise);
    refused(in_dir("a.mp3"), "a.mp3: not a sound file that libsndfile reads: ");
    put_whole_wav(in_dir("a.wav"), NULL, 0, 1, 32000);
    refused(in_dir("a.wav"), "a.wav: it holds no sound, not one frame");
}

static void odd_headers_are_refused(void **state)
{
    float pcm[90] = {0};
    int64_t n;

    (void)state;
    put_whole_wav(in_dir("a.wav"), pcm, 90, 9, 32000);
    refused(in_dir("a.wav"), "a.wav: 9 channels: at most 8 are read");
    put_whole_wav(in_dir("a.wav"), pcm, 90, 1, 999);
    refused(in_dir("a.wav"), "a.wav: 999 Hz: rates from 1000 to 768000 Hz are read");
    put_whole_wav(in_dir("a.wav"), pcm, 90, 1, 32000); /* 24 bits in 4 bytes, as old editors wrote */
    char *file = get_file(in_dir("a.wav"), &n);
    put_u32(file + 20, 1 | 1 << 16);
    put_u32(file + 32, 4 | 24 << 16);
    put_file(in_dir("a.wav"), file, (size_t)n);
    free(file);
    refused(in_dir("a.wav"), "a.wav: its samples have more bytes than bits to fill them, as 24 bits in 4");
    put_whole_wav(in_dir("a.wav"), pcm, 90, 1, 1000000);
    refused(in_dir("a.wav"), "a.wav: 1000000 Hz: rates from 1000 to 768000 Hz are read");
}

static void samples_that_are_no_numbers_are_named(void **state)
{
    float pcm[100] = {0};
    mg_sound s;

    (void)state;
    pcm[51] = NAN;
    put_whole_wav(in_dir("a.wav"), pcm, 100, 2, 1000);
    refused_by_read(in_dir("a.wav"), INFINITY, "a.wav: sample 25 of channel 1 is not a number");
    expect_ok(mg_audio_file_read(&s, in_dir("a.wav"), 0.02)); /* not what is not asked for */
    assert_int_equal(s.n_frames, 20);
    mg_sound_close(&s);
    pcm[8] = -INFINITY;
    put_whole_wav(in_dir("a.wav"), pcm, 100, 2, 1000);
    refused_by_read(in_dir("a.wav"), INFINITY, "a.wav: sample 4 of channel 0 is infinite");
}

/* Ten hours: a part of it is read, all of it is not. */
static void hours_are_refused(void **state)
{
    enum { HOURS = 10, RATE = 1000 };
    const int64_t bytes = (int64_t)HOURS * 3600 * RATE * 4;
    mg_sound s;

    (void)state;
    put_wav(in_dir("a.wav"), NULL, 0, 1, RATE, (uint32_t)bytes);
    assert_int_equal(truncate(in_dir("a.wav"), 44 + bytes), 0); /* a hole: zeros that take no room */
    refused_by_read(in_dir("a.wav"), INFINITY,
                    "a.wav: 10.0 hours: at most 4 are read; cut it, or ask for less of it");
    refused_by_read(in_dir("a.wav"), 5 * 3600, "a.wav: 5.0 hours: at most 4 are read");
    expect_ok(mg_audio_file_read(&s, in_dir("a.wav"), 30));
    assert_int_equal(s.n_frames, 30 * RATE);
    mg_sound_close(&s);
}

/* WAV and MP3 have what they have, even if their headers promise more (a recorder that was switched off); the
 * others say when something is missing. (libmpg123 warns of the cut ones on stderr by itself.) */
static void truncated_files_are_noticed(void **state)
{
    enum { N = 100000 };
    static const char *const names[] = {"b.flac", "c.ogg", "d.opus", "e.mp3"};
    static const mg_audio_format formats[] = {MG_AUDIO_FLAC, MG_AUDIO_OGG, MG_AUDIO_OPUS, MG_AUDIO_MP3};
    float *pcm = malloc(N * sizeof *pcm);
    const mg_sound s = {pcm, N, 1, 48000};
    mg_sound back;

    (void)state;
    assert_non_null(pcm);
    for (int i = 0; i < N; i++) pcm[i] = sinf((float)i * 0.05f) * 0.5f + (float)(i * 7919 % 1000) * 1e-4f;
    put_wav(in_dir("a.wav"), pcm, 1000, 1, 32000, 4000000);
    expect_ok(mg_audio_file_read(&back, in_dir("a.wav"), INFINITY));
    assert_int_equal(back.n_frames, 1000);
    mg_sound_close(&back);
    for (int f = 0; f < 4; f++) {
        int64_t n;
        expect_ok(mg_audio_file_write(in_dir(names[f]), formats[f], &s, NULL));
        char *file = get_file(in_dir(names[f]), &n);
        for (int64_t cut = n / 13; cut < n; cut += n / 13) {
            put_file(in_dir("cut"), file, (size_t)cut);
            const mg_status st = mg_audio_file_read(&back, in_dir("cut"), INFINITY);
            if (formats[f] == MG_AUDIO_MP3
                    ? st != MG_OK || back.n_frames >= N
                    : st != MG_EFAIL || (!strstr(mg_last_error(), "cut off or is damaged") &&
                                         !strstr(mg_last_error(), "file is malformed")))
                fail_msg("%s cut to %lld of %lld: %s", names[f], (long long)cut, (long long)n,
                         mg_last_error());
            mg_sound_close(&back);
        }
        free(file);
    }
    free(pcm);
}

/* A pipe's writer cannot go back to say how long it was. */
static void streamed_wav_is_read_to_its_end(void **state)
{
    static const uint32_t sizes[] = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFDB};
    static const float pcm[6] = {0.25f, -0.5f, 0.125f, 0, 1, -1};
    mg_audio_info info;
    mg_sound s;
    int kept;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_wav(in_dir("a"), pcm, 6, 2, 8000, sizes[i]);
        listen_begin(&kept);
        expect_ok(mg_audio_file_probe(&info, in_dir("a")));
        expect_ok(mg_audio_file_read(&s, in_dir("a"), INFINITY));
        listen_end(kept);
        assert_true(info.n_frames == 3 && s.n_frames == 3);
        assert_memory_equal(s.pcm, pcm, sizeof pcm);
        assert_string_equal(said, "");
        mg_sound_close(&s);
    }
}

/* What is there is used, and the file named once. */
static void cut_files_say_so_once(void **state)
{
    static float pcm[64000];
    const mg_sound sound = {pcm, 64000, 1, 32000};
    mg_sound s;
    int64_t n;
    int kept;

    (void)state;
    for (int i = 0; i < 64000; i++) pcm[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    put_wav(in_dir("cut.wav"), pcm, 1000, 1, 8000, 4000 + 400);
    listen_begin(&kept);
    assert_int_equal(frames_read(in_dir("cut.wav")), 1000);
    assert_int_equal(frames_read(in_dir("cut.wav")), 1000);
    listen_end(kept);
    assert_non_null(strstr(said, "cut.wav: it was cut off: the 1000 frames that are there are used\n"));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);

    expect_ok(mg_audio_file_write(in_dir("whole.mp3"), MG_AUDIO_MP3, &sound, NULL));
    char *file = get_file(in_dir("whole.mp3"), &n);
    put_file(in_dir("cut.mp3"), file, (size_t)n / 2);
    for (int64_t i = n / 4; i < n; i += 7) file[i] = (char)(file[i] ^ 0x5a);
    put_file(in_dir("bad.mp3"), file, (size_t)n);
    free(file);
    listen_begin(&kept);
    assert_int_equal(frames_read(in_dir("whole.mp3")), 64000);
    listen_end(kept);
    assert_string_equal(said, "");
    listen_begin(&kept); /* the decoder's own complaints stay away */
    assert_in_range(frames_read(in_dir("cut.mp3")), 1, 60000);
    assert_in_range(frames_read(in_dir("cut.mp3")), 1, 60000);
    listen_end(kept);
    assert_non_null(strstr(said, "cut.mp3: it was cut off or is damaged: "));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    listen_begin(&kept);
    const mg_status st = mg_audio_file_read(&s, in_dir("bad.mp3"), INFINITY);
    mg_sound_close(&s);
    listen_end(kept);
    if (st != MG_OK) assert_string_equal(said, "");
    if (st == MG_OK) assert_non_null(strstr(said, "bad.mp3: it was cut off or is damaged: "));
}

/* As other programs leave them (tests/golden/make_sounds.py): the samples are known, and whether it is said
 * that some are lacking. */
static void forms_of_other_programs(void **state)
{
    static const struct {
        const char *name;
        int64_t n_frames;
    } cases[] = {{"id3.wav", 700},  {"id3-twice.aiff", 700}, {"id3.rf64", 700},   {"id3.flac", 700},
                 {"bw64.wav", 700}, {"endless.flac", 700},   {"endless.au", 700}, {"endless.aiff", 700},
                 {"cut.wav", 500},  {"cut.rf64", 500},       {"cut.w64", 500},    {"cut.aiff", 500},
                 {"cut.au", 500},   {"cut-id3.wav", 500}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        mg_audio_info info;
        mg_sound s;
        int kept;
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/sounds/%s", cases[i].name);
        listen_begin(&kept);
        expect_ok(mg_audio_file_probe(&info, path));
        expect_ok(mg_audio_file_read(&s, path, INFINITY));
        listen_end(kept);
        if (info.n_frames != cases[i].n_frames || s.n_frames != cases[i].n_frames)
            fail_msg("%s: %lld frames", path, (long long)s.n_frames);
        for (int64_t k = 0; k < s.n_frames; k++)
            if (s.pcm[k] != (float)(37 * k % 2001 - 1000) / 32768)
                fail_msg("%s: frame %lld", path, (long long)k);
        assert_true(s.n_frames == 700 ? !*said : strstr(said, ": it was cut off: the 500 frames") != NULL);
        mg_sound_close(&s);
    }
}

/* Integers that became floats without being divided. */
static void samples_far_beyond_full_scale_are_said(void **state)
{
    static const float loud[] = {1, -9830, 3}, hot[] = {1, -3.9f, 3};
    int kept;

    (void)state;
    put_whole_wav(in_dir("loud.wav"), loud, 3, 1, 8000);
    put_whole_wav(in_dir("hot.wav"), hot, 3, 1, 8000);
    listen_begin(&kept);
    assert_int_equal(frames_read(in_dir("loud.wav")), 3);
    assert_int_equal(frames_read(in_dir("hot.wav")), 3);
    listen_end(kept);
    assert_non_null(strstr(said, "loud.wav: its samples go to 9830 times full scale, and are taken so"));
    assert_null(strstr(said, "hot.wav"));
}

/* Two links, one behind the other, as radio stations and cat make them. */
static void chained_ogg_is_read_to_its_last_link(void **state)
{
    static float pcm[96000];
    mg_sound sound = {pcm, 48000, 1, 48000}, whole, first;
    mg_audio_info info;
    int64_t n, m;

    (void)state;
    for (int i = 0; i < 96000; i++) pcm[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    for (mg_audio_format f = MG_AUDIO_OGG; f <= MG_AUDIO_OPUS; f++) {
        sound.n_frames = 48000, sound.n_channels = 1;
        expect_ok(mg_audio_file_write(in_dir("one"), f, &sound, NULL));
        sound.n_frames = 12000;
        expect_ok(mg_audio_file_write(in_dir("two"), f, &sound, NULL));
        char *one = get_file(in_dir("one"), &n), *two = get_file(in_dir("two"), &m),
             *both = malloc((size_t)(n + m));
        assert_non_null(both);
        memcpy(both, one, (size_t)n);
        memcpy(both + n, two, (size_t)m);
        put_file(in_dir("both"), both, (size_t)(n + m));
        expect_ok(mg_audio_file_probe(&info, in_dir("both")));
        assert_int_equal(info.n_frames, 60000);
        expect_ok(mg_audio_file_read(&whole, in_dir("both"), INFINITY));
        expect_ok(mg_audio_file_read(&first, in_dir("one"), INFINITY));
        assert_int_equal(whole.n_frames, 60000);
        assert_memory_equal(whole.pcm, first.pcm, 48000 * sizeof *first.pcm);
        mg_sound_close(&first);
        expect_ok(mg_audio_file_read(&first, in_dir("two"), INFINITY));
        assert_memory_equal(whole.pcm + 48000, first.pcm, 12000 * sizeof *first.pcm);
        mg_sound_close(&first);
        mg_sound_close(&whole);
        expect_ok(mg_audio_file_read(&whole, in_dir("both"), 1.125));
        assert_int_equal(whole.n_frames, 54000);
        mg_sound_close(&whole);

        sound.n_channels = 2;
        expect_ok(mg_audio_file_write(in_dir("two"), f, &sound, NULL));
        free(two);
        two = get_file(in_dir("two"), &m);
        both = realloc(both, (size_t)(n + m));
        assert_non_null(both);
        memcpy(both + n, two, (size_t)m);
        put_file(in_dir("both"), both, (size_t)(n + m));
        refused(in_dir("both"), "its link 2 of 2 has 2 channels at 48000 Hz, the first has 1 at 48000 Hz");
        free(one);
        free(two);
        free(both);
    }
}

/* From 2 GiB on a size may stand for an unknown one; the holes take no room. */
static void large_wav_is_as_long_as_it_says(void **state)
{
    enum { C = 4, RATE = 96000, FRAME = 4 * C };
    const uint32_t large = 0x7FFF1000;
    static const char list[] = "LIST\4\0\0\0INFO";
    mg_audio_info info;

    (void)state;
    put_wav(in_dir("a.wav"), NULL, 0, C, RATE, large);
    assert_int_equal(truncate(in_dir("a.wav"), 44 + (int64_t)large), 0);
    FILE *f = fopen(in_dir("a.wav"), "a");
    assert_non_null(f);
    assert_int_equal(fwrite(list, 1, sizeof list - 1, f), sizeof list - 1);
    fclose(f);
    expect_ok(mg_audio_file_probe(&info, in_dir("a.wav")));
    assert_int_equal(info.n_frames, large / FRAME);

    assert_int_equal(truncate(in_dir("a.wav"), 44 + (int64_t)large + 4096), 0); /* no chunk: sound */
    f = fopen(in_dir("a.wav"), "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 44 + (long)large, SEEK_SET), 0);
    assert_int_equal(fwrite("\1\2\3\4", 1, 4, f), 4);
    fclose(f);
    expect_ok(mg_audio_file_probe(&info, in_dir("a.wav")));
    assert_int_equal(info.n_frames, ((int64_t)large + 4096) / FRAME);

    put_wav(in_dir("a.wav"), NULL, 0, C, RATE, UINT32_MAX);
    assert_int_equal(truncate(in_dir("a.wav"), 44 + ((int64_t)1 << 32) + 4096), 0);
    refused(in_dir("a.wav"),
            "a.wav: a WAV file beyond 4 GiB, which cannot say how long it is: save it as FLAC");
    put_wav(in_dir("a.wav"), NULL, 0, C, RATE, 4096); /* the size went round */
    assert_int_equal(truncate(in_dir("a.wav"), 44 + ((int64_t)1 << 32) + 4096), 0);
    refused(in_dir("a.wav"), "a.wav: a WAV file beyond 4 GiB");
}

/* A recorder that was never started: its notes are no sound. */
static void chunks_behind_no_sound_are_no_sound(void **state)
{
    char file[44 + 12] = "";
    int64_t n;

    (void)state;
    put_whole_wav(in_dir("a.wav"), NULL, 0, 1, 32000);
    char *head = get_file(in_dir("a.wav"), &n);
    assert_int_equal(n, 44);
    memcpy(file, head, 44);
    memcpy(file + 44, "LIST\4\0\0\0INFO", 12);
    free(head);
    put_file(in_dir("a.wav"), file, sizeof file);
    refused(in_dir("a.wav"), "a.wav: it holds no sound, not one frame");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_rate_and_channel_count_is_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(limits_are_kept, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(one_frame_is_a_sound, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(what_is_no_sound_file_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(odd_headers_are_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(samples_that_are_no_numbers_are_named, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(hours_are_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(streamed_wav_is_read_to_its_end, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(cut_files_say_so_once, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(forms_of_other_programs, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(samples_far_beyond_full_scale_are_said, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(chained_ogg_is_read_to_its_last_link, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(large_wav_is_as_long_as_it_says, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(chunks_behind_no_sound_are_no_sound, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(truncated_files_are_noticed, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
