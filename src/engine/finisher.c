/* A ring of clips: put by the scheduler, finished by the thread. */
#include "finisher.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "beside.h"
#include "clock.h"
#include "stop.h"

#define GRACE_S 2.0

struct mg_finisher {
    mg_replica *replica; /* borrowed */
    mg_clip_done *done;
    void *arg;
    float *pcm;           /* [T_max * hop, n_channels]; NULL without a decoder */
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t put, finished;
    mg_ready_clip **ring; /* [n_queue] */
    int64_t n_queue;
    int64_t n_put, n_begun, n_done; /* so far: clip i is at ring[i % n_queue] until it is begun */
    bool closing;
    double give_up_s; /* closing: what is not begun by then is dropped */
    mg_fault fault;   /* of `done`: nothing is finished any more */
    pthread_t thread;
    bool runs;
};

static mg_status decode(mg_finisher *f, mg_clip_result *result, const mg_ready_clip *c)
{
    mg_replica *r = f->replica;

    if (!f->pcm) return MG_OK;
    result->sound = (mg_sound){.pcm = f->pcm,
                               .n_frames = c->terms.T * r->config.codec.hop,
                               .n_channels = r->config.lm.n_channels,
                               .rate_hz = r->config.codec.sampling_rate};
    mg_replica_lock_beside(r);
    const mg_status st = mg_encodec_decode_sound(r->codec, &result->sound, c->codes, c->terms.T);
    mg_replica_unlock_beside(r);
    return st;
}

static mg_status finish(mg_finisher *f, const mg_ready_clip *c)
{
    const double begin_s = mg_clock_s();
    mg_clip_result result = {.fault = c->fault,
                             .codes = c->codes,
                             .T_prompt = c->terms.T_prompt,
                             .n_steps = c->n_steps,
                             .n_windows = c->n_windows,
                             .text_s = c->text_s,
                             .lm_s = c->lm_s};

    if (c->fault.st == MG_OK) result.fault = mg_fault_take(decode(f, &result, c));
    result.codec_s = mg_clock_s() - begin_s;
    return f->done(f->arg, c->clip, &result);
}

/* The next clip, which is the thread's from now on; NULL at the end. Under the lock. */
static mg_ready_clip *next_clip(mg_finisher *f)
{
    while (!f->closing && f->n_begun == f->n_put) pthread_cond_wait(&f->put, &f->lock);
    if (f->n_begun == f->n_put || (f->closing && mg_clock_s() > f->give_up_s)) return NULL;
    return f->ring[f->n_begun++ % f->n_queue];
}

static void *finish_all(void *arg)
{
    mg_finisher *f = arg;
    mg_ready_clip *c;

    setpriority(PRIO_PROCESS, (id_t)gettid(), MG_BESIDE_NICENESS);
    pthread_mutex_lock(&f->lock);
    while ((c = next_clip(f))) {
        const bool works = f->fault.st == MG_OK;
        pthread_cond_signal(&f->finished); /* there is room */
        pthread_mutex_unlock(&f->lock);
        const mg_fault fault = mg_fault_take(works ? finish(f, c) : MG_OK);
        mg_ready_clip_close(c);
        pthread_mutex_lock(&f->lock);
        if (works) f->fault = fault;
        f->n_done++;
        pthread_cond_signal(&f->finished);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

mg_status mg_finisher_open(mg_finisher **out, mg_replica *r, int64_t n_queue, mg_clip_done *done, void *arg)
{
    const size_t n_pcm = (size_t)(r->limits.T_max * r->config.codec.hop * r->config.lm.n_channels);
    mg_status st = MG_OK;
    mg_finisher *f = calloc(1, sizeof *f);

    *out = NULL;
    MG_REQUIRE(n_queue > 0 && r->is_leader);
    if (!f) return mg_fail(MG_ENOMEM, "finisher: %zu bytes", sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->put, NULL);
    mg_beside_cond_init(&f->finished);
    f->replica = r, f->done = done, f->arg = arg, f->n_queue = n_queue;
    f->ring = calloc((size_t)n_queue, sizeof *f->ring);
    if (r->source.with_decoder) f->pcm = calloc(n_pcm, sizeof *f->pcm);
    if (!f->ring || (r->source.with_decoder && !f->pcm))
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
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    f->give_up_s = mg_clock_s() + GRACE_S;
    pthread_cond_signal(&f->put);
    pthread_mutex_unlock(&f->lock);
    if (f->runs) pthread_join(f->thread, NULL);
    for (; f->n_begun < f->n_put; f->n_begun++) mg_ready_clip_close(f->ring[f->n_begun % f->n_queue]);
    pthread_cond_destroy(&f->put);
    pthread_cond_destroy(&f->finished);
    pthread_mutex_destroy(&f->lock);
    free(f->ring);
    free(f->pcm);
    free(f);
}

static mg_status finish_at_once(mg_finisher *f, mg_ready_clip *clip)
{
    const mg_status st = finish(f, clip);

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
    if (st == MG_OK) f->ring[f->n_put++ % f->n_queue] = clip;
    pthread_cond_signal(&f->put);
    pthread_mutex_unlock(&f->lock);
    if (st != MG_OK) mg_ready_clip_close(clip);
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

int64_t mg_finisher_count(mg_finisher *f)
{
    pthread_mutex_lock(&f->lock);
    const int64_t n = f->n_put - f->n_done;
    pthread_mutex_unlock(&f->lock);
    return n;
}
