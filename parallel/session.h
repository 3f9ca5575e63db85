/* What Open MPI keeps in files of its own: the session folder of a host's ranks, and the shared memory
 * between them. Its launcher removes them, unless it is killed. */
#ifndef MG_SESSION_H
#define MG_SESSION_H

#include <sched.h>
#include <stdbool.h>

/* Before MPI begins, on the first rank of a host that mpirun has started: a process beside it that outlives
 * it. Where the host's launcher (mpirun, or its daemon) is gone and has left its files, it removes what was
 * of this run alone. Returns what mg_session_tell wants; -1 elsewhere. */
int mg_session_watch(void);

/* Around MPI_Init, which may wait for ever: for a launcher that is gone, or that has forgotten this rank. It
 * ends with one message: exit code 6 when its launcher on this host is gone, or after `timeout_s`; that of a
 * stop a moment after one was asked for. `is_first`: of all ranks, the one that speaks first. */
void mg_session_join_begin(bool is_first, double timeout_s);
void mg_session_join_end(void);

/* Behind them, on every rank that mpirun has started itself: it stops in good order when mpirun is killed.
 * Open MPI 4 ends its ranks then; 5 means to, and they work on. */
void mg_session_heed(void);

/* Behind them: the processors that this host's launcher of Open MPI may run on. false: there is none. */
bool mg_session_processors(cpu_set_t *out);

/* Once MPI has begun: which shared memory is this run's. */
void mg_session_tell(int fd);

#endif
