/* A tar of plain files as tar_writer.h makes them, read strictly: whatever it would not write is damage. */
#ifndef MG_TAR_READER_H
#define MG_TAR_READER_H

#include <stdbool.h>

#include "in_file.h"
#include "path.h"

typedef struct mg_tar_reader {
    mg_mapped_file file; /* of a path; else zeroed */
    const char *name, *data;
    int64_t bytes, at;
    char member[MG_PATH_SIZE]; /* the last one's name */
} mg_tar_reader;

typedef struct mg_tar_member {
    const char *name; /* until the next call */
    const char *data; /* until the tar is closed */
    int64_t bytes;
} mg_tar_member;

mg_status mg_tar_reader_open(mg_tar_reader *t, const char *path);
void mg_tar_reader_open_text(mg_tar_reader *t, const char *name, const char *data, int64_t bytes);
void mg_tar_reader_close(mg_tar_reader *t); /* legal on a zeroed one */

/* The next file; *over: the end was reached, and nothing is behind it. MG_EFAIL "TAR: …" names the place
 * where it is cut off or damaged. */
mg_status mg_tar_reader_next(mg_tar_reader *t, mg_tar_member *m, bool *over);

#endif
