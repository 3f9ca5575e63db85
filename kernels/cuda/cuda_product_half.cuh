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

/* Of all that `to` and w say; x, the norm and the rows' tiles are the caller's to say. */
half_product mg_half_product_of(const mg_cuda *cuda, const mg_finish *to, const mg_matrix *w);

/* x of the rows into p->packed, through the norm if there is one (cuda_pack.cu). */
mg_status mg_pack_rows(mg_cuda *cuda, const half_product *p, mg_format format);

/* A product of packed rows by a tiled variant, and the list of these (cuda_product_many.cu). */
mg_status mg_run_tiled(mg_cuda *cuda, const half_product *p, const mg_variant *v);
void mg_tiled_variants(mg_variant to[MG_N_TILED_VARIANTS], mg_format format);

#endif
