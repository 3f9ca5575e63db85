/* Reads the process's own place from the kernel; counts who shares processors with whom. */
#include "placement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

/* cpu.max of a control group folder under v2: "QUOTA PERIOD" or "max PERIOD". 0: no limit or no such file. */
static double read_quota(const char *folder)
{
    char path[600];
    double quota = 0.0, period = 0.0;

    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder);
    FILE *f = fopen(path, "re");
    if (!f) return 0.0;
    const int n = fscanf(f, "%lf %lf", &quota, &period); /* "max" is no number: n is 0 */
    fclose(f);
    return n == 2 && quota > 0.0 && period > 0.0 ? quota / period : 0.0;
}

static double own_quota(void)
{
    char line[512];
    double quota = 0.0;

    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        quota = read_quota(strcmp(line + 3, "/") == 0 ? "" : line + 3);
    }
    if (f) fclose(f);
    return quota > 0.0 ? quota : read_quota("");
}

void mg_placement_take(mg_placement *placement, int rank, int first_of_host)
{
    memset(placement, 0, sizeof *placement);
    placement->rank = rank;
    placement->first_of_host = first_of_host;
    placement->pid = getpid();
    placement->start_ticks = mg_process_start_ticks(placement->pid);
    placement->quota_cores = own_quota();
    if (gethostname(placement->host, sizeof placement->host - 1) != 0)
        snprintf(placement->host, sizeof placement->host, "?");
    if (sched_getaffinity(0, sizeof placement->mask, &placement->mask) != 0 ||
        CPU_COUNT(&placement->mask) == 0)
        CPU_SET(0, &placement->mask); /* more processors than a cpu_set_t holds: be modest */
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
