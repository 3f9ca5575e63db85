/* A ring of clips: put by the scheduler, finished by the thread. It takes all that wait, up to as many as the
 * codec decodes at once. */
#include "finisher.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "beside.h"
#include "clock.h"
#include "stop.h"

#define GRACE_S 2.0

struct mg_finisher {
    mg_replica *replica; /* borrowed */
    mg_clip_done *done;
    void *arg;
    int64_t n_most;          /* clips at hand */
    mg_ready_clip **hand;    /* [n_most] */
    mg_clip_result *result;  /* [n_most] */
    mg_encodec_sound *sound; /* [n_most]: to decode */
    size_t n_pcm;
    float *pcm;           /* [n_most, T_max * hop, n_channels]; NULL without a decoder */
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t put, finished;
    mg_ready_clip **ring; /* [n_queue] */
    int64_t n_queue;
    int64_t n_put, n_begun, n_done; /* so far: clip i is at ring[i % n_queue] until it is begun */
    bool closing;
    double give_up_s;          /* closing: what is not begun by then is dropped */
    mg_fault fault;            /* of `done`: nothing is finished any more */
    mg_clip_heard *heard;      /* NULL: nobody listens */
    const mg_ready_clip *live; /* the clip that is heard; NULL: none yet */
    int64_t n_live;            /* frames of it that have their codes */
    int64_t n_heard;           /* values of a channel of its sound that were heard; the thread's own, as is */
    bool has_left;             /* whoever listened */
    mg_fault live_fault;       /* what became of hearing it */
    pthread_t thread;
    bool runs;
};

/* Where clip i at hand has its codes and gets its sound. */
static mg_encodec_sound sound_of(const mg_finisher *f, const mg_ready_clip *c, int64_t i)
{
    const mg_config *config = &f->replica->config;

    return (mg_encodec_sound){.sound = {.pcm = f->pcm + (size_t)i * f->n_pcm,
                                        .n_frames = c->terms.T * config->codec.hop,
                                        .n_channels = config->lm.n_channels,
                                        .rate_hz = config->codec.sampling_rate},
                              .codes = c->codes,
                              .row_stride = c->terms.T,
                              .T = c->terms.T};
}

/* Is what waits to be dropped? Under the lock. */
static bool gives_up(const mg_finisher *f)
{
    return f->closing && mg_clock_s() > f->give_up_s;
}

/* Until these frames of the clip that is heard have their codes. */
static mg_status await_codes(void *arg, int64_t end)
{
    mg_finisher *f = arg;

    pthread_mutex_lock(&f->lock);
    while (f->n_live < end && !f->closing) pthread_cond_wait(&f->put, &f->lock);
    const bool there = f->n_live >= end && !gives_up(f);
    pthread_mutex_unlock(&f->lock);
    return there ? MG_OK : mg_fail(MG_ESTOPPED, "finisher: closed");
}

static mg_status hear(void *arg, int64_t n_frames)
{
    mg_finisher *f = arg;
    const mg_clip_result so_far = {.sound = sound_of(f, f->live, 0).sound,
                                   .T_prompt = f->live->terms.T_prompt};
    const int64_t first = f->n_heard;

    f->n_heard = n_frames;
    const mg_status st = f->heard(f->arg, f->live->clip, &so_far, first, n_frames);
    pthread_mutex_lock(&f->lock);
    f->has_left = st != MG_OK;
    pthread_mutex_unlock(&f->lock);
    return st;
}

/* The first clip, if it is to be heard: as its codes come; it is put later. Under the lock, which is let go
 * of meanwhile. */
static void hear_first(mg_finisher *f)
{
    const mg_encodec_listener l = {MG_PIECE_FRAMES, await_codes, hear, f};

    while (!f->closing && !f->live && f->n_put == 0) pthread_cond_wait(&f->put, &f->lock);
    if (!f->live) return;
    pthread_mutex_unlock(&f->lock);
    const mg_encodec_sound s = sound_of(f, f->live, 0);
    mg_replica_lock_beside(f->replica);
    const mg_fault fault = mg_fault_take(mg_encodec_decode_live(f->replica->codec, &s, &l));
    mg_replica_unlock_beside(f->replica);
    pthread_mutex_lock(&f->lock);
    f->live_fault = fault;
}

/* The sounds of the first n clips at hand, but of the one that was heard, and of those that have a fault or
 * get one. */
