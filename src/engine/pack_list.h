/* The packs that are kept (pack_cache.h): where, under which names, and which of them this build reads. */
#ifndef MG_PACK_LIST_H
#define MG_PACK_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "pack_file.h"
#include "path.h"

enum { MG_PACK_NAME_SIZE = 96, MG_PACK_KEY_DIGITS = 16 };

/* FORMAT-LEVEL-RANKofRANKS-KEY.pack; the rank counts from 1. */
typedef struct mg_pack_name {
    char format[16], level[16];
    int rank, n_ranks;
    char key[MG_PACK_KEY_DIGITS + 1];
} mg_pack_name;

void mg_pack_name_format(char out[MG_PACK_NAME_SIZE], const mg_pack_name *name);

/* False for what we have never called so. */
bool mg_pack_name_parse(mg_pack_name *out, const char *file);

/* Where the packs of these weights are: `where` is a folder, or "model": "mg-dist-packs" beside the snapshots
 * of a cached model, so that whoever removes the model removes the packs; else in the folder of the weights.
 */
mg_status mg_pack_folder(char out[MG_PATH_SIZE], const char *where, const char *weights);

typedef struct mg_pack_entry {
    char file[MG_PACK_NAME_SIZE]; /* in the folder */
    mg_pack_name name;
    char model[MG_PACK_MODEL_SIZE]; /* what it was made from; "" if it cannot be told */
    int64_t bytes;
    char refusal[200]; /* why this build cannot use it; "": it can */
} mg_pack_entry;

/* All packs of a folder, sorted by name; *out is malloc'ed. Their heads alone are read. */
mg_status mg_pack_list(mg_pack_entry **out, size_t *n, const char *folder);

#endif
