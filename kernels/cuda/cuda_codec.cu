/* The codec's convolutions as products. Sound is time-major, so the rows under one output row stand one
 * behind the other: rows of the product overlap, a dilated convolution's in runs, and nothing is copied.
 *   convolution   a matrix [c_out, n_taps * c_in], tap-major
 *   transposed    a matrix [stride * c_out, J * c_in]: row p * c_out + o, earliest input row first
 *   few outputs   the same matrix by dot products: a tile of outputs would be mostly empty */
#include "cuda_codec.cuh"

#include "cuda_half.cuh"
#include "cuda_load.cuh"
#include "cuda_matrix.cuh"
#include "cuda_product_f32.cuh"

enum {
    THREADS = 256,
    WARPS = THREADS / 32,
    FEW_OUTPUTS = 4,
    ROWS_A_WARP = 8,
    ROWS_A_BLOCK = WARPS * ROWS_A_WARP,
    TOGETHER = 4, /* rows of a warp */
};

MG_BOTH int whole_fours(int n)
{
    return (n + 3) / 4 * 4;
}

typedef struct padding {
    uint32_t N, C, left, right; /* C: groups of a row */
    int32_t reflect, act;
} padding;

MG_INLINE float activated(float v, int act)
{
    return mg_activate(v, act);
}

MG_INLINE float4 activated(float4 v, int act)
{
    return make_float4(mg_activate(v.x, act), mg_activate(v.y, act), mg_activate(v.z, act),
                       mg_activate(v.w, act));
}

/* T: float, or float4 where a row is whole groups of 4. */
template <class T> __global__ void __launch_bounds__(THREADS) pad_k(T *y, const T *x, const padding p)
{
    let_successor_start();
    wait_for_predecessor();
    const uint32_t n = (p.left + p.N + p.right) * p.C, past = p.left + p.N;
#pragma unroll 2
    for (uint32_t e = blockIdx.x * THREADS + threadIdx.x; e < n; e += gridDim.x * THREADS) {
        const uint32_t at = e / p.C;
        int64_t row = (int64_t)at - p.left;
        if (p.reflect && at < p.left) row = -row;
        if (p.reflect && at >= past) row = 2 * ((int64_t)p.N - 1) - row;
        T v = {};
        if (row >= 0 && row < p.N) v = activated(__ldcg(x + row * p.C + (e - at * p.C)), p.act);
        y[e] = v;
    }
}

template <class T> static mg_status run_pad(mg_cuda *cuda, mg_tensor *y, const mg_tensor *x, padding p)
{
    const int64_t n = (int64_t)(p.left + p.N + p.right) * p.C;

    p.C /= (uint32_t)(sizeof(T) / sizeof(float));
    MG_REQUIRE(n < INT32_MAX);
    MG_RUN(cuda, pad_k<T>, (unsigned)mg_smaller(mg_ceil_div(n, THREADS), 8192), THREADS, 0, (T *)y->data,
           (const T *)x->data, p);
    return MG_OK;
}

mg_status mg_cuda_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                      mg_pad_mode mode, mg_act act)
{
    const padding p = {(uint32_t)x->dim[0], (uint32_t)x->dim[1],    (uint32_t)left,
                       (uint32_t)right,     mode == MG_PAD_REFLECT, (int32_t)act};
    const bool fours = x->dim[1] % 4 == 0 && (uintptr_t)x->data % 16 == 0 && (uintptr_t)y->data % 16 == 0;

    if (mg_tensor_count(y) == 0) return MG_OK;
    return fours ? run_pad<float4>(mg_cuda_of(ops), y, x, p) : run_pad<float>(mg_cuda_of(ops), y, x, p);
}

/* Rows of x under those of a block, where they overlap or touch, in shared memory: each is read once. */
MG_INLINE void stage_span(float *to, const float *from, int64_t n)
{
    if (reinterpret_cast<uintptr_t>(from) % 16 == 0) {
        for (int i = threadIdx.x; i < n / 4; i += THREADS) cp_async16(to + 4 * i, from + 4 * i);
        cp_async_commit();
        for (int i = (int)(n / 4) * 4 + (int)threadIdx.x; i < n; i += THREADS) to[i] = __ldcg(from + i);
        cp_async_wait<0>();
        return;
    }
    for (int i = threadIdx.x; i < n; i += THREADS) to[i] = __ldcg(from + i);
}

/* A warp makes ROWS_A_WARP rows, some together; weights in shared memory, [c_out][n_in], and behind them x if
 * it is STAGED. */
