/* What a group in device memory needs of the backend. For C. */
#ifndef MG_CUDA_GROUP_H
#define MG_CUDA_GROUP_H

#include "ops.h"

/* The instance works in a group from now on: the cudaStream_t in which it does. */
void *mg_cuda_join_group(const mg_ops *ops);

/* x [n] = ((p0+p1)+(p2+p3))+… over parts [n_parts, n]; n_parts is 2, 4 or 8; in the stream. As mg_tree_sum.
 * y NULL: into x; else y += that, and x is left alone. */
mg_status mg_cuda_tree_sum(const mg_ops *ops, float *y, float *x, const float *parts, int n_parts, int64_t n);

/* Sums over ranks of one host in one kernel: a rank writes its part into every other rank's mailbox, and each
 * adds what is in its own. No rank touches another's memory but in a sum that both are in. */
enum { MG_ONESHOT_MOST_RANKS = 8 };

typedef struct mg_oneshot {
    void *mailbox[MG_ONESHOT_MOST_RANKS]; /* of rank r, as this process sees it; in device memory */
    uint32_t *words;                      /* [2] pinned: not 0: give up; 1 + the rank that a kernel misses */
    int rank, size;
} mg_oneshot;

/* Bytes of a mailbox, all zero at first; and floats that go through it at once. */
size_t mg_cuda_oneshot_bytes(int size);
int64_t mg_cuda_oneshot_floats(void);

/* x [n] = the sum over ranks in the tree's order; or, with y, y += that. In the stream. */
mg_status mg_cuda_oneshot_sum(const mg_ops *ops, const mg_oneshot *o, float *y, float *x, int64_t n);

#endif
