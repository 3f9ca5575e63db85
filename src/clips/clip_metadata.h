/* The .json beside every clip: all that is needed to make it again, and how it went. clip_metadata.c writes
 * it, clip_metadata_read.c reads it. */
#ifndef MG_CLIP_METADATA_H
#define MG_CLIP_METADATA_H

#include "model_files.h"
#include "recipe.h"
#include "sound_levels.h"

typedef struct mg_file_hash {
    char path[4096];
    char sha256[65];
    bool of_blob_name; /* not computed: the name of the blob in Hugging Face's cache that the file links to */
    mg_weights_use use;
} mg_file_hash;

/* Is a clip of this recipe made of such weights? */
bool mg_recipe_uses(const mg_recipe *r, mg_weights_use use);

/* Where a part came from. Strings are borrowed. */
typedef struct mg_part_source {
    const char *name;      /* "language_model", "text_encoder", "codec", "style_encoder" */
    const char *path;      /* the folder or file that was opened */
    const char *form;      /* "Hugging Face", "AudioCraft" */
    const char *container; /* "safetensors", "torch zip", "torch pickle" */
} mg_part_source;

/* A tensor that was taken for another by an accepted proposal. */
typedef struct mg_renamed {
    const char *target, *source;
} mg_renamed;

/* Strings are borrowed; of what was read, from `memory`. */
typedef struct mg_clip_metadata {
    mg_recipe recipe; /* with it a call makes the same clip again, alone; its files' names and title too */
    const char
        *input_sha256[MG_RECIPE_INPUTS]; /* of the recipe's files; NULL: none, or not readable any more */
    /* the files */
    const char *audio_file, *codes_file; /* names without folder; NULL: not written */
    const char *audio_sha256;            /* of the sound file; NULL: not written */
    const char *sound_sha256; /* of its samples before they were encoded, floats [samples, channels] */
    const char *codes_sha256; /* of the codes, int32 [K,T]: CODES_FILE without its 128 bytes of header */
    int64_t sampling_rate, n_channels, n_frames_pcm;
    double dur_s; /* of the sound */
    mg_sound_levels levels;
    int64_t n_clipped; /* samples that were cut, or are beyond full scale */
    int64_t index;
    uint64_t call_seed;
    int64_t n_codebooks;
    /* the model */
    mg_model_request asked; /* a part that is NULL was not named */
    const char *model_key;
    const char *tokenizer_sha256; /* of spiece.model or tokenizer.json; NULL: none was found */
    const mg_part_source *parts;
    int n_parts;
    const mg_file_hash *weights;
    int n_weights;
    const mg_renamed *applied; /* proposals */
    int n_applied;
    /* the machine */
    const char *version, *backend, *dtype, *audio_library, *host;
    const char *kv;                           /* "int8": 8-bit keys and values; NULL: as dtype has them */
    const char *text_backend, *codec_backend; /* NULL: as backend, or not used */
    const char *reduce; /* how GPUs sum over ranks; NULL: there are no ranks to sum over, or on CPUs */
    int64_t n_ranks, tp, batch, n_threads;
    /* how long it took */
    double text_s, lm_s, codec_s, ms_per_step;
    int64_t n_steps, n_windows;

    struct mg_clip_metadata_memory *memory; /* behind what was read; NULL otherwise */
} mg_clip_metadata;

/* Whole or not at all. Numbers are written so that reading them gives the same double. */
mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m);

/* The same in one line for the sound file's own tags, malloc'ed. Names, folders, index, machine and timings
 * are left out, so that the same clip always has the same tag. A text beyond 8 kB is cut. */
mg_status mg_clip_metadata_tag(char **text, const mg_clip_metadata *m);

/* What write wrote. Keys that are not known are passed over, keys that are missing leave what nobody said
 * (NULL, NaN, 0, -1); only the seed and the frames must be there. MG_EFAIL "NAME: key: reason" for what is no
 * such file, a wrong type, a hash that is none, a name with a folder in it. The caller closes it. */
mg_status mg_clip_metadata_load(mg_clip_metadata *m, const char *path);
mg_status mg_clip_metadata_parse(mg_clip_metadata *m, const char *name, const char *text, int64_t text_bytes);
void mg_clip_metadata_close(mg_clip_metadata *m);

#endif
