/* A clip: what is asked for, and what came of it. A clip's codes are a function of this struct and of the
 * model alone; which slot, batch or rank computes it changes nothing. */
#ifndef MG_CLIP_H
#define MG_CLIP_H

#include <stdint.h>

#include "sampler.h"

typedef struct mg_clip {
    int64_t index;      /* in the whole call, over all replicas: names its files */
    const char *prompt; /* "": no text, and so no guidance */
    int32_t *ids;       /* [S] tokens of the prompt with the closing </s>; NULL without text */
    int64_t S;          /* 0 without text */
    uint64_t seed;      /* 0 … 2^53-1 */
    int64_t T;          /* codec frames */
    double guidance;    /* 1: off */
    mg_sampling sampling;
} mg_clip;

/* What came of a clip, on the leader. Borrowed until the callback returns. */
typedef struct mg_clip_result {
    mg_status st;         /* MG_OK, or why there is no sound: mg_last_error() says it */
    const int32_t *codes; /* [K,T], undelayed */
    float *pcm;           /* [T * hop], the codec's output untouched; the callback may change it */
    int64_t n_frames;     /* of pcm */
    int64_t n_steps;
    double text_s, lm_s, codec_s; /* wall clock; lm_s from admission to the last step, beside other clips */
} mg_clip_result;

/* Two sequences with and without text, or one. */
static inline int mg_clip_has_text(const mg_clip *c)
{
    return c->S > 0;
}

static inline int mg_clip_is_guided(const mg_clip *c)
{
    return c->S > 0 && c->guidance != 1.0;
}

#endif
