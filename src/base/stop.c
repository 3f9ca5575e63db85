#include "stop.h"

#include <stdatomic.h>
#include <unistd.h>

static atomic_int stop_signal; /* lock-free: a handler may store it, and any thread may look */

static const struct {
    int number;
    const char *name;
} stops[] = {{SIGINT, "Ctrl-C"},   {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"},
             {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGXCPU, "SIGXCPU"}};

enum { PARENT_GONE = -1 };
static atomic_int parent; /* 0: ours may go */

static void on_signal(int signal_number)
{
    if (stop_signal && signal_number == SIGINT) _exit(130);
    stop_signal = signal_number;
}

static void handle(int number, void (*by)(int))
{
    struct sigaction action = {.sa_handler = by};

    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void mg_stop_begin(void)
{
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        struct sigaction old;
        const bool known = sigaction(stops[i].number, NULL, &old) == 0;
        if (known && stops[i].number == SIGHUP && old.sa_handler == SIG_IGN) continue; /* nohup */
        handle(stops[i].number, on_signal);
    }
}

void mg_stop_signals(sigset_t *out)
{
    sigemptyset(out);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) sigaddset(out, stops[i].number);
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
    const int wishes[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};

    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) handle(wishes[i], on_wish);
}

int mg_stop_wished(void)
{
    return wish;
}

void mg_stop_with_parent(int pid)
{
    parent = pid;
}

bool mg_stop_requested(void)
{
    if (!stop_signal && parent && getppid() != parent) stop_signal = PARENT_GONE;
    return stop_signal != 0;
}

const char *mg_stop_name(void)
{
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        if (stops[i].number == stop_signal) return stops[i].name;
    return stop_signal == PARENT_GONE ? "the end of its launcher" : "a signal";
}

mg_status mg_stop_check(void)
{
    if (!mg_stop_requested()) return MG_OK;
    return mg_fail(MG_ESTOPPED,
                   "stopped by %s: what is already written is whole, nothing else was left behind",
                   mg_stop_name());
}
