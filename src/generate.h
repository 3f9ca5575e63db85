/* What the parts of `mg-dist generate` share: its settings, its clips (generate_clips.c) and the files they
 * become (generate_output.c). cmd_generate.c holds the option table and the course of a run. */
#ifndef MG_GENERATE_H
#define MG_GENERATE_H

#include <pthread.h>

#include "audio_file.h"
#include "cli.h"
#include "clip.h"
#include "clip_metadata.h"
#include "prompt_list.h"
#include "replica.h"

typedef struct mg_generate_settings {
    const char *model, *model_key, *lm, *text_encoder, *codec, *tokenizer;
    bool apply_proposed;
    mg_strings prompts;
    const char *prompts_file;
    int64_t n_unconditional;
    double dur_s;     /* NaN: not given */
    int64_t n_frames; /* -1: not given */
    double cfg_coef, top_p, temperature;
    int64_t top_k;
    bool greedy;
    int64_t seed; /* -1: draw one */
    int64_t n_slots;
    mg_machine machine;
    const char *out_dir;
    int format;   /* mg_audio_format */
    int strategy; /* mg_generate_strategy */
    bool save_codes;
} mg_generate_settings;

enum mg_generate_strategy { MG_STRATEGY_CLIP, MG_STRATEGY_NONE };

/* The words of --format and --strategy, for the table and for the metadata. */
#define MG_FORMAT_CHOICES   "wav|wav-f32"
#define MG_STRATEGY_CHOICES "clip|none"

typedef struct mg_clip_list {
    mg_clip *clip;          /* [n], in the order of the call */
    mg_prompt_list prompts; /* the texts behind them */
    int64_t n;
    int64_t n_with_prompt; /* the first ones; the rest are --unconditional */
    uint64_t seed;         /* of the call: clip i has seed + i */
} mg_clip_list;

/* The call's prompts and seed, as rank 0 sees them (it alone has standard input and draws), the same on every
 * rank. Collective and agreed. */
mg_status mg_clip_list_open(mg_clip_list *list, const mg_generate_settings *settings, const mg_world *world);

/* The rest, for which the model must be known: frames, sampling, tokens. Not collective; the same everywhere.
 */
mg_status mg_clip_list_fill(mg_clip_list *list, const mg_generate_settings *settings,
                            const mg_model_files *files);
void mg_clip_list_close(mg_clip_list *list);

bool mg_clip_list_has_text(const mg_clip_list *list);

/* Turns finished clips into files, on a leader. */
typedef struct mg_generate_output {
    const mg_generate_settings *settings;
    const mg_clip_list *list;
    const mg_replica *replica;
    const mg_world *world;
    int32_t *outcome;     /* [list->n]: 0 not ours or not done, 1 delivered, 2 failed; owned */
    mg_file_hash *hashes; /* of the weights' files, each once */
    int n_hashes;
    mg_renamed *applied; /* the replica's accepted proposals, for the metadata */
    pthread_t hasher;
    bool hasher_runs;
    mg_status hash_st;
    char hash_error[512];
} mg_generate_output;

/* Starts hashing the weight files behind the work. */
mg_status mg_generate_output_open(mg_generate_output *o, const mg_generate_settings *settings,
                                  const mg_clip_list *list, const mg_replica *replica, const mg_world *world);
void mg_generate_output_close(mg_generate_output *o);

/* The scheduler's callback; `arg` is the mg_generate_output. A clip that cannot be written is reported,
 * counted and no reason to stop. */
mg_status mg_generate_output_take(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* Every rank learns every outcome; rank 0 prints the paths of what was delivered, in order, on stdout.
 * MG_OK, MG_EPARTIAL if some clips failed, MG_EFAIL if all did. Collective and agreed. */
mg_status mg_generate_output_conclude(mg_generate_output *o);

#endif
