/* Where each rank of the world runs: host, process, processors. Every rank knows the placement of all. */
#ifndef MG_PLACEMENT_H
#define MG_PLACEMENT_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "comm.h"

typedef struct mg_placement {
    int rank;             /* in the world */
    int first_of_host;    /* the lowest world rank of the same host: equal means same host */
    int64_t pid;          /* as its own pid namespace counts */
    uint64_t start_ticks; /* /proc/PID/stat: tells the process from a later one with its number */
    double quota_cores;   /* what the control group grants; 0: no limit */
    char host[64];
    cpu_set_t mask; /* processors it may run on */
} mg_placement;

/* The placement of the calling process. */
void mg_placement_take(mg_placement *placement, int rank, int first_of_host);

/* placements [all->size] in rank order from each rank's own. Collective. */
mg_status mg_placements_gather(mg_placement *placements, mg_comm *all, const mg_placement *mine);

/* The share of the processors that `rank` should use: those it may run on, divided by the ranks of its host
 * that may run on any of them; at least 1. *oversubscribed if there are more such ranks than processors. */
int mg_placement_cores(const mg_placement *placements, int n_ranks, int rank, int *oversubscribed);

/* Processors of `all`, those that its launcher may run on, that no rank of this host may run on. */
int mg_placement_idle(const mg_placement *placements, int n_ranks, int rank, const cpu_set_t *all);

/* What the control groups of a system whose files are below `root` grant this process: processors; 0: no
 * limit. */
double mg_placement_quota(const char *root);

#endif
