#include "watchdog.h"

#include <sched.h>
#include <time.h>

#include "clock.h"
#include "stop.h"

static const double LOOK_EVERY_S = 0.020;

double mg_wait_s(mg_wait *w)
{
    const double now_s = mg_clock_s();

    if (w->begin_s == 0.0) w->begin_s = w->looked_s = now_s;
    return now_s - w->begin_s;
}

mg_status mg_wait_check(mg_wait *w, int missing)
{
    const mg_watchdog *watchdog = w->watchdog;
    const double waited_s = mg_wait_s(w);

    if (w->begin_s + waited_s - w->looked_s < LOOK_EVERY_S) return MG_OK;
    w->looked_s = w->begin_s + waited_s;
    if (watchdog->board)
        MG_RETURN(mg_board_look(watchdog->board, w->call)); /* first: a loss is why we are told to stop */
    if (watchdog->look && pthread_equal(watchdog->looker, pthread_self()))
        MG_RETURN(watchdog->look(watchdog->look_arg));
    if (watchdog->heeds_stop) MG_RETURN(mg_stop_check());
    if (waited_s < watchdog->deadline_s) return MG_OK;
    if (!watchdog->board)
        return mg_fail(MG_ECOMM, "%s: waited %g s for the other ranks", w->call, watchdog->deadline_s);
    if (missing >= 0 && mg_board_is_stopped(watchdog->board, missing))
        return mg_board_fail(
            watchdog->board, MG_ECOMM,
            "%s: waited %g s for %s: it is stopped (SIGSTOP, or a debugger), and ends with the run", w->call,
            watchdog->deadline_s, mg_board_name(watchdog->board, missing));
    return mg_board_fail(watchdog->board, MG_ECOMM,
                         "%s: waited %g s for %s: it is stuck, or slower than --comm-timeout allows", w->call,
                         watchdog->deadline_s,
                         missing >= 0 ? mg_board_name(watchdog->board, missing) : "the other ranks");
}

mg_status mg_wait_idle(mg_wait *w, int missing)
{
    const double waited_s = mg_wait_s(w);

    if (waited_s < 0.001 && !w->watchdog->oversubscribed) {
        for (int i = 0; i < 16; i++) mg_pause();
        return MG_OK;
    }
    if (waited_s < 0.001) {
        sched_yield();
        return MG_OK;
    }
    const double nap_s = waited_s < 0.02 ? 20e-6 : waited_s < 1.0 ? 200e-6 : 1e-3;
    nanosleep(&(struct timespec){.tv_nsec = (long)(nap_s * 1e9)}, NULL);
    return mg_wait_check(w, missing);
}
