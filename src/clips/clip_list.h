/* The clips of a call: the part of `mg-dist generate` and `mg-dist replay` that knows no command line.
 * clip_list*.c make the list; clip_output.h has the files that it becomes. */
#ifndef MG_CLIP_LIST_H
#define MG_CLIP_LIST_H

#include <string.h>

#include "audio_file.h"
#include "clip_metadata.h"
#include "normalize.h"
#include "ready_clip.h"
#include "replica.h"
#include "request_list.h"
#include "string_list.h"
#include "world.h"

/* What is given once for all clips or once for each; a prompt makes a clip. */
typedef struct mg_call_texts {
    mg_strings prompt, negative_prompt, text_states, audio_prompt, melody;
} mg_call_texts;

typedef struct mg_call {
    /* which clips */
    mg_call_texts given;
    const char *prompts_file;  /* a list of jobs, */
    mg_job_format prompts_how; /* read in this way */
    mg_strings prompt_files;   /* each one long prompt, its first line the title */
    const mg_recipe *more;     /* [n_more] of a command that builds them itself; on rank 0 */
    int64_t n_more;
    int64_t n_unconditional; /* -1: none */
    int64_t n_new_tokens; /* how long, as transformers counts: the delay pattern's columns too; -1: not so */
    mg_recipe all;        /* what holds where a clip says nothing of its own; its seed: -1 draws one */
    /* where they go */
    const char *out_dir; /* "-": one clip, to standard output */
    int naming;          /* mg_clip_naming; -1: index, or title with prompt_files */
    int64_t start_index; /* of names by number; MG_START_NEXT: behind those in the folder */
    bool save_codes, codes_only;
    bool overwrite; /* what is there under the clips' names */
    bool as_json;   /* of what was delivered the metadata is printed, a line each, not the path */
    bool no_paths;  /* what was delivered is not printed: the caller has more to say */
    /* which model: for the metadata */
    mg_model_request model;
    const char *model_key;
} mg_call;

/* One sound to standard output and no file beside it. */
static inline bool mg_call_is_to_stdout(const mg_call *call)
{
    return strcmp(call->out_dir, "-") == 0;
}

enum mg_clip_naming { MG_NAMING_INDEX, MG_NAMING_TITLE };
#define MG_NAMING_CHOICES "index|title"
enum { MG_START_NEXT = -1 };

typedef struct mg_job {
    mg_clip clip; /* the strings inside are the request's */
    char *name;   /* on a leader: the stem of its files, unique in the call; owned */
    int64_t i_request;
    bool refused;  /* reported and left out before the work began */
    bool is_there; /* the very same, made before: left out too, and delivered */
} mg_job;

typedef struct mg_clip_list {
    mg_job *job; /* [n], in the order of the call */
    int64_t n;
    mg_request_list requests; /* as asked, then with what the call says, then with what the model says */
    struct mg_request_state *state; /* [requests.n] what clip_list*.c know of each */
    uint64_t seed;                  /* of the call: a clip without a seed of its own has seed + index */
    int64_t start_index;            /* of names by number */
} mg_clip_list;

/* The call's requests and seed, as rank 0 sees them (it alone reads files and standard input, and draws), the
 * same on every rank: how many clips, which files they name. Rank 0 looks into each named file before
 * anything is loaded. A clip whose file cannot be used is reported and left out; its outcome is "failed". If
 * all are left out, the call fails with the last one's message. Collective and agreed. */
mg_status mg_clip_list_open(mg_clip_list *list, const mg_call *call, const mg_world *world);

/* The rest, for which the model must be known: frames, windows, sampling, tokens. What the model cannot do is
 * refused clip by clip, as above. The leader alone has a tokenizer. Collective over the group; the caller
 * agrees. */
mg_status mg_clip_list_fill(mg_clip_list *list, const mg_call *call, const mg_replica *replica);
void mg_clip_list_close(mg_clip_list *list);

/* Look at what stands under the clips' names, after fill and before anything is loaded: the same clip is
 * there already; for anything else MG_EUSAGE names the file and the remedies, unless it is to be overwritten.
 * Collective and agreed. */
mg_status mg_clip_list_look(mg_clip_list *list, const mg_call *call, const mg_replica *replica,
                            const mg_world *world);

/* MG_EFAIL if a file has come under the name since: another call writes into the folder too. */
mg_status mg_clip_list_check_free(const mg_call *call, const char *name);

/* One clip from one record, on a leader alone and at any time: what open and fill do with all. MG_EUSAGE or
 * MG_EFAIL: it cannot be made, and nothing is left open. `tokenizer` may be NULL if it has no text. */
typedef struct mg_clip_record {
    const char *text; /* a JSON object */
    int64_t text_bytes;
    const char *where, *folder; /* as for mg_request_list_add */
    const char *name;           /* of its files */
    int64_t seed;               /* unless the record says one, */
    int64_t copy;               /* which is the first of several clips', and this is another one */
} mg_clip_record;
struct mg_tokenizer;
mg_status mg_clip_list_open_one(mg_clip_list *list, const mg_call *call, const mg_replica *replica,
                                const struct mg_tokenizer *tokenizer, const mg_clip_record *from);

/* What the clips need of the model. */
bool mg_clip_list_has_text(const mg_clip_list *list);         /* a T5 and a tokenizer */
bool mg_clip_list_has_melody(const mg_clip_list *list);       /* a style model's encoder */
bool mg_clip_list_has_audio_prompt(const mg_clip_list *list); /* the codec's encoder: sound, not codes */

/* Codec frames of the longest clip that a file of the recipe's format and rate holds; INT64_MAX: of any. A
 * longer one is refused by mg_clip_list_fill and mg_clip_list_open_one, an audio prompt that is dropped
 * included. */
int64_t mg_clip_list_most_frames(const mg_recipe *q, const mg_replica *r);

/* How its sound is encoded. */
static inline mg_audio_coding mg_recipe_coding(const mg_recipe *r)
{
    return (mg_audio_coding){.format = (mg_audio_format)r->format,
                             .bitrate_kbps = MG_SAID(r, bitrate_kbps) ? r->bitrate_kbps : 0,
                             .has_quality = MG_SAID(r, quality),
                             .quality = r->quality};
}

/* The backend that a clip's text or style is encoded on, if it is another than the language model's. */
static inline const char *mg_clip_text_backend(const mg_recipe *recipe, const mg_replica *replica)
{
    const bool has_style = replica->config.lm.is_style && recipe->melody;

    return mg_recipe_encodes_text(recipe) || has_style ? mg_replica_text_backend(replica) : NULL;
}

/* The recipe of a clip in the list. */
static inline const mg_recipe *mg_clip_list_recipe(const mg_clip_list *list, int64_t index)
{
    return &list->requests.recipe[list->job[index].i_request];
}

#endif
