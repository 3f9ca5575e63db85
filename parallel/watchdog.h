/* A bounded wait: it ends when a rank is lost, when a signal asks to stop, or at a deadline, with a message
 * that names the call. */
#ifndef MG_WATCHDOG_H
#define MG_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>

#include "board.h"

typedef struct mg_watchdog {
    double deadline_s;   /* for one wait */
    bool oversubscribed; /* give the processor away instead of spinning */
    bool heeds_stop;     /* a signal ends the wait */
    mg_board *board;     /* borrowed; NULL: other ranks are not watched */
    /* Asked at every look by the thread that set it: what else may have gone wrong. NULL: nothing. */
    mg_status (*look)(void *arg);
    void *look_arg;
    pthread_t looker;
} mg_watchdog;

/* Default of deadline_s. */
#define MG_WATCHDOG_DEADLINE_S 300.0

typedef struct mg_wait {
    const mg_watchdog *watchdog;
    const char *call;
    double begin_s, looked_s; /* 0 until the first look at the clock */
} mg_wait;

static inline mg_wait mg_wait_begin(const mg_watchdog *watchdog, const char *call)
{
    return (mg_wait){.watchdog = watchdog, .call = call};
}

/* Seconds waited so far; starts the clock at the first call. */
double mg_wait_s(mg_wait *w);

/* Ask now and then: costs a clock read, and every 20 ms a look at the board and the stop flag. MG_OK: wait
 * on. `missing` is the world rank that we wait for, -1 if we cannot tell. */
mg_status mg_wait_check(mg_wait *w, int missing);

/* The same without shared memory to wait in: pause, then yield, then sleep, longer and longer. */
mg_status mg_wait_idle(mg_wait *w, int missing);

static inline void mg_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` is no pause on most of them */
#endif
}

#endif
