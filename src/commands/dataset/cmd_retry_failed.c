/* mg-dist retry-failed: the jobs of a dataset that failed wait again, for the next run. */
#include "cli.h"
#include "dataset.h"
#include "dataset_status.h"
#include "log.h"
#include "run_db.h"
#include "run_lock.h"

#define STALE_S 30.0

typedef struct settings {
    const char *dir;
} settings;

static const mg_option options[] = {
    {.name = "DIR",
     .type = MG_OPT_STRING,
     .is_operand = true,
     .offset = offsetof(settings, dir),
     .group = "Operands",
     .help = "the dataset's folder"},
};

static mg_status retry(const char *dir)
{
    mg_status st = MG_OK;
    mg_run_lock *lock = NULL;
    mg_run_db *db = NULL;
    char path[MG_PATH_SIZE];
    mg_run_counts counts;
    int64_t n = 0;

    MG_RETURN(mg_dataset_own_path(path, dir, "run.db"));
    if (!mg_path_exists(path)) return mg_fail(MG_EUSAGE, "%s: is no dataset of mg-dist run", dir);
    MG_TRY(mg_dataset_own_path(path, dir, "lock"));
    MG_TRY(mg_run_lock_take(&lock, path, STALE_S));
    MG_TRY(mg_dataset_own_path(path, dir, "run.db"));
    MG_TRY(mg_run_db_open(&db, path, lock));
    MG_TRY(mg_run_db_retry(db, &n));
    MG_TRY(mg_run_db_count(db, &counts));
    MG_TRY(mg_run_db_commit(db));
    if (n > 0)
        mg_log_info("retry-failed: %s: %lld clip%s for the next run", dir, (long long)n,
                    n == 1 ? " waits" : "s wait");
    else
        mg_log_info("retry-failed: %s: no clip has failed, and %lld wait%s for the next run anyway", dir,
                    (long long)counts.waiting, counts.waiting == 1 ? "s" : "");
    if (n > 0) MG_TRY(mg_dataset_status_recount(dir, &counts));
done:
    mg_run_db_close(db);
    mg_run_lock_release(lock);
    return st;
}

static mg_status run(mg_context *context, const void *arg)
{
    const settings *s = arg;

    return context->world->rank > 0 ? MG_OK : retry(s->dir);
}

const mg_command mg_cmd_retry_failed = {
    .name = "retry-failed",
    .summary = "let the jobs of a dataset that failed wait for the next run",
    .usage = "DIR",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(settings),
    .is_single = true,
    .run = run,
};
