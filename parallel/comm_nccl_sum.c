/* What a group on devices needs to work: calls of NCCL that are begun and seen through, the sums, and the
 * check of those who wait for the device. Below comm_nccl.c, which opens the group, and comm_nccl_tune.c. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "comm_nccl_impl.h"

enum { ABORT_S = 2, MOST_AHEAD = 64 }; /* a launcher kills about 2 s after its SIGTERM */

typedef mg_nccl_group group;

/* What it most often is. */
static const char *hint_of(ncclResult_t error)
{
    switch (error) {
    case ncclRemoteError: return "; is NCCL_SOCKET_IFNAME the interface that joins the hosts?";
    case ncclSystemError:
        return "; is NCCL_SOCKET_IFNAME the interface that joins the hosts, and /dev/shm large enough? "
               "NCCL_DEBUG=INFO says more";
    case ncclUnhandledCudaError:
        return "; may each rank use the GPUs of its host's others (srun --gpu-bind=none)? "
               "NCCL_DEBUG=INFO says more";
    default: return "; NCCL_DEBUG=INFO says more";
    }
}

mg_status mg_nccl_fail(const mg_comm *c, ncclResult_t error, const char *call)
{
    group *g = c->ctx;

    g->torn = true;
    return mg_fail(MG_ECOMM, "%s: NCCL: %s%s", call, g->nccl->get_error_string(error), hint_of(error));
}

mg_status mg_nccl_queued(const mg_comm *c, ncclResult_t error, const char *call)
{
    group *g = c->ctx;
    mg_wait w = mg_wait_begin(g->watchdog, call);

    while (error == ncclInProgress) {
        const mg_status st = mg_wait_idle(&w, -1);
        if (st != MG_OK) {
            g->torn = true; /* NCCL is still at it */
            return st;
        }
        const ncclResult_t asked = g->nccl->comm_get_async_error(g->comm, &error);
        if (asked != ncclSuccess) error = asked;
    }
    return error == ncclSuccess ? MG_OK : mg_nccl_fail(c, error, call);
}

static mg_status sum_fast(mg_comm *c, float *y, float *x, int64_t n)
{
    group *g = c->ctx;
    const mg_tensor sum = mg_tensor_1d(x, MG_F32, n);
    mg_tensor to = mg_tensor_1d(y, MG_F32, n);

    MG_RETURN(mg_nccl_queued(
        c, g->nccl->all_reduce(x, x, (size_t)n, ncclFloat32, ncclSum, g->comm, g->stream), "all_reduce"));
    return y ? mg_add(g->ops, &to, &sum) : MG_OK;
}

mg_status mg_nccl_run_out(mg_comm *c, double most_s, bool *late)
{
    const group *g = c->ctx;
    const double begin_s = mg_clock_s();
    cudaError_t error;

    while ((error = cudaStreamQuery(g->stream)) == cudaErrorNotReady) {
        const double waited_s = mg_clock_s() - begin_s;
        if (waited_s > most_s) {
            *late = true;
            return MG_OK;
        }
        MG_RETURN(mg_comm_nccl_check(c, waited_s));
    }
    return error == cudaSuccess ? MG_OK : mg_cuda_failed("a sum", cudaGetErrorString(error));
}

/* A stream takes some thousand launches; the next one waits in the driver. Behind a sum that a lost rank will
 * never bring it would wait for ever, and nobody look: so the host does not run so far ahead. */
static mg_status keep_near(mg_comm *c)
{
    group *g = c->ctx;
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;

    if (cudaStreamIsCapturing(g->stream, &status) != cudaSuccess || status != cudaStreamCaptureStatusNone)
        return MG_OK;
    if (++g->n_ahead < MOST_AHEAD) return MG_OK;
    g->n_ahead = 0;
    return mg_nccl_run_out(c, INFINITY, NULL);
}

mg_status mg_nccl_sum(mg_comm *c, mg_cuda_reduce how, float *y, float *x, int64_t n)
{
    group *g = c->ctx;
    const int64_t n_piece = MG_NCCL_PIECE_BYTES / (int64_t)sizeof *x;

    MG_RETURN(keep_near(c));
    if (how == MG_REDUCE_ONESHOT) return mg_cuda_oneshot_sum(g->ops, &g->mail.sum, y, x, n);
    if (how == MG_REDUCE_FAST) return sum_fast(c, y, x, n);
    for (int64_t at = 0; at < n; at += n_piece) {
        const int64_t n_now = n - at < n_piece ? n - at : n_piece;
        MG_RETURN(mg_nccl_queued(
            c, g->nccl->all_gather(x + at, g->parts, (size_t)n_now, ncclFloat32, g->comm, g->stream),
            "all_reduce"));
        MG_RETURN(mg_cuda_tree_sum(g->ops, y ? y + at : NULL, x + at, g->parts, c->size, n_now));
    }
    return MG_OK;
}

typedef struct abort_call {
    const mg_nccl *nccl;
    ncclComm_t comm;
    int device;
} abort_call;

static void *abort_comm(void *arg)
{
    abort_call *a = arg;

    (void)cudaSetDevice(a->device); /* or NCCL would make a context on the first one */
    (void)a->nccl->comm_abort(a->comm);
    free(a);
    return NULL;
}

/* ncclCommAbort first tells the kernels to end, and then waits until every recorded step that holds a sum is
 * destroyed. That is for the calling thread to do, later: so it must not wait here. */
void mg_nccl_give_up(mg_nccl_group *g)
{
    abort_call *a = g->comm ? calloc(1, sizeof *a) : NULL;

    g->torn = true;
    mg_mailboxes_give_up(&g->mail);
    if (a) {
        *a = (abort_call){.nccl = g->nccl, .comm = g->comm};
        (void)cudaGetDevice(&a->device);
        g->aborts = pthread_create(&g->aborter, NULL, abort_comm, a) == 0;
    }
    if (g->comm && !g->aborts) (void)g->nccl->comm_abort(g->comm); /* no thread is to be had */
    g->comm = NULL;
}

void mg_nccl_gave_up(mg_nccl_group *g)
{
    struct timespec until;

    if (!g->aborts) return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ABORT_S;
    if (pthread_timedjoin_np(g->aborter, NULL, &until) != 0) (void)pthread_detach(g->aborter);
    g->aborts = false;
}

mg_status mg_comm_nccl_check(mg_comm *c, double waited_s)
{
    group *g = c->ctx;
    ncclResult_t error = ncclSuccess;

    if (!g->comm) return g->torn ? MG_ECOMM : MG_OK; /* given up, and said; or closed */
    const double begin_s = mg_clock_s() - waited_s;
    if (waited_s >= 0 && (!g->wait.watchdog || begin_s > g->wait.begin_s + 0.01)) { /* another wait */
        g->wait = mg_wait_begin(g->watchdog, "waiting for the GPU");
        g->wait.begin_s = g->wait.looked_s = begin_s;
        mg_mailboxes_forget(&g->mail);
    }
    const int missing = mg_mailboxes_missing(&g->mail);
    if (missing >= 0) g->wait.call = "all_reduce";
    const ncclResult_t asked = g->nccl->comm_get_async_error(g->comm, &error);
    if (asked != ncclSuccess) error = asked;
    const mg_status st =
        error != ncclSuccess && error != ncclInProgress ? mg_nccl_fail(c, error, "waiting for the GPU")
        : waited_s >= 0 ? mg_wait_check(&g->wait, missing >= 0 ? g->first_rank + missing : -1)
                        : MG_OK;
    if (st != MG_OK) mg_nccl_give_up(g);
    return st;
}
