#include "out_made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out_file.h"

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

/* Is the folder that we hold still the one of this name? Who held it before us may have removed it. */
static bool is_current(const mg_out_made *m, const char *dir)
{
    struct stat ours, now;

    return fstat(m->held - 1, &ours) == 0 && stat(dir, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

static void let_go(mg_out_made *m)
{
    if (m->held) close(m->held - 1);
    m->held = 0;
}

mg_status mg_out_made_open(mg_out_made *m, const char *dir)
{
    enum { TRIES = 100 };

    mg_out_made_note(m, dir);
    for (int i = 0; i < TRIES; i++) {
        MG_RETURN(mg_out_dir_open(dir));
        m->held = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) + 1;
        if (!m->held && errno != ENOENT) return MG_OK;     /* it may be written but not read */
        if (m->held && flock(m->held - 1, LOCK_SH) != 0) { /* nor can others lock it, then */
            let_go(m);
            return MG_OK;
        }
        if (m->held && is_current(m, dir)) return MG_OK;
        let_go(m);
    }
    return mg_fail(MG_EFAIL, "%s: is removed again and again", dir);
}

void mg_out_made_undo(mg_out_made *m)
{
    const bool is_ours = !m->held || flock(m->held - 1, LOCK_EX | LOCK_NB) == 0;
    size_t n = strlen(m->path);

    while (is_ours && n > m->kept && rmdir(m->path) == 0) n = cut_name(m->path);
    let_go(m);
    m->path[0] = '\0';
}
