/* The style encoder, fp32: an excerpt of sound -> rows that stand for its style. Spec: docs/MODEL.md, "Style"
 * (AudioCraft's StyleConditioner). Only a replica's leader has one. One excerpt at a time: a result depends
 * on that excerpt alone. */
#ifndef MG_STYLE_H
#define MG_STYLE_H

#include "config.h"
#include "weights.h"

typedef struct mg_style mg_style;

#define MG_STYLE_PREFIX "style_encoder." /* before its names in a language model's checkpoint (key_map.c) */

/* Survey or load, by what w->arena is. `w` reads the conditioner's own tensors ("embed.weight",
 * "transformer.layers.0.norm1.weight", …), then MERT's from `mert`, whose names stand behind mert_prefix;
 * NULL: random weights. *out is made on the first call (set it to NULL before) and kept on the second; a call
 * that fails closes it and sets it to NULL. */
mg_status mg_style_load(mg_style **out, const mg_style_config *config, mg_weights *w,
                        const mg_checkpoint *mert, const char *mert_prefix);
void mg_style_close(mg_style *s);

/* Rows that an excerpt of n_samples at mert.sampling_rate becomes; 0: it is too short for one. */
int64_t mg_style_n_rows(const mg_style_config *c, int64_t n_samples);

/* Take room for excerpts of up to n_samples. */
mg_status mg_style_reserve(mg_style *s, mg_arena *run, int64_t n_samples);

/* rows_host [mg_style_n_rows, D] fp32, before output_proj, from pcm [n_samples] in host memory: mono, at
 * mert.sampling_rate. Of the quantiser the first n_codebooks are used, 1 … config.n_codebooks. Waits
 * for them. */
mg_status mg_style_encode(mg_style *s, float *rows_host, const float *pcm, int64_t n_samples,
                          int64_t n_codebooks);

#endif
