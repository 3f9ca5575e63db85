/* The device's read bandwidth, for benchmarks. */
#ifndef MG_CUDA_READ_H
#define MG_CUDA_READ_H

#include "ops.h"

/* Read `block`, device memory much larger than the caches, several times; 1 GB = 1e9 bytes. */
mg_status mg_cuda_read(const mg_ops *ops, const void *block, size_t bytes, double *gbps);

#endif
