#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is the file that we have locked still the one of this name? Its owner before us may have removed it. */
static bool is_current(const mg_file_lock *l)
{
    struct stat ours, now;

    return fstat(l->fd, &ours) == 0 && stat(l->path, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

static mg_status take(mg_file_lock *l, const char *path, int how)
{
    l->fd = -1;
    MG_RETURN(mg_path_format(l->path, "%s.lock", path));
    for (;;) {
        l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (l->fd < 0) return mg_fail(MG_EFAIL, "%s: cannot create: %s", l->path, strerror(errno));
        int n;
        do n = flock(l->fd, how);
        while (n != 0 && errno == EINTR);
        if (n != 0) {
            const int error = errno;
            if (error != EWOULDBLOCK) unlink(l->path); /* where there are no locks, none is left */
            close(l->fd);
            l->fd = -1;
            if (error == EWOULDBLOCK) return MG_OK;
            return mg_fail(MG_EFAIL, "%s: cannot lock: %s", l->path, strerror(error));
        }
        if (is_current(l)) return MG_OK;
        close(l->fd);
    }
}

mg_status mg_file_lock_take(mg_file_lock *l, const char *path)
{
    return take(l, path, LOCK_EX);
}

mg_status mg_file_lock_try(mg_file_lock *l, const char *path)
{
    return take(l, path, LOCK_EX | LOCK_NB);
}

mg_status mg_file_lock_take_name(mg_file_lock *l, const char *folder, const char *name)
{
    char path[MG_PATH_SIZE];

    l->fd = -1;
    MG_RETURN(mg_path_format(path, "%s/.%s" MG_FILE_LOCK_SWEPT, folder, name));
    if (mg_file_lock_take(l, path) != MG_OK) mg_clear_error();
    return MG_OK;
}

void mg_file_lock_release(mg_file_lock *l)
{
    if (l->fd < 0) return;
    unlink(l->path);
    close(l->fd);
    l->fd = -1;
}
