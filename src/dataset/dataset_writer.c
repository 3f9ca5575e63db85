/* The thread that does what needs a disk while a run works, so that no step waits for one: outcomes into the
 * state, jobs out of it, shards, the status file. Its queue is bounded by what is dealt
 * (dataset_deal.c). */
#include "dataset_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "beside.h"
#include "log.h"
#include "out_file.h"

/* What is to be done, taken out of the writer. */
typedef struct errand {
    mg_dataset_rows rows;
    bool commit, jobs;
    char *path[MG_DATASET_SHEETS], *text[MG_DATASET_SHEETS];
} errand;

static bool is_idle(const mg_dataset_writer *w)
{
    bool puts = false;

    for (int i = 0; i < MG_DATASET_SHEETS; i++) puts = puts || w->text[i];
    return !w->closing && !w->wants_commit && !w->wants_jobs && !puts;
}

/* Under the lock. */
static errand take_errand(mg_dataset_writer *w)
{
    errand e = {.rows = w->rows, .commit = w->wants_commit, .jobs = w->wants_jobs};

    memcpy(e.path, w->path, sizeof e.path);
    memcpy(e.text, w->text, sizeof e.text);
    w->rows = (mg_dataset_rows){0};
    w->wants_commit = false;
    memset(w->path, 0, sizeof w->path);
    memset(w->text, 0, sizeof w->text);
    return e;
}

/* Not over what another run says of itself; a lock that cannot be read now is not another's. */
static void put_sheet(mg_dataset *d, char *path, char *text)
{
    mg_dataset_writer *w = &d->writer;
    const bool puts = path && (mg_run_lock_check(d->lock) == MG_OK || !mg_run_lock_is_lost(d->lock));
    const mg_status st = puts ? mg_out_file_put(path, text, strlen(text)) : MG_OK;

    if (st != MG_OK && !w->put_failed) mg_log_warn("%s", mg_last_error());
    w->put_failed = w->put_failed || st != MG_OK;
    mg_clear_error();
    free(path);
    free(text);
}

static mg_status read_jobs(mg_dataset *d)
{
    mg_dataset_writer *w = &d->writer;
    mg_dataset_list list = {0};
    const mg_status st = mg_dataset_read_ahead_now(d, &list);

    pthread_mutex_lock(&w->lock);
    w->next = list;
    w->no_jobs = list.n < MG_DATASET_WINDOW;
    w->wants_jobs = false;
    pthread_mutex_unlock(&w->lock);
    return st;
}

static mg_status enter_rows(mg_dataset *d, mg_dataset_rows *rows)
{
    mg_status st = MG_OK;

    for (size_t i = 0; i < rows->n && st == MG_OK; i++) st = mg_dataset_enter(d, &rows->row[i]);
    mg_dataset_rows_drop(rows);
    return st;
}

/* Jobs first, for somebody may be out of work. Rows are entered where none could be read, too: their clips
 * are there, and counted. Whoever writes checks the lock, and tries again where it cannot be read. */
static mg_fault do_errand(mg_dataset *d, errand *e)
{
    const bool is_lost = mg_run_lock_is_lost(d->lock); /* by now: asks no disk */
    mg_fault fault = mg_fault_take(is_lost ? mg_run_lock_check(d->lock) : e->jobs ? read_jobs(d) : MG_OK);
    mg_status st = enter_rows(d, &e->rows);

    if (st == MG_OK && e->commit) st = mg_dataset_commit_now(d);
    if (fault.st == MG_OK) fault = mg_fault_take(st); /* before a sheet has one of its own */
    for (int i = 0; i < MG_DATASET_SHEETS; i++) put_sheet(d, e->path[i], e->text[i]);
    return fault;
}

static void *write_all(void *arg)
{
    mg_dataset *d = arg;
    mg_dataset_writer *w = &d->writer;

    setpriority(PRIO_PROCESS, 0, MG_BESIDE_NICENESS);
    pthread_mutex_lock(&w->lock);
    while (!w->closing && w->fault.st == MG_OK) {
        if (is_idle(w)) pthread_cond_wait(&w->wake, &w->lock);
        if (w->closing) break; /* the rest is for mg_dataset_stop_writer */
        errand e = take_errand(w);
        pthread_mutex_unlock(&w->lock);
        const mg_fault fault = do_errand(d, &e);
        pthread_mutex_lock(&w->lock);
        w->fault = fault;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

mg_status mg_dataset_start_writer(mg_dataset *d)
{
    mg_dataset_writer *w = &d->writer;

    *w = (mg_dataset_writer){.wants_jobs = true};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    MG_RETURN(mg_beside_start(&w->thread, "writer", write_all, d));
    w->runs = true;
    return MG_OK;
}

mg_status mg_dataset_stop_writer(mg_dataset *d)
{
    mg_dataset_writer *w = &d->writer;
    mg_status st = MG_OK;

    if (!w->runs) return MG_OK;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->runs = false;
    st = enter_rows(d, &w->rows);
    if (w->fault.st != MG_OK) st = mg_fault_raise(&w->fault); /* of its last errand: nobody has heard of it */
    for (int i = 0; i < MG_DATASET_SHEETS; i++) {
        free(w->path[i]);
        free(w->text[i]);
    }
    mg_dataset_list_drop(&w->next);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    return st;
}

mg_status mg_dataset_commit(mg_dataset *d)
{
    mg_dataset_writer *w = &d->writer;

    if (!w->runs) return mg_dataset_commit_now(d);
    pthread_mutex_lock(&w->lock);
    w->wants_commit = true;
    const mg_status st = mg_fault_raise(&w->fault);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return st;
}

mg_status mg_dataset_finish(mg_dataset *d)
{
    MG_RETURN(mg_dataset_stop_writer(d));
    return mg_dataset_finish_now(d);
}

mg_status mg_dataset_put(mg_dataset *d, mg_dataset_sheet which, const char *path, char *text)
{
    mg_dataset_writer *w = &d->writer;
    char *copy = strdup(path);

    if (!copy) {
        free(text);
        return mg_fail(MG_ENOMEM, "%s: no memory", path);
    }
    if (!w->runs) {
        put_sheet(d, copy, text);
        return MG_OK;
    }
    pthread_mutex_lock(&w->lock);
    free(w->path[which]); /* an older one that was never put */
    free(w->text[which]);
    w->path[which] = copy;
    w->text[which] = text;
    const mg_status st = mg_fault_raise(&w->fault);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return st;
}
