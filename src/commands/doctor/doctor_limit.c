/* No check of `doctor` may wait for ever. Waits for other ranks have a deadline of their own; but a driver
 * that hangs answers no call, and then nobody but another thread can say so. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "beside.h"
#include "clock.h"
#include "doctor.h"

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    double most_s, until_s;
    const char *at;
    int rank;
    bool runs, ends;
} limit = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void give_up(const char *at)
{
    char text[300];
    const int n =
        snprintf(text, sizeof text,
                 "BAD   %s: no end after %.0f s: a driver or a device hangs (dmesg and nvidia-smi may "
                 "tell), or it is slow: give a longer --comm-timeout\n",
                 at, limit.most_s);

    if (write(limit.rank == 0 ? STDOUT_FILENO : STDERR_FILENO, text, (size_t)n) < n)
        _exit(mg_exit_code(MG_EFAIL));
    _exit(mg_exit_code(MG_EFIT)); /* at once: what is to be closed would wait too */
}

static void *watch(void *arg)
{
    const struct timespec nap = {0, 20 * 1000 * 1000};
    bool ends = false;

    while (!ends) {
        nanosleep(&nap, NULL);
        (void)pthread_mutex_lock(&limit.lock);
        ends = limit.ends;
        const bool is_late = !ends && mg_clock_s() > limit.until_s;
        const char *at = limit.at;
        (void)pthread_mutex_unlock(&limit.lock);
        if (is_late) give_up(at);
    }
    return arg;
}

void mg_doctor_limit_begin(int rank, double most_s)
{
    limit.rank = rank, limit.most_s = most_s, limit.ends = false;
    mg_doctor_limit_next("the beginning");
    limit.runs = mg_beside_start(&limit.thread, "doctor", watch, NULL) == MG_OK;
    mg_clear_error(); /* without it the checks go on */
}

void mg_doctor_limit_next(const char *at)
{
    (void)pthread_mutex_lock(&limit.lock);
    limit.at = at;
    limit.until_s = mg_clock_s() + limit.most_s;
    (void)pthread_mutex_unlock(&limit.lock);
}

void mg_doctor_limit_end(void)
{
    if (!limit.runs) return;
    (void)pthread_mutex_lock(&limit.lock);
    limit.ends = true;
    (void)pthread_mutex_unlock(&limit.lock);
    (void)pthread_join(limit.thread, NULL);
    limit.runs = false;
}
