/* Products of many rows by cuBLASLt, where settings.fast_products asks for them. Inside the backend.
 *
 * They read the plain copies of matrices (cuda_matrix.cuh). What comes before a product and after it is ours:
 * the norm and the rounding of x; bias, activation and cache. A row's bits depend on the number of rows. */
#ifndef MG_CUDA_FAST_CUH
#define MG_CUDA_FAST_CUH

#include "cuda_matrix.cuh"

/* Rows up to which our own kernels are taken: see cuda_fast.cu. */
enum { MG_FAST_ABOVE_ROWS = 32 };

/* MG_EFIT if there is no cuBLASLt, or the plug-in was built without its header. */
mg_status mg_fast_open(mg_cuda *cuda);
void mg_fast_close(mg_cuda *cuda);

/* mg_product, if cuBLASLt takes it: *done false if it does not. */
mg_status mg_fast_product(mg_cuda *cuda, bool *done, const mg_finish *to, const mg_rows *x,
                          const mg_matrix *w, const mg_row_norm *norm);

#endif
