/* EnCodec (SEANet + residual vector quantisation), fp32: codes -> sound and sound -> codes. Spec:
 * docs/MODEL.md §EnCodec (transformers' EncodecModel). Only a replica's leader has one. The codec is mono: a
 * stereo clip is two runs, over every second row of the codes and every second value of the sound.
 *
 * Sound is time-major inside. Both ways run over stretches of a second or so. Each layer computes just the
 * rows that the stretch needs; the LSTM keeps its state. So memory does not grow with the clip, and the
 * values are those of the whole clip. */
#ifndef MG_ENCODEC_H
#define MG_ENCODEC_H

#include "config.h"
#include "sound.h"
#include "weights.h"

typedef struct mg_encodec mg_encodec;

/* Which halves: the survey looks for all of it in any case, the load reads what is asked for. */
enum { MG_ENCODEC_DECODER = 1, MG_ENCODEC_ENCODER = 2 };

/* Survey or load, by what w->arena is. *out is made on the first call (NULL before it) and kept on the
 * second; `halves` is the same for both. */
mg_status mg_encodec_load(mg_encodec **out, const mg_codec_config *config, int halves, mg_weights *w);
void mg_encodec_close(mg_encodec *c);

/* Take room for the halves that are there. */
mg_status mg_encodec_reserve(mg_encodec *c, mg_arena *run);

/* A channel of a clip's codes, int32 in host memory: codebook k of frame t is at codes[k * row_stride + t].
 */
typedef struct mg_encodec_codes {
    int32_t *codes;
    int64_t row_stride, T;
} mg_encodec_codes;

/* A channel of a sound in host memory: frame n is at pcm[n * stride]. */
typedef struct mg_encodec_pcm {
    float *pcm;
    int64_t stride, N;
} mg_encodec_pcm;

/* pcm->N = T * hop samples, untouched by any normalisation. Codes in 0 … codebook_size-1 (MG_EFAIL names the
 * first that is not); they are only read. */
mg_status mg_encodec_decode(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes);

/* The codes of a sound of N > 0 samples, all n_codebooks of them: codes->T = mg_encodec_frames(c, N). A tie
 * between code vectors goes to the lower one. The sound is only read. */
mg_status mg_encodec_encode(mg_encodec *c, const mg_encodec_codes *codes, const mg_encodec_pcm *pcm);

/* All channels of a sound at once: channel c of n is rows c, c + n, … of codes [n_codebooks * n, T]. The
 * sound to decode into has T * hop frames; when encoding, the codes' rows are `row_stride` apart. */
mg_status mg_encodec_decode_sound(mg_encodec *c, const mg_sound *sound, int32_t *codes, int64_t T);
mg_status mg_encodec_encode_sound(mg_encodec *c, int32_t *codes, int64_t row_stride, const mg_sound *sound);

/* ceil(N / hop) */
int64_t mg_encodec_frames(const mg_codec_config *config, int64_t N);

#endif
