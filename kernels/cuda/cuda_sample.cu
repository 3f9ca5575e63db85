/* The codes: which ones a step reads, and which it draws. A block makes one draw: guidance, division by the
 * temperature, the k-th largest logit by its digits, a sort of what survives by falling logit and then rising
 * index, and the rules of kernels/cpu/cpu_sampler.c over the sorted ones. Its sums are in that file's order,
 * in fp64, and its exponential is that file's: for the same logits the code is the same, to the bit.
 *
 * A step waits for it. So all threads work at all but the sum over the survivors, whose order is one
 * thread's; they find the place of the draw in that sum's beginnings.
 *
 * No product is contracted with a sum here: the build says so for all files, and where it would change a
 * code the operations are named. */
#include "cuda_half.cuh"
#include "cuda_transformer.cuh"

enum {
    THREADS = 256,
    WARPS = THREADS / 32, /* no more than lanes */
    DIGITS = 2048,        /* values of 11 bits of a key */
    MINE = DIGITS / THREADS,
    FEW = 512, /* that are sorted by counting, each, those before it */
};

typedef struct draw_job {
    int32_t *codes;
    const float *logits;  /* [R, N, W] */
    const mg_draw *draws; /* [n] */
    int32_t *fault;
    int64_t n_cells, N, K;
    int32_t W, V, n_sorted; /* n_sorted: V rounded up to a power of 2 */
} draw_job;

__global__ void __launch_bounds__(THREADS)
    gather_ids_k(int32_t *ids, const int32_t *codes, const int32_t *cells, int32_t *fault, int64_t n,
                 int64_t n_cells, int32_t pad)
{
    let_successor_start();
    wait_for_predecessor();
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS) {
        const int32_t cell = cells[i];
        if (cell >= n_cells) mg_note_fault(fault, MG_FAULT_CELL, cell);
        ids[i] = cell < 0 || cell >= n_cells ? pad : __ldcg(codes + cell);
    }
}

mg_status mg_cuda_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes,
                             const mg_tensor *cells, int32_t pad)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t n = mg_tensor_count(ids);

    if (n == 0) return MG_OK;
    MG_RUN(cuda, gather_ids_k, (unsigned)mg_smaller(mg_ceil_div(n, THREADS), 1024), THREADS, 0,
           (int32_t *)ids->data, (const int32_t *)codes->data, (const int32_t *)cells->data, cuda->fault, n,
           mg_tensor_count(codes), pad);
    return MG_OK;
}

/* exp(x) for x <= 0: x = n ln 2 + r, a Taylor polynomial for r. */
MG_INLINE double exp_below_one(double x)
{
    const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    const double inverse_factorial[13] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,      1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600};
    double sum = 1.0 / 6227020800;

    if (!(x > -700)) return 0; /* and NaN */
    const double n = (double)(int)__dadd_rn(__dmul_rn(x, 1.4426950408889634), -0.5);
    const double r = __dsub_rn(__dsub_rn(x, __dmul_rn(n, ln2_high)), __dmul_rn(n, ln2_low));
#pragma unroll
    for (int i = 12; i >= 0; i--) sum = __dadd_rn(__dmul_rn(sum, r), inverse_factorial[i]);
    return __dmul_rn(sum, __longlong_as_double(((long long)n + 1023) << 52));
}

/* Unsigned order = falling float order; -0 and 0 are one. */
MG_INLINE uint32_t key_of(float f)
{
    const uint32_t u = __float_as_uint(f + 0.0f);

    return u & 0x80000000u ? u : ~u & 0x7FFFFFFFu;
}

/* And back, but for the sign of zero and what a NaN carries. */
MG_INLINE float of_key(uint32_t key)
{
    return __uint_as_float(key & 0x80000000u ? key : ~key & 0x7FFFFFFFu);
}

MG_INLINE float guided(const draw_job *j, const mg_draw *d, int v)
{
    const int c = d->k * j->V + v;
    const float *from = j->logits + (int64_t)(c / j->W) * j->N * j->W + c % j->W;
    float logit[MG_MAX_ROLES];

#pragma unroll
    for (int role = 0; role < MG_MAX_ROLES; role++)
        logit[role] = role < d->n_roles ? __ldcg(from + (int64_t)d->token[role] * j->W) : 0.0f;
    float x = logit[0];
#pragma unroll
    for (int role = MG_MAX_ROLES - 1; role > 0; role--)
        if (role < d->n_roles)
            x = __fadd_rn(logit[role], __fmul_rn(__fsub_rn(x, logit[role]), role == 2 ? d->beta : d->coef));
    return x;
}

