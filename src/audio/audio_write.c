/* Sound to files. libsndfile writes through callbacks into an mg_audio_sink, so that a full disk is our
 * sentence, not its, and so that what it would put there at random can be put right first. */
#include "audio_file.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_coding.h"
#include "audio_sink.h"
#include "flac_vendor.h"
#include "id3_tag.h"
#include "ogg_serial.h"
#include "sndfile_mpeg.h"
#include "text.h"

enum {
    CHUNK_VALUES = 8192,
    LONGEST_TEXT = 1024,         /* title, software */
    LONGEST_COMMENT = 32 * 1024, /* libsndfile has no room for 50 KiB in a WAV header */
    FACT_AT = 36,                /* in a WAV file of floats, behind the format */
    WAV_HEADER_BYTES = 1024 + 2 * LONGEST_TEXT + LONGEST_COMMENT /* more than any header of ours */
};
#define BY_SNDFILE      " (libsndfile)"
#define WAV_MAX_BYTES   (INT64_C(0xFFFFFFFF) - WAV_HEADER_BYTES)
#define FLAC_MAX_FRAMES ((INT64_C(1) << 36) - 1) /* its header counts them in 36 bits */

typedef struct format_traits {
    const char *word, *suffix;
    int sndfile;
    bool is_i16; /* integers go in, else floats */
    bool is_cut; /* floats beyond ±1 are cut: what a lossy coder makes of them is anyone's guess */
    bool is_ogg;
} format_traits;

