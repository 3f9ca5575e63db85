/* EnCodec (SEANet + residual vector quantisation), fp32: codes -> sound and sound -> codes. Spec:
 * docs/MODEL.md §EnCodec (transformers' EncodecModel). Only a replica's leader has one. The codec is mono: a
 * stereo clip is two runs, over every second row of the codes and every second value of the sound.
 *
 * Sound is time-major inside. Both ways run over stretches, as long as suits the backend. Each layer computes
 * just the rows that the stretch needs; the LSTM keeps its state. So memory does not grow with the clip, and
 * the values are those of the whole clip. Clips at hand pass the LSTM together, whose every step waits for
 * the one before and for its matrices, 17 MB a layer. What becomes of a clip does not depend on the others.
 */
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

/* Take room for the halves that are there, and for that many clips in the LSTM at once, 1 …
 * MG_ENCODEC_MOST_AT_ONCE. */
enum { MG_ENCODEC_MOST_AT_ONCE = 32 };
mg_status mg_encodec_reserve(mg_encodec *c, mg_arena *run, int64_t n_at_once);
int64_t mg_encodec_at_once(const mg_encodec *c);

/* From now on a signal to stop ends what is at hand with MG_ESTOPPED: an hour of sound takes minutes. */
void mg_encodec_heed_stop(mg_encodec *c);

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

/* n clips, [n] of both: pcm[i].N = T * hop samples, untouched by any normalisation. Codes in 0 …
 * codebook_size-1 (MG_EFAIL names the first that is not, before anything is decoded); they are only read. */
mg_status mg_encodec_decode(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                            int64_t n);

/* The codes of n sounds of N > 0 samples, all n_codebooks of them: codes[i].T = mg_encodec_frames(c, N). A
 * tie between code vectors goes to the lower one. The sounds are only read. */
mg_status mg_encodec_encode(mg_encodec *c, const mg_encodec_codes *codes, const mg_encodec_pcm *pcm,
                            int64_t n);

/* A sound and its codes [n_codebooks * n_channels, row_stride], T of each row: those of channel c of n are
 * rows c, c + n, … */
typedef struct mg_encodec_sound {
    mg_sound sound;
    int32_t *codes;
    int64_t row_stride, T;
} mg_encodec_sound;

/* All channels of n sounds: as above, of every channel. */
mg_status mg_encodec_decode_sounds(mg_encodec *c, const mg_encodec_sound *sounds, int64_t n);
mg_status mg_encodec_encode_sounds(mg_encodec *c, const mg_encodec_sound *sounds, int64_t n);

/* Whoever hears a sound while its codes are still being made. A status other than MG_OK ends the decoding. */
typedef struct mg_encodec_listener {
    int64_t n_piece;                                 /* codec frames that are decoded at once, at most */
    mg_status (*await)(void *arg, int64_t end);      /* until the codes of frames [0, end) are there */
    mg_status (*heard)(void *arg, int64_t n_frames); /* samples [0, n_frames) of all channels are there */
    void *arg;
} mg_encodec_listener;

/* All channels of a sound, the same values as above, piece by piece. In a codec for one clip at once the
 * second channel comes behind the whole first one. */
mg_status mg_encodec_decode_live(mg_encodec *c, const mg_encodec_sound *s, const mg_encodec_listener *l);

/* Are these codes of this codec? As decoding asks. */
mg_status mg_encodec_check_codes(const mg_encodec *c, const mg_encodec_sound *sound);

/* ceil(N / hop) */
int64_t mg_encodec_frames(const mg_codec_config *config, int64_t N);

#endif
