/* The language model's packed weights, kept in a folder from one start to the next. Their key says what they
 * were made from: the weights' files by SHA-256, the tensors' names, shapes and places, the model's sizes. It
 * also says for whom: number format, level of the backend, which rank of how many. A key is found again
 * without reading the files (hash_memo.h).
 *
 * A pack is read into the memory that the plan has counted, so nothing is needed beside it. None of this is
 * ever a reason to fail: what is wrong is said, and the weights are loaded from the checkpoint. */
#ifndef MG_PACK_CACHE_H
#define MG_PACK_CACHE_H

#include "backend.h"
#include "model_files.h"
#include "pack_file.h"

typedef struct mg_pack_cache {
    bool is_on;                /* there is a key; the rest holds only then */
    bool is_read;              /* the weights are out of a pack */
    bool is_refused;           /* … which is there, and no good */
    char folder[MG_PATH_SIZE]; /* of the packs */
    char path[MG_PATH_SIZE];   /* of this rank's */
    char key[65];
    char model[MG_PACK_MODEL_SIZE]; /* what the pack says that it was made from */
    double key_s, read_s, write_s;  /* what it took */
    mg_fault fault;                 /* why there is no key; mg_pack_cache_write raises it … */
    mg_fault folder_fault;          /* … and why the folder takes no files, if one is to be made */
} mg_pack_cache;

/* Finds the folder and the key; off if `lm->pack_cache` is NULL, on a device, or with layers outside. */
void mg_pack_cache_open(mg_pack_cache *c, const mg_model_files *files, const mg_backend *lm,
                        int64_t n_outside);

/* The pack into `block`. False if there is none; one that is refused is named in a warning. */
bool mg_pack_cache_read(mg_pack_cache *c, const mg_backend *lm, void *block, size_t bytes);

/* Where the weights did not come out of a pack: make it. Nothing is done if another process has made the same
 * one by now, or is at it, where the file system has locks. What goes wrong is for the caller to say. */
mg_status mg_pack_cache_write(mg_pack_cache *c, const mg_backend *lm, const void *block, size_t bytes);

#endif
