#include "beside.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "stop.h"

enum { LOOK_EVERY_MS = 100 };

mg_status mg_beside_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t to_stop, before;

    mg_stop_signals(&to_stop); /* they must find the thread that waits in MPI or in a read */
    pthread_sigmask(SIG_BLOCK, &to_stop, &before);
    const int error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? mg_fail(MG_EFAIL, "%s: no thread: %s", name, strerror(error)) : MG_OK;
}

void mg_beside_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

void mg_beside_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double s)
{
    const double end_s = mg_clock_s() + s;
    struct timespec until;

    for (;;) {
        const double left_s = end_s - mg_clock_s();
        int64_t ms = (int64_t)(left_s * 1000);
        if (left_s <= 0 || mg_stop_requested()) return;
        if (ms < 1) ms = 1;
        if (ms > LOOK_EVERY_MS) ms = LOOK_EVERY_MS;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(cond, lock, &until) == 0) return;
    }
}
