/* Inside of a group over NCCL. */
#ifndef MG_COMM_NCCL_IMPL_H
#define MG_COMM_NCCL_IMPL_H

#include <pthread.h>

#include "comm_nccl.h"
#include "mailboxes.h"
#include "nccl_library.h"

enum { MG_NCCL_PIECE_BYTES = 4 << 20 }; /* of one rank, in a sum: a step's fit, a prefill's go in several */

typedef struct mg_nccl_group {
    const mg_nccl *nccl;
    const mg_ops *ops;
    cudaStream_t stream;
    ncclComm_t comm;
    mg_comm *host; /* the same ranks */
    const mg_watchdog *watchdog;
    mg_wait wait;
    int first_rank;
    mg_cuda_reduce reduce; /* how it sums; AUTO: as NCCL until it is tuned */
    mg_mailboxes mail;     /* of ONESHOT, and of AUTO where there can be any */
    bool torn;
    bool aborts; /* a thread of its own calls ncclCommAbort */
    pthread_t aborter;
    int n_ahead;  /* sums since the stream was last seen to be empty */
    float *parts; /* [size, MG_NCCL_PIECE_BYTES / 4] device */
    size_t parts_bytes;
    int32_t *token; /* [1 + size] device, for a barrier */
} mg_nccl_group;

/* MG_ECOMM with NCCL's own words; the group is torn. */
mg_status mg_nccl_fail(const mg_comm *c, ncclResult_t error, const char *call);

/* A call of a non-blocking communicator is begun; go on when it is queued. Else the group is torn. */
mg_status mg_nccl_queued(const mg_comm *c, ncclResult_t error, const char *call);

/* The kernels that wait for other ranks end soon, and what waits in the stream goes on. */
void mg_nccl_give_up(mg_nccl_group *g);

/* Waits for NCCL to have given up, as it has once no recording holds a sum; not for ever. */
void mg_nccl_gave_up(mg_nccl_group *g);

/* Until the stream has run out, or for most_s: then it is *late. */
mg_status mg_nccl_run_out(mg_comm *c, double most_s, bool *late);

/* x [n] = the sum over ranks; or, with y, y += that. By the way that is named, in the stream. Waits for the
 * stream now and then, unless it records. */
mg_status mg_nccl_sum(mg_comm *c, mg_cuda_reduce how, float *y, float *x, int64_t n);

/* The slot of comm.h. */
mg_status mg_nccl_tune(mg_comm *c, int64_t n);

#endif
