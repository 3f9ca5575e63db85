/* The shards of an array (run --shard i/n) become one dataset: that of a run without --shard, byte by byte. A
 * merge that was cut off goes on when it is called again. */
#ifndef MG_DATASET_MERGE_H
#define MG_DATASET_MERGE_H

#include "dataset.h"

typedef struct mg_dataset_merge_call {
    const char *out;
    const char *const *source; /* [n_sources] folders of all shards of one array, in any order */
    int64_t n_sources;
    int64_t shard_clips, shard_bytes; /* as in mg_dataset_call */
    bool copies;                      /* not even hard links where they are possible */
    bool incomplete_ok;               /* take what is there */
} mg_dataset_merge_call;

typedef struct mg_dataset_merged {
    int64_t done, failed, waiting; /* in the dataset */
    int64_t linked, copied;        /* files of clips, this time */
    bool seeds_differ;             /* the shards were begun with seeds of their own */
} mg_dataset_merged;

/* MG_EUSAGE names the shard that is missing, not complete, there twice or of another kind, and an id that is
 * in two of them. The sources are only read. */
mg_status mg_dataset_merge(mg_dataset_merged *out, const mg_dataset_merge_call *call);

#endif
