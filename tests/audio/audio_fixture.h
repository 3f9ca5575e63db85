/* WAV files byte by byte, and what a call says on stderr. */
#ifndef MG_AUDIO_FIXTURE_H
#define MG_AUDIO_FIXTURE_H

#include <math.h>

#include "audio_file.h"
#include "io_fixture.h"

static inline void put_u32(char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (char)(v >> 8 * i);
}

/* A WAV of n_values floats that says it has `claimed` bytes of data. */
static inline void put_wav(const char *path, const float *pcm, int64_t n_values, uint32_t n_channels,
                           uint32_t rate_hz, uint32_t claimed)
{
    const size_t bytes = (size_t)n_values * sizeof *pcm;
    char *file = calloc(1, 44 + bytes);

    assert_non_null(file);
    memcpy(file, "RIFF", 4);
    put_u32(file + 4, 36 + claimed);
    memcpy(file + 8, "WAVEfmt ", 8);
    put_u32(file + 16, 16);
    put_u32(file + 20, 3 | n_channels << 16);
    put_u32(file + 24, rate_hz);
    put_u32(file + 28, rate_hz * n_channels * 4);
    put_u32(file + 32, n_channels * 4 | 32u << 16);
    memcpy(file + 36, "data", 4);
    put_u32(file + 40, claimed);
    if (bytes) memcpy(file + 44, pcm, bytes);
    put_file(path, file, 44 + bytes);
    free(file);
}

static inline void put_whole_wav(const char *path, const float *pcm, int64_t n_values, uint32_t n_channels,
                                 uint32_t rate_hz)
{
    put_wav(path, pcm, n_values, n_channels, rate_hz, (uint32_t)n_values * 4);
}

/* Both doors say the same. */
static inline void refused(const char *path, const char *part)
{
    mg_audio_info info = {1, 1, 1};
    mg_sound s = {NULL, 1, 1, 1};

    expect_failure(mg_audio_file_probe(&info, path), MG_EFAIL, part);
    assert_int_equal(info.n_frames, 0);
    expect_failure(mg_audio_file_read(&s, path, INFINITY), MG_EFAIL, part);
    assert_null(s.pcm);
}

/* What the last call said on stderr, by fd and by FILE: ours, and what a library prints. */
static char said[4096];

static inline void listen_begin(int *kept)
{
    FILE *f = fopen(in_dir("said"), "w");

    assert_non_null(f);
    fflush(stderr);
    *kept = dup(STDERR_FILENO);
    assert_true(*kept >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
    fclose(f);
}

static inline void listen_end(int kept)
{
    int64_t n;

    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    char *text = get_file(in_dir("said"), &n);
    snprintf(said, sizeof said, "%s", text);
    free(text);
}

static inline int64_t frames_read(const char *path)
{
    mg_sound s;

    expect_ok(mg_audio_file_read(&s, path, INFINITY));
    const int64_t n = s.n_frames;
    mg_sound_close(&s);
    return n;
}

#endif
