/* NumPy's .npy of two dimensions: codes out and in, text states in. Written by hand because no library for it
 * is packaged. Read: versions 1 to 3, any integer or float type, either byte order, C or Fortran order, and
 * more dimensions if the outer ones are 1. */
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

typedef enum mg_npy_kind { MG_NPY_INT, MG_NPY_UINT, MG_NPY_FLOAT, MG_NPY_BF16 } mg_npy_kind;

typedef struct mg_npy_info {
    mg_npy_kind kind;
    char type[16]; /* as NumPy calls it: "int64", "float16" */
    int64_t n_rows, n_cols;
} mg_npy_info;

/* From the header. MG_EFAIL "PATH: …" for what is no such array, or not as long as its header says. */
mg_status mg_npy_probe(mg_npy_info *info, const char *path);

/* Can it be read as floats? uint16 can: NumPy has no bfloat16, so people save its bits. */
bool mg_npy_has_floats(const mg_npy_info *info);

/* *data is malloc'ed. MG_EFAIL as above, for floats, and for an integer that 32 bits do not hold. */
mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols);

/* *data is malloc'ed. MG_EFAIL as above, and for integers. float64 is rounded. */
mg_status mg_npy_read_f32(const char *path, float **data, int64_t *n_rows, int64_t *n_cols);

#endif
