/* One view over weights in any form that people have: our name -> mapped tensor. Nothing is copied that lies
 * in one piece; pages are read when touched, so a rank reads only the bytes it uses.
 *
 * Containers: safetensors, torch zip, the pickles before it; single or sharded through an index. Dialects:
 * Hugging Face, AudioCraft's language model and codec (key_map.h); names here are always ours. */
#ifndef MG_CHECKPOINT_H
#define MG_CHECKPOINT_H

#include <stddef.h>

#include "key_map.h"
#include "status.h"
#include "tensor.h"

typedef struct mg_checkpoint mg_checkpoint;
struct mg_lora_change;

typedef enum mg_checkpoint_kind {
    MG_CHECKPOINT_WEIGHTS,  /* a dict of tensors, HF's or an AudioCraft export */
    MG_CHECKPOINT_POINTER,  /* AudioCraft's {'pretrained': NAME}: no tensor */
    MG_CHECKPOINT_TRAINING, /* a solver's checkpoint.th: the best state, as AudioCraft's exporter picks it */
} mg_checkpoint_kind;

/* A tensor under our name. Of a fused one (in_proj_weight) there are three, each a share of its rows. Its
 * values come from checkpoint_read.h: what lies at `data` or in the file is without the change. */
typedef struct mg_checkpoint_entry {
    const char *name;   /* ours; a name that no rule knows stands as it is */
    const char *source; /* as in the file */
    mg_tensor tensor;   /* mapped, read-only; data may be unaligned for its dtype: copy with memcpy */
    const char *file;   /* the file it lies in, for messages */
    size_t i_source;    /* in the list of sources */
    bool in_memory;     /* its data are a copy in memory, not pages of the file */
    int fd;             /* the file, open for reading at `offset`; -1: there is none behind the data */
    int64_t offset;     /* of the data, bytes */
    const struct mg_lora_change *change; /* what an adapter does to its values; NULL: there is none */
} mg_checkpoint_entry;

/* A tensor as the files hold it. */
typedef struct mg_checkpoint_source {
    const char *name;
    mg_tensor tensor;
    const char *file;
    bool in_memory;
    int fd; /* as of an entry */
    int64_t offset;
} mg_checkpoint_source;

/* Open `path`: one file, one index, or a folder: model.safetensors, else model.safetensors.index.json with
 * its shards, else the .fp32, else the .fp16 variant of these; else pytorch_model.bin and its like; else
 * AudioCraft's state_dict.bin, else compression_state_dict.bin, else checkpoint.th. Every header is checked
 * whole: offsets inside the file, no overlap, sizes equal to shape x dtype; an index must name each tensor of
 * its shards and lead to no other folder. MG_EFAIL if it cannot be read, MG_ECHECKPOINT if it lies or holds
 * no weights. Code in a pickle is never run. */
mg_status mg_checkpoint_open(mg_checkpoint **out, const char *path);
void mg_checkpoint_close(mg_checkpoint *c);

/* One file in memory, which the caller keeps until close; `name` stands for its path. */
mg_status mg_checkpoint_parse(mg_checkpoint **out, const char *name, const void *data, size_t bytes);

/* MG_EFAIL if one of its files, or of an adapter's that changes it, was cut short or written to since it was
 * opened: asked after its tensors were read, before anything is made of them. */
mg_status mg_checkpoint_check_files(const mg_checkpoint *c);

/* Of files that torch saved, their records against the checksums in them (torch_file.h); others have none. */
mg_status mg_checkpoint_check_sums(const mg_checkpoint *c, int64_t *n);

/* NULL if there is no such tensor. Borrowed until close or alias. */
const mg_checkpoint_entry *mg_checkpoint_find(const mg_checkpoint *c, const char *name);

/* All entries, sorted by name. */
size_t mg_checkpoint_count(const mg_checkpoint *c);
const mg_checkpoint_entry *mg_checkpoint_at(const mg_checkpoint *c, size_t i);

/* All tensors of the files, file by file and in each in the order of its data. */
size_t mg_checkpoint_n_sources(const mg_checkpoint *c);
const mg_checkpoint_source *mg_checkpoint_source_at(const mg_checkpoint *c, size_t i);

/* MG_ECHECKPOINT if one thing is there under two names, and differs: T5's embedding, a convolution fused and
 * in parts. */
mg_status mg_checkpoint_check_twins(const mg_checkpoint *c);

/* What stands before every name and belongs to none: it was taken off; "" as a rule. */
const char *mg_checkpoint_prefix(const mg_checkpoint *c);

/* A sentence, fit to be shown, on which of two copies of its weights was chosen (averaged.h); NULL: there is
 * one. */
const char *mg_checkpoint_choice(const mg_checkpoint *c);

/* How its numbers were packed, by the names and types of its tensors: "bitsandbytes int8", "GPTQ" …; NULL:
 * they are plain. */
const char *mg_checkpoint_packing(const mg_checkpoint *c);

/* What it is. */
mg_checkpoint_kind mg_checkpoint_get_kind(const mg_checkpoint *c);
mg_dialect mg_checkpoint_get_dialect(const mg_checkpoint *c);
const char *mg_checkpoint_container(const mg_checkpoint *c); /* "safetensors", "torch zip", "torch pickle" */
const char *mg_checkpoint_xp_config(const mg_checkpoint *c); /* AudioCraft's YAML text; NULL if it has none */
const char *mg_checkpoint_pointer(const mg_checkpoint *c);   /* NAME of a pointer, else NULL */

/* Give the tensor of `source` (a file's name), or the part of its rows that `target` says, the additional
 * name `target`: an accepted proposal. What an adapter changes is changed under this name too; MG_ECHECKPOINT
 * if it is a part of that. Entries that were found before are stale. */
mg_status mg_checkpoint_alias(mg_checkpoint *c, const mg_key_target *target, const char *source);

/* Take a tensor of another checkpoint as well, under the same name: that one must outlive this. Likewise
 * stale. */
mg_status mg_checkpoint_borrow(mg_checkpoint *c, const mg_checkpoint_entry *e);

/* From now on the tensor of this name is read with this change, which is copied and done behind earlier ones:
 * its `before` is not looked at. Its tensors are of the checkpoint `adapter`, which must outlive this one;
 * all changes are of one. */
mg_status mg_checkpoint_change(mg_checkpoint *c, const char *name, const struct mg_lora_change *change,
                               const mg_checkpoint *adapter);

/* The data files, in order: for hashing and for messages. `fd` is open for reading until close; -1: the file
 * is empty or no file. */
size_t mg_checkpoint_n_files(const mg_checkpoint *c);
const char *mg_checkpoint_file(const mg_checkpoint *c, size_t i);
int mg_checkpoint_file_fd(const mg_checkpoint *c, size_t i);

/* Bytes of all data files. */
size_t mg_checkpoint_bytes(const mg_checkpoint *c);

#endif
