/* From what the user named to open files and one architecture: the language model, the text encoder, the
 * codec and the tokenizer, together in one folder or apart, in any form of checkpoint.h.
 *
 * Where a part comes from: the request's own name for it; else `model`, if that holds it; else what `model`
 * points to (AudioCraft's codec pointer, the name of its T5); MERT else under its public name. A language
 * model's weights by themselves, as trainers leave them, are of the architecture that `model` names, and take
 * its projections where they have none. */
#ifndef MG_MODEL_FILES_H
#define MG_MODEL_FILES_H

#include "checkpoint.h"
#include "config.h"
#include "hub.h"

/* Each a path or an id (hub.h), or NULL. `model` gives every part that is not named apart. */
typedef struct mg_model_request {
    const char *model, *lm, *text_encoder, *codec, *tokenizer;
    const char *style_encoder; /* MERT, of MusicGen-Style */
    const char *lora;          /* an adapter that is merged into the language model (lora.h) */
} mg_model_request;

typedef struct mg_model_part {
    mg_checkpoint *checkpoint; /* NULL: absent; parts of one folder share it; mg_model_files owns it */
    const char *prefix;        /* before our names: "text_encoder.", "audio_encoder." or "" */
    const char *form;          /* "Hugging Face", "AudioCraft" */
    char path[MG_PATH_SIZE];   /* what was opened */
} mg_model_part;

enum { MG_MODEL_MAX_FILES = 7 };

typedef struct mg_model_files {
    mg_config config; /* of the parts that are there; the rest is zero */
    mg_model_part lm, t5, codec;
    mg_model_part mert;  /* of a style model: what its style encoder hears with; the rest of it is in `lm` */
    const char *lm_yaml; /* the xp.cfg that says what the language model is; NULL: a config.json does */
    char lm_folder[MG_PATH_SIZE]; /* the folder of that config.json; "" else */
    char tokenizer[MG_PATH_SIZE]; /* "" if there is none */
    char pointer[MG_PATH_SIZE];   /* what AudioCraft's codec pointer names; "" if there was none */
    char t5_name[MG_HUB_ID_SIZE]; /* the T5 that AudioCraft's xp.cfg names; "" in other forms */
    const char *trained_with;     /* the published T5 that the language model was trained with, if known */
    double window_s; /* longest window of an AudioCraft model; 0: only the position table limits */
    mg_checkpoint *opened[MG_MODEL_MAX_FILES];
    char opened_path[MG_MODEL_MAX_FILES][MG_PATH_SIZE];
    int n_opened;
    char lora_folder[MG_PATH_SIZE]; /* of the adapter that is in the language model; "" if none is */
} mg_model_files;

/* Which parts the caller will need: what is not needed may be missing, and is then not looked for beyond the
 * request and `model`. */
enum {
    MG_NEED_LM = 1,
    MG_NEED_T5 = 2,
    MG_NEED_CODEC = 4,
    MG_NEED_TOKENIZER = 8,
    MG_NEED_ALL = 15,
    MG_NEED_STYLE = 16, /* MERT, if the model is of that kind */
    MG_WANT_STYLE = 32  /* the same, if it is there */
};

/* MG_EFAIL if something is not there, MG_ECHECKPOINT if it contradicts itself. Whether the parts go together,
 * and whether this program can play them, is for the caller to say. */
mg_status mg_model_files_open(mg_model_files **out, const mg_model_request *request, int need);
void mg_model_files_close(mg_model_files *m);

/* Which clips are made of a checkpoint's weights: all, or those with a text, or with a style. */
typedef enum mg_weights_use { MG_USED_BY_ALL, MG_USED_BY_TEXTS, MG_USED_BY_STYLES } mg_weights_use;
mg_weights_use mg_model_files_use(const mg_model_files *m, const mg_checkpoint *c);

/* MG_ECHECKPOINT if the numbers of a part are packed (quantised by somebody else), or one tensor stands twice
 * under two names and differs. */
mg_status mg_model_files_check_tensors(const mg_model_files *m);

/* How many numbers of each type a part's tensors hold, n[dtype]; those on the ignore list are not counted. */
void mg_model_part_count(int64_t n[MG_DTYPES], const mg_model_part *part);

/* MG_EFAIL if a file was cut short or written to since it was opened: asked after the weights were read. */
mg_status mg_model_files_check(const mg_model_files *m);

#endif
