/* The device's read bandwidth, and that of its link to the host, for benchmarks. */
#ifndef MG_CUDA_READ_H
#define MG_CUDA_READ_H

#include "ops.h"

/* Read `block`, device memory much larger than the caches, several times; 1 GB = 1e9 bytes. */
mg_status mg_cuda_read(const mg_ops *ops, const void *block, size_t bytes, double *gbps);

/* Copy pinned memory of the host to the device, as a load does: what the link between them gives. */
mg_status mg_cuda_link(const mg_ops *ops, double *gbps);

#endif
