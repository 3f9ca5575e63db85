/* Messages over MPI, in a communicator of their own. What was sent is kept until MPI has it. */
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
} parcel;

struct mg_channel_mpi {
    MPI_Comm comm;
    parcel *sent; /* on their way */
};

mg_status mg_channel_mpi_open(mg_channel_mpi **out)
{
    mg_channel_mpi *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m) return mg_fail(MG_ENOMEM, "channel: no memory");
    const int code = MPI_Comm_dup(MPI_COMM_WORLD, &m->comm);
    if (code != MPI_SUCCESS) {
        free(m);
        return mg_mpi_fail("channel: open", code);
    }
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
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

void mg_channel_mpi_close(mg_channel_mpi *m)
{
    if (!m) return;
    for (int i = 0; i < 200 && m->sent && sweep(m) == MG_OK; i++)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    const int all_gone = !m->sent;
    for (parcel *p = m->sent, *next; p;
         p = next) { /* MPI may still read the data: it is left to the end of the process */
        next = p->next;
        MPI_Request_free(&p->request);
        free(p);
    }
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

mg_status mg_channel_mpi_receive(mg_channel_mpi *m, int *rank, char **data, size_t *bytes)
{
    MPI_Message message;
    MPI_Status status;
    int there = 0, n = 0;

    if (m->sent) MG_RETURN(sweep(m));
    int code = MPI_Improbe(MPI_ANY_SOURCE, TAG, m->comm, &there, &message, &status);
    if (code != MPI_SUCCESS) return mg_mpi_fail("channel: receive", code);
    if (!there) return MG_OK;
    MPI_Get_count(&status, MPI_BYTE, &n);
    *data = malloc((size_t)n + 1);
    if (!*data) return mg_fail(MG_ENOMEM, "channel: a message of %d bytes", n);
    code = MPI_Mrecv(*data, n, MPI_BYTE, &message, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS) {
        free(*data);
        *data = NULL;
        return mg_mpi_fail("channel: receive", code);
    }
    (*data)[n] = '\0';
    *bytes = (size_t)n;
    *rank = status.MPI_SOURCE;
    return MG_OK;
}
