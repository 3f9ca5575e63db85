/* Names of files: joined without overflow, looked at, taken apart. */
#ifndef MG_PATH_H
#define MG_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

enum { MG_PATH_SIZE = 4096 };

/* As snprintf, or MG_EFAIL if the path is too long. */
mg_status mg_path_format(char out[MG_PATH_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* This program's own file. */
mg_status mg_path_program(char out[MG_PATH_SIZE]);

/* "a/b/c" -> "a/b"; "c" -> "."; "/c" -> "/". */
mg_status mg_path_folder(char out[MG_PATH_SIZE], const char *path);

/* `path` itself if it is a folder, else the one that it lies in. */
mg_status mg_path_as_folder(char out[MG_PATH_SIZE], const char *path);

/* "a/b/c" -> "c": a part of `path`. */
const char *mg_path_name(const char *path);

/* Does a name out of a list stay in the list's folder? It is not empty, does not begin at the root, and no
 * part of it is "..". */
bool mg_path_stays(const char *name);

/* Links are followed: one that leads nowhere does not exist. */
bool mg_path_exists(const char *path);
bool mg_path_is_folder(const char *path);

/* The same of DIR/NAME. */
bool mg_path_has(const char *dir, const char *name);

/* Bytes of the file behind `path`; -1 if there is none. */
int64_t mg_path_bytes(const char *path);

#endif
