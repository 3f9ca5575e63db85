/* What dataset*.c share. */
#ifndef MG_DATASET_IMPL_H
#define MG_DATASET_IMPL_H

#include <pthread.h>
#include <stdio.h>

#include "dataset.h"
#include "out_made.h"
#include "recipe.h"
#include "run_lock.h"

/* Clips in a folder: Hugging Face's hub takes fewer than 10,000 entries in one. In train there are the
 * folders and the metadata, and in AudioCraft's layout two files a clip. */
enum { MG_DATASET_FOLDER_FILES = 4000 };

enum { MG_DATASET_WINDOW = 256, MG_DATASET_QUEUE = 4096 };

typedef struct mg_dataset_waiting {
    int64_t n, size, at, bytes, line, copy, attempt, tries;
    int64_t unread_by;         /* 1 + the maker that could not read its files; 0: nobody */
    char *id, *text, *refused; /* owned; refused may be NULL */
} mg_dataset_waiting;

typedef struct mg_dataset_list {
    mg_dataset_waiting *job;
    size_t n, capacity;
} mg_dataset_list;

typedef struct mg_dataset_rows {
    mg_job_row *row; /* strings owned */
    size_t n, capacity;
} mg_dataset_rows;

/* The thread that has the state while a run works; what it shares with the others is under the lock. */
typedef struct mg_dataset_writer {
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    mg_dataset_rows rows;     /* entered, and not in the state yet */
    mg_dataset_list next;     /* jobs that were read ahead */
    bool wants_jobs, no_jobs; /* read some; there are no more */
    bool wants_commit, closing;
    char *path[MG_DATASET_SHEETS], *text[MG_DATASET_SHEETS]; /* files to put; NULL: none */
    bool put_failed;                                         /* and said so */
    mg_fault fault;
} mg_dataset_writer;

struct mg_dataset {
    mg_dataset_call call;
    char out[MG_PATH_SIZE], own[MG_PATH_SIZE]; /* OUT, OUT/.mg-dist */
    mg_out_made made;                          /* folders */
    mg_run_lock *lock;
    mg_run_db *db;
    bool is_new;           /* this run has made the state */
    bool has_changed_jobs; /* and its jobs; a new one's too */
    char *was;             /* noted as "state" before this run; NULL: nothing */
    int jobs_fd;           /* of jobs.jsonl; -1: not open */
    int64_t seed;
    mg_dataset_counts counts;
    /* dealing */
    mg_dataset_list window; /* those to deal, the next one last */
    mg_dataset_list unread; /* those whose files somebody could not read */
    bool all_read;          /* no more come into the window */
    void *flight;           /* those that were dealt: a tree of tsearch, by n */
    int64_t n_in_flight;
    mg_dataset_writer writer;
    /* the writer's while it runs: reading ahead, */
    int64_t deal_from; /* rows that were not read */
    /* recording, */
    mg_dataset_rows pending; /* what is in the state since the last commit */
    bool must_replay;        /* the state does not have all that is pending */
    bool gave_up;            /* tries are used up: nothing is tried again */
    /* and shards */
    int64_t n_shards;
    int64_t shard_first,
        shard_next; /* rows of the shard to come: from the first, those before the next are settled */
    int64_t shard_n_clips, shard_bytes;
};

mg_status mg_dataset_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name);

/* dataset.c: the folders and the lock; a state that is there already is not opened. */
mg_status mg_dataset_take_folder(mg_dataset *d, double stale_s);

/* dataset_jobs.c: the jobs of the call are those of the dataset; on return jobs.jsonl and the rows are there.
 */
mg_status mg_dataset_take_jobs(mg_dataset *d);

/* dataset_changed.c: does the job `text`, read as `now`, ask for the clip of row `old`, which is not moved
 * yet? before_fd: the jobs.jsonl in which it stood; -1: that is lost. */
mg_status mg_dataset_is_same_job(bool *same, int before_fd, const mg_job_row *old, const char *text,
                                 int64_t bytes, const mg_recipe *now);

/* *fd: of the jobs.jsonl at `path` if its hash is the one that is noted; else it stays as it is. */
mg_status mg_dataset_open_before(int *fd, const char *path, const char *noted);

/* How many clips a job has that does not say: noted with the jobs, and read again. Where none is noted it is
 * the call's. And the refusal of other jobs; `same_list`: of another number alone. */
mg_status mg_dataset_note_n(mg_dataset *d);
mg_status mg_dataset_read_n(const mg_dataset *d, int64_t *n);
mg_status mg_dataset_refuse_jobs(const mg_dataset *d, bool same_list, int64_t n_before);

/* dataset_inputs.c: look at the files that a job names, as far as they can be judged without a model. Each
 * fault is the last error when `note` is called. */
void mg_dataset_check_inputs(const mg_recipe *r, void (*note)(void *arg), void *arg);

/* dataset_deal.c */
void mg_dataset_drop_flight(mg_dataset *d);

void mg_dataset_list_drop(mg_dataset_list *list);
void mg_dataset_waiting_drop(mg_dataset_waiting *w);
mg_status mg_dataset_list_add(mg_dataset_list *list, const mg_dataset_waiting *w); /* takes its strings */

/* A copy of the row at the end. */
mg_status mg_dataset_rows_add(mg_dataset_rows *rows, const mg_job_row *row);
void mg_dataset_rows_drop(mg_dataset_rows *rows);

/* dataset_read.c: up to MG_DATASET_WINDOW waiting jobs behind `deal_from`; fewer: there are no more. After a
 * failure it may be called again with the same list. */
mg_status mg_dataset_read_ahead(mg_dataset *d, mg_dataset_list *list);

/* dataset_commit.c, by who has the state: what came of a job; and all that was entered, durably. */
mg_status mg_dataset_enter(mg_dataset *d, const mg_job_row *row);
mg_status mg_dataset_commit_now(mg_dataset *d);
mg_status mg_dataset_read_ahead_now(mg_dataset *d, mg_dataset_list *list); /* and so again, if need be */
mg_status mg_dataset_finish_now(mg_dataset *d);

/* dataset_writer.c: ends the thread; what it had not done yet is done. */
mg_status mg_dataset_stop_writer(mg_dataset *d);

/* dataset_shards.c: close what is complete; `last`: also what is left. */
mg_status mg_dataset_close_shards(mg_dataset *d, bool last);
mg_status mg_dataset_find_shards(mg_dataset *d);
mg_status mg_dataset_find_lost_parts(
    mg_dataset *d); /* clips whose file is gone before it was in a shard wait again */

/* dataset_recover.c */
mg_status mg_dataset_recover(mg_dataset *d);

/* dataset_export.c, dataset_card.c */
mg_status mg_dataset_export(mg_dataset *d);
mg_status mg_dataset_put_card(mg_dataset *d);

#endif
