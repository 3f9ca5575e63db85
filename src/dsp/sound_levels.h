/* What a meter shows of a finished sound: loudness, peaks, what stands beyond full scale, silence at its
 * ends. Nothing here changes a sound. */
#ifndef MG_SOUND_LEVELS_H
#define MG_SOUND_LEVELS_H

#include "sound.h"
#include "status.h"

typedef struct mg_sound_levels {
    double loudness_lufs;    /* integrated, mg_loudness_standard; NaN: too short or too quiet */
    double true_peak_dbtp;   /* of four times as many samples (BS.1770-4, annex 2); -INFINITY: silence */
    double sample_peak_dbfs; /* -INFINITY: silence */
    int64_t n_over;          /* samples beyond ±1, all channels */
    double silence_start_s;  /* until a sample is louder than -60 dBFS */
    double silence_end_s;    /* since the last one that is; of a silent sound both are all of it */
} mg_sound_levels;

/* One or two channels, finite samples. */
mg_status mg_sound_measure(mg_sound_levels *out, const mg_sound *s);

#endif
