/* Who sits where: ranks, hosts, replicas and tensor-parallel groups; and the start and end of MPI.
 *
 *     world rank = replica * tp + tp_rank        one replica = tp consecutive world ranks
 *
 * MPI is used when a launcher started us: OMPI_COMM_WORLD_SIZE (mpirun), PMIX_RANK (srun --mpi=pmix, prterun)
 * or PMI_RANK is in the environment. */
#ifndef MG_WORLD_H
#define MG_WORLD_H

#include <stdbool.h>

#include "comm.h"
#include "watchdog.h"

typedef struct mg_world_links mg_world_links;

typedef struct mg_world {
    int rank, size;             /* in the whole run */
    int local_rank, local_size; /* among the ranks of this host */
    char host[64];
    int first_of_host;  /* the lowest world rank of this host: equal means same host */
    int n_cores;        /* processors this rank should use: its own share of those it may run on */
    int n_idle;         /* processors of this host that its launcher may use and none of its ranks */
    int oversubscribed; /* more ranks than processors share this host's mask: never spin */
    mg_comm *all;       /* every rank */
    int tp, n_replicas; /* after mg_world_split */
    int i_replica, tp_rank;
    mg_comm *group;        /* the tensor-parallel group; its rank is tp_rank */
    mg_world_links *links; /* what holds it together; world.c's own */
} mg_world;

/* The rank that a launcher gave this process, by the environment; 0 if there is no launcher. For what is to
 * be said once and before MPI has begun. */
int mg_world_launched_rank(void);

/* Start. Under mpirun or srun MPI is initialised; alone it is not touched and the world has one rank.
 * `alone`: be alone, whatever launched us. Otherwise a world of one rank where the launcher started several
 * processes is MG_EUSAGE; all but the first of them have no message. `timeout_s`: of a wait for other ranks;
 * NaN is MG_WATCHDOG_DEADLINE_S. */
mg_status mg_world_begin(mg_world *w, double timeout_s, bool alone);

/* From now on a wait ends after this long. */
void mg_world_set_timeout(const mg_world *w, double timeout_s);

/* MG_EUSAGE if this is a world of one rank that no launcher started, in a batch job of several tasks. For
 * commands whose work is shared among ranks. */
mg_status mg_world_check_tasks(const mg_world *w);

/* What must be the same on every rank: a name and this rank's value; NULL is "has none", which is no
 * difference. */
typedef struct mg_same {
    const char *thing, *value;
} mg_same;

/* Compare with rank 0's list. The first difference is `bad`: one sentence with the host, the thing, both
 * values and `remedy`. Collective and agreed. */
mg_status mg_world_same(const mg_world *w, mg_status bad, const mg_same *list, int n, const char *remedy);

/* mg_comm_agree over all ranks after work of rank 0 alone, which may take any time (a pipe, a large file):
 * the other ranks wait for it without a deadline. */
mg_status mg_world_await_first(const mg_world *w, mg_status mine);

/* The same after work of every rank for itself: whoever is ready first waits for the last without a deadline.
 */
mg_status mg_world_await_all(const mg_world *w, mg_status mine);

/* The largest group (1, 2, 4, 8) that divides the world and never reaches over a host's end. */
int mg_world_largest_group(const mg_world *w);

/* Cut the world into replicas of `tp` consecutive ranks (1, 2, 4, 8; it must divide the world: MG_EUSAGE).
 * Ranks of one host get the shared-memory group, others the MPI one; MGDIST_COMM=mpi or shm insists (tests).
 * Collective, once. */
mg_status mg_world_split(mg_world *w, int tp);

/* After the split: of the ranks of this host with this tp_rank, is it the first? What each replica of a host
 * would do alike, one does. Not collective. */
bool mg_world_is_first_replica(const mg_world *w);

/* Keep this rank, and the threads that it starts from now on, to one NUMA node, where mg_numa_choose finds
 * one below `root` for it. Not collective. */
void mg_world_stay(const mg_world *w, const char *root);

/* The clock of waits for other ranks; NULL in a world of one. */
const mg_watchdog *mg_world_watchdog(const mg_world *w);

/* From now on the calling thread asks `look` too while it waits for other ranks: a group on devices may have
 * failed. It must not wait for ranks itself. NULL ends it. */
void mg_world_look_too(const mg_world *w, mg_status (*look)(void *arg), void *arg);

/* MG_ECOMM, and who, if a rank of this host is gone; for work that talks to no group for long. Not
 * collective. */
mg_status mg_world_look(const mg_world *w);

/* Once, when the run ends with `st` and before anybody is told: the status to report and exit with. A
 * launcher answers the death of one rank with SIGTERM to the others; where that looks like a user's stop, it
 * becomes MG_ECOMM naming the dead rank. Where several ranks would say the same, one keeps its message and
 * the others' mg_last_error() becomes "": a rank with an empty message keeps silent. Not collective. */
mg_status mg_world_settle(const mg_world *w, mg_status st);

/* As mg_world_settle where a rank is gone, and said at once, for the launcher soon ends the others: what is
 * at hand may take longer than that. The message is empty then, also that of what settles behind it. Any
 * other status is returned as it is. */
mg_status mg_world_tell_loss(const mg_world *w, mg_status st);

/* The end, orderly if st is MG_OK, or a failure that all ranks agreed on; otherwise, if this rank alone
 * fails, the others learn it from us, and with more than one rank the call does not return: MPI_Abort ends
 * the run with mg_exit_code(st). Prints nothing. Say what there is to say before. */
void mg_world_end(mg_world *w, mg_status st);

#endif
