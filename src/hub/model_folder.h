/* What a folder holds, judged by the names of its files alone: which form of model, and is all of it there?
 */
#ifndef MG_MODEL_FOLDER_H
#define MG_MODEL_FOLDER_H

#include <stddef.h>

#include "path.h"

typedef struct mg_model_folder {
    char type[32];      /* config.json's model_type: "musicgen", "t5", "encodec" …; "" if it says none */
    bool has_config;    /* config.json */
    bool has_weights;   /* Hugging Face's, single or sharded, with every shard */
    bool has_lm;        /* AudioCraft's state_dict.bin */
    bool has_codec;     /* AudioCraft's compression_state_dict.bin */
    bool has_tokenizer; /* spiece.model or tokenizer.json */
    bool has_adapter;   /* adapter_config.json, PEFT's */
    char
        missing[MG_PATH_SIZE]; /* the first file that the index names, or a link promises, and is not there */
    int64_t bytes;             /* of all files in it, links followed */
} mg_model_folder;

mg_status mg_model_folder_survey(mg_model_folder *out, const char *dir);

/* MG_EFAIL with the command that fetches it, if `dir` is a snapshot of a cache that holds no weights of any
 * kind: what asking for a config or a processor alone leaves. */
mg_status mg_model_folder_check_cached(const char *dir);

/* Weights in Hugging Face's layout, whatever lies beside them. */
bool mg_model_folder_has_weights(const char *dir);

/* A folder in Hugging Face's layout: a config.json, and not just AudioCraft's weights beside it. */
bool mg_model_folder_is_hf(const char *dir);

/* "complete", or what is missing for playing it: "no tokenizer", "no model-00002-of-00002.safetensors"; an
 * adapter is called one. */
void mg_model_folder_state(char *out, size_t size, const mg_model_folder *folder);

/* "Hugging Face", "AudioCraft", "both" or "-". */
const char *mg_model_folder_form(const mg_model_folder *folder);

#endif
