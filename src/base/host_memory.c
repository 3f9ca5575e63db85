/* /proc/meminfo, and the limits of control groups. */
#include "host_memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "control_group.h"

enum { PATH_BYTES = 1024 };

/* The first number of a file; -1 if there is none ("max"). */
static int64_t read_number(const char *folder, const char *name)
{
    char path[PATH_BYTES];
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

/* What one control group leaves: its limit, less what is in use and cannot be dropped. */
static double group_room(const char *folder, int version)
{
    static const char *const names[][3] = {
        {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
        {"memory.max", "memory.current", "inactive_file "}};
    const char *const *name = names[version - 1];
    const int64_t limit = read_number(folder, name[0]);

    if (limit < 0 || limit > INT64_MAX / 2) return INFINITY; /* version 1 has no other word for none */
    const int64_t usage = read_number(folder, name[1]), droppable = read_key(folder, "memory.stat", name[2]);
    return fmax(0, (double)(limit - (usage > 0 ? usage : 0) + (droppable > 0 ? droppable : 0)));
}

int64_t mg_host_memory_below(const char *root)
{
    const int64_t kib = read_key(root, "proc/meminfo", "MemAvailable:");
    const int64_t host = kib < 0 ? INT64_MAX : kib * 1024;
    const double groups = mg_control_groups_least(root, "memory", group_room);

    return groups < (double)host ? (int64_t)groups : host;
}

int64_t mg_host_memory_available(void)
{
    return mg_host_memory_below("");
}
