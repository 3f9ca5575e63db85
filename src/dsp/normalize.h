/* What becomes of the level before a file is written: AudioCraft's audio_write strategies with its headrooms.
 * Spec: docs/MODEL.md §Sound out. */
#ifndef MG_NORMALIZE_H
#define MG_NORMALIZE_H

#include <stdbool.h>

#include "sound.h"
#include "status.h"

typedef enum mg_strategy {
    MG_STRATEGY_PEAK,     /* scaled so that the highest peak stands `peak_headroom_db` below full scale */
    MG_STRATEGY_LOUDNESS, /* scaled to -loudness_headroom_db LUFS, then cut to ±1 */
    MG_STRATEGY_RMS,      /* scaled to -rms_headroom_db of rms, then cut to ±1 */
    MG_STRATEGY_CLIP,     /* cut `peak_headroom_db` below full scale, nothing else */
    MG_STRATEGY_NONE,     /* untouched */
} mg_strategy;

/* The words of --strategy, in the order of the enum. */
#define MG_STRATEGY_CHOICES "peak|loudness|rms|clip|none"

typedef struct mg_normalization {
    mg_strategy strategy;
    double peak_headroom_db;     /* AudioCraft's default: 1 */
    double rms_headroom_db;      /* 18 */
    double loudness_headroom_db; /* 14 */
    bool loudness_compressor;    /* tanh after the gain; MG_STRATEGY_LOUDNESS alone */
} mg_normalization;

/* In place; *n_cut samples were cut. A sound too quiet to measure (silence for peak and rms; an rms below
 * 2e-3, or less than 0.4 s, for loudness) keeps its level. MG_EFAIL names the first sample that is not
 * finite. */
mg_status mg_normalize(int64_t *n_cut, mg_sound *s, const mg_normalization *how);

/* The share of samples that may be cut before it is heard. */
#define MG_CLIPPED_HEARD 1e-4

#endif
