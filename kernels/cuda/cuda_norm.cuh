/* The norm of one row by one warp: the same sums in the same order wherever it is done, alone or on the way
 * into a product. Element i belongs to lane i / 4 % 32, which has a sum for each i % 4. Inside the backend.
 */
#ifndef MG_CUDA_NORM_CUH
#define MG_CUDA_NORM_CUH

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

typedef struct mg_row_scale {
    float mean, scale;
} mg_row_scale;

/* Four values of a row of D from i on; zeros past its end. SHARED: it stands in shared memory, filled up with
 * zeros to a multiple of 4; otherwise in global memory, where the kernel before may have written it. */
template <bool SHARED> MG_INLINE float4 mg_row_four(const float *x, int i, int D, bool aligned)
{
    if (SHARED) return *reinterpret_cast<const float4 *>(x + i);
    if (aligned) return __ldcg(reinterpret_cast<const float4 *>(x + i));
    float4 v = {0, 0, 0, 0};
    if (i < D) v.x = __ldcg(x + i);
    if (i + 1 < D) v.y = __ldcg(x + i + 1);
    if (i + 2 < D) v.z = __ldcg(x + i + 2);
    if (i + 3 < D) v.w = __ldcg(x + i + 3);
    return v;
}

/* Four sums that do not wait for each other; `left` of the values count. */
MG_INLINE void mg_square_four(float4 *sum, float4 v, float mean, int left)
{
    const float a = v.x - mean, b = v.y - mean, c = v.z - mean, d = v.w - mean;

    sum->x = fmaf(a, a, sum->x);
    if (left > 1) sum->y = fmaf(b, b, sum->y);
    if (left > 2) sum->z = fmaf(c, c, sum->z);
    if (left > 3) sum->w = fmaf(d, d, sum->w);
}

MG_INLINE float mg_sum_four(float4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

/* The mean, and the scale, from the lanes' sums; `share` is 1 / D. */
MG_INLINE float mg_mean_of(float4 sum, float share)
{
    return warp_sum(mg_sum_four(sum)) * share;
}

MG_INLINE float mg_scale_of(float4 square, float share, float eps)
{
    return rsqrtf(warp_sum(mg_sum_four(square)) * share + eps);
}

/* Of a row that the lanes of a warp hold, D a multiple of 4: lane l has fours l, l + 32 … of it. */
template <int FOURS>
MG_INLINE mg_row_scale mg_norm_held(const float4 (&v)[FOURS], int D, const mg_row_norm *norm)
{
    const int first = threadIdx.x % 32 * 4;
    const float share = 1.0f / (float)D;
    mg_row_scale s = {0, 0};
    float4 sum = {0, 0, 0, 0}, square = {0, 0, 0, 0};

#pragma unroll
    for (int j = 0; j < FOURS; j++)
        if (first + 128 * j < D) sum.x += v[j].x, sum.y += v[j].y, sum.z += v[j].z, sum.w += v[j].w;
    if (norm->beta) s.mean = mg_mean_of(sum, share);
#pragma unroll
    for (int j = 0; j < FOURS; j++)
        if (first + 128 * j < D) mg_square_four(&square, v[j], s.mean, 4);
    s.scale = mg_scale_of(square, share, norm->eps);
    return s;
}

enum { MG_HELD_FOURS = 8 };

/* The same of a row in memory. One in shared memory that the lanes can hold is read once, and all at once: a
 * step waits for it. */
template <bool SHARED> MG_INLINE mg_row_scale mg_norm_row(const float *x, int D, const mg_row_norm *norm)
{
    const int lane = threadIdx.x % 32;
    const bool aligned = D % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
    const float share = 1.0f / (float)D;
    mg_row_scale s = {0, 0};
    float4 sum = {0, 0, 0, 0}, square = {0, 0, 0, 0};

    if (SHARED && D % 4 == 0 && D <= 128 * MG_HELD_FOURS) {
        float4 v[MG_HELD_FOURS];
#pragma unroll
        for (int j = 0; j < MG_HELD_FOURS; j++) {
            v[j] = make_float4(0, 0, 0, 0);
            if (4 * lane + 128 * j < D) v[j] = mg_row_four<SHARED>(x, 4 * lane + 128 * j, D, aligned);
        }
        return mg_norm_held(v, D, norm);
    }
#pragma unroll 4
    for (int i = 4 * lane; i < D; i += 128) {
        const float4 v = mg_row_four<SHARED>(x, i, D, aligned);
        sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
    }
    if (norm->beta) s.mean = mg_mean_of(sum, share);
#pragma unroll 4
    for (int i = 4 * lane; i < D; i += 128)
        mg_square_four(&square, mg_row_four<SHARED>(x, i, D, aligned), s.mean, D - i);
    s.scale = mg_scale_of(square, share, norm->eps);
    return s;
}

MG_INLINE float mg_norm_with(float x, mg_row_scale s, float gamma, float beta, bool shifts)
{
    const float v = (x - s.mean) * s.scale;

    return shifts ? fmaf(v, gamma, beta) : v * gamma;
}

MG_INLINE float mg_norm_value(float x, int i, mg_row_scale s, const mg_row_norm *norm)
{
    return mg_norm_with(x, s, norm->gamma[i], norm->beta ? norm->beta[i] : 0.0f, norm->beta != nullptr);
}

/* Rows of x, n values each, into shared memory, `pitch` (a multiple of 4) apart, zeros behind each: by the
 * whole block, all at once. To be followed by __syncthreads(). */
MG_INLINE void mg_stage_rows(float *to, int pitch, const float *x, int64_t row_stride, int n_rows, int n)
{
    if (n % 4 == 0 && row_stride % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0) {
        const int fours = pitch / 4, n_fours = n / 4;
        for (int e = threadIdx.x; e < n_rows * fours; e += blockDim.x) {
            const int row = e / fours, i = e % fours;
            if (i < n_fours)
                cp_async16(to + row * pitch + 4 * i, x + row * row_stride + 4 * i);
            else
                *reinterpret_cast<float4 *>(to + row * pitch + 4 * i) = make_float4(0, 0, 0, 0);
        }
        cp_async_commit();
        cp_async_wait<0>();
        return;
    }
    for (int e = threadIdx.x; e < n_rows * pitch; e += blockDim.x) {
        const int row = e / pitch, i = e % pitch;
        to[e] = i < n ? __ldcg(x + row * row_stride + i) : 0.0f;
    }
}

#endif