static void decode(mg_finisher *f, int64_t n)
{
    mg_replica *r = f->replica;
    int64_t n_sounds = 0;

    for (int64_t i = 0; i < n; i++) {
        const mg_ready_clip *c = f->hand[i];
        const mg_encodec_sound s = sound_of(f, c, i);
        if (c->fault.st != MG_OK) continue;
        f->result[i].sound = s.sound;
        if (c == f->live) {
            f->result[i].fault = f->live_fault;
            continue;
        }
        f->result[i].fault = mg_fault_take(mg_encodec_check_codes(r->codec, &s));
        if (f->result[i].fault.st == MG_OK) f->sound[n_sounds++] = s;
    }
    if (n_sounds == 0) return;
    mg_replica_lock_beside(r);
    const mg_fault fault = mg_fault_take(mg_encodec_decode_sounds(r->codec, f->sound, n_sounds));
    mg_replica_unlock_beside(r);
    for (int64_t i = 0; i < n; i++)
        if (f->result[i].fault.st == MG_OK && f->hand[i] != f->live) f->result[i].fault = fault;
}

/* Results of the first n clips at hand, all but what becomes of them. */
static void make_results(mg_finisher *f, int64_t n)
{
    const double begin_s = mg_clock_s();

    for (int64_t i = 0; i < n; i++) {
        const mg_ready_clip *c = f->hand[i];
        f->result[i] = (mg_clip_result){.fault = c->fault,
                                        .codes = c->codes,
                                        .T_prompt = c->terms.T_prompt,
                                        .n_steps = c->n_steps,
                                        .n_windows = c->n_windows,
                                        .text_s = c->text_s,
                                        .lm_s = c->lm_s};
    }
    if (f->pcm) decode(f, n);
    for (int64_t i = 0; i < n; i++) f->result[i].codec_s = (mg_clock_s() - begin_s) / (double)n;
}

/* The next clips, which are the thread's from now on; 0 at the end. Under the lock. */
static int64_t take_clips(mg_finisher *f)
{
    while (!f->closing && f->n_begun == f->n_put) pthread_cond_wait(&f->put, &f->lock);
    if (gives_up(f)) return 0;
    const int64_t n_waiting = f->n_put - f->n_begun, most = f->closing ? 1 : f->n_most;
    const int64_t n = n_waiting < most ? n_waiting : most;
    for (int64_t i = 0; i < n; i++) f->hand[i] = f->ring[f->n_begun++ % f->n_queue];
    return n;
}

/* Hands out result i, unless the run has failed or is to end: the first one at hand is handed out then too.
 * Under the lock, which is let go of meanwhile. */
static void deliver(mg_finisher *f, int64_t i)
{
    const bool works = f->fault.st == MG_OK && (i == 0 || !gives_up(f));

    pthread_mutex_unlock(&f->lock);
    const mg_fault fault = mg_fault_take(works ? f->done(f->arg, f->hand[i]->clip, &f->result[i]) : MG_OK);
    mg_ready_clip_close(f->hand[i]);
    pthread_mutex_lock(&f->lock);
    if (works) f->fault = fault;
    f->n_done++;
    pthread_cond_signal(&f->finished);
}

