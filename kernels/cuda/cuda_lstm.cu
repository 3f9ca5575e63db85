/* The LSTM: the inputs' share of all gates in one product, then one kernel that stays for all rows of up to
 * AT_ONCE sequences. Its blocks own hidden units, a warp one of them at a time, and keep the rows of w_hh
 * that belong to them in shared memory, as many as fit. Not in registers, where they would be at hand sooner:
 * every SM must take a block before the first step, beside whatever the language model has there. What does
 * not fit is read from L2 in every step. Of C = 1024, as all codecs of MusicGen and AudioGen have it, blocks
 * keep (for one sequence, for eight):
 *   H100, 132 SMs of 227 KB     32, 32 of 32 rows      RTX 3090, 82 SMs of 99 KB     23, 16 of 52
 *   A100, 108 SMs of 163 KB     39, 32 of 40           L4, 58 SMs of 99 KB           23, 16 of 72
 *
 * A step needs the hidden states of the row before from all blocks. They stand in y, which is filled with
 * EMPTY first, a word that no state is: so each state says itself whether it is there, and a step takes one
 * way to memory and back instead of three, as with a barrier. The sums of a sequence are those that it has
 * alone. */
#include "cuda_codec.cuh"

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, GATES = 4, AT_ONCE = 8 };

static const uint32_t EMPTY = 0xffffffff, NOT_A_NUMBER = 0x7fffffff;

typedef struct recurrence {
    const float4 *w;    /* w_hh as it is packed */
    const float *gates; /* [rows, 4C] */
    float *y, *state;   /* [rows, C], [B, 2, C] */
    uint32_t *barrier;
    int64_t first[AT_ONCE], n[AT_ONCE]; /* rows of sequence b in gates and y; n 0: none */
    int64_t n_longest;
    int32_t C, n_steps, units, n_kept; /* units of a block; rows of weights in shared memory */
    int32_t y_fours;                   /* rows of y are read 16 bytes at a time */
} recurrence;

/* Four inputs from 4 * i on of a unit's gate. */
MG_INLINE const float4 *weights_at(const recurrence *r, int gate, int unit, int i)
{
    const int o = gate * r->C + unit;

    return r->w + ((int64_t)(o / MG_TILE_F32) * r->n_steps * 4 + i) * MG_TILE_F32 + o % MG_TILE_F32;
}

MG_INLINE float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* The lane below N that has value v of N after warp_sums; and the value that lane v has. */
template <int N> MG_INLINE int mirrored(int v)
{
    int lane = 0;

#pragma unroll
    for (int o = 1; o < N; o *= 2)
        if (v & N / 2 / o) lane |= o;
    return lane;
}

template <int B>
MG_INLINE void add_gates(float (&sum)[GATES * B], const float4 (&w)[GATES], const float *h, int pitch)
{
#pragma unroll
    for (int b = 0; b < B; b++) {
        const float4 x = *reinterpret_cast<const float4 *>(h + b * pitch);
#pragma unroll
        for (int g = 0; g < GATES; g++) {
            float *s = sum + g * B + b;
            *s = fmaf(w[g].w, x.w, fmaf(w[g].z, x.z, fmaf(w[g].y, x.y, fmaf(w[g].x, x.x, *s))));
        }
    }
}

/* The sums of a unit's gates over h, by a warp: all weights in shared memory, a gate's `apart` from the next.
 */
template <int B>
MG_INLINE void sum_kept(float (&sum)[GATES * B], const float4 *kept, int apart, const float *h, int fours)
{
#pragma unroll(B <= 2 ? 4 : 1)
    for (int i = threadIdx.x % 32; i < fours; i += 32) {
        float4 w[GATES];
#pragma unroll
        for (int g = 0; g < GATES; g++) w[g] = kept[g * apart + i];
        add_gates<B>(sum, w, h + 4 * i, 4 * fours);
    }
}

