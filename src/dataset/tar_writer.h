/* A tar of plain files whose bytes depend on names and contents alone: POSIX ustar, every time, owner and
 * mode the same. Written here because the promise is about bytes: no library's version may change them. */
#ifndef MG_TAR_WRITER_H
#define MG_TAR_WRITER_H

#include <stdint.h>

#include "hash.h"
#include "out_file.h"

typedef struct mg_tar_writer {
    mg_out_file file;
    mg_hash *hash;
    int64_t bytes; /* so far */
} mg_tar_writer;

/* Appears under `path` when it is committed, whole. After a failure abandon it. */
mg_status mg_tar_writer_begin(mg_tar_writer *t, const char *path);
mg_status mg_tar_writer_add(mg_tar_writer *t, const char *name, const void *data, int64_t bytes);
/* `bytes`: as long as the file was when it was made. One that has another length is refused. */
mg_status mg_tar_writer_add_file(mg_tar_writer *t, const char *name, const char *path, int64_t bytes);
mg_status mg_tar_writer_commit(mg_tar_writer *t, char sha256[65]);
void mg_tar_writer_abandon(mg_tar_writer *t); /* legal after commit and on a zeroed one whose fd is -1 */

/* What a file of so many bytes takes in a tar. */
int64_t mg_tar_writer_room(int64_t bytes);

#endif
