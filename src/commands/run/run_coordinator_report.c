/* How it goes: .mg-dist/status.json for `mg-dist status`, --metrics for Prometheus, a line in the log. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_text.h"
#include "log.h"
#include "run_coordinator_impl.h"

#define STATUS_S 1.0

typedef struct rates {
    mg_dataset_counts n;
    double run_s, clips_per_s, sound_per_s, left_s; /* left_s NaN: not known yet */
} rates;

static rates measure(const mg_run_coordinator *c, double now_s)
{
    rates r = {.run_s = now_s - c->begin_s, .left_s = NAN};

    mg_dataset_count(c->d, &r.n);
    if (r.run_s > 0) {
        r.clips_per_s = (double)r.n.done_now / r.run_s;
        r.sound_per_s = r.n.done_now_s / r.run_s;
    }
    if (r.clips_per_s > 0) r.left_s = (double)(r.n.total - r.n.done - r.n.failed) / r.clips_per_s;
    return r;
}

static mg_status put_status(const mg_run_coordinator *c, const rates *r, const char *state)
{
    mg_json_text t = {0};
    char path[MG_PATH_SIZE], *text;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "state", state);
    mg_json_text_string(&t, "host", c->w->host);
    mg_json_text_int(&t, "pid", (int64_t)getpid());
    mg_json_text_int(&t, "time", c->clock.date_s(c->clock.arg));
    mg_json_text_int(&t, "total", r->n.total);
    mg_json_text_int(&t, "done", r->n.done);
    mg_json_text_int(&t, "failed", r->n.failed);
    mg_json_text_int(&t, "left", r->n.total - r->n.done - r->n.failed);
    mg_json_text_int(&t, "in_flight", r->n.in_flight);
    mg_json_text_int(&t, "made_again", r->n.made_again);
    mg_json_text_int(&t, "done_in_this_run", r->n.done_now);
    mg_json_text_number(&t, "run_s", r->run_s);
    mg_json_text_number(&t, "clips_per_s", r->clips_per_s);
    mg_json_text_number(&t, "sound_s_per_s", r->sound_per_s);
    mg_json_text_number(&t, "eta_s", r->left_s);
    mg_json_text_array(&t, "replicas");
    for (int i = 0; i < c->w->n_replicas; i++) {
        const mg_run_leader_view *l = &c->leader[i];
        mg_json_text_object(&t, NULL);
        mg_json_text_int(&t, "replica", i);
        mg_json_text_string(&t, "host", l->host);
        mg_json_text_int(&t, "done", l->n_done);
        mg_json_text_string(&t, "at_hand", l->ids);
        mg_json_text_int(&t, "silent_s", (int64_t)l->silent_s);
        mg_json_text_close(&t);
    }
    MG_RETURN(mg_json_text_end(&t, &text));
    const mg_status st = mg_dataset_own_path(path, c->s->out, "status.json");
    if (st != MG_OK) free(text);
    return st == MG_OK ? mg_dataset_put(c->d, MG_DATASET_STATUS, path, text) : st;
}

/* Prometheus' text format, for node_exporter's textfile collector. */
static mg_status put_metrics(const mg_run_coordinator *c, const rates *r)
{
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"mgdist_clips", "gauge", "Clips of the dataset.", (double)r->n.total},
        {"mgdist_clips_done", "gauge", "Clips that are done.", (double)r->n.done},
        {"mgdist_clips_failed", "gauge", "Clips that failed.", (double)r->n.failed},
        {"mgdist_clips_in_flight", "gauge", "Clips that were dealt and are not done.",
         (double)r->n.in_flight},
        {"mgdist_clips_per_second", "gauge", "Clips a second in this run.", r->clips_per_s},
        {"mgdist_sound_seconds_per_second", "gauge", "Seconds of sound a second in this run.",
         r->sound_per_s},
        {"mgdist_run_seconds", "gauge", "Seconds of this run.", r->run_s},
    };
    mg_text t = {0};
    char *text;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        mg_text_format(&t, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", rows[i].name, rows[i].help, rows[i].name,
                       rows[i].type, rows[i].name, rows[i].value);
    MG_RETURN(mg_text_end(&t, &text, "metrics"));
    return mg_dataset_put(c->d, MG_DATASET_METRICS, c->s->metrics, text);
}

static void print_line(const rates *r)
{
    char left[48] = "";

    if (r->left_s >= 0) {
        const long s = (long)r->left_s;
        snprintf(left, sizeof left, ", %ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    }
    const mg_log_figure figures[] = {{"done", (double)r->n.done},
                                     {"total", (double)r->n.total},
                                     {"failed", (double)r->n.failed},
                                     {"in_flight", (double)r->n.in_flight},
                                     {"made_again", (double)r->n.made_again},
                                     {"clips_per_s", r->clips_per_s},
                                     {"sound_s_per_s", r->sound_per_s},
                                     {"eta_s", r->left_s}};
    mg_log_figures(figures, sizeof figures / sizeof *figures,
                   "run: %lld of %lld clips, %.2f clips/s, %.1f s of sound/s%s, %lld failed, %lld at hand",
                   (long long)r->n.done, (long long)r->n.total, r->clips_per_s, r->sound_per_s, left,
                   (long long)r->n.failed, (long long)r->n.in_flight);
}

mg_status mg_run_coordinator_report(mg_run_coordinator *c, double now_s, const char *state)
{
    const rates r = measure(c, now_s);

    if (now_s - c->status_s >= STATUS_S) {
        c->status_s = now_s;
        MG_RETURN(put_status(c, &r, state));
        if (c->s->metrics) MG_RETURN(put_metrics(c, &r));
    }
    if (now_s - c->line_s >= c->s->log_every_s) {
        c->line_s = now_s;
        print_line(&r);
    }
    return MG_OK;
}
