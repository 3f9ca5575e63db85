#include "control_group.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024 };

/* The group at `path` and every one above it: Slurm limits the job and the step, not the task. */
static double path_least(const char *mount, char *path, int version, mg_group_limit *limit)
{
    char folder[2 * PATH_BYTES];
    double least = INFINITY;

    for (;;) {
        (void)snprintf(folder, sizeof folder, "%s%s", mount, path);
        least = fmin(least, limit(folder, version));
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "0::PATH" of version 2, "NUMBER:CONTROLLERS:PATH" of version 1. Returns the
 * version, or 0: another controller's, or no such line. */
static int read_line(char *line, const char *controller, char **path)
{
    char *controllers = strchr(line, ':');

    line[strcspn(line, "\n")] = '\0';
    *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!*path) return 0;
    *(*path)++ = '\0';
    if (strcmp(line, "0:") == 0) return 2;
    for (char *rest, *name = strtok_r(controllers + 1, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, controller) == 0) return 1;
    return 0;
}

double mg_control_groups_least(const char *root, const char *controller, mg_group_limit *limit)
{
    char mounts[2][PATH_BYTES], line[PATH_BYTES], *path; /* mounts: of versions 1 and 2 */

    (void)snprintf(mounts[0], sizeof mounts[0], "%s/sys/fs/cgroup/%s", root, controller);
    (void)snprintf(mounts[1], sizeof mounts[1], "%s/sys/fs/cgroup", root);
    /* In a container the first folder may be ours, whatever path the kernel tells. */
    double least = path_least(mounts[0], (char[]){""}, 1, limit);

    (void)snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) {
        const int version = read_line(line, controller, &path);
        if (version) least = fmin(least, path_least(mounts[version - 1], path, version, limit));
    }
    if (f) fclose(f);
    return least;
}
