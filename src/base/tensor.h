/* A tensor is a borrowed, contiguous, row-major view: it owns nothing. Dims are in PyTorch's order. */
#ifndef MG_TENSOR_H
#define MG_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From MG_I8 on: types that files hold and nothing here computes with; MG_ODD is one that nobody knows, as
 * bytes. */
typedef enum mg_dtype {
    MG_F32,
    MG_BF16,
    MG_F16,
    MG_I32,
    MG_F64,
    MG_I64,
    MG_U8,
    MG_I8,
    MG_F8_E4M3,
    MG_F8_E5M2,
    MG_I16,
    MG_U16,
    MG_U32,
    MG_U64,
    MG_C64,
    MG_ODD,
    MG_DTYPES
} mg_dtype;

/* Whose memory a pointer is in. Host code reads and writes MG_HOST memory alone. */
typedef enum mg_space { MG_HOST, MG_DEVICE } mg_space;

enum { MG_MAX_DIMS = 4, MG_DIMS_SIZE = 96 };

typedef struct mg_tensor {
    void *data; /* of the backend that made it: host code must not look inside a device tensor */
    mg_dtype dtype;
    int n_dims;
    int64_t dim[MG_MAX_DIMS]; /* outermost first; unused ones are 1 */
} mg_tensor;

size_t mg_dtype_bytes(mg_dtype dtype);
const char *mg_dtype_name(mg_dtype dtype); /* "fp32", "bf16", … */

/* Views over memory that somebody else owns. */
mg_tensor mg_tensor_1d(void *data, mg_dtype dtype, int64_t d0);
mg_tensor mg_tensor_2d(void *data, mg_dtype dtype, int64_t d0, int64_t d1);
mg_tensor mg_tensor_3d(void *data, mg_dtype dtype, int64_t d0, int64_t d1, int64_t d2);

int64_t mg_tensor_count(const mg_tensor *t); /* elements */
size_t mg_tensor_bytes(const mg_tensor *t);

/* Rows [first, first+n) of the outermost dimension: a view into `t`. */
mg_tensor mg_tensor_rows(const mg_tensor *t, int64_t first, int64_t n);

/* True if t has this dtype and exactly these dims. */
bool mg_tensor_is(const mg_tensor *t, mg_dtype dtype, int n_dims, const int64_t *dim);

/* One value each way; to half types with round-to-nearest-even, NaN stays NaN. */
float mg_bf16_to_f32(uint16_t h);
uint16_t mg_f32_to_bf16(float f);
float mg_f16_to_f32(uint16_t h);
uint16_t mg_f32_to_f16(float f);

/* n values of fp32, bf16 or fp16 at `src`, which need not be aligned, as fp32. */
void mg_widen(float *dst, const void *src, mg_dtype dtype, int64_t n);

/* So many bytes of zeros in one piece of a weight no training leaves: it is a hole in the file. */
enum { MG_HOLE_BYTES = 256 << 10 };

/* Nothing but zeros? Ends at the first byte that is none, which is one of the first in a weight. */
bool mg_is_zeros(const void *data, size_t bytes);

/* "[2,3]", cut off where there is no room for more. Returns `out`. */
char *mg_dims_format(char out[MG_DIMS_SIZE], int n_dims, const int64_t *dim);

#endif
