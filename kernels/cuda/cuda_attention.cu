/* Attention of single queries over their keys, in chunks of 256 positions: a block makes one (chunk, head,
 * token). Where a head has several chunks its blocks leave their largest score, the sum of their weights and
 * their weighted values, and the last one to come puts them together, in ascending order. The size of a chunk
 * is fixed, not their number, so a token's result depends on its own keys alone.
 *
 * Heads whose position is 2 to 32 lanes of 16 bytes wide (64 wide in any format, for one) are read with all
 * loads of K and V in flight; any other width goes the plain way. Of a cache that is settled (ops.h) all but
 * the newest keys are asked for before the block waits for its predecessor. */
#include "cuda_attention.cuh"
#include "cuda_product.cuh"
#include "cuda_transformer.cuh"

enum {
    CHUNK = MG_KEYS_OF_CHUNK,
    THREADS = 256,
    WARPS = THREADS / 32,
    WARP_KEYS = CHUNK / WARPS,
    MOST_E = 256
};
enum { MOST_EARLY = 32 }; /* tokens of a call that reads early: a lane looks at one */

/* This block's token, its keys in this chunk, and where they are; false: none. */
typedef struct place {
    int64_t at; /* of the chunk's first position, in elements */
    int32_t row, first, n;
    int32_t n_chunks; /* of the token, with keys */
} place;

MG_INLINE bool find_place(const attention *a, place *p)
{
    const int64_t n = blockIdx.z, h = blockIdx.y;
    int row;
    const int n_keys = mg_keys_of(a, n, &row, threadIdx.x == 0);

    p->row = row;
    p->first = blockIdx.x * CHUNK;
    p->n = n_keys - p->first;
    if (p->n > CHUNK) p->n = CHUNK;
    p->n_chunks = (n_keys + CHUNK - 1) / CHUNK;
    p->at = (((int64_t)row * a->H + h) * a->T_max + p->first) * a->E;
    return p->n > 0;
}

/* Keys of the chunk that stood in the cache before the step. By all lanes of a warp. */
MG_INLINE int count_settled(const attention *a, const place *p)
{
    const int n = mg_settled_keys(a, p->row) - p->first;

    return n < p->n ? n : p->n;
}

MG_INLINE const float *bias_of(const attention *a, const place *p)
{
    if (!a->rel_bias) return nullptr;
    return a->rel_bias + (int64_t)blockIdx.y * a->bias_width + a->bias_first - blockIdx.z + p->first;
}

MG_INLINE void deliver(const attention *a, const place *p, int e, float value, float top, float sum)
{
    const int64_t n = blockIdx.z, h = blockIdx.y;

    if (p->n_chunks == 1) {
        a->y[(n * a->H + h) * a->E + e] = value / sum;
        return;
    }
    float *to = mg_chunk_of(a, n, h, blockIdx.x);
    to[2 + e] = value;
    if (e == 0) to[0] = top, to[1] = sum;
}

/* The token has no keys: zeros, by its first block. */
MG_INLINE void deliver_nothing(const attention *a, const place *p)
{
    if (p->n_chunks > 0 || blockIdx.x > 0) return;
    for (int e = threadIdx.x; e < a->E; e += THREADS)
        a->y[((int64_t)blockIdx.z * a->H + blockIdx.y) * a->E + e] = 0;
}

/* The head's chunks put together, by the block that comes last. */
MG_INLINE void combine(const attention *a, const place *p)
{
    const int64_t n = blockIdx.z, h = blockIdx.y;

    if (p->n_chunks == 1 || !mg_is_last_block(a->tickets + n * a->H + h, p->n_chunks)) return;
    for (int e = threadIdx.x; e < a->E; e += THREADS)
        a->y[(n * a->H + h) * a->E + e] = mg_of_chunks(a, n, h, p->n_chunks, e);
}

