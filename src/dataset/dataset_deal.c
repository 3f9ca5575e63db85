/* Dealing jobs and recording what came of them. */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataset_impl.h"
#include "job_id.h"
#include "text.h"

enum { MOST_LOOKS = 64 };

/* The next one to deal stands last: the longest, and of equals the first. */
static int compare(const void *a, const void *b)
{
    const mg_dataset_waiting *x = a, *y = b;

    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return x->n > y->n ? -1 : x->n < y->n;
}

/* What the writer has read ahead; it goes on reading at once. */
static mg_status take_read_ahead(mg_dataset *d, mg_dataset_list *list)
{
    mg_dataset_writer *w = &d->writer;

    if (!w->runs) {
        MG_RETURN(mg_dataset_read_ahead_now(d, list));
        d->all_read = list->n < MG_DATASET_WINDOW;
        return MG_OK;
    }
    pthread_mutex_lock(&w->lock);
    /* Raised here too: where no job could be read nothing comes back, and there is never a commit to raise
     * it. */
    const mg_status st = mg_fault_raise(&w->fault);
    if (st == MG_OK && !w->wants_jobs) {
        *list = w->next;
        w->next = (mg_dataset_list){0};
        w->wants_jobs = !w->no_jobs;
        d->all_read = w->no_jobs;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return st;
}

static mg_status fill_window(mg_dataset *d)
{
    mg_dataset_list more = {0};
    mg_status st = take_read_ahead(d, &more);

    for (size_t i = 0; i < more.n && st == MG_OK; i++) {
        st = mg_dataset_list_add(&d->window, &more.job[i]);
        if (st == MG_OK) more.job[i] = (mg_dataset_waiting){0};
    }
    mg_dataset_list_drop(&more);
    if (d->window.n > 1) qsort(d->window.job, d->window.n, sizeof *d->window.job, compare);
    return st;
}

/* Too many outcomes wait for the disk: no more work until it comes after. */
static bool is_behind(mg_dataset *d)
{
    mg_dataset_writer *w = &d->writer;

    if (!w->runs) return false;
    pthread_mutex_lock(&w->lock);
    const bool behind = w->rows.n > MG_DATASET_QUEUE;
    pthread_mutex_unlock(&w->lock);
    return behind;
}

static int compare_n(const void *a, const void *b)
{
    const mg_dataset_waiting *x = a, *y = b;

    return x->n < y->n ? -1 : x->n > y->n;
}

/* Thousands of replicas have hundreds of thousands of clips in flight. *w's strings go with it. */
static mg_status put_in_flight(mg_dataset *d, const mg_dataset_waiting *w)
{
    mg_dataset_waiting *own = malloc(sizeof *own);

    if (!own) return mg_fail(MG_ENOMEM, "jobs: no memory");
    *own = *w;
    if (!tsearch(own, &d->flight, compare_n)) {
        free(own);
        return mg_fail(MG_ENOMEM, "jobs: no memory");
    }
    d->n_in_flight++;
    return MG_OK;
}

static mg_status take_from_flight(mg_dataset *d, mg_dataset_waiting *out, int64_t n)
{
    const mg_dataset_waiting key = {.n = n};
    mg_dataset_waiting *const *found = tfind(&key, &d->flight, compare_n);

    if (!found) return mg_fail(MG_EBUG, "dataset: clip %lld was not dealt", (long long)n);
    mg_dataset_waiting *own = *found;
    tdelete(&key, &d->flight, compare_n);
    d->n_in_flight--;
    *out = *own;
    free(own);
    return MG_OK;
}

static void drop_one(void *own)
{
    mg_dataset_waiting_drop(own);
    free(own);
}

const char *mg_dataset_id_of(const mg_dataset *d, int64_t n)
{
    const mg_dataset_waiting key = {.n = n};
    mg_dataset_waiting *const *found = tfind(&key, &d->flight, compare_n);

    return found ? (*found)->id : "?";
}

void mg_dataset_drop_flight(mg_dataset *d)
{
    tdestroy(d->flight, drop_one);
    d->flight = NULL;
    d->n_in_flight = 0;
}

/* One of the last jobs whose files somebody else could not read, at the list's end. `all`: we could not,
 * either. */
static bool find_unread(mg_dataset *d, int maker, bool all)
{
    mg_dataset_list *list = &d->unread;

    for (size_t i = list->n, k = 0; i > 0 && k < MOST_LOOKS; i--, k++) {
        if (!all && list->job[i - 1].unread_by == 1 + maker) continue;
        const mg_dataset_waiting found = list->job[i - 1];
        list->job[i - 1] = list->job[list->n - 1];
        list->job[list->n - 1] = found;
        return true;
    }
    return false;
}

/* The list whose last job is the next one; NULL: there is none. */
static mg_status choose_list(mg_dataset *d, mg_dataset_list **list, int maker, int n_makers)
{
    *list = NULL;
    if (d->window.n == 0) MG_RETURN(fill_window(d));
    if (is_behind(d)) return MG_OK;
    if (find_unread(d, maker, n_makers == 1 && d->window.n == 0 && d->all_read))
        *list = &d->unread;
    else if (d->window.n > 0)
        *list = &d->window;
    return MG_OK;
}

mg_status mg_dataset_deal_to(mg_dataset *d, int maker, int n_makers, mg_dataset_job *job, bool *found)
{
    mg_dataset_list *list;

    *job = (mg_dataset_job){0};
    *found = false;
    MG_RETURN(choose_list(d, &list, maker, n_makers));
    if (!list) return MG_OK;
    const mg_dataset_waiting *w = &list->job[list->n - 1];
    MG_RETURN(put_in_flight(d, w));
    list->n--; /* its place is kept until the list grows */
    *job = (mg_dataset_job){.n = w->n,
                            .copy = w->copy,
                            .attempt = w->attempt,
                            .id = w->id,
                            .text = w->text,
                            .text_bytes = w->bytes,
                            .refused = w->refused ? w->refused : "",
                            .was_unread = w->unread_by > 0,
                            .line = w->line};
    MG_RETURN(mg_job_id_seed(&job->seed, d->seed, w->id, w->attempt));
    *found = true;
    return MG_OK;
}

bool mg_dataset_has_jobs(const mg_dataset *d)
{
    return d->window.n + d->unread.n > 0;
}

/* The outcome goes to whoever has the state. */
static mg_status enter(mg_dataset *d, const mg_job_row *row)
{
    mg_dataset_writer *w = &d->writer;

    if (!w->runs) return mg_dataset_enter(d, row);
    pthread_mutex_lock(&w->lock);
    const mg_status st = mg_dataset_rows_add(&w->rows, row);
    pthread_mutex_unlock(&w->lock);
    return st;
}

static mg_status end_job(mg_dataset *d, const mg_dataset_waiting *w, const mg_dataset_outcome *o)
{
    const bool done = o->kind == MG_MADE_DONE;
    char file[MG_PATH_SIZE];
    mg_job_row row = {.n = w->n,
                      .state = done ? MG_JOB_DONE : MG_JOB_FAILED,
                      .tries = w->tries + 1,
                      .reason = o->reason,
                      .took_s = o->took_s,
                      .ended_at = (int64_t)time(NULL)};

    if (done) {
        MG_RETURN(mg_dataset_file_name(file, d->call.layout, d->call.suffix, w->n, w->id));
        row.file = file;
        row.sha256 = o->sha256;
        row.file_bytes = o->file_bytes;
        row.record = o->record;
        row.dur_s = o->dur_s;
        d->counts.done++;
        d->counts.done_now++;
        d->counts.done_s += o->dur_s;
        d->counts.done_now_s += o->dur_s;
    } else {
        d->counts.failed++;
    }
    return enter(d, &row);
}

/* Made, and bad: the next attempt has another seed, and says why. */
static mg_status refuse(mg_dataset *d, mg_dataset_waiting *w, const char *reason)
{
    mg_text t = {0};
    char *refused;

    mg_text_format(&t, "%s%s%s", w->refused ? w->refused : "", w->refused ? "; " : "",
                   reason ? reason : "bad");
    MG_RETURN(mg_text_end(&t, &refused, "jobs"));
    free(w->refused);
    w->refused = refused;
    w->attempt++;
    d->counts.made_again++;
    return MG_OK;
}

mg_status mg_dataset_record(mg_dataset *d, const mg_dataset_outcome *o)
{
    mg_status st = MG_OK;
    mg_dataset_waiting w;

    MG_RETURN(take_from_flight(d, &w, o->n));
    if (o->kind == MG_MADE_PASSING && w.tries >= d->call.retries) {
        st = mg_fail(MG_EFAIL, "clip %s: %s; when that is mended, the same command goes on", w.id,
                     o->reason ? o->reason : "cannot be written");
        mg_dataset_waiting_drop(&w);
        return st; /* it waits for the next run, when the disk is well again */
    }
    const bool again = o->kind == MG_MADE_BAD || o->kind == MG_MADE_PASSING;
    if (again) {
        w.tries += o->kind == MG_MADE_PASSING;
        if (o->kind == MG_MADE_BAD) st = refuse(d, &w, o->reason);
        if (st == MG_OK) st = mg_dataset_list_add(&d->window, &w);
        if (st == MG_OK) return MG_OK;
    } else if (o->kind == MG_MADE_UNREAD) {
        w.unread_by = 1 + o->maker;
        st = mg_dataset_list_add(&d->unread, &w);
        if (st == MG_OK) return MG_OK;
    } else if (o->kind != MG_MADE_BACK) {
        st = end_job(d, &w, o);
    }
    mg_dataset_waiting_drop(&w);
    return st;
}
