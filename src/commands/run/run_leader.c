/* A leader's clips: asked for from the coordinator several ahead, prepared, made, finished, reported. All
 * that is here runs on the thread of the steps, but for what run_leader_files.c does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "out_file.h"
#include "run_leader_impl.h"
#include "stop.h"
#include "text.h"

#define TELL_S 2.0
#define LOOK_S 0.2

/* A finisher that closes gives up after 2 s. */
#define HAND_OVER_S 3.0

static void close_clip(mg_run_clip *c)
{
    if (!c) return;
    mg_clip_list_close(&c->list);
    free(c->id);
    free(c->refused);
    free(c);
}

static void close_result(mg_run_result *r)
{
    free(r->reason);
    free(r->record);
    free(r);
}

mg_status mg_run_leader_open(mg_run_leader **out, const mg_run_settings *s, mg_replica *r, const mg_world *w,
                             mg_channel *channel, mg_run_coordinator *beside, const mg_run_holder *holder,
                             const mg_clip_need *room)
{
    mg_status st = MG_OK;
    mg_run_leader *l = calloc(1, sizeof *l);
    const char *slash = s->jobs ? strrchr(s->jobs, '/') : NULL;
    char lock[MG_PATH_SIZE];

    *out = NULL;
    if (!l) return mg_fail(MG_ENOMEM, "leader: no memory");
    *l = (mg_run_leader){
        .s = s, .r = r, .w = w, .channel = channel, .beside = beside, .call = s->call, .room = *room};
    /* run has no such option, and nobody said the 0 that its field holds. In the settings it stays: datasets
     * were begun with it, and go on. */
    MG_UNSAY(&l->call.all, prompt_dur_s);
    l->told_s = -TELL_S; /* at once */
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    if (slash) MG_TRY(mg_path_format(l->folder, "%.*s/", (int)(slash - s->jobs), s->jobs));
    MG_TRY(mg_path_format(l->work, "%s/" MG_DATASET_OWN "/making/%d", s->out, w->i_replica));
    l->call.out_dir = l->work;
    MG_TRY(mg_dataset_own_path(lock, s->out, "lock"));
    MG_TRY(mg_run_lock_watch(&l->of_run, lock, holder, MG_RUN_LOCK_STALE_S));
    MG_TRY(mg_out_dir_open(l->work));
    if (r->source.with_tokenizer) MG_TRY(mg_tokenizer_open(&l->tokenizer, r->files->tokenizer));
    MG_TRY(mg_preparer_open(&l->preparer, r, r->limits.n_slots));
    MG_TRY(mg_clip_output_open(&l->output, &l->call, &l->none, r, w));
    MG_TRY(
        mg_finisher_open(&l->finisher, r, MG_FINISHING_CLIPS * r->limits.n_slots, mg_run_leader_finish, l));
    *out = l;
done:
    if (st != MG_OK) mg_run_leader_close(l);
    return st;
}

void mg_run_leader_close(mg_run_leader *l)
{
    if (!l) return;
    mg_preparer_close(l->preparer);
    mg_finisher_close(l->finisher);
    mg_clip_output_close(l->output);
    mg_tokenizer_close(l->tokenizer);
    mg_run_lock_release(l->of_run);
    for (mg_run_result *r = l->first, *next; r; r = next) {
        next = r->next;
        close_result(r);
    }
    for (size_t i = 0; i < l->n_clips; i++) close_clip(l->clip[i]);
    free(l->clip);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static mg_status send_result(mg_run_leader *l, const mg_run_clip *c, const mg_run_result *r)
{
    mg_run_message m = {.say = MG_RUN_RESULT,
                        .n = c->n,
                        .n_files =
                            c->list.requests.n ? mg_run_leader_count_files(&c->list.requests.recipe[0]) : 0,
                        .outcome = (int64_t)r->kind,
                        .file_bytes = r->file_bytes,
                        .dur_s = r->dur_s,
                        .took_s = mg_clock_s() - c->begin_s,
                        .text = {r->reason, r->sha256, r->record}};

    return mg_run_message_send(l->channel, 0, &m);
}

static void drop_clip(mg_run_leader *l, mg_run_clip *c)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_clips; i++) {
        if (l->clip[i] != c) continue;
        memmove(&l->clip[i], &l->clip[i + 1], (l->n_clips - i - 1) * sizeof *l->clip);
        l->n_clips--;
        break;
    }
    pthread_mutex_unlock(&l->lock);
    close_clip(c);
}

