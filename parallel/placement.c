/* Reads the process's own place from the kernel; counts who shares processors with whom. */
#include "placement.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_group.h"
#include "process.h"

/* The first number of a file, and the second; 0: there is none ("max"). */
static void read_numbers(double *first, double *second, const char *folder, const char *name)
{
    char path[1024];

    *first = *second = 0.0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return;
    if (fscanf(f, "%lf %lf", first, second) == 0) *first = 0.0;
    fclose(f);
}

/* The cores that one control group grants: of version 2 "QUOTA PERIOD" in one file, of 1 in two. */
static double group_quota(const char *folder, int version)
{
    double quota, period, none;

    read_numbers(&quota, &period, folder, version == 1 ? "cpu.cfs_quota_us" : "cpu.max");
    if (version == 1) read_numbers(&period, &none, folder, "cpu.cfs_period_us");
    return quota > 0.0 && period > 0.0 ? quota / period : INFINITY;
}

double mg_placement_quota(const char *root)
{
    const double quota = mg_control_groups_least(root, "cpu", group_quota);

    return isinf(quota) ? 0.0 : quota;
}

void mg_placement_take(mg_placement *placement, int rank, int first_of_host)
{
    memset(placement, 0, sizeof *placement);
    placement->rank = rank;
    placement->first_of_host = first_of_host;
    placement->pid = getpid();
    placement->start_ticks = mg_process_start_ticks(placement->pid);
    placement->quota_cores = mg_placement_quota("");
    if (gethostname(placement->host, sizeof placement->host - 1) != 0)
        snprintf(placement->host, sizeof placement->host, "?");
    (void)mg_process_processors(&placement->mask, 0);
    if (CPU_COUNT(&placement->mask) == 0) CPU_SET(0, &placement->mask); /* none that it holds: be modest */
}

mg_status mg_placements_gather(mg_placement *placements, mg_comm *all, const mg_placement *mine)
{
    return mg_comm_all_gather(all, placements, mine, sizeof *mine, MG_U8);
}

int mg_placement_cores(const mg_placement *placements, int n_ranks, int rank, int *oversubscribed)
{
    const mg_placement *me = &placements[rank];
    int n_sharing = 0, n_local = 0;

    for (int r = 0; r < n_ranks; r++) {
        cpu_set_t both;
        if (placements[r].first_of_host != me->first_of_host) continue;
        CPU_AND(&both, &me->mask, &placements[r].mask);
        n_sharing += CPU_COUNT(&both) > 0;
        n_local++;
    }
    const int n_allowed = CPU_COUNT(&me->mask);
    int n_cores = n_allowed / n_sharing;

    *oversubscribed = n_sharing > n_allowed;
    if (me->quota_cores > 0.0) { /* of the whole group of processes, wherever they are bound */
        const int n_granted = (int)(me->quota_cores + 0.999);
        if (n_granted < n_local) *oversubscribed = 1;
        if (n_granted / n_local < n_cores) n_cores = n_granted / n_local;
    }
    return n_cores > 0 ? n_cores : 1;
}

int mg_placement_idle(const mg_placement *placements, int n_ranks, int rank, const cpu_set_t *all)
{
    const mg_placement *me = &placements[rank];
    cpu_set_t used, both;

    CPU_ZERO(&used);
    for (int r = 0; r < n_ranks; r++)
        if (placements[r].first_of_host == me->first_of_host) CPU_OR(&used, &used, &placements[r].mask);
    CPU_AND(&both, &used, all);
    int n_all = CPU_COUNT(all);
    if (me->quota_cores > 0.0 && (int)(me->quota_cores + 0.999) < n_all)
        n_all = (int)(me->quota_cores + 0.999);
    return n_all > CPU_COUNT(&both) ? n_all - CPU_COUNT(&both) : 0;
}
