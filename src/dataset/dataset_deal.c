/* Dealing jobs and recording what came of them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataset_impl.h"
#include "in_file.h"
#include "job_id.h"
#include "text.h"

/* The next one to deal stands last: the longest, and of equals the first. */
static int compare(const void *a, const void *b)
{
    const mg_dataset_waiting *x = a, *y = b;

    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return x->n > y->n ? -1 : x->n < y->n;
}

static mg_status push(mg_dataset_waiting **list, size_t *n, size_t *capacity, const mg_dataset_waiting *w)
{
    MG_RETURN(mg_grow(list, capacity, *n + 1, sizeof **list, "jobs"));
    (*list)[(*n)++] = *w;
    return MG_OK;
}

static mg_status fill_window(mg_dataset *d)
{
    mg_job_row row;
    bool found = true;

    while (d->n_window < MG_DATASET_WINDOW) {
        MG_RETURN(mg_run_db_next(d->db, MG_JOB_WAITING, d->deal_from, &row, &found));
        if (!found) break;
        mg_dataset_waiting w = {row.n,    row.size, row.at,    row.bytes,     row.line,
                                row.copy, 0,        row.tries, strdup(row.id)};
        if (!w.id) return mg_fail(MG_ENOMEM, "jobs: no memory");
        const mg_status st = push(&d->window, &d->n_window, &d->window_capacity, &w);
        if (st != MG_OK) {
            free(w.id);
            return st;
        }
        d->deal_from = row.n + 1;
    }
    if (d->n_window > 1) qsort(d->window, d->n_window, sizeof *d->window, compare);
    return MG_OK;
}

static mg_status read_text(mg_dataset *d, const mg_dataset_waiting *w)
{
    MG_RETURN(mg_grow(&d->text, &d->text_capacity, (size_t)w->bytes + 1, 1, "a job"));
    const int error = mg_in_file_copy(d->jobs_fd, d->text, w->at, w->bytes);
    if (error) return mg_fail(MG_EFAIL, "%s/jobs.jsonl: cannot read: %s", d->own, strerror(error));
    d->text[w->bytes] = '\0';
    return MG_OK;
}

mg_status mg_dataset_deal(mg_dataset *d, mg_dataset_job *job, bool *found)
{
    *job = (mg_dataset_job){0};
    *found = false;
    if (d->n_window == 0) MG_RETURN(fill_window(d));
    if (d->n_window == 0) return MG_OK;
    const mg_dataset_waiting *w = &d->window[d->n_window - 1];
    MG_RETURN(read_text(d, w));
    MG_RETURN(push(&d->flight, &d->n_flight, &d->flight_capacity, w));
    d->n_window--;
    w = &d->flight[d->n_flight - 1];
    *job = (mg_dataset_job){.n = w->n,
                            .copy = w->copy,
                            .attempt = w->attempt,
                            .id = w->id,
                            .text = d->text,
                            .text_bytes = w->bytes,
                            .line = w->line};
    MG_RETURN(mg_job_id_seed(&job->seed, d->seed, w->id, w->attempt));
    *found = true;
    return MG_OK;
}

static mg_status take_from_flight(mg_dataset *d, mg_dataset_waiting *out, int64_t n)
{
    for (size_t i = 0; i < d->n_flight; i++) {
        if (d->flight[i].n != n) continue;
        *out = d->flight[i];
        d->flight[i] = d->flight[--d->n_flight];
        return MG_OK;
    }
    return mg_fail(MG_EBUG, "dataset: clip %lld was not dealt", (long long)n);
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
    return mg_run_db_end_job(d->db, &row);
}

mg_status mg_dataset_record(mg_dataset *d, const mg_dataset_outcome *o)
{
    mg_status st = MG_OK;
    mg_dataset_waiting w;

    MG_RETURN(take_from_flight(d, &w, o->n));
    if (o->kind == MG_MADE_PASSING && w.tries >= d->call.retries) {
        st = mg_fail(MG_EFAIL, "clip %s: %s", w.id, o->reason ? o->reason : "cannot be written");
        free(w.id);
        return st; /* it waits for the next run, when the disk is well again */
    }
    const bool again = o->kind == MG_MADE_BAD || o->kind == MG_MADE_PASSING;
    if (again) {
        if (o->kind == MG_MADE_BAD)
            w.attempt++, d->counts.made_again++;
        else
            w.tries++;
        st = push(&d->window, &d->n_window, &d->window_capacity, &w);
        if (st == MG_OK) return MG_OK;
    } else if (o->kind != MG_MADE_BACK) {
        st = end_job(d, &w, o);
    }
    free(w.id);
    return st;
}

mg_status mg_dataset_commit(mg_dataset *d)
{
    MG_RETURN(mg_run_db_commit(d->db));
    return d->call.layout == MG_LAYOUT_WEBDATASET ? mg_dataset_close_shards(d, false) : MG_OK;
}
