/* Any ranks, over MPI: the only library file that knows it. Every exchange is a nonblocking collective that
 * we test ourselves, so that a lost rank, a signal or a deadline ends the wait; MPI's own blocking calls
 * would hang. The ordered all-reduce gathers the partial sums and adds them up here. */
#include "comm_mpi.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reduce_tree.h"

enum {
    PIECE_BYTES = 1 << 18,      /* of an all-reduce: the gathered parts of 8 ranks stay within 2 MiB */
    DIRECT_BYTES = 4 * 1 << 20, /* longer messages go in pieces of this size: MPI counts are ints */
};

/* What MPI reads and writes, in place of the caller's memory. */
typedef struct room {
    struct room *next; /* of those that are left to MPI */
    size_t bytes;
    char data[];
} room;

typedef struct mpi {
    MPI_Comm comm;
    const mg_watchdog *watchdog;
    room *room;          /* as large as was needed so far */
    const float **parts; /* [size] into it */
    bool torn;           /* a call was given up */
} mpi;

static room *left_to_mpi; /* until the process ends */

mg_status mg_mpi_fail(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n_text = 0;

    MPI_Error_string(code, text, &n_text);
    return mg_fail(MG_ECOMM, "%s: %s", call, text);
}

#define MPI_TRY(name, call)                                        \
    do {                                                           \
        const int code_ = (call);                                  \
        if (code_ != MPI_SUCCESS) return mg_mpi_fail(name, code_); \
    } while (0)

static mg_status take_room(mpi *m, size_t bytes)
{
    if (!m->room || m->room->bytes < bytes) {
        free(m->room);
        m->room = malloc(sizeof *m->room + bytes);
        if (!m->room) return mg_fail(MG_ENOMEM, "comm: %zu bytes", bytes);
        *m->room = (room){.bytes = bytes};
    }
    return MG_OK;
}

static void give_up(mpi *m)
{
    m->torn = true;
    if (!m->room) return;
    m->room->next = left_to_mpi;
    left_to_mpi = m->room;
    m->room = NULL;
}

/* A collective call cannot be taken back. MPI goes on with one that was given up, in any later call of its
 * own, when the caller's stack and heap have other uses: so it works in a room that is left to it. */
static mg_status wait_for(mg_comm *c, MPI_Request *request, const char *call)
{
    mpi *m = c->ctx;
    mg_wait w = mg_wait_begin(m->watchdog, call);
    mg_status st = MG_OK;
    int done = 0;

    while (st == MG_OK && !done) {
        const int code = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS)
            st = mg_mpi_fail(call, code);
        else if (!done)
            st = mg_wait_idle(&w, -1);
    }
    if (!done || st != MG_OK) give_up(m);
    return st;
}

static mg_status mpi_all_reduce(mg_comm *c, float *x, int64_t n)
{
    mpi *m = c->ctx;
    const int64_t n_piece = PIECE_BYTES / (int64_t)sizeof *x;

    for (int64_t at = 0; at < n; at += n_piece) {
        const int n_now = (int)(n - at < n_piece ? n - at : n_piece);
        MPI_Request request;
        MG_RETURN(take_room(m, (size_t)c->size * (size_t)n_now * sizeof *x));
        float *gathered = (float *)(void *)m->room->data;
        memcpy(gathered + (int64_t)c->rank * n_now, x + at, (size_t)n_now * sizeof *x);
        MPI_TRY("all_reduce", MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, gathered, n_now, MPI_FLOAT,
                                             m->comm, &request));
        MG_RETURN(wait_for(c, &request, "all_reduce"));
        for (int r = 0; r < c->size; r++) m->parts[r] = gathered + (int64_t)r * n_now;
        mg_tree_sum(x + at, m->parts, c->size, n_now);
    }
    return MG_OK;
}

static mg_status bcast_bytes(mg_comm *c, char *x, size_t bytes, int root, const char *call)
{
    mpi *m = c->ctx;

    for (size_t at = 0; at < bytes; at += DIRECT_BYTES) {
        const int now_bytes = (int)(bytes - at < DIRECT_BYTES ? bytes - at : DIRECT_BYTES);
        MPI_Request request;
        MG_RETURN(take_room(m, (size_t)now_bytes));
        char *data = m->room->data;
        if (c->rank == root) memcpy(data, x + at, (size_t)now_bytes);
        MPI_TRY(call, MPI_Ibcast(data, now_bytes, MPI_BYTE, root, m->comm, &request));
        MG_RETURN(wait_for(c, &request, call));
        if (c->rank != root) memcpy(x + at, data, (size_t)now_bytes);
    }
    return MG_OK;
}

