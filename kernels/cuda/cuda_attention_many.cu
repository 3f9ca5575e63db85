/* Attention of many tokens: every warp goes through (token, head) pairs of its own, from the first key to the
 * last, and asks for later keys and values while it computes; so the memory is never idle, and no warp waits
 * for another. The same sums in the same order as in cuda_attention.cu, where eight warps share a chunk of
 * 256 keys: here one warp goes through their eight segments.
 *
 * A segment is 32 keys or their values, 4 KB in the warp's part of shared memory. A lane reads there what it
 * has copied itself, so nothing but its own copies need be waited for. */
#include "cuda_attention.cuh"
#include "cuda_segment.cuh"

enum {
    THREADS = 256,
    WARPS = THREADS / 32,
    E = MG_SEGMENT_E,
    LANES = MG_SEGMENT_LANES,
    AT_ONCE = MG_SEGMENT_AT_ONCE,
    SEGMENT = MG_SEGMENT,
    PIECES = MG_SEGMENT_PIECES,
    MOST_EARLY = 128,
};

/* RING: segments of a warp in shared memory, 3, or 2 where a block has no more than 99 KB. Behind them stand
 * a chunk's weights. In uint4. */
template <int RING> struct warp_room {
    enum { RING_WORDS = RING * PIECES * 32, WORDS = RING_WORDS + MG_KEYS_OF_CHUNK / 4 };
};

/* The segment that a warp asks for next: keys of a chunk, then their values, chunk after chunk. */
typedef struct segments {
    int64_t base;                  /* of the pair's row and head, in uint4 */
    int32_t pair, n_pairs, stride; /* this one, how many, from one to the next of a warp */
    int32_t n_keys, chunk, at;     /* of the pair; the chunk's first key, the segment's */
    int32_t next_row, next_keys;   /* of the pair after it */
    bool of_values;
} segments;

MG_INLINE void look_ahead(segments *s, const attention *a)
{
    s->next_keys = s->next_row = 0;
    if (s->pair + s->stride < s->n_pairs)
        s->next_keys = mg_keys_of(a, (s->pair + s->stride) / a->H, &s->next_row, false);
}

/* At the next pair with keys. */
MG_INLINE void next_pair(segments *s, const attention *a)
{
    do {
        s->pair += s->stride;
        s->n_keys = s->next_keys;
        s->base = ((int64_t)s->next_row * a->H + s->pair % a->H) * a->T_max * LANES;
        look_ahead(s, a);
    } while (s->pair < s->n_pairs && s->n_keys == 0);
    s->chunk = s->at = 0;
    s->of_values = false;
}

MG_INLINE segments first_segment(const attention *a, int pair, int n_pairs, int stride)
{
    segments s;

    s.pair = pair - stride, s.n_pairs = n_pairs, s.stride = stride;
    look_ahead(&s, a);
    next_pair(&s, a);
    return s;
}

MG_INLINE void next_segment(segments *s, const attention *a)
{
    const int end = s->chunk + MG_KEYS_OF_CHUNK;

    s->at += SEGMENT;
    if (s->at < s->n_keys && s->at < end) return;
    s->of_values = !s->of_values;
    if (!s->of_values) s->chunk = end;
    s->at = s->chunk;
    if (s->chunk >= s->n_keys) next_pair(s, a);
}

/* What of a segment is asked for: the keys before the wait, all or those behind them. */
enum { SETTLED, ALL, REST };

template <int WHICH, class T>
MG_INLINE void ask(uint4 *slot, const segments *s, const T *keys, const T *values, int n_settled)
{
    const int lane = threadIdx.x % 32;
    const uint4 *from =
        reinterpret_cast<const uint4 *>(s->of_values ? values : keys) + s->base + s->at * LANES + lane;

    if (s->pair >= s->n_pairs) return;
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const int j = s->at + i * AT_ONCE + lane / LANES;
        if (WHICH == SETTLED ? j < n_settled && j < s->n_keys : WHICH == ALL || j >= n_settled)
            cp_async16_or_zeros(slot + i * 32 + lane, from + i * 32, j < s->n_keys);
    }
}

