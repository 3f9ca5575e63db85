/* /proc/meminfo, and the limits of control groups. */
#include "host_memory.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "control_group.h"

enum { PATH_BYTES = 1024 };

/* The first number of a file; -1 if there is none ("max"). */
static int64_t read_number(const char *folder, const char *name)
{
    char path[2 * PATH_BYTES];
    long long v = -1;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return -1;
    if (fscanf(f, "%lld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

/* The number behind `key` at the start of a line; -1 if there is none. */
static int64_t read_key(const char *folder, const char *name, const char *key)
{
    char path[PATH_BYTES], line[256];
    long long v = -1;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return -1;
    while (v < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%lld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

static int64_t or_none(int64_t v)
{
    return v > 0 ? v : 0;
}

/* A group's limit; INT64_MAX: none. Version 2 has two: beyond `max` somebody is killed, and beyond `high`
 * (Slurm and systemd set it) all are held up until they hardly move. */
static int64_t group_limit(const char *folder, int version)
{
    static const char *const names[][2] = {{"memory.limit_in_bytes"}, {"memory.max", "memory.high"}};
    int64_t least = INT64_MAX;

    for (int i = 0; i < version; i++) {
        const int64_t limit = read_number(folder, names[version - 1][i]);
        if (limit >= 0 && limit < least) least = limit;
    }
    return least > INT64_MAX / 2 ? INT64_MAX : least; /* version 1 has no other word for none */
}

/* What one control group leaves: its limit, less what is in use and cannot be dropped. Pages of files can,
 * also those that were read twice, as an earlier start's checkpoint: MemAvailable counts both, too. */
static double group_room(const char *folder, int version)
{
    static const char *const names[][3] = {
        {"memory.usage_in_bytes", "total_inactive_file ", "total_active_file "},
        {"memory.current", "inactive_file ", "active_file "}};
    const char *const *name = names[version - 1];
    const int64_t limit = group_limit(folder, version);

    if (limit == INT64_MAX) return INFINITY;
    const int64_t usage = or_none(read_number(folder, name[0]));
    const int64_t files =
        or_none(read_key(folder, "memory.stat", name[1])) + or_none(read_key(folder, "memory.stat", name[2]));
    return fmin((double)limit, fmax(0, (double)(limit - usage + files)));
}

/* What is free in GPUs whose memory the kernel has taken in as NUMA nodes (GH200), in KiB: it counts that as
 * available, and CUDA gives it to the models. */
static int64_t read_device_nodes(const char *root)
{
    char path[PATH_BYTES], key[64];
    glob_t gpus;
    int64_t sum = 0;

    (void)snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus/*", root);
    if (glob(path, 0, NULL, &gpus) != 0) return 0;
    for (size_t i = 0; i < gpus.gl_pathc; i++) {
        const long long node = read_key(gpus.gl_pathv[i], "numa_status", "Node:");
        if (node < 0) continue;
        (void)snprintf(path, sizeof path, "%s/sys/devices/system/node/node%lld", root, node);
        if (read_number(path, "cpulist") >= 0) continue; /* processors are there: it is the host's too */
        (void)snprintf(key, sizeof key, "Node %lld MemFree:", node);
        const int64_t kib = read_key(path, "meminfo", key);
        sum += kib > 0 ? kib : 0;
    }
    globfree(&gpus);
    return sum;
}

int64_t mg_host_memory_below(const char *root)
{
    const int64_t all = read_key(root, "proc/meminfo", "MemAvailable:"), of_devices = read_device_nodes(root);
    const int64_t host = all < 0 ? INT64_MAX : all > of_devices ? (all - of_devices) * 1024 : 0;
    const double groups = mg_control_groups_least(root, "memory", group_room);

    return groups < (double)host ? (int64_t)groups : host;
}

int64_t mg_host_memory_available(void)
{
    return mg_host_memory_below("");
}
