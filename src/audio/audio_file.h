/* Sound to files and from files, through libsndfile: audio_write.c writes, audio_read.c reads. */
#ifndef MG_AUDIO_FILE_H
#define MG_AUDIO_FILE_H

#include <stdbool.h>

#include "sound.h"
#include "status.h"

typedef enum mg_audio_format {
    MG_AUDIO_WAV,     /* 16 bits, rounded to nearest (x * 32768), saturated, no dither, as ffmpeg does for
                         AudioCraft */
    MG_AUDIO_WAV_F32, /* the floats themselves */
    MG_AUDIO_FLAC,    /* 16 bits, the same integers as WAV */
    MG_AUDIO_OGG,     /* Vorbis, quality 4 of 10 (libsndfile's default); cut to ±1, as the next two */
    MG_AUDIO_OPUS,    /* 96 kbit/s a channel */
    MG_AUDIO_MP3,     /* the most a constant rate may be: 320 kbit/s as in AudioCraft; below 32 kHz 160, below
                         16 kHz 64 */
} mg_audio_format;
enum { MG_AUDIO_N_FORMATS = MG_AUDIO_MP3 + 1 };

/* The words of --format, in the order of the enum, and what a file's name ends with: ".wav", ".flac" … */
#define MG_AUDIO_FORMAT_CHOICES "wav|wav-f32|flac|ogg|opus|mp3"
const char *mg_audio_format_suffix(mg_audio_format format);

/* Does a name end as a sound's of one of the formats? */
bool mg_audio_is_name(const char *name);

/* What a player shows; UTF-8, borrowed. Left out: NULL, "", a comment of more than 32 KiB, another of more
 * than 1 KiB. */
typedef struct mg_audio_tags {
    const char *title;
    const char *comment; /* the clip's metadata, as JSON */
    const char *software;
} mg_audio_tags;

/* "libsndfile-1.2.0": the same sound gives the same bytes from the same library. */
const char *mg_audio_library(void);

/* A format, and how much of the sound a lossy one keeps. */
typedef struct mg_audio_coding {
    mg_audio_format format;
    int64_t bitrate_kbps; /* MP3, Opus: of all channels together; 0: as above */
    bool has_quality;     /* Ogg, MP3: a variable rate, */
    double quality;       /* 0 to 10, 10 is best */
} mg_audio_coding;

/* MG_EUSAGE if `format` cannot hold this rate or channel count, or if this libsndfile was built without it.
 * To be asked before anything is made. Opus has 8, 12, 16, 24 and 48 kHz. */
mg_status mg_audio_format_check(mg_audio_format format, int64_t rate_hz, int64_t n_channels);

/* The same, and that the format has such a bit rate or quality. */
mg_status mg_audio_coding_check(const mg_audio_coding *coding, int64_t rate_hz, int64_t n_channels);

/* The most frames that a file of this format holds: 4 GiB of WAV, 36 bits of FLAC's count. INT64_MAX: more
 * than anybody makes. */
int64_t mg_audio_format_most_frames(mg_audio_format format, int64_t n_channels);

/* MG_EUSAGE with both lengths if a file of this format holds no such sound. To be asked before it is made. */
mg_status mg_audio_length_check(mg_audio_format format, int64_t n_frames, int64_t rate_hz,
                                int64_t n_channels);

/* MG_EFAIL names the first NaN or infinity. The same sound and tags give the same bytes at any time and
 * place: no dates, no random serial numbers. The file appears whole or not at all (out_file.h). `path` "-" is
 * standard output: everything at once, after it has been made in memory. A reader that closed the pipe is
 * MG_EFAIL, not SIGPIPE. `tags` may be NULL. */
mg_status mg_audio_file_write(const char *path, mg_audio_format format, const mg_sound *sound,
                              const mg_audio_tags *tags);

/* The same, with the sha256 of the file's bytes; NULL: not wanted. */
mg_status mg_audio_file_write_coded(char sha256[65], const char *path, const mg_audio_coding *coding,
                                    const mg_sound *sound, const mg_audio_tags *tags);

/* Frames [first, …) of a WAV of n_frames in all to standard output, for whoever hears it while it is made:
 * its parts, in order, are the bytes that mg_audio_file_write_coded writes of the whole. The tags are in the
 * first. */
mg_status mg_audio_file_write_part(const mg_audio_coding *coding, const mg_sound *part, int64_t first,
                                   int64_t n_frames, const mg_audio_tags *tags);

/* What a sound file says of itself, from its header. */
typedef struct mg_audio_info {
    int64_t n_frames, n_channels, rate_hz;
} mg_audio_info;

/* MG_EFAIL "PATH: reason and remedy" for what is missing, no regular file, or no sound that libsndfile knows.
 * Also for a sound of no frame, of more than 8 channels, or of a rate outside 1 … 768 kHz. A WAV file that a
 * pipe wrote is as long as the file; an Ogg file is as long as all its links. */
mg_status mg_audio_file_probe(mg_audio_info *info, const char *path);

/* The first `limit_s` seconds (NaN or INFINITY: all), floats at the file's own rate and channels. MG_EFAIL as
 * above, for a sample that is not finite, for more than 4 hours to read, and for a file that was cut off. Of
 * a WAV or MP3 file that was cut off, which is common, what is there is used, with one warning for the file.
 */
mg_status mg_audio_file_read(mg_sound *out, const char *path, double limit_s);

#endif
