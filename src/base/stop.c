#include "stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int stop_signal; /* lock-free: a handler may store it, and any thread may look */

static void on_signal(int signal_number)
{
    if (stop_signal && signal_number == SIGINT) _exit(130);
    stop_signal = signal_number;
}

void mg_stop_begin(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static atomic_int wish;

static void on_wish(int signal_number)
{
    if (signal_number == SIGTERM && wish == SIGTERM)
        stop_signal = signal_number;
    else
        wish = signal_number;
}

void mg_stop_begin_wishes(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_wish;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int mg_stop_wished(void)
{
    return wish;
}

bool mg_stop_requested(void)
{
    return stop_signal != 0;
}

mg_status mg_stop_check(void)
{
    if (!stop_signal) return MG_OK;
    return mg_fail(MG_ESTOPPED,
                   "stopped by %s: what is already written is whole, nothing else was left behind",
                   stop_signal == SIGINT ? "Ctrl-C" : "SIGTERM");
}
