/* What the parts of `mg-dist generate` and `mg-dist replay` share: the settings, the clips
 * (clip_list.c), and the files they become (outcomes.c, clip_files.c). generate_run.c is the
 * course of a run; cmd_generate.c and cmd_replay.c are two ways to ask for one. */
#ifndef MG_CLIP_LIST_H
#define MG_CLIP_LIST_H

#include "audio_file.h"
#include "cli.h"
#include "clip.h"
#include "clip_metadata.h"
#include "normalize.h"
#include "replica.h"
#include "request_list.h"

typedef struct mg_generate_settings {
    /* model */
    const char *model, *model_key, *manifest, *lm, *text_encoder, *codec, *tokenizer;
    bool apply_proposed;
    /* what to make */
    mg_strings prompts;
    const char *prompts_file;  /* prompts or JSON lines */
    mg_strings prompt_files;   /* each one long prompt, its first line the title */
    const mg_request *request; /* one more, of a command that builds it itself; on rank 0, else NULL */
    int64_t n_unconditional;
    int64_t n_per_prompt;
    double dur_s;     /* NaN: not given */
    int64_t n_frames; /* -1: not given */
    /* what to follow: one for all prompts, or one each */
    mg_strings negative_prompts, audio_prompts, melodies, text_states;
    double prompt_dur_s; /* NaN: all of it */
    bool keep_prompt, drop_prompt;
    double window_s, extend_stride_s; /* NaN: the model's own */
    /* sampling: what is not given is the checkpoint's, else the rules' default */
    double cfg_coef, cfg_coef_beta, top_p, temperature; /* NaN: not given */
    int64_t top_k;                                      /* -1: not given */
    bool greedy;
    int sampler;  /* mg_sampler_rules */
    int64_t seed; /* -1: draw one */
    /* output */
    const char *out_dir; /* "-": one clip, to standard output */
    int format;          /* mg_audio_format */
    int strategy;        /* mg_strategy */
    double peak_headroom_db, rms_headroom_db, loudness_headroom_db;
    bool loudness_compressor;
    int64_t rate_hz; /* -1: the codec's */
    int naming;      /* mg_generate_naming; -1: index, or title with prompt_files */
    bool save_codes, codes_only;
    bool no_paths; /* what was delivered is not printed: the caller has more to say */
    /* machine */
    int64_t n_slots;
    mg_machine machine;
} mg_generate_settings;

enum mg_generate_naming { MG_NAMING_INDEX, MG_NAMING_TITLE };
#define MG_NAMING_CHOICES  "index|title"
#define MG_SAMPLER_CHOICES "audiocraft|hf" /* in the order of mg_sampler_rules */

typedef struct mg_clip_list {
    mg_clip *clip;            /* [n], in the order of the call; the strings inside are the requests' */
    char **name;              /* [n] the stem of its files, unique in the call; owned */
    const mg_request **asked; /* [n] what it was made from */
    bool *refused;            /* [n] reported and left out before the work began */
    mg_request_list requests;
    struct mg_request_state *state; /* [requests.n] what clip_list.c and clip_list_fill.c know of each */
    int64_t n;
    uint64_t seed; /* of the call: a clip without a seed of its own has seed + index */
} mg_clip_list;

/* The call's requests and seed, as rank 0 sees them (it alone reads files and standard input, and draws), the
 * same on every rank: how many clips, which files they name. Rank 0 looks into each named file before
 * anything is loaded; a clip whose file cannot be used is reported and left out (its outcome is "failed"),
 * and if that is all of them the call fails with the last one's message. Collective and agreed. */
mg_status mg_clip_list_open(mg_clip_list *list, const mg_generate_settings *settings, const mg_world *world);

/* The rest, for which the model must be known: frames, windows, sampling, tokens. What the model cannot do is
 * refused clip by clip, as above. Not collective; the same everywhere. */
mg_status mg_clip_list_fill(mg_clip_list *list, const mg_generate_settings *settings,
                            const mg_replica *replica);
void mg_clip_list_close(mg_clip_list *list);

/* What the clips need of the model. */
bool mg_clip_list_has_text(const mg_clip_list *list);         /* a T5 and a tokenizer */
bool mg_clip_list_has_audio_prompt(const mg_clip_list *list); /* the codec's encoder: sound, not codes */

/* Turns finished clips into files, on a leader. */
typedef struct mg_generate_output mg_generate_output;

/* Makes the folder and starts hashing the weight files behind the work. */
mg_status mg_generate_output_open(mg_generate_output **out, const mg_generate_settings *settings,
                                  const mg_clip_list *list, const mg_replica *replica, const mg_world *world);
void mg_generate_output_close(mg_generate_output *o);

/* The scheduler's callback; `arg` is the mg_generate_output. A clip that cannot be written is reported,
 * counted and no reason to stop. */
mg_status mg_generate_output_take(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* Every rank learns every outcome; rank 0 prints the paths of what was delivered, in order, on stdout (on
 * stderr if the sound went there). MG_OK, MG_EPARTIAL if some clips failed, MG_EFAIL if all did. Collective
 * and agreed. */
mg_status mg_generate_output_conclude(mg_generate_output *o);

/* The whole course: clips, model, plan, work, account. */
mg_status mg_generate_run(mg_context *context, const mg_generate_settings *settings);

/* What no option said: the defaults of the table, for a command that has none of these options. */
void mg_generate_settings_init(mg_generate_settings *settings);

#endif
