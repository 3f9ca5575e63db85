/* What dataset*.c share. */
#ifndef MG_DATASET_IMPL_H
#define MG_DATASET_IMPL_H

#include <stdio.h>

#include "dataset.h"
#include "run_lock.h"

enum { MG_DATASET_WINDOW = 256, MG_DATASET_FOLDER_FILES = 10000 };

typedef struct mg_dataset_waiting {
    int64_t n, size, at, bytes, line, copy, attempt, tries;
    char *id;
} mg_dataset_waiting;

struct mg_dataset {
    mg_dataset_call call;
    char out[MG_PATH_SIZE], own[MG_PATH_SIZE]; /* OUT, OUT/.mg-dist */
    mg_run_lock lock;
    mg_run_db *db;
    int jobs_fd; /* of jobs.jsonl; -1: not open */
    int64_t seed;
    mg_dataset_counts counts;
    bool is_new;
    /* dealing */
    mg_dataset_waiting *window; /* those to deal, the next one last */
    size_t n_window, window_capacity;
    mg_dataset_waiting *flight; /* those that were dealt */
    size_t n_flight, flight_capacity;
    int64_t deal_from; /* rows behind the window */
    char *text;        /* the job of the last deal */
    size_t text_capacity;
    /* shards */
    int64_t n_shards;
    int64_t shard_first,
        shard_next; /* rows of the shard to come: from the first, those before the next are settled */
    int64_t shard_n_clips, shard_bytes;
};

mg_status mg_dataset_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name);
mg_status mg_dataset_own_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name);

/* dataset_jobs.c: the jobs of the call are those of the dataset; on return jobs.jsonl and the rows are there.
 */
mg_status mg_dataset_take_jobs(mg_dataset *d);

/* dataset_shards.c: close what is complete; `last`: also what is left. */
mg_status mg_dataset_close_shards(mg_dataset *d, bool last);
mg_status mg_dataset_find_shards(mg_dataset *d);

/* dataset_recover.c */
mg_status mg_dataset_recover(mg_dataset *d);

/* dataset_export.c, dataset_card.c */
mg_status mg_dataset_export(mg_dataset *d);
mg_status mg_dataset_put_card(mg_dataset *d);

#endif
