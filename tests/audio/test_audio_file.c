#include "io_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "audio_file.h"

static const char *const names[] = {"a.wav", "b.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"};
_Static_assert(sizeof names / sizeof *names == MG_AUDIO_N_FORMATS, "every format is tested");
static const mg_audio_tags tags = {"Früh am Morgen", "{\"seed\": 1}", "mg-dist 0.1.0"};

static mg_sound as_sound(float *pcm, int64_t n_frames, int64_t n_channels, int64_t rate_hz)
{
    return (mg_sound){pcm, n_frames, n_channels, rate_hz};
}

static mg_status write_wav(const char *path, mg_audio_format format, float *pcm, int64_t n_frames,
                           int64_t n_channels, int64_t rate_hz)
{
    const mg_sound s = as_sound(pcm, n_frames, n_channels, rate_hz);

    return mg_audio_file_write(path, format, &s, NULL);
}

/* Two tones, different left and right. */
static mg_sound chord(int64_t n_frames, int64_t n_channels, int64_t rate_hz)
{
    mg_sound s =
        as_sound(malloc((size_t)(n_frames * n_channels) * sizeof(float)), n_frames, n_channels, rate_hz);

    assert_non_null(s.pcm);
    for (int64_t i = 0; i < n_frames * n_channels; i++) {
        const double t = (double)(i / n_channels) / (double)rate_hz;
        s.pcm[i] =
            (float)(0.4 * sin(2 * M_PI * 440 * t) + 0.3 * sin(2 * M_PI * (i % n_channels ? 1500 : 660) * t));
    }
    return s;
}

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
    expect_ok(write_wav(in_dir("a.wav"), MG_AUDIO_WAV, pcm, N, 1, 32000));
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
    expect_ok(write_wav(in_dir("a.flac"), MG_AUDIO_FLAC, pcm, N, 1, 32000));
    mg_sound back;
    expect_ok(mg_audio_file_read(&back, in_dir("a.flac"), INFINITY));
    assert_int_equal(back.n_frames, N);
    for (int i = 0; i < N; i++) assert_true(back.pcm[i] * 32768 == cases[i].want);
    mg_sound_close(&back);
    assert_int_equal(count_files(test_dir), 2);
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
    expect_ok(write_wav(in_dir("a.wav"), MG_AUDIO_WAV_F32, pcm, FRAMES, 2, 16000));
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

/* A second later, in another place, in another process' worth of random numbers. */
static void the_same_sound_gives_the_same_bytes(void **state)
{
    mg_sound s = chord(50000, 2, 48000);
    char *before[MG_AUDIO_N_FORMATS];
    int64_t n_before[MG_AUDIO_N_FORMATS], n;

    (void)state;
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        expect_ok(mg_audio_file_write(in_dir(names[f]), (mg_audio_format)f, &s, &tags));
        before[f] = get_file(in_dir(names[f]), &n_before[f]);
    }
    sleep(1); /* a time stamp would show */
    for (int pass = 0; pass < 2; pass++) {
        for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
            expect_ok(mg_audio_file_write(in_dir("again"), (mg_audio_format)f, &s, &tags));
            char *again = get_file(in_dir("again"), &n);
            if ((n == n_before[f] && memcmp(again, before[f], (size_t)n) == 0) != (pass == 0))
                fail_msg("%s: pass %d", names[f], pass);
            free(again);
        }
        for (int64_t i = 20000; i < 40000; i++) s.pcm[i] *= 0.5f; /* another sound must give other bytes */
    }
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) free(before[f]);
    mg_sound_close(&s);
}

/* What comes back, as its distance from what went in, in dB. */
static double distance_db(const mg_sound *a, const mg_sound *b)
{
    double signal = 0, noise = 0;

    for (int64_t i = 0; i < a->n_frames * a->n_channels; i++) {
        const double d = (double)a->pcm[i] - (double)b->pcm[i];
        signal += (double)a->pcm[i] * a->pcm[i];
        noise += d * d;
    }
    return 10 * log10(noise / signal);
}

