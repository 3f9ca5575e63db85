/* How loud is it? BS.1770 as torchaudio computes it (its filters' corner frequencies, its clamp to ±1 after
 * each): what AudioCraft's audio_write measures. Spec: docs/MODEL.md §Sound out. */
#ifndef MG_LOUDNESS_H
#define MG_LOUDNESS_H

#include "sound.h"
#include "status.h"

/* LUFS, in *lufs; NaN if it is shorter than a block of 0.4 s, if nothing of it passes the gates, or below
 * 4 kHz. */
mg_status mg_loudness(double *lufs, const mg_sound *s);

/* The same by ITU-R BS.1770-4 itself: what ffmpeg's ebur128 and other meters show. */
mg_status mg_loudness_standard(double *lufs, const mg_sound *s);

#endif
