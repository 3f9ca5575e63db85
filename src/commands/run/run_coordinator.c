/* The coordinator: deals jobs to leaders as they ask, records what they made, and says how it goes. It runs
 * between rank 0's steps and touches no disk: that is for the dataset's writer. */
#include <stdlib.h>
#include <string.h>

#include "job_id.h"
#include "log.h"
#include "run_coordinator_impl.h"
#include "stop.h"
#include "text.h"

enum { COMMIT_CLIPS = 256, MOST_UNREAD = 20 };
#define COMMIT_S 1.0

mg_status mg_run_coordinator_open(mg_run_coordinator **out, mg_dataset *d, const mg_run_clock *clock,
                                  const mg_run_link *link, const mg_run_settings *s, const mg_world *w)
{
    mg_run_coordinator *c = calloc(1, sizeof *c);
    const char *end = getenv("SLURM_JOB_END_TIME");

    *out = NULL;
    if (!c) return mg_fail(MG_ENOMEM, "coordinator: no memory");
    *c = (mg_run_coordinator){.d = d, .clock = *clock, .link = *link, .s = s, .w = w};
    c->begin_s = c->commit_s = c->listened_s = c->line_s = clock->now_s(clock->arg);
    if (end) c->end_at = strtoll(end, NULL, 10) - (int64_t)s->stop_before_s;
    c->leader = calloc((size_t)w->n_replicas, sizeof *c->leader);
    if (!c->leader) {
        free(c);
        return mg_fail(MG_ENOMEM, "coordinator: %d leaders", w->n_replicas);
    }
    for (int i = 0; i < w->n_replicas; i++) c->leader[i].first = i;
    c->n_hosts = w->n_replicas;
    *out = c;
    return MG_OK;
}

void mg_run_coordinator_close(mg_run_coordinator *c)
{
    if (!c) return;
    for (int i = 0; i < c->w->n_replicas; i++) {
        free(c->leader[i].host);
        free(c->leader[i].ids);
    }
    free(c->leader);
    free(c);
}

static mg_status tell_all(mg_run_coordinator *c, mg_run_say say)
{
    for (int i = 0; i < c->w->n_replicas; i++)
        MG_RETURN(c->link.send(c->link.arg, i * c->w->tp, &(mg_run_message){.say = say}));
    return MG_OK;
}

/* No new clip begins; leaders give back what they have not begun. */
static mg_status stop_dealing(mg_run_coordinator *c, const char *why)
{
    if (c->stopping) return MG_OK;
    c->stopping = true;
    mg_log_info("run: %s: no new clip begins, those at hand are finished", why);
    return tell_all(c, MG_RUN_STOP);
}

static mg_status set_text(char **at, const char *text)
{
    char *copy = strdup(text);

    if (!copy) return mg_fail(MG_ENOMEM, "coordinator: no memory");
    free(*at);
    *at = copy;
    return MG_OK;
}

/* A node that has lost a disk fails clip after clip, faster than others make them. */
static mg_status count_unread(mg_run_coordinator *c, int i_replica, const mg_run_message *m, const char *id)
{
    mg_run_leader_view *l = &c->leader[i_replica];

    if (m->outcome == MG_MADE_DONE && m->n_files > 0) l->n_unread = 0;
    if (m->outcome != MG_MADE_UNREAD) return MG_OK;
    mg_log_info("clip %s: %s: it is tried once more, %s", id, m->text[0],
                c->n_hosts > 1 ? "on another host" : "after all others");
    if (++l->n_unread < MOST_UNREAD) return MG_OK;
    return mg_fail(
        MG_EFAIL,
        "run: replica %d on %s could not read the files of %d clips in a row, the last one: %s; is a "
        "disk missing there? When it is back, the same command goes on; if they are nowhere, take their jobs "
        "out of the list (--jobs-changed ok)",
        i_replica, l->host ? l->host : "?", MOST_UNREAD, m->text[0]);
}

static mg_status record(mg_run_coordinator *c, int i_replica, const mg_run_message *m)
{
    const mg_dataset_outcome o = {.n = m->n,
                                  .maker = c->leader[i_replica].first,
                                  .kind = (mg_outcome_kind)m->outcome,
                                  .reason = *m->text[0] ? m->text[0] : NULL,
                                  .sha256 = m->text[1],
                                  .record = m->text[2],
                                  .file_bytes = m->file_bytes,
                                  .dur_s = m->dur_s,
                                  .took_s = m->took_s};

    char id[MG_JOB_ID_SIZE];

    snprintf(id, sizeof id, "%s", mg_dataset_id_of(c->d, o.n));
    if (o.kind == MG_MADE_FAILED) {
        mg_log_error("clip %s: %s", id, o.reason ? o.reason : "");
        c->n_failed_now++;
    }
    if (o.reason && (o.kind == MG_MADE_BAD || o.kind == MG_MADE_DONE))
        mg_log_info("clip %s: gate: %s: it is %s", id, o.reason,
                    o.kind == MG_MADE_BAD ? "made again" : "kept");
    MG_RETURN(mg_dataset_record(c->d, &o));
    MG_RETURN(count_unread(c, i_replica, m, id));
    c->n_uncommitted++;
    if (c->s->max_failures < 0 || c->n_failed_now <= c->s->max_failures || c->too_many) return MG_OK;
    c->too_many = true;
    return stop_dealing(c, "more failures than --max-failures allows");
}

