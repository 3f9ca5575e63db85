/* Products with bf16 and fp16 weights for up to 16 rows: the steps of one clip, or of a few.
 *
 * Little is computed here, so two things count: that weights are on their way long before x is there, and
 * that the way from x to y is short. A block makes 16 outputs over all slices, so no block waits for another.
 * Its warps share the inputs: each takes a slice of its own or, where there is one slice alone, a part of it.
 * A lane asks by itself for the 16 bytes of a step that it alone will use, up to DEPTH steps ahead, into a
 * ring in shared memory: no barrier stands between a weight and its use, few registers are held meanwhile,
 * and blocks of several kernels in a row have their rings in one SM.
 *
 * The sums are those of cuda_matrix.cuh, in the same order: a row has the bits that every other way gives it.
 */
#ifndef MG_CUDA_PRODUCT_FEW_CUH
#define MG_CUDA_PRODUCT_FEW_CUH

#include "cuda_product_half.cuh"

enum { FEW_THREADS = 32 * MG_PARTS };

/* What a warp takes of a tile: n steps of a slice, from `first` on. One part, step after step; or all parts
 * of the slice, four of them side by side: step j of parts 0 to 3, and so on, then the other four. Those do
 * not wait for each other in the tensor core. */
typedef struct few_share {
    const uint4 *w; /* this lane's, of the first step */
    int slice, first, n;
    int n_chunks;
} few_share;

MG_INLINE few_share few_share_of(const half_product *p, bool sliced)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    few_share s = {};

    if (sliced) {
        s.slice = warp;
        s.n = warp < p->n_slices ? p->n_steps : 0;
    } else {
        s.first = mg_part_begin(p->n_steps, warp);
        s.n = mg_part_begin(p->n_steps, warp + 1) - s.first;
    }
    s.n_chunks = sliced ? mg_few_chunks(s.n, true) : (s.n + MG_FEW_CHUNK - 1) / MG_FEW_CHUNK;
    s.w = p->w + (((int64_t)blockIdx.x * p->n_slices + s.slice) * p->n_steps + s.first) * 32 + lane;
    return s;
}

/* Where four parts of a slice begin and end, of half its parts. */
typedef struct few_parts {
    int begin[MG_FEW_CHUNK + 1];
} few_parts;

MG_INLINE few_parts few_parts_of(int n, int side)
{
    few_parts parts;

#pragma unroll
    for (int k = 0; k <= MG_FEW_CHUNK; k++)
        parts.begin[k] = (int)((unsigned)n * (unsigned)(side * MG_FEW_CHUNK + k) / MG_PARTS);
    return parts;
}

/* A chunk's weights, into its place of the ring. */
MG_INLINE void few_ask(uint4 *ring, const few_share *s, int chunk, bool sliced)
{
    if (sliced) {
        const int deepest = s->n_chunks / 2, side = chunk >= deepest, j = chunk - side * deepest;
        const few_parts parts = few_parts_of(s->n, side);
#pragma unroll
        for (int k = 0; k < MG_FEW_CHUNK; k++) {
            const int step = parts.begin[k] + j;
            if (step < parts.begin[k + 1]) cp_async16(ring + k * 32, s->w + step * 32);
        }
    } else {
#pragma unroll
        for (int k = 0; k < MG_FEW_CHUNK; k++) {
            const int step = chunk * MG_FEW_CHUNK + k;
            if (step < s->n) cp_async16(ring + k * 32, s->w + step * 32);
        }
    }
}

/* ---- Where an output goes, looked up while x is on its way ---- */

typedef struct few_place {
    void *to;     /* NULL: nowhere */
    float before; /* what is there, if it is added to */
} few_place;

MG_INLINE bool few_is_cached(const mg_finish_kv *kv, int o)
{
    return kv->k && o >= (int)kv->first_col && o < (int)kv->first_col + 2 * kv->H * kv->E;
}

MG_INLINE void *few_place_in_cache(const mg_finish_kv *kv, int row, int column)
{
    const int HE = kv->H * kv->E, c = column < HE ? column : column - HE;
    const int cache_row = __ldcg(kv->row + row), at = __ldcg(kv->pos + row);
    const int64_t i = (((int64_t)cache_row * kv->H + c / kv->E) * kv->T_max + at) * kv->E + c % kv->E;

    if (cache_row < 0 || cache_row >= kv->n_rows || at < 0 || at >= kv->T_max) {
        mg_note_fault(kv->fault, MG_FAULT_CACHE, at);
        return nullptr;
    }
    return (char *)(column < HE ? kv->k : kv->v) + i * (kv->format == MG_FORMAT_F32 ? 4 : 2);
}

