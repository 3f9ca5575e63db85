/* A product with bf16 or fp16 weights as its kernels get it. Inside the backend. */
#ifndef MG_CUDA_PRODUCT_HALF_CUH
#define MG_CUDA_PRODUCT_HALF_CUH

#include "cuda_norm.cuh"
#include "cuda_product.cuh"
#include "cuda_variants.cuh"

typedef struct half_product {
    const uint4 *w;
    uint2 *packed; /* [slice][step][n-tile][32 lanes] */
    mg_rows x;
    mg_row_norm norm;
    mg_finish to;
    float *partial;                                  /* [slice][row][n_tiles * 16] */
    uint32_t *tickets;                               /* [n_tiles] */
    int32_t n_out, n_tiles, n_in, n_slices, n_steps; /* n_in, n_steps: of a slice */
    int32_t n_row_tiles;                             /* of 8 rows, in packed */
} half_product;

#endif
