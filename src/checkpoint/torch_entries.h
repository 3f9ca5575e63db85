/* Which tensors of a torch file are the model: a flat dict of them, AudioCraft's export or training
 * checkpoint, a trainer's {'state_dict': …}; and what stands beside them. */
#ifndef MG_TORCH_ENTRIES_H
#define MG_TORCH_ENTRIES_H

#include "checkpoint.h"
#include "torch_file.h"

typedef struct mg_torch_entry {
    const char *name; /* in the file; borrowed from it */
    mg_tensor tensor;
    bool in_memory; /* a copy, because the file holds it in another order; else mapped */
} mg_torch_entry;

typedef struct mg_torch_entries {
    mg_checkpoint_kind kind;
    const char *pointer;   /* of a pointer */
    const char *xp_config; /* 'xp.cfg' as YAML text, NULL if it has none */
    char *xp_text;         /* owned, where that is made of an omegaconf object */
    mg_torch_entry *list;  /* [n], in the order of the file */
    size_t n;
    char *note;   /* owned: what is left of the file's weights, a sentence; NULL: nothing */
    char **names; /* [n_names] owned: of the averaged copy, KEY.NAME */
    size_t n_names;
    void **copies; /* [n_copies] */
    size_t n_copies;
} mg_torch_entries;

/* The dict of tensors as AudioCraft's exporters pick it (fsdp_best_state.model if fsdp_best_state holds
 * anything, else best_state.model). Of another trainer's checkpoint also the averaged copy, where it has one
 * beside the state (averaged.h), with names or without (nameless.h), under KEY.NAME. `path` is for messages.
 * MG_ECHECKPOINT if there is none, if something in it is no tensor, or if a copy would be larger than the
 * file. Close it before the file. */
mg_status mg_torch_entries_read(mg_torch_entries *out, const mg_torch_file *f, const char *path);
void mg_torch_entries_close(mg_torch_entries *e);

#endif