/* The same, of weights that stand there in part. */
template <int B>
MG_INLINE void sum_some_kept(float (&sum)[GATES * B], const recurrence *r, const float *kept, const float *h,
                             int first, int u)
{
    const int fours = r->n_steps * MG_STEP / 4;

    for (int i = threadIdx.x % 32; i < fours; i += 32) {
        float4 w[GATES];
#pragma unroll
        for (int g = 0; g < GATES; g++) {
            const int row = g * r->units + u;
            w[g] = row < r->n_kept ? reinterpret_cast<const float4 *>(kept)[row * fours + i]
                                   : __ldg(weights_at(r, g, first + u, i));
        }
        add_gates<B>(sum, w, h + 4 * i, 4 * fours);
    }
}

/* Row n - 1 of the sequences, or their states, into shared memory; of those that have a row n. */
template <int B> MG_INLINE void read_hidden(const recurrence *r, float *h, int pitch, int64_t n)
{
    const uint32_t *row[B];

#pragma unroll
    for (int b = 0; b < B; b++)
        row[b] = reinterpret_cast<const uint32_t *>(n > 0 ? r->y + (r->first[b] + n - 1) * r->C
                                                          : r->state + 2 * b * r->C);
    if (r->y_fours && n > 0) {
        for (int i = threadIdx.x; i < r->C / 4; i += THREADS) {
            uint4 v[B];
            for (bool all = false; !all;) {
                all = true;
#pragma unroll
                for (int b = 0; b < B; b++)
                    if (n < r->n[b]) v[b] = ld_relaxed(reinterpret_cast<const uint4 *>(row[b]) + i);
#pragma unroll
                for (int b = 0; b < B; b++)
                    if (n < r->n[b] &&
                        (v[b].x == EMPTY || v[b].y == EMPTY || v[b].z == EMPTY || v[b].w == EMPTY))
                        all = false;
                if (!all) look_again();
            }
#pragma unroll
            for (int b = 0; b < B; b++)
                if (n < r->n[b]) *reinterpret_cast<uint4 *>(h + b * pitch + 4 * i) = v[b];
        }
        return;
    }
#pragma unroll
    for (int b = 0; b < B; b++)
        for (int i = threadIdx.x; n < r->n[b] && i < r->C; i += THREADS) {
            uint32_t v = ld_relaxed(row[b] + i);
            for (; n > 0 && v == EMPTY; v = ld_relaxed(row[b] + i)) look_again();
            h[b * pitch + i] = __uint_as_float(v);
        }
}

/* A unit's new state of each sequence, in lanes 0 … B-1, from its gates' sums over h and their other share,
 * which stands in the lane of each. */
template <int B>
MG_INLINE void write_unit(const recurrence *r, float *cells, float (&sum)[GATES * B], float gate, int unit,
                          int64_t n)
{
    const int lane = threadIdx.x % 32, b = lane % B, gate_of_lane = warp_sums(sum) / B;
    const float v = gate + sum[0], gated = gate_of_lane == 2 ? tanhf(v) : sigmoid(v);
    const float in = __shfl_sync(0xffffffffu, gated, mirrored<GATES * B>(b));
    const float forget = __shfl_sync(0xffffffffu, gated, mirrored<GATES * B>(B + b));
    const float cell = __shfl_sync(0xffffffffu, gated, mirrored<GATES * B>(2 * B + b));
    const float out = __shfl_sync(0xffffffffu, gated, mirrored<GATES * B>(3 * B + b));

    if (lane >= B || n >= r->n[b]) return;
    const float c = fmaf(forget, cells[b], in * cell);
    const uint32_t h = __float_as_uint(out * tanhf(c));
    st_relaxed(reinterpret_cast<uint32_t *>(r->y) + (r->first[b] + n) * r->C + unit,
               h == EMPTY ? NOT_A_NUMBER : h);
    cells[b] = c;
}

/* The share of a lane's gate that h has no part in. */
template <int B> MG_INLINE float read_gate(const recurrence *r, int unit, int64_t n)
{
    const int value = mirrored<GATES * B>(threadIdx.x % (GATES * B)), b = value % B;

    return n < r->n[b] ? __ldcg(r->gates + (r->first[b] + n) * GATES * r->C + value / B * r->C + unit) : 0.0f;
}

