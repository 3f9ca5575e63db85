/* A tensor's elements in pieces, converted on the way. */
#ifndef MG_TENSOR_READ_H
#define MG_TENSOR_READ_H

#include "status.h"
#include "tensor.h"

/* n_rows pieces of a tensor of n_cols elements each: the first begins at element `first`, and each `stride`
 * elements behind the one before it. In memory one stands behind the other. */
typedef struct mg_tensor_part {
    int64_t first, n_rows, n_cols, stride;
} mg_tensor_part;

/* Elements [first, first+n) of `t` (its data may be unaligned) as `dtype` into `dst`. The same dtype passes
 * through untouched, NaN and all; a floating-point one is rounded to nearest even; what does not fit a
 * smaller one becomes infinite and is counted in *n_overflows (may be NULL). MG_ECHECKPOINT for integers that
 * would have to become something else. */
mg_status mg_tensor_read(void *dst, mg_dtype dtype, const mg_tensor *t, int64_t first, int64_t n,
                         int64_t *n_overflows);

/* Can mg_tensor_read make `to` of `from`? */
bool mg_tensor_can_read(mg_dtype from, mg_dtype to);

#endif