/* Which of the block's [rows][16] outputs this thread will have. The last warps come first: the first ones
 * have a norm's statistics to make. */
MG_INLINE int few_output()
{
    return (int)threadIdx.x ^ (FEW_THREADS - 32);
}

/* As far as it is known before the wait: a place in y. */
MG_INLINE few_place few_aim(const half_product *p)
{
    const int row = few_output() / MG_TILE_HALF, o = blockIdx.x * MG_TILE_HALF + few_output() % MG_TILE_HALF;
    float *y = row < (int)p->x.n && o < p->n_out ? p->to.y + row * p->to.row_stride + o : nullptr;

    compute_here(y);
    return {y, 0};
}

MG_INLINE void few_look(few_place *place, const half_product *p)
{
    const int row = few_output() / MG_TILE_HALF, o = blockIdx.x * MG_TILE_HALF + few_output() % MG_TILE_HALF;

    if (!place->to) return;
    if (few_is_cached(&p->to.kv, o))
        place->to = few_place_in_cache(&p->to.kv, row, o - (int)p->to.kv.first_col);
    else if (p->to.accumulate)
        place->before = __ldcg((const float *)place->to);
}

MG_INLINE void few_put(const mg_finish *to, const few_place *place, int o, float sum)
{
    if (to->bias) sum = to->bias[o % to->n_bias] + sum;
    const float v = mg_activate(sum, to->act);
    if (!place->to) return;
    if (few_is_cached(&to->kv, o))
        mg_store_cached(place->to, to->kv.format, v);
    else
        *(float *)place->to = to->accumulate ? place->before + v : v;
}

/* ---- x ---- */

MG_INLINE void few_keep(float *to, float4 v)
{
    *reinterpret_cast<float4 *>(to) = v;
}

template <class T> MG_INLINE void few_keep(T *to, float4 v)
{
    *reinterpret_cast<uint2 *>(to) = make_uint2(mg_pair<T>(v.x, v.y), mg_pair<T>(v.z, v.w));
}

/* Where a thread's loads of x are: BATCH of a row and of the next one. */
typedef struct few_source {
    const float *from, *next;
    unsigned loads; /* bit u: load u is within its row; FEW_ODD: rows that 16 bytes do not fit */
} few_source;

enum { FEW_ODD = 1 << 30 };

/* Rows of n values from x on, by N_THREADS: the loads from value i of a row on. */
template <int BATCH, int N_THREADS>
MG_INLINE few_source few_source_of(const mg_rows *rows, const float *x, int n, int row, int i)
{
    few_source s = {x + row * rows->row_stride + i, nullptr, 0};

    s.next = s.from + rows->row_stride;
#pragma unroll
    for (int u = 0; u < 2 * BATCH; u++)
        if (row + u / BATCH < (int)rows->n && i + 4 * N_THREADS * (u % BATCH) < n) s.loads |= 1u << u;
    if (n % 4 != 0 || rows->row_stride % 4 != 0 || reinterpret_cast<uintptr_t>(x) % 16 != 0)
        s.loads = FEW_ODD;
    return s;
}

/* `length` values of each row, a multiple of 16, from x on, where n stand and then zeros: into shared memory,
 * as fp32 or rounded, rows `pitch` apart. By N_THREADS, of which this is number `me`; s: its first loads. */
template <int BATCH, int N_THREADS, class T>
MG_INLINE void few_stage(T *to, int pitch, const mg_rows *rows, const float *x, int n, int length, int me,
                         few_source s)
{
    const int n_rows = (int)rows->n;
    int row = 0, i0 = 4 * me;

    if (s.loads == FEW_ODD) {
        for (; row < n_rows; row++)
#pragma unroll 1
            for (int i = i0; i < length; i += 4 * N_THREADS)
                few_keep(to + row * pitch + i, mg_row_four<false>(x + row * rows->row_stride, i, n, false));
        return;
    }
#pragma unroll 1
    for (;;) {
        float4 v[2 * BATCH];
#pragma unroll
        for (int u = 0; u < 2 * BATCH; u++) {
            const float *from = (u < BATCH ? s.from : s.next) + 4 * N_THREADS * (u % BATCH);
            v[u] = make_float4(0, 0, 0, 0);
            if (s.loads >> u & 1) v[u] = __ldcg(reinterpret_cast<const float4 *>(from));
        }
        T *into = to + row * pitch + i0;
#pragma unroll
        for (int u = 0; u < 2 * BATCH; u++) {
            const int i = 4 * N_THREADS * (u % BATCH);
            if (row + u / BATCH < n_rows && i0 + i < length) few_keep(into + u / BATCH * pitch + i, v[u]);
        }
        i0 += 4 * N_THREADS * BATCH;
        if (i0 - 4 * me >= length) i0 = 4 * me, row += 2;
        if (row >= n_rows) break;
        s = few_source_of<BATCH, N_THREADS>(rows, x, n, row, i0);
    }
}

