/* Sound from files, whatever libsndfile knows. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio_file.h"
#include "audio_source.h"
#include "in_file.h"
#include "log.h"
#include "sndfile_mpeg.h"
#include "stop.h"
#include "text.h"

enum {
    MAX_CHANNELS = 8,
    MAX_HOURS = 4,
    MIN_RATE_HZ = 1000,
    MAX_RATE_HZ = 768000, /* nothing records faster; a file that says so is damaged */
    FIRST_VALUES = 1 << 20,
    SOME_FRAMES = 1 << 14, /* read between two looks at whether to stop */
    MP3_SLACK = 2 * 1152,  /* frames that an MP3 file may lack at its ends */
    MPEG_FRAMES = 576,     /* read at once: where a frame is damaged, libsndfile loses all of the call */
    BLOCK_VALUES = 8 * MPEG_FRAMES,
    MAX_TOLD = 64,
    MAX_COUNTED = 64,
    LOUD = 16
};

/* A sound file, and the link of it that is open. */
typedef struct reader {
    mg_audio_source source;
    SNDFILE *file;
    SF_INFO info; /* of the first link, with the frames of all */
    int64_t i_link;
} reader;

/* libmpg123 complains on stderr of what it makes the best of. What is worth saying, we say. */
static pthread_mutex_t quiet = PTHREAD_MUTEX_INITIALIZER;
static FILE *complaints;

static void quiet_begin(void)
{
    static FILE *nowhere; /* under the lock; never closed */

    pthread_mutex_lock(&quiet);
    if (!nowhere) nowhere = fopen("/dev/null", "we");
    complaints = stderr;
    if (nowhere) stderr = nowhere; /* messages of ours do not go through it: log.c */
}

static void quiet_end(void)
{
    stderr = complaints;
    pthread_mutex_unlock(&quiet);
}

