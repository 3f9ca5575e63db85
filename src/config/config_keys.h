/* Every key of every file that the references open for a model, and what becomes of it here: used; refused,
 * or said by name, unless it has the one value that is built in; or without effect on what is computed. A key
 * that is not in this list is said by name too. docs/CHECKPOINTS.md prints the list. */
#ifndef MG_CONFIG_KEYS_H
#define MG_CONFIG_KEYS_H

#include <stdint.h>

#include "text.h"

struct cJSON;

typedef enum mg_keys_file {
    MG_KEYS_MODEL,      /* config.json of a whole MusicGen; its sections: */
    MG_KEYS_T5,         /* text_encoder, or the config.json of a T5 */
    MG_KEYS_CODEC,      /* audio_encoder, or the config.json of an EnCodec */
    MG_KEYS_DECODER,    /* decoder, or the config.json of a decoder saved alone */
    MG_KEYS_GENERATION, /* generation_config.json */
    MG_KEYS_PROCESSOR,  /* preprocessor_config.json, processor_config.json */
    MG_KEYS_TOKENIZER_CONFIG,
    MG_KEYS_TOKENIZER_JSON,
    MG_KEYS_TOKENS_MAP, /* special_tokens_map.json */
    MG_KEYS_ADAPTER,    /* adapter_config.json, PEFT's */
    MG_KEYS_XP_LM,      /* xp.cfg of state_dict.bin, and of compression_state_dict.bin: paths */
    MG_KEYS_XP_CODEC,
    MG_KEYS_FILES
} mg_keys_file;

/* What some values must equal. */
typedef struct mg_keys_facts {
    int64_t V, sampling_rate, n_chroma, n_channels; /* 0: not known, anything goes */
} mg_keys_facts;

/* A line for each thing to be said of a JSON section, or of a YAML text: appended, fit to be shown (show.h).
 * `name` is the file's, for the lines. */
mg_status mg_config_keys_check(mg_text *notes, mg_keys_file file, const mg_keys_facts *facts,
                               const struct cJSON *section, const char *name);
mg_status mg_config_keys_check_xp(mg_text *notes, mg_keys_file file, const char *yaml, const char *name);

/* Of a folder without generation_config.json: transformers then takes these keys of config.json. */
mg_status mg_config_keys_check_legacy(mg_text *notes, const mg_keys_facts *facts, const struct cJSON *section,
                                      const char *name);

/* The list as a table of Markdown, malloc'ed. */
mg_status mg_config_keys_table(char **out);

/* The words of one file, for tests: keys, or KEY=VALUE|VALUE. */
typedef struct mg_keys_list {
    const char *file, *used, *refused, *said, *silent;
} mg_keys_list;
const mg_keys_list *mg_config_keys_of(mg_keys_file file);

#endif
