/* Messages over MPI, in a communicator of their own. What was sent is kept until MPI has it, and what comes
 * until it is whole: of a large one MPI has the head, and the rest when its sender goes on. */
#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

#include "channel_impl.h"
#include "comm_mpi.h"

enum { TAG = 1 };

typedef struct parcel {
    struct parcel *next;
    MPI_Request request;
    char *data;
    int rank, n_bytes; /* of one that comes */
} parcel;

struct mg_channel_mpi {
    MPI_Comm comm;
    parcel *sent;           /* on their way */
    parcel *coming, **last; /* to us, in the order in which they began to */
};

mg_status mg_channel_mpi_open(mg_channel_mpi **out)
{
    MPI_Comm comm;

    *out = NULL;
    const int code = MPI_Comm_dup(MPI_COMM_WORLD, &comm); /* before what fails here alone */
    if (code != MPI_SUCCESS) return mg_mpi_fail("channel: open", code);
    mg_channel_mpi *m = calloc(1, sizeof *m);
    if (!m) return mg_fail(MG_ENOMEM, "channel: no memory"); /* to free `comm` would be collective */
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    *m = (mg_channel_mpi){.comm = comm, .last = &m->coming};
    *out = m;
    return MG_OK;
}

/* Let go of what has gone out. */
static mg_status sweep(mg_channel_mpi *m)
{
    for (parcel **at = &m->sent; *at;) {
        parcel *p = *at;
        int done = 0;
        const int code = MPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS) return mg_mpi_fail("channel: send", code);
        if (!done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p->data);
        free(p);
    }
    return MG_OK;
}

/* MPI may still use the data: they are left to the end of the process. */
static void leave_to_mpi(parcel *p)
{
    for (parcel *next; p; p = next) {
        next = p->next;
        MPI_Request_free(&p->request);
        free(p);
    }
}

void mg_channel_mpi_close(mg_channel_mpi *m)
{
    if (!m) return;
    for (int i = 0; i < 200 && m->sent && sweep(m) == MG_OK; i++)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    const int all_gone = !m->sent && !m->coming;
    leave_to_mpi(m->sent);
    leave_to_mpi(m->coming);
    if (all_gone) MPI_Comm_free(&m->comm);
    free(m);
}

mg_status mg_channel_mpi_send(mg_channel_mpi *m, int rank, char *data, size_t bytes)
{
    parcel *p = bytes <= INT_MAX ? calloc(1, sizeof *p) : NULL;

    if (!p) {
        free(data);
        return mg_fail(MG_ENOMEM, "channel: a message of %zu bytes", bytes);
    }
    p->data = data;
    const int code = MPI_Isend(data, (int)bytes, MPI_BYTE, rank, TAG, m->comm, &p->request);
    if (code != MPI_SUCCESS) {
        free(data);
        free(p);
        return mg_mpi_fail("channel: send", code);
    }
    p->next = m->sent;
    m->sent = p;
    return sweep(m);
}

/* The next message begins to come, if one is there. Without memory for it, it stays with MPI. */
static mg_status begin_next(mg_channel_mpi *m, int *there)
{
    MPI_Status status;
    int code = MPI_Iprobe(MPI_ANY_SOURCE, TAG, m->comm, there, &status);

    if (code != MPI_SUCCESS) return mg_mpi_fail("channel: receive", code);
    if (!*there) return MG_OK;
    parcel *p = calloc(1, sizeof *p);
    if (p) {
        p->rank = status.MPI_SOURCE;
        MPI_Get_count(&status, MPI_BYTE, &p->n_bytes);
        p->data = malloc((size_t)p->n_bytes + 1);
    }
    if (!p || !p->data) {
        free(p);
        return mg_fail(MG_ENOMEM, "channel: a message");
    }
    code = MPI_Irecv(p->data, p->n_bytes, MPI_BYTE, p->rank, TAG, m->comm, &p->request);
    if (code != MPI_SUCCESS) {
        free(p->data);
        free(p);
        return mg_mpi_fail("channel: receive", code);
    }
    *m->last = p;
    m->last = &p->next;
    return MG_OK;
}

static int is_behind_another(const mg_channel_mpi *m, const parcel *p)
{
    const parcel *before = m->coming;

    while (before->rank != p->rank) before = before->next;
    return before != p;
}

/* The first whole one whose sender has none before it, taken out; NULL: there is none. */
static mg_status take_whole(mg_channel_mpi *m, parcel **out)
{
    *out = NULL;
    for (parcel **at = &m->coming; *at; at = &(*at)->next) {
        parcel *p = *at;
        int done = 0;
        if (is_behind_another(m, p)) continue;
        const int code = MPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS) return mg_mpi_fail("channel: receive", code);
        if (!done) continue;
        *at = p->next;
        if (!*at) m->last = at;
        *out = p;
        return MG_OK;
    }
    return MG_OK;
}

mg_status mg_channel_mpi_receive(mg_channel_mpi *m, int *rank, char **data, size_t *bytes)
{
    parcel *p = NULL;
    int there = 1;

    if (m->sent) MG_RETURN(sweep(m));
    MG_RETURN(take_whole(m, &p));
    while (!p && there) {
        MG_RETURN(begin_next(m, &there));
        MG_RETURN(take_whole(m, &p));
    }
    if (!p) return MG_OK;
    p->data[p->n_bytes] = '\0';
    *data = p->data, *bytes = (size_t)p->n_bytes, *rank = p->rank;
    free(p);
    return MG_OK;
}
