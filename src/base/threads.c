/* One generation counter starts a job, one counter of helpers still busy ends it. Both are waited for by
 * spinning a little and then sleeping on a condition variable. */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPIN_ROUNDS = 4000
}; /* about 50 us: longer than the gaps inside a step, shorter than a gap between clips */

struct mg_threads {
    int n;
    int may_spin;
    pthread_t *helpers; /* [n-1] */
    pthread_mutex_t lock;
    pthread_cond_t start, finish;
    atomic_uint generation; /* a new value is a new job */
    atomic_int n_busy;      /* helpers that have not finished the job */
    atomic_int closing;
    mg_threads_fn *fn;
    void *arg;
    int64_t n_units;
};

typedef struct helper_arg {
    mg_threads *pool;
    int i_thread;
} helper_arg;

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_share(const mg_threads *t, int i_thread)
{
    const int64_t first = t->n_units * i_thread / t->n, end = t->n_units * (i_thread + 1) / t->n;

    if (first < end) t->fn(t->arg, first, end, i_thread);
}

static void wait_for_job(mg_threads *t, unsigned seen)
{
    for (int i = 0; t->may_spin && i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&t->generation, memory_order_acquire) != seen) return;
        pause_cpu();
    }
    pthread_mutex_lock(&t->lock);
    while (atomic_load_explicit(&t->generation, memory_order_acquire) == seen)
        pthread_cond_wait(&t->start, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void *help(void *arg)
{
    mg_threads *t = ((helper_arg *)arg)->pool;
    const int i_thread = ((helper_arg *)arg)->i_thread;
    unsigned seen = 0;

    free(arg);
    for (;;) {
        wait_for_job(t, seen);
        seen = atomic_load_explicit(&t->generation, memory_order_acquire);
        if (atomic_load(&t->closing)) return NULL;
        run_share(t, i_thread);
        if (atomic_fetch_sub_explicit(&t->n_busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&t->lock);
            pthread_cond_signal(&t->finish);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

static void start_job(mg_threads *t)
{
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
}

void mg_threads_run(mg_threads *t, mg_threads_fn *fn, void *arg, int64_t n_units)
{
    if (t->n == 1 || n_units <= 1) {
        if (n_units > 0) fn(arg, 0, n_units, 0);
        return;
    }
    t->fn = fn, t->arg = arg, t->n_units = n_units;
    atomic_store_explicit(&t->n_busy, t->n - 1, memory_order_relaxed);
    start_job(t);
    run_share(t, 0);
    for (int i = 0; t->may_spin && i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&t->n_busy, memory_order_acquire) == 0) return;
        pause_cpu();
    }
    pthread_mutex_lock(&t->lock);
    while (atomic_load_explicit(&t->n_busy, memory_order_acquire) > 0)
        pthread_cond_wait(&t->finish, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

int mg_threads_available(void)
{
    cpu_set_t mask;

    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
    const int n = CPU_COUNT(&mask);
    return n > 0 ? n : 1;
}

int mg_threads_count(const mg_threads *t)
{
    return t->n;
}

mg_status mg_threads_open(mg_threads **out, int n, int may_spin)
{
    mg_status st = MG_OK;
    mg_threads *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t) return mg_fail(MG_ENOMEM, "threads: %zu bytes", sizeof *t);
    t->n = 1; /* counts the helpers that really run, so that close joins just those */
    t->may_spin = may_spin;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->start, NULL);
    pthread_cond_init(&t->finish, NULL);
    t->helpers = calloc((size_t)(n > 1 ? n - 1 : 1), sizeof *t->helpers);
    if (!t->helpers) MG_TRY(mg_fail(MG_ENOMEM, "threads: %d helpers", n - 1));
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
    start_job(t);
    for (int i = 1; i < t->n; i++) pthread_join(t->helpers[i - 1], NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->start);
    pthread_cond_destroy(&t->finish);
    free(t->helpers);
    free(t);
}
