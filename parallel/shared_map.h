/* Memory that the ranks of one host share. It has no name in any file system: nothing is left behind whatever
 * ends the processes, and a container's small /dev/shm does not limit it. */
#ifndef MG_SHARED_MAP_H
#define MG_SHARED_MAP_H

#include <stddef.h>

#include "comm.h"

typedef struct mg_shared_map {
    void *base; /* page-aligned, zero at first */
    size_t size_bytes;
} mg_shared_map;

/* Collective over `via`, whose ranks are all on this host. Fails on all ranks or on none; it fails where they
 * may not open each other's /proc/PID/fd (another user, another pid namespace). */
mg_status mg_shared_map_open(mg_shared_map *m, mg_comm *via, size_t size_bytes);

void mg_shared_map_close(mg_shared_map *m);

#endif
