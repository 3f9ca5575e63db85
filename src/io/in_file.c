#include "in_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_guard.h"
#include "path.h"
#include "stop.h"

enum { FIRST_BYTES = 1 << 16 };

/* Make room for more than `used`, up to the limit and the closing NUL. */
static mg_status grow(char **buffer, int64_t *room, int64_t limit_bytes)
{
    int64_t larger = *room > 0 ? 2 * *room : FIRST_BYTES;
    if (larger > limit_bytes + 2) larger = limit_bytes + 2;
    char *p = realloc(*buffer, (size_t)larger);

    if (!p) return mg_fail(MG_ENOMEM, "file: %lld bytes", (long long)larger);
    *buffer = p, *room = larger;
    return MG_OK;
}

/* Up to one byte more than the limit, so that the caller can tell. */
static mg_status read_all(char **buffer, int64_t *used, int fd, const char *path, int64_t limit_bytes)
{
    int64_t room = 0;

    for (;;) {
        if (room - *used < 2) MG_RETURN(grow(buffer, &room, limit_bytes));
        const ssize_t n = read(fd, *buffer + *used, (size_t)(room - *used - 1));
        if (n < 0 && errno == EINTR) { /* a pipe that nobody writes into */
            MG_RETURN(mg_stop_check());
            continue;
        }
        if (n < 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) return MG_OK;
        *used += n;
        if (*used > limit_bytes)
            return mg_fail(MG_EFAIL, "%s: more than %lld bytes, the limit for such a file", path,
                           (long long)limit_bytes);
    }
}

mg_status mg_in_file_read(char **data, int64_t *bytes, const char *path, int64_t limit_bytes)
{
    mg_status st = MG_OK;
    const int from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "standard input" : path;
    char *buffer = NULL;
    int64_t used = 0;
    int fd = STDIN_FILENO;

    *data = NULL, *bytes = 0;
    while (!from_stdin && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 && errno == EINTR)
        MG_TRY(mg_stop_check());
    if (fd < 0) MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", name, strerror(errno)));
    MG_TRY(read_all(&buffer, &used, fd, name, limit_bytes));
    buffer[used] = '\0';
    *data = buffer, *bytes = used;
    buffer = NULL;
done:
    free(buffer);
    if (fd >= 0 && !from_stdin) close(fd);
    return st;
}

/* The nearest folder above `path` that is there: nothing is in it, or it cannot be told what. */
static bool is_below_an_empty_folder(const char *path)
{
    char at[MG_PATH_SIZE], above[MG_PATH_SIZE];
    DIR *d = NULL;
    bool any = false;

    if (mg_path_format(at, "%s", path) != MG_OK) return false;
    do {
        if (mg_path_folder(above, at) != MG_OK || strcmp(above, at) == 0) return false;
        memcpy(at, above, sizeof at);
        d = opendir(at);
    } while (!d && errno == ENOENT);
    if (!d) return true;
    for (struct dirent *e; !any && (e = readdir(d));)
        any = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return !any;
}

bool mg_in_file_is_away(const char *path)
{
    enum { MOST_BYTES = 64 << 20 }; /* a step may wait for this */
    char block[1 << 14];
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = 1;
    int64_t left = MOST_BYTES;

    if (fd < 0 && errno == ENOENT) return is_below_an_empty_folder(path);
    if (fd < 0)
        return errno != EACCES && errno != EPERM && errno != ENOTDIR && errno != ELOOP &&
               errno != ENAMETOOLONG && errno != ENXIO && errno != EMFILE && errno != ENFILE;
    const bool is_file = fstat(fd, &info) == 0 && S_ISREG(info.st_mode); /* others may have no end */
    for (; is_file && left > 0 && (n > 0 || (n < 0 && errno == EINTR)); left -= n > 0 ? n : 0)
        n = read(fd, block, sizeof block);
    const bool away = n < 0 && errno != EINTR && errno != EINVAL;
    close(fd);
    return away;
}

bool mg_in_file_was_away(const char *path, const char *message)
{
    static const int codes[] = {EIO, ESTALE, ETIMEDOUT, EREMOTEIO, ENOTCONN};
    bool was = false;

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        was = was || strstr(message, strerror(codes[i]));
    return was && strstr(message, path);
}

bool mg_in_file_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

mg_status mg_in_file_map(mg_mapped_file *f, const char *path)
{
    mg_status st = MG_OK;
    struct stat info;
    void *p = MAP_FAILED;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not make us wait */

    *f = (mg_mapped_file){0};
    if (fd < 0 || fstat(fd, &info) != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno)));
    if (!S_ISREG(info.st_mode)) MG_TRY(mg_fail(MG_EFAIL, "%s: not a regular file", path));
    if (info.st_size == 0) goto done;
    p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) MG_TRY(mg_fail(MG_EFAIL, "%s: cannot map: %s", path, strerror(errno)));
    *f = (mg_mapped_file){p, info.st_size, fd, -1, info.st_mtim, strdup(path)};
    if (!f->path) MG_TRY(mg_fail(MG_ENOMEM, "%s: out of memory", path));
    f->guard = mg_file_guard_add(p, (size_t)info.st_size);
    if (f->guard < 0) MG_TRY(mg_fail(MG_EFAIL, "%s: more than %d files at once", path, MG_FILE_GUARD_SLOTS));
done:
    if (fd >= 0 && !f->data) close(fd);
    if (st != MG_OK) mg_in_file_unmap(f);
    return st;
}

void mg_in_file_unmap(mg_mapped_file *f)
{
    if (f->data) {
        if (f->guard >= 0) mg_file_guard_remove(f->guard);
        munmap((void *)(uintptr_t)f->data, (size_t)f->bytes);
        close(f->fd);
        free(f->path);
    }
    *f = (mg_mapped_file){0};
}

mg_status mg_in_file_check(const mg_mapped_file *f)
{
    struct stat info;

    if (!f->data) return MG_OK;
    const bool known = fstat(f->fd, &info) == 0, faulted = mg_file_guard_is_faulted(f->guard);
    const bool same = known && info.st_size == f->bytes && info.st_mtim.tv_sec == f->changed.tv_sec &&
                      info.st_mtim.tv_nsec == f->changed.tv_nsec;
    if (faulted && same)
        return mg_fail(MG_EFAIL, "%s: cannot read all of it: an error of its disk or file server", f->path);
    if (faulted || (known && info.st_size < f->bytes))
        return mg_fail(
            MG_EFAIL,
            "%s: was cut short while it was read: get the whole file again, and start when it is there",
            f->path);
    if (known && !same)
        return mg_fail(MG_EFAIL, "%s: was written to while it was read: start again when it is whole",
                       f->path);
    return MG_OK;
}

int mg_in_file_copy(int fd, void *dst, int64_t offset, int64_t bytes)
{
    for (int64_t done = 0; done < bytes;) {
        const ssize_t n = pread(fd, (char *)dst + done, (size_t)(bytes - done), (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENODATA;
        done += n;
    }
    return 0;
}
