/* How a weight matrix stands in the device's memory, and the products over it. Inside the backend.
 *
 * A slice of L inputs is cut into steps of 16, the last one filled up with zeros, and its steps into 8 equal
 * parts. A part is summed step after step; the parts are added in order. That is the order of every product,
 * whatever the rows, slices and tiles of the kernel that makes it: so a row's bits depend on the row alone.
 *
 *   bf16, fp16: [tile of 16 outputs][slice][step][32 lanes][8 values]: what a lane of mma.m16n8k16 wants of A
 *   fp32:       [tile of 32 outputs][slice][step][4][32 outputs][4 inputs]
 *
 * With settings.fast_products a plain copy stands behind it: [n_out][n_in], each row filled up with zeros to
 * whole steps. */
#ifndef MG_CUDA_MATRIX_CUH
#define MG_CUDA_MATRIX_CUH

#include "cuda_context.cuh"

enum { MG_TILE_F32 = 32 }; /* outputs; device_products.h has the other sizes */

/* Where part p of a slice's steps begins. */
MG_BOTH int mg_part_begin(int n_steps, int part)
{
    return n_steps * part / MG_PARTS;
}

/* Element (output o, input i of slice s) of a packed matrix: an index of 2-byte or 4-byte values. */
MG_BOTH int64_t mg_place_half(int64_t o, int s, int64_t i, int n_slices, int n_steps)
{
    const int row = (int)(o % MG_TILE_HALF), column = (int)(i % MG_STEP);
    const int lane = row % 8 * 4 + column % 8 / 2, reg = row / 8 + column / 8 * 2;

    return (((o / MG_TILE_HALF * n_slices + s) * n_steps + i / MG_STEP) * 32 + lane) * 8 + reg * 2 +
           column % 2;
}

MG_BOTH int64_t mg_place_f32(int64_t o, int s, int64_t i, int n_slices, int n_steps)
{
    return (((o / MG_TILE_F32 * n_slices + s) * n_steps * 4 + i / 4) * 32 + o % MG_TILE_F32) * 4 + i % 4;
}

/* Values of a row of the plain copy. */
static inline int64_t mg_plain_width(const mg_matrix *w)
{
    return mg_ceil_div(w->n_in, MG_STEP) * MG_STEP;
}

/* Bytes of the packed matrix, and the plain copy behind it. */
size_t mg_packed_matrix_bytes(const mg_matrix *w);
static inline char *mg_plain_of(const mg_matrix *w)
{
    return (char *)w->data + mg_packed_matrix_bytes(w);
}

/* Rows of x that a product reads: row r, input k stands at x[r * row_stride + k / run * run_stride + k %
 * run]. A plain matrix is one run; a convolution has one for each tap. */
typedef struct mg_rows {
    const float *x;
    int64_t row_stride, run, run_stride;
    int64_t n;
} mg_rows;

/* A cache that takes outputs from first_col on: keys, then values (ops.h, mg_kv_write). k NULL: none does. */
typedef struct mg_finish_kv {
    void *k, *v;
    const int32_t *row, *pos; /* [rows of the product] */
    int32_t *fault;
    int64_t first_col;
    int32_t format, n_rows, H, T_max, E;
} mg_finish_kv;

/* What becomes of the sums. */
typedef struct mg_finish {
    float *y;
    int64_t row_stride;
    const float *bias; /* [n_bias], output o takes o % n_bias; or NULL */
    int32_t n_bias;
    int32_t act; /* mg_act */
    int32_t accumulate;
    mg_finish_kv kv;
} mg_finish;

/* A norm of x's rows on the way in; gamma NULL: none. */
typedef struct mg_row_norm {
    const float *gamma, *beta; /* beta NULL: root mean square */
    float eps;
} mg_row_norm;

/* Whether that product of n rows takes a norm on the way in. */
bool mg_product_takes_norm(const mg_matrix *w, int64_t n_rows);

mg_status mg_product(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                     const mg_row_norm *norm);

#endif
