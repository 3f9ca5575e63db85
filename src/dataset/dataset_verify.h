/* Is a dataset what its lists say? Every file is hashed and decoded, and the lists, the files and the state
 * are held against each other. Each damage is one line: the thing, what is wrong with it, and the remedy. */
#ifndef MG_DATASET_VERIFY_H
#define MG_DATASET_VERIFY_H

#include <stddef.h>

#include "dataset.h"

typedef struct mg_dataset_verdict {
    mg_layout layout;
    bool with_state; /* .mg-dist is there */
    int64_t n_clips, n_files, n_bytes;
    int64_t n_waiting, n_failed; /* of the state; failed also of failures.jsonl */
    int64_t n_damaged;           /* lines that were said */
    double dur_s;                /* of sound */
    char **again;                /* [n_again] ids of clips whose sound is missing or damaged */
    size_t n_again, again_capacity;
} mg_dataset_verdict;
void mg_dataset_verdict_close(mg_dataset_verdict *v); /* legal on a zeroed one */

/* Has the folder anything that only a dataset of ours has? */
bool mg_dataset_is_one(const char *dir);

/* Read all of it, on so many threads. What is damaged goes to `say`; a status other than MG_OK is a fault of
 * the system, or a run that is at work there. */
mg_status mg_dataset_verify(mg_dataset_verdict *v, const char *dir, int n_threads, mg_dataset_say *say,
                            void *arg);

/* These clips wait for the next run, which makes them again: of a shard all of it, and all behind it. *n: how
 * many. */
mg_status mg_dataset_again(int64_t *n, const char *dir, char *const *id, size_t n_ids);

#endif
