/* SHA256SUMS, as sha256sum writes and reads it. */
#ifndef MG_SUM_LIST_H
#define MG_SUM_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_sum {
    const char *name;
    char sha256[65];
    int64_t line; /* from 1 */
    bool seen;    /* the caller's */
} mg_sum;

typedef struct mg_sum_list {
    mg_sum *sum; /* [n], by name */
    size_t n, capacity;
    char *text; /* the file: the names are in it */
} mg_sum_list;

/* MG_EFAIL "NAME: line N: …" for a line that is none, a name that leads out of the folder, or a name twice.
 * Takes `text`, which is malloc'ed, [bytes] and a NUL. The caller closes it. */
mg_status mg_sum_list_parse(mg_sum_list *l, const char *name, char *text, int64_t bytes);
mg_status mg_sum_list_load(mg_sum_list *l, const char *path);
void mg_sum_list_close(mg_sum_list *l); /* legal on a zeroed one */

mg_sum *mg_sum_list_find(const mg_sum_list *l, const char *name); /* NULL: none */

#endif
