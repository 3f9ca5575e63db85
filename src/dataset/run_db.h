/* The state of a dataset: a row for every job and every closed shard, in SQLite, in `OUT/.mg-dist/run.db`.
 * One process writes it; the file is locked against all others while it is open, without shared memory, so
 * that it may lie on a network's file system. People can read it with any SQLite when no run is at work.
 *
 * Changes wait for mg_run_db_commit: a group of them is durable, or none. */
#ifndef MG_RUN_DB_H
#define MG_RUN_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "run_lock.h"

typedef struct mg_run_db mg_run_db;

typedef enum mg_job_state { MG_JOB_WAITING, MG_JOB_DONE, MG_JOB_FAILED, MG_JOB_GONE } mg_job_state;
/* In the file the words "waiting", "done", "failed", "gone": the last are jobs that a changed job file
 * dropped. */

/* A clip to make. Strings of what was read are borrowed until the next call. */
typedef struct mg_job_row {
    int64_t n; /* its place in the dataset, from 0 */
    const char *id;
    int64_t fold;      /* mg_job_id_fold_hash */
    int64_t at, bytes; /* its text in jobs.jsonl */
    int64_t line;      /* of the job file, for messages */
    int64_t copy;      /* which of its job's clips */
    int64_t size;      /* how long it may take: seconds of sound, for the order of dealing */
    mg_job_state state;
    int64_t tries;
    /* what came of it */
    const char *file;   /* name under OUT, or in a shard */
    const char *sha256; /* of the sound */
    int64_t file_bytes;
    const char *record; /* its line of metadata, one JSON object */
    const char *reason; /* why it failed; or what the gate says */
    double dur_s;
    double took_s;    /* how long it was in the making */
    int64_t ended_at; /* seconds since 1970 */
    int64_t shard;    /* -1: in none yet */
} mg_job_row;

typedef struct mg_shard_row {
    int64_t n;
    const char *file, *sha256;
    int64_t n_clips, bytes;
} mg_shard_row;

typedef struct mg_run_counts {
    int64_t waiting, done, failed, gone;
    double done_s;      /* of sound */
    int64_t waiting_ms; /* of sound to come */
} mg_run_counts;

/* MG_EFAIL: it cannot be opened, is no such file, or somebody else has it open. Nothing is written any more
 * once `lock`, which is borrowed, is another's; NULL: nobody else can come. */
mg_status mg_run_db_open(mg_run_db **out, const char *path, mg_run_lock *lock);
/* The same for those who only look: nothing is changed, nor made. */
mg_status mg_run_db_open_to_read(mg_run_db **out, const char *path);
void mg_run_db_close(mg_run_db *db); /* what was not committed is undone */

/* All jobs are there: from now on a small cache will do. */
mg_status mg_run_db_shrink(mg_run_db *db);

/* Make all changes since the last commit durable. */
mg_status mg_run_db_commit(mg_run_db *db);

/* Forget all changes since the last commit, after one of them failed: then they may be made again. */
mg_status mg_run_db_roll_back(mg_run_db *db);

/* What is known of the whole: text by name. *value is malloc'ed; NULL: not noted. */
mg_status mg_run_db_note(mg_run_db *db, const char *name, const char *value);
mg_status mg_run_db_read_note(mg_run_db *db, const char *name, char **value);

/* All that is noted. A status other than MG_OK ends it. */
typedef mg_status mg_note_visit(void *arg, const char *name, const char *value);
mg_status mg_run_db_each_note(mg_run_db *db, mg_note_visit *visit, void *arg);

/* Add a job at the end; `row` up to `size` counts. */
mg_status mg_run_db_add(mg_run_db *db, const mg_job_row *row);

/* After all were added: every job whose id has the fold hash of an earlier one, in order, with the first that
 * has it. */
typedef mg_status mg_clash_visit(void *arg, int64_t first, int64_t n);
mg_status mg_run_db_index(mg_run_db *db);
mg_status mg_run_db_each_clash(mg_run_db *db, mg_clash_visit *visit, void *arg);

/* So that counting, dealing and looking for what left the list read no rows; a state of an earlier version
 * has none of it. */
mg_status mg_run_db_index_states(mg_run_db *db);

/* The same of the names in a shard, whose bytes must differ: "a.b" and "a_b" are one. */
mg_status mg_run_db_each_key_clash(mg_run_db *db, mg_clash_visit *visit, void *arg);

mg_status mg_run_db_find(mg_run_db *db, int64_t n, mg_job_row *row, bool *found);
mg_status mg_run_db_find_id(mg_run_db *db, const char *id, int64_t fold, mg_job_row *row, bool *found);
/* The job whose id stands before the last dot of a file's name. */
mg_status mg_run_db_find_named(mg_run_db *db, const char *name, mg_job_row *row, bool *found);

/* The first job in that state at or behind `from`. */
mg_status mg_run_db_next(mg_run_db *db, mg_job_state state, int64_t from, mg_job_row *row, bool *found);

/* What came of job row->n: state, tries and all below. */
mg_status mg_run_db_end_job(mg_run_db *db, const mg_job_row *row);

/* Back to waiting: all that failed. *n: how many. */
mg_status mg_run_db_retry(mg_run_db *db, int64_t *n);

/* Back to waiting, or gone if it is in no job file: job n. And all of shard `first` and of those behind it,
 * whose rows go. */
mg_status mg_run_db_forget(mg_run_db *db, int64_t n);
mg_status mg_run_db_forget_shards(mg_run_db *db, int64_t first);

/* Where it stands in a changed job file; and what stands in none any more. Until a job is moved, MG_JOB_MOVED
 * is where it stood in the file before; below 0: in none. */
#define MG_JOB_MOVED(at) (-2 - (at))
mg_status mg_run_db_move(mg_run_db *db, const mg_job_row *row);
mg_status mg_run_db_drop_unmoved(mg_run_db *db, int64_t *n);
mg_status mg_run_db_unmove(mg_run_db *db);

/* Jobs first … last that are done and in no shard are now in this one. */
mg_status mg_run_db_add_shard(mg_run_db *db, const mg_shard_row *shard, int64_t first, int64_t last);

mg_status mg_run_db_count(mg_run_db *db, mg_run_counts *counts);
/* Is no clip done, nor failed? Jobs that are gone do not count. */
mg_status mg_run_db_is_untouched(mg_run_db *db, bool *is_untouched);
mg_status mg_run_db_n_jobs(mg_run_db *db, int64_t *n);

/* The first job that waits, or is done and in no shard; none: how many jobs there are. */
mg_status mg_run_db_first_open(mg_run_db *db, int64_t *n);

/* Every job in that state, every shard, in order. A status other than MG_OK ends it. */
typedef mg_status mg_job_visit(void *arg, const mg_job_row *row);
typedef mg_status mg_shard_visit(void *arg, const mg_shard_row *row);
mg_status mg_run_db_each(mg_run_db *db, mg_job_state state, mg_job_visit *visit, void *arg);
mg_status mg_run_db_each_in_no_shard(mg_run_db *db, mg_job_visit *visit,
                                     void *arg); /* of those that are done */
mg_status mg_run_db_each_shard(mg_run_db *db, mg_shard_visit *visit, void *arg);

#endif
