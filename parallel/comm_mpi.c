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
    DIRECT_BYTES = 4 * 1 << 20, /* longer messages go in pieces of this size */
};

/* What MPI reads and writes, in place of the caller's memory. */
typedef struct room {
    struct room *next; /* of those that are left to MPI */
    char data[];
} room;

typedef struct mpi {
    MPI_Comm comm;
    const mg_watchdog *watchdog;
    room *room;          /* NULL: it was left to MPI */
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

static size_t room_bytes(int size)
{
    const size_t bytes = (size_t)size * PIECE_BYTES;

    return bytes > DIRECT_BYTES ? bytes : DIRECT_BYTES;
}

/* When the group is opened: later one rank alone might fail, and its next exchange would meet the others'
 * last. */
static mg_status take_room(mpi *m, int size)
{
    if (!m->room) m->room = malloc(sizeof *m->room + room_bytes(size));
    return m->room ? MG_OK : mg_fail(MG_ENOMEM, "comm: room for %d ranks", size);
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

/* `bytes` of each rank into the room. */
static mg_status gather(mg_comm *c, const void *mine, size_t bytes, const char *call)
{
    mpi *m = c->ctx;
    MPI_Request request;

    MG_RETURN(take_room(m, c->size));
    if (bytes > 0) memcpy(m->room->data + (size_t)c->rank * bytes, mine, bytes);
    MPI_TRY(call, MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, m->room->data, (int)bytes, MPI_BYTE,
                                 m->comm, &request));
    return wait_for(c, &request, call);
}

static mg_status mpi_all_reduce(mg_comm *c, float *x, int64_t n)
{
    mpi *m = c->ctx;
    const int64_t n_piece = PIECE_BYTES / (int64_t)sizeof *x;

    for (int64_t at = 0; at < n; at += n_piece) {
        const int64_t n_now = n - at < n_piece ? n - at : n_piece;
        MG_RETURN(gather(c, x + at, (size_t)n_now * sizeof *x, "all_reduce"));
        const float *gathered = (const float *)(void *)m->room->data;
        for (int r = 0; r < c->size; r++) m->parts[r] = gathered + (int64_t)r * n_now;
        mg_tree_sum(x + at, m->parts, c->size, n_now);
    }
    return MG_OK;
}

static mg_status mpi_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    const mpi *m = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype), most = room_bytes(c->size) / (size_t)c->size;
    size_t at = 0;

    do {
        const size_t now_bytes = bytes - at < most ? bytes - at : most;
        MG_RETURN(gather(c, (const char *)mine + at, now_bytes, "all_gather"));
        for (int r = 0; r < c->size && now_bytes > 0; r++)
            memcpy((char *)all + (size_t)r * bytes + at, m->room->data + (size_t)r * now_bytes, now_bytes);
        at += now_bytes;
    } while (at < bytes);
    return MG_OK;
}

static mg_status mpi_bcast(mg_comm *c, void *data, int64_t n, mg_dtype dtype, int root)
{
    mpi *m = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    for (size_t at = 0; at < bytes; at += DIRECT_BYTES) {
        const size_t now_bytes = bytes - at < DIRECT_BYTES ? bytes - at : DIRECT_BYTES;
        char *x = (char *)data + at;
        MPI_Request request;
        MG_RETURN(take_room(m, c->size));
        if (c->rank == root) memcpy(m->room->data, x, now_bytes);
        MPI_TRY("bcast", MPI_Ibcast(m->room->data, (int)now_bytes, MPI_BYTE, root, m->comm, &request));
        MG_RETURN(wait_for(c, &request, "bcast"));
        if (c->rank != root) memcpy(x, m->room->data, now_bytes);
    }
    return MG_OK;
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
    int rank = 0, size = 1;

    *out = NULL;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    mpi *m = calloc(1, sizeof *m);
    mg_comm *c = mg_comm_make(&mpi_iface, "mpi", rank, size, m);
    if (c && m) {
        *m = (mpi){.comm = comm, .watchdog = watchdog};
        m->parts = calloc((size_t)size, sizeof *m->parts);
    }
    if (c && m && m->parts && take_room(m, size) == MG_OK) {
        *out = c;
        return MG_OK;
    }
    if (m) free(m->parts);
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
