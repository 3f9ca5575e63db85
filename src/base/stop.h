/* What ends work in good order becomes a flag that long work looks at: SIGINT, SIGTERM, SIGHUP (a terminal
 * that goes), SIGUSR1 (Slurm's --signal), SIGUSR2 (Grid Engine, LSF) and SIGXCPU (a limit on processor time).
 * The second SIGINT ends the process at once. */
#ifndef MG_STOP_H
#define MG_STOP_H

#include <signal.h>
#include <stdbool.h>

#include "status.h"

/* Install the handlers. Once, from main.c. */
void mg_stop_begin(void);

/* All of these signals, for a thread that leaves them to others. */
void mg_stop_signals(sigset_t *out);

/* From now on it is a stop, too, that our parent is another than this process. */
void mg_stop_with_parent(int pid);

bool mg_stop_requested(void);

/* "Ctrl-C", "SIGTERM": what asked us to stop. */
const char *mg_stop_name(void);

/* MG_OK, or MG_ESTOPPED with its message if a signal asked us to stop. */
mg_status mg_stop_check(void);

/* For work that can end early in good order: from now on the first SIGTERM, and every SIGUSR1, SIGUSR2
 * and SIGXCPU, is only a wish, which mg_stop_wished tells; 0: there was none. The second SIGTERM is a stop,
 * and Ctrl-C is one as ever. */
void mg_stop_begin_wishes(void);
int mg_stop_wished(void);

#endif