/* Scores of a segment of which n keys are there: a key's stands at the lane's place in `scores`. */
template <class T>
MG_INLINE float score_segment(float *scores, const uint4 *slot, const float *q, int n, float scale)
{
    const int lane = threadIdx.x % 32, mine = lane / LANES;
    float dot[PIECES];

    mg_segment_dots<T>(dot, slot, q);
    const int piece = mg_sum_lanes(dot);
    const float score = piece * AT_ONCE + mine < n ? dot[0] * scale : -INFINITY;
    scores[mine * PIECES + piece] = score;
    return score;
}

/* A chunk's results so far: two columns of a lane, and the sum of the weights. The first segment is added to
 * -0: that is the segment. */
typedef struct mixture {
    float value[2], sum;
} mixture;

template <class T> MG_INLINE void mix_segment(mixture *m, const float *weights, const uint4 *slot)
{
    float weight[PIECES], mixed[8] = {0, 0, 0, 0, 0, 0, 0, 0}, sum = 0;

    mg_segment_weights(weight, weights);
    mg_segment_mix<T>(mixed, &sum, weight, slot);
    mg_segment_finish(mixed, &sum);
    m->value[0] += mixed[0], m->value[1] += mixed[1], m->sum += sum;
}

template <class T, int RING>
__global__ void __launch_bounds__(THREADS, 2)
    attend_many_k(const T *keys, const T *values, const attention a, int n_pairs)
{
    MG_DYNAMIC_SHARED(uint4, shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, stride = gridDim.x * WARPS;
    const int first = warp * gridDim.x + blockIdx.x, mine = lane / LANES;
    const int place =
        mine * PIECES + (lane & 1) * 4 + (lane & 2) + (lane & 4) / 4; /* as mg_sum_lanes has it */
    const int column = mg_segment_column();
    uint4 *ring = shared + warp * warp_room<RING>::WORDS;
    float *weights = reinterpret_cast<float *>(ring + warp_room<RING>::RING_WORDS);
    int slot = 0, n_settled = 0;
    segments next = {};

    let_successor_start();
    if (a.n_early) {
        next = first_segment(&a, first, n_pairs, stride);
        int row = 0;
        if (first < n_pairs && mg_keys_of(&a, first / a.H, &row, false) > 0)
            n_settled = mg_settled_keys(&a, row);
        segments early = next;
        for (int i = 0; i < RING; i++) {
            if (early.pair == first) ask<SETTLED>(ring + i * PIECES * 32, &early, keys, values, n_settled);
            next_segment(&early, &a);
        }
    }
    wait_for_predecessor();
    if (!a.n_early) next = first_segment(&a, first, n_pairs, stride);
    for (int i = 0; i < RING; i++) {
        ask<REST>(ring + i * PIECES * 32, &next, keys, values, next.pair == first ? n_settled : 0);
        cp_async_commit();
        next_segment(&next, &a);
    }
    for (int pair = first; pair < n_pairs; pair += stride) {
        const int64_t n = pair / a.H, h = pair % a.H;
        const float *from = a.x + n * a.x_width + h * E + lane % LANES * 8;
        float *y = a.y + (int64_t)pair * E + column;
        float q[8];
        int row;
        const int n_keys = mg_keys_of(&a, n, &row, lane == 0);
        mg_read_query(q, &a, from);
        if (n_keys == 0) y[0] = y[1] = 0;
        for (int chunk = 0; chunk < n_keys; chunk += MG_KEYS_OF_CHUNK) {
            const int left = n_keys - chunk, n_here = left < MG_KEYS_OF_CHUNK ? left : MG_KEYS_OF_CHUNK;
            mixture m = {{-0.0f, -0.0f}, -0.0f};
            float top = -INFINITY;
#pragma unroll 1
            for (int j = 0; j < n_here; j += SEGMENT) {
                uint4 *words = ring + slot * PIECES * 32;
                cp_async_wait<RING - 1>();
                top = fmaxf(top, score_segment<T>(weights + j, words, q, n_here - j, a.scale));
                ask<ALL>(words, &next, keys, values, 0);
                cp_async_commit();
                next_segment(&next, &a);
                slot = slot + 1 == RING ? 0 : slot + 1;
            }
            top = warp_max(top);
            for (int j = 0; j < n_here; j += SEGMENT) weights[j + place] = expf(weights[j + place] - top);
            __syncwarp();
#pragma unroll 1
            for (int j = 0; j < n_here; j += SEGMENT) {
                uint4 *words = ring + slot * PIECES * 32;
                cp_async_wait<RING - 1>();
                mix_segment<T>(&m, weights + j, words);
                ask<ALL>(words, &next, keys, values, 0);
                cp_async_commit();
                next_segment(&next, &a);
                slot = slot + 1 == RING ? 0 : slot + 1;
            }
            __syncwarp();                             /* the weights are read */
            if (n_here <= MG_KEYS_OF_CHUNK - SEGMENT) /* segments without keys: their sums are 0 */
                m.value[0] += 0.0f, m.value[1] += 0.0f, m.sum += 0.0f;
            if (n_keys <= MG_KEYS_OF_CHUNK) {
                y[0] = m.value[0] / m.sum, y[1] = m.value[1] / m.sum;
            } else {
                float *to = mg_chunk_of(&a, n, h, chunk / MG_KEYS_OF_CHUNK);
                to[2 + column] = m.value[0], to[3 + column] = m.value[1];
                if (lane == 0) to[0] = top, to[1] = m.sum;
            }
        }
        if (n_keys <= MG_KEYS_OF_CHUNK) continue;
        __syncwarp();
        const int n_chunks = (n_keys + MG_KEYS_OF_CHUNK - 1) / MG_KEYS_OF_CHUNK;
        y[0] = mg_of_chunks(&a, n, h, n_chunks, column);
        y[1] = mg_of_chunks(&a, n, h, n_chunks, column + 1);
    }
    cp_async_wait<0>();
}

template <int RING> static size_t block_bytes()
{
    return WARPS * warp_room<RING>::WORDS * sizeof(uint4);
}

template <class T, int RING>
static mg_status run(mg_cuda *cuda, const mg_kv *kv, const attention *a, int64_t n_pairs)
{
    const size_t bytes = block_bytes<RING>(), reserved = 1024;
    const int64_t per_sm = mg_smaller((int64_t)((cuda->shared_bytes + reserved) / (bytes + reserved)), 2);

    MG_RETURN(mg_allow_shared(cuda, attend_many_k<T, RING>, bytes));
    MG_RUN(cuda, (attend_many_k<T, RING>), (unsigned)(cuda->n_sms * per_sm), THREADS, bytes, (const T *)kv->k,
           (const T *)kv->v, *a, (int)n_pairs);
    return MG_OK;
}

template <class T>
static mg_status run_widest(mg_cuda *cuda, const mg_kv *kv, const attention *a, int64_t n_pairs)
{
    return cuda->shared_bytes >= block_bytes<3>() ? run<T, 3>(cuda, kv, a, n_pairs)
                                                  : run<T, 2>(cuda, kv, a, n_pairs);
}

mg_status mg_attend_many(mg_cuda *cuda, bool *done, const mg_kv *kv, const attention *a, int64_t N, bool all)
{
    const int64_t n_pairs = N * a->H;
    attention many = *a;

    *done = kv->E == E && kv->format != MG_FORMAT_F32 && !a->rel_bias && n_pairs >= 2 * cuda->n_sms &&
            n_pairs < INT32_MAX / 2 && cuda->shared_bytes >= block_bytes<2>();
    if (!*done) return MG_OK;
    many.n_early = kv->settled && all && N <= MOST_EARLY ? (int32_t)N : 0;
    return kv->format == MG_FORMAT_BF16 ? run_widest<__nv_bfloat16>(cuda, kv, &many, n_pairs)
                                        : run_widest<__half>(cuda, kv, &many, n_pairs);
}
