/* Lists of jobs and of rows, with the strings in them. */
#include <stdlib.h>
#include <string.h>

#include "dataset_impl.h"
#include "text.h"

void mg_dataset_waiting_drop(mg_dataset_waiting *w)
{
    free(w->id);
    free(w->text);
    free(w->refused);
    *w = (mg_dataset_waiting){0};
}

mg_status mg_dataset_list_add(mg_dataset_list *list, const mg_dataset_waiting *w)
{
    MG_RETURN(mg_grow(&list->job, &list->capacity, list->n + 1, sizeof *list->job, "jobs"));
    list->job[list->n++] = *w;
    return MG_OK;
}

void mg_dataset_list_drop(mg_dataset_list *list)
{
    for (size_t i = 0; i < list->n; i++) mg_dataset_waiting_drop(&list->job[i]);
    free(list->job);
    *list = (mg_dataset_list){0};
}

static void drop_row(mg_job_row *row)
{
    free((char *)row->file);
    free((char *)row->sha256);
    free((char *)row->record);
    free((char *)row->reason);
}

static mg_status copy_text(const char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from ? MG_OK : mg_fail(MG_ENOMEM, "jobs: no memory");
}

mg_status mg_dataset_rows_add(mg_dataset_rows *rows, const mg_job_row *row)
{
    mg_status st = MG_OK;
    mg_job_row copy = *row;

    copy.id = copy.file = copy.sha256 = copy.record = copy.reason = NULL;
    MG_TRY(mg_grow(&rows->row, &rows->capacity, rows->n + 1, sizeof *rows->row, "jobs"));
    MG_TRY(copy_text(&copy.file, row->file));
    MG_TRY(copy_text(&copy.sha256, row->sha256));
    MG_TRY(copy_text(&copy.record, row->record));
    MG_TRY(copy_text(&copy.reason, row->reason));
    rows->row[rows->n++] = copy;
    return MG_OK;
done:
    drop_row(&copy);
    return st;
}

void mg_dataset_rows_drop(mg_dataset_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) drop_row(&rows->row[i]);
    free(rows->row);
    *rows = (mg_dataset_rows){0};
}
