/* A group in device memory by way of the host: down, over the host's group, up. For ranks that share a GPU,
 * which NCCL refuses, and where there is no NCCL. Same bits; every call waits for the device. */
#ifndef MG_COMM_STAGED_H
#define MG_COMM_STAGED_H

#include "comm.h"
#include "ops.h"

/* `host` has the same ranks. Both are borrowed. Not collective. */
mg_status mg_comm_staged_open(mg_comm **out, const mg_ops *ops, mg_comm *host);

#endif
