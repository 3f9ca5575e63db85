/* One view over a folder of weights: name -> mapped tensor. Nothing is copied; pages are read when touched,
 * so a rank reads only the bytes it uses. Today: safetensors, single or sharded through its index. */
#ifndef MG_CHECKPOINT_H
#define MG_CHECKPOINT_H

#include <stddef.h>

#include "status.h"
#include "tensor.h"

typedef struct mg_checkpoint mg_checkpoint;

typedef struct mg_checkpoint_entry {
    const char *name;
    mg_tensor tensor; /* mapped, read-only; data may be unaligned for its dtype: copy with memcpy */
    const char *file; /* the file it lies in, for messages */
} mg_checkpoint_entry;

/* Open `path`: a folder (model.safetensors, else model.safetensors.index.json with its shards, else the
 * .fp32, else the .fp16 variant of these), one .safetensors file, or one index. Every header is checked
 * whole: offsets inside the file, no overlap, no hole, sizes equal to shape x dtype; an index must name each
 * tensor of its shards and lead to no other folder. MG_EFAIL if it cannot be read, MG_ECHECKPOINT if it lies,
 * and for forms that are not supported yet (pytorch_model.bin, state_dict.bin). */
mg_status mg_checkpoint_open(mg_checkpoint **out, const char *path);
void mg_checkpoint_close(mg_checkpoint *c);

/* NULL if there is no such tensor. Borrowed until close. */
const mg_checkpoint_entry *mg_checkpoint_find(const mg_checkpoint *c, const char *name);

/* All entries, sorted by name. */
size_t mg_checkpoint_count(const mg_checkpoint *c);
const mg_checkpoint_entry *mg_checkpoint_at(const mg_checkpoint *c, size_t i);

/* The data files, in order: for hashing and for messages. */
size_t mg_checkpoint_n_files(const mg_checkpoint *c);
const char *mg_checkpoint_file(const mg_checkpoint *c, size_t i);

/* Bytes of all data files. */
size_t mg_checkpoint_bytes(const mg_checkpoint *c);

#endif