/* GROUP loads of a lane, from its load `g` on, of which none below n_settled are asked for again. */
template <int LANES, int GROUP>
MG_INLINE void load_rest(uint4 *load, const uint4 *from, int g, int n_settled, int n)
{
    constexpr int AT_ONCE = 32 / LANES;
    const int first = threadIdx.x / 32 * WARP_KEYS + threadIdx.x % 32 / LANES;

#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        const int j = first + (g + i) * AT_ONCE;
        if (j >= n_settled && j < n) load[i] = __ldcg(from + j * LANES);
    }
}

/* The first GROUP loads of a lane, of what is settled; the others are zeros. */
template <int LANES, int GROUP, bool ASK = true>
MG_INLINE void load_settled(uint4 *load, const uint4 *from, int n_settled)
{
    constexpr int AT_ONCE = 32 / LANES;
    const int first = threadIdx.x / 32 * WARP_KEYS + threadIdx.x % 32 / LANES;

#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        const int j = first + i * AT_ONCE;
        load[i] = make_uint4(0, 0, 0, 0);
        if (ASK && j < n_settled) load[i] = ld_weights(from + j * LANES);
    }
}

/* LANES lanes of 16 bytes hold one position; GROUP loads of a lane are in flight for K and for V each, which
 * are the first GROUP of each before the wait, or those of K alone. */
template <class T, int LANES, int GROUP, bool BOTH_EARLY, int BLOCKS>
__global__ void __launch_bounds__(THREADS, BLOCKS) attend_k(const T *keys, const T *values, const attention a)
{
    constexpr int V = 16 / sizeof(T), E = LANES * V, AT_ONCE = 32 / LANES, N = WARP_KEYS / AT_ONCE;
    MG_SHARED(tops, float[WARPS]);
    MG_SHARED(sums, float[WARPS]);
    MG_SHARED(mixed, float[WARPS][E]);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = lane % LANES, mine = lane / LANES;
    float q[V], score[N], acc[V], top = -INFINITY, sum = 0;
    uint4 k_load[GROUP], v_load[GROUP];
    place p = {0, 0, 0, 0, 0};

    let_successor_start();
    bool is_here = !a.n_early || find_place(&a, &p);
    /* Its room is wanted; a head's first block waits, so the grid does not end before its predecessor. */
    if (!is_here && blockIdx.x > 0) return;
    const int n_settled = a.n_early && is_here ? count_settled(&a, &p) : 0;
    load_settled<LANES, GROUP>(k_load, reinterpret_cast<const uint4 *>(keys + p.at) + part, n_settled);
    load_settled<LANES, GROUP, BOTH_EARLY>(v_load, reinterpret_cast<const uint4 *>(values + p.at) + part,
                                           n_settled);
    wait_for_predecessor();
    if (!a.n_early) is_here = find_place(&a, &p);
    if (!is_here) {
        deliver_nothing(&a, &p);
        return;
    }
    const uint4 *k = reinterpret_cast<const uint4 *>(keys + p.at) + part;
    const uint4 *v = reinterpret_cast<const uint4 *>(values + p.at) + part;
    const float *bias = bias_of(&a, &p);
    const float *from = a.x + (int64_t)blockIdx.z * a.x_width + (int64_t)blockIdx.y * E + part * V;
    mg_read_query(q, &a, from);
    load_rest<LANES, GROUP>(k_load, k, 0, n_settled, p.n);
    load_rest<LANES, GROUP>(v_load, v, 0, BOTH_EARLY ? n_settled : 0, p.n);
#pragma unroll
    for (int g = 0; g < N; g += GROUP) {
        if (g > 0) load_rest<LANES, GROUP>(k_load, k, g, 0, p.n);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            const int j = warp * WARP_KEYS + (g + i) * AT_ONCE + mine;
            float key[V], dot = 0;
            mg_unpack<T>(key, k_load[i]);
#pragma unroll
            for (int c = 0; c < V; c++) dot = fmaf(q[c], key[c], dot);
            dot = warp_sum<LANES>(dot) * a.scale;
            if (bias && j < p.n) dot += bias[j];
            score[g + i] = j < p.n ? dot : -INFINITY;
            top = fmaxf(top, score[g + i]);
        }
    }
    top = warp_max(top);
    if (lane == 0) tops[warp] = top;
    __syncthreads();
    top = tops[0];
