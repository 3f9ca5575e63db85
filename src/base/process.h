/* What the kernel says of a process of this host. */
#ifndef MG_PROCESS_H
#define MG_PROCESS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* False also for one that has ended and that nobody has waited for (a zombie): it writes nothing any more.
 * Where PID 1 reaps nothing, as in many containers, such a one stays for ever. */
bool mg_process_is_alive(int64_t pid);

/* Has somebody stopped it: SIGSTOP, or a debugger? */
bool mg_process_is_stopped(int64_t pid);

/* When it began, in clock ticks: a number is given again. 0: there is none. */
uint64_t mg_process_start_ticks(int64_t pid);

/* Whose numbers these are: this host's, from one start of it to the next, or this container's. The hosts of a
 * cluster may all be called the same. Never 0. */
uint32_t mg_process_machine(void);

/* How many processors a process may run on (0: itself), and which: *out has those that a cpu_set_t has room
 * for, numbers below 1024, however many the kernel counts. 0: it cannot be told, and *out is empty. */
int mg_process_processors(cpu_set_t *out, int64_t pid);

#endif