static void every_format_comes_back(void **state)
{
    static const struct {
        int rate_hz;
        double limit_db[MG_AUDIO_N_FORMATS];
    } rates[] = {/* LAME turns 16 kHz down to 0.95 of its level */
                 {48000, {-85, -200, -85, -20, -20, -40}},
                 {32000, {-85, -200, -85, -20, 0, -40}},
                 {16000, {-85, -200, -85, -20, -20, -25}}};

    (void)state;
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        for (int C = 1; C <= 2; C++) {
            mg_sound s = chord(rates[r].rate_hz + 123, C, rates[r].rate_hz), back;
            for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
                if (rates[r].limit_db[f] == 0) continue; /* opus has no such rate */
                mg_audio_info info;
                expect_ok(mg_audio_format_check((mg_audio_format)f, s.rate_hz, C));
                expect_ok(mg_audio_file_write(in_dir(names[f]), (mg_audio_format)f, &s, &tags));
                expect_ok(mg_audio_file_probe(&info, in_dir(names[f])));
                expect_ok(mg_audio_file_read(&back, in_dir(names[f]), NAN));
                assert_int_equal(info.n_channels, C);
                assert_int_equal(info.rate_hz, s.rate_hz);
                assert_int_equal(info.n_frames, s.n_frames);
                assert_int_equal(back.n_frames, s.n_frames);
                assert_int_equal(back.rate_hz, s.rate_hz);
                const double db = distance_db(&s, &back);
                printf("%d Hz, %d channels, %s: %.1f dB\n", rates[r].rate_hz, C, names[f], db);
                if (!(db < rates[r].limit_db[f])) fail_msg("%s: %g dB", names[f], db);
                mg_sound_close(&back);
            }
            mg_sound_close(&s);
        }
    }
}

static int contains(const char *data, int64_t n, const char *text)
{
    return memmem(data, (size_t)n, text, strlen(text)) != NULL;
}

static void tags_are_written(void **state)
{
    mg_sound s = chord(48000, 1, 48000);
    int64_t n;

    (void)state;
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        expect_ok(mg_audio_file_write(in_dir("a"), (mg_audio_format)f, &s, &tags));
        char *file = get_file(in_dir("a"), &n);
        if (!contains(file, n, tags.title) || !contains(file, n, tags.comment) ||
            !contains(file, n, tags.software))
            fail_msg("%s: a tag is missing", names[f]);
        free(file);
        expect_ok(mg_audio_file_write(in_dir("a"), (mg_audio_format)f, &s, &(mg_audio_tags){.title = ""}));
        file = get_file(in_dir("a"), &n);
        assert_false(contains(file, n, "seed") || contains(file, n, "mg-dist"));
        free(file);
    }
    mg_sound_close(&s);
}

/* The longest comment that is kept, and one byte more: left out, and the file is as good. */
static void long_comments_harm_nothing(void **state)
{
    enum { KEPT = 32 * 1024 };
    mg_sound s = chord(48000, 1, 48000), back;
    char *text = malloc(KEPT + 2);

    (void)state;
    assert_non_null(text);
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        for (size_t more = 0; more < 2; more++) {
            const mg_audio_tags longest = {"a title", text, "a program"};
            int64_t n, n_x = 0;
            memset(text, 'x', KEPT + more);
            text[KEPT + more] = '\0';
            expect_ok(mg_audio_file_write(in_dir("a"), (mg_audio_format)f, &s, &longest));
            char *file = get_file(in_dir("a"), &n);
            for (int64_t i = 0; i < n; i++) n_x += file[i] == 'x';
            free(file);
            if ((n_x >= KEPT) != (more == 0)) fail_msg("%s: %lld of %d", names[f], (long long)n_x, KEPT);
            expect_ok(mg_audio_file_read(&back, in_dir("a"), INFINITY));
            assert_int_equal(back.n_frames, s.n_frames);
            assert_true(distance_db(&s, &back) < -20);
            mg_sound_close(&back);
        }
    }
    free(text);
    mg_sound_close(&s);
}

/* A lossy coder gets no more than ±1, whatever the sound is: its signs come back, at full scale. */
static void wild_samples_are_cut(void **state)
{
    enum { N = 30000 };
    mg_sound s = chord(N, 1, 48000), back;

    (void)state;
    for (int64_t i = 0; i < N; i++) s.pcm[i] *= 1e30f;
    for (int f = MG_AUDIO_OGG; f < MG_AUDIO_N_FORMATS; f++) {
        double sum = 0;
        expect_ok(mg_audio_file_write(in_dir(names[f]), (mg_audio_format)f, &s, NULL));
        expect_ok(mg_audio_file_read(&back, in_dir(names[f]), INFINITY));
        for (int64_t i = 0; i < N; i++) sum += (double)(s.pcm[i] > 0 ? back.pcm[i] : -back.pcm[i]);
        printf("%s: %.3f of full scale\n", names[f], sum / N);
        assert_true(sum > 0.9 * N && sum < 1.1 * N);
        mg_sound_close(&back);
    }
    mg_sound_close(&s);
}