static mg_status give_back(mg_run_leader *l, mg_run_clip *c)
{
    MG_RETURN(send_result(l, c, &(mg_run_result){.kind = MG_MADE_BACK}));
    drop_clip(l, c);
    return MG_OK;
}

/* What the finisher's thread has said since the last time. */
static mg_status send_results(mg_run_leader *l)
{
    pthread_mutex_lock(&l->lock);
    mg_run_result *r = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    mg_status st = MG_OK;
    for (mg_run_result *next; r; r = next) {
        next = r->next;
        if (st == MG_OK) st = send_result(l, r->clip, r);
        drop_clip(l, r->clip);
        close_result(r);
    }
    return st;
}

/* Jobs of which slots were made large enough; the rest would not fit. */
static mg_status check_room(const mg_run_leader *l, const mg_clip *clip)
{
    mg_clip_need n = {0};
    const mg_clip_need *room = &l->room;

    MG_RETURN(mg_clip_need_add(&n, l->r, clip));
    if (n.S_max > room->S_max || n.n_texts > room->n_texts)
        return mg_fail(MG_EUSAGE, "prompt: %lld tokens, and this run has room for %lld; shorten it",
                       (long long)n.S_max, (long long)room->S_max);
    if (n.T_max > room->T_max || n.P_max > room->P_max || n.n_rows > room->n_rows ||
        n.n_payload_bytes > room->n_payload_bytes || n.with_melody > room->with_melody ||
        n.n_excerpt > room->n_excerpt || n.n_resampled > room->n_resampled)
        return mg_fail(MG_EUSAGE, "clip: longer than this run has room for");
    return MG_OK;
}

static mg_status open_clip(mg_run_leader *l, mg_run_clip *c, const mg_run_message *m)
{
    char where[MG_JOB_WHERE_SIZE];
    const mg_clip_record from = {.text = m->text[1],
                                 .text_bytes = (int64_t)strlen(m->text[1]),
                                 .where = where,
                                 .folder = l->folder,
                                 .name = c->id,
                                 .seed = m->seed,
                                 .copy = m->copy};

    mg_job_where(where, l->s->jobs ? l->s->jobs : "jobs", m->line);
    MG_RETURN(mg_clip_list_open_one(&c->list, &l->call, l->r, l->tokenizer, &from));
    c->list.seed = (uint64_t)m->seed;
    if (m->attempt > 0) c->list.job[0].clip.terms.seed = (uint64_t)m->seed;
    return check_room(l, &c->list.job[0].clip);
}

/* Why a job cannot be made. Its list is closed: it is read again, for the names of its files. */
static mg_outcome_kind judge(const mg_run_leader *l, const mg_run_clip *c, const mg_run_message *m,
                             const char *reason)
{
    mg_request_list one = {0};
    const bool away =
        !c->is_last_try &&
        mg_request_list_add(&one, "job", l->folder, m->text[1], (int64_t)strlen(m->text[1])) == MG_OK &&
        mg_run_leader_files_are_away(&one.recipe[0], reason);

    mg_request_list_close(&one);
    mg_clear_error();
    return away ? MG_MADE_UNREAD : MG_MADE_FAILED;
}

/* A job has come. One that the model cannot make is reported at once. */
static mg_status take_job(mg_run_leader *l, const mg_run_message *m)
{
    mg_status st = MG_OK;
    mg_run_clip *c = calloc(1, sizeof *c);

    if (!c) return mg_fail(MG_ENOMEM, "clip: no memory");
    *c = (mg_run_clip){.n = m->n,
                       .attempt = m->attempt,
                       .is_last_try = m->is_last_try != 0,
                       .id = strdup(m->text[0]),
                       .refused = strdup(m->text[2]),
                       .begin_s = mg_clock_s()};
    if (!c->id || !c->refused) MG_TRY(mg_fail(MG_ENOMEM, "clip: no memory"));
    l->n_asked--;
    st = open_clip(l, c, m);
    if (st != MG_OK && !mg_status_is_common(st)) {
        mg_run_result r = {.reason = strdup(mg_last_error())};
        r.kind = judge(l, c, m, r.reason ? r.reason : "");
        st = send_result(l, c, &r);
        free(r.reason);
        goto done;
    }
    MG_TRY(st);
    pthread_mutex_lock(&l->lock);
    st = mg_grow(&l->clip, &l->clip_capacity, l->n_clips + 1, sizeof *l->clip, "clips");
    if (st == MG_OK) l->clip[l->n_clips++] = c;
    pthread_mutex_unlock(&l->lock);
    if (st == MG_OK) return MG_OK;
done:
    close_clip(c);
    return st;
}

