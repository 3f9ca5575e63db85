/* The folder of a sweep: opened for one at a time, read, and added to line by line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "bench_shapes.h"
#include "dataset.h"
#include "log.h"
#include "out_file.h"
#include "path.h"
#include "scaling.h"
#include "utf8.h"
#include "version.h"

enum { MIXED_OK = 1 };

/* How this sweep is measured: results of another are not to be put beside it. */
static mg_status describe(mg_scaling_sweep *w)
{
    const mg_scaling_settings *s = w->settings;
    mg_text t = {0};

    mg_text_format(&t, "%s, %.*g s, %" PRId64 " steps after %" PRId64 ", %s",
                   s->model ? s->model : mg_bench_shape_name(s->shape), mg_double_shown_digits(s->dur_s),
                   s->dur_s, s->n_steps, s->n_warmup, s->launcher);
    if (s->launcher_args) mg_text_format(&t, " %s", s->launcher_args);
    if (s->bench_args) mg_text_format(&t, ", bench step %s", s->bench_args);
    return mg_text_end(&t, &w->common, "settings");
}

/* Do the results that are there belong to this sweep? */
static mg_status check_results(const mg_scaling_sweep *w)
{
    for (size_t i = 0; i < w->results.n; i++) {
        const mg_scaling_result *a = &w->results.item[i];
        if (strcmp(a->version, mg_version()) != 0 && w->settings->mixed != MIXED_OK)
            return mg_fail(
                MG_EUSAGE,
                "%s: holds results of version %s, and this is %s; give another --out, or --mixed ok",
                w->settings->out, a->version, mg_version());
        if (strncmp(a->settings, w->common, sizeof a->settings - 1) != 0)
            return mg_fail(MG_EUSAGE, "%s: holds results of \"%s\", and this is \"%s\"; give another --out",
                           w->settings->out, a->settings, w->common);
    }
    return MG_OK;
}

/* Times of two machines are not to be put beside each other as one sweep's. */
static mg_status check_machine(const mg_scaling_sweep *w, const mg_scaling_result *now)
{
    for (size_t i = 0; i < w->results.n && w->settings->mixed != MIXED_OK; i++) {
        const mg_scaling_result *a = &w->results.item[i];
        if (a->status != MG_SCALING_OK) continue;
        if (strcmp(a->device, now->device) != 0 || strcmp(a->backend, now->backend) != 0)
            return mg_fail(
                MG_EUSAGE,
                "%s: holds results of \"%s\" (%s), and this is \"%s\" (%s): the point is not kept; give "
                "another --out, or --mixed ok",
                w->settings->out, a->device, a->backend, now->device, now->backend);
    }
    return MG_OK;
}

mg_status mg_scaling_open(mg_scaling_sweep *w)
{
    const char *dir = w->settings->out;
    char path[MG_PATH_SIZE];

    MG_RETURN(describe(w));
    MG_RETURN(mg_dataset_check_outside(dir, false));
    MG_RETURN(mg_path_format(path, "%s/results.csv", dir));
    MG_RETURN(
        mg_out_check_free(path, mg_path_has(dir, "results.jsonl"), "it is of no sweep; give another --out"));
    MG_RETURN(mg_path_format(path, "%s/logs", dir));
    MG_RETURN(mg_out_dir_open(path));
    MG_RETURN(mg_path_format(path, "%s/results.jsonl", dir));
    w->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (w->fd < 0) return mg_fail(MG_EFAIL, "%s: cannot be written: %s", path, strerror(errno));
    if (flock(w->fd, LOCK_EX | LOCK_NB))
        return mg_fail(MG_EUSAGE, "%s: another sweep is at work in this folder", dir);
    MG_RETURN(mg_scaling_read(&w->results, dir));
    MG_RETURN(check_results(w));
    if (!w->results.was_cut) return MG_OK;
    mg_log_warn("%s: the last line was cut off; that repeat is measured again", path);
    if (ftruncate(w->fd, w->results.whole_bytes))
        return mg_fail(MG_EFAIL, "%s: cannot be cut: %s", path, strerror(errno));
    return MG_OK;
}

static mg_status put_line(const mg_scaling_sweep *w, const char *line, size_t bytes)
{
    const ssize_t n = write(w->fd, line, bytes);
    const int error = n == (ssize_t)bytes ? mg_out_sync(w->fd) : n < 0 ? errno : ENOSPC;

    if (error)
        return mg_fail(MG_EFAIL, "%s/results.jsonl: cannot be written: %s", w->settings->out,
                       strerror(error));
    return MG_OK;
}

static void put_time(mg_text *t)
{
    const time_t now = time(NULL);
    struct tm utc;
    char text[32];

    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    mg_text_quote(t, text);
}

/* The line of an outcome; `command` may be NULL. */
static void format_line(mg_text *t, const mg_scaling_sweep *w, const mg_scaling_point *p, int64_t repeat,
                        const mg_scaling_outcome *o, const mg_scaling_command *command)
{
    mg_text words = {0};

    mg_text_format(t, "{\"np\":%" PRId64 ",\"tp\":%" PRId64 ",\"batch\":%" PRId64 ",\"repeat\":%" PRId64,
                   p->np, p->tp, p->batch, repeat);
    mg_text_format(t, ",\"status\":\"%s\",\"duration\":%.*g,\"wall_s\":%.3f,\"time\":",
                   mg_scaling_status_name[o->status], mg_double_shown_digits(w->settings->dur_s),
                   w->settings->dur_s, o->wall_s);
    put_time(t);
    mg_text_add(t, ",\"version\":");
    mg_text_quote(t, mg_version());
    mg_text_add(t, ",\"settings\":");
    mg_text_quote(t, w->common);
    if (command) {
        mg_scaling_command_text(&words, command);
        mg_text_add(t, ",\"command\":");
        mg_text_quote(t, words.data ? words.data : "");
    }
    if (o->status != MG_SCALING_OK) {
        mg_text_add(t, ",\"reason\":");
        mg_text_quote(t, o->reason);
    } else {
        mg_text_format(t, ",\"result\":%s", o->json);
    }
    mg_text_add(t, "}\n");
    mg_text_reset(&words);
}

mg_status mg_scaling_keep(mg_scaling_sweep *w, const mg_scaling_point *p, int64_t repeat,
                          mg_scaling_outcome *o, const mg_scaling_command *command)
{
    mg_scaling_results *r = &w->results;
    mg_text t = {0};
    mg_status st = MG_OK;

    MG_RETURN(mg_grow(&r->item, &r->capacity, r->n + 1, sizeof *r->item, "results"));
    r->item[r->n] = (mg_scaling_result){0};
    format_line(&t, w, p, repeat, o, command);
    MG_TRY(mg_text_check(&t, "line"));
    if (mg_scaling_parse(&r->item[r->n], "bench step", t.data, (int64_t)t.n - 1) != MG_OK) {
        o->status = MG_SCALING_FAILED;
        mg_utf8_copy(o->reason, sizeof o->reason, mg_last_error());
        mg_clear_error();
        mg_text_reset(&t);
        format_line(&t, w, p, repeat, o, command);
        MG_TRY(mg_text_check(&t, "line"));
        MG_TRY(mg_scaling_parse(&r->item[r->n], "results", t.data, (int64_t)t.n - 1));
    }
    if (r->item[r->n].status == MG_SCALING_OK) MG_TRY(check_machine(w, &r->item[r->n]));
    MG_TRY(put_line(w, t.data, t.n));
    r->n++;
done:
    if (st != MG_OK) mg_scaling_result_close(&r->item[r->n]);
    mg_text_reset(&t);
    return st;
}
