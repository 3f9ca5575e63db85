/* Folders that were made for what did not come about. */
#ifndef MG_OUT_MADE_H
#define MG_OUT_MADE_H

#include <stddef.h>

#include "path.h"

typedef struct mg_out_made {
    char path[MG_PATH_SIZE]; /* "": nothing is noted */
    size_t kept;             /* so much of it was there before */
    int held;                /* 1 + a descriptor of the folder; 0: none */
} mg_out_made;

/* Before `dir` and the folders above it are made: which of them are there? */
void mg_out_made_note(mg_out_made *m, const char *dir);

/* Note, make them, and hold `dir` to the end: of two calls that write into one new folder none removes it
 * under the other. */
mg_status mg_out_made_open(mg_out_made *m, const char *dir);

/* Those that were not there, are empty, and are held by nobody else, are removed. Legal on a zeroed struct,
 * and twice. */
void mg_out_made_undo(mg_out_made *m);

#endif