MG_INLINE bool is_draw(const draw_job *j, const mg_draw *d)
{
    if (d->cell >= j->n_cells || d->k < 0 || d->k >= j->K || d->n_roles < 1 || d->n_roles > MG_MAX_ROLES)
        return false;
#pragma unroll
    for (int role = 0; role < MG_MAX_ROLES; role++)
        if (role < d->n_roles && (d->token[role] < 0 || d->token[role] >= j->N)) return false;
    return true;
}

/* Ascending, in shared memory, by the whole block; n is a power of 2. */
MG_INLINE void sort_block(unsigned long long *value, int n)
{
    for (int width = 2; width <= n; width *= 2) {
        for (int gap = width / 2; gap > 0; gap /= 2) {
            __syncthreads();
            for (int e = threadIdx.x; e < n / 2; e += THREADS) {
                const int i = e / gap * 2 * gap + e % gap, other = i + gap;
                const unsigned long long a = value[i], b = value[other];
                if ((a > b) == ((i & width) == 0)) value[i] = b, value[other] = a;
            }
        }
    }
    __syncthreads();
}

/* The least of a value a thread, on every thread. */
MG_INLINE unsigned long long least_of_block(unsigned long long v)
{
    MG_SHARED(least, unsigned long long[WARPS]);

    for (int round = 0; round < 2; round++) {
#pragma unroll
        for (int o = 1; o < 32; o *= 2) {
            const unsigned long long other = __shfl_xor_sync(0xffffffffu, v, o);
            v = other < v ? other : v;
        }
        if (round) break;
        if (threadIdx.x % 32 == 0) least[threadIdx.x / 32] = v;
        __syncthreads();
        v = least[threadIdx.x % WARPS];
    }
    return v;
}

/* The k-th smallest of n keys, 1 <= k <= n: eleven, eleven and ten bits at a time. count: [DIGITS]. */
MG_INLINE uint32_t select_key(const uint32_t *key, int n, int k, int32_t *count)
{
    MG_SHARED(of_warp, int32_t[WARPS]);
    MG_SHARED(found, int32_t[2]); /* the digit; what is left of k */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    uint32_t prefix = 0, mask = 0;

    for (int pass = 0; pass < 3; pass++) {
        const int shift = pass == 0 ? 21 : pass == 1 ? 10 : 0;
        const uint32_t digits = pass < 2 ? DIGITS - 1 : DIGITS / 2 - 1;
        for (int i = threadIdx.x; i < DIGITS; i += THREADS) count[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += THREADS)
            if ((key[i] & mask) == prefix) atomicAdd(&count[key[i] >> shift & digits], 1);
        __syncthreads();
        int mine[MINE], upto = 0; /* keys with digits up to this thread's */
#pragma unroll
        for (int i = 0; i < MINE; i++) upto += mine[i] = count[MINE * threadIdx.x + i];
        const int all = upto;
        for (int o = 1; o < 32; o *= 2) {
            const int other = __shfl_up_sync(0xffffffffu, upto, (unsigned)o);
            if (lane >= o) upto += other;
        }
        if (lane == 31) of_warp[warp] = upto;
        __syncthreads();
        int before = lane < warp ? of_warp[lane % WARPS] : 0;
        for (int o = 1; o < 32; o *= 2) before += __shfl_xor_sync(0xffffffffu, before, o);
        before += upto - all;
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            if (before < k && k <= before + mine[i])
                found[0] = MINE * (int)threadIdx.x + i, found[1] = k - before;
            before += mine[i];
        }
        __syncthreads();
        prefix |= (uint32_t)found[0] << shift;
        mask |= digits << shift;
        k = found[1];
    }
    return prefix;
}

/* Keys up to `last`, each with its code, in no order; how many. */
MG_INLINE int gather_alive(unsigned long long *alive, const uint32_t *key, int n, uint32_t last,
                           int32_t *n_alive)
{
    const int lane = threadIdx.x % 32;

    for (int i0 = 0; i0 < n; i0 += THREADS) {
        const int i = i0 + threadIdx.x;
        const bool is_alive = i < n && key[i] <= last;
        const unsigned with = __ballot_sync(0xffffffffu, is_alive);
        int at = 0;
        if (lane == 0) at = atomicAdd(n_alive, __popc(with));
        at = __shfl_sync(0xffffffffu, at, 0) + __popc(with & ((1u << lane) - 1));
        if (is_alive) alive[at] = (unsigned long long)key[i] << 32 | (unsigned)i;
    }
    __syncthreads();
    return n_alive[0];
}

