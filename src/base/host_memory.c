/* /proc/meminfo, and the limits of control groups, version 2 and version 1. */
#include "host_memory.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024 };

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

/* The two versions of control groups: where their folders are, and what their files are called. */
typedef struct group_kind {
    const char *mount, *limit, *usage, *droppable;
} group_kind;

static const group_kind kinds[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "}};

/* What one control group leaves: its limit, less what is in use and cannot be dropped. */
static int64_t group_room(const char *folder, const group_kind *kind)
{
    char path[PATH_BYTES + 64];
    int64_t limit, usage, droppable;

    snprintf(path, sizeof path, "%s/%s", folder, kind->limit);
    limit = read_number(path);
    if (limit < 0 || limit > INT64_MAX / 2) return INT64_MAX; /* version 1 has no other word for none */
    snprintf(path, sizeof path, "%s/%s", folder, kind->usage);
    if ((usage = read_number(path)) < 0) usage = 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    if ((droppable = read_key(path, kind->droppable)) < 0) droppable = 0;
    return limit - usage + droppable > 0 ? limit - usage + droppable : 0;
}

/* The group at `path` and every one above it: Slurm limits the job and the step, not the task. */
static int64_t path_room(const char *root, const group_kind *kind, char *path)
{
    char folder[PATH_BYTES];
    int64_t least = INT64_MAX;

    for (;;) {
        snprintf(folder, sizeof folder, "%s%s%s", root, kind->mount, path);
        const int64_t room = group_room(folder, kind);
        if (room < least) least = room;
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "0::PATH" of version 2, "NUMBER:CONTROLLERS:PATH" of version 1; NULL: another
 * controller's. */
static const group_kind *read_line(char *line, char **path)
{
    char *controllers = strchr(line, ':');

    line[strcspn(line, "\n")] = '\0';
    *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!*path) return NULL;
    *(*path)++ = '\0';
    if (strcmp(line, "0:") == 0) return &kinds[0];
    for (char *rest, *name = strtok_r(controllers + 1, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "memory") == 0) return &kinds[1];
    return NULL;
}

/* Our control group and those above it. The roots are looked at in any case: in a container they may be
 * ours, whatever path the kernel tells. */
static int64_t groups_room(const char *root)
{
    char line[512], *path;
    int64_t least = path_room(root, &kinds[1], (char[]){""});

    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "r");
    if (!f) return least;
    while (fgets(line, sizeof line, f)) {
        const group_kind *kind = read_line(line, &path);
        const int64_t room = kind ? path_room(root, kind, path) : INT64_MAX;
        if (room < least) least = room;
    }
    fclose(f);
    return least;
}

int64_t mg_host_memory_below(const char *root)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const int64_t kib = read_key(path, "MemAvailable:");
    const int64_t host = kib < 0 ? INT64_MAX : kib * 1024, groups = groups_room(root);

    return groups < host ? groups : host;
}

int64_t mg_host_memory_available(void)
{
    return mg_host_memory_below("");
}