static bool is_mpeg(const SF_INFO *info)
{
    return (info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
}

static sf_count_t vio_length(void *s)
{
    return mg_audio_source_length(s);
}

static sf_count_t vio_seek(sf_count_t offset, int whence, void *s)
{
    return mg_audio_source_seek(s, offset, whence);
}

static sf_count_t vio_read(void *data, sf_count_t bytes, void *s)
{
    return mg_audio_source_read(s, data, bytes);
}

static sf_count_t vio_write(const void *data, sf_count_t bytes, void *s)
{
    (void)data, (void)bytes, (void)s;
    return 0;
}

static sf_count_t vio_tell(void *s)
{
    return mg_audio_source_seek(s, 0, SEEK_CUR);
}

static mg_status check_header(const SF_INFO *info, const mg_audio_source *source, const char *path)
{
    if (source->is_too_long)
        return mg_fail(MG_EFAIL,
                       "%s: a WAV file beyond 4 GiB, which cannot say how long it is: save it as FLAC, by: "
                       "ffmpeg -i IN OUT.flac",
                       path);
    if (source->is_sparse)
        return mg_fail(MG_EFAIL,
                       "%s: its samples have more bytes than bits to fill them, as 24 bits in 4 bytes: save "
                       "it anew, as packed 24 bits or as floats, in the program that made it",
                       path);
    if (is_mpeg(info) && !source->is_mpeg) /* then its length would be a guess */
        return mg_fail(MG_EFAIL,
                       "%s: MP3 behind a tag that is damaged: save it as FLAC, by: ffmpeg -i IN OUT.flac",
                       path);
    if (!is_mpeg(info) && (info->format & SF_FORMAT_SUBMASK) == SF_FORMAT_MPEG_LAYER_III)
        return mg_fail(MG_EFAIL, "%s: MP3 inside of a WAV file: save it as FLAC, by: ffmpeg -i IN OUT.flac",
                       path);
    if (info->frames == SF_COUNT_MAX ||
        source->ends_in_page) /* an Ogg file's last page says how long it is */
        return mg_fail(MG_EFAIL, "%s: it has no end: it was cut off or is damaged", path);
    if (info->frames <= 0) return mg_fail(MG_EFAIL, "%s: it holds no sound, not one frame", path);
    if (info->channels < 1 || info->channels > MAX_CHANNELS)
        return mg_fail(MG_EFAIL, "%s: %d channels: at most %d are read", path, info->channels, MAX_CHANNELS);
    if (info->samplerate < MIN_RATE_HZ || info->samplerate > MAX_RATE_HZ)
        return mg_fail(MG_EFAIL, "%s: %d Hz: rates from %d to %d Hz are read", path, info->samplerate,
                       MIN_RATE_HZ, MAX_RATE_HZ);
    return MG_OK;
}

/* What libsndfile does not read: what it is, if its first bytes say so. */
static mg_status refuse(const mg_audio_source *source, const char *path)
{
    static const struct {
        const char *begin, *what;
    } known[] = {
        {"version https://git-lfs", "a Git LFS pointer, not a sound file: fetch it with git lfs pull"},
        {"MThd", "MIDI, notes without sound: play it into a file first, by: fluidsynth -F OUT.wav "
                 "SOUNDFONT.sf2 IN"},
        {"<!DOCTYPE", "a web page, not a sound file: fetch the file itself"},
        {"<html", "a web page, not a sound file: fetch the file itself"}};
    char head[32] = "";
    const ssize_t n = pread(source->fd, head, sizeof head - 1, 0);

    if (n == 0) return mg_fail(MG_EFAIL, "%s: is empty, not a sound file", path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncasecmp(head, known[i].begin, strlen(known[i].begin)) == 0)
            return mg_fail(MG_EFAIL, "%s: %s", path, known[i].what);
    const char *why = sf_strerror(NULL);
    return mg_fail(
        MG_EFAIL,
        "%s: not a sound file that libsndfile reads: %.*s; of a video, M4A or AAC make one by: ffmpeg "
        "-i IN OUT.flac",
        path, (int)strcspn(why, "."), why);
}

static void close_link(reader *r)
{
    if (!r->file) return;
    quiet_begin();
    sf_close(r->file);
    quiet_end();
    r->file = NULL;
}

/* Link `i` in place of the one that is open. */
static mg_status open_file(reader *r, SF_INFO *info, int64_t i, const char *path)
{
    SF_VIRTUAL_IO io = {vio_length, vio_seek, vio_read, vio_write, vio_tell};

    close_link(r);
    *info = (SF_INFO){0};
    mg_audio_source_use(&r->source, i);
    quiet_begin();
    r->file = sf_open_virtual(&io, SFM_READ, info, &r->source);
    quiet_end();
    r->i_link = i;
    return r->file ? MG_OK : refuse(&r->source, path);
}

/* At most n_frames, or fewer; 0 at the end. */
static int64_t read_some(reader *r, float *to, int64_t n_frames)
{
    if (!r->source.is_mpeg)
        return sf_readf_float(r->file, to, n_frames < SOME_FRAMES ? n_frames : SOME_FRAMES);
    quiet_begin();
    const sf_count_t n = sf_readf_float(r->file, to, n_frames < MPEG_FRAMES ? n_frames : MPEG_FRAMES);
    quiet_end();
    return n;
}

/* A FLAC file that a pipe wrote, and an MPEG file without a header for its frames: */
static bool is_endless(const SF_INFO *info)
{
    return is_mpeg(info)
               ? info->frames > MG_AUDIO_STRETCH / 4096
               : info->frames == SF_COUNT_MAX && (info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC;
}

/* What was counted last: one file may be the prompt of many clips, and counting it takes as long as reading
 * it. */
typedef struct counted {
    struct stat file;
    int64_t i_link, n_frames;
    bool is_cut;
} counted;

static pthread_mutex_t counted_lock = PTHREAD_MUTEX_INITIALIZER;
static counted counts[MAX_COUNTED];
static int n_counts;

static bool is_counted(counted *c)
{
    bool found = false;

    pthread_mutex_lock(&counted_lock);
    for (int i = 0; i < MAX_COUNTED && !found; i++)
        if (counts[i].n_frames > 0 && counts[i].i_link == c->i_link &&
            mg_in_file_is_same(&counts[i].file, &c->file))
            *c = counts[i], found = true;
    pthread_mutex_unlock(&counted_lock);
    return found;
}

static void keep_count(const counted *c)
{
    pthread_mutex_lock(&counted_lock);
    counts[n_counts++ % MAX_COUNTED] = *c;
    pthread_mutex_unlock(&counted_lock);
}

/* They are as long as they can be read. */
static mg_status count_frames(reader *r, SF_INFO *info, int64_t i, const char *path)
{
    const int64_t most = (int64_t)MAX_HOURS * 3600 * info->samplerate;
    float block[BLOCK_VALUES];
    int64_t n = 0, n_now = 1;
    counted c = {.i_link = i};

    if (info->channels < 1 || info->channels > MAX_CHANNELS) return MG_OK; /* refused for it */
    if (fstat(r->source.fd, &c.file) == 0 && is_counted(&c)) {
        r->source.is_cut = r->source.is_cut || c.is_cut;
        info->frames = c.n_frames;
        return MG_OK;
    }
    for (; n_now > 0 && n <= most; n += n_now) {
        MG_RETURN(mg_stop_check());
        n_now = read_some(r, block, BLOCK_VALUES / info->channels);
    }
    c.is_cut = is_mpeg(info) && (sf_error(r->file) != SF_ERR_NO_ERROR || r->source.at < r->source.end);
    MG_RETURN(open_file(r, info, i, path));
    info->frames = c.n_frames = n;
    r->source.is_cut = r->source.is_cut || c.is_cut;
    keep_count(&c);
    return MG_OK;
}

static mg_status open_link(reader *r, SF_INFO *info, int64_t i, const char *path)
{
    MG_RETURN(open_file(r, info, i, path));
    if (is_endless(info)) MG_RETURN(count_frames(r, info, i, path));
    return check_header(info, &r->source, path);
}

static void close_sound(reader *r)
{
    close_link(r);
    mg_audio_source_close(&r->source);
}

/* All links must sound alike, and together they are as long as the file. */
static mg_status open_sound(reader *r, const char *path)
{
    mg_status st = MG_OK;
    SF_INFO info;

    *r = (reader){.source.fd = -1};
    MG_TRY(mg_audio_source_open(&r->source, path));
    MG_TRY(open_link(r, &r->info, 0, path));
    for (int64_t i = 1; i < r->source.n_links; i++) {
        MG_TRY(open_link(r, &info, i, path));
        if (info.channels != r->info.channels || info.samplerate != r->info.samplerate)
            MG_TRY(mg_fail(MG_EFAIL,
                           "%s: its link %lld of %lld has %d channel%s at %d Hz, the first has %d at %d Hz: "
                           "save it as one",
                           path, (long long)i + 1, (long long)r->source.n_links, info.channels,
                           mg_plural(info.channels), info.samplerate, r->info.channels, r->info.samplerate));
        r->info.frames += info.frames;
    }
    if (r->i_link) MG_TRY(open_link(r, &info, 0, path));
done:
    if (st != MG_OK) close_sound(r);
    return st;
}

mg_status mg_audio_file_probe(mg_audio_info *info, const char *path)
{
    reader r;

    *info = (mg_audio_info){0};
    MG_RETURN(open_sound(&r, path));
    *info = (mg_audio_info){r.info.frames, r.info.channels, r.info.samplerate};
    close_sound(&r);
    return MG_OK;
}

/* Of each file once, however many clips use it. */
static bool is_told(const char *path)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t told[MAX_TOLD];
    static int n_told;
    const uint64_t hash = mg_text_hash(path);
    bool known = false;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_TOLD; i++) known = known || told[i] == hash;
    if (!known) told[n_told++ % MAX_TOLD] = hash;
    pthread_mutex_unlock(&lock);
    return known;
}

