/* Where each rank is: its host, the processors it may run on, the memories (NUMA nodes) beside them. */
#ifndef MG_PLACES_H
#define MG_PLACES_H

#include "numa.h"
#include "world.h"

typedef struct mg_place {
    int64_t pid;
    int32_t first_of_host, i_replica, tp_rank;
    char host[64], cores[MG_CORES_SIZE], nodes[MG_NODES_SIZE]; /* "0-3"; "": Linux does not say */
} mg_place;

/* This rank's, now. */
void mg_place_find(mg_place *p, const mg_world *w);

/* A table of all ranks for -v. Collective over the world. */
mg_status mg_places_log(const mg_world *w);

#endif
