/* What the two ways of an fp32 product share: up to MG_FEW_F32_ROWS rows (cuda_product_f32.cu) and more
 * (cuda_tile_f32.cu). Inside the backend. */
#ifndef MG_CUDA_PRODUCT_F32_CUH
#define MG_CUDA_PRODUCT_F32_CUH

#include "cuda_product.cuh"

typedef struct mg_f32_product {
    const float4 *w;
    mg_rows x;
    mg_row_norm norm;
    mg_finish to;
    float *partial;    /* [slice][row][n_tiles * 32], or [part] … where blocks share a tile's parts */
    uint32_t *tickets; /* one for each tile whose sums several blocks make */
    int32_t n_out, n_tiles, n_in, n_slices, n_steps; /* n_in, n_steps: of a slice */
    int32_t n_splits;                                /* blocks that share the parts of a tile */
    int32_t x_fours, y_fours;                        /* x is read, y written 16 bytes at a time */
} mg_f32_product;

MG_INLINE float mg_chain(float sum, float4 w, float4 x)
{
    return fmaf(w.w, x.w, fmaf(w.z, x.z, fmaf(w.y, x.y, fmaf(w.x, x.x, sum))));
}

/* Where input i of a row begins: past whole runs. */
MG_INLINE int64_t mg_input_at(const mg_rows *x, int i)
{
    const int run = (int)x->run;

    return x->run_stride == x->run ? i : i / run * x->run_stride + i % run;
}

/* What the last block of some tiles does with rows [first_row, end_row) and outputs [first, first + width).
 */
MG_INLINE void mg_add_slices(const mg_f32_product *p, int64_t first_row, int64_t end_row, int64_t first,
                             int width)
{
    const int64_t row_width = (int64_t)p->n_tiles * MG_TILE_F32;

    for (int64_t e = threadIdx.x; e < (end_row - first_row) * width; e += blockDim.x) {
        const int64_t row = first_row + e / width, o = first + e % width;
        if (o >= p->n_out) continue;
        const float *partial = p->partial + row * row_width + o;
        mg_finish_value(&p->to, row, o, mg_slice_tree(partial, p->x.n * row_width, p->n_slices));
    }
}

/* More rows than few, and no norm: by the way and the splits (1, 2, 4, 8) that are asked for, or, with way
 * -1, those that arithmetic holds for the fastest. Bits do not depend on it. */
enum { MG_TILE_WAYS = 4 };
mg_status mg_tile_product_f32(mg_cuda *cuda, mg_f32_product *p, int way, int n_splits);

/* mg_product_f32, by that way if `way` >= 0; for tests. */
mg_status mg_product_f32_by(mg_cuda *cuda, int way, int n_splits, const mg_finish *to, const mg_rows *x,
                            const mg_matrix *w, const mg_row_norm *norm);

#endif
