/* What the kernels of attention share: their arguments, and where a token's chunks go. Inside the backend. */
#ifndef MG_CUDA_ATTENTION_CUH
#define MG_CUDA_ATTENTION_CUH

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

enum { MG_KEYS_OF_CHUNK = 256 };

typedef struct attention {
    float *y;                       /* [N, H*E] */
    const float *x;                 /* [N, x_width] */
    float *partial;                 /* [N, H, n_chunks, 2 + E]: largest, sum, values */
    uint32_t *tickets;              /* [N, H] */
    const int32_t *kv_row, *n_keys; /* [N] */
    const float *rel_bias;          /* [H, bias_width] or NULL */
    int32_t *fault;
    int64_t x_width;
    int32_t bias_width, bias_first; /* the bias of token n and key j: bias_first - n + j */
    int32_t H, T_max, E, n_rows, n_chunks;
    int32_t n_early; /* the tokens of the call, if it reads early; else 0 */
    float scale;
} attention;

/* The keys that token n may have, its row in the cache; 0 and a fault where they are none. One thread of
 * those that ask says so. */
MG_INLINE int mg_keys_of(const attention *a, int64_t n, int *row, bool says_so)
{
    const int n_keys = a->n_keys[n], most = a->rel_bias ? a->bias_first + 1 : a->T_max;

    *row = a->kv_row[n];
    if (*row >= 0 && *row < a->n_rows && n_keys >= 0 && n_keys <= a->T_max && n_keys <= most) return n_keys;
    if (says_so) mg_note_fault(a->fault, MG_FAULT_KEYS, n_keys);
    return 0;
}

/* How many keys of a row stood in the cache before the step: those before the newest key of the row's first
 * token. By all lanes of a warp. */
MG_INLINE int mg_settled_keys(const attention *a, int row)
{
    int first_new = a->T_max;

    for (int n = threadIdx.x % 32; n < a->n_early; n += 32)
        if (a->kv_row[n] == row && a->n_keys[n] - 1 < first_new) first_new = a->n_keys[n] - 1;
#pragma unroll
    for (int o = 1; o < 32; o *= 2) {
        const int other = __shfl_xor_sync(0xffffffffu, first_new, o);
        first_new = other < first_new ? other : first_new;
    }
    return first_new;
}

/* Where the largest score of a chunk goes, and behind it the sum of its weights and its weighted values. */
MG_INLINE float *mg_chunk_of(const attention *a, int64_t n, int64_t h, int chunk)
{
    return a->partial + ((n * a->H + h) * a->n_chunks + chunk) * (2 + a->E);
}

/* A column of a token's chunks, as far as they have been put together. */
typedef struct chunk_sums {
    float sum, value;
} chunk_sums;

MG_INLINE void mg_add_chunk(chunk_sums *s, float top_of_all, float top, float sum, float value)
{
    const float shrink = expf(top - top_of_all);

    s->sum = fmaf(sum, shrink, s->sum);
    s->value = fmaf(value, shrink, s->value);
}

/* Column e of a token's chunks put together, in ascending order. A step waits for it: what a clip of the
 * usual length has is asked for at once. */
MG_INLINE float mg_of_chunks(const attention *a, int64_t n, int64_t h, int n_chunks, int e)
{
    enum { AT_ONCE = 8 };
    float tops[AT_ONCE], sums[AT_ONCE], values[AT_ONCE], top = -INFINITY;
    chunk_sums all = {0, 0};

#pragma unroll
    for (int c = 0; c < AT_ONCE; c++) {
        const float *from = mg_chunk_of(a, n, h, c);
        tops[c] = c < n_chunks ? __ldcg(from) : -INFINITY;
        sums[c] = c < n_chunks ? __ldcg(from + 1) : 0.0f;
        values[c] = c < n_chunks ? __ldcg(from + 2 + e) : 0.0f;
    }
#pragma unroll
    for (int c = 0; c < AT_ONCE; c++) top = fmaxf(top, tops[c]);
    for (int c = AT_ONCE; c < n_chunks; c++) top = fmaxf(top, __ldcg(mg_chunk_of(a, n, h, c)));
#pragma unroll
    for (int c = 0; c < AT_ONCE; c++)
        if (c < n_chunks) mg_add_chunk(&all, top, tops[c], sums[c], values[c]);
    for (int c = AT_ONCE; c < n_chunks; c++) {
        const float *from = mg_chunk_of(a, n, h, c);
        mg_add_chunk(&all, top, __ldcg(from), __ldcg(from + 1), __ldcg(from + 2 + e));
    }
    return all.value / all.sum;
}

/* N values of a token's head, of which the kernel before has written: 16 bytes at a time where they stand so.
 */
template <int N> MG_INLINE void mg_read_query(float (&q)[N], const attention *a, const float *from)
{
    static_assert(N % 4 == 0, "whole fours");
    if (a->x_width % 4 == 0 && reinterpret_cast<uintptr_t>(a->x) % 16 == 0) {
#pragma unroll
        for (int i = 0; i < N; i += 4) {
            const float4 v = __ldcg(reinterpret_cast<const float4 *>(from + i));
            q[i] = v.x, q[i + 1] = v.y, q[i + 2] = v.z, q[i + 3] = v.w;
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) q[i] = __ldcg(from + i);
}

/* Attention of many tokens (cuda_attention_many.cu), where that kernel suits them: *done says it. `all`: they
 * are all tokens of the call. */
mg_status mg_attend_many(mg_cuda *cuda, bool *done, const mg_kv *kv, const attention *a, int64_t N, bool all);

/* The arguments of all tokens of x [N, W]; y, rel_bias and n_chunks' memory are the caller's to say. */
attention mg_attention_of(const mg_cuda *cuda, const mg_tensor *x, const mg_attend *over);

#endif
