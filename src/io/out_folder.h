/* Folders that appear whole or not at all: filled under a temporary name beside the target, synced, then
 * renamed. An interrupted run leaves at most ".NAME.MACHINE.PID.tmp", never a folder that looks whole. */
#ifndef MG_OUT_FOLDER_H
#define MG_OUT_FOLDER_H

#include <stdbool.h>

#include "path.h"

typedef struct mg_out_folder {
    char path[MG_PATH_SIZE]; /* the final name */
    char temp[MG_PATH_SIZE]; /* fill this one, with files alone; "" when there is none */
} mg_out_folder;

/* Is there nothing under this name, or an empty folder? */
bool mg_out_folder_is_free(const char *path);

/* Make the temporary folder, and the folders above it. MG_EFAIL if `path` is there already and is no empty
 * folder. */
mg_status mg_out_folder_begin(mg_out_folder *f, const char *path);

/* The same for what is made to be looked at and removed: where the place may only be read, it is made under
 * the last name of `path` in the current folder. */
mg_status mg_out_folder_begin_somewhere(mg_out_folder *f, const char *path);

/* Sync it, rename it, sync what is above. */
mg_status mg_out_folder_commit(mg_out_folder *f);

/* Remove the temporary folder and its files. Legal after commit and on a zeroed struct. */
void mg_out_folder_abandon(mg_out_folder *f);

#endif
