#include "channel.h"

#include <stdlib.h>
#include <string.h>

#include "channel_impl.h"

typedef struct letter {
    struct letter *next;
    char *data;
    size_t bytes;
} letter;

struct mg_channel {
    int rank;
    mg_channel_mpi *mpi;   /* NULL: a world of one */
    letter *first, **last; /* to oneself */
};

mg_status mg_channel_open(mg_channel **out, const mg_world *w)
{
    mg_channel_mpi *mpi = NULL;

    *out = NULL;
    if (w->size > 1) MG_RETURN(mg_channel_mpi_open(&mpi)); /* collective: before what fails here alone */
    mg_channel *c = calloc(1, sizeof *c);
    if (!c) {
        mg_channel_mpi_close(mpi);
        return mg_fail(MG_ENOMEM, "channel: no memory");
    }
    *c = (mg_channel){.rank = w->rank, .mpi = mpi, .last = &c->first};
    *out = c;
    return MG_OK;
}

void mg_channel_close(mg_channel *c)
{
    if (!c) return;
    for (letter *l = c->first, *next; l; l = next) {
        next = l->next;
        free(l->data);
        free(l);
    }
    mg_channel_mpi_close(c->mpi);
    free(c);
}

static mg_status send_to_self(mg_channel *c, char *data, size_t bytes)
{
    letter *l = calloc(1, sizeof *l);

    if (!l) {
        free(data);
        return mg_fail(MG_ENOMEM, "channel: no memory");
    }
    *l = (letter){NULL, data, bytes};
    *c->last = l;
    c->last = &l->next;
    return MG_OK;
}

mg_status mg_channel_send(mg_channel *c, int rank, const void *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);

    if (!copy) return mg_fail(MG_ENOMEM, "channel: %zu bytes", bytes);
    memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    return rank == c->rank ? send_to_self(c, copy, bytes) : mg_channel_mpi_send(c->mpi, rank, copy, bytes);
}

mg_status mg_channel_receive(mg_channel *c, int *rank, char **data, size_t *bytes)
{
    letter *l = c->first;

    *data = NULL;
    *bytes = 0;
    if (!l) return c->mpi ? mg_channel_mpi_receive(c->mpi, rank, data, bytes) : MG_OK;
    c->first = l->next;
    if (!c->first) c->last = &c->first;
    *rank = c->rank, *data = l->data, *bytes = l->bytes;
    free(l);
    return MG_OK;
}