static void warn_cut(const char *path, int64_t n_frames, int64_t n_missing, bool may_be_damaged)
{
    if (is_told(path)) return;
    if (n_missing > 0)
        mg_log_warn("%s: it was cut off or is damaged: %lld of %lld frames are used", path,
                    (long long)n_frames, (long long)(n_frames + n_missing));
    else
        mg_log_warn("%s: it was cut off%s: the %lld frames that are there are used", path,
                    may_be_damaged ? " or is damaged" : "", (long long)n_frames);
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
static mg_status read_frames(mg_sound *s, reader *r, int64_t n_frames, const char *path)
{
    const int64_t C = s->n_channels;
    int64_t room = 0;
    SF_INFO info;

    while (s->n_frames < n_frames) {
        MG_RETURN(mg_stop_check());
        if (room < (s->n_frames + 1) * C) MG_RETURN(grow(s, &room, n_frames * C, path));
        const int64_t n = read_some(r, s->pcm + s->n_frames * C, room / C - s->n_frames);
        if (n > 0)
            s->n_frames += n;
        else if (r->i_link + 1 < r->source.n_links)
            MG_RETURN(open_link(r, &info, r->i_link + 1, path));
        else
            break;
    }
    return MG_OK;
}

/* Floats go a little beyond full scale, but not to LOUD times it: those were integers once. */
static mg_status check_samples(const mg_sound *s, const char *path)
{
    float peak = 0;

    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++) {
        if (!isfinite(s->pcm[i]))
            return mg_fail(MG_EFAIL, "%s: sample %lld of channel %lld is %s", path,
                           (long long)(i / s->n_channels), (long long)(i % s->n_channels),
                           isnan(s->pcm[i]) ? "not a number" : "infinite");
        peak = fmaxf(peak, fabsf(s->pcm[i]));
    }
    if (peak > LOUD && !is_told(path))
        mg_log_warn(
            "%s: its samples go to %.4g times full scale, and are taken so: were they integers that were "
            "saved as floats?",
            path, (double)peak);
    return MG_OK;
}

