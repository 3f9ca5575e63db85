/* The .json beside every clip: all that is needed to make it again, and how it went. clip_metadata.c writes
 * it, clip_metadata_read.c reads it. */
#ifndef MG_CLIP_METADATA_H
#define MG_CLIP_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_file_hash {
    char path[4096];
    char sha256[65];
    bool of_blob_name; /* not computed: the name of the blob in Hugging Face's cache that the file links to */
    bool is_of_text;   /* holds the text encoder and nothing else */
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

/* A file that the clip was made from. */
typedef struct mg_clip_input {
    const char *path;   /* as given; NULL: none */
    const char *sha256; /* NULL: it could not be read any more */
} mg_clip_input;

/* Strings are borrowed; of what was read, from `memory`. */
typedef struct mg_clip_metadata {
    /* the files */
    const char *id;                      /* what their names begin with */
    const char *title;                   /* NULL: none */
    const char *audio_file, *codes_file; /* names without folder; NULL: not written */
    const char *audio_sha256;            /* of the sound file; NULL: not written */
    const char *codes_sha256;      /* of the codes, int32 [K,T]: CODES_FILE without its 128 bytes of header */
    const char *format, *strategy; /* as on the command line */
    double peak_headroom_db, rms_headroom_db, loudness_headroom_db;
    bool loudness_compressor;
    int64_t rate_asked_hz; /* --sample-rate; -1: the codec's */
    int64_t sampling_rate, n_channels, n_frames_pcm;
    double dur_s; /* of the sound */
    /* the request: with it, `seed` and these parameters a call makes the same clip again, alone */
    const char *prompt, *negative_prompt; /* NULL: none */
    mg_clip_input text_states, audio_prompt, melody;
    double prompt_dur_s;     /* that much of the audio prompt; NaN: all of it */
    int64_t n_prompt_frames; /* the first codec frames, which are the audio prompt's */
    bool drop_prompt;
    int64_t index;
    uint64_t seed, call_seed;
    int64_t n_codebooks, n_frames;                      /* K, T: codec frames, the prompt's included */
    int64_t n_window_frames, n_stride_frames;           /* of a clip longer than a window */
    double window_s, stride_s;                          /* as asked; NaN: the model's own */
    double cfg_coef, cfg_coef_beta, top_p, temperature; /* beta NaN: off */
    int64_t top_k;
    bool greedy;
    const char *sampler; /* "audiocraft", "hf" */
    /* the model */
    const char *model, *model_key, *lm, *text_encoder, *codec, *tokenizer; /* as asked for; NULL: not named */
    const char *tokenizer_sha256; /* of spiece.model or tokenizer.json; NULL: none was found */
    const mg_part_source *parts;
    int n_parts;
    const mg_file_hash *weights;
    int n_weights;
    const mg_renamed *applied; /* proposals */
    int n_applied;
    /* the machine */
    const char *version, *backend, *dtype, *audio_library, *host;
    int64_t n_ranks, tp, batch, n_threads;
    /* how long it took */
    double text_s, lm_s, codec_s, ms_per_step;
    int64_t n_steps, n_windows;

    struct mg_clip_metadata_memory *memory; /* behind what was read; NULL otherwise */
} mg_clip_metadata;

/* Whole or not at all. Numbers are written so that reading them gives the same double. */
mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m);

/* The same in one line for the sound file's own tags, malloc'ed, without what another place, day or company
 * would change (names, folders, index, machine, timings): the same clip has the same tag. A text beyond 8 kB
 * is cut. */
mg_status mg_clip_metadata_tag(char **text, const mg_clip_metadata *m);

/* What write wrote. Keys that are not known are passed over, keys that are missing leave what nobody said
 * (NULL, NaN, 0, -1); only the seed and the frames must be there. MG_EFAIL "NAME: key: reason" for what is no
 * such file, a wrong type, a hash that is none, a name with a folder in it. The caller closes it. */
mg_status mg_clip_metadata_load(mg_clip_metadata *m, const char *path);
mg_status mg_clip_metadata_parse(mg_clip_metadata *m, const char *name, const char *text, int64_t text_bytes);
void mg_clip_metadata_close(mg_clip_metadata *m);

#endif
