/* What a group in device memory needs of the backend. For C. */
#ifndef MG_CUDA_GROUP_H
#define MG_CUDA_GROUP_H

#include "ops.h"

/* The cudaStream_t in which the instance works. */
void *mg_cuda_stream(const mg_ops *ops);

/* x [n] = ((p0+p1)+(p2+p3))+… over parts [n_parts, n]; n_parts is 2, 4 or 8; in the stream. As mg_tree_sum.
 */
mg_status mg_cuda_tree_sum(const mg_ops *ops, float *x, const float *parts, int n_parts, int64_t n);

#endif
