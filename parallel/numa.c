#include "numa.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static void read_set(cpu_set_t *set, const char *text)
{
    CPU_ZERO(set);
    while (*text) {
        char *end;
        const long first = strtol(text, &end, 10);
        if (end == text) return;
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i >= 0 && i <= last && i < CPU_SETSIZE; i++) CPU_SET((size_t)i, set);
        text = end + (*end == ',');
    }
}

static void read_node(mg_numa *numa, const char *root, int number)
{
    char path[512], list[4096] = "";
    cpu_set_t cores;
    int at = numa->n;

    (void)snprintf(path, sizeof path, "%s/node%d/cpulist", root, number);
    FILE *f = fopen(path, "re");
    if (!f) return;
    if (!fgets(list, sizeof list, f)) list[0] = '\0';
    fclose(f);
    read_set(&cores, list);
    if (CPU_COUNT(&cores) == 0) return; /* memory alone */
    for (; at > 0 && numa->node[at - 1].number > number; at--) numa->node[at] = numa->node[at - 1];
    numa->node[at].number = number;
    numa->node[at].cores = cores;
    numa->n++;
}

void mg_numa_read(mg_numa *numa, const char *root)
{
    const struct dirent *entry;
    DIR *dir = opendir(root);
    int number, end;

    numa->n = 0;
    while (dir && numa->n < MG_NUMA_NODES && (entry = readdir(dir)) != NULL)
        if (sscanf(entry->d_name, "node%d%n", &number, &end) == 1 && number >= 0 && !entry->d_name[end])
            read_node(numa, root, number);
    if (dir) closedir(dir);
}

/* Nodes of `numa` that `cores` has processors of, into node [n]; each of the same number of them, or 0. */
static int find_nodes(int node[MG_NUMA_NODES], int *n_cores, const mg_numa *numa, const cpu_set_t *cores)
{
    int n = 0, all = 0;

    *n_cores = 0;
    for (int i = 0; i < numa->n; i++) {
        cpu_set_t both;
        CPU_AND(&both, &numa->node[i].cores, cores);
        const int count = CPU_COUNT(&both);
        if (count == 0) continue;
        if (n > 0 && count != *n_cores) return 0;
        *n_cores = count;
        all += count;
        node[n++] = i;
    }
    return all == CPU_COUNT(cores) ? n : 0;
}

bool mg_numa_choose(cpu_set_t *out, const mg_numa *numa, const mg_placement *placements, int n_ranks,
                    int rank)
{
    const mg_placement *me = &placements[rank];
    int node[MG_NUMA_NODES], n_cores, n_sharing = 0, mine = 0;
    const int n = find_nodes(node, &n_cores, numa, &me->mask);

    if (n < 2) return false;
    for (int r = 0; r < n_ranks; r++) {
        cpu_set_t both;
        if (placements[r].first_of_host != me->first_of_host) continue;
        CPU_AND(&both, &me->mask, &placements[r].mask);
        if (CPU_COUNT(&both) == 0) continue;
        if (!CPU_EQUAL(&me->mask, &placements[r].mask)) return false;
        if (r == rank) mine = n_sharing;
        n_sharing++;
    }
    if (n_sharing % n != 0 || n_sharing / n > n_cores) return false;
    CPU_AND(out, &numa->node[node[mine / (n_sharing / n)]].cores, &me->mask);
    return true;
}

void mg_cores_format(char *out, size_t size, const cpu_set_t *cores)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < CPU_SETSIZE && n < size; i++) {
        size_t end = i;
        if (!CPU_ISSET(i, cores)) continue;
        while (end + 1 < CPU_SETSIZE && CPU_ISSET(end + 1, cores)) end++;
        n += (size_t)snprintf(out + n, size - n, end > i ? "%s%zu-%zu" : "%s%zu", n ? "," : "", i, end);
        i = end;
    }
}

void mg_numa_format(char *out, size_t size, const mg_numa *numa, const cpu_set_t *cores)
{
    cpu_set_t nodes, both;

    CPU_ZERO(&nodes);
    for (int i = 0; i < numa->n; i++) {
        CPU_AND(&both, &numa->node[i].cores, cores);
        if (CPU_COUNT(&both) > 0 && numa->node[i].number < CPU_SETSIZE)
            CPU_SET((size_t)numa->node[i].number, &nodes);
    }
    mg_cores_format(out, size, &nodes);
}
