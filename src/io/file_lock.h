/* One process at a time: what reads a file, changes it and writes it again does so under its lock, or two at
 * once lose what one of them wrote. */
#ifndef MG_FILE_LOCK_H
#define MG_FILE_LOCK_H

#include "path.h"

typedef struct mg_file_lock {
    int fd; /* -1: not locked */
    char path[MG_PATH_SIZE];
} mg_file_lock;

/* Wait for the lock of `path`: an empty file PATH.lock beside it, which the folder must have room for and
 * which goes with release. A process that dies leaves no lock behind, perhaps the empty file, which
 * mg_out_sweep removes if PATH begins with a dot and ends like this. MG_ESTOPPED: another has it still two
 * seconds after a stop. */
#define MG_FILE_LOCK_SWEPT ".mg-dist"
mg_status mg_file_lock_take(mg_file_lock *l, const char *path);

/* The same without waiting: MG_OK with l->fd -1 if another has it. */
mg_status mg_file_lock_try(mg_file_lock *l, const char *path);

/* The lock of all files that a call makes as FOLDER/NAME.*: of two calls at once the one that comes first has
 * the name, and the other finds its files. Where there are no locks it must do without, with l->fd -1. */
mg_status mg_file_lock_take_name(mg_file_lock *l, const char *folder, const char *name);

/* Legal on one that is not taken. */
void mg_file_lock_release(mg_file_lock *l);

#endif
