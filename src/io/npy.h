/* NumPy's .npy, version 1.0, C order: what --save-codes writes. */
#ifndef MG_NPY_H
#define MG_NPY_H

#include <stdint.h>

#include "status.h"

/* int32 [n_rows, n_cols]. Whole or not at all. */
mg_status mg_npy_write_i32(const char *path, const int32_t *data, int64_t n_rows, int64_t n_cols);

/* The reverse, for tests and later for codes as input. *data is malloc'ed. */
mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols);

#endif
