/* Files that appear whole or not at all. They are written without a name where the file system can do that:
 * then not even SIGKILL leaves anything behind. Elsewhere they have a temporary name beside the target.
 * Either way they are synced, then renamed. */
#ifndef MG_OUT_FILE_H
#define MG_OUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

typedef struct mg_out_file {
    int fd;
    char path[4096];      /* the final name */
    char temp_path[4096]; /* mg_out_temp_name */
    bool nameless;        /* nothing stands under temp_path before commit */
} mg_out_file;

/* Create the temporary file. */
mg_status mg_out_file_begin(mg_out_file *f, const char *path);

/* Append. On failure (as for all of these: MG_EFAIL with the path and the system's reason) the file is
 * abandoned. */
mg_status mg_out_file_write(mg_out_file *f, const void *data, size_t bytes);

/* Sync, rename, sync the folder. On failure (a full disk, say) the temporary file is gone and `path` is as it
 * was; only if the last step fails, which is said, the new file is there and may not outlive a power cut. */
mg_status mg_out_file_commit(mg_out_file *f);

/* Give up: closes and removes the temporary file. Legal after commit, and on a zeroed struct whose fd is -1.
 */
void mg_out_file_abandon(mg_out_file *f);

/* All three in one call. */
mg_status mg_out_file_put(const char *path, const void *data, size_t bytes);

/* The rule of every command that writes: nothing that is there is replaced unless that was asked for.
 * MG_EUSAGE "PATH: is there already; REMEDY" if there is anything under this name, a dangling link included.
 */
mg_status mg_out_check_free(const char *path, bool overwrite, const char *remedy);

/* Remove what processes that are no more have left in a folder under temporary names. On file systems that
 * machines share, what is older than an hour; links are not followed. */
void mg_out_sweep(const char *dir);

/* Remove a folder of files, which is no link: `name` in the open folder `parent`, or a path with AT_FDCWD. */
void mg_out_remove_folder(int parent, const char *name);

/* Make the names in a folder durable: new, renamed or linked ones. A folder that cannot be opened or synced,
 * as on some file systems, is no fault. MG_EFAIL for an error of the disk. */
mg_status mg_out_sync_folder(const char *folder);

/* fsync, again where a signal cuts it short, as on a network's file system. 0 or errno. */
int mg_out_sync(int fd);

/* mkdir -p, a sweep, and a check that files can be made there. */
mg_status mg_out_dir_open(const char *dir);

#endif
