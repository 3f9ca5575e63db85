#include "out_made.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "a/b/c" becomes "a/b", and "a" becomes "". */
static size_t cut_name(char *path)
{
    size_t n = strlen(path);

    while (n > 0 && path[n - 1] != '/') n--;
    while (n > 0 && path[n - 1] == '/') n--;
    path[n] = '\0';
    return n;
}

void mg_out_made_note(mg_out_made *m, const char *dir)
{
    char above[MG_PATH_SIZE];
    struct stat info;

    *m = (mg_out_made){0};
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/') n--;
    if (n == 0 || n >= sizeof m->path) return;
    snprintf(m->path, sizeof m->path, "%.*s", (int)n, dir);
    memcpy(above, m->path, n + 1);
    for (m->kept = n; m->kept > 0 && lstat(above, &info) != 0;) m->kept = cut_name(above);
}

void mg_out_made_undo(mg_out_made *m)
{
    size_t n = strlen(m->path);

    while (n > m->kept && rmdir(m->path) == 0) n = cut_name(m->path);
    m->path[0] = '\0';
}