static void what_is_no_sound_is_refused(void **state)
{
    float pcm[8] = {0};

    (void)state;
    pcm[5] = NAN;
    expect_failure(write_wav(in_dir("a.wav"), MG_AUDIO_WAV, pcm, 4, 2, 32000), MG_EFAIL,
                   "a.wav: sample 2 of channel 1 is not a number");
    expect_failure(write_wav("-", MG_AUDIO_MP3, pcm, 4, 2, 32000), MG_EFAIL,
                   "standard output: sample 2 of channel 1 is not a number");
    pcm[5] = -INFINITY;
    expect_failure(write_wav(in_dir("a.wav"), MG_AUDIO_WAV_F32, pcm, 8, 1, 32000), MG_EFAIL,
                   "a.wav: sample 5 of channel 0 is infinite");
    expect_failure(write_wav(in_dir("a.wav"), MG_AUDIO_WAV, pcm, (int64_t)1 << 31, 1, 32000), MG_EFAIL,
                   "2147483648 frames are more than a wav file holds");
    expect_failure(write_wav(in_dir("a.wav"), MG_AUDIO_WAV, pcm, 4, 0, 32000), MG_EBUG, "n_channels");
    expect_failure(write_wav(in_dir("gone/a.wav"), MG_AUDIO_WAV, pcm, 2, 1, 32000), MG_EFAIL,
                   "gone/a.wav: cannot create: No such file");
    expect_failure(write_wav(in_dir("gone/a.ogg"), MG_AUDIO_OGG, pcm, 2, 1, 32000), MG_EFAIL,
                   "gone/a.ogg: cannot create: No such file");
    assert_int_equal(count_files(test_dir), 0);
}

static void rates_are_checked(void **state)
{
    (void)state;
    expect_failure(mg_audio_format_check(MG_AUDIO_OPUS, 32000, 1), MG_EUSAGE,
                   "option --format: opus: it has 8000, 12000, 16000, 24000 and 48000 Hz, not 32000: give "
                   "--sample-rate 48000");
    expect_failure(write_wav(in_dir("a.opus"), MG_AUDIO_OPUS, NULL, 0, 1, 44100), MG_EUSAGE,
                   "not 44100: give");
    expect_failure(mg_audio_format_check(MG_AUDIO_FLAC, 2000000, 1), MG_EUSAGE,
                   "option --format: flac: not at 2000000 Hz with 1 channel: ");
    expect_failure(
        mg_audio_format_check(MG_AUDIO_OGG, 300000, 2), MG_EUSAGE,
        "option --format: ogg: it has rates up to 200000 Hz, not 300000: give --sample-rate 48000");
    expect_ok(mg_audio_format_check(MG_AUDIO_OGG, 200000, 2));
    expect_failure(mg_audio_format_check(MG_AUDIO_MP3, 96000, 1), MG_EUSAGE,
                   "option --format: mp3: it has 8000, 11025, ");
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        expect_ok(mg_audio_format_check((mg_audio_format)f, 24000, 2));
        if (f != MG_AUDIO_OPUS) expect_ok(mg_audio_format_check((mg_audio_format)f, 32000, 1));
        if (f != MG_AUDIO_OPUS) expect_ok(mg_audio_format_check((mg_audio_format)f, 44100, 2));
    }
    for (int f = MG_AUDIO_WAV; f <= MG_AUDIO_FLAC; f++) {
        const int64_t most = mg_audio_format_most_frames((mg_audio_format)f, 2);
        expect_ok(mg_audio_length_check((mg_audio_format)f, most, 32000, 2));
        expect_failure(mg_audio_length_check((mg_audio_format)f, most + 1, 32000, 2), MG_EUSAGE,
                       " file holds");
    }
    expect_failure(mg_audio_length_check(MG_AUDIO_WAV, INT64_C(1152000000), 32000, 2), MG_EUSAGE,
                   "duration: 36000.00 s: a wav file holds up to 33554.15 s at 32000 Hz with 2 channels");
    assert_string_equal(mg_audio_format_suffix(MG_AUDIO_WAV_F32), ".wav");
    assert_string_equal(mg_audio_format_suffix(MG_AUDIO_MP3), ".mp3");
}