mg_status mg_audio_file_read(mg_sound *out, const char *path, double limit_s)
{
    mg_status st = MG_OK;
    reader r;

    *out = (mg_sound){0};
    MG_RETURN(open_sound(&r, path));
    const SF_INFO *info = &r.info;
    const double wanted = limit_s * info->samplerate; /* NaN and infinity: all */
    int64_t n_frames = info->frames;
    if (wanted < (double)n_frames) n_frames = wanted > 1 ? (int64_t)wanted : 1;
    if (n_frames > (int64_t)MAX_HOURS * 3600 * info->samplerate)
        MG_TRY(mg_fail(MG_EFAIL, "%s: %.1f hours: at most %d are read; cut it, or ask for less of it", path,
                       (double)n_frames / info->samplerate / 3600, MAX_HOURS));
    *out = (mg_sound){.n_channels = info->channels, .rate_hz = info->samplerate};
    MG_TRY(read_frames(out, &r, n_frames, path));
    const int64_t n_missing = n_frames - out->n_frames;
    if (n_missing > 0 && !is_mpeg(info))
        MG_TRY(mg_fail(MG_EFAIL, "%s: it ends after %lld of %lld frames: it was cut off or is damaged", path,
                       (long long)out->n_frames, (long long)n_frames));
    if (out->n_frames == 0) MG_TRY(mg_fail(MG_EFAIL, "%s: it holds no sound, not one frame", path));
    MG_TRY(check_samples(out, path));
    if (n_missing > MP3_SLACK || (r.source.is_cut && n_frames == info->frames))
        warn_cut(path, out->n_frames, n_missing, is_mpeg(info));
done:
    close_sound(&r);
    if (st != MG_OK) mg_sound_close(out);
    return st;
}
