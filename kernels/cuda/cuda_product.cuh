/* What both kinds of product share: the last steps of a tile. Inside the backend. */
#ifndef MG_CUDA_PRODUCT_CUH
#define MG_CUDA_PRODUCT_CUH

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

/* True in the block that is the last of n at `ticket`: it sees what the others wrote before they came. All
 * threads of a block call it. The ticket is zero again afterwards. */
MG_INLINE bool mg_is_last_block(uint32_t *ticket, int n)
{
    MG_SHARED(is_last, int32_t[1]);

    __syncthreads(); /* kept: what the block wrote, before its ticket tells other blocks */
    if (threadIdx.x == 0) {
        is_last[0] = atomic_add_ordered(ticket, 1) == (uint32_t)n - 1;
        if (is_last[0]) *ticket = 0;
    }
    __syncthreads();
    return is_last[0] != 0;
}

/* Slices in the tree of ops.h: ((s0+s1)+(s2+s3))+… */
MG_INLINE float mg_tree(const float (&s)[8], int n_slices)
{
    const float two = s[0] + s[1];
    if (n_slices == 2) return two;
    const float four = two + (s[2] + s[3]);
    return n_slices == 4 ? four : four + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* The same in global memory, `stride` from slice to slice. */
MG_INLINE float mg_slice_tree(const float *partial, int64_t stride, int n_slices)
{
    float s[8];

#pragma unroll
    for (int i = 0; i < 8; i++) s[i] = i < n_slices ? __ldcg(partial + i * stride) : 0.0f;
    return mg_tree(s, n_slices);
}

MG_INLINE void mg_store_cached(void *to, int format, float value)
{
    if (format == MG_FORMAT_BF16)
        *(__nv_bfloat16 *)to = mg_value<__nv_bfloat16>::narrow(value);
    else if (format == MG_FORMAT_F16)
        *(__half *)to = mg_value<__half>::narrow(value);
    else
        *(float *)to = value;
}

/* Output o of a row, which is a key's or a value's. */
MG_INLINE void mg_cache_value(const mg_finish_kv *kv, int64_t n, int64_t o, float value)
{
    const int64_t HE = (int64_t)kv->H * kv->E, column = o - kv->first_col;
    const int row = kv->row[n], at = kv->pos[n];
    void *to = column < HE ? kv->k : kv->v;
    const int64_t c = column < HE ? column : column - HE;

    if (row < 0 || row >= kv->n_rows || at < 0 || at >= kv->T_max) {
        mg_note_fault(kv->fault, MG_FAULT_CACHE, at);
        return;
    }
    const int64_t i = (((int64_t)row * kv->H + c / kv->E) * kv->T_max + at) * kv->E + c % kv->E;
    mg_store_cached((char *)to + i * (kv->format == MG_FORMAT_F32 ? 4 : 2), kv->format, value);
}

MG_INLINE void mg_finish_value(const mg_finish *to, int64_t row, int64_t o, float sum)
{
    float *y = to->y + row * to->row_stride + o;

    if (to->kv.k && o >= to->kv.first_col && o < to->kv.first_col + 2 * (int64_t)to->kv.H * to->kv.E) {
        mg_cache_value(&to->kv, row, o, mg_activate(sum, to->act));
        return;
    }
    *y = mg_finished(sum, to->bias ? to->bias + o % to->n_bias : nullptr, to->act, to->accumulate, y);
}

/* The parts of scratch: packed rows, a quarter, then partial sums. */
static inline int64_t mg_packed_bytes(const mg_cuda *cuda)
{
    return (int64_t)cuda->scratch_bytes / 4;
}

static inline int64_t mg_partial_bytes(const mg_cuda *cuda)
{
    return (int64_t)cuda->scratch_bytes - mg_packed_bytes(cuda);
}

mg_status mg_product_half(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                          const mg_row_norm *norm);
mg_status mg_product_f32(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                         const mg_row_norm *norm);

#endif
