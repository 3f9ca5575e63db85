/* Do all ranks have the same? Rank 0's list goes to the others, and each compares its own with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* "THING" NUL "VALUE" NUL …, the host first. */
static mg_status print_list(char **out, int64_t *bytes, const mg_world *w, const mg_same *list, int n)
{
    int64_t size = (int64_t)strlen(w->host) + 1;

    for (int i = 0; i < n; i++)
        if (list[i].value) size += (int64_t)(strlen(list[i].thing) + strlen(list[i].value) + 2);
    char *to = *out = malloc((size_t)size);
    if (!to) return mg_fail(MG_ENOMEM, "world: %lld bytes to compare", (long long)size);
    to += sprintf(to, "%s", w->host) + 1;
    for (int i = 0; i < n; i++)
        if (list[i].value) {
            to += sprintf(to, "%s", list[i].thing) + 1;
            to += sprintf(to, "%s", list[i].value) + 1;
        }
    *bytes = size;
    return MG_OK;
}

static const char *next(const char *text)
{
    return text + strlen(text) + 1;
}

static mg_status compare(const mg_world *w, mg_status bad, const mg_same *list, int n, const char *remedy,
                         const char *first, int64_t bytes)
{
    const char *host = first, *end = first + bytes;

    for (const char *thing = next(host); thing < end; thing = next(next(thing)))
        for (int i = 0; i < n; i++) {
            const char *theirs = next(thing), *mine = list[i].value;
            if (!mine || strcmp(list[i].thing, thing) != 0 || strcmp(mine, theirs) == 0) continue;
            return mg_fail(bad, "host %s (rank %d): %s is %s, and on host %s (rank 0) it is %s: %s", w->host,
                           w->rank, thing, mine, host, theirs, remedy);
        }
    return MG_OK;
}

mg_status mg_world_same(const mg_world *w, mg_status bad, const mg_same *list, int n, const char *remedy)
{
    mg_status st = MG_OK;
    char *first = NULL;
    int64_t bytes = 0;

    if (w->size == 1) return MG_OK;
    if (w->rank == 0) st = print_list(&first, &bytes, w, list, n);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_bcast(w->all, &bytes, 1, MG_I64, 0));
    if (w->rank > 0 && !(first = malloc((size_t)bytes)))
        st = mg_fail(MG_ENOMEM, "world: %lld bytes to compare", (long long)bytes);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_bcast(w->all, first, bytes, MG_U8, 0));
    if (w->rank > 0) st = compare(w, bad, list, n, remedy, first, bytes);
    st = mg_comm_agree(w->all, st);
done:
    free(first);
    return st;
}
