/* One generation counter starts a job, one counter of helpers still busy ends it. Both are waited for by
 * spinning a little and then sleeping on a condition variable. */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "process.h"

enum {
    SPIN_ROUNDS = 4000, /* about 50 us: longer than the gaps inside a step, shorter than one between clips */
    YIELD_ROUNDS = 16,  /* a nice pool offers its processor to others so often */
    MAX_CHUNKS = 32,    /* of a thread's share */
};

/* A thread's share of a job: its chunks, handed out from the first. All in one word, so that a claim by a
 * helper that comes late for a job that is over fails, whatever it has read of the next one. */
typedef struct share {
    _Alignas(64) atomic_uint_least64_t next; /* generation << 32 | n_chunks << 16 | next chunk */
} share;

struct mg_threads {
    int n;
    int may_spin, niceness;
    pthread_t *helpers; /* [n-1] */
    share *shares;      /* [n] */
    pthread_mutex_t lock;
    pthread_cond_t start, finish;
    _Alignas(64) atomic_uint generation; /* a new value is a new job */
    atomic_int n_sleeping;               /* helpers waiting for `start` */
    atomic_int closing;
    /* The job. Atomic, for a late helper may read them while the next job is written: its claim then fails.
     */
    _Atomic(mg_threads_fn *) fn;
    _Atomic(void *) arg;
    atomic_int_least64_t n_units;
    atomic_int n_chunks;            /* of a share */
    _Alignas(64) atomic_int n_left; /* chunks of the job that are not done */
    atomic_int caller_sleeps;
};

