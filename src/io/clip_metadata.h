/* The .json beside every clip: all that is needed to make it again, and how it went. */
#ifndef MG_CLIP_METADATA_H
#define MG_CLIP_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_file_hash {
    char path[4096];
    char sha256[65];
    bool of_blob_name; /* not computed: the name of the blob in Hugging Face's cache that the file links to */
} mg_file_hash;

/* Where a part came from. Strings are borrowed. */
typedef struct mg_part_source {
    const char *name;      /* "language_model", "text_encoder", "codec" */
    const char *path;      /* the folder or file that was opened */
    const char *form;      /* "Hugging Face", "AudioCraft" */
    const char *container; /* "safetensors", "torch zip", "torch pickle" */
} mg_part_source;

/* A tensor that was taken for another by an accepted proposal. */
typedef struct mg_renamed {
    const char *target, *source;
} mg_renamed;

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
    const char *model, *model_key, *lm, *text_encoder, *codec, *tokenizer; /* as asked for; NULL: not named */
    const mg_part_source *parts;
    int n_parts;
    const mg_file_hash *weights;
    int n_weights;
    const mg_renamed *applied; /* proposals */
    int n_applied;
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
