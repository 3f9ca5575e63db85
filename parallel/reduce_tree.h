/* The one order in which partial sums of ranks are combined, whatever the backend. */
#ifndef MG_REDUCE_TREE_H
#define MG_REDUCE_TREE_H

#include <stdint.h>

/* y [n] = ((p0+p1)+(p2+p3))+((p4+p5)+(p6+p7)) … over parts [n_parts][n]; n_parts is a power of two.
 * y overlaps none of the parts. */
void mg_tree_sum(float *y, const float *const *parts, int n_parts, int64_t n);

#endif
