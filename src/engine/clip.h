/* A clip: what is asked for, and what came of it. A clip's codes are a function of this struct, of the files
 * that it names and of the model alone; which slot, batch or rank computes it changes nothing. */
#ifndef MG_CLIP_H
#define MG_CLIP_H

#include <math.h>
#include <stdint.h>

#include "sampling.h"
#include "sound.h"
#include "status.h"

/* A text for the language model: tokens, or states that somebody else computed. */
typedef struct mg_clip_text {
    const char *text;   /* as given; "": none */
    const char *states; /* file of states [S, d_text] (text_states.h) instead of a text; NULL: none */
    int32_t *ids;       /* [S] tokens of the text with the closing </s>; NULL without a text */
    int64_t S;          /* 0: neither text nor states */
} mg_clip_text;

typedef struct mg_clip {
    int64_t index; /* in the whole call, over all replicas */
    mg_clip_text text;
    mg_clip_text negative;     /* what guidance leads away from, in place of no text; S = 0: nothing */
    const char *melody;        /* sound file whose chroma a melody model follows; NULL: none */
    const char *audio_prompt;  /* sound or codes (.npy) that the clip continues; NULL: none */
    double audio_prompt_dur_s; /* that much of its beginning; NaN: all */
    uint64_t seed;             /* 0 … 2^53-1 */
    int64_t T;                 /* codec frames, the audio prompt's included */
    int64_t T_window;          /* the most that the model sees at once; a longer clip is made in windows */
    int64_t T_stride;          /* from one window's beginning to the next one's; 1 … T_window-1 */
    double guidance;           /* 1: off */
    double guidance_beta;      /* double guidance, text over melody; NaN: off */
    mg_sampling sampling;
} mg_clip;

/* What came of a clip, on the leader. Borrowed until the callback returns. */
typedef struct mg_clip_result {
    mg_status st;         /* MG_OK, or why there is nothing: mg_last_error() says it */
    const int32_t *codes; /* [K,T], undelayed; stereo left and right interleaved */
    int64_t T_prompt;     /* the first frames, which are the audio prompt's */
    mg_sound sound;       /* the codec's output untouched; the callback may change its values. No pcm in a
                             replica without a decoder */
    int64_t n_steps, n_windows;
    double text_s, lm_s, codec_s; /* wall clock; lm_s from admission to the last step, beside other clips */
} mg_clip_result;

static inline int mg_clip_has_text(const mg_clip *c)
{
    return c->text.S > 0;
}

/* Something to follow, or to lead away from, and the wish to. */
static inline int mg_clip_is_guided(const mg_clip *c)
{
    return (c->text.S > 0 || c->melody || c->negative.S > 0) && c->guidance != 1.0;
}

/* Text over melody over nothing: three sequences. */
static inline int mg_clip_is_guided_twice(const mg_clip *c)
{
    return mg_clip_is_guided(c) && c->melody && c->text.S > 0 && !isnan(c->guidance_beta);
}

#endif