/* What a warp's share of a row is multiplied by and added to: lane l has fours l, l + 32 … of it, N at a
 * time. */
template <int N> struct few_norm {
    float4 gamma[N], beta[N];
};

MG_INLINE float4 few_four(const float *p, int i, int n)
{
    float4 v = {0, 0, 0, 0};

    if (!p) return v;
    if (n % 4 == 0 && reinterpret_cast<uintptr_t>(p) % 16 == 0) {
        if (i < n) v = __ldcg(reinterpret_cast<const float4 *>(p + i));
        return v;
    }
    return mg_row_four<false>(p, i, n, false);
}

template <int N> MG_INLINE void few_ask_norm(few_norm<N> *norm, const half_product *p, int i)
{
#pragma unroll
    for (int q = 0; q < N; q++) {
        norm->gamma[q] = few_four(p->norm.gamma, i + 128 * q, p->n_in);
        norm->beta[q] = few_four(p->norm.beta, i + 128 * q, p->n_in);
    }
}

MG_INLINE float4 few_normed(float4 v, mg_row_scale s, float4 gamma, float4 beta, bool shifts, int left)
{
    v.x = mg_norm_with(v.x, s, gamma.x, beta.x, shifts);
    v.y = left > 1 ? mg_norm_with(v.y, s, gamma.y, beta.y, shifts) : 0.0f;
    v.z = left > 2 ? mg_norm_with(v.z, s, gamma.z, beta.z, shifts) : 0.0f;
    v.w = left > 3 ? mg_norm_with(v.w, s, gamma.w, beta.w, shifts) : 0.0f;
    return left > 0 ? v : make_float4(0, 0, 0, 0);
}

/* The statistics of all rows, which stand in shared memory as fp32; then this warp's share of each, normed
 * and rounded, in the place where it stood. The whole block calls it, behind a __syncthreads(). */
template <class T, int N>
MG_INLINE void few_norm_rows(float *rows, int pitch, const half_product *p, const few_share *s,
                             few_norm<N> *by, few_place *place)
{
    MG_SHARED(scales, mg_row_scale[MG_FEW_ROWS]);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_rows = (int)p->x.n;
    const int first = s->first * MG_STEP, length = s->n * MG_STEP;
    const bool shifts = p->norm.beta != nullptr;

#pragma unroll 1
    for (int r = warp; r < n_rows; r += MG_PARTS) {
        const mg_row_scale scale = mg_norm_row<true>(rows + r * pitch, p->n_in, &p->norm);
        if (lane == 0) scales[r] = scale;
    }
    few_look(place, p);
    __syncthreads();
#pragma unroll 1
    for (int i0 = 0; i0 < length; i0 += 128 * N) {
        if (i0) few_ask_norm(by, p, first + i0 + 4 * lane);
#pragma unroll 1
        for (int r = 0; r < n_rows; r += 2) {
            float4 v[2][N];
#pragma unroll
            for (int j = 0; j < 2 * N; j++) {
                const int row = r + j / N, i = i0 + j % N * 128 + 4 * lane;
                if (row < n_rows && i < length)
                    v[j / N][j % N] = *reinterpret_cast<const float4 *>(rows + row * pitch + first + i);
            }
            __syncwarp(); /* before others write where this lane has read */
#pragma unroll
            for (int j = 0; j < 2 * N; j++) {
                const int row = r + j / N, q = j % N, i = i0 + q * 128 + 4 * lane;
                if (row < n_rows && i < length)
                    few_keep(reinterpret_cast<T *>(rows + row * pitch + first) + i,
                             few_normed(v[j / N][q], scales[row], by->gamma[q], by->beta[q], shifts,
                                        p->n_in - first - i));
            }
        }
    }
}

/* ---- The sums ---- */

/* A lane's place in the rows of its B operands; past the last row it takes that one, and what comes of it is
 * not looked at. */
template <class T, int NT>
MG_INLINE void few_rows_of(const T *(&rows)[NT], const T *xs, int pitch, int n_rows)
{
    const int lane = threadIdx.x % 32, group = lane / 4, at = lane % 4 * 2;

#pragma unroll
    for (int t = 0; t < NT; t++) rows[t] = xs + min(t * 8 + group, n_rows - 1) * pitch + at;
}

