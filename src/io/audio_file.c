/* libsndfile writes through callbacks into an mg_out_file, so that a full disk is our sentence, not its. */
#include "audio_file.h"

#include <math.h>
#include <sndfile.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out_file.h"

enum { CHUNK_VALUES = 8192, WAV_HEADER_BYTES = 1024 }; /* the latter: more than any header of ours */
#define WAV_MAX_BYTES (INT64_C(0xFFFFFFFF) - WAV_HEADER_BYTES)

typedef struct target {
    mg_out_file file;
    mg_status st; /* the first failure of a callback */
} target;

static sf_count_t on_length(void *arg)
{
    struct stat info;

    return fstat(((target *)arg)->file.fd, &info) == 0 ? info.st_size : -1;
}

static sf_count_t on_seek(sf_count_t offset, int whence, void *arg)
{
    return lseek(((target *)arg)->file.fd, offset, whence);
}

static sf_count_t on_read(void *data, sf_count_t bytes, void *arg)
{
    return read(((target *)arg)->file.fd, data, (size_t)bytes);
}

static sf_count_t on_write(const void *data, sf_count_t bytes, void *arg)
{
    target *t = arg;

    if (t->st == MG_OK) t->st = mg_out_file_write(&t->file, data, (size_t)bytes);
    return t->st == MG_OK ? bytes : 0;
}

static sf_count_t on_tell(void *arg)
{
    return lseek(((target *)arg)->file.fd, 0, SEEK_CUR);
}

static int16_t to_i16(float x)
{
    const float v = x * 32768.0f;

    if (v >= 32767.0f) return 32767;
    if (v <= -32768.0f) return -32768;
    return (int16_t)lrintf(v);
}

static sf_count_t write_values(SNDFILE *sound, mg_audio_format format, const float *pcm, sf_count_t n)
{
    int16_t chunk[CHUNK_VALUES];

    if (format == MG_AUDIO_WAV_F32) return sf_write_float(sound, pcm, n);
    for (sf_count_t i = 0; i < n; i++) chunk[i] = to_i16(pcm[i]);
    return sf_write_short(sound, chunk, n);
}

static mg_status write_sound(target *t, const char *path, mg_audio_format format, const float *pcm,
                             int64_t n_values, SF_INFO *info)
{
    SF_VIRTUAL_IO calls = {on_length, on_seek, on_read, on_write, on_tell};
    SNDFILE *sound = sf_open_virtual(&calls, SFM_WRITE, info, t);
    bool whole = sound != NULL;

    /* The PEAK chunk holds the time of day: the same sound would not give the same bytes. */
    if (sound) sf_command(sound, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    for (int64_t i = 0; whole && i < n_values; i += CHUNK_VALUES) {
        const int64_t n = n_values - i < CHUNK_VALUES ? n_values - i : CHUNK_VALUES;
        whole = write_values(sound, format, pcm + i, n) == n;
    }
    if (sound && sf_close(sound) != 0) whole = false;
    if (t->st != MG_OK) return t->st;
    return whole ? MG_OK : mg_fail(MG_EFAIL, "%s: cannot write: %s", path, sf_strerror(NULL));
}

mg_status mg_audio_file_write(const char *path, mg_audio_format format, const float *pcm, int64_t n_frames,
                              int n_channels, int rate_hz)
{
    mg_status st = MG_OK;
    target t = {.file.fd = -1};
    SF_INFO info = {.samplerate = rate_hz, .channels = n_channels};
    const int64_t value_bytes = format == MG_AUDIO_WAV ? 2 : 4;

    MG_REQUIRE(n_frames >= 0 && n_channels >= 1 && n_channels <= 2 && rate_hz > 0);
    if (n_frames > WAV_MAX_BYTES / (value_bytes * n_channels))
        return mg_fail(MG_EFAIL, "%s: %lld frames are more than a WAV file holds (4 GiB)", path,
                       (long long)n_frames);
    const int64_t n_values = n_frames * n_channels;
    for (int64_t i = 0; i < n_values; i++) {
        if (!isfinite(pcm[i]))
            return mg_fail(MG_EFAIL, "%s: sample %lld of channel %lld is %s, nothing was written", path,
                           (long long)(i / n_channels), (long long)(i % n_channels),
                           isnan(pcm[i]) ? "not a number" : "infinite");
    }
    info.format = SF_FORMAT_WAV | (format == MG_AUDIO_WAV ? SF_FORMAT_PCM_16 : SF_FORMAT_FLOAT);
    MG_TRY(mg_out_file_begin(&t.file, path));
    MG_TRY(write_sound(&t, path, format, pcm, n_values, &info));
    MG_TRY(mg_out_file_commit(&t.file));
done:
    mg_out_file_abandon(&t.file);
    return st;
}
