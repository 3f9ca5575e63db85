/* What processes that were killed have left in a folder: ".NAME.MACHINE.PID.tmp". */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "file_lock.h"
#include "out_file.h"
#include "out_name.h"
#include "process.h"
#include "text.h"

enum { FOREIGN_AGE_S = 3600, TOKEN_AGE_S = 60 };

/* The number of the process that a temporary name belongs to, in the name; NULL if it is none. */
static const char *find_owner(const char *name)
{
    const size_t n = strlen(name);
    size_t at = n - 4;

    if (n < 7 || name[0] != '.' || !mg_text_ends_with(name, ".tmp")) return NULL;
    while (at > 1 && isdigit((unsigned char)name[at - 1])) at--;
    if (at == n - 4 || n - 4 - at > 9 || name[at - 1] != '.' || at < 3) return NULL;
    return name + at;
}

/* May other machines write here too? Then their processes cannot be asked. */
static bool is_shared(int folder)
{
    static const unsigned long kinds[] = {0x6969,     0x517B,     0xFF534D42, 0xFE534D42,
                                          0x0BD00BD0, 0x65735546, 0x47504653, 0x00C36400,
                                          0x01021997, 0x19830326, 0x5346414F};
    struct statfs info;

    if (fstatfs(folder, &info) != 0) return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((unsigned long)info.f_type == kinds[i]) return true;
    return false;
}

/* Of a machine whose processes cannot be asked? Names that earlier versions gave do not say. */
static bool is_elsewhere(const char *name, const char *owner)
{
    enum { DIGITS = 8 };
    char own[64]; /* ".x.MACHINE.PID.tmp" */

    if (owner - name < DIGITS + 3) return false;
    const char *machine = owner - DIGITS - 1;
    if (machine[-1] != '.' || strspn(machine, "0123456789abcdef") != DIGITS) return false;
    return !mg_out_temp_name(own, sizeof own, "x") || memcmp(machine, own + 3, DIGITS) != 0;
}

static bool is_stale(int folder, const char *name, bool shared)
{
    const char *owner = find_owner(name);
    const long pid = owner ? strtol(owner, NULL, 10) : 0;
    struct stat info;

    if (pid <= 1 || pid == (long)getpid() || mg_process_is_alive(pid)) return false;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const double age_s = difftime(time(NULL), info.st_mtime);
    if (shared || is_elsewhere(name, owner)) return age_s > FOREIGN_AGE_S;
    return strncmp(name, ".ranks-", 7) != 0 || age_s > TOKEN_AGE_S;
}

void mg_out_remove_folder(int parent, const char *name)
{
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (!d) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (unlinkat(fd, e->d_name, 0) != 0) unlinkat(fd, e->d_name, AT_REMOVEDIR);
    closedir(d);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void sweep_lock(const char *dir, const char *name)
{
    char path[MG_PATH_SIZE];
    mg_file_lock lock;

    if (!mg_text_ends_with(name, MG_FILE_LOCK_SWEPT ".lock")) return;
    const int n = (int)(strlen(name) - strlen(".lock"));
    if (mg_path_format(path, "%s/%.*s", dir, n, name) == MG_OK && mg_file_lock_try(&lock, path) == MG_OK)
        mg_file_lock_release(&lock); /* with its file */
    mg_clear_error();
}

void mg_out_sweep(const char *dir)
{
    DIR *d = opendir(dir);

    if (!d) return;
    const int fd = dirfd(d);
    const bool shared = is_shared(fd);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] != '.') continue;
        sweep_lock(dir, e->d_name);
        if (is_stale(fd, e->d_name, shared) && unlinkat(fd, e->d_name, 0) != 0)
            mg_out_remove_folder(fd, e->d_name); /* such as a model half written */
    }
    closedir(d);
}