/* The n alive, sorted: their codes, and their weights beside `top`. */
MG_INLINE void sort_alive(int32_t *code, double *weight, unsigned long long *alive, int n, double top)
{
    int n_sorted = 1;

    if (n <= FEW) { /* four threads count for one */
        for (int i0 = 0; i0 < n; i0 += THREADS / 4) {
            const int i = i0 + threadIdx.x / 4;
            const unsigned long long mine = i < n ? alive[i] : 0;
            int before = 0;
            for (int other = threadIdx.x % 4; other < n; other += 4) before += alive[other] < mine;
            before += __shfl_xor_sync(0xffffffffu, before, 1);
            before += __shfl_xor_sync(0xffffffffu, before, 2);
            if (i < n && threadIdx.x % 4 == 0) {
                code[before] = (int32_t)(uint32_t)mine;
                weight[before] = exp_below_one(__dsub_rn((double)of_key((uint32_t)(mine >> 32)), top));
            }
        }
        __syncthreads();
        return;
    }
    while (n_sorted < n) n_sorted *= 2;
    for (int i = n + threadIdx.x; i < n_sorted; i += THREADS) alive[i] = ~0ull;
    sort_block(alive, n_sorted);
    for (int i = threadIdx.x; i < n; i += THREADS) {
        code[i] = (int32_t)(uint32_t)alive[i];
        weight[i] = exp_below_one(__dsub_rn((double)of_key((uint32_t)(alive[i] >> 32)), top));
    }
    __syncthreads();
}

/* By one thread: the survivors of top-p among n, by their weights; their sum. */
MG_INLINE double keep_top_p(const double *weight, int *n_alive, const mg_sampling *how, double total)
{
    double sum = 0;
    int n = *n_alive;

    if (how->rules == MG_RULES_AUDIOCRAFT) {
        const double most = __dmul_rn(how->top_p, total);
        for (n = 0; n < *n_alive && sum <= most; n++) sum = __dadd_rn(sum, weight[n]);
        *n_alive = n;
        return sum;
    }
    const double most = __dmul_rn(__dsub_rn(1, how->top_p), total);
    for (; n > 1 && __dadd_rn(sum, weight[n - 1]) <= most; n--) sum = __dadd_rn(sum, weight[n - 1]);
    *n_alive = n;
    return __dsub_rn(total, sum);
}

/* By one thread: the survivors of min-p among n; their sum. */
MG_INLINE double keep_min_p(const double *weight, int *n_alive, double min_p)
{
    const double least = __dmul_rn(min_p, weight[0]);
    double sum = 0;
    int n = 0;

    for (; n < *n_alive && weight[n] >= least; n++) sum = __dadd_rn(sum, weight[n]);
    *n_alive = n;
    return sum;
}

/* By one thread: the place, among the sorted, of the code at `uniform`. */
MG_INLINE int draw_place(const double *weight, int n_alive, const mg_draw *d)
{
    double total = 0, sum = 0;
    int last = 0;

    for (int i = 0; i < n_alive; i++) total = __dadd_rn(total, weight[i]);
    if (d->how.top_p > 0 && d->how.top_p < 1) total = keep_top_p(weight, &n_alive, &d->how, total);
    if (d->how.min_p > 0) total = keep_min_p(weight, &n_alive, d->how.min_p);
    const double target = __dmul_rn(d->uniform, total);
    for (int i = 0; i < n_alive && weight[i] > 0; i++) {
        last = i;
        sum = __dadd_rn(sum, weight[i]);
        if (sum > target) break;
    }
    return last;
}

/* By one thread: upto[i] = the sum of weights 0 to i, in their order; eight of them are asked for at once. */
MG_INLINE void add_weights(double *upto, const double *weight, int n)
{
    double sum = 0, next[8];

#pragma unroll
    for (int j = 0; j < 8; j++) next[j] = weight[min(j, n - 1)];
    for (int i = 0; i < n; i += 8) {
        double w[8];
#pragma unroll
        for (int j = 0; j < 8; j++) w[j] = next[j];
#pragma unroll
        for (int j = 0; j < 8; j++) next[j] = weight[min(i + 8 + j, n - 1)];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            sum = __dadd_rn(sum, w[j]);
            if (i + j < n) upto[i + j] = sum;
        }
    }
}

/* draw_place where nothing but top-k cuts, by the whole block: the first place whose sum is above the target,
 * or the last one with a weight. It is put into *to by who finds it. */