template <bool STAGED>
__global__ void __launch_bounds__(THREADS)
    dots_k(const float *w, const mg_rows x, const mg_finish to, int n_in, int n_steps, int c_out)
{
    MG_DYNAMIC_SHARED(float, shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t first = (int64_t)blockIdx.x * ROWS_A_BLOCK, left = x.n - first;
    const int n_rows = left < ROWS_A_BLOCK ? (int)left : ROWS_A_BLOCK;
    float *weights = shared, *staged = shared + whole_fours(c_out * n_in);

    let_successor_start();
    for (int e = threadIdx.x; e < c_out * n_in; e += THREADS)
        weights[e] = w[mg_place_f32(e / n_in, 0, e % n_in, 1, n_steps)];
    wait_for_predecessor();
    if (STAGED) stage_span(staged, x.x + first * x.row_stride, (n_rows - 1) * x.row_stride + n_in);
    __syncthreads();
    for (int r = warp * ROWS_A_WARP; r < (warp + 1) * ROWS_A_WARP && r < n_rows; r += TOGETHER) {
        float sum[TOGETHER][FEW_OUTPUTS] = {};
        for (int i = lane; i < n_in; i += 32) {
            const int64_t at = STAGED ? i : mg_input_at(&x, i);
            float v[TOGETHER];
#pragma unroll
            for (int j = 0; j < TOGETHER; j++) {
                v[j] = 0;
                if (r + j >= n_rows) continue;
                v[j] = STAGED ? staged[(r + j) * x.row_stride + at]
                              : __ldcg(x.x + (first + r + j) * x.row_stride + at);
            }
#pragma unroll
            for (int o = 0; o < FEW_OUTPUTS; o++) {
                if (o >= c_out) continue;
                const float weight = weights[o * n_in + i];
#pragma unroll
                for (int j = 0; j < TOGETHER; j++) sum[j][o] = fmaf(v[j], weight, sum[j][o]);
            }
        }
#pragma unroll
        for (int o = 0; o < FEW_OUTPUTS; o++) {
            if (o >= c_out) continue;
            float all[TOGETHER];
#pragma unroll
            for (int j = 0; j < TOGETHER; j++) all[j] = sum[j][o];
            const int j = warp_sums(all);
            float *y = to.y + (first + r + j) * to.row_stride + o;
            if (lane < TOGETHER && r + j < n_rows)
                *y = mg_finished(all[0], to.bias ? to.bias + o : nullptr, to.act, to.accumulate, y);
        }
    }
}

static mg_status run_dots(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w)
{
    const int64_t n_weights = whole_fours((int)(w->n_out * w->n_in));
    const int64_t span = (ROWS_A_BLOCK - 1) * x->row_stride + w->n_in;
    const bool staged = x->run_stride == x->run && x->row_stride <= w->n_in &&
                        (size_t)(n_weights + span) * sizeof(float) <= cuda->shared_bytes;
    const size_t bytes = (size_t)(n_weights + (staged ? span : 0)) * sizeof(float);
    auto *const kernel = staged ? dots_k<true> : dots_k<false>;

    MG_REQUIRE(bytes <= cuda->shared_bytes);
    MG_RETURN(mg_allow_shared(cuda, kernel, bytes));
    MG_RUN(cuda, kernel, mg_blocks(x->n, ROWS_A_BLOCK), THREADS, bytes, (const float *)w->data, *x, *to,
           (int)w->n_in, mg_slice_steps(w->n_in), (int)w->n_out);
    return MG_OK;
}

mg_status mg_cuda_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                         const mg_tensor *bias, bool accumulate)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const mg_matrix w = mg_cuda_conv_matrix(c);
    const mg_rows rows = {(const float *)x->data, c->stride * c->c_in, c->c_in, c->dilation * c->c_in,
                          y->dim[0]};
    const mg_finish to = {.y = (float *)y->data,
                          .row_stride = c->c_out,
                          .bias = bias ? (const float *)bias->data : NULL,
                          .n_bias = (int32_t)c->c_out,
                          .act = MG_ACT_NONE,
                          .accumulate = accumulate};

    if (c->c_out <= FEW_OUTPUTS) return run_dots(cuda, &to, &rows, &w);
    return mg_product(cuda, &to, &rows, &w, NULL);
}

mg_status mg_cuda_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                   const mg_tensor *bias)
{
    const mg_matrix w = mg_cuda_conv_matrix(c);
    const mg_rows rows = {(const float *)x->data, c->c_in, w.n_in, w.n_in, y->dim[0] / c->stride};
    const mg_finish to = {.y = (float *)y->data,
                          .row_stride = c->stride * c->c_out,
                          .bias = bias ? (const float *)bias->data : NULL,
                          .n_bias = (int32_t)c->c_out,
                          .act = MG_ACT_NONE,
                          .accumulate = false};

    return mg_product(mg_cuda_of(ops), &to, &rows, &w, NULL);
}

/* A warp a row: its square in fp64 by lanes, then the nearest of all codes, the first of equals. */
__global__ void __launch_bounds__(THREADS)
    nearest_k(int32_t *ids, float *x, const float *products, const float *table, const float *norms,
              int64_t N, int D, int V)
{
    const int lane = threadIdx.x % 32;
    const int64_t n = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    double square = 0;
    float best = -INFINITY;
    int at = V;

    let_successor_start();
    wait_for_predecessor();
    if (n >= N) return;
    for (int i = lane; i < D; i += 32) {
        const double v = (double)__ldcg(x + n * D + i);
        square += v * v;
    }
#pragma unroll
    for (int o = 1; o < 32; o *= 2) square += __shfl_xor_sync(0xffffffffu, square, o);
    for (int v = lane; v < V; v += 32) {
        const float score = -(((float)square - 2 * __ldcg(products + n * V + v)) + norms[v]);
        if (score > best || at == V) best = score, at = v;
    }
#pragma unroll
    for (int o = 1; o < 32; o *= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, best, o);
        const int other_at = __shfl_xor_sync(0xffffffffu, at, o);
        if (other_at < V && (at == V || other > best || (other == best && other_at < at)))
            best = other, at = other_at;
    }
    for (int i = lane; i < D; i += 32) x[n * D + i] = __ldcg(x + n * D + i) - table[(int64_t)at * D + i];
    if (lane == 0) ids[n] = at;
}

mg_status mg_cuda_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                               const mg_tensor *table, const mg_tensor *norms)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    if (x->dim[0] == 0) return MG_OK;
    MG_RUN(cuda, nearest_k, mg_blocks(x->dim[0], WARPS), THREADS, 0, (int32_t *)ids->data, (float *)x->data,
           (const float *)products->data, (const float *)table->data, (const float *)norms->data, x->dim[0],
           (int)table->dim[1], (int)table->dim[0]);
    return MG_OK;
}
