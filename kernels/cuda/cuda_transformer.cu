/* The transformer's small slots: embedding, norms, element by element, and the write into the cache. */
#include "cuda_transformer.cuh"

#include "cuda_fast.cuh"
#include "cuda_norm.cuh"
#include "cuda_product.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

/* THREADS values of a token a block. Rows of tables come from memory, so all that a thread needs is asked for
 * at once: its ids, then EMBED_AT_ONCE rows. */
enum { EMBED_AT_ONCE = 8 };

__global__ void __launch_bounds__(THREADS)
    embed_k(float *x, const float *tables, const int32_t *ids, const float *positions, const int32_t *pos,
            int32_t *fault, int D, int K, int V, int P)
{
    const int64_t n = blockIdx.x;
    const int d = blockIdx.y * THREADS + threadIdx.x;
    const bool notes = blockIdx.y == 0 && threadIdx.x == 0;
    float sum = 0, position = 0;

    let_successor_start();
    wait_for_predecessor();
    const int32_t at = pos ? __ldcg(pos + n) : 0;
    for (int k0 = 0; k0 < K; k0 += EMBED_AT_ONCE) {
        int32_t id[EMBED_AT_ONCE];
        float v[EMBED_AT_ONCE];
#pragma unroll
        for (int k = 0; k < EMBED_AT_ONCE; k++) id[k] = k0 + k < K ? __ldcg(ids + n * K + k0 + k) : 0;
#pragma unroll
        for (int k = 0; k < EMBED_AT_ONCE; k++) {
            const bool is_there = k0 + k < K && id[k] >= 0 && id[k] < V;
            v[k] = is_there && d < D ? tables[((int64_t)(k0 + k) * V + id[k]) * D + d] : 0.0f;
            if (notes && k0 + k < K && !is_there) mg_note_fault(fault, MG_FAULT_TOKEN, id[k]);
        }
        if (k0 == 0 && pos && at >= 0 && at < P && d < D) position = positions[(int64_t)at * D + d];
#pragma unroll
        for (int k = 0; k < EMBED_AT_ONCE; k++)
            if (k0 + k < K) sum = k0 + k ? sum + v[k] : v[k];
    }
    if (notes && (at < 0 || at >= P)) mg_note_fault(fault, MG_FAULT_POSITION, at);
    if (d < D) x[n * D + d] = pos && at >= 0 && at < P ? sum + position : sum;
}

mg_status mg_cuda_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                        const mg_tensor *positions, const mg_tensor *pos)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    if (x->dim[0] == 0) return MG_OK;
    const dim3 grid((unsigned)x->dim[0], mg_blocks(x->dim[1], THREADS));
    MG_RUN(cuda, embed_k, grid, THREADS, 0, (float *)x->data, (const float *)tables->data,
           (const int32_t *)ids->data, positions ? (const float *)positions->data : NULL,
           pos ? (const int32_t *)pos->data : NULL, cuda->fault, (int)x->dim[1], (int)tables->dim[0],
           (int)tables->dim[1], positions ? (int)positions->dim[0] : 1);
    return MG_OK;
}

/* A warp a row; may be in place, so no lane writes before all have read. */
__global__ void __launch_bounds__(THREADS)
    norm_k(float *y, const float *x, mg_row_norm norm, int64_t N, int D)
{
    const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;

    let_successor_start();
    wait_for_predecessor();
    if (row >= N) return;
    const mg_row_scale s = mg_norm_row<false>(x + row * D, D, &norm);
    __syncwarp();
    for (int i = threadIdx.x % 32; i < D; i += 32)
        y[row * D + i] = mg_norm_value(__ldcg(x + row * D + i), i, s, &norm);
}

/* A row of up to 128 * FOURS values that its warp holds: it is read once, all at a time. */
template <int FOURS>
__global__ void __launch_bounds__(THREADS)
    norm_held_k(float *y, const float *x, mg_row_norm norm, int64_t N, int D)
{
    const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    const int first = threadIdx.x % 32 * 4;
    float4 v[FOURS];

    let_successor_start();
    wait_for_predecessor();
    if (row >= N) return;
#pragma unroll
    for (int j = 0; j < FOURS; j++)
        v[j] = first + 128 * j < D ? __ldcg(reinterpret_cast<const float4 *>(x + row * D + first + 128 * j))
                                   : make_float4(0, 0, 0, 0);
    const mg_row_scale s = mg_norm_held(v, D, &norm);
#pragma unroll
    for (int j = 0; j < FOURS; j++) {
        const int i = first + 128 * j;
        if (i < D)
            *reinterpret_cast<float4 *>(y + row * D + i) =
                make_float4(mg_norm_value(v[j].x, i, s, &norm), mg_norm_value(v[j].y, i + 1, s, &norm),
                            mg_norm_value(v[j].z, i + 2, s, &norm), mg_norm_value(v[j].w, i + 3, s, &norm));
    }
}

static mg_status run_norm(mg_cuda *cuda, mg_tensor *y, const mg_tensor *x, const mg_row_norm *norm)
{
    enum { FOURS = 8 };
    const bool fours = x->dim[1] % 4 == 0 && ((uintptr_t)x->data | (uintptr_t)y->data) % 16 == 0;

    if (x->dim[0] == 0) return MG_OK;
    if (fours && x->dim[1] <= 128 * FOURS) {
        MG_RUN(cuda, norm_held_k<FOURS>, mg_blocks(x->dim[0], WARPS), THREADS, 0, (float *)y->data,
               (const float *)x->data, *norm, x->dim[0], (int)x->dim[1]);
        return MG_OK;
    }
    MG_RUN(cuda, norm_k, mg_blocks(x->dim[0], WARPS), THREADS, 0, (float *)y->data, (const float *)x->data,
           *norm, x->dim[0], (int)x->dim[1]);
    return MG_OK;
}

