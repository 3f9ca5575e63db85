/* Attention over a text's few keys and the product behind it, in one kernel: cross-attention and its out of
 * one clip, or of a few.
 *
 * A product in slices has a warp for each (cuda_product_few.cuh), and a slice of its inputs is a run of whole
 * heads. So a warp makes its slice of the inputs itself, where the plain kernel copies it from memory: no
 * kernel stands before it, and no warp waits for another. Each block makes all of the attention; what that
 * costs is little, for what does not change from step to step, weights, keys and values, is in shared memory
 * before the wait. The bits are those of attention and then the product.
 *
 * When it is worth it, attended.h computes; no GPU has measured it. */
#include "cuda_attention.cuh"
#include "cuda_product_few.cuh"
#include "cuda_segment.cuh"
#include "cuda_step.cuh"

enum {
    STEPS = MG_ATTENDED_STEPS,
    RING = STEPS / MG_FEW_CHUNK,
    E = MG_SEGMENT_E,
    LANES = MG_SEGMENT_LANES,
    AT_ONCE = MG_SEGMENT_AT_ONCE,
    PIECES = MG_SEGMENT_PIECES,
    HALF = PIECES / 2,
};

/* What lane r knows of row r's text: where it is, its keys, and those that stood in the cache before. */
typedef struct text {
    int row, n_keys, n_settled;
} text;

MG_INLINE text text_of_lane(const attention *a)
{
    const int lane = threadIdx.x % 32;
    text t = {0, 0, 0};

    if (lane < a->n_early) t.n_keys = mg_keys_of(a, lane, &t.row, false);
#pragma unroll 1
    for (int r = 0; r < a->n_early; r++) {
        const int n = mg_settled_keys(a, __shfl_sync(0xffffffffu, t.row, r));
        if (lane == r) t.n_settled = n;
    }
    return t;
}

/* A piece of a head's keys, and of its values. */
MG_INLINE void ask_piece(uint4 *to, const uint4 *keys, const uint4 *values, int64_t at, int piece,
                         int n_pieces, bool is_there)
{
    cp_async16_or_zeros(to + piece * 32, keys + at + piece * 32, is_there);
    cp_async16_or_zeros(to + (n_pieces + piece) * 32, values + at + piece * 32, is_there);
}

/* Keys and values of the warp's heads. EARLY: those that are settled, and zeros where there are none; else,
 * behind the wait, the few that are left. */
template <bool EARLY>
MG_INLINE void ask_keys(uint4 *to, const attention *a, text mine, const uint4 *keys, const uint4 *values,
                        int first_head, int n_heads, int n_pieces)
{
    const int lane = threadIdx.x % 32;

#pragma unroll 1
    for (int r = 0; r < a->n_early; r++) {
        const int n = __shfl_sync(0xffffffffu, mine.n_keys, r);
        const int n_settled = __shfl_sync(0xffffffffu, mine.n_settled, r);
        const int64_t row = __shfl_sync(0xffffffffu, mine.row, r);
        int64_t at = (row * a->H + first_head) * a->T_max * LANES + lane;
#pragma unroll 1
        for (int h = 0; h < n_heads; h++, to += 2 * n_pieces * 32, at += (int64_t)a->T_max * LANES) {
            if (EARLY) {
#pragma unroll
                for (int i = 0; i < PIECES; i++) {
                    const int j = i * AT_ONCE + lane / LANES;
                    if (i < n_pieces && (j < n_settled || j >= n))
                        ask_piece(to, keys, values, at, i, n_pieces, j < n);
                }
            } else {
#pragma unroll 1
                for (int i = max(n_settled, 0) / AT_ONCE; i * AT_ONCE < n; i++) {
                    const int j = i * AT_ONCE + lane / LANES;
                    if (j >= n_settled && j < n) ask_piece(to, keys, values, at, i, n_pieces, true);
                }
            }
        }
    }
}

/* The queries of all rows, [row][head][E]. */
MG_INLINE void ask_queries(uint4 *to, const attention *a, int first_head, int n_heads)
{
    const int lane = threadIdx.x % 32, n = n_heads * E / 4;

#pragma unroll 1
    for (int r = 0; r < a->n_early; r++) {
        const uint4 *from = reinterpret_cast<const uint4 *>(a->x + r * a->x_width + first_head * E);
#pragma unroll 1
        for (int i = lane; i < n; i += 32) cp_async16(to + r * n + i, from + i);
    }
}

/* A row's head, rounded. Of more than 16 keys there are two halves; what is left out otherwise is zeros, as
 * are the sums of the warps of attend_k that have no keys. */
template <class T>
MG_INLINE void attend_text(T *to, const uint4 *room, const float *query, float *softmax, int n, int n_pieces,
                           float scale)
{
    const int lane = threadIdx.x % 32, mine = lane / LANES;
    const uint4 *values = room + n_pieces * 32;
    float q[8], dot[PIECES] = {}, weight[PIECES], mixed[8] = {}, sum = 0;

#pragma unroll
    for (int c = 0; c < 8; c++) q[c] = query[lane % LANES * 8 + c];
    mg_segment_dots<T, 0, HALF>(dot, room, q);
    if (n > HALF * AT_ONCE) mg_segment_dots<T, HALF, PIECES>(dot, room, q);
    const int piece = mg_sum_lanes(dot);
    const float score = piece * AT_ONCE + mine < n ? dot[0] * scale : -INFINITY;
    softmax[mine * PIECES + piece] = expf(score - warp_max(score));
    __syncwarp();
    mg_segment_weights(weight, softmax);
    mg_segment_mix<T, 0, HALF>(mixed, &sum, weight, values);
    if (n > HALF * AT_ONCE) mg_segment_mix<T, HALF, PIECES>(mixed, &sum, weight, values);
    mg_segment_finish(mixed, &sum);
    const float first = (mixed[0] + 0.0f) / (sum + 0.0f), second = (mixed[1] + 0.0f) / (sum + 0.0f);
    *reinterpret_cast<uint32_t *>(to + mg_segment_column()) = n > 0 ? mg_pair<T>(first, second) : 0;
}

