/* A clip's recipe: all that decides its bytes but the model and the call's machine. One struct, and one table
 * of its keys, which everybody walks who reads, writes, checks, compares or sends one: JSON lines, options, a
 * clip's metadata, the tag of its sound file, replay, the broadcast to other ranks.
 *
 * To add a setting: a field here (a sampler's: in mg_sampling) and a row in recipe_keys.h. */
#ifndef MG_RECIPE_H
#define MG_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampling.h"
#include "status.h"

/* What is not said has the value that an absent option has: NaN, -1, NULL, false. Strings are borrowed. */
typedef struct mg_recipe {
    const char *where; /* "list.jsonl: line 3", "option --prompt": for messages */
    const char *id;    /* names the files; else the clip's number does */
    const char *title;
    const char *prompt, *negative_prompt;
    const char *text_states, *audio_prompt, *melody; /* paths; "": none, whatever the call says */
    int64_t n;                                       /* clips of this recipe, each with a seed of its own */
    double dur_s;
    int64_t n_frames; /* codec frames */
    bool melody_is_stem;
    int64_t style_n_codebooks;         /* of a style model: how closely the melody's style is followed, */
    double style_dur_s, style_start_s; /* and which excerpt of it is heard */
    double prompt_dur_s;
    bool drop_prompt;
    int64_t seed;
    double window_s, stride_s;
    double cfg_coef, cfg_coef_beta;
    mg_sampling sampling;
    int format;   /* mg_audio_format */
    int strategy; /* mg_strategy */
    double peak_headroom_db, rms_headroom_db, loudness_headroom_db;
    bool loudness_compressor;
    int64_t rate_hz;
    int64_t bitrate_kbps; /* of a lossy format */
    double quality;       /* the same */
    /* what came of it, in codec frames: recorded, not asked for */
    int64_t n_prompt_frames, n_window_frames, n_stride_frames;

    uint64_t said; /* bit i: key i of the table */
} mg_recipe;

#define MG_SAMPLER_CHOICES "audiocraft|hf" /* in the order of mg_sampler_rules */

typedef enum mg_recipe_type {
    MG_KEY_TEXT,   /* const char *, UTF-8 */
    MG_KEY_ID,     /* const char *, fit for a file's name */
    MG_KEY_PATH,   /* const char * */
    MG_KEY_NUMBER, /* double */
    MG_KEY_INT,    /* int64_t */
    MG_KEY_BOOL,   /* bool */
    MG_KEY_CHOICE, /* int: the place of the word in `choices` */
} mg_recipe_type;

/* Where a key stands in the metadata, if it is recorded. */
typedef enum mg_recipe_place {
    MG_AT_NOWHERE,
    MG_AT_NAMES,  /* at the root, before the files' names */
    MG_AT_TEXTS,  /* at the root */
    MG_AT_INPUTS, /* in "inputs", with the file's hash */
    MG_AT_SEED,   /* at the root, beside the call's */
    MG_AT_PARAMETERS,
} mg_recipe_place;

enum {
    MG_KEY_OWN = 1,           /* of one clip alone: not for the call to say */
    MG_KEY_WITH_PROMPT = 2,   /* recorded beside an audio prompt */
    MG_KEY_WITH_WINDOWS = 4,  /* recorded if the clip is longer than a window */
    MG_KEY_WHEN_ON = 8,       /* recorded if it is said and not 0 */
    MG_KEY_NOT_IN_TAG = 16,   /* it decides nothing that another key does not say */
    MG_KEY_OF_RESULT = 32,    /* known of a finished clip alone */
    MG_KEY_WHEN_SAID = 64,    /* recorded if it is said */
    MG_KEY_WITH_MELODY = 128, /* recorded beside a melody */
};

/* Bounds are inclusive, as on the command line. */
typedef struct mg_recipe_key {
    mg_recipe_type type;
    size_t offset;
    double low, high;
    const char *choices;
    const char *key; /* in JSON lines; NULL: not asked for there */
    mg_recipe_place place;
    const char *record; /* in the metadata; NULL: not recorded */
    unsigned flags;
    const char *option; /* on the command line; NULL: none */
} mg_recipe_key;

enum { MG_RECIPE_MAX_KEYS = 64 };
extern const mg_recipe_key mg_recipe_keys[];
extern const int mg_recipe_n_keys;

/* Nothing is said. */
void mg_recipe_init(mg_recipe *r);

bool mg_recipe_says(const mg_recipe *r, const mg_recipe_key *key);
void *mg_recipe_at(mg_recipe *r, const mg_recipe_key *key);
const void *mg_recipe_get(const mg_recipe *r, const mg_recipe_key *key);

/* The key of this name in JSON lines; NULL if there is none. */
const mg_recipe_key *mg_recipe_find(const char *key);
bool mg_recipe_is_string(const mg_recipe_key *key);

/* The i-th key of a file that the clip is made from. */
enum { MG_RECIPE_INPUTS = 3 };
const mg_recipe_key *mg_recipe_input(int i);

/* The same by the field's name. MG_UNSAY makes it absent again. */
#define MG_SAID(r, field) mg_recipe_says((r), mg_recipe_key_of(offsetof(mg_recipe, field)))
#define MG_SAY(r, field, value) \
    ((r)->field = (value), mg_recipe_say((r), mg_recipe_key_of(offsetof(mg_recipe, field))))
#define MG_UNSAY(r, field) mg_recipe_unsay((r), mg_recipe_key_of(offsetof(mg_recipe, field)))
const mg_recipe_key *mg_recipe_key_of(size_t offset);
void mg_recipe_say(mg_recipe *r, const mg_recipe_key *key);
void mg_recipe_unsay(mg_recipe *r, const mg_recipe_key *key);

/* Does the field have the value of what is not said? */
bool mg_recipe_is_absent(const mg_recipe *r, const mg_recipe_key *key);

/* After the option parser wrote the fields: whatever is not absent is said. */
void mg_recipe_see(mg_recipe *r);

/* What `r` does not say and `from` does, but for what is a clip's own. */
void mg_recipe_fill(mg_recipe *r, const mg_recipe *from);

/* MG_EUSAGE "WHERE: KEY: VALUE: must be …" for a value out of range, two lengths, or an id that cannot name a
 * file. Likewise for a text that is not UTF-8 or too long. */
mg_status mg_recipe_check_key(const mg_recipe *r, const mg_recipe_key *key, const char *where);
mg_status mg_recipe_check(const mg_recipe *r, const char *where);

/* That message, for a value that the key cannot have. */
mg_status mg_recipe_refuse(const mg_recipe_key *key, const char *where, const char *value);

/* Is a text encoder needed for it? Not for states that are given, and not without a text. */
bool mg_recipe_encodes_text(const mg_recipe *r);

/* Is it a field of mg_sampling? */
bool mg_recipe_is_of_sampling(const mg_recipe_key *key);

/* How codes are drawn, for people: "top-k 250, temperature 1". */
void mg_recipe_describe_sampling(char *out, size_t out_bytes, const mg_recipe *r);

/* Does a clip's metadata have this key? */
bool mg_recipe_is_recorded(const mg_recipe *r, const mg_recipe_key *key);

/* Would the metadata of both say the same under this key? */
bool mg_recipe_same_record(const mg_recipe *a, const mg_recipe *b, const mg_recipe_key *key);

/* Do both ask for the same clip, so far as a JSON line can? The id and the number of clips are not looked at.
 */
bool mg_recipe_same_asked(const mg_recipe *a, const mg_recipe *b);

/* Equal guidance and sampling. */
bool mg_recipe_same_sampling(const mg_recipe *a, const mg_recipe *b);

#endif
