/* The codec's convolutions as products. Sound is time-major, so the rows under one output row stand one
 * behind the other: rows of the product overlap, a dilated convolution's in runs, and nothing is copied.
 *   convolution   a matrix [c_out, n_taps * c_in], tap-major
 *   transposed    a matrix [stride * c_out, J * c_in]: row p * c_out + o, earliest input row first
 *   few outputs   the same matrix by dot products: a tile of outputs would be mostly empty */
#include "cuda_codec.cuh"

#include "cuda_half.cuh"
#include "cuda_load.cuh"
#include "cuda_matrix.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, FEW_OUTPUTS = 4, ROWS_A_WARP = 8 };

__global__ void __launch_bounds__(THREADS)
    pad_k(float *y, const float *x, int64_t N, int64_t C, int64_t left, int64_t right, int reflect, int act)
{
    let_successor_start();
    wait_for_predecessor();
    for (int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x; e < (left + N + right) * C;
         e += (int64_t)gridDim.x * THREADS) {
        int64_t row = e / C - left;
        float v = 0;
        if (reflect && row < 0) row = -row;
        if (reflect && row >= N) row = 2 * (N - 1) - row;
        if (row >= 0 && row < N) v = mg_activate(__ldcg(x + row * C + e % C), act);
        y[e] = v;
    }
}

mg_status mg_cuda_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                      mg_pad_mode mode, mg_act act)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t n = mg_tensor_count(y);

    if (n == 0) return MG_OK;
    MG_RUN(cuda, pad_k, (unsigned)mg_smaller(mg_ceil_div(n, THREADS), 8192), THREADS, 0, (float *)y->data,
           (const float *)x->data, x->dim[0], x->dim[1], left, right, (int)(mode == MG_PAD_REFLECT),
           (int)act);
    return MG_OK;
}

/* A warp makes ROWS_A_WARP rows, one after the other; weights in shared memory, [c_out][n_in]. */
__global__ void __launch_bounds__(THREADS)
    dots_k(const float *w, const mg_rows x, const mg_finish to, int n_in, int n_steps, int c_out)
{
    MG_DYNAMIC_SHARED(float, weights);
    const int lane = threadIdx.x % 32;

    let_successor_start();
    for (int e = threadIdx.x; e < c_out * n_in; e += THREADS)
        weights[e] = w[mg_place_f32(e / n_in, 0, e % n_in, 1, n_steps)];
    wait_for_predecessor();
    __syncthreads();
    const int64_t first = ((int64_t)blockIdx.x * WARPS + threadIdx.x / 32) * ROWS_A_WARP;
    for (int64_t row = first; row < first + ROWS_A_WARP && row < x.n; row++) {
        const float *from = x.x + row * x.row_stride;
        float sum[FEW_OUTPUTS] = {0, 0, 0, 0};
        for (int i = lane; i < n_in; i += 32) {
            const float v = __ldcg(from + (x.run_stride == x.run ? i : i / x.run * x.run_stride + i % x.run));
#pragma unroll
            for (int o = 0; o < FEW_OUTPUTS; o++)
                if (o < c_out) sum[o] = fmaf(v, weights[o * n_in + i], sum[o]);
        }
#pragma unroll
        for (int o = 0; o < FEW_OUTPUTS; o++) {
            if (o >= c_out) continue;
            const float all = warp_sum(sum[o]);
            float *y = to.y + row * to.row_stride + o;
            if (lane == 0) *y = mg_finished(all, to.bias ? to.bias + o : nullptr, to.act, to.accumulate, y);
        }
    }
}

static mg_status run_dots(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w)
{
    const size_t bytes = (size_t)(w->n_out * w->n_in) * sizeof(float);

    MG_REQUIRE(bytes <= cuda->shared_bytes);
    MG_RETURN(mg_allow_shared(dots_k, bytes));
    MG_RUN(cuda, dots_k, mg_blocks(x->n, WARPS * ROWS_A_WARP), THREADS, bytes, (const float *)w->data, *x,
           *to, (int)w->n_in, mg_slice_steps(w->n_in), (int)w->n_out);
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
