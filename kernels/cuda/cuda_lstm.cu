/* The LSTM: the inputs' share of all gates in one product, then one kernel that stays for all rows of up to
 * AT_ONCE sequences. Its blocks own hidden units and keep the rows of w_hh that belong to them in shared
 * memory, as many as fit; for each row of x they read the hidden states of the rows before, which stand in y,
 * and meet at a barrier: once for all sequences. The sums of a sequence are those that it has alone. */
#include "cuda_codec.cuh"

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, GATES = 4, MOST_UNITS = 64, AT_ONCE = 8 };

typedef struct recurrence {
    const float4 *w;    /* w_hh as it is packed */
    const float *gates; /* [rows, 4C] */
    float *y, *state;   /* [rows, C], [B, 2, C] */
    uint32_t *barrier;
    int64_t first[AT_ONCE], n[AT_ONCE]; /* rows of sequence b in gates and y; n 0: none */
    int64_t n_longest;
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

/* Shared memory of a block, in floats: h [B][width], kept [n_kept][width], sums [GATES][B][units], cells
 * [B][units]. */
MG_BOTH int small_floats(int B, int units)
{
    return (GATES + 1) * B * units;
}

/* One row of each of B sequences: the sums of a unit's gates over h, by a warp. */
template <int B>
MG_INLINE void sum_gates(const recurrence *r, float *sums, const float *h, const float *kept, int first_unit,
                         int u)
{
    const int lane = threadIdx.x % 32, fours = r->n_steps * MG_STEP / 4;
    float sum[GATES * B] = {};

    for (int i = lane; i < fours; i += 32) {
        float4 w[GATES];
#pragma unroll
        for (int g = 0; g < GATES; g++) {
            const int row = g * r->units + u;
            w[g] = row < r->n_kept ? reinterpret_cast<const float4 *>(kept)[row * fours + i]
                                   : weights_at(r, first_unit, row, i);
        }
#pragma unroll
        for (int b = 0; b < B; b++) {
            const float4 x = reinterpret_cast<const float4 *>(h)[b * fours + i];
#pragma unroll
            for (int g = 0; g < GATES; g++) {
                float *s = sum + g * B + b;
                *s = fmaf(w[g].w, x.w, fmaf(w[g].z, x.z, fmaf(w[g].y, x.y, fmaf(w[g].x, x.x, *s))));
            }
        }
    }
    const int at = warp_sums(sum);
    if (lane < GATES * B) sums[at * r->units + u] = sum[0];
}

template <int B> __global__ void __launch_bounds__(THREADS, 1) recur_k(const recurrence r)
{
    MG_DYNAMIC_SHARED(float, shared);
    const int width = r.n_steps * MG_STEP, fours = width / 4;
    const int first = blockIdx.x * r.units;
    const int n_units = r.C - first < r.units ? r.C - first : r.units;
    float *h = shared, *kept = h + B * width, *sums = kept + r.n_kept * width;
    float *cells = sums + GATES * B * r.units;

    let_successor_start();
    for (int e = threadIdx.x; e < r.n_kept * fours; e += THREADS)
        if (e / fours % r.units < n_units)
            reinterpret_cast<float4 *>(kept)[e] = weights_at(&r, first, e / fours, e % fours);
    wait_for_predecessor();
    for (int e = threadIdx.x; e < B * r.units; e += THREADS) {
        const int b = e / r.units, u = e % r.units;
        if (u < n_units && r.n[b] > 0) cells[e] = __ldcg(r.state + (2 * b + 1) * r.C + first + u);
    }
    for (int64_t n = 0; n < r.n_longest; n++) {
        for (int b = 0; b < B; b++) {
            const float *before = n > 0 ? r.y + (r.first[b] + n - 1) * r.C : r.state + 2 * b * r.C;
            for (int i = threadIdx.x; i < width; i += THREADS)
                h[b * width + i] = n < r.n[b] && i < r.C ? __ldcg(before + i) : 0.0f;
        }
        __syncthreads();
        for (int u = threadIdx.x / 32; u < n_units; u += WARPS) sum_gates<B>(&r, sums, h, kept, first, u);
        __syncthreads();
        for (int e = threadIdx.x; e < B * r.units; e += THREADS) {
            const int b = e / r.units, u = e % r.units;
            if (u >= n_units || n >= r.n[b]) continue;
            const int64_t row = r.first[b] + n;
            const float *gate = r.gates + row * GATES * r.C + first + u;
            const float in = sigmoid(__ldcg(gate) + sums[b * r.units + u]);
            const float forget = sigmoid(__ldcg(gate + r.C) + sums[(B + b) * r.units + u]);
            const float cell = tanhf(__ldcg(gate + 2 * r.C) + sums[(2 * B + b) * r.units + u]);
            const float out = sigmoid(__ldcg(gate + 3 * r.C) + sums[(3 * B + b) * r.units + u]);
            const float c = fmaf(forget, cells[e], in * cell);
            cells[e] = c;
            r.y[row * r.C + first + u] = out * tanhf(c);
        }
        grid_barrier(r.barrier);
    }
    for (int e = threadIdx.x; e < B * r.units; e += THREADS) {
        const int b = e / r.units, u = e % r.units;
        if (u >= n_units || r.n[b] == 0) continue;
        r.state[2 * b * r.C + first + u] = __ldcg(r.y + (r.first[b] + r.n[b] - 1) * r.C + first + u);
        r.state[(2 * b + 1) * r.C + first + u] = cells[e];
    }
}

template <int B> static mg_status recur(mg_cuda *cuda, recurrence *r)
{
    const size_t row_bytes = (size_t)r->n_steps * MG_STEP * sizeof(float);
    const size_t other_bytes = B * row_bytes + (size_t)small_floats(B, r->units) * sizeof(float);

    MG_REQUIRE(other_bytes < cuda->shared_bytes);
    r->n_kept =
        (int32_t)mg_smaller((int64_t)((cuda->shared_bytes - other_bytes) / row_bytes), GATES * r->units);
    const size_t bytes = other_bytes + row_bytes * (size_t)r->n_kept;
    MG_RETURN(mg_allow_shared(recur_k<B>, bytes));
    MG_CUDA(cudaMemsetAsync(r->barrier, 0, sizeof *r->barrier, cuda->stream));
    MG_RUN(cuda, recur_k<B>, (unsigned)mg_ceil_div(r->C, r->units), THREADS, bytes, *r);
    return MG_OK;
}

/* The kernel for no fewer sequences than these. */
static mg_status recur_together(mg_cuda *cuda, recurrence *r, int n)
{
    if (n <= 1) return recur<1>(cuda, r);
    if (n <= 2) return recur<2>(cuda, r);
    if (n <= 4) return recur<4>(cuda, r);
    return recur<AT_ONCE>(cuda, r);
}

mg_status mg_cuda_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                       const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                       mg_tensor *state)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t C = y->dim[1], N = x->dim[0], B = state->dim[0];
    const mg_rows rows = {(const float *)x->data, w_ih->n_in, w_ih->n_in, w_ih->n_in, N};
    const mg_finish to = {.y = (float *)gates->data,
                          .row_stride = GATES * C,
                          .bias = (const float *)bias->data,
                          .n_bias = (int32_t)(GATES * C),
                          .act = MG_ACT_NONE,
                          .accumulate = false};
    int64_t first = 0;

    MG_REQUIRE(w_ih->format == MG_FORMAT_F32 && w_hh->format == MG_FORMAT_F32 && w_hh->n_slices == 1);
    if (N == 0) return MG_OK;
    MG_RETURN(mg_product(cuda, &to, &rows, w_ih, NULL));
    for (int64_t i = 0; i < B; i += AT_ONCE) {
        const int n = (int)mg_smaller(B - i, AT_ONCE);
        recurrence r = {
            .w = (const float4 *)w_hh->data,
            .gates = (const float *)gates->data,
            .y = (float *)y->data,
            .state = (float *)state->data + 2 * i * C,
            .barrier = cuda->tickets + MG_MAX_TICKETS,
            .C = (int32_t)C,
            .n_steps = mg_slice_steps(C),
        };
        /* One block an SM at most, so that all are there at once; each warp has a unit at least. */
        r.units = (int32_t)mg_ceil_div(C, cuda->n_sms);
        if (r.units < WARPS) r.units = WARPS;
        MG_REQUIRE(r.units <= MOST_UNITS);
        for (int b = 0; b < n; b++) {
            r.first[b] = first, r.n[b] = n_rows_host[i + b];
            first += r.n[b];
            if (r.n[b] > r.n_longest) r.n_longest = r.n[b];
        }
        if (r.n_longest > 0) MG_RETURN(recur_together(cuda, &r, n));
    }
    return MG_OK;
}