static const format_traits formats[] = {
    [MG_AUDIO_WAV] = {"wav", ".wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, .is_i16 = true},
    [MG_AUDIO_WAV_F32] = {"wav-f32", ".wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, .is_i16 = false},
    [MG_AUDIO_FLAC] = {"flac", ".flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, .is_i16 = true},
    [MG_AUDIO_OGG] = {"ogg", ".ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, .is_cut = true, .is_ogg = true},
    [MG_AUDIO_OPUS] = {"opus", ".opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, .is_cut = true, .is_ogg = true},
    [MG_AUDIO_MP3] = {"mp3", ".mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, .is_cut = true},
};
static const uint32_t ogg_serial = 0x6d676473; /* any number will do */

static const format_traits *traits_of(mg_audio_format format)
{
    return &formats[format];
}

const char *mg_audio_format_suffix(mg_audio_format format)
{
    return traits_of(format)->suffix;
}

bool mg_audio_is_name(const char *name)
{
    for (int f = 0; f < MG_AUDIO_N_FORMATS; f++)
        if (mg_text_ends_with(name, mg_audio_format_suffix((mg_audio_format)f))) return true;
    return false;
}

const char *mg_audio_library(void)
{
    return sf_version_string();
}

static sf_count_t on_length(void *arg)
{
    return mg_audio_sink_length(arg);
}

static sf_count_t on_seek(sf_count_t offset, int whence, void *arg)
{
    return mg_audio_sink_seek(arg, offset, whence);
}

static sf_count_t on_read(void *data, sf_count_t bytes, void *arg)
{
    return mg_audio_sink_read(arg, data, bytes);
}

static sf_count_t on_write(const void *data, sf_count_t bytes, void *arg)
{
    return mg_audio_sink_write(arg, data, bytes);
}

static sf_count_t on_tell(void *arg)
{
    return mg_audio_sink_tell(arg);
}

static int16_t to_i16(float x)
{
    const float v = x * 32768.0f;

    if (v >= 32767.0f) return 32767;
    if (v <= -32768.0f) return -32768;
    return (int16_t)lrintf(v);
}

static sf_count_t write_i16(SNDFILE *file, const float *pcm, int64_t n)
{
    int16_t chunk[CHUNK_VALUES];

    for (int64_t i = 0; i < n; i++) chunk[i] = to_i16(pcm[i]);
    return sf_write_short(file, chunk, n);
}

static sf_count_t write_cut(SNDFILE *file, const float *pcm, int64_t n)
{
    float chunk[CHUNK_VALUES];

    for (int64_t i = 0; i < n; i++) chunk[i] = fminf(fmaxf(pcm[i], -1), 1);
    return sf_write_float(file, chunk, n);
}

static bool write_pcm(SNDFILE *file, const format_traits *t, const float *pcm, int64_t n_values)
{
    for (int64_t i = 0; i < n_values; i += CHUNK_VALUES) {
        const int64_t n = n_values - i < CHUNK_VALUES ? n_values - i : CHUNK_VALUES;
        const sf_count_t done = t->is_i16   ? write_i16(file, pcm + i, n)
                                : t->is_cut ? write_cut(file, pcm + i, n)
                                            : sf_write_float(file, pcm + i, n);
        if (done != n) return false;
    }
    return true;
}

/* What is too long is left out: half of it is no use. */
static mg_audio_tags fitting(const mg_audio_tags *tags)
{
    mg_audio_tags t = tags ? *tags : (mg_audio_tags){0};

    if (t.title && (!t.title[0] || strlen(t.title) > LONGEST_TEXT)) t.title = NULL;
    if (t.software && (!t.software[0] || strlen(t.software) > LONGEST_TEXT)) t.software = NULL;
    if (t.comment && (!t.comment[0] || strlen(t.comment) > LONGEST_COMMENT)) t.comment = NULL;
    return t;
}

/* libsndfile adds its name and version to the software unless its name is there: two systems would write two
 * files of one sound. */
static bool set_tags(SNDFILE *file, const mg_audio_tags *t)
{
    char software[LONGEST_TEXT + sizeof BY_SNDFILE];

    snprintf(software, sizeof software, "%s%s", t->software ? t->software : "", BY_SNDFILE);
    return (!t->title || sf_set_string(file, SF_STR_TITLE, t->title) == 0) &&
           (!t->software || sf_set_string(file, SF_STR_SOFTWARE, software) == 0) &&
           (!t->comment || sf_set_string(file, SF_STR_COMMENT, t->comment) == 0);
}

/* NULL, and sf_strerror(NULL) says why. */
static SNDFILE *open_encoder(mg_audio_sink *sink, const mg_audio_coding *coding, int64_t rate_hz,
                             int64_t n_channels)
{
    const mg_audio_format format = coding->format;
    SF_VIRTUAL_IO calls = {on_length, on_seek, on_read, on_write, on_tell};
    SF_INFO info = {
        .samplerate = (int)rate_hz, .channels = (int)n_channels, .format = formats[format].sndfile};
    double level = mg_audio_coding_level(coding, rate_hz, n_channels);
    int mode = coding->has_quality ? SF_BITRATE_MODE_VARIABLE : SF_BITRATE_MODE_CONSTANT;
    SNDFILE *file = sf_open_virtual(&calls, SFM_WRITE, &info, sink);

    if (!file) return NULL;
    /* The PEAK chunk holds the time of day: the same sound would not give the same bytes. */
    if (format == MG_AUDIO_WAV_F32) sf_command(file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    if (!isnan(level)) sf_command(file, SFC_SET_COMPRESSION_LEVEL, &level, sizeof level);
    if (format == MG_AUDIO_MP3) sf_command(file, SFC_SET_BITRATE_MODE, &mode, sizeof mode);
    return file;
}

static mg_status encode(mg_audio_sink *sink, const char *path, const mg_audio_coding *coding,
                        const mg_sound *s, const mg_audio_tags *tags)
{
    const mg_audio_format format = coding->format;
    const format_traits *t = traits_of(format);
    SNDFILE *file = open_encoder(sink, coding, s->rate_hz, s->n_channels);
    bool whole = file != NULL;

    if (whole && format != MG_AUDIO_MP3) whole = set_tags(file, tags);
    if (whole) whole = write_pcm(file, t, s->pcm, s->n_frames * s->n_channels);
    if (file && sf_close(file) != 0) whole = false;
    MG_RETURN(sink->st);
    if (!whole) return mg_fail(MG_EFAIL, "%s: cannot write: %s", path, sf_strerror(NULL));
    if (format == MG_AUDIO_FLAC) return mg_flac_vendor_remove(sink->data, &sink->n_data);
    return t->is_ogg ? mg_ogg_serial_set(sink->data, sink->n_data, ogg_serial) : MG_OK;
}

static mg_status put_id3(mg_audio_sink *sink, const mg_audio_tags *tags)
{
    uint8_t *tag;
    int64_t bytes;

    MG_RETURN(mg_id3_tag_make(&tag, &bytes, tags));
    mg_audio_sink_write(sink, tag, bytes);
    mg_audio_sink_set_origin(sink);
    free(tag);
    return sink->st;
}

/* A coder may refuse what no list of ours knows, some of them not before the first frame: try it. */
static mg_status try_encoder(const mg_audio_coding *coding, int64_t rate_hz, int64_t n_channels)
{
    mg_status st = MG_OK;
    const float frame[2] = {0};
    mg_audio_sink sink = {0};

    SNDFILE *file = open_encoder(&sink, coding, rate_hz, n_channels);
    const bool works = file && sf_writef_float(file, frame, 1) == 1;
    if (!works)
        st = mg_fail(MG_EUSAGE, "option --format: %s: not at %lld Hz with %lld channel%s: %s",
                     formats[coding->format].word, (long long)rate_hz, (long long)n_channels,
                     mg_plural(n_channels), sf_strerror(file));
    if (file) sf_close(file);
    mg_audio_sink_close(&sink);
    return st;
}

/* Opus and MP3 have few rates. Beyond those of Vorbis libsndfile 1.2.2 does not return from its sf_close. */
static mg_status check_rate(mg_audio_format format, int64_t rate_hz)
{
    enum { OGG_MOST_HZ = 200000 };
    static const int opus[] = {8000, 12000, 16000, 24000, 48000, 0};
    static const int mp3[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0};
    const int *rates = format == MG_AUDIO_OPUS ? opus : mp3;

    if (format == MG_AUDIO_OGG && rate_hz > OGG_MOST_HZ)
        return mg_fail(MG_EUSAGE,
                       "option --format: ogg: it has rates up to %d Hz, not %lld: give --sample-rate 48000",
                       OGG_MOST_HZ, (long long)rate_hz);
    if (format != MG_AUDIO_OPUS && format != MG_AUDIO_MP3) return MG_OK;
    while (*rates && *rates != rate_hz) rates++;
    if (*rates) return MG_OK;
    return mg_fail(MG_EUSAGE, "option --format: %s: it has %s Hz, not %lld: give --sample-rate 48000",
                   formats[format].word,
                   format == MG_AUDIO_OPUS
                       ? "8000, 12000, 16000, 24000 and 48000"
                       : "8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 and 48000",
                   (long long)rate_hz);
}

mg_status mg_audio_format_check(mg_audio_format format, int64_t rate_hz, int64_t n_channels)
{
    return mg_audio_coding_check(&(mg_audio_coding){.format = format}, rate_hz, n_channels);
}

mg_status mg_audio_coding_check(const mg_audio_coding *coding, int64_t rate_hz, int64_t n_channels)
{
    const mg_audio_format format = coding->format;
    const SF_INFO known = {.samplerate = 48000, .channels = 1, .format = formats[format].sndfile};

    MG_REQUIRE(rate_hz > 0 && rate_hz <= INT32_MAX && n_channels >= 1 && n_channels <= 2);
    if (!sf_format_check(&known))
        return mg_fail(MG_EUSAGE, "option --format: %s: this libsndfile (%s) was built without it",
                       formats[format].word, sf_version_string());
    MG_RETURN(check_rate(format, rate_hz));
    MG_RETURN(mg_audio_coding_check_rates(coding, formats[format].word, rate_hz, n_channels));
    return try_encoder(coding, rate_hz, n_channels);
}

int64_t mg_audio_format_most_frames(mg_audio_format format, int64_t n_channels)
{
    switch (format) {
    case MG_AUDIO_WAV: return WAV_MAX_BYTES / (2 * n_channels);
    case MG_AUDIO_WAV_F32: return WAV_MAX_BYTES / (4 * n_channels);
    case MG_AUDIO_FLAC: return FLAC_MAX_FRAMES;
    default: return INT64_MAX;
    }
}

mg_status mg_audio_length_check(mg_audio_format format, int64_t n_frames, int64_t rate_hz, int64_t n_channels)
{
    const int64_t most = mg_audio_format_most_frames(format, n_channels);

    if (n_frames <= most) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "duration: %.2f s: a %s file holds up to %.2f s at %lld Hz with %lld channel%s; make it "
                   "shorter%s",
                   (double)n_frames / (double)rate_hz, formats[format].word, (double)most / (double)rate_hz,
                   (long long)rate_hz, (long long)n_channels, mg_plural(n_channels),
                   format == MG_AUDIO_FLAC ? "" : ", or give --format flac");
}

static mg_status check_size(const char *path, mg_audio_format format, const mg_sound *s)
{
    if (s->n_frames <= mg_audio_format_most_frames(format, s->n_channels)) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %lld frames are more than a %s file holds", path, (long long)s->n_frames,
                   formats[format].word);
}

static mg_status check_values(const char *path, const mg_sound *s)
{
    const int64_t C = s->n_channels;

    for (int64_t i = 0; i < s->n_frames * C; i++)
        if (!isfinite(s->pcm[i]))
            return mg_fail(MG_EFAIL, "%s: sample %lld of channel %lld is %s, nothing was written", path,
                           (long long)(i / C), (long long)(i % C),
                           isnan(s->pcm[i]) ? "not a number" : "infinite");
    return MG_OK;
}

mg_status mg_audio_file_write(const char *path, mg_audio_format format, const mg_sound *sound,
                              const mg_audio_tags *tags)
{
    return mg_audio_file_write_coded(NULL, path, &(mg_audio_coding){.format = format}, sound, tags);
}

mg_status mg_audio_file_write_coded(char sha256[65], const char *path, const mg_audio_coding *coding,
                                    const mg_sound *sound, const mg_audio_tags *tags)
{
    const mg_audio_format format = coding->format;
    mg_status st = MG_OK;
    const char *name = strcmp(path, "-") == 0 ? "standard output" : path;
    const mg_audio_tags kept = fitting(tags);
    mg_audio_sink sink = {0};

    MG_REQUIRE(sound->n_frames >= 0 && sound->n_channels >= 1 && sound->n_channels <= 2);
    MG_REQUIRE(sound->rate_hz > 0 && sound->rate_hz <= INT32_MAX);
    MG_RETURN(check_rate(format, sound->rate_hz));
    MG_RETURN(check_size(name, format, sound));
    MG_RETURN(check_values(name, sound));
    if (format == MG_AUDIO_MP3) MG_TRY(put_id3(&sink, &kept));
    MG_TRY(encode(&sink, name, coding, sound, &kept));
    MG_TRY(mg_audio_sink_finish(&sink, path, sha256));
done:
    mg_audio_sink_close(&sink);
    return st;
}

static void put_u32(uint8_t *to, int64_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* A WAV of this part alone differs in its header's sizes: of all that follows, and of the values; floats also
 * have their number of frames there. */
mg_status mg_audio_file_write_part(const mg_audio_coding *coding, const mg_sound *part, int64_t first,
                                   int64_t n_frames, const mg_audio_tags *tags)
{
    const int64_t frame_bytes = part->n_channels * (coding->format == MG_AUDIO_WAV ? 2 : 4);
    const mg_audio_tags kept = fitting(tags);
    const mg_sound all = {.n_frames = n_frames, .n_channels = part->n_channels};
    mg_status st = MG_OK;
    mg_audio_sink sink = {0};

    MG_REQUIRE(coding->format <= MG_AUDIO_WAV_F32 && first >= 0 && first + part->n_frames <= n_frames);
    MG_RETURN(check_size("standard output", coding->format, &all));
    MG_RETURN(check_values("standard output", part));
    MG_TRY(encode(&sink, "standard output", coding, part, &kept));
    const int64_t n_header = sink.n_data - part->n_frames * frame_bytes;
    put_u32(sink.data + 4, n_header - 8 + n_frames * frame_bytes);
    put_u32(sink.data + n_header - 4, n_frames * frame_bytes);
    if (memcmp(sink.data + FACT_AT, "fact", 4) == 0) put_u32(sink.data + FACT_AT + 8, n_frames);
    if (first > 0) memmove(sink.data, sink.data + n_header, (size_t)(sink.n_data -= n_header));
    MG_TRY(mg_audio_sink_finish(&sink, "-", NULL));
done:
    mg_audio_sink_close(&sink);
    return st;
}