static void *finish_all(void *arg)
{
    mg_finisher *f = arg;
    int64_t n;

    setpriority(PRIO_PROCESS, 0, MG_BESIDE_NICENESS);
    pthread_mutex_lock(&f->lock);
    hear_first(f);
    while ((n = take_clips(f)) > 0) {
        const bool works = f->fault.st == MG_OK;
        pthread_cond_signal(&f->finished); /* there is room */
        pthread_mutex_unlock(&f->lock);
        if (works) make_results(f, n);
        pthread_mutex_lock(&f->lock);
        for (int64_t i = 0; i < n; i++) deliver(f, i);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

mg_status mg_finisher_open(mg_finisher **out, mg_replica *r, int64_t n_queue, mg_clip_done *done, void *arg)
{
    const size_t n_most = (size_t)r->n_sounds;
    mg_status st = MG_OK;
    mg_finisher *f = calloc(1, sizeof *f);

    *out = NULL;
    MG_REQUIRE(n_queue > 0 && r->is_leader);
    if (!f) return mg_fail(MG_ENOMEM, "finisher: %zu bytes", sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->put, NULL);
    mg_beside_cond_init(&f->finished);
    f->replica = r, f->done = done, f->arg = arg, f->n_queue = n_queue;
    f->n_most = r->n_sounds;
    f->n_pcm = (size_t)(r->limits.T_max * r->config.codec.hop * r->config.lm.n_channels);
    f->ring = calloc((size_t)n_queue, sizeof *f->ring);
    f->hand = calloc(n_most, sizeof *f->hand);
    f->result = calloc(n_most, sizeof *f->result);
    f->sound = calloc(n_most, sizeof *f->sound);
    if (r->source.with_decoder) f->pcm = calloc(n_most * f->n_pcm, sizeof *f->pcm);
    if (!f->ring || !f->hand || !f->result || !f->sound || (r->source.with_decoder && !f->pcm))
        MG_TRY(mg_fail(MG_ENOMEM, "finisher: no memory for the sound of %lld frames",
                       (long long)r->limits.T_max));
    if (mg_replica_has_beside(r)) MG_TRY(mg_beside_start(&f->thread, "finisher", finish_all, f));
    f->runs = mg_replica_has_beside(r);
    *out = f;
done:
    if (st != MG_OK) mg_finisher_close(f);
    return st;
}

void mg_finisher_close(mg_finisher *f)
{
    mg_finisher_close_within(f, GRACE_S);
}

void mg_finisher_close_within(mg_finisher *f, double grace_s)
{
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    f->give_up_s = mg_clock_s() + grace_s;
    pthread_cond_signal(&f->put);
    pthread_mutex_unlock(&f->lock);
    if (f->runs) pthread_join(f->thread, NULL);
    for (; f->n_begun < f->n_put; f->n_begun++) mg_ready_clip_close(f->ring[f->n_begun % f->n_queue]);
    pthread_cond_destroy(&f->put);
    pthread_cond_destroy(&f->finished);
    pthread_mutex_destroy(&f->lock);
    free(f->ring);
    free(f->hand);
    free(f->result);
    free(f->sound);
    free(f->pcm);
    free(f);
}

static mg_status finish_at_once(mg_finisher *f, mg_ready_clip *clip)
{
    f->hand[0] = clip;
    make_results(f, 1);
    const mg_status st = f->done(f->arg, clip->clip, &f->result[0]);
    mg_ready_clip_close(clip);
    return st;
}

mg_status mg_finisher_put(void *finisher, mg_ready_clip *clip)
{
    mg_finisher *f = finisher;
    mg_status st = MG_OK;

    if (!f->runs) return finish_at_once(f, clip);
    pthread_mutex_lock(&f->lock);
    while (st == MG_OK && f->fault.st == MG_OK && f->n_put - f->n_begun == f->n_queue) {
        mg_beside_wait(&f->finished, &f->lock, 1.0);
        st = mg_stop_check();
    }
    if (st == MG_OK) st = mg_fault_raise(&f->fault);
    if (st == MG_OK && clip == f->live) f->n_live = clip->terms.T;
    if (st == MG_OK) f->ring[f->n_put++ % f->n_queue] = clip;
    pthread_cond_signal(&f->put);
    pthread_mutex_unlock(&f->lock);
    if (st != MG_OK) mg_ready_clip_close(clip);
    return st;
}

bool mg_finisher_listen(mg_finisher *f, mg_clip_heard *heard)
{
    if (!f->runs || !f->pcm) return false;
    pthread_mutex_lock(&f->lock);
    f->heard = heard;
    pthread_mutex_unlock(&f->lock);
    return true;
}

mg_status mg_finisher_grow(void *finisher, const mg_ready_clip *clip, int64_t n_frames)
{
    mg_finisher *f = finisher;

    pthread_mutex_lock(&f->lock);
    if (!f->live && f->n_put == 0) f->live = clip;
    if (f->live == clip) f->n_live = n_frames;
    const mg_status st = f->has_left ? mg_fault_raise(&f->live_fault) : MG_OK;
    pthread_cond_signal(&f->put);
    pthread_mutex_unlock(&f->lock);
    return st;
}

mg_status mg_finisher_drain(mg_finisher *f)
{
    mg_status st = MG_OK;

    pthread_mutex_lock(&f->lock);
    while (st == MG_OK && f->n_done < f->n_put) {
        mg_beside_wait(&f->finished, &f->lock, 1.0);
        st = mg_stop_check();
    }
    if (st == MG_OK) st = mg_fault_raise(&f->fault);
    pthread_mutex_unlock(&f->lock);
    return st;
}

mg_status mg_finisher_check(mg_finisher *f)
{
    pthread_mutex_lock(&f->lock);
    const mg_status st = mg_fault_raise(&f->fault);
    pthread_mutex_unlock(&f->lock);
    return st;
}

int64_t mg_finisher_room(mg_finisher *f)
{
    pthread_mutex_lock(&f->lock);
    const int64_t n = f->n_queue - (f->n_put - f->n_begun);
    pthread_mutex_unlock(&f->lock);
    return n;
}
