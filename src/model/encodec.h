/* EnCodec's decoder (SEANet + residual vector quantisation), fp32: codes -> sound. Spec: docs/MODEL.md
 * §EnCodec (transformers' EncodecModel). Only a replica's leader has one.
 *
 * Sound is time-major inside. The convolutions run over stretches of a second or so, each layer on just the
 * rows that the stretch needs: bounded memory, and the same samples as over the whole clip. */
#ifndef MG_ENCODEC_H
#define MG_ENCODEC_H

#include "config.h"
#include "weights.h"

typedef struct mg_encodec mg_encodec;

/* Survey or load, by what w->arena is. *out is made on the first call (NULL before it) and kept on the
 * second. */
mg_status mg_encodec_load(mg_encodec **out, const mg_codec_config *config, mg_weights *w);
void mg_encodec_close(mg_encodec *c);

/* Take room for clips of up to T_max codec frames. */
mg_status mg_encodec_reserve(mg_encodec *c, mg_arena *run, int64_t T_max);

/* pcm_host [T * hop] fp32, untouched by any normalisation. codes: host int32 [n_codebooks, T], each in
 * 0 … codebook_size-1 (MG_EFAIL names the first that is not). */
mg_status mg_encodec_decode(mg_encodec *c, float *pcm_host, const int32_t *codes, int64_t T);

#endif
