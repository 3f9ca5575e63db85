/* Sound from files, whatever libsndfile knows. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio_file.h"

enum {
    MAX_CHANNELS = 8,
    MAX_HOURS = 4,
    MIN_RATE_HZ = 1000,
    MAX_RATE_HZ = 768000, /* nothing records faster; a file that says so is damaged */
    FIRST_VALUES = 1 << 20
};

/* An open regular file (a pipe cannot be sought in, and would make us wait), or -1 with *why. */
static int open_regular(const char *path, const char **why)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *why = fd < 0 || fstat(fd, &info) != 0 ? strerror(errno)
           : S_ISDIR(info.st_mode)         ? strerror(EISDIR)
           : !S_ISREG(info.st_mode)        ? "it is no regular file"
                                           : NULL;
    if (!*why) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static mg_status check_header(const SF_INFO *info, const char *path)
{
    if (info->frames <= 0) return mg_fail(MG_EFAIL, "%s: it holds no sound, not one frame", path);
    if (info->frames == SF_COUNT_MAX) /* an Ogg file's last page says how long it is */
        return mg_fail(MG_EFAIL, "%s: it has no end: it was cut off or is damaged", path);
    if (info->channels < 1 || info->channels > MAX_CHANNELS)
        return mg_fail(MG_EFAIL, "%s: %d channels: at most %d are read", path, info->channels, MAX_CHANNELS);
    if (info->samplerate < MIN_RATE_HZ || info->samplerate > MAX_RATE_HZ)
        return mg_fail(MG_EFAIL, "%s: %d Hz: rates from %d to %d Hz are read", path, info->samplerate,
                       MIN_RATE_HZ, MAX_RATE_HZ);
    return MG_OK;
}

static mg_status open_sound(SNDFILE **file, SF_INFO *info, const char *path)
{
    const char *why;
    const int fd = open_regular(path, &why);

    *file = NULL, *info = (SF_INFO){0};
    if (fd < 0) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, why);
    *file = sf_open_fd(fd, SFM_READ, info, SF_TRUE); /* it closes fd, failed or not */
    if (!*file)
        return mg_fail(MG_EFAIL, "%s: not a sound file that libsndfile reads: %s", path, sf_strerror(NULL));
    const mg_status st = check_header(info, path);
    if (st != MG_OK) sf_close(*file), *file = NULL;
    return st;
}

mg_status mg_audio_file_probe(mg_audio_info *info, const char *path)
{
    SNDFILE *file;
    SF_INFO header;

    *info = (mg_audio_info){0};
    MG_RETURN(open_sound(&file, &header, path));
    sf_close(file);
    *info = (mg_audio_info){header.frames, header.channels, header.samplerate};
    return MG_OK;
}

/* Room for twice as much, but for no more than n_values: a header may claim any length. */
static mg_status grow(mg_sound *s, int64_t *room, int64_t n_values, const char *path)
{
    int64_t larger = *room > 0 ? 2 * *room : FIRST_VALUES;
    if (larger > n_values) larger = n_values;
    float *p = realloc(s->pcm, (size_t)larger * sizeof *p);

    if (!p) return mg_fail(MG_ENOMEM, "%s: no memory for %lld values", path, (long long)larger);
    s->pcm = p, *room = larger;
    return MG_OK;
}

/* n_frames into s, or fewer at the file's end. */
static mg_status read_frames(mg_sound *s, SNDFILE *file, int64_t n_frames, const char *path)
{
    const int64_t C = s->n_channels;
    int64_t room = 0;

    while (s->n_frames < n_frames) {
        if (room < (s->n_frames + 1) * C) MG_RETURN(grow(s, &room, n_frames * C, path));
        const sf_count_t n = sf_readf_float(file, s->pcm + s->n_frames * C, room / C - s->n_frames);
        if (n <= 0) break;
        s->n_frames += n;
    }
    return MG_OK;
}

static mg_status check_samples(const mg_sound *s, const char *path)
{
    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++)
        if (!isfinite(s->pcm[i]))
            return mg_fail(MG_EFAIL, "%s: sample %lld of channel %lld is %s", path,
                           (long long)(i / s->n_channels), (long long)(i % s->n_channels),
                           isnan(s->pcm[i]) ? "not a number" : "infinite");
    return MG_OK;
}

mg_status mg_audio_file_read(mg_sound *out, const char *path, double limit_s)
{
    mg_status st = MG_OK;
    SNDFILE *file = NULL;
    SF_INFO info;

    *out = (mg_sound){0};
    MG_TRY(open_sound(&file, &info, path));
    const double wanted = limit_s * info.samplerate; /* NaN and infinity: all */
    int64_t n_frames = info.frames;
    if (wanted < (double)n_frames) n_frames = wanted > 1 ? (int64_t)wanted : 1;
    if (n_frames > (int64_t)MAX_HOURS * 3600 * info.samplerate)
        MG_TRY(mg_fail(MG_EFAIL, "%s: %.1f hours: at most %d are read; cut it, or ask for less of it", path,
                       (double)n_frames / info.samplerate / 3600, MAX_HOURS));
    *out = (mg_sound){.n_channels = info.channels, .rate_hz = info.samplerate};
    MG_TRY(read_frames(out, file, n_frames, path));
    if (out->n_frames < n_frames && (info.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG)
        MG_TRY(mg_fail(MG_EFAIL, "%s: it ends after %lld of %lld frames: it was cut off or is damaged", path,
                       (long long)out->n_frames, (long long)n_frames));
    if (out->n_frames == 0) MG_TRY(mg_fail(MG_EFAIL, "%s: it holds no sound, not one frame", path));
    MG_TRY(check_samples(out, path));
done:
    if (file) sf_close(file);
    if (st != MG_OK) mg_sound_close(out);
    return st;
}
