/* What the state says. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "json_lines.h"
#include "numbers.h"
#include "report.h"
#include "stop.h"

/* A million reasons of which each is its own kind must not take a million times a million comparisons. */
enum { MOST_KINDS = 200 };

/* A reason without what is one clip's own: names of files become FILE, numbers N, what is quoted "…". */
static void make_pattern(mg_text *t, const char *reason)
{
    for (const char *p = reason; *p;) {
        const size_t word = strcspn(p, " ");
        const size_t bare = word > 0 && (p[word - 1] == ':' || p[word - 1] == ',') ? word - 1 : word;
        const char *dot = memchr(p, '.', bare), *slash = memchr(p, '/', bare);
        if (*p == '"' && strchr(p + 1, '"')) {
            p = strchr(p + 1, '"') + 1;
            mg_text_add(t, "“…”");
        } else if (slash || (dot && dot > p && dot + 1 < p + bare && isalpha((unsigned char)dot[1]))) {
            mg_text_add(t, "FILE");
            p += bare;
        } else if (isdigit((unsigned char)*p)) {
            mg_text_add(t, "N");
            p += strspn(p, "0123456789.");
        } else {
            mg_text_add_bytes(t, p++, 1);
        }
    }
}

static mg_status add_reason(mg_report_reasons *list, const char *reason, const char *id)
{
    mg_text t = {0};
    char *pattern;

    make_pattern(&t, reason);
    MG_RETURN(mg_text_end(&t, &pattern, "report"));
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->item[i].pattern, pattern) != 0) continue;
        list->item[i].n++;
        free(pattern);
        return MG_OK;
    }
    if (list->n == MOST_KINDS) {
        list->n_others++;
        free(pattern);
        return MG_OK;
    }
    const mg_status st = mg_grow(&list->item, &list->capacity, list->n + 1, sizeof *list->item, "report");
    if (st != MG_OK) {
        free(pattern);
        return st;
    }
    list->item[list->n++] = (mg_report_reason){pattern, strdup(reason), strdup(id), 1};
    return MG_OK;
}

static mg_status add_number(double **list, size_t *capacity, size_t n, double value)
{
    MG_RETURN(mg_grow(list, capacity, n + 1, sizeof **list, "report"));
    (*list)[n] = value;
    return MG_OK;
}

static mg_status take_done(void *arg, const mg_job_row *row)
{
    mg_report *r = arg;
    mg_clip_line line;

    MG_RETURN(mg_stop_check());
    MG_RETURN(add_number(&r->end, &r->done_capacity, r->n_done, (double)row->ended_at));
    MG_RETURN(add_number(&r->length, &r->length_capacity, r->n_done, row->dur_s));
    r->n_done++;
    r->n_bytes += row->file_bytes;
    MG_RETURN(mg_clip_line_parse(&line, row->id, row->record, (int64_t)strlen(row->record)));
    r->with_gate |= line.gate_attempt >= 0;
    r->n_made_again += line.gate_attempt > 0;
    mg_clip_line_close(&line);
    return row->reason && *row->reason ? add_reason(&r->remarks, row->reason, row->id) : MG_OK;
}

static mg_status take_failed(void *arg, const mg_job_row *row)
{
    mg_report *r = arg;

    MG_RETURN(mg_stop_check());
    MG_RETURN(add_number(&r->failed_at, &r->failed_capacity, r->n_failed, (double)row->ended_at));
    r->n_failed++;
    return add_reason(&r->failures, row->reason ? row->reason : "no reason was recorded", row->id);
}

static int compare_reasons(const void *a, const void *b)
{
    const mg_report_reason *x = a, *y = b;

    return x->n != y->n ? (x->n > y->n ? -1 : 1) : strcmp(x->pattern, y->pattern);
}

static mg_status read_notes(mg_report *r)
{
    struct {
        const char *name;
        char **value;
    } const notes[] = {{"name", &r->name},       {"layout", &r->layout},     {"state", &r->state},
                       {"model", &r->model},     {"dtype", &r->dtype},       {"cpu-level", &r->level},
                       {"version", &r->version}, {"settings", &r->settings}, {"seed", &r->seed},
                       {"format", &r->format},   {"gate", &r->gate}};

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        MG_RETURN(mg_run_db_read_note(r->db, notes[i].name, notes[i].value));
    if (r->name && !mg_dataset_name_fits(r->name)) /* its shards are called so */
        return mg_fail(MG_EFAIL, "%s: run.db: name \"%.64s\": is not as mg-dist writes it", r->dir, r->name);
    return MG_OK;
}

mg_status mg_report_gather(mg_report *r)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_dataset_own_path(path, r->dir, "run.db"));
    if (!mg_path_exists(path)) return mg_fail(MG_EUSAGE, "%s: is no dataset of mg-dist run", r->dir);
    MG_RETURN(mg_run_db_open_to_read(&r->db, path));
    MG_RETURN(read_notes(r));
    MG_RETURN(mg_run_db_count(r->db, &r->count));
    MG_RETURN(mg_run_db_each(r->db, MG_JOB_DONE, take_done, r));
    MG_RETURN(mg_run_db_each(r->db, MG_JOB_FAILED, take_failed, r));
    mg_numbers_sort(r->end, (int64_t)r->n_done);
    mg_numbers_sort(r->failed_at, (int64_t)r->n_failed);
    if (r->failures.n) qsort(r->failures.item, r->failures.n, sizeof *r->failures.item, compare_reasons);
    if (r->remarks.n) qsort(r->remarks.item, r->remarks.n, sizeof *r->remarks.item, compare_reasons);
    return MG_OK;
}

static void close_reasons(mg_report_reasons *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->item[i].pattern);
        free(list->item[i].example);
        free(list->item[i].id);
    }
    free(list->item);
}

void mg_report_close(mg_report *r)
{
    char *const texts[] = {r->name,    r->layout,   r->state, r->model,  r->dtype, r->level,
                           r->version, r->settings, r->seed,  r->format, r->gate};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
    for (size_t i = 0; i < r->n_clips; i++) {
        free(r->clip[i].id);
        free(r->clip[i].prompt);
        free(r->clip[i].file);
        free(r->clip[i].shard);
        free(r->clip[i].bytes);
    }
    free(r->clip);
    free(r->end);
    free(r->length);
    free(r->failed_at);
    close_reasons(&r->failures);
    close_reasons(&r->remarks);
    mg_run_db_close(r->db);
}
