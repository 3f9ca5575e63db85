/* /proc/meminfo, and memory.max of control groups (version 2, and version 1 at its usual place). */
#include "host_memory.h"

#include <stdio.h>
#include <string.h>

/* The first number of a file; -1 if there is none ("max"). */
static int64_t read_number(const char *path)
{
    long long v = -1;
    FILE *f = fopen(path, "r");

    if (!f) return -1;
    if (fscanf(f, "%lld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

/* The number behind `key` at the start of a line; -1 if there is none. */
static int64_t read_key(const char *path, const char *key)
{
    char line[256];
    long long v = -1;
    FILE *f = fopen(path, "r");

    if (!f) return -1;
    while (v < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%lld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

/* What one control group leaves: its limit, less what is in use and cannot be dropped. */
static int64_t group_room(const char *folder, const char *limit_name, const char *usage_name)
{
    char path[1024];
    int64_t limit, usage, droppable;

    snprintf(path, sizeof path, "%s/%s", folder, limit_name);
    if ((limit = read_number(path)) < 0) return INT64_MAX;
    snprintf(path, sizeof path, "%s/%s", folder, usage_name);
    if ((usage = read_number(path)) < 0) usage = 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    if ((droppable = read_key(path, "inactive_file ")) < 0) droppable = 0;
    return limit - usage + droppable > 0 ? limit - usage + droppable : 0;
}

/* Our control group and every one above it. */
static int64_t groups_room(void)
{
    char line[512], folder[600];
    int64_t least = group_room("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes");
    FILE *f = fopen("/proc/self/cgroup", "r");

    if (!f) return least;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        for (char *path = line + 3;;) {
            snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", path);
            const int64_t room = group_room(folder, "memory.max", "memory.current");
            if (room < least) least = room;
            char *slash = strrchr(path, '/');
            if (!slash) break;
            *slash = '\0';
        }
    }
    fclose(f);
    return least;
}

int64_t mg_host_memory_available(void)
{
    const int64_t kib = read_key("/proc/meminfo", "MemAvailable:");
    const int64_t host = kib < 0 ? INT64_MAX : kib * 1024, groups = groups_room();

    return groups < host ? groups : host;
}
