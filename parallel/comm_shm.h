/* The group of ranks of one host that talk through shared memory. */
#ifndef MG_COMM_SHM_H
#define MG_COMM_SHM_H

#include "comm.h"
#include "watchdog.h"

/* Collective over `via`, whose ranks become the group; group rank r is world rank first_rank + r. Fails on
 * all ranks or on none. `watchdog` is borrowed. */
mg_status mg_comm_shm_open(mg_comm **out, mg_comm *via, int first_rank, const mg_watchdog *watchdog);

#endif