static mg_status take_message(mg_run_leader *l, int rank, const mg_run_message *m)
{
    switch (m->say) {
    case MG_RUN_JOB: return take_job(l, m);
    case MG_RUN_STOP: l->stopping = true; return MG_OK;
    case MG_RUN_OVER: l->over = true; return MG_OK;
    case MG_RUN_LEFT: l->n_left++; return MG_OK;
    default:
        if (!l->beside) return mg_fail(MG_EBUG, "leader: message %lld of rank %d", (long long)m->say, rank);
        return mg_run_coordinator_take(l->beside, rank, m);
    }
}

static mg_status take_messages(mg_run_leader *l)
{
    int rank;

    for (;;) {
        mg_run_message *m;
        MG_RETURN(mg_run_message_receive(l->channel, &rank, &m));
        if (!m) return MG_OK;
        const mg_status st = take_message(l, rank, m);
        free(m);
        MG_RETURN(st);
    }
}

/* As many jobs as keep slots and preparer busy. */
static mg_status ask(mg_run_leader *l)
{
    int64_t n_hand = l->n_asked;

    if (l->stopping || l->over) return MG_OK;
    for (size_t i = 0; i < l->n_clips; i++) n_hand += !l->clip[i]->is_made;
    const int64_t n = 2 * l->r->limits.n_slots - n_hand;
    if (n <= 0) return MG_OK;
    l->n_asked += n;
    return mg_run_message_send(l->channel, 0, &(mg_run_message){.say = MG_RUN_ASK, .n = n});
}

static mg_status fill_preparer(mg_run_leader *l)
{
    for (size_t i = 0; i < l->n_clips;) {
        mg_run_clip *c = l->clip[i];
        if (!c->is_put && l->stopping) {
            MG_RETURN(give_back(l, c));
            continue;
        }
        if (!c->is_put && mg_preparer_room(l->preparer) > 0) {
            MG_RETURN(mg_preparer_put(l->preparer, &c->list.job[0].clip));
            c->is_put = true;
            l->n_prepared++;
        }
        i++;
    }
    return MG_OK;
}

static mg_status tell_at_hand(mg_run_leader *l)
{
    mg_text ids = {0};
    char *text;
    int n = 0;

    if (mg_clock_s() - l->told_s < TELL_S) return MG_OK;
    l->told_s = mg_clock_s();
    for (size_t i = 0; i < l->n_clips && n < 8; i++)
        if (l->clip[i]->is_put && !l->clip[i]->is_made)
            mg_text_format(&ids, "%s%s", n++ ? " " : "", l->clip[i]->id);
    MG_RETURN(mg_text_end(&ids, &text, "ids"));
    const mg_status st = mg_run_message_send(
        l->channel, 0, &(mg_run_message){.say = MG_RUN_AT_HAND, .text = {l->w->host, text}});
    free(text);
    return st;
}

/* One node alone is told to go: the run ends in order, for without it the rest would be cut off. */
static mg_status tell_wish(mg_run_leader *l)
{
    char why[128];

    if (l->beside || l->has_wished || l->stopping || !mg_stop_wished()) return MG_OK;
    l->has_wished = true;
    snprintf(why, sizeof why, "a signal to rank %d (host %s) asks to stop", l->w->rank, l->w->host);
    return mg_run_message_send(l->channel, 0, &(mg_run_message){.say = MG_RUN_WISH, .text = {why}});
}

