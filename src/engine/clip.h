/* A clip. The leader has all of it (mg_clip: texts, files); every rank of the group has its numbers
 * (mg_clip_terms). A clip's codes depend on its terms, its texts, its files and the model alone: slot, batch
 * and rank change nothing. */
#ifndef MG_CLIP_H
#define MG_CLIP_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampling.h"

/* Plain numbers: broadcast byte by byte when the clip takes a slot. */
typedef struct mg_clip_terms {
    uint64_t seed;         /* 0 … 2^53-1 */
    int64_t T;             /* codec frames, the audio prompt's included */
    int64_t T_window;      /* the most that the model sees at once; a longer clip is made in windows */
    int64_t T_stride;      /* from one window's beginning to the next one's; 1 … T_window-1 */
    int64_t S, S_negative; /* tokens of the text and of the negative text; 0: none */
    bool with_melody;      /* conditioned on a melody's chroma, or on a style */
    double guidance;       /* 1: off */
    double guidance_beta;  /* double guidance, text over melody; NaN: off */
    mg_sampling sampling;
    /* what preparing finds (conditions.h); 0 before */
    int64_t T_prompt; /* codec frames of the audio prompt */
    int64_t n_bins;   /* pitch classes of the melody in each window */
    int64_t n_style;  /* rows of the style; 0: none */
} mg_clip_terms;

/* A text for the language model: tokens, or precomputed text states. */
typedef struct mg_clip_text {
    const char *text;   /* as given; "": none */
    const char *states; /* file of states [S, d_text] (text_states.h) instead of a text; NULL: none */
    int32_t *ids;       /* [S] tokens of the text with the closing </s>; NULL without a text */
} mg_clip_text;

/* On a leader. Strings and tokens are borrowed until the clip is delivered. */
typedef struct mg_clip {
    int64_t index; /* in the whole call, over all replicas */
    mg_clip_terms terms;
    mg_clip_text text;         /* terms.S tokens */
    mg_clip_text negative;     /* terms.S_negative tokens */
    const char *melody;        /* sound file, if terms.with_melody */
    double style_start_s;      /* of a style model: where the excerpt of it begins; NaN: it is the middle */
    double style_dur_s;        /* its length */
    int64_t style_n_codebooks; /* of the style's quantiser that are used */
    const char *audio_prompt;  /* sound or codes (.npy) that the clip continues; NULL: none */
    double audio_prompt_dur_s; /* that much of its beginning; NaN: all */
    int64_t written_hz;        /* the rate of its file; 0: the codec's */
} mg_clip;

/* True if guidance is on: there is a text, a melody or a negative text, and the guidance scale is not 1. */
static inline bool mg_clip_is_guided(const mg_clip_terms *c)
{
    return (c->S > 0 || c->with_melody || c->S_negative > 0) && c->guidance != 1.0;
}

/* True with double guidance: text over melody over nothing. */
static inline bool mg_clip_is_guided_twice(const mg_clip_terms *c)
{
    return mg_clip_is_guided(c) && c->with_melody && c->S > 0 && !isnan(c->guidance_beta);
}

/* Sequences of the clip in a forward pass. */
static inline int mg_clip_n_rows(const mg_clip_terms *c)
{
    return mg_clip_is_guided_twice(c) ? 3 : mg_clip_is_guided(c) ? 2 : 1;
}

static inline int64_t mg_clip_n_windows(const mg_clip_terms *c)
{
    return c->T <= c->T_window ? 1 : 1 + (c->T - c->T_window + c->T_stride - 1) / c->T_stride;
}

/* The larger of both texts' tokens. */
static inline int64_t mg_clip_n_tokens(const mg_clip_terms *c)
{
    return c->S > c->S_negative ? c->S : c->S_negative;
}

#endif
