/* Some of the sounds: measured, and a few of them for the page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_sound.h"
#include "loudness.h"
#include "progress.h"
#include "report.h"
#include "stop.h"
#include "threads.h"

static mg_status choose(mg_report *r, int64_t n_measured, int64_t n_embedded)
{
    const int64_t n_done = (int64_t)r->n_done;
    const int64_t n = n_measured > n_embedded ? n_measured : n_embedded, n_clips = n < n_done ? n : n_done;
    int64_t next = 0, seen = 0;
    mg_job_row row;
    bool found = true;

    r->clip = calloc((size_t)n_clips + 1, sizeof *r->clip);
    if (!r->clip) return mg_fail(MG_ENOMEM, "report: %lld clips", (long long)n_clips);
    for (int64_t at = 0; (int64_t)r->n_clips < n_clips; at = row.n + 1, seen++) {
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_run_db_next(r->db, MG_JOB_DONE, at, &row, &found));
        if (!found) break;
        if (seen < next) continue;
        mg_report_clip *c = &r->clip[r->n_clips++];
        *c = (mg_report_clip){.n = row.n,
                              .id = strdup(row.id),
                              .file = strdup(row.file ? row.file : ""),
                              .lufs = NAN,
                              .dur_s = row.dur_s};
        next = (int64_t)r->n_clips * n_done / n_clips; /* evenly spread */
        mg_clip_line line;
        MG_RETURN(mg_clip_line_parse(&line, row.id, row.record, (int64_t)strlen(row.record)));
        c->prompt = strdup(line.prompt ? line.prompt : "");
        c->seed = line.seed;
        mg_clip_line_close(&line);
        if (row.shard >= 0 && asprintf(&c->shard, "%s-%06lld.tar", r->name, (long long)row.shard) < 0)
            c->shard = NULL;
    }
    for (int64_t i = 0; i < n_embedded && i < n_clips; i++) {
        const int64_t n_wanted = n_embedded < n_clips ? n_embedded : n_clips;
        r->clip[i * n_clips / n_wanted].embed = true;
    }
    return MG_OK;
}

/* Where a clip's file is that waits for its shard. */
static mg_status read_bytes(const mg_report *r, mg_report_clip *c)
{
    char path[MG_PATH_SIZE];
    const mg_clip_line line = {.file = c->file, .shard = c->shard};
    const bool in_shards = r->layout && strcmp(r->layout, "webdataset") == 0;

    if (!in_shards || c->shard) return mg_dataset_read_clip(&c->bytes, &c->n_bytes, r->dir, &line);
    const char *dot = strrchr(c->file, '.');
    MG_RETURN(mg_dataset_maker_name(path, MG_LAYOUT_WEBDATASET, dot ? dot : "", c->n, c->id));
    const mg_clip_line part = {.file = path};
    return mg_dataset_read_clip(&c->bytes, &c->n_bytes, r->dir, &part);
}

static void draw(mg_report_clip *c, const mg_sound *s)
{
    for (int i = 0; i < MG_REPORT_COLUMNS; i++) {
        const int64_t first = s->n_frames * i / MG_REPORT_COLUMNS,
                      end = s->n_frames * (i + 1) / MG_REPORT_COLUMNS;
        for (int64_t k = first * s->n_channels; k < end * s->n_channels; k++) {
            c->low[i] = fminf(c->low[i], s->pcm[k]);
            c->high[i] = fmaxf(c->high[i], s->pcm[k]);
        }
        c->peak = fmax(c->peak, fmax((double)c->high[i], -(double)c->low[i]));
    }
}

/* Clips from `from` on, at once. */
typedef struct piece {
    mg_report *r;
    int64_t from;
} piece;

static void listen_to(void *arg, int64_t first, int64_t end, int i_thread)
{
    const piece *p = arg;
    mg_report *r = p->r;
    (void)i_thread;

    for (int64_t i = first; i < end && !mg_stop_requested(); i++) {
        mg_report_clip *c = &r->clip[p->from + i];
        mg_sound s = {0};
        mg_status st = read_bytes(r, c);
        if (st == MG_OK) st = mg_dataset_decode(&s, c->bytes, c->n_bytes, c->file);
        if (st == MG_OK) st = mg_loudness_standard(&c->lufs, &s);
        if (st == MG_OK) draw(c, &s);
        c->read = st == MG_OK;
        mg_sound_close(&s);
        if (c->embed && c->read) continue;
        free(c->bytes);
        c->bytes = NULL;
    }
}

mg_status mg_report_listen(mg_report *r, int64_t n_measured, int64_t n_embedded)
{
    mg_threads *threads;
    mg_progress progress;

    MG_RETURN(choose(r, n_measured, n_embedded));
    MG_RETURN(mg_threads_open(&threads, mg_threads_available(), false));
    const int64_t at_once = 4 * mg_threads_count(threads), n_all = (int64_t)r->n_clips;
    mg_progress_begin(&progress, "report", "clips", n_all);
    for (piece p = {.r = r}; p.from < n_all && !mg_stop_requested(); p.from += at_once) {
        mg_threads_run(threads, listen_to, &p, n_all - p.from < at_once ? n_all - p.from : at_once);
        mg_progress_update(&progress, p.from + at_once < n_all ? p.from + at_once : n_all);
    }
    mg_progress_end(&progress);
    mg_threads_close(threads);
    mg_clear_error(); /* of a sound that cannot be read: verify is there for that */
    return mg_stop_check();
}
