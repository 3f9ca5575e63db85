#include "out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out_name.h"
#include "path.h"

/* Bytes of `path` up to and with its last slash. */
static size_t folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* One sentence about what went wrong; nothing is left behind. */
static mg_status give_up(mg_out_file *f, const char *what, int error)
{
    mg_out_file_abandon(f);
    return mg_fail(MG_EFAIL, "%s: cannot %s: %s", f->path, what, strerror(error));
}

/* A file without a name, to be linked when it is whole. Not every file system has that. */
static bool create_nameless(mg_out_file *f)
{
    char folder[sizeof f->path];
    const size_t n_folder = folder_bytes(f->path);

    if (access("/proc/self/fd", X_OK) != 0) return false; /* the way to give it a name */
    if (n_folder) memcpy(folder, f->path, n_folder);
    memcpy(folder + n_folder, ".", 2);
    f->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    f->nameless = f->fd >= 0;
    return f->nameless;
}

/* 0 or errno. */
static int give_temp_name(mg_out_file *f)
{
    char self[32];
    int error = 0;

    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    for (int attempt = 0; attempt < 2; attempt++) {
        error = linkat(AT_FDCWD, self, AT_FDCWD, f->temp_path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
        if (error != EEXIST || unlink(f->temp_path) != 0) break;
    }
    f->nameless = error != 0;
    return error;
}

/* 0 or errno. What a killed process with our number left under this name is of no use to anyone. */
static int create_temp(mg_out_file *f)
{
    int error = 0;

    for (int attempt = 0; attempt < 2; attempt++) {
        f->fd = open(f->temp_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) return 0;
        error = errno;
        if (error != EEXIST || unlink(f->temp_path) != 0) break;
    }
    f->temp_path[0] = '\0'; /* not ours to remove */
    return error;
}

mg_status mg_out_file_begin(mg_out_file *f, const char *path)
{
    f->fd = -1;
    f->temp_path[0] = '\0';
    f->nameless = false;
    const int n = snprintf(f->path, sizeof f->path, "%s", path);
    if (n < 0 || n >= (int)sizeof f->path)
        return mg_fail(MG_EFAIL, "%.80s…: the path is longer than %zu bytes", path, sizeof f->path - 1);
    if (!path[folder_bytes(path)]) return mg_fail(MG_EFAIL, "%s: not the name of a file", path);
    if (strlen(path + folder_bytes(path)) > NAME_MAX)
        return mg_fail(MG_EFAIL, "%.80s…: a file's name has at most %d bytes", path, NAME_MAX);
    if (!mg_out_temp_name(f->temp_path, sizeof f->temp_path, path))
        return mg_fail(MG_EFAIL, "%.80s…: the path is longer than %zu bytes", path, sizeof f->path - 30);

    if (create_nameless(f)) return MG_OK;
    const int error = create_temp(f);
    return error ? mg_fail(MG_EFAIL, "%s: cannot create: %s", f->path, strerror(error)) : MG_OK;
}

mg_status mg_out_file_write(mg_out_file *f, const void *data, size_t bytes)
{
    const char *p = data;

    MG_REQUIRE(f->fd >= 0);
    while (bytes > 0) {
        const ssize_t n = write(f->fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return give_up(f, "write", n < 0 ? errno : EIO);
        p += n, bytes -= (size_t)n;
    }
    return MG_OK;
}

int mg_out_sync(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR) return errno;
    return 0;
}

mg_status mg_out_sync_folder(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return MG_OK; /* it may be written but not read */
    const int error = mg_out_sync(fd);
    close(fd);
    if (error && error != EINVAL && error != ENOTSUP && error != EROFS)
        return mg_fail(MG_EFAIL, "%s: cannot sync the folder: %s", folder, strerror(error));
    return MG_OK;
}

mg_status mg_out_file_commit(mg_out_file *f)
{
    char folder[MG_PATH_SIZE];

    MG_REQUIRE(f->fd >= 0);
    int error = mg_out_sync(f->fd);
    if (error && error != EINVAL) return give_up(f, "write", error);
    error = f->nameless ? give_temp_name(f) : 0;
    if (error) return give_up(f, "give it a name", error);
    const int closed = close(f->fd); /* a network file system may only now say that the disk is full */
    f->fd = -1;
    if (closed != 0 && errno != EINTR) return give_up(f, "write", errno); /* cut short, it is closed */
    if (rename(f->temp_path, f->path) != 0) return give_up(f, "rename to it", errno);
    f->temp_path[0] = '\0';
    MG_RETURN(mg_path_folder(folder, f->path));
    return mg_out_sync_folder(folder);
}

void mg_out_file_abandon(mg_out_file *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    if (f->temp_path[0] && !f->nameless) unlink(f->temp_path);
    f->temp_path[0] = '\0';
}

mg_status mg_out_file_put(const char *path, const void *data, size_t bytes)
{
    mg_status st = MG_OK;
    mg_out_file f = {.fd = -1};

    MG_TRY(mg_out_file_begin(&f, path));
    MG_TRY(mg_out_file_write(&f, data, bytes));
    MG_TRY(mg_out_file_commit(&f));
done:
    mg_out_file_abandon(&f);
    return st;
}

static mg_status make_folders(char *dir)
{
    struct stat info;

    for (char *p = dir + 1;; p++) {
        const char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        const int error = mkdir(dir, 0777) == 0 ? 0 : errno;
        if (error && (stat(dir, &info) != 0 || !S_ISDIR(info.st_mode)))
            return error == EEXIST
                       ? mg_fail(MG_EUSAGE, "%s: is there already, and is no folder; name another", dir)
                       : mg_fail(MG_EFAIL, "%s: cannot make the folder: %s", dir, strerror(error));
        *p = c;
        if (c == '\0') return MG_OK;
    }
}

mg_status mg_out_check_free(const char *path, bool overwrite, const char *remedy)
{
    struct stat there;

    if (overwrite || lstat(path, &there) != 0) return MG_OK;
    return mg_fail(MG_EUSAGE, "%s: is there already; %s", path, remedy);
}

mg_status mg_out_dir_open(const char *dir)
{
    mg_out_file probe = {.fd = -1};

    if (!dir[0]) return mg_fail(MG_EFAIL, "output folder: its name is empty");
    const int n = snprintf(probe.path, sizeof probe.path - 64, "%s", dir);
    if (n < 0 || n >= (int)sizeof probe.path - 64)
        return mg_fail(MG_EFAIL, "%.80s…: the path is longer than %zu bytes", dir, sizeof probe.path - 65);
    MG_RETURN(make_folders(probe.path));
    mg_out_sweep(dir);
    snprintf(probe.path, sizeof probe.path, "%.*s/probe", n, dir);
    MG_REQUIRE(mg_out_temp_name(probe.temp_path, sizeof probe.temp_path, probe.path));
    const int error = create_temp(&probe);
    mg_out_file_abandon(&probe);
    return error ? mg_fail(MG_EFAIL, "%s: cannot make files in this folder: %s", dir, strerror(error))
                 : MG_OK;
}
