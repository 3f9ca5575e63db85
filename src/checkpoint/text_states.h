/* Text states from a file, in place of a text encoder: what transformers' T5EncoderModel leaves in
 * last_hidden_state, one text. A .npy or a safetensors file whose one tensor is [S, d] or [1, S, d], of any
 * float type (npy.h: bfloat16 as uint16). */
#ifndef MG_TEXT_STATES_H
#define MG_TEXT_STATES_H

#include <stdint.h>

#include "status.h"

/* How many tokens and how wide, from the header. MG_EFAIL "PATH: …" for anything else. */
mg_status mg_text_states_probe(int64_t *S, int64_t *d, const char *path);

/* *states [S,d] is malloc'ed. MG_EFAIL also for values that are not finite. */
mg_status mg_text_states_read(float **states, int64_t *S, int64_t *d, const char *path);

#endif
