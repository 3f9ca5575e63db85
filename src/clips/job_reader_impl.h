/* What job_reader.c (records) and job_reader_bytes.c (pieces of text) share. */
#ifndef MG_JOB_READER_IMPL_H
#define MG_JOB_READER_IMPL_H

#include <stddef.h>

#include "job_reader.h"

/* Bytes on their way in: a window over the text, unpacked. */
typedef struct mg_job_bytes {
    const char *name;
    struct gzFile_s *file; /* NULL: `memory` is the source */
    const char *memory;    /* what is left of it */
    int64_t memory_bytes;
    char *data;             /* [capacity + 1] */
    size_t at, n, capacity; /* data[at … n) is not taken yet */
    bool ended;             /* nothing follows data[n) */
    int64_t line;           /* of data[at], counted from 1 */
} mg_job_bytes;

mg_status mg_job_bytes_open(mg_job_bytes *b, const char *path);
mg_status mg_job_bytes_open_text(mg_job_bytes *b, const char *name, const char *text, int64_t text_bytes);
void mg_job_bytes_close(mg_job_bytes *b);

/* At least `n` bytes from `at` on, or all there are. */
mg_status mg_job_bytes_need(mg_job_bytes *b, size_t n);

/* A piece of the text: a line; a CSV record, which ends at the first newline outside quotes; a JSON value in
 * an array. Writable, with a NUL in place of its end; borrowed until the next call. NULL text: there is none.
 */
typedef struct mg_job_piece {
    char *text;
    size_t bytes;
    int64_t line;
} mg_job_piece;
typedef enum mg_job_cut { MG_JOB_LINE, MG_JOB_QUOTED, MG_JOB_VALUE } mg_job_cut;

/* MG_EUSAGE for a piece that is too long or is not closed; the next call goes on behind it. */
mg_status mg_job_bytes_cut(mg_job_bytes *b, mg_job_piece *piece, mg_job_cut how);

#endif