/* Replicas of one host have its disks in common. */
static mg_status place_leader(mg_run_coordinator *c, int i_replica, const char *host)
{
    mg_run_leader_view *l = &c->leader[i_replica];

    if (l->host) return MG_OK;
    for (int i = 0; i < c->w->n_replicas && l->first == i_replica; i++)
        if (c->leader[i].host && strcmp(c->leader[i].host, host) == 0) {
            l->first = c->leader[i].first;
            c->n_hosts--;
        }
    return set_text(&l->host, host);
}

mg_status mg_run_coordinator_take(mg_run_coordinator *c, int rank, const mg_run_message *m)
{
    mg_run_leader_view *leader = &c->leader[rank / c->w->tp];

    mg_run_coordinator_hear(c, rank / c->w->tp);
    switch (m->say) {
    case MG_RUN_ASK: leader->wants += m->n; return MG_OK;
    case MG_RUN_RESULT: leader->n_done += m->outcome == MG_MADE_DONE; return record(c, rank / c->w->tp, m);
    case MG_RUN_AT_HAND:
        MG_RETURN(place_leader(c, rank / c->w->tp, m->text[0]));
        return set_text(&leader->ids, m->text[1]);
    case MG_RUN_WISH: return stop_dealing(c, m->text[0]);
    default: return mg_fail(MG_EBUG, "coordinator: message %lld of rank %d", (long long)m->say, rank);
    }
}

/* One more job to each leader that wants one, round after round, until there is none. */
static mg_status deal(mg_run_coordinator *c)
{
    bool any = true;
    mg_dataset_job job;

    while (any && !c->stopping && !c->none_left) {
        any = false;
        for (int i = 0; i < c->w->n_replicas && !c->none_left; i++) {
            bool found;
            if (c->leader[i].wants <= 0) continue;
            MG_RETURN(mg_dataset_deal_to(c->d, c->leader[i].first, c->n_hosts, &job, &found));
            if (!found) {
                c->none_left = !mg_dataset_has_jobs(c->d); /* what is left may be for others */
                continue;
            }
            mg_run_message m = {.say = MG_RUN_JOB,
                                .n = job.n,
                                .copy = job.copy,
                                .attempt = job.attempt,
                                .seed = job.seed,
                                .line = job.line,
                                .is_last_try = job.was_unread,
                                .text = {job.id, job.text, job.refused}};
            MG_RETURN(c->link.send(c->link.arg, i * c->w->tp, &m));
            c->leader[i].wants--;
            any = true;
        }
    }
    return MG_OK;
}

/* Everything that was dealt has come back, nothing is left to deal, and each leader has said where it is:
 * they may go. */
static mg_status end_if_done(mg_run_coordinator *c)
{
    mg_dataset_counts n;

    for (int i = 0; i < c->w->n_replicas; i++)
        if (!c->leader[i].host) return MG_OK;
    mg_dataset_count(c->d, &n);
    if (c->over || n.in_flight > 0) return MG_OK;
    if (!c->stopping && n.done + n.failed < n.total) return MG_OK;
    c->over = true;
    return tell_all(c, MG_RUN_OVER);
}

static mg_status look_for_wishes(mg_run_coordinator *c)
{
    if (mg_stop_wished()) return stop_dealing(c, "a signal asks to stop");
    if (c->end_at > 0 && c->clock.date_s(c->clock.arg) >= c->end_at)
        return stop_dealing(c, "the job's time is nearly over");
    return MG_OK;
}

mg_status mg_run_coordinator_tick(mg_run_coordinator *c)
{
    const double now_s = c->clock.now_s(c->clock.arg);

    MG_RETURN(look_for_wishes(c));
    MG_RETURN(mg_run_coordinator_listen(c, now_s));
    c->none_left = false; /* a clip may have come back */
    MG_RETURN(deal(c));
    if (c->n_uncommitted >= COMMIT_CLIPS || (c->n_uncommitted > 0 && now_s - c->commit_s >= COMMIT_S)) {
        MG_RETURN(mg_dataset_commit(c->d));
        c->n_uncommitted = 0;
        c->commit_s = now_s;
    }
    MG_RETURN(end_if_done(c));
    return mg_run_coordinator_report(c, now_s, "running");
}

mg_status mg_run_coordinator_settle(mg_run_coordinator *c)
{
    mg_dataset_counts n;

    MG_RETURN(mg_dataset_finish(c->d));
    mg_dataset_count(c->d, &n);
    c->line_s = c->status_s = 0; /* once more */
    return mg_run_coordinator_report(c, c->clock.now_s(c->clock.arg),
                                     n.done + n.failed == n.total ? "finished" : "stopped");
}

mg_status mg_run_coordinator_verdict(mg_run_coordinator *c)
{
    mg_dataset_counts n;

    mg_dataset_count(c->d, &n);
    if (c->too_many)
        return mg_fail(MG_EFAIL,
                       "run: %lld clip%s failed, and --max-failures is %lld; failures.jsonl says why",
                       (long long)c->n_failed_now, mg_plural(c->n_failed_now), (long long)c->s->max_failures);
    if (n.done + n.failed < n.total)
        return mg_fail(MG_EUNFINISHED, "run: stopped with %lld of %lld clips done; the same command goes on",
                       (long long)n.done, (long long)n.total);
    if (n.failed > 0)
        return mg_fail(MG_EPARTIAL,
                       "run: %lld of %lld clips failed; failures.jsonl says why, and mg-dist retry-failed "
                       "lets the next run try them again",
                       (long long)n.failed, (long long)n.total);
    return MG_OK;
}