static mg_status mpi_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    mpi *m = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    if (bytes > DIRECT_BYTES) { /* a row of the result is then longer than one message */
        memcpy((char *)all + (size_t)c->rank * bytes, mine, bytes);
        for (int r = 0; r < c->size; r++)
            MG_RETURN(bcast_bytes(c, (char *)all + (size_t)r * bytes, bytes, r, "all_gather"));
        return MG_OK;
    }
    MPI_Request request;
    MG_RETURN(take_room(m, (size_t)c->size * bytes));
    char *data = m->room->data;
    if (bytes > 0) memcpy(data + (size_t)c->rank * bytes, mine, bytes);
    MPI_TRY("all_gather", MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, (int)bytes, MPI_BYTE,
                                         m->comm, &request));
    MG_RETURN(wait_for(c, &request, "all_gather"));
    if (bytes > 0) memcpy(all, data, (size_t)c->size * bytes);
    return MG_OK;
}

static mg_status mpi_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    return bcast_bytes(c, x, (size_t)n * mg_dtype_bytes(dtype), root, "bcast");
}

static mg_status mpi_barrier(mg_comm *c)
{
    mpi *m = c->ctx;
    MPI_Request request;

    MPI_TRY("barrier", MPI_Ibarrier(m->comm, &request));
    return wait_for(c, &request, "barrier");
}

/* Collective in MPI's eyes, so a torn group keeps its communicator: the run is about to be aborted. */
static void mpi_close(mg_comm *c)
{
    mpi *m = c->ctx;

    if (!m) return;
    if (m->comm != MPI_COMM_NULL && !m->torn) MPI_Comm_free(&m->comm);
    free(m->room);
    free(m->parts);
    free(m);
}

static const mg_comm_iface mpi_iface = {
    .all_reduce = mpi_all_reduce,
    .all_gather = mpi_all_gather,
    .bcast = mpi_bcast,
    .barrier = mpi_barrier,
    .close = mpi_close,
};

/* Takes over `comm`. */
static mg_status open_over(mg_comm **out, MPI_Comm comm, const mg_watchdog *watchdog)
{
    mg_comm *c = calloc(1, sizeof *c);
    mpi *m = calloc(1, sizeof *m);

    *out = NULL;
    if (c && m) {
        *c = (mg_comm){.iface = &mpi_iface, .name = "mpi", .ctx = m};
        *m = (mpi){.comm = comm, .watchdog = watchdog};
        MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
        MPI_Comm_rank(comm, &c->rank);
        MPI_Comm_size(comm, &c->size);
        m->parts = calloc((size_t)c->size, sizeof *m->parts);
    }
    if (c && m && m->parts) {
        *out = c;
        return MG_OK;
    }
    free(m);
    free(c);
    return mg_fail(MG_ENOMEM, "comm: an MPI group");
}

mg_status mg_comm_mpi_open_world(mg_comm **out, const mg_watchdog *watchdog)
{
    MPI_Comm comm;

    *out = NULL;
    MPI_TRY("world", MPI_Comm_dup(MPI_COMM_WORLD, &comm));
    return open_over(out, comm, watchdog);
}

mg_status mg_comm_mpi_split(mg_comm **out, mg_comm *parent, int color, const mg_watchdog *watchdog)
{
    const mpi *m = parent->ctx;
    MPI_Comm comm;

    *out = NULL;
    MPI_TRY("split", MPI_Comm_split(m->comm, color, parent->rank, &comm));
    return open_over(out, comm, watchdog);
}

mg_status mg_comm_mpi_split_host(mg_comm **out, mg_comm *parent, const mg_watchdog *watchdog)
{
    const mpi *m = parent->ctx;
    MPI_Comm comm;

    *out = NULL;
    MPI_TRY("split", MPI_Comm_split_type(m->comm, MPI_COMM_TYPE_SHARED, parent->rank, MPI_INFO_NULL, &comm));
    return open_over(out, comm, watchdog);
}

bool mg_comm_mpi_is_torn(const mg_comm *c)
{
    return c && c->iface == &mpi_iface && ((const mpi *)c->ctx)->torn;
}

bool mg_mpi_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK");
}

mg_status mg_mpi_begin(void)
{
    int provided;

    /* Reading another rank's memory is forbidden in many containers, and slower for messages of our size. */
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    MPI_TRY("MPI_Init", MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (provided < MPI_THREAD_FUNNELED)
        return mg_fail(MG_EFAIL, "MPI_Init: this MPI allows no threads at all");
    return MG_OK;
}

void mg_mpi_end(void)
{
    int begun = 0, ended = 0;

    MPI_Initialized(&begun);
    MPI_Finalized(&ended);
    if (begun && !ended) MPI_Finalize();
}

void mg_mpi_abort(int exit_code)
{
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}
