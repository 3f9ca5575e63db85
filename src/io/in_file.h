/* Files that we read: whole into memory, or mapped. */
#ifndef MG_IN_FILE_H
#define MG_IN_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "status.h"

/* The whole of `path` ("-" is standard input; a pipe will do), malloc'ed, with a NUL behind it that *bytes
 * does not count. MG_EFAIL if it cannot be read or holds more than `limit_bytes`. */
mg_status mg_in_file_read(char **data, int64_t *bytes, const char *path, int64_t limit_bytes);

/* After a file could not be used: is it the disk? It cannot be opened or read to its end for another reason
 * than its name or its owner; or it is not there, and the nearest folder above it that is there is empty, as
 * where a disk is not mounted. False: the file itself is missing or no good. */
bool mg_in_file_is_away(const char *path);
/* By the message of what failed: the disk may be back before anybody looks. */
bool mg_in_file_was_away(const char *path, const char *message);

/* Whether they are of one file that was not written to in between. */
bool mg_in_file_is_same(const struct stat *a, const struct stat *b);

typedef struct mg_mapped_file {
    const char *data; /* NULL if the file is empty */
    int64_t bytes;
    int fd; /* open while it is mapped; 0 if the file is empty */
    int guard;
    struct timespec changed; /* its time of change when it was opened */
    char *path;
} mg_mapped_file;

/* Map a regular file, read-only. A file that is replaced or removed stays as it was. Where one is cut short,
 * or its disk fails, zeros are read instead, in any thread. Unmap is legal on a zeroed struct. */
mg_status mg_in_file_map(mg_mapped_file *f, const char *path);
void mg_in_file_unmap(mg_mapped_file *f);

/* MG_EFAIL "PATH: …" if the file was cut short or written to since it was mapped, or could not be read. To be
 * asked after reading, before the result is used. */
mg_status mg_in_file_check(const mg_mapped_file *f);

/* Copy a piece of an open file without mapping it: much that is read once is read faster so. 0, or an errno
 * (ENODATA past the end). From any thread. */
int mg_in_file_copy(int fd, void *dst, int64_t offset, int64_t bytes);

#endif
