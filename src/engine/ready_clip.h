/* A clip that is being made, on a leader: prepared (conditions.h), in a slot (scheduler.h), finished
 * (finisher.h). It has one owner at a time. */
#ifndef MG_READY_CLIP_H
#define MG_READY_CLIP_H

#include <stddef.h>

#include "clip.h"
#include "lm.h"
#include "sound.h"
#include "status.h"

typedef struct mg_ready_clip {
    const mg_clip *clip; /* borrowed until it is delivered */
    mg_clip_terms terms; /* the clip's, and what preparing found */
    mg_fault fault;      /* why it cannot be made; MG_OK: it can */
    void *payload;       /* mg_clip_payload_bytes: what the other ranks need besides the terms */
    int32_t *codes;      /* [K,T], undelayed; there when the last step is done */
    int64_t n_steps, n_windows;
    double text_s, lm_s; /* wall clock: preparing; from admission to the last step, beside other clips */
} mg_ready_clip;

/* The result of a clip. Borrowed until the callback returns. */
typedef struct mg_clip_result {
    mg_fault fault;       /* MG_OK, or why there is nothing */
    const int32_t *codes; /* [K,T], undelayed; stereo left and right interleaved */
    int64_t T_prompt;     /* the first frames, which are the audio prompt's */
    mg_sound sound;       /* the codec's output untouched; the callback may change its values. No pcm in a
                             replica without a decoder */
    int64_t n_steps, n_windows;
    double text_s, lm_s, codec_s; /* wall clock; of clips that are decoded together, each one's share */
} mg_clip_result;

/* The parts of a payload, views into it. */
typedef struct mg_clip_payload {
    int32_t *prompt; /* [K,T_prompt]: codes of the audio prompt */
    float *text;     /* [S,d_text] */
    float *negative; /* [S_negative,d_text] */
    int32_t *bins;   /* [n_windows,n_bins]: pitch classes of the melody */
    float *style;    /* [n_style,n_chroma] */
} mg_clip_payload;

size_t mg_clip_payload_bytes(const mg_clip_terms *terms, const mg_lm_config *lm);
mg_clip_payload mg_clip_payload_of(void *payload, const mg_clip_terms *terms, const mg_lm_config *lm);

/* NULL is legal. */
void mg_ready_clip_close(mg_ready_clip *c);

#endif
