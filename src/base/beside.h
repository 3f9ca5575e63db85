/* A thread that works beside the steps, for preparer.c and finisher.c: it yields the processor to them. */
#ifndef MG_BESIDE_H
#define MG_BESIDE_H

#include <pthread.h>
#include <stdbool.h>

#include "status.h"

/* The nice value of all that works beside the steps: a step waits for the slowest of its threads, and shall
 * not wait for a decoder's turn on the processor. Once the steps wait themselves (a full queue) it has all.
 */
enum { MG_BESIDE_NICENESS = 10 };

/* `name`: for messages. Signals to stop go to other threads. */
mg_status mg_beside_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);

/* Until the condition is signalled or s seconds have passed, or a signal asks to stop, which is looked for a
 * few times a second. The condition was made by mg_beside_cond_init. Under the lock, like
 * pthread_cond_wait. */
void mg_beside_cond_init(pthread_cond_t *cond);
void mg_beside_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double s);

#endif
