/* What came of jobs goes into the state in groups. A disk that fails for a moment (EIO, ESTALE) is tried
 * again: SQLite may have undone the whole group, so it is kept here until it is durable, and entered once
 * more. */
#include <time.h>

#include "clock.h"
#include "dataset_impl.h"
#include "log.h"
#include "stop.h"

#define FIRST_WAIT_S 0.2
#define MOST_WAIT_S  5.0

mg_status mg_dataset_enter(mg_dataset *d, const mg_job_row *row)
{
    MG_RETURN(mg_dataset_rows_add(&d->pending, row));
    if (d->must_replay) return MG_OK;
    const mg_status st = mg_run_db_end_job(d->db, row);
    if (st != MG_EFAIL) return st;
    d->must_replay = true; /* the commit tries again */
    mg_clear_error();
    return MG_OK;
}

static mg_status replay(mg_dataset *d)
{
    MG_RETURN(mg_run_db_roll_back(d->db));
    for (size_t i = 0; i < d->pending.n; i++) MG_RETURN(mg_run_db_end_job(d->db, &d->pending.row[i]));
    d->must_replay = false;
    return MG_OK;
}

static mg_status commit(mg_dataset *d, void *unused)
{
    (void)unused;
    if (d->must_replay) MG_RETURN(replay(d));
    d->must_replay = true; /* unless it is durable */
    MG_RETURN(mg_run_db_commit(d->db));
    d->must_replay = false;
    mg_dataset_rows_drop(&d->pending);
    if (d->call.layout != MG_LAYOUT_WEBDATASET) return MG_OK;
    const mg_status st = mg_dataset_close_shards(d, false);
    d->must_replay = st != MG_OK; /* a shard's row may hang in the air */
    return st;
}

/* The end of a run, in any state of it. */
static mg_status finish(mg_dataset *d, void *unused)
{
    const bool whole = d->counts.done + d->counts.failed == d->counts.total;

    MG_RETURN(commit(d, unused));
    d->must_replay = true;
    if (d->call.layout == MG_LAYOUT_WEBDATASET && whole) MG_RETURN(mg_dataset_close_shards(d, true));
    MG_RETURN(mg_dataset_export(d));
    const char *state = whole ? "finished" : d->n_in_flight > 0 ? "left" : "stopped";
    MG_RETURN(mg_run_db_note(d->db, "state", state)); /* left: files may be there that nobody reported */
    MG_RETURN(mg_run_db_commit(d->db));
    d->must_replay = false;
    return MG_OK;
}

static void wait_s(double s)
{
    const double end_s = mg_clock_s() + s;

    while (mg_clock_s() < end_s && !mg_stop_requested()) nanosleep(&(struct timespec){0, 50000000}, NULL);
}

/* As often as --retries says, with longer and longer pauses. */
static mg_status try_again(mg_dataset *d, mg_status (*work)(mg_dataset *d, void *arg), void *arg)
{
    double pause_s = FIRST_WAIT_S;

    for (int64_t i = 0;; i++) {
        const mg_status st = work(d, arg);
        if (st == MG_OK) return MG_OK;
        if (st != MG_EFAIL || i >= d->call.retries || d->gave_up || mg_stop_requested() ||
            mg_run_lock_is_lost(d->lock)) {
            d->gave_up = true;
            return st;
        }
        mg_log_info("%s; it is tried again", mg_last_error());
        mg_clear_error();
        wait_s(pause_s);
        pause_s = pause_s * 4 < MOST_WAIT_S ? pause_s * 4 : MOST_WAIT_S;
    }
}

mg_status mg_dataset_commit_now(mg_dataset *d)
{
    return try_again(d, commit, NULL);
}

mg_status mg_dataset_finish_now(mg_dataset *d)
{
    return try_again(d, finish, NULL);
}

static mg_status read_ahead(mg_dataset *d, void *list)
{
    return mg_dataset_read_ahead(d, list);
}

mg_status mg_dataset_read_ahead_now(mg_dataset *d, mg_dataset_list *list)
{
    return try_again(d, read_ahead, list);
}
