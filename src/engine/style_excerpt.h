/* The excerpt of a sound whose style a clip follows, as AudioCraft takes it: cut out at the codec's rate,
 * then heard at MERT's. */
#ifndef MG_STYLE_EXCERPT_H
#define MG_STYLE_EXCERPT_H

#include "clip.h"
#include "sound.h"
#include "style.h"

/* The excerpt's first frame, *first, and its length, *n, of a sound of n_all frames at the codec's rate.
 * MG_EFAIL if the sound ends before it. */
mg_status mg_style_excerpt_find(int64_t *first, int64_t *n, const mg_config *config, const mg_clip *clip,
                                int64_t n_all);

/* Samples at MERT's rate that an excerpt of dur_s becomes. */
int64_t mg_style_excerpt_heard(const mg_config *config, double dur_s);

/* Read it: mono, at MERT's rate. */
mg_status mg_style_excerpt_read(mg_sound *out, const mg_config *config, const mg_clip *clip);

#endif
