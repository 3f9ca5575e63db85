/* The LSTM: the inputs' share of all gates in one product, then one kernel that stays for all rows. Its
 * blocks own hidden units and keep the rows of w_hh that belong to them in shared memory, as many as fit; for
 * each row of x they read the hidden state of the row before, which stands in y, and meet at a barrier. */
#include "cuda_codec.cuh"

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, GATES = 4, MOST_UNITS = 64 };

typedef struct recurrence {
    const float4 *w;    /* w_hh as it is packed */
    const float *gates; /* [N, 4C] */
    float *y, *state;   /* [N, C], [2, C] */
    uint32_t *barrier;
    int64_t N;
    int32_t C, n_steps, units, n_kept; /* units of a block; rows of weights in shared memory */
} recurrence;

/* Four inputs from 4 * i on of gate row `row`, which is gate * units + unit in a block. */
MG_INLINE float4 weights_at(const recurrence *r, int first_unit, int row, int i)
{
    const int o = row / r->units * r->C + first_unit + row % r->units;

    return __ldg(r->w + ((int64_t)(o / MG_TILE_F32) * r->n_steps * 4 + i) * MG_TILE_F32 + o % MG_TILE_F32);
}

MG_INLINE float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

__global__ void __launch_bounds__(THREADS, 1) recur_k(const recurrence r)
{
    MG_DYNAMIC_SHARED(float, shared);
    MG_SHARED(sums, float[GATES * MOST_UNITS]);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, width = r.n_steps * MG_STEP,
              fours = width / 4;
    const int first = blockIdx.x * r.units;
    const int n_units = r.C - first < r.units ? r.C - first : r.units;
    float *h = shared, *kept = shared + width;
    float c = 0;

    let_successor_start();
    for (int e = threadIdx.x; e < r.n_kept * fours; e += THREADS)
        if (e / fours % r.units < n_units)
            reinterpret_cast<float4 *>(kept)[e] = weights_at(&r, first, e / fours, e % fours);
    wait_for_predecessor();
    if ((int)threadIdx.x < n_units) c = __ldcg(r.state + r.C + first + threadIdx.x);
    for (int64_t n = 0; n < r.N; n++) {
        const float *before = n ? r.y + (n - 1) * r.C : r.state;
        for (int i = threadIdx.x; i < width; i += THREADS) h[i] = i < r.C ? __ldcg(before + i) : 0.0f;
        __syncthreads();
        for (int row = warp; row < GATES * r.units; row += WARPS) {
            float sum = 0;
            if (row % r.units >= n_units) continue;
            for (int i = lane; i < fours; i += 32) {
                const float4 x = reinterpret_cast<const float4 *>(h)[i];
                const float4 w = row < r.n_kept ? reinterpret_cast<const float4 *>(kept)[row * fours + i]
                                                : weights_at(&r, first, row, i);
                sum = fmaf(w.w, x.w, fmaf(w.z, x.z, fmaf(w.y, x.y, fmaf(w.x, x.x, sum))));
            }
            sum = warp_sum(sum);
            if (lane == 0) sums[row] = sum;
        }
        __syncthreads();
        if ((int)threadIdx.x < n_units) {
            const int u = threadIdx.x;
            const float *gate = r.gates + n * GATES * r.C + first + u;
            const float in = sigmoid(__ldcg(gate) + sums[u]);
            const float forget = sigmoid(__ldcg(gate + r.C) + sums[r.units + u]);
            const float cell = tanhf(__ldcg(gate + 2 * r.C) + sums[2 * r.units + u]);
            const float out = sigmoid(__ldcg(gate + 3 * r.C) + sums[3 * r.units + u]);
            c = fmaf(forget, c, in * cell);
            r.y[n * r.C + first + u] = out * tanhf(c);
        }
        grid_barrier(r.barrier);
    }
    if ((int)threadIdx.x >= n_units) return;
    r.state[first + threadIdx.x] = __ldcg(r.y + (r.N - 1) * r.C + first + threadIdx.x);
    r.state[r.C + first + threadIdx.x] = c;
}

mg_status mg_cuda_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w_ih,
                       const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates, mg_tensor *state)
{
    mg_cuda *cuda = (mg_cuda *)ops->ctx;
    const int64_t C = y->dim[1], N = x->dim[0];
    const mg_rows rows = {(const float *)x->data, w_ih->n_in, w_ih->n_in, w_ih->n_in, N};
    const mg_finish to = {.y = (float *)gates->data,
                          .row_stride = GATES * C,
                          .bias = (const float *)bias->data,
                          .n_bias = (int32_t)(GATES * C),
                          .act = MG_ACT_NONE,
                          .accumulate = false};
    recurrence r = {
        .w = (const float4 *)w_hh->data,
        .gates = (const float *)gates->data,
        .y = (float *)y->data,
        .state = (float *)state->data,
        .barrier = cuda->tickets + MG_MAX_TICKETS,
        .N = N,
        .C = (int32_t)C,
        .n_steps = mg_slice_steps(C),
    };
    const size_t row_bytes = (size_t)r.n_steps * MG_STEP * sizeof(float);
    const size_t own_bytes = 2048; /* at least what the kernel has of static shared memory */

    MG_REQUIRE(w_ih->format == MG_FORMAT_F32 && w_hh->format == MG_FORMAT_F32 && w_hh->n_slices == 1);
    if (N == 0) return MG_OK;
    MG_RETURN(mg_product(cuda, &to, &rows, w_ih, NULL));
    /* One block an SM at most, so that all are there at once; each warp has a unit at least. */
    r.units = (int32_t)mg_ceil_div(C, cuda->n_sms) > WARPS ? (int32_t)mg_ceil_div(C, cuda->n_sms) : WARPS;
    MG_REQUIRE(r.units <= MOST_UNITS && row_bytes + own_bytes < cuda->shared_bytes);
    r.n_kept =
        (int32_t)mg_smaller((int64_t)((cuda->shared_bytes - own_bytes) / row_bytes) - 1, GATES * r.units);
    const size_t bytes = row_bytes * (size_t)(1 + r.n_kept);
    MG_RETURN(mg_allow_shared(recur_k, bytes));
    MG_CUDA(cudaMemsetAsync(r.barrier, 0, sizeof *r.barrier, cuda->stream));
    MG_RUN(cuda, recur_k, (unsigned)mg_ceil_div(C, r.units), THREADS, bytes, r);
    return MG_OK;
}
