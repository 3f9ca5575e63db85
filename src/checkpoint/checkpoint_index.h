/* model.safetensors.index.json: which tensor lies in which shard. Private to checkpoint.c. */
#ifndef MG_CHECKPOINT_INDEX_H
#define MG_CHECKPOINT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

struct cJSON;

typedef struct mg_checkpoint_index_tensor {
    const char *name;
    const char *file; /* as the index says it */
    int64_t i_file;   /* in `files` */
} mg_checkpoint_index_tensor;

typedef struct mg_checkpoint_index {
    struct cJSON *root;                  /* owns all strings */
    mg_checkpoint_index_tensor *tensors; /* [n_tensors], by name */
    const char **files;                  /* [n_files], by name: plain names in the index's own folder */
    int64_t n_tensors, n_files;
} mg_checkpoint_index;

mg_status mg_checkpoint_index_load(mg_checkpoint_index *index, const char *path);
mg_status mg_checkpoint_index_parse(mg_checkpoint_index *index, const char *name, const char *text,
                                    int64_t text_bytes);
void mg_checkpoint_index_close(mg_checkpoint_index *index);

bool mg_checkpoint_index_has(const mg_checkpoint_index *index, const char *tensor_name);

#endif
