/* A ring of clips: put by the user, prepared by the thread, taken by the user. */
#include "preparer.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "beside.h"

typedef struct place {
    const mg_clip *clip;
    mg_ready_clip *ready;
} place;

struct mg_preparer {
    mg_conditions *conditions;
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t put, ready;
    place *ring; /* [n_most] */
    int64_t n_most;
    int64_t n_put, n_ready, n_taken; /* so far: clip i is at ring[i % n_most] */
    bool closing;
    mg_fault fault; /* of the thread: it is over */
    pthread_t thread;
    bool runs;
};

/* The next clip that is not prepared; NULL at the end. Under the lock. */
static place *next_place(mg_preparer *p)
{
    while (!p->closing && p->n_ready == p->n_put) pthread_cond_wait(&p->put, &p->lock);
    return p->closing ? NULL : &p->ring[p->n_ready % p->n_most];
}

static void *prepare_all(void *arg)
{
    mg_preparer *p = arg;
    place *at;

    setpriority(PRIO_PROCESS, 0, MG_BESIDE_NICENESS);
    pthread_mutex_lock(&p->lock);
    while (p->fault.st == MG_OK && (at = next_place(p))) {
        mg_ready_clip *ready;
        const mg_clip *clip = at->clip;
        pthread_mutex_unlock(&p->lock);
        const mg_fault fault = mg_fault_take(mg_conditions_prepare(p->conditions, &ready, clip));
        pthread_mutex_lock(&p->lock);
        p->fault = fault;
        at->ready = ready;
        if (fault.st == MG_OK) p->n_ready++;
        pthread_cond_signal(&p->ready);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

mg_status mg_preparer_open(mg_preparer **out, mg_replica *r, int64_t n_most)
{
    mg_status st = MG_OK;
    mg_preparer *p = calloc(1, sizeof *p);

    *out = NULL;
    MG_REQUIRE(n_most > 0);
    if (!p) return mg_fail(MG_ENOMEM, "preparer: %zu bytes", sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->put, NULL);
    mg_beside_cond_init(&p->ready);
    p->n_most = n_most;
    p->ring = calloc((size_t)n_most, sizeof *p->ring);
    if (!p->ring) MG_TRY(mg_fail(MG_ENOMEM, "preparer: %lld clips", (long long)n_most));
    MG_TRY(mg_conditions_open(&p->conditions, r));
    if (mg_replica_has_beside(r)) MG_TRY(mg_beside_start(&p->thread, "preparer", prepare_all, p));
    p->runs = mg_replica_has_beside(r);
    *out = p;
done:
    if (st != MG_OK) mg_preparer_close(p);
    return st;
}

void mg_preparer_close(mg_preparer *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_signal(&p->put);
    pthread_mutex_unlock(&p->lock);
    if (p->runs) pthread_join(p->thread, NULL);
    for (int64_t i = p->n_taken; i < p->n_ready; i++) mg_ready_clip_close(p->ring[i % p->n_most].ready);
    mg_conditions_close(p->conditions);
    pthread_cond_destroy(&p->put);
    pthread_cond_destroy(&p->ready);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
}

int64_t mg_preparer_room(mg_preparer *p)
{
    return p->n_most - (p->n_put - p->n_taken); /* both are the user's */
}

mg_status mg_preparer_put(mg_preparer *p, const mg_clip *clip)
{
    place *at = &p->ring[p->n_put % p->n_most];

    MG_REQUIRE(mg_preparer_room(p) > 0);
    if (!p->runs) MG_RETURN(mg_conditions_prepare(p->conditions, &at->ready, clip));
    pthread_mutex_lock(&p->lock);
    at->clip = clip;
    p->n_put++;
    if (!p->runs) p->n_ready++;
    pthread_cond_signal(&p->put);
    pthread_mutex_unlock(&p->lock);
    return MG_OK;
}

mg_status mg_preparer_get(mg_preparer *p, mg_ready_clip **out, double wait_s)
{
    *out = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->n_ready == p->n_taken && p->n_put > p->n_taken && p->fault.st == MG_OK)
        mg_beside_wait(&p->ready, &p->lock, wait_s);
    const mg_fault fault = p->fault;
    if (p->n_ready > p->n_taken) *out = p->ring[p->n_taken++ % p->n_most].ready;
    pthread_mutex_unlock(&p->lock);
    return *out ? MG_OK : mg_fault_raise(&fault);
}
