/* Sound in host memory: time-major, [n_frames, n_channels], one PCM sample per channel in a frame. */
#ifndef MG_SOUND_H
#define MG_SOUND_H

#include <stdint.h>

typedef struct mg_sound {
    float *pcm; /* [n_frames, n_channels], full scale is ±1; malloc'ed: mg_sound_close frees it */
    int64_t n_frames;
    int64_t n_channels;
    int64_t rate_hz;
} mg_sound;

void mg_sound_close(mg_sound *s); /* zeroes it; legal on a zeroed one */

#endif