template <class T, int NT> MG_INLINE void few_b(uint2 (&b)[NT], const T *const (&rows)[NT], int step)
{
#pragma unroll
    for (int t = 0; t < NT; t++) {
        b[t].x = *reinterpret_cast<const uint32_t *>(rows[t] + step * MG_STEP);
        b[t].y = *reinterpret_cast<const uint32_t *>(rows[t] + step * MG_STEP + 8);
    }
}

/* A chunk's steps, each added to the sums of its own, or all in order to one; ALL: it has all of them, else
 * those in `mask`. */
template <class T, int NT, bool ALL, int N_SUMS>
MG_INLINE void few_take(float (&c)[N_SUMS][NT][4], const uint4 *from, const T *const (&rows)[NT],
                        const int (&step)[MG_FEW_CHUNK], unsigned mask)
{
    uint4 a[MG_FEW_CHUNK];
    uint2 b[MG_FEW_CHUNK][NT];

#pragma unroll
    for (int k = 0; k < MG_FEW_CHUNK; k++) {
        if (!ALL && !(mask >> k & 1)) continue;
        a[k] = from[k * 32];
        few_b<T, NT>(b[k], rows, step[k]);
    }
#pragma unroll
    for (int k = 0; k < MG_FEW_CHUNK; k++) {
        if (!ALL && !(mask >> k & 1)) continue;
#pragma unroll
        for (int t = 0; t < NT; t++) mg_mma<T>(c[N_SUMS > 1 ? k : 0][t], a[k], b[k][t]);
    }
}

/* Chunk `chunk`: waits for its weights, takes it, asks for the one that will stand in its place. */
template <class T, int NT, int RING, int N_SUMS>
MG_INLINE void few_chunk(float (&c)[N_SUMS][NT][4], uint4 *ring, const few_share *s,
                         const T *const (&rows)[NT], int chunk, const int (&step)[MG_FEW_CHUNK],
                         unsigned mask)
{
    uint4 *place = ring + chunk % RING * (MG_FEW_CHUNK * 32);

    cp_async_wait<RING - 1>();
    if (mask == (1u << MG_FEW_CHUNK) - 1)
        few_take<T, NT, true>(c, place, rows, step, mask);
    else
        few_take<T, NT, false>(c, place, rows, step, mask);
    if (chunk + RING < s->n_chunks) few_ask(place, s, chunk + RING, N_SUMS > 1);
    cp_async_commit();
}

/* One part: its steps one after the other. */
template <class T, int NT, int RING>
MG_INLINE void few_sum_part(float (&sum)[NT][4], uint4 *ring, const few_share *s, const T *const (&rows)[NT])
{
    float c[1][NT][4] = {};

#pragma unroll 1
    for (int chunk = 0; chunk < s->n_chunks; chunk++) {
        int step[MG_FEW_CHUNK];
        unsigned mask = 0;
#pragma unroll
        for (int k = 0; k < MG_FEW_CHUNK; k++) {
            step[k] = chunk * MG_FEW_CHUNK + k;
            mask |= (step[k] < s->n) << k;
        }
        few_chunk<T, NT, RING>(c, ring, s, rows, chunk, step, mask);
    }
#pragma unroll
    for (int i = 0; i < NT * 4; i++) sum[i / 4][i % 4] = c[0][i / 4][i % 4];
}

/* All parts of a slice, four side by side. */
template <class T, int NT, int RING>
MG_INLINE void few_sum_slice(float (&sum)[NT][4], uint4 *ring, const few_share *s, const T *const (&rows)[NT])
{
    const int deepest = s->n_chunks / 2;

#pragma unroll 1
    for (int side = 0; side < 2; side++) {
        float c[MG_FEW_CHUNK][NT][4] = {};
        const few_parts parts = few_parts_of(s->n, side);

#pragma unroll 1
        for (int j = 0; j < deepest; j++) {
            int step[MG_FEW_CHUNK];
            unsigned mask = 0;
#pragma unroll
            for (int k = 0; k < MG_FEW_CHUNK; k++) {
                step[k] = parts.begin[k] + j;
                mask |= (step[k] < parts.begin[k + 1]) << k;
            }
            few_chunk<T, NT, RING>(c, ring, s, rows, side * deepest + j, step, mask);
        }
#pragma unroll
        for (int i = 0; i < MG_FEW_CHUNK * NT * 4; i++) {
            const int k = i / 4 / NT, t = i / 4 % NT;
            sum[t][i % 4] = side == 0 && k == 0 ? c[k][t][i % 4] : sum[t][i % 4] + c[k][t][i % 4];
        }
    }
}

/* What each warp has, where its ring was: [16 rows][pitch]. Then parts are added in order, or slices in their
 * tree. */