/* x of p is not looked at but for the number of rows; a's n_early is that number. */
template <class T>
__global__ void __launch_bounds__(FEW_THREADS, 2)
    few_attended_k(const half_product p, const uint4 *keys, const uint4 *values, const attention a)
{
    MG_DYNAMIC_SHARED(uint4, rings);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_rows = a.n_early, n_heads = p.n_in / E;
    const int held = mg_few_held(p.n_steps, true, STEPS) * MG_FEW_CHUNK * 32;
    const int pitch = mg_few_pitch(p.n_steps, true), first_head = warp * n_heads;
    const mg_attended_room at = mg_attended_room_of(a.T_max, n_rows, n_heads, p.n_steps);
    uint4 *ring = rings + warp * held + lane, *room = rings + p.n_slices * held + warp * at.all;
    T *const rounded = reinterpret_cast<T *>(room + at.rows);
    const few_share share = few_share_of(&p, true);
    const T *rows[1];
    float sum[1][4];

    let_successor_start();
#pragma unroll
    for (int chunk = 0; chunk < RING; chunk++)
        if (chunk < share.n_chunks) few_ask(ring + chunk * MG_FEW_CHUNK * 32, &share, chunk, true);
    const text mine = text_of_lane(&a);
    if (warp < p.n_slices)
        ask_keys<true>(room + lane, &a, mine, keys, values, first_head, n_heads, at.n_pieces);
    few_place place = few_aim(&p);
    wait_for_predecessor();
    if (warp < p.n_slices) {
        ask_queries(room + at.queries, &a, first_head, n_heads);
        ask_keys<false>(room + lane, &a, mine, keys, values, first_head, n_heads, at.n_pieces);
    }
    cp_async_commit();
    few_look(&place, &p);
    if (blockIdx.x == 0 && (int)threadIdx.x < n_rows) {
        int row;
        (void)mg_keys_of(&a, threadIdx.x, &row, true);
    }
    cp_async_wait<0>();
    if (warp < p.n_slices) {
        __syncwarp(); /* others' queries */
        const uint4 *keys_here = room, *query = room + at.queries;
#pragma unroll 1
        for (int r = 0; r < n_rows; r++) {
            const int n = __shfl_sync(0xffffffffu, mine.n_keys, r);
#pragma unroll 1
            for (int h = 0; h < n_heads; h++, keys_here += 2 * at.n_pieces * 32, query += E / 4) {
                attend_text(rounded + r * pitch + h * E, keys_here, reinterpret_cast<const float *>(query),
                            reinterpret_cast<float *>(room + at.softmax), n, at.n_pieces, a.scale);
                __syncwarp(); /* before the next one's softmax, and the product */
            }
        }
    }
    few_rows_of<T, 1>(rows, rounded, pitch, n_rows);
    few_sum_slice<T, 1, RING>(sum, ring, &share, rows);
    cp_async_wait<0>();
    few_finish<1>(&p, sum, reinterpret_cast<float *>(rings), held * 4, true, place);
}

/* Does the kernel know how, and is it worth it? */
static bool suits(const mg_cuda *cuda, const mg_attended *sizes, const attention *a, const mg_kv *kv,
                  const mg_matrix *w)
{
    const bool is_half = w->format == MG_FORMAT_BF16 || w->format == MG_FORMAT_F16;

    if (!cuda->overlap) return false; /* keys and values would come behind the wait, to every block */
    if (!is_half || kv->format != w->format || !kv->settled || kv->E != E) return false;
    if (a->x_width % 4 != 0 || (uintptr_t)a->x % 16 != 0) return false;
    return mg_attended_pays(sizes, cuda->n_sms, cuda->shared_bytes);
}

template <class T>
static mg_status run(mg_cuda *cuda, const half_product *p, const attention *a, const mg_kv *kv, size_t bytes)
{
    MG_RETURN(mg_allow_shared(cuda, few_attended_k<T>, bytes));
    MG_RUN(cuda, few_attended_k<T>, (unsigned)p->n_tiles, FEW_THREADS, bytes, *p, (const uint4 *)kv->k,
           (const uint4 *)kv->v, *a);
    return MG_OK;
}

mg_status mg_cuda_attention_linear(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                   mg_tensor *a, const mg_tensor *x, const mg_attend *over,
                                   const mg_matrix *w)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const mg_kv *kv = over->kv;
    const attention attend = mg_attention_of(cuda, x, over);
    const mg_attended sizes = {x->dim[0], kv->T_max, w->n_out, kv->n_heads, w->n_slices};
    mg_finish to = {};

    (void)a;
    *done = suits(cuda, &sizes, &attend, kv, w);
    if (!*done) return MG_OK;
    to.y = (float *)y->data;
    to.row_stride = w->n_out;
    to.accumulate = product != NULL;
    half_product p = mg_half_product_of(cuda, &to, w);
    p.x.n = x->dim[0];
    const size_t bytes = mg_attended_bytes(&sizes);
    return w->format == MG_FORMAT_BF16 ? run<__nv_bfloat16>(cuda, &p, &attend, kv, bytes)
                                       : run<__half>(cuda, &p, &attend, kv, bytes);
}
