/* Clips that were done and are no more: they wait again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataset.h"
#include "dataset_status.h"
#include "dataset_verify.h"
#include "job_id.h"
#include "run_lock.h"

#define STALE_S 30.0

/* Shards that no row tells of are removed by the next start, for the run counts as cut off; so are files of
 * clips that wait. */
static mg_status forget(mg_run_db *db, char *const *id, size_t n_ids)
{
    int64_t fold, first_shard = INT64_MAX;
    mg_job_row row;
    bool found;

    for (size_t i = 0; i < n_ids; i++) {
        MG_RETURN(mg_job_id_fold_hash(&fold, id[i]));
        MG_RETURN(mg_run_db_find_id(db, id[i], fold, &row, &found));
        if (!found) continue;
        if (row.shard >= 0 && row.shard < first_shard) first_shard = row.shard;
        if (row.shard < 0) MG_RETURN(mg_run_db_forget(db, row.n));
    }
    return first_shard < INT64_MAX ? mg_run_db_forget_shards(db, first_shard) : MG_OK;
}

mg_status mg_dataset_again(int64_t *n, const char *dir, char *const *id, size_t n_ids)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    mg_run_lock *lock = NULL;
    mg_run_db *db = NULL;
    mg_run_counts counts;

    MG_TRY(mg_dataset_own_path(path, dir, "lock"));
    MG_TRY(mg_run_lock_take(&lock, path, STALE_S));
    MG_TRY(mg_dataset_own_path(path, dir, "run.db"));
    MG_TRY(mg_run_db_open(&db, path, lock));
    MG_TRY(forget(db, id, n_ids));
    MG_TRY(mg_run_db_note(db, "state", "running"));
    MG_TRY(mg_run_db_count(db, &counts));
    MG_TRY(mg_run_db_commit(db));
    MG_TRY(mg_dataset_status_recount(dir, &counts));
    *n = counts.waiting;
done:
    mg_run_db_close(db);
    mg_run_lock_release(lock);
    return st;
}