#pragma unroll
    for (int w = 1; w < WARPS; w++) top = fmaxf(top, tops[w]);
#pragma unroll
    for (int c = 0; c < V; c++) acc[c] = 0;
#pragma unroll
    for (int g = 0; g < N; g += GROUP) {
        if (g > 0) load_rest<LANES, GROUP>(v_load, v, g, 0, p.n);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            const int j = warp * WARP_KEYS + (g + i) * AT_ONCE + mine;
            const float weight = expf(score[g + i] - top);
            float value[V];
            mg_unpack<T>(value, v_load[i]);
            sum += weight;
#pragma unroll
            for (int c = 0; c < V; c++) acc[c] = fmaf(weight, j < p.n ? value[c] : 0.0f, acc[c]);
        }
    }
#pragma unroll
    for (int o = LANES; o < 32; o *= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, o);
#pragma unroll
        for (int c = 0; c < V; c++) acc[c] += __shfl_xor_sync(0xffffffffu, acc[c], o);
    }
    if (lane == 0) sums[warp] = sum;
    if (mine == 0) {
#pragma unroll
        for (int c = 0; c < V; c++) mixed[warp][part * V + c] = acc[c];
    }
    __syncthreads();
    for (int e = threadIdx.x; e < E; e += THREADS) {
        float all = mixed[0][e], total = sums[0];
        for (int w = 1; w < WARPS; w++) all += mixed[w][e], total += sums[w];
        deliver(&a, &p, e, all, top, total);
    }
    combine(&a, &p);
}

/* Any width: a warp a key for the scores, a thread a column for the values. */
template <class T>
__global__ void __launch_bounds__(THREADS) attend_any_k(const T *keys, const T *values, const attention a)
{
    MG_SHARED(weights, float[CHUNK]);
    MG_SHARED(scratch, float[2][32]);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, E = a.E;
    place p;

    let_successor_start();
    wait_for_predecessor();
    if (!find_place(&a, &p)) {
        deliver_nothing(&a, &p);
        return;
    }
    const float *bias = bias_of(&a, &p), *q = a.x + (int64_t)blockIdx.z * a.x_width + (int64_t)blockIdx.y * E;
    for (int j = warp; j < p.n; j += WARPS) {
        float dot = 0;
        for (int e = lane; e < E; e += 32)
            dot = fmaf(__ldcg(q + e), mg_value<T>::widen(keys[p.at + (int64_t)j * E + e]), dot);
        dot = warp_sum(dot) * a.scale;
        if (lane == 0) weights[j] = bias ? dot + bias[j] : dot;
    }
    __syncthreads();
    const float score = (int)threadIdx.x < p.n ? weights[threadIdx.x] : -INFINITY;
    const float top = block_max(score, scratch[0]), weight = expf(score - top);
    weights[threadIdx.x] = weight;
    const float sum = block_sum(weight, scratch[1]); /* its barrier is the weights' too */
    for (int e = threadIdx.x; e < E; e += THREADS) {
        float all = 0;
        for (int j = 0; j < p.n; j++)
            all = fmaf(weights[j], mg_value<T>::widen(values[p.at + (int64_t)j * E + e]), all);
        deliver(&a, &p, e, all, top, sum);
    }
    combine(&a, &p);
}

