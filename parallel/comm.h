/* The contract between ranks: a group that moves numbers. Its mirror image is kernels/ops.h, the contract
 * between the model and the machine: a constant table of functions (iface) and an instance, which goes to
 * each of them. Backends: self (one rank), shm (ranks of one host), mpi (any ranks). Every call is
 * collective: all ranks of the group make the same calls in the same order. Counts are in elements, never
 * bytes.
 *
 * All pointers that a group is given are in its `space`. A group in device memory orders its calls among
 * those of the ops instance whose memory it moves, and does not wait for them.
 *
 * No call waits for ever. A wait that outlasts the deadline, or a lost peer, is MG_ECOMM with a message that
 * names the call and the rank. A signal to this rank is MG_ESTOPPED. After either the group is torn: its
 * ranks are no longer at the same call, and every later exchange is refused at once, with the first one's
 * error. If several ranks of a host detect the same lost rank, only one keeps the error message; on the
 * others mg_last_error() is "". */
#ifndef MG_COMM_H
#define MG_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"
#include "tensor.h"

typedef struct mg_comm mg_comm;

typedef struct mg_comm_iface {
    mg_status (*all_reduce)(mg_comm *c, float *x, int64_t n);
    mg_status (*all_gather)(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype);
    mg_status (*bcast)(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root);
    mg_status (*barrier)(mg_comm *c);
    void (*close)(mg_comm *c); /* frees ctx; c itself belongs to mg_comm_close */

    /* Optional. */
    mg_status (*all_reduce_add)(mg_comm *c, float *y, float *x, int64_t n);
    mg_status (*tune)(mg_comm *c, int64_t n);
} mg_comm_iface;

struct mg_comm {
    const mg_comm_iface *iface;
    const char *name; /* "self", "shm", "mpi", "nccl", "oneshot", "nccl/fast" */
    int rank, size;
    mg_space space;    /* of all pointers */
    mg_status agreed;  /* what the last mg_comm_agree found on all ranks; MG_OK at first */
    mg_fault torn;     /* the exchange that failed; comm.c's own */
    int32_t *statuses; /* [size, 2], of mg_comm_agree; NULL: a group in device memory */
    void *ctx;
};

/* x [n] = sum over ranks, combined in rank order as a binary tree ((r0+r1)+(r2+r3))+…: the top of mg_matrix's
 * tree of slices. Every rank has the same bits. In place. size is a power of two. */
mg_status mg_comm_all_reduce(mg_comm *c, float *x, int64_t n);

/* Whether a group of this name (or NULL: none) sums in that order; "nccl/fast" leaves it to NCCL. */
bool mg_comm_sums_in_order(const char *name);

/* y [n] += the sum over ranks of x [n], which is complete before it is added: the bits of all_reduce and an
 * addition. x is unspecified afterwards. Only where the group can (it has a kernel for it). */
mg_status mg_comm_all_reduce_add(mg_comm *c, float *y, float *x, int64_t n);
bool mg_comm_can_add(const mg_comm *c);

/* Sums of about n floats are to come: a group that has several ways, with the same bits, takes the fastest on
 * this machine, which it measures. Waits. Once, before anything is recorded; else nothing happens. */
mg_status mg_comm_tune(mg_comm *c, int64_t n);

/* all [size, n] = each rank's mine [n], in rank order. `all` and `mine` do not overlap. */
mg_status mg_comm_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype);

/* x [n] of `root` to every rank. */
mg_status mg_comm_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root);

mg_status mg_comm_barrier(mg_comm *c);

/* The end of a phase that can fail on one rank alone (parse, load, allocate). Returns MG_OK only if every
 * rank brought MG_OK, else the status of the lowest failing rank, on all ranks. That rank alone keeps its
 * message; on all others mg_last_error() becomes "", so that the user reads one sentence. For a group in
 * host memory. */
mg_status mg_comm_agree(mg_comm *c, mg_status mine);

/* For the backends: a group in host memory, with room for what mg_comm_agree exchanges, so that no rank lacks
 * it later. NULL: no memory. Until the group is given out, free() undoes it. */
mg_comm *mg_comm_make(const mg_comm_iface *iface, const char *name, int rank, int size, void *ctx);

/* Closes the group and frees it. NULL is legal. */
void mg_comm_close(mg_comm *c);

/* The group of one. */
mg_status mg_comm_self_open(mg_comm **out);

#endif
