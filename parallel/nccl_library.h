/* NCCL's functions, from a library that is opened when a group first needs it: a run on one GPU does not map
 * its 200 MB, and a machine without it still computes. */
#ifndef MG_NCCL_LIBRARY_H
#define MG_NCCL_LIBRARY_H

#include <cuda_runtime.h>
#include <nccl.h>

#include "status.h"

typedef struct mg_nccl {
    ncclResult_t (*get_version)(int *version);
    ncclResult_t (*get_unique_id)(ncclUniqueId *id);
    ncclResult_t (*comm_init_rank_config)(ncclComm_t *comm, int n, ncclUniqueId id, int rank,
                                          ncclConfig_t *config);
    ncclResult_t (*comm_get_async_error)(ncclComm_t comm, ncclResult_t *error);
    ncclResult_t (*comm_abort)(ncclComm_t comm);
    ncclResult_t (*comm_destroy)(ncclComm_t comm);
    ncclResult_t (*all_gather)(const void *send, void *all, size_t n, ncclDataType_t type, ncclComm_t comm,
                               cudaStream_t stream);
    ncclResult_t (*all_reduce)(const void *send, void *sum, size_t n, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream);
    ncclResult_t (*broadcast)(const void *send, void *recv, size_t n, ncclDataType_t type, int root,
                              ncclComm_t comm, cudaStream_t stream);
    const char *(*get_error_string)(ncclResult_t error);
} mg_nccl;

/* MG_EFIT if there is none: libnccl.so.2 by the usual ways, or the file that MGDIST_NCCL names. */
mg_status mg_nccl_find(const mg_nccl **out);

#endif
