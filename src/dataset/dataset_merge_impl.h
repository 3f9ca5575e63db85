/* What dataset_merge*.c share. */
#ifndef MG_DATASET_MERGE_IMPL_H
#define MG_DATASET_MERGE_IMPL_H

#include "dataset_impl.h"
#include "dataset_merge.h"
#include "tar_reader.h"

/* What a source has noted. */
typedef struct mg_merge_note {
    char *name, *value;
} mg_merge_note;

typedef struct mg_merge_index mg_merge_index; /* of a tar */

typedef struct mg_merge_source {
    const char *dir;
    mg_run_db *db;
    int64_t part, n_parts;
    mg_merge_note *note;
    size_t n_notes, note_capacity;
    const char *name; /* noted: of its shards */
    mg_run_counts count;
    mg_tar_reader tar; /* of its shard i_tar, at the clip after the last one that was taken */
    int64_t i_tar;     /* -1: none is open */
    int64_t n_shards;
    mg_merge_index *index; /* [n_shards] */
} mg_merge_source;

/* A clip: where it stands in the jobs, and whose it is. */
typedef struct mg_merge_item {
    int64_t at, copy; /* its order */
    int64_t i_source, n;
    int64_t fold, key; /* hashes of its id, and of its name in a shard */
    bool is_left_over; /* another part has the clip now, or another clip its name */
} mg_merge_item;

typedef struct mg_merge {
    const mg_dataset_merge_call *call;
    mg_dataset_merged *done;
    mg_merge_source *source; /* [call->n_sources], by part */
    mg_merge_item *item;     /* in the order of the jobs: the n-th is job n of the dataset */
    size_t n_items, item_capacity;
    mg_dataset *d; /* what comes of it */
} mg_merge;

const char *mg_merge_note_of(const mg_merge_source *s, const char *name); /* NULL: not noted */

/* dataset_merge_sources.c: open all, hold them against each other, and list their clips. */
mg_status mg_merge_open_sources(mg_merge *m);
void mg_merge_close_sources(mg_merge *m);

/* dataset_merge_tar.c: the sound of this name in a shard of the source. */
mg_status mg_merge_open_tars(mg_merge_source *s);
mg_status mg_merge_find_sound(mg_tar_member *out, mg_merge_source *s, int64_t shard, const char *name);
void mg_merge_close_tars(mg_merge_source *s);

/* dataset_merge_clips.c: every clip of the list that is not there yet. */
mg_status mg_merge_take_clips(mg_merge *m);

#endif
