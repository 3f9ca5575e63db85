/* The .json beside every clip: all that is needed to make it again, and how it went. */
#ifndef MG_CLIP_METADATA_H
#define MG_CLIP_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_file_hash {
    char path[4096];
    char sha256[65];
} mg_file_hash;

/* Strings are borrowed. */
typedef struct mg_clip_metadata {
    /* the file */
    const char *audio_file, *codes_file; /* names without folder; codes_file NULL if not saved */
    const char *format, *strategy;       /* as on the command line */
    int64_t sampling_rate, n_channels, n_frames_pcm;
    double dur_s;
    /* the request: a call with this prompt, `seed` and these parameters makes the same clip again, alone */
    const char *prompt; /* NULL: --unconditional */
    int64_t index;
    uint64_t seed, call_seed;
    int64_t n_frames; /* codec frames */
    double cfg_coef, top_p, temperature;
    int64_t top_k;
    bool greedy;
    /* the model */
    const char *model, *text_encoder, *codec, *tokenizer; /* the last three NULL: in `model` */
    const mg_file_hash *weights;
    int n_weights;
    /* the machine */
    const char *version, *backend, *dtype, *host;
    int64_t n_ranks, tp, batch, n_threads;
    /* how long it took */
    double text_s, lm_s, codec_s, ms_per_step;
    int64_t n_steps;
} mg_clip_metadata;

/* Whole or not at all. Numbers are written so that reading them gives the same double. */
mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m);

#endif