template <int NT>
MG_INLINE void few_finish(const half_product *p, const float (&sum)[NT][4], float *sums, int stride,
                          bool sliced, few_place place)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n = (int)p->x.n * MG_TILE_HALF;

    __syncwarp(); /* the warp is done with its ring */
#pragma unroll
    for (int t = 0; t < NT && (!sliced || warp < p->n_slices); t++) {
        float *to = sums + warp * stride + (t * 8 + lane % 4 * 2) * MG_VARIANT_PITCH + lane / 4;
        to[0] = sum[t][0];
        to[MG_VARIANT_PITCH] = sum[t][1];
        to[8] = sum[t][2];
        to[MG_VARIANT_PITCH + 8] = sum[t][3];
    }
    __syncthreads();
    if (few_output() >= n) return;
    const int row = few_output() / MG_TILE_HALF, o = few_output() % MG_TILE_HALF;
    const float *from = sums + row * MG_VARIANT_PITCH + o;
    float v[MG_PARTS];
#pragma unroll
    for (int i = 0; i < MG_PARTS; i++) v[i] = !sliced || i < p->n_slices ? from[i * stride] : 0.0f;
    float all = v[0];
#pragma unroll
    for (int i = 1; i < MG_PARTS; i++) all += v[i];
    if (sliced) all = mg_tree(v, p->n_slices);
    few_put(&p->to, &place, blockIdx.x * MG_TILE_HALF + o, all);
}

/* DEPTH: steps that a lane asks for at once. */
template <class T, int NT, int DEPTH, bool NORMED, int BLOCKS>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS) few_k(const half_product p)
{
    constexpr int RING = DEPTH / MG_FEW_CHUNK, BATCH = NORMED ? 2 : 4, AT_X = NORMED ? FEW_THREADS : 32;
    MG_DYNAMIC_SHARED(uint4, rings);
    const bool sliced = !NORMED && p.n_slices > 1;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int held = mg_few_held(p.n_steps, sliced, DEPTH) * MG_FEW_CHUNK * 32;
    uint4 *ring = rings + warp * held + lane, *behind = rings + (sliced ? p.n_slices : MG_PARTS) * held;
    const few_share share = few_share_of(&p, sliced);
    const T *rows[NT];
    float sum[NT][4];
    few_norm<(DEPTH > 8 ? 2 : 1)> asked;

    let_successor_start();
#pragma unroll
    for (int chunk = 0; chunk < RING; chunk++) {
        if (chunk < share.n_chunks) few_ask(ring + chunk * MG_FEW_CHUNK * 32, &share, chunk, sliced);
        cp_async_commit();
    }
    if (NORMED) few_ask_norm(&asked, &p, share.first * MG_STEP + 4 * lane);
    few_place place = few_aim(&p);
    const int first = NORMED ? 0 : share.first * MG_STEP, me = NORMED ? (int)threadIdx.x : lane;
    const int length = (NORMED ? p.n_steps : share.n) * MG_STEP, n = length ? p.n_in - first : 0;
    const float *const x = p.x.x + (int64_t)share.slice * p.n_in + first;
    few_source source = few_source_of<BATCH, AT_X>(&p.x, x, n, 0, 4 * me);
    compute_here(source.from), compute_here(source.next), compute_here(source.loads);
    wait_for_predecessor();
    if (NORMED) {
        float *const whole = reinterpret_cast<float *>(behind);
        const int pitch = length + 4;
        few_stage<BATCH, AT_X>(whole, pitch, &p.x, x, n, length, me, source);
        __syncthreads();
        few_norm_rows<T>(whole, pitch, &p, &share, &asked, &place);
        few_rows_of<T, NT>(rows, reinterpret_cast<T *>(whole + share.first * MG_STEP), 2 * pitch, (int)p.x.n);
    } else {
        const int pitch = mg_few_pitch(p.n_steps, sliced);
        T *const rounded = reinterpret_cast<T *>(behind) + warp * (int)p.x.n * pitch;
        few_look(&place, &p);
        few_stage<BATCH, AT_X>(rounded, pitch, &p.x, x, n, length, me, source);
        few_rows_of<T, NT>(rows, rounded, pitch, (int)p.x.n);
    }
    __syncwarp();
    if (sliced)
        few_sum_slice<T, NT, RING>(sum, ring, &share, rows);
    else
        few_sum_part<T, NT, RING>(sum, ring, &share, rows);
    cp_async_wait<0>(); /* the last groups are empty */
    few_finish<NT>(&p, sum, reinterpret_cast<float *>(rings), held * 4, sliced, place);
}

#endif
