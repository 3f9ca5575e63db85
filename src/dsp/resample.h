/* Other rates and channel counts: AudioCraft's convert_audio, i.e. julius.resample_frac (a windowed sinc per
 * phase, each phase's weights normalised to 1, edges replicated), then the channel rule. Spec: docs/MODEL.md
 * §Sound in. */
#ifndef MG_RESAMPLE_H
#define MG_RESAMPLE_H

#include "sound.h"
#include "status.h"

/* Frames after resampling: floor(n * to / from). */
int64_t mg_resample_count(int64_t n_frames, int64_t from_hz, int64_t to_hz);

/* *out is new, at `rate_hz` with `n_channels` (1 or 2). One channel of many is their mean; more of one are
 * copies; fewer of more than one are the first ones. MG_EFAIL if that leaves no frame. */
mg_status mg_sound_convert(mg_sound *out, const mg_sound *in, int64_t rate_hz, int64_t n_channels);

/* The same of a sound that may be hours long, asking `stop` now and then: what is not MG_OK ends it, and is
 * returned. */
mg_status mg_sound_convert_unless(mg_sound *out, const mg_sound *in, int64_t rate_hz, int64_t n_channels,
                                  mg_status (*stop)(void));

#endif