/* One frame and none, in every format: the file is one that can be read, or at least is there. */
static void short_sounds_are_files(void **state)
{
    float pcm[2] = {0.25f, -0.25f};
    uint32_t bytes = 1;
    int64_t n;

    (void)state;
    expect_ok(write_wav(in_dir("a.wav"), MG_AUDIO_WAV, NULL, 0, 1, 32000));
    char *file = get_file(in_dir("a.wav"), &n);
    assert_non_null(find_chunk(file, n, "data", &bytes));
    assert_int_equal(bytes, 0);
    free(file);
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        mg_audio_info info;
        expect_ok(write_wav(in_dir(names[f]), (mg_audio_format)f, pcm, 0, 2, 48000));
        expect_ok(write_wav(in_dir(names[f]), (mg_audio_format)f, pcm, 1, 2, 48000));
        expect_ok(mg_audio_file_probe(&info, in_dir(names[f])));
        assert_int_equal(info.n_frames, 1);
    }
}

/* A file system that is full: one sentence, and nothing is left. */
static void a_full_disk_leaves_nothing(void **state)
{
    mg_sound s = chord(200000, 2, 48000);
    struct rlimit before, tight = {20000, 20000};

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        const mg_status st = mg_audio_file_write(in_dir(names[f]), (mg_audio_format)f, &s, &tags);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        expect_failure(st, MG_EFAIL, ": cannot write: File too large");
        assert_non_null(strstr(mg_last_error(), names[f]));
        assert_int_equal(count_files(test_dir), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
    mg_sound_close(&s);
}

/* Runs a write with standard output on `fd`. */
static mg_status write_to(int fd, mg_audio_format format, const mg_sound *s)
{
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);

    assert_true(kept >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    const mg_status st = mg_audio_file_write("-", format, s, &tags);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    return st;
}

static void standard_output_gets_the_same_bytes(void **state)
{
    mg_sound s = chord(100000, 2, 48000);
    int64_t n, n_stdout;

    (void)state;
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++) {
        const int fd = open(in_dir("stdout"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0);
        expect_ok(write_to(fd, (mg_audio_format)f, &s));
        close(fd);
        expect_ok(mg_audio_file_write(in_dir(names[f]), (mg_audio_format)f, &s, &tags));
        char *file = get_file(in_dir(names[f]), &n), *got = get_file(in_dir("stdout"), &n_stdout);
        assert_int_equal(n, n_stdout);
        assert_memory_equal(file, got, (size_t)n);
        free(file);
        free(got);
    }
    mg_sound_close(&s);
}

/* `mg-dist generate --out - | head -c 100`: a sentence, not the end of the process. */
static void a_closed_pipe_is_one_sentence(void **state)
{
    mg_sound s = chord(100000, 2, 48000);
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    expect_failure(write_to(ends[1], MG_AUDIO_WAV, &s), MG_EFAIL,
                   "standard output: its reader closed it before the sound was all written");
    close(ends[1]);
    const int full = open("/dev/full", O_WRONLY);
    if (full >= 0) {
        expect_failure(write_to(full, MG_AUDIO_FLAC, &s), MG_EFAIL,
                       "standard output: cannot write: No space left on device");
        close(full);
    }
    mg_sound_close(&s);
}

/* A pipe that another process has set not to wait, and that is full for a while. */
static void a_pipe_that_does_not_wait_is_waited_for(void **state)
{
    mg_sound s = chord(100000, 2, 48000);
    char block[4096];
    int64_t total = 0, n;
    int ends[2], code;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    const pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0) {
        close(ends[1]);
        usleep(50000);
        while ((n = read(ends[0], block, sizeof block)) > 0) total += n;
        _exit(total > 2 * 2 * 100000 ? 0 : 1);
    }
    close(ends[0]);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    expect_ok(write_to(ends[1], MG_AUDIO_WAV, &s));
    close(ends[1]);
    assert_true(waitpid(reader, &code, 0) == reader && code == 0);
    mg_sound_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(int16_is_rounded_and_saturated, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(floats_are_untouched, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(the_same_sound_gives_the_same_bytes, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(every_format_comes_back, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(tags_are_written, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(long_comments_harm_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(wild_samples_are_cut, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(what_is_no_sound_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(rates_are_checked, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(short_sounds_are_files, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(standard_output_gets_the_same_bytes, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_closed_pipe_is_one_sentence, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_pipe_that_does_not_wait_is_waited_for, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