/* Shared memory: h [B][width], kept [n_kept][width], cells [units][B]. */
template <int B> __global__ void __launch_bounds__(THREADS, 2) recur_k(const recurrence r)
{
    MG_DYNAMIC_SHARED(float, shared);
    const int width = r.n_steps * MG_STEP, fours = width / 4;
    const int warp = threadIdx.x / 32, first = blockIdx.x * r.units;
    const int n_units = r.C - first < r.units ? r.C - first : r.units;
    float *h = shared, *kept = h + B * width, *cells = kept + r.n_kept * width;

    for (int e = threadIdx.x; e < r.n_kept * fours; e += THREADS) {
        const int row = e / fours, u = row % r.units;
        if (u < n_units) cp_async16(kept + 4 * e, weights_at(&r, row / r.units, first + u, e % fours));
    }
    cp_async_commit();
    for (int i = threadIdx.x; i < B * width; i += THREADS) h[i] = 0;
    wait_for_predecessor();
    for (int e = threadIdx.x; e < B * r.units; e += THREADS) {
        const int b = e % B, u = e / B;
        if (u < n_units && r.n[b] > 0) cells[e] = __ldcg(r.state + (2 * b + 1) * r.C + first + u);
    }
    cp_async_wait<0>();
    for (int64_t n = 0; n < r.n_longest; n++) {
        float gate = warp < n_units ? read_gate<B>(&r, first + warp, n) : 0.0f;
        __syncthreads();
        read_hidden<B>(&r, h, width, n);
        __syncthreads();
        for (int u = warp; u < n_units; u += WARPS) {
            float sum[GATES * B] = {};
            if (u != warp) gate = read_gate<B>(&r, first + u, n);
            if (r.n_kept == GATES * r.units)
                sum_kept<B>(sum, reinterpret_cast<const float4 *>(kept) + u * fours, r.units * fours, h,
                            fours);
            else
                sum_some_kept<B>(sum, &r, kept, h, first, u);
            write_unit<B>(&r, cells + u * B, sum, gate, first + u, n);
        }
    }
    let_successor_start();   /* not before: it would hold, all that time, what the language model needs */
    grid_barrier(r.barrier); /* all have read the states they began with */
    for (int e = threadIdx.x; e < B * r.units; e += THREADS) {
        const int b = e % B, u = e / B;
        if (u >= n_units || r.n[b] == 0) continue;
        r.state[2 * b * r.C + first + u] = __ldcg(r.y + (r.first[b] + r.n[b] - 1) * r.C + first + u);
        r.state[(2 * b + 1) * r.C + first + u] = cells[e];
    }
}

template <int B> static mg_status recur(mg_cuda *cuda, recurrence *r)
{
    const size_t row_bytes = (size_t)r->n_steps * MG_STEP * sizeof(float);
    const size_t other_bytes = B * row_bytes + (size_t)(B * r->units) * sizeof(float);
    int64_t n_rows = 0;

    MG_REQUIRE(other_bytes < cuda->shared_bytes);
    r->n_kept =
        (int32_t)mg_smaller((int64_t)((cuda->shared_bytes - other_bytes) / row_bytes), GATES * r->units);
    const size_t bytes = other_bytes + row_bytes * (size_t)r->n_kept;
    for (int b = 0; b < B; b++) n_rows += r->n[b];
    MG_RETURN(mg_allow_shared(cuda, recur_k<B>, bytes));
    MG_CUDA(cudaMemsetAsync(r->barrier, 0, sizeof *r->barrier, cuda->stream));
    MG_CUDA(cudaMemsetAsync(r->y + r->first[0] * r->C, 0xff, (size_t)(n_rows * r->C) * sizeof *r->y,
                            cuda->stream));
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
            .y_fours = C % 4 == 0 && (uintptr_t)y->data % 16 == 0,
        };
        /* One block an SM at most, so that all are there at once; each warp has a unit at least. */
        r.units = (int32_t)mg_ceil_div(C, cuda->n_sms);
        if (r.units < WARPS) r.units = WARPS;
        for (int b = 0; b < n; b++) {
            r.first[b] = first, r.n[b] = n_rows_host[i + b];
            first += r.n[b];
            if (r.n[b] > r.n_longest) r.n_longest = r.n[b];
        }
        if (r.n_longest > 0) MG_RETURN(recur_together(cuda, &r, n));
    }
    return MG_OK;
}
