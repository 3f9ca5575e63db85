#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "stop.h"

#define AFTER_STOP_S 2.0

/* Is the file that we have locked still the one of this name? Its owner before us may have removed it. */
static bool is_current(const mg_file_lock *l)
{
    struct stat ours, now;

    return fstat(l->fd, &ours) == 0 && stat(l->path, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

/* 0, or why not. It looks again and again, for a signal may come to another thread. Where a stop was asked
 * for, who has the lock gets some time yet: what is at hand is still written then. */
static int lock(int fd, bool waits)
{
    double stopped_s = 0;

    for (;;) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK || !waits) return errno;
        if (mg_stop_requested()) {
            if (stopped_s <= 0) stopped_s = mg_clock_s();
            if (mg_clock_s() - stopped_s >= AFTER_STOP_S) return EWOULDBLOCK;
        }
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
}

static mg_status take(mg_file_lock *l, const char *path, bool waits)
{
    l->fd = -1;
    MG_RETURN(mg_path_format(l->path, "%s.lock", path));
    for (;;) {
        l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (l->fd < 0) return mg_fail(MG_EFAIL, "%s: cannot create: %s", l->path, strerror(errno));
        const int error = lock(l->fd, waits);
        if (error) {
            if (error != EWOULDBLOCK) unlink(l->path); /* where there are no locks, none is left */
            close(l->fd);
            l->fd = -1;
            if (error == EWOULDBLOCK) return waits ? mg_stop_check() : MG_OK;
            return mg_fail(MG_EFAIL, "%s: cannot lock: %s", l->path, strerror(error));
        }
        if (is_current(l)) return MG_OK;
        close(l->fd);
    }
}

mg_status mg_file_lock_take(mg_file_lock *l, const char *path)
{
    return take(l, path, true);
}

mg_status mg_file_lock_try(mg_file_lock *l, const char *path)
{
    return take(l, path, false);
}

mg_status mg_file_lock_take_name(mg_file_lock *l, const char *folder, const char *name)
{
    char path[MG_PATH_SIZE];

    l->fd = -1;
    MG_RETURN(mg_path_format(path, "%s/.%s" MG_FILE_LOCK_SWEPT, folder, name));
    const mg_status st = mg_file_lock_take(l, path);
    if (st == MG_OK || st == MG_ESTOPPED) return st;
    mg_clear_error();
    return MG_OK;
}

void mg_file_lock_release(mg_file_lock *l)
{
    if (l->fd < 0) return;
    unlink(l->path);
    close(l->fd);
    l->fd = -1;
}
