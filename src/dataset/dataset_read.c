/* Jobs out of the state, several ahead, with their texts. */
#include <stdlib.h>
#include <string.h>

#include "dataset_impl.h"
#include "in_file.h"

static mg_status read_text(const mg_dataset *d, mg_dataset_waiting *w)
{
    w->text = malloc((size_t)w->bytes + 1);
    if (!w->text) return mg_fail(MG_ENOMEM, "a job: %lld bytes", (long long)w->bytes);
    const int error = mg_in_file_copy(d->jobs_fd, w->text, w->at, w->bytes);
    if (error) return mg_fail(MG_EFAIL, "%s/jobs.jsonl: cannot read: %s", d->own, strerror(error));
    w->text[w->bytes] = '\0';
    return MG_OK;
}

static mg_status add(const mg_dataset *d, mg_dataset_list *list, const mg_job_row *row)
{
    mg_status st = MG_OK;
    mg_dataset_waiting w = {.n = row->n,
                            .size = row->size,
                            .at = row->at,
                            .bytes = row->bytes,
                            .line = row->line,
                            .copy = row->copy,
                            .tries = row->tries,
                            .id = strdup(row->id)};

    if (!w.id) MG_TRY(mg_fail(MG_ENOMEM, "jobs: no memory"));
    MG_TRY(read_text(d, &w));
    MG_TRY(mg_dataset_list_add(list, &w));
    return MG_OK;
done:
    mg_dataset_waiting_drop(&w);
    return st;
}

mg_status mg_dataset_read_ahead(mg_dataset *d, mg_dataset_list *list)
{
    mg_job_row row;
    bool found;

    while (list->n < MG_DATASET_WINDOW) {
        MG_RETURN(mg_run_db_next(d->db, MG_JOB_WAITING, d->deal_from, &row, &found));
        if (!found) break;
        MG_RETURN(add(d, list, &row));
        d->deal_from = row.n + 1;
    }
    return MG_OK;
}