/* The source's tick: before every step. */
static mg_status tick(void *arg)
{
    mg_run_leader *l = arg;

    if (mg_clock_s() - l->looked_s >= LOOK_S) {
        l->looked_s = mg_clock_s();
        MG_RETURN(mg_world_look(l->w));
    }
    MG_RETURN(send_results(l));
    MG_RETURN(mg_finisher_check(l->finisher)); /* of its last clips no result would come */
    MG_RETURN(take_messages(l));
    if (l->beside) MG_RETURN(mg_run_coordinator_tick(l->beside));
    MG_RETURN(tell_wish(l));
    MG_RETURN(fill_preparer(l));
    MG_RETURN(ask(l));
    return tell_at_hand(l);
}

static mg_run_clip *owner_of(mg_run_leader *l, const mg_clip *clip)
{
    for (size_t i = 0; i < l->n_clips; i++)
        if (l->clip[i]->list.job && &l->clip[i]->list.job[0].clip == clip) return l->clip[i];
    return NULL;
}

static mg_status next(void *arg, mg_ready_clip **clip, bool *over, double wait_s)
{
    mg_run_leader *l = arg;

    *clip = NULL;
    *over = l->over && l->n_prepared == 0;
    if (*over) return MG_OK;
    if (l->n_prepared == 0) {
        if (wait_s > 0) nanosleep(&(struct timespec){0, 1000000}, NULL);
        return MG_OK;
    }
    MG_RETURN(mg_preparer_get(l->preparer, clip, wait_s < 0.01 ? wait_s : 0.01));
    if (!*clip) return MG_OK;
    l->n_prepared--;
    if (!l->stopping) return MG_OK;
    mg_run_clip *c = owner_of(l, (*clip)->clip);
    mg_ready_clip_close(*clip);
    *clip = NULL;
    return c ? give_back(l, c) : MG_OK;
}

/* The scheduler's mg_clip_made. Where codec and disk do not come after, others are answered meanwhile, and
 * hear of us. */
static mg_status made(void *arg, mg_ready_clip *clip)
{
    mg_run_leader *l = arg;
    mg_run_clip *c = owner_of(l, clip->clip);
    mg_status st = MG_OK;

    if (c) c->is_made = true;
    while (st == MG_OK && mg_finisher_room(l->finisher) < 1) {
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        st = mg_stop_check();
        if (st == MG_OK) st = tick(l);
    }
    if (st == MG_OK) return mg_finisher_put(l->finisher, clip);
    mg_ready_clip_close(clip);
    return st;
}

/* After a stop: a clip whose sound is in the dataset's folder is recorded, so nothing is there that no list
 * names. Rank 0 waits for the others, which close their finishers meanwhile. What one says that takes longer,
 * or goes on because nobody has told it, may not come any more; the next start removes it. */
static mg_status hand_over(mg_run_leader *l)
{
    const double give_up_s = mg_clock_s() + HAND_OVER_S;

    mg_finisher_close(l->finisher); /* what is at hand is written still */
    l->finisher = NULL;
    MG_RETURN(send_results(l));
    if (!l->beside) return mg_run_message_send(l->channel, 0, &(mg_run_message){.say = MG_RUN_LEFT});
    for (;;) {
        mg_run_message *m;
        int rank;
        MG_RETURN(mg_run_message_receive(l->channel, &rank, &m));
        if (m) {
            const bool counts = m->say == MG_RUN_RESULT || m->say == MG_RUN_LEFT;
            const mg_status st = counts ? take_message(l, rank, m) : MG_OK;
            free(m);
            MG_RETURN(st);
            continue;
        }
        if (l->n_left >= l->w->n_replicas - 1 || mg_clock_s() >= give_up_s) return MG_OK;
        if (mg_world_look(l->w) == MG_ECOMM) return MG_OK; /* one will never say it */
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
}

mg_status mg_run_leader_make(mg_run_leader *l, mg_scheduler *scheduler)
{
    const mg_clip_source from = {.next = next, .tick = tick, .arg = l};

    if (!l) return mg_scheduler_run(scheduler, NULL, NULL, NULL);
    mg_status st = mg_scheduler_run(scheduler, &from, made, l);
    if (st == MG_OK) st = mg_finisher_drain(l->finisher);
    const bool is_stopped = st == MG_ESTOPPED;
    st = mg_world_tell_loss(l->w, st);
    if (!is_stopped) return st;
    mg_fault fault = mg_fault_take(st);
    if (hand_over(l) != MG_OK) mg_clear_error();
    return mg_fault_raise(&fault);
}
