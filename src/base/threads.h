/* A small pool of threads that stays inside the processors its process may use.
 *
 * MPI binds ranks to cores, so the pool asks the kernel for the process's own mask instead of counting the
 * machine. Work is cut into units; which thread runs a unit never changes what the unit computes. */
#ifndef MG_THREADS_H
#define MG_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_threads mg_threads;

/* Run units [first, end) of the work described by `arg`. `i_thread` < n_threads, for per-thread scratch; it
 * may come several times in one job. */
typedef void mg_threads_fn(void *arg, int64_t first, int64_t end, int i_thread);

/* Processors this process may run on (sched_getaffinity). */
int mg_threads_available(void);

/* Start n-1 helpers; the caller is thread 0. `may_spin`: helpers and caller wait by spinning for a short
 * while before they sleep; pass false when more threads than processors are about. */
mg_status mg_threads_open(mg_threads **out, int n, int may_spin);

/* The same with helpers of this nice value (0 … 19): a pool that yields the processors to another, also while
 * it spins. */
mg_status mg_threads_open_nice(mg_threads **out, int n, int may_spin, int niceness);
void mg_threads_close(mg_threads *t);

int mg_threads_count(const mg_threads *t);
bool mg_threads_may_spin(const mg_threads *t);

/* Cut [0, n_units) into ranges of consecutive units, a few a thread, run them all, and return when they are
 * done. A thread that is held up has its ranges taken over by others. Not reentrant: one caller at a time,
 * and `fn` must not call it. */
void mg_threads_run(mg_threads *t, mg_threads_fn *fn, void *arg, int64_t n_units);

#endif
