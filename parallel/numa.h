/* The memories of a host (NUMA nodes) and the processors beside each; and which of them a rank should keep
 * to. Linux takes a page from the node of the thread that first writes it. So a rank whose threads stay
 * beside one node has there what they pack. */
#ifndef MG_NUMA_H
#define MG_NUMA_H

#include "placement.h"

#define MG_NUMA_ROOT "/sys/devices/system/node"

enum { MG_NUMA_NODES = 64, MG_CORES_SIZE = 160, MG_NODES_SIZE = 64 };

typedef struct mg_numa {
    int n; /* nodes with processors, by number; 0: Linux does not say */
    struct {
        int number;
        cpu_set_t cores;
    } node[MG_NUMA_NODES];
} mg_numa;

/* What is told below `root`. */
void mg_numa_read(mg_numa *numa, const char *root);

/* The processors of one node for `rank`, where it may run on several: ranks of the host that may run on the
 * very same processors share the nodes evenly, the first of them the first node. False: it keeps all it has.
 * So it is where the ranks are fewer than the nodes or no multiple of them, or nodes are of different size.
 */
bool mg_numa_choose(cpu_set_t *out, const mg_numa *numa, const mg_placement *placements, int n_ranks,
                    int rank);

/* "0-3,8": the numbers of a set, as the kernel writes them, cut off where there is no room. */
void mg_cores_format(char *out, size_t size, const cpu_set_t *cores);

/* The same of the nodes beside these processors; "" where Linux does not say. */
void mg_numa_format(char *out, size_t size, const mg_numa *numa, const cpu_set_t *cores);

#endif