typedef struct helper_arg {
    mg_threads *pool;
    int i_thread;
} helper_arg;

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` is no pause on most of them */
#endif
}

/* Round i of a wait. A nice pool's thread lets a busier pool's run at once, so spinning costs those nothing.
 */
static inline void spin(const mg_threads *t, int i)
{
    if (t->niceness && i % YIELD_ROUNDS == YIELD_ROUNDS - 1)
        sched_yield();
    else
        pause_cpu();
}

/* The next chunk of a share, or -1: none left, or the job is over. */
static int claim(share *s, unsigned generation)
{
    uint64_t next = atomic_load_explicit(&s->next, memory_order_relaxed);

    do {
        if ((unsigned)(next >> 32) != generation || (next & 0xFFFF) >= (next >> 16 & 0xFFFF)) return -1;
    } while (!atomic_compare_exchange_weak_explicit(&s->next, &next, next + 1, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return (int)(next & 0xFFFF);
}

static void wake_caller(mg_threads *t)
{
    if (!atomic_load(&t->caller_sleeps)) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_signal(&t->finish);
    pthread_mutex_unlock(&t->lock);
}

/* Take part in a job: own share first, then what the others have not begun. */
static void work(mg_threads *t, unsigned generation, int i_thread)
{
    mg_threads_fn *fn = atomic_load_explicit(&t->fn, memory_order_relaxed);
    void *arg = atomic_load_explicit(&t->arg, memory_order_relaxed);
    const int64_t n_units = atomic_load_explicit(&t->n_units, memory_order_relaxed);
    const int n_chunks = atomic_load_explicit(&t->n_chunks, memory_order_relaxed);

    for (int k = 0; k < t->n; k++) {
        const int i_share = (i_thread + k) % t->n;
        int chunk;
        while ((chunk = claim(&t->shares[i_share], generation)) >= 0) {
            const int64_t c = (int64_t)i_share * n_chunks + chunk, n_all = (int64_t)t->n * n_chunks;
            const int64_t first = n_units * c / n_all, end = n_units * (c + 1) / n_all;
            if (first < end) fn(arg, first, end, i_thread);
            if (atomic_fetch_sub(&t->n_left, 1) == 1) wake_caller(t);
        }
    }
}

static void wait_for_job(mg_threads *t, unsigned seen)
{
    for (int i = 0; t->may_spin && i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&t->generation, memory_order_acquire) != seen) return;
        spin(t, i);
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->n_sleeping, 1);
    while (atomic_load(&t->generation) == seen) pthread_cond_wait(&t->start, &t->lock);
    atomic_fetch_sub(&t->n_sleeping, 1);
    pthread_mutex_unlock(&t->lock);
}

static void *help(void *arg)
{
    mg_threads *t = ((helper_arg *)arg)->pool;
    const int i_thread = ((helper_arg *)arg)->i_thread;
    unsigned seen = 0;

    free(arg);
    if (t->niceness) setpriority(PRIO_PROCESS, 0, t->niceness); /* Linux: of this thread */
    for (;;) {
        wait_for_job(t, seen);
        seen = atomic_load_explicit(&t->generation, memory_order_acquire);
        if (atomic_load(&t->closing)) return NULL;
        work(t, seen, i_thread);
    }
}

static void start_job(mg_threads *t, unsigned generation)
{
    atomic_store(&t->generation, generation);
    if (!atomic_load(&t->n_sleeping)) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
}

void mg_threads_run(mg_threads *t, mg_threads_fn *fn, void *arg, int64_t n_units)
{
    if (t->n == 1 || n_units <= 1) {
        if (n_units > 0) fn(arg, 0, n_units, 0);
        return;
    }
    const unsigned generation = atomic_load_explicit(&t->generation, memory_order_relaxed) + 1;
    const int64_t per_thread = (n_units + t->n - 1) / t->n;
    const int n_chunks = per_thread < MAX_CHUNKS ? (int)per_thread : MAX_CHUNKS;

    atomic_store_explicit(&t->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&t->arg, arg, memory_order_relaxed);
    atomic_store_explicit(&t->n_units, n_units, memory_order_relaxed);
    atomic_store_explicit(&t->n_chunks, n_chunks, memory_order_relaxed);
    atomic_store_explicit(&t->n_left, t->n * n_chunks, memory_order_relaxed);
    for (int i = 0; i < t->n; i++)
        atomic_store_explicit(&t->shares[i].next, (uint64_t)generation << 32 | (uint64_t)n_chunks << 16,
                              memory_order_release);
    start_job(t, generation);
    work(t, generation, 0);
    for (int i = 0; t->may_spin && i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&t->n_left, memory_order_acquire) == 0) return;
        spin(t, i);
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->caller_sleeps, 1);
    while (atomic_load(&t->n_left) > 0) pthread_cond_wait(&t->finish, &t->lock);
    atomic_store(&t->caller_sleeps, 0);
    pthread_mutex_unlock(&t->lock);
}

int mg_threads_available(void)
{
    cpu_set_t mask;

    const int n = mg_process_processors(&mask, 0);
    return n > 0 ? n : 1;
}

int mg_threads_count(const mg_threads *t)
{
    return t->n;
}

bool mg_threads_may_spin(const mg_threads *t)
{
    return t->may_spin;
}

mg_status mg_threads_open(mg_threads **out, int n, int may_spin)
{
    return mg_threads_open_nice(out, n, may_spin, 0);
}

mg_status mg_threads_open_nice(mg_threads **out, int n, int may_spin, int niceness)
{
    mg_status st = MG_OK;
    mg_threads *t = aligned_alloc(_Alignof(mg_threads), sizeof *t);

    *out = NULL;
    if (!t) return mg_fail(MG_ENOMEM, "threads: %zu bytes", sizeof *t);
    memset(t, 0, sizeof *t);
    t->n = 1; /* counts the helpers that really run, so that close joins just those */
    t->may_spin = may_spin;
    t->niceness = niceness;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->start, NULL);
    pthread_cond_init(&t->finish, NULL);
    t->shares = aligned_alloc(_Alignof(share), (size_t)(n > 0 ? n : 1) * sizeof *t->shares);
    t->helpers = calloc((size_t)(n > 1 ? n - 1 : 1), sizeof *t->helpers);
    if (!t->helpers || !t->shares) MG_TRY(mg_fail(MG_ENOMEM, "threads: %d helpers", n - 1));
    for (int i = 1; i < n; i++) {
        helper_arg *arg = malloc(sizeof *arg);
        if (!arg) MG_TRY(mg_fail(MG_ENOMEM, "threads: %zu bytes", sizeof *arg));
        *arg = (helper_arg){t, i};
        const int err = pthread_create(&t->helpers[i - 1], NULL, help, arg);
        if (err) {
            free(arg);
            MG_TRY(mg_fail(MG_EFAIL, "threads: helper %d of %d: %s", i, n - 1, strerror(err)));
        }
        t->n = i + 1;
    }
    *out = t;
done:
    if (st != MG_OK) mg_threads_close(t);
    return st;
}

void mg_threads_close(mg_threads *t)
{
    if (!t) return;
    atomic_store(&t->closing, 1);
    start_job(t, atomic_load(&t->generation) + 1);
    for (int i = 1; i < t->n; i++) pthread_join(t->helpers[i - 1], NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->start);
    pthread_cond_destroy(&t->finish);
    free(t->helpers);
    free(t->shares);
    free(t);
}
