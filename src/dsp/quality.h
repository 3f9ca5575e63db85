/* Signs that a model has failed at a clip, as numbers, and the limits that a quality gate holds them
 * against. A clip is judged by its codes and by the codec's output; clipping by what was cut when its level
 * was set. */
#ifndef MG_QUALITY_H
#define MG_QUALITY_H

#include <stdbool.h>

#include "sound.h"

/* Beyond its limit a sign is a fault. */
typedef struct mg_quality_limits {
    double silence_db;      /* a piece of 50 ms with a lower rms is silent, relative to full scale */
    double silence;         /* share of pieces that are silent */
    double clipping;        /* share of samples that were cut off */
    double dc;              /* a channel's mean over its rms: 1 is nothing but an offset */
    double dead_channel_db; /* how far a channel's rms is below that of the loudest one */
    double repeat;          /* share of the clip that is one stretch of one code in the first codebook */
    double loop;            /* share of the clip that is one stretch of the same codes over and over */
} mg_quality_limits;

typedef struct mg_quality {
    int64_t n_not_finite; /* samples; then nothing else of the sound is measured */
    double silence, clipping, dc, dead_channel_db, repeat, loop;
} mg_quality;

int64_t mg_quality_count_not_finite(const mg_sound *s);

/* All but clipping, which is the caller's to say, and the codes. `s` is the codec's output, before its level
 * is set: a level hides silence.
 */
void mg_quality_measure_sound(mg_quality *q, const mg_sound *s, double silence_db);

/* repeat and loop of codes [K,T], undelayed, from column `first` on. Stretches of less than half a second are
 * not counted. With n_channels 2 the first two codebooks are the first ones of both channels. */
void mg_quality_measure_codes(mg_quality *q, const int32_t *codes, int64_t K, int64_t T, int64_t first,
                              int64_t n_channels);

/* The faults by name, "silence, loop"; "" if there is none. */
enum { MG_QUALITY_WORDS_SIZE = 96 };
void mg_quality_words(char out[MG_QUALITY_WORDS_SIZE], const mg_quality *q, const mg_quality_limits *limits);

/* The same with the numbers, for a message: "silence 0.98 (limit 0.8)". */
enum { MG_QUALITY_TEXT_SIZE = 320 };
void mg_quality_describe(char out[MG_QUALITY_TEXT_SIZE], const mg_quality *q,
                         const mg_quality_limits *limits);

#endif
