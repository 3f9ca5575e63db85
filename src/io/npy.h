/* NumPy's .npy, version 1.0, C order, two dimensions: codes out and in, text states in. */
#ifndef MG_NPY_H
#define MG_NPY_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"
#include "tensor.h"

/* Does its name say that it is one? Where another kind of file may stand, the name decides. */
bool mg_npy_is_named(const char *path);

/* int32 [n_rows, n_cols]. Whole or not at all. */
mg_status mg_npy_write_i32(const char *path, const int32_t *data, int64_t n_rows, int64_t n_cols);

typedef struct mg_npy_info {
    mg_dtype dtype; /* MG_I32 or MG_F32 */
    int64_t n_rows, n_cols;
} mg_npy_info;

/* From the header. MG_EFAIL "PATH: …" for what is no such array, or not as long as its header says. */
mg_status mg_npy_probe(mg_npy_info *info, const char *path);

/* *data is malloc'ed. MG_EFAIL as above, and for another type of number. */
mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols);
mg_status mg_npy_read_f32(const char *path, float **data, int64_t *n_rows, int64_t *n_cols);

#endif
