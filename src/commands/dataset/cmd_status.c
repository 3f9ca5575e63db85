/* mg-dist status: how a run on a dataset goes, from any shell or host that sees its folder. It reads the
 * small file that the run replaces every second, and nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "dataset.h"
#include "dataset_status.h"
#include "process.h"
#include "show.h"
#include "stop.h"
#include "text.h"
#include "write_out.h"

enum { SILENT_S = 30, GONE_S = 5 };

typedef struct settings {
    const char *dir;
    bool json, watch;
} settings;

#define AT(field) offsetof(settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "DIR", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(dir), .group = "Operands", .help = "the dataset's folder"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(json), .group = "Output",
     .help = "as an object; of a run that is gone \"state\" is \"cut off\""},
    {.name = "watch", .type = MG_OPT_FLAG, .offset = AT(watch), .group = "Output",
     .help = "again every two seconds, until the run ends"},
};
/* clang-format on */

static bool is_locked(const char *dir)
{
    char path[MG_PATH_SIZE];

    return mg_dataset_own_path(path, dir, "lock") != MG_OK || mg_path_exists(path);
}

/* A run that was killed leaves "running" in its file. In another container that calls itself as this host,
 * the process may well be alive, and has no number here: then the file is new, and the lock there. */
static bool is_gone(const mg_dataset_status *d, const char *host, bool locked)
{
    return strcmp(d->state, "running") == 0 && strcmp(d->host, host) == 0 &&
           !mg_process_is_alive((int64_t)d->pid) &&
           (!locked || difftime(time(NULL), (time_t)d->time) > GONE_S);
}

static void print(const mg_dataset_status *d, bool gone)
{
    const double silent_s = difftime(time(NULL), (time_t)d->time);
    const bool running = strcmp(d->state, "running") == 0 && !gone;

    mg_print(stdout, "%s on %s (process %.0f)", gone ? "cut off" : d->state, d->host, d->pid);
    if (gone) mg_print(stdout, ", which is gone; start the same mg-dist run again to go on");
    if (running && silent_s > SILENT_S)
        mg_print(stdout, ", not heard of for %.0f s: it may be gone", silent_s);
    mg_print(stdout, "\n%.0f of %.0f clips done, %.0f failed, %.0f left; %.2f clips/s, %.1f s of sound/s",
             d->done, d->total, d->failed, d->left, d->clips_per_s, d->sound_s_per_s);
    if (d->left > 0 && d->eta_s >= 0) mg_print(stdout, ", %.0f s to go", d->eta_s);
    mg_print(stdout, "\n");
    for (int i = 0; i < d->n_replicas; i++) {
        const mg_dataset_replica *r = &d->replica[i];
        mg_print(stdout, "  replica %.0f on %s: %.0f clip%s", r->replica, *r->host ? r->host : "?", r->done,
                 mg_plural((int64_t)r->done));
        if (running) mg_print(stdout, ", at hand: %s", *r->at_hand ? r->at_hand : "none yet");
        if (running && r->silent_s > SILENT_S) mg_print(stdout, "; not heard of for %.0f s", r->silent_s);
        mg_print(stdout, "\n");
    }
}

/* *running: whether to look again. */
static mg_status show(const settings *s, const char *host, bool *running)
{
    mg_dataset_status d;

    const bool was_locked = is_locked(s->dir); /* a run may begin, or end, while we look */
    MG_RETURN(mg_dataset_status_load(&d, s->dir));
    const bool gone = is_gone(&d, host, was_locked || is_locked(s->dir));
    *running = strcmp(d.state, "running") == 0 && !gone;
    char *text = s->json && gone ? mg_dataset_status_text_as(&d, "cut off") : NULL;
    if (text)
        fputs(text, stdout), fputs("\n", stdout);
    else if (s->json)
        fputs(d.text, stdout);
    else
        print(&d, gone);
    free(text);
    mg_dataset_status_close(&d);
    return mg_write_out_end();
}

static mg_status run(mg_context *context, const void *arg)
{
    const settings *s = arg;
    bool running = true;

    if (context->world->rank > 0) return MG_OK;
    do {
        MG_RETURN(show(s, context->world->host, &running));
        for (int i = 0; s->watch && running && i < 20 && !mg_stop_requested(); i++)
            nanosleep(&(struct timespec){0, 100000000}, NULL);
    } while (s->watch && running && !mg_stop_requested());
    return MG_OK;
}

const mg_command mg_cmd_status = {
    .name = "status",
    .summary = "how a run on a dataset goes",
    .usage = "DIR [--watch] [--json]",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(settings),
    .is_single = true,
    .run = run,
};
