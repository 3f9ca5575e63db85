#include "out_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out_file.h"
#include "out_name.h"

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_empty_folder(const char *path)
{
    DIR *d = opendir(path);
    bool empty = d != NULL;

    if (!d) return false;
    for (struct dirent *e; empty && (e = readdir(d));) empty = is_dot(e->d_name);
    closedir(d);
    return empty;
}

bool mg_out_folder_is_free(const char *path)
{
    struct stat info;

    return lstat(path, &info) != 0 || is_empty_folder(path);
}

mg_status mg_out_folder_begin(mg_out_folder *f, const char *path)
{
    char parent[MG_PATH_SIZE];
    size_t n = strlen(path);

    *f = (mg_out_folder){0};
    while (n > 1 && path[n - 1] == '/') n--;
    MG_RETURN(mg_path_format(f->path, "%.*s", (int)n, path));
    const char *name = mg_path_name(f->path);
    if (!*name || is_dot(name)) return mg_fail(MG_EFAIL, "%s: not the name of a new folder", path);
    if (!mg_out_folder_is_free(f->path))
        return mg_fail(MG_EFAIL, "%s: is there already; give the name of a new folder", f->path);
    MG_RETURN(mg_path_folder(parent, f->path));
    MG_RETURN(mg_out_dir_open(parent));
    if (!mg_out_temp_name(f->temp, sizeof f->temp, f->path))
        return mg_fail(MG_EFAIL, "%.80s…: the path is too long", f->path);
    mg_out_remove_folder(AT_FDCWD, f->temp); /* of a killed process that had our number */
    if (mkdir(f->temp, 0777) == 0) return MG_OK;
    const mg_status st = mg_fail(MG_EFAIL, "%s: cannot make the folder: %s", f->temp, strerror(errno));
    f->temp[0] = '\0';
    return st;
}

mg_status mg_out_folder_begin_somewhere(mg_out_folder *f, const char *path)
{
    if (mg_out_folder_begin(f, path) == MG_OK) return MG_OK;
    mg_clear_error();
    return mg_out_folder_begin(f, mg_path_name(path));
}

mg_status mg_out_folder_commit(mg_out_folder *f)
{
    char parent[MG_PATH_SIZE];

    MG_RETURN(mg_out_sync_folder(f->temp));
    if (rename(f->temp, f->path) != 0)
        return mg_fail(MG_EFAIL, "%s: cannot rename to it: %s", f->path, strerror(errno));
    f->temp[0] = '\0';
    MG_RETURN(mg_path_folder(parent, f->path));
    return mg_out_sync_folder(parent);
}

void mg_out_folder_abandon(mg_out_folder *f)
{
    if (f->temp[0]) mg_out_remove_folder(AT_FDCWD, f->temp);
    f->temp[0] = '\0';
}