template <class T> static mg_status run_attend(mg_cuda *cuda, const mg_kv *kv, const attention *a, int64_t N)
{
    const dim3 grid((unsigned)a->n_chunks, (unsigned)a->H, (unsigned)N);
    const T *k = (const T *)kv->k, *v = (const T *)kv->v;
    const int64_t lanes = kv->E * (int64_t)sizeof(T) % 16 ? 0 : kv->E * (int64_t)sizeof(T) / 16;

    switch (lanes) {
    case 2: MG_RUN(cuda, (attend_k<T, 2, 2, true, 3>), grid, THREADS, 0, k, v, *a); return MG_OK;
    case 4: MG_RUN(cuda, (attend_k<T, 4, 4, true, 3>), grid, THREADS, 0, k, v, *a); return MG_OK;
    case 8: MG_RUN(cuda, (attend_k<T, 8, 8, true, 2>), grid, THREADS, 0, k, v, *a); return MG_OK;
    case 16: MG_RUN(cuda, (attend_k<T, 16, 8, true, 2>), grid, THREADS, 0, k, v, *a); return MG_OK;
    case 32: MG_RUN(cuda, (attend_k<T, 32, 8, false, 1>), grid, THREADS, 0, k, v, *a); return MG_OK;
    default: MG_RUN(cuda, attend_any_k<T>, grid, THREADS, 0, k, v, *a); return MG_OK;
    }
}

static mg_status run_tokens(mg_cuda *cuda, const mg_kv *kv, const attention *a, int64_t N, bool all)
{
    bool done;

    MG_RETURN(mg_attend_many(cuda, &done, kv, a, N, all));
    if (done) return MG_OK;
    switch (kv->format) {
    case MG_FORMAT_BF16: return run_attend<__nv_bfloat16>(cuda, kv, a, N);
    case MG_FORMAT_F16: return run_attend<__half>(cuda, kv, a, N);
    default: return run_attend<float>(cuda, kv, a, N);
    }
}

attention mg_attention_of(const mg_cuda *cuda, const mg_tensor *x, const mg_attend *over)
{
    const mg_kv *kv = over->kv;

    return {
        .x = (const float *)x->data,
        .partial = (float *)cuda->scratch,
        .tickets = cuda->tickets,
        .kv_row = (const int32_t *)over->kv_row->data,
        .n_keys = (const int32_t *)over->n_keys->data,
        .fault = cuda->fault,
        .x_width = x->dim[1],
        .H = (int32_t)kv->n_heads,
        .T_max = (int32_t)kv->T_max,
        .E = (int32_t)kv->E,
        .n_rows = (int32_t)kv->n_rows,
        .n_chunks = (int32_t)mg_ceil_div(kv->T_max, CHUNK),
        .n_early = kv->settled && x->dim[0] <= MOST_EARLY ? (int32_t)x->dim[0] : 0,
        .scale = over->scale,
    };
}

mg_status mg_cuda_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                            const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                            const mg_tensor *rel_bias)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t N = x->dim[0], HE = kv->n_heads * kv->E;
    const mg_attend over = {kv, kv_row, n_keys, scale};
    const attention all = mg_attention_of(cuda, x, &over);
    attention a = all;
    const int64_t token_bytes = a.H * (int64_t)a.n_chunks * (2 + a.E) * (int64_t)sizeof(float);
    int64_t at_once = 65535;

    if (a.n_chunks > 1)
        at_once = mg_smaller((int64_t)cuda->scratch_bytes / token_bytes, MG_MAX_TICKETS / a.H);
    MG_REQUIRE(at_once > 0 && a.H <= 65535);
    if (at_once < N) a.n_early = 0; /* a block would not see all tokens */
    a.rel_bias = rel_bias ? (const float *)rel_bias->data : NULL;
    a.bias_width = (int32_t)(2 * N - 1);
    for (int64_t n = 0; n < N; n += at_once) {
        a.y = (float *)y->data + n * HE;
        a.x = all.x + n * a.x_width;
        a.kv_row = all.kv_row + n;
        a.n_keys = all.n_keys + n;
        a.bias_first = (int32_t)(N - 1 - n);
        MG_RETURN(run_tokens(cuda, kv, &a, mg_smaller(at_once, N - n), at_once >= N));
    }
    return MG_OK;
}