MG_INLINE void put_draw(int32_t *to, const int32_t *code, const double *weight, double *upto, int n,
                        double uniform)
{
    if (threadIdx.x == 0) add_weights(upto, weight, n);
    __syncthreads();
    const double target = __dmul_rn(uniform, upto[n - 1]);
    for (int i = threadIdx.x; i < n; i += THREADS) {
        const bool above = upto[i] > target, first = i == 0 || !(upto[i - 1] > target);
        const bool is_last = i == n - 1 || !(weight[i + 1] > 0);
        if (weight[i] > 0 ? above ? first : is_last : i == 0) *to = code[i];
    }
}

__global__ void __launch_bounds__(THREADS) sample_k(const draw_job j)
{
    MG_DYNAMIC_SHARED(unsigned long long, alive);
    MG_SHARED(n_alive, int32_t[1]);
    double *weight = reinterpret_cast<double *>(alive + j.n_sorted);
    int32_t *count = reinterpret_cast<int32_t *>(weight); /* before there are weights */
    uint32_t *key = reinterpret_cast<uint32_t *>(weight + max(j.V, DIGITS / 2));
    unsigned long long mine = ~0ull;

    let_successor_start();
    wait_for_predecessor();
    const mg_draw d = j.draws[blockIdx.x];
    const float temperature = (float)d.how.temperature;
    const bool greedy = d.how.greedy || temperature <= 0;
    if (d.cell < 0) return;
    if (!is_draw(&j, &d)) {
        if (threadIdx.x == 0) mg_note_fault(j.fault, MG_FAULT_DRAW, d.cell);
        return;
    }
    if (threadIdx.x == 0) n_alive[0] = 0;
#pragma unroll 4
    for (int v = threadIdx.x; v < j.V; v += THREADS) {
        float x = guided(&j, &d, v);
        if (!greedy) x /= temperature;
        key[v] = x < INFINITY ? key_of(x) : 0; /* none that is finite has it */
        const unsigned long long with_code = (unsigned long long)key[v] << 32 | (unsigned)v;
        mine = with_code < mine ? with_code : mine;
    }
    const unsigned long long top = least_of_block(mine);
    const uint32_t top_key = (uint32_t)(top >> 32);
    if (top_key == 0 || top_key >= key_of(-INFINITY)) { /* the logits tell nothing */
        if (threadIdx.x == 0) j.codes[d.cell] = j.V;
        return;
    }
    if (greedy) {
        if (threadIdx.x == 0) j.codes[d.cell] = (int32_t)(uint32_t)top;
        return;
    }
    const bool cuts_k = d.how.rules != MG_RULES_AUDIOCRAFT || d.how.top_p <= 0;
    const bool cuts_p = d.how.top_p > 0 && d.how.top_p < 1;
    uint32_t last = ~0u;
    if (cuts_k && d.how.top_k > 0 && d.how.top_k < j.V) last = select_key(key, j.V, (int)d.how.top_k, count);
    const int n = gather_alive(alive, key, j.V, last, n_alive);
    int32_t *code = reinterpret_cast<int32_t *>(key); /* keys are with the alive now */
    sort_alive(code, weight, alive, n, (double)of_key(top_key));
    if (!cuts_p && !(d.how.min_p > 0))
        put_draw(j.codes + d.cell, code, weight, reinterpret_cast<double *>(alive), n, d.uniform);
    else if (threadIdx.x == 0)
        j.codes[d.cell] = code[draw_place(weight, n, &d)];
}

mg_status mg_cuda_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                         const mg_draw *draws, int64_t n)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    draw_job j = {};

    if (n == 0) return MG_OK;
    j.codes = (int32_t *)codes->data;
    j.logits = (const float *)logits->data;
    j.draws = draws;
    j.fault = cuda->fault;
    j.n_cells = mg_tensor_count(codes);
    j.N = logits->dim[1];
    j.W = (int32_t)logits->dim[2];
    j.K = logits->dim[0] * logits->dim[2] / V;
    j.V = (int32_t)V;
    for (j.n_sorted = 2; j.n_sorted < V; j.n_sorted *= 2) continue;
    const int64_t n_weights = V < DIGITS / 2 ? DIGITS / 2 : V;
    const size_t bytes = (size_t)j.n_sorted * 8 + (size_t)n_weights * sizeof(double) + (size_t)V * 4;
    MG_REQUIRE(bytes <= cuda->shared_bytes);
    MG_RETURN(mg_allow_shared(cuda, sample_k, bytes));
    MG_RUN(cuda, sample_k, (unsigned)n, THREADS, bytes, j);
    return MG_OK;
}
