/* Writes safetensors: the header first, from the list of what will follow, then the data as they come. No
 * more than a piece of one tensor is in memory. One file, or shards with their index, as transformers'
 * save_pretrained lays them out (model-00001-of-00002.safetensors, model.safetensors.index.json). */
#ifndef MG_SAFETENSORS_WRITER_H
#define MG_SAFETENSORS_WRITER_H

#include "out_file.h"
#include "tensor.h"

/* A tensor to be written: name and shape; data is not looked at. */
typedef struct mg_safetensors_item {
    const char *name; /* borrowed until the writer is closed */
    mg_tensor tensor; /* dtype and dims of the file */
} mg_safetensors_item;

typedef struct mg_safetensors_writer {
    mg_out_file file;
    const mg_safetensors_item *items; /* [n], borrowed */
    int64_t n, i_item;                /* the tensor that the next bytes belong to */
    size_t left_bytes;                /* of it */
} mg_safetensors_writer;

/* Write the header of a file with these tensors, in this order; `path` appears at commit. */
mg_status mg_safetensors_writer_open(mg_safetensors_writer *w, const char *path,
                                     const mg_safetensors_item *items, int64_t n);

/* The next bytes of the data: tensor after tensor, without gaps. */
mg_status mg_safetensors_writer_add(mg_safetensors_writer *w, const void *data, size_t bytes);

/* All data are there (MG_EBUG otherwise): the file gets its name. */
mg_status mg_safetensors_writer_commit(mg_safetensors_writer *w);

/* Legal after commit, after a failure, and on a zeroed struct whose file.fd is -1. */
void mg_safetensors_writer_close(mg_safetensors_writer *w);

/* Where to cut: i_shard[i] is the shard of item i, ascending from 0, each of at most `shard_bytes` unless a
 * single tensor is longer; *n_shards is their number. shard_bytes 0: one. */
void mg_safetensors_cut(int64_t *i_shard, int64_t *n_shards, const mg_safetensors_item *items, int64_t n,
                        size_t shard_bytes);

/* "model.safetensors", or "model-00001-of-00003.safetensors" for i = 0 of 3. */
enum { MG_SHARD_NAME_SIZE = 64 };
void mg_safetensors_shard_name(char out[MG_SHARD_NAME_SIZE], int64_t i, int64_t n_shards);

/* DIR/model.safetensors.index.json: total_size and weight_map, by name. */
mg_status mg_safetensors_write_index(const char *dir, const mg_safetensors_item *items, int64_t n,
                                     const int64_t *i_shard, int64_t n_shards);

#endif
