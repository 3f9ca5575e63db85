/* Sizes of a device's products, and how many rows go which way: for the CUDA backend, whose rule it is
 * (kernels/cuda/cuda_variants.cu), and for mg_predict, which counts the kernels of a step that runs
 * elsewhere. */
#ifndef MG_DEVICE_PRODUCTS_H
#define MG_DEVICE_PRODUCTS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __CUDACC__
#define MG_BOTH __host__ __device__ static inline
#else
#define MG_BOTH static inline
#endif

enum {
    MG_STEP = 16,          /* inputs */
    MG_PARTS = 8,          /* of a slice */
    MG_TILE_HALF = 16,     /* outputs */
    MG_FEW_CHUNK = 4,      /* steps that a warp asks for and waits for together */
    MG_FEW_ROWS = 16,      /* of a 16-bit product that is one kernel; more are packed before */
    MG_FEW_F32_ROWS = 8,   /* of an fp32 product that takes a norm on the way in */
    MG_ROWS_AT_ONCE = 128, /* of a 16-bit product, which begins anew behind them */
    MG_WHOLE_ROWS = 64,    /* the most, and … */
    MG_WHOLE_STEPS = 128,  /* of all slices, that one block goes through */
};

MG_BOTH int mg_slice_steps(int64_t L)
{
    return (int)((L + MG_STEP - 1) / MG_STEP);
}

/* Of a product of more than MG_FEW_ROWS rows: whether one block goes through all slices. Otherwise each has
 * blocks of its own, and one more kernel adds them. */
static inline bool mg_slices_are_short(int64_t n_in, int64_t n_slices, int64_t n_rows)
{
    return n_slices > 1 && mg_slice_steps(n_in / n_slices) * n_slices <= MG_WHOLE_STEPS &&
           n_rows <= MG_WHOLE_ROWS;
}

/* Chunks that a warp takes, of a slice or of a part of one; that its ring holds, one at least; and values
 * from row to row of its x, which needs no two rows in the same banks. */
MG_BOTH int mg_few_chunks(int n_steps, bool sliced)
{
    const int part = (n_steps + MG_PARTS - 1) / MG_PARTS;

    return sliced ? MG_PARTS / MG_FEW_CHUNK * part : (part + MG_FEW_CHUNK - 1) / MG_FEW_CHUNK;
}

MG_BOTH int mg_few_held(int n_steps, bool sliced, int depth)
{
    const int n = mg_few_chunks(n_steps, sliced);

    return n < 1 ? 1 : n < depth / MG_FEW_CHUNK ? n : depth / MG_FEW_CHUNK;
}

MG_BOTH int mg_few_pitch(int n_steps, bool sliced)
{
    return (sliced ? n_steps : (n_steps + MG_PARTS - 1) / MG_PARTS) * MG_STEP + 8;
}

#endif
