/* A tensor's elements in pieces, converted on the way: from a mapped file to a file that is being written,
 * with one small buffer between them. */
#ifndef MG_TENSOR_STREAM_H
#define MG_TENSOR_STREAM_H

#include "status.h"
#include "tensor.h"

/* Takes the next `bytes` of the tensor. A status other than MG_OK ends the stream. */
typedef mg_status mg_tensor_sink(void *arg, const void *data, size_t bytes);

/* Every element of `t` (its data may be unaligned) as `dtype`. The same dtype passes through untouched, NaN
 * and all; a floating-point one is rounded to nearest even; what does not fit a smaller one becomes infinite
 * and is counted in *n_overflows (may be NULL). MG_ECHECKPOINT for integers that would have to become
 * something else. */
mg_status mg_tensor_stream(const mg_tensor *t, mg_dtype dtype, mg_tensor_sink *sink, void *arg,
                           int64_t *n_overflows);

/* Elements [first, first+n) of `t` as `dtype` into `dst`, likewise. */
mg_status mg_tensor_read(void *dst, mg_dtype dtype, const mg_tensor *t, int64_t first, int64_t n,
                         int64_t *n_overflows);

/* Can mg_tensor_stream make `to` of `from`? */
bool mg_tensor_stream_can(mg_dtype from, mg_dtype to);

#endif
