/* Reads the process's own place from the kernel; counts who shares processors with whom. */
#include "placement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

enum { PATH_BYTES = 1024 };

/* The first number of a file, and the second; 0: there is none ("max"). */
static void read_numbers(double *first, double *second, const char *folder, const char *name)
{
    char path[PATH_BYTES + 64];

    *first = *second = 0.0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return;
    if (fscanf(f, "%lf %lf", first, second) == 0) *first = 0.0;
    fclose(f);
}

/* What one control group grants, by version 2 ("QUOTA PERIOD" in one file) or 1; 0: no limit. */
static double group_quota(const char *folder, bool is_one)
{
    double quota, period, none;

    read_numbers(&quota, &period, folder, is_one ? "cpu.cfs_quota_us" : "cpu.max");
    if (is_one) read_numbers(&period, &none, folder, "cpu.cfs_period_us");
    return quota > 0.0 && period > 0.0 ? quota / period : 0.0;
}

/* The least of the group at `path` and those above it: a limit stands at a job or a user as often as at its
 * own. */
static double path_quota(const char *root, bool is_one, char *path)
{
    char folder[PATH_BYTES];
    double least = 0.0;

    for (;;) {
        (void)snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s", root, is_one ? "/cpu" : "", path);
        const double quota = group_quota(folder, is_one);
        if (quota > 0.0 && (least == 0.0 || quota < least)) least = quota;
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* Is `name` in a list with commas? */
static bool is_among(const char *list, const char *name)
{
    const size_t n = strlen(name);

    for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
        if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == '\0')) return true;
    return false;
}

double mg_placement_quota(const char *root)
{
    char line[PATH_BYTES / 2];
    double least =
        path_quota(root, true, (char[]){""}); /* a container's own, whatever path the kernel tells */

    (void)snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) { /* "0::PATH", "NUMBER:CONTROLLERS:PATH" */
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *list++ = *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (*list && !is_among(list, "cpu")) continue;
        const double quota = path_quota(root, *list != '\0', path);
        if (quota > 0.0 && (least == 0.0 || quota < least)) least = quota;
    }
    if (f) fclose(f);
    return least;
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
