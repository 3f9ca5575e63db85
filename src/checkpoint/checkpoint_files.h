/* The data files of a checkpoint: which one a folder means, and what one file holds. Private to checkpoint.c.
 */
#ifndef MG_CHECKPOINT_FILES_H
#define MG_CHECKPOINT_FILES_H

#include "in_file.h"
#include "path.h"
#include "safetensors.h"
#include "torch_entries.h"

/* A safetensors file, or a torch one. */
typedef struct mg_data_file {
    char *path;
    mg_mapped_file map; /* empty if the caller owns the bytes */
    const char *data;   /* [n_bytes] */
    mg_safetensors header;
    mg_torch_file *torch;
    mg_torch_entries torch_entries;
    size_t n_bytes;
} mg_data_file;

/* What to open for `path`: itself, or the right file in the folder. */
mg_status mg_checkpoint_resolve(char found[MG_PATH_SIZE], const char *path);

/* Zero it before; close is legal also after a failure. */
mg_status mg_data_file_open(mg_data_file *f, const char *path);

/* The same over bytes that the caller keeps until close; `name` stands for the path. */
mg_status mg_data_file_parse(mg_data_file *f, const char *name, const void *data, size_t bytes);
void mg_data_file_close(mg_data_file *f);

size_t mg_data_file_count(const mg_data_file *f);

/* Its tensors into out[mg_data_file_count], in the order of their data. */
void mg_data_file_list(const mg_data_file *f, mg_checkpoint_source *out);

#endif
