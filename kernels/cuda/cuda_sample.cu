/* The codes: which ones a step reads, and which it draws. A block makes one draw: guidance, division by the
 * temperature, a sort of all codes by falling logit and then rising index, and the rules of
 * kernels/cpu/cpu_sampler.c over the sorted ones. Its sums are in that file's order, in fp64, and its
 * exponential is that file's: for the same logits the code is the same, to the bit.
 *
 * No product is contracted with a sum here: the build says so for all files, and where it would change a
 * code the operations are named. */
#include "cuda_half.cuh"
#include "cuda_transformer.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

typedef struct draw_job {
    int32_t *codes;
    const float *logits;  /* [R, N, W] */
    const mg_draw *draws; /* [n] */
    int32_t *fault;
    int64_t n_cells, N, W, K;
    int32_t V, n_sorted; /* n_sorted: V rounded up to a power of 2 */
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

MG_INLINE float guided(const draw_job *j, const mg_draw *d, int v)
{
    const int64_t c = (int64_t)d->k * j->V + v;
    const float *from = j->logits + c / j->W * j->N * j->W + c % j->W;
    float x = __ldcg(from + d->token[0] * j->W);

    for (int role = d->n_roles - 1; role > 0; role--) {
        const float other = __ldcg(from + d->token[role] * j->W);
        x = __fadd_rn(other, __fmul_rn(__fsub_rn(x, other), role == 2 ? d->beta : d->coef));
    }
    return x;
}

MG_INLINE bool is_draw(const draw_job *j, const mg_draw *d)
{
    if (d->cell >= j->n_cells || d->k < 0 || d->k >= j->K || d->n_roles < 1 || d->n_roles > MG_MAX_ROLES)
        return false;
    for (int role = 0; role < d->n_roles; role++)
        if (d->token[role] < 0 || d->token[role] >= j->N) return false;
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

/* How many of the sorted survive top-k: the k largest, and what equals the last of them. */
MG_INLINE int count_top_k(const unsigned long long *sorted, int V, int64_t k)
{
    if (k <= 0 || k >= V) return V;
    const unsigned long long last = sorted[k - 1] >> 32;
    int n = (int)k;
    while (n < V && sorted[n] >> 32 == last) n++;
    return n;
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

__global__ void __launch_bounds__(THREADS) sample_k(const draw_job j)
{
    MG_DYNAMIC_SHARED(unsigned long long, sorted);
    double *weight = reinterpret_cast<double *>(sorted + j.n_sorted);
    float *scaled = reinterpret_cast<float *>(weight + j.V);

    let_successor_start();
    wait_for_predecessor();
    const mg_draw *d = j.draws + blockIdx.x;
    const float temperature = (float)d->how.temperature;
    const bool greedy = d->how.greedy || temperature <= 0;
    if (d->cell < 0) return;
    if (!is_draw(&j, d)) {
        if (threadIdx.x == 0) mg_note_fault(j.fault, MG_FAULT_DRAW, d->cell);
        return;
    }
    for (int v = threadIdx.x; v < j.n_sorted; v += THREADS) {
        unsigned long long key = ~0ull;
        if (v < j.V) {
            const float x = guided(&j, d, v);
            scaled[v] = greedy ? x : x / temperature;
            const bool never = greedy && v > 0 && x != x; /* as a comparison has it */
            key = (unsigned long long)(never ? ~0u : key_of(scaled[v])) << 32 | (unsigned)v;
        }
        sorted[v] = key;
    }
    sort_block(sorted, j.n_sorted);
    if (greedy) {
        if (threadIdx.x == 0) j.codes[d->cell] = (int32_t)(uint32_t)sorted[0];
        return;
    }
    const bool cut_k = d->how.rules != MG_RULES_AUDIOCRAFT || d->how.top_p <= 0;
    const int n = cut_k ? count_top_k(sorted, j.V, d->how.top_k) : j.V;
    const double top = (double)scaled[(uint32_t)sorted[0]];
    for (int i = threadIdx.x; i < n; i += THREADS)
        weight[i] = exp_below_one(__dsub_rn((double)scaled[(uint32_t)sorted[i]], top));
    __syncthreads();
    if (threadIdx.x == 0) j.codes[d->cell] = (int32_t)(uint32_t)sorted[draw_place(weight, n, d)];
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
    j.W = logits->dim[2];
    j.K = logits->dim[0] * logits->dim[2] / V;
    j.V = (int32_t)V;
    for (j.n_sorted = 2; j.n_sorted < V; j.n_sorted *= 2) continue;
    const size_t bytes = (size_t)j.n_sorted * 8 + (size_t)V * (sizeof(double) + sizeof(float));
    MG_REQUIRE(bytes <= cuda->shared_bytes);
    MG_RETURN(mg_allow_shared(sample_k, bytes));
    MG_RUN(cuda, sample_k, (unsigned)n, THREADS, bytes, j);
    return MG_OK;
}
