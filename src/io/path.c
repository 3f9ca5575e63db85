#include "path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

mg_status mg_path_format(char out[MG_PATH_SIZE], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(out, MG_PATH_SIZE, format, args);
    va_end(args);
    if (n >= 0 && n < MG_PATH_SIZE) return MG_OK;
    const mg_status st = mg_fail(MG_EFAIL, "%.80s…: the path is too long", out);
    out[0] = '\0';
    return st;
}

mg_status mg_path_program(char out[MG_PATH_SIZE])
{
    const ssize_t n = readlink("/proc/self/exe", out, MG_PATH_SIZE - 1);

    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? MG_OK : mg_fail(MG_EFAIL, "/proc/self/exe: cannot be read: %s", strerror(errno));
}

mg_status mg_path_folder(char out[MG_PATH_SIZE], const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) return mg_path_format(out, ".");
    return mg_path_format(out, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

const char *mg_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool mg_path_stays(const char *name)
{
    if (!*name || *name == '/') return false;
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2])) return false;
    }
    return true;
}

bool mg_path_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

bool mg_path_is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mg_status mg_path_as_folder(char out[MG_PATH_SIZE], const char *path)
{
    return mg_path_is_folder(path) ? mg_path_format(out, "%s", path) : mg_path_folder(out, path);
}

bool mg_path_has(const char *dir, const char *name)
{
    char path[MG_PATH_SIZE];
    const int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    return n >= 0 && n < MG_PATH_SIZE && mg_path_exists(path);
}

int64_t mg_path_bytes(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}