mg_status mg_cuda_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                             const mg_tensor *beta, float eps)
{
    const mg_row_norm norm = {(const float *)gamma->data, (const float *)beta->data, eps};

    return run_norm(mg_cuda_of(ops), y, x, &norm);
}

mg_status mg_cuda_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                           float eps)
{
    const mg_row_norm norm = {(const float *)gamma->data, NULL, eps};

    return run_norm(mg_cuda_of(ops), y, x, &norm);
}

bool mg_product_takes_norm(const mg_matrix *w, int64_t n_rows)
{
    return w->n_slices == 1 && (w->format != MG_FORMAT_F32 || n_rows <= MG_FEW_F32_ROWS);
}

mg_status mg_product(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                     const mg_row_norm *norm)
{
    bool done = false;

    if (cuda->fast) MG_RETURN(mg_fast_product(cuda, &done, to, x, w, norm));
    if (done) return MG_OK;
    if (w->format == MG_FORMAT_F32) return mg_product_f32(cuda, to, x, w, norm);
    return mg_product_half(cuda, to, x, w, norm);
}

mg_status mg_cuda_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                         const mg_tensor *bias, mg_act act, bool accumulate)
{
    const mg_rows rows = {(const float *)x->data, w->n_in, w->n_in, w->n_in, x->dim[0]};
    const mg_finish to = {.y = (float *)y->data,
                          .row_stride = w->n_out,
                          .bias = bias ? (const float *)bias->data : NULL,
                          .n_bias = (int32_t)w->n_out,
                          .act = act,
                          .accumulate = accumulate};

    return mg_product(mg_cuda_of(ops), &to, &rows, w, NULL);
}

__global__ void __launch_bounds__(THREADS) add_k(float *y, const float *x, int64_t n)
{
    let_successor_start();
    wait_for_predecessor();
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS)
        y[i] = __ldcg(y + i) + __ldcg(x + i);
}

__global__ void __launch_bounds__(THREADS) mul_k(float *y, const float *x, int64_t n)
{
    let_successor_start();
    wait_for_predecessor();
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS)
        y[i] = __ldcg(y + i) * __ldcg(x + i);
}

bool mg_kernels_look(bool *wait)
{
    cudaFuncAttributes code;
    const cudaError_t error = cudaFuncGetAttributes(&code, add_k);

    *wait = error == cudaSuccess && code.ptxVersion >= 90;
    (void)cudaGetLastError(); /* another error the first launch says */
    return error != cudaErrorNoKernelImageForDevice && error != cudaErrorUnsupportedPtxVersion &&
           error != cudaErrorInvalidDeviceFunction;
}

static unsigned pointwise_blocks(int64_t n)
{
    return (unsigned)mg_smaller(mg_ceil_div(n, THREADS), 4096);
}

mg_status mg_cuda_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t n = mg_tensor_count(x);

    if (n == 0) return MG_OK;
    MG_RUN(cuda, add_k, pointwise_blocks(n), THREADS, 0, (float *)y->data, (const float *)x->data, n);
    return MG_OK;
}

mg_status mg_cuda_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t n = mg_tensor_count(x);

    if (n == 0) return MG_OK;
    MG_RUN(cuda, mul_k, pointwise_blocks(n), THREADS, 0, (float *)y->data, (const float *)x->data, n);
    return MG_OK;
}

/* A block a token: keys, then values. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    kv_write_k(T *k, T *v, const float *x, const int32_t *kv_row, const int32_t *pos, int32_t *fault,
               int64_t width, int n_rows, int H, int T_max, int E)
{
    const int64_t n = blockIdx.x, HE = (int64_t)H * E;

    let_successor_start();
    wait_for_predecessor();
    const int row = kv_row[n], at = pos[n];
    if (row < 0 || row >= n_rows || at < 0 || at >= T_max) {
        if (threadIdx.x == 0) mg_note_fault(fault, MG_FAULT_CACHE, at);
        return;
    }
    for (int i = threadIdx.x; i < 2 * HE; i += THREADS) {
        T *to = i < HE ? k : v;
        const int column = i < HE ? i : (int)(i - HE), h = column / E, e = column % E;
        to[(((int64_t)row * H + h) * T_max + at) * E + e] = mg_value<T>::narrow(__ldcg(x + n * width + i));
    }
}

template <class T>
static mg_status run_kv_write(mg_cuda *cuda, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                              const mg_tensor *kv_row, const mg_tensor *pos)
{
    MG_RUN(cuda, kv_write_k<T>, (unsigned)x->dim[0], THREADS, 0, (T *)kv->k, (T *)kv->v,
           (const float *)x->data + first_col, (const int32_t *)kv_row->data, (const int32_t *)pos->data,
           cuda->fault, x->dim[1], (int)kv->n_rows, (int)kv->n_heads, (int)kv->T_max, (int)kv->E);
    return MG_OK;
}

mg_status mg_cuda_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                           const mg_tensor *kv_row, const mg_tensor *pos)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    if (x->dim[0] == 0) return MG_OK;
    switch (kv->format) {
    case MG_FORMAT_BF16: return run_kv_write<__nv_bfloat16>(cuda, kv, x, first_col, kv_row, pos);
    case MG_FORMAT_F16: return run_kv_write<__half>(cuda, kv, x, first_col, kv_row, pos);
    default: return run_kv_write<float>(cuda, kv, x, first_col, kv_row, pos);
    }
}
