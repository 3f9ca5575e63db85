/* Sound to a file, through libsndfile. */
#ifndef MG_AUDIO_FILE_H
#define MG_AUDIO_FILE_H

#include <stdint.h>

#include "status.h"

typedef enum mg_audio_format { MG_AUDIO_WAV, MG_AUDIO_WAV_F32 } mg_audio_format;

/* `pcm` [n_frames, n_channels], interleaved. WAV: 16-bit, rounded to nearest (x * 32768), saturated, no
 * dither, as ffmpeg does for AudioCraft. WAV_F32: the floats themselves. Either way MG_EFAIL names the first
 * NaN or infinity, the same sound gives the same bytes at any time, and the file appears whole or not at all
 * (out_file.h). Mono or stereo. */
mg_status mg_audio_file_write(const char *path, mg_audio_format format, const float *pcm, int64_t n_frames,
                              int n_channels, int rate_hz);

#endif
