/* 16-bit products of many rows, packed before (cuda_pack.cu): a block makes OT tiles of 16 outputs for all
 * rows, of one slice.
 *
 * Weights and rows pass through shared memory, some stages ahead of the multiplication, so that a row is
 * read once for all outputs of the block. A warp holds MT tiles of outputs by WN tiles of rows, and goes
 * through all parts of the slice (cuda_matrix.cuh): at a part's end its sums are added to those of the parts
 * before. So the bits are those of the kernels for few rows. Where there are several slices, one more kernel
 * adds them, or one block goes through all of them, which is shorter where they are. */
#include "cuda_product_half.cuh"

enum { THREADS = 256, MOST_STAGES = 6, STAGES_BYTES = 96 << 10 };

/* The sizes of a block. */
template <int NT, int OT, int MT, int WN> struct tiling {
    static constexpr int N_THREADS = OT / MT * (NT / WN) * 32;
    static constexpr int STEPS = NT < 16 ? 8 : 4;                                /* of a stage */
    static constexpr int W_PIECES = STEPS * OT * 32, X_PIECES = STEPS * NT * 16; /* of 16 bytes */
    static constexpr int FIT = STAGES_BYTES / 16 / (W_PIECES + X_PIECES);
    static constexpr int STAGES = FIT < MOST_STAGES ? FIT : MOST_STAGES;
    static constexpr int SUM_PITCH = OT * MG_TILE_HALF + 4; /* floats */
    static constexpr int SHARED_BYTES = STAGES * (W_PIECES + X_PIECES) * 16;
    static constexpr int BLOCKS = MT * WN * N_THREADS > 2048 ? 1 : 2; /* an SM, for their registers */
    static_assert(NT * 8 * SUM_PITCH * 4 <= SHARED_BYTES, "sums take the place of the stages");
};

/* What a thread copies of the next stage, and how far it goes on. */
typedef struct copies {
    const uint4 *w, *x;           /* its first piece of each */
    int64_t w_tile;               /* pieces from one tile of outputs to the next */
    int32_t w_left, x_left;       /* steps from that piece's on */
    int32_t n_tiles, n_row_tiles; /* from that piece's on; of 8 rows, in all */
    int32_t row_tile;             /* that piece's */
} copies;

/* Of n_steps from a slice's first on. */
template <class S, int NT, int OT> MG_INLINE copies copies_of(const half_product *p, int slice, int n_steps)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, tile = blockIdx.x * OT + warp / S::STEPS;
    const int x_step = threadIdx.x / 16 / NT;
    copies c;

    c.w_tile = (int64_t)p->n_slices * p->n_steps * 32;
    c.w = p->w + tile * c.w_tile + ((int64_t)slice * p->n_steps + warp % S::STEPS) * 32 + lane;
    c.w_left = n_steps - warp % S::STEPS;
    c.n_tiles = p->n_tiles - tile;
    c.n_row_tiles = p->n_row_tiles;
    c.row_tile = threadIdx.x / 16 % NT;
    c.x = reinterpret_cast<const uint4 *>(p->packed) + threadIdx.x % 16 +
          (((int64_t)slice * p->n_steps + x_step) * p->n_row_tiles + c.row_tile) * 16;
    c.x_left = n_steps - x_step;
    return c;
}

/* The weights of the next stage, on their way; zeros for what is not there. */
template <class S> MG_INLINE void ask_weights(uint4 *to, copies *c)
{
    constexpr int WARPS = S::N_THREADS / 32;

#pragma unroll
    for (int k = 0; k < S::W_PIECES / S::N_THREADS; k++) {
        const int step = k * WARPS % S::STEPS * (WARPS < S::STEPS), tile = k * WARPS / S::STEPS;
        cp_async16_or_zeros(to + k * S::N_THREADS + threadIdx.x, c->w + tile * c->w_tile + step * 32,
                            step < c->w_left && tile < c->n_tiles);
    }
    c->w += S::STEPS * 32, c->w_left -= S::STEPS;
}

template <class S, int NT> MG_INLINE void ask_rows(uint4 *to, copies *c)
{
    constexpr int GROUPS = S::N_THREADS / 16;

#pragma unroll
    for (int k = 0; k < S::X_PIECES / S::N_THREADS; k++) {
        const int step = k * GROUPS / NT, tile = k * GROUPS % NT;
        cp_async16_or_zeros(to + k * S::N_THREADS + threadIdx.x, c->x + (step * c->n_row_tiles + tile) * 16,
                            step < c->x_left && c->row_tile + tile < c->n_row_tiles);
    }
    c->x += S::STEPS * c->n_row_tiles * 16, c->x_left -= S::STEPS;
}

/* One step of a warp's tiles. */
template <int MT, int WN> struct step_words {
    uint4 a[MT];
    uint2 b[WN];
};

template <class S, int NT, int MT, int WN>
MG_INLINE void take_step(step_words<MT, WN> *s, const uint4 *w, const uint4 *x, int i, int out, int row)
{
    const int lane = threadIdx.x % 32;

#pragma unroll
    for (int m = 0; m < MT; m++) s->a[m] = w[((out + m) * S::STEPS + i) * 32 + lane];
#pragma unroll
    for (int t = 0; t < WN; t++) s->b[t] = reinterpret_cast<const uint2 *>(x)[(i * NT + row + t) * 32 + lane];
}

/* Sums of a warp's tiles: c of the part at hand, total of the parts of the slice before. */
template <int MT, int WN> struct tile_sums {
    enum { N = MT * WN * 4 };
    float c[MT][WN][4], total[N];
    int begin, end; /* steps: where the slice begins, and the part ends */
};

/* Of slices that are done: one, the sum of two, of four; in the tree of mg_tree. */
template <int N> struct slice_sums {
    float one[N], two[N], four[N];
    int n; /* slices that are done */
};

MG_INLINE int part_end(int n_steps, int step)
{
    int part = 1;

    while (part < MG_PARTS && mg_part_begin(n_steps, part) <= step) part++;
    return mg_part_begin(n_steps, part);
}

/* The first total is -0, to which the first part is added as it is. */
template <int MT, int WN> MG_INLINE void begin_slice(tile_sums<MT, WN> *s, int n_steps, int begin)
{
#pragma unroll
    for (int i = 0; i < MT * WN * 4; i++) s->c[i / 4 / WN][i / 4 % WN][i % 4] = 0, s->total[i] = -0.0f;
    s->begin = begin;
    s->end = begin + part_end(n_steps, 0);
}

template <int MT, int WN> MG_INLINE void end_part(tile_sums<MT, WN> *s, int n_steps)
{
#pragma unroll
    for (int i = 0; i < MT * WN * 4; i++) {
        s->total[i] += s->c[i / 4 / WN][i / 4 % WN][i % 4];
        s->c[i / 4 / WN][i / 4 % WN][i % 4] = 0;
    }
    s->end = s->begin + part_end(n_steps, s->end - s->begin);
}

/* A slice of few steps has parts without any, whose sums are 0: that of -0 and them is 0. */
template <int MT, int WN> MG_INLINE void add_empty_parts(tile_sums<MT, WN> *s, int n_steps)
{
    if (n_steps >= MG_PARTS) return;
#pragma unroll
    for (int i = 0; i < MT * WN * 4; i++) s->total[i] += 0.0f;
}

template <int N> MG_INLINE void add_all(float *to, const float *from)
{
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = from[i] + to[i];
}

template <int N> MG_INLINE void keep_all(float *to, const float *from)
{
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = from[i];
}

/* The slice's total goes into the tree; after the last one the total is that of all. */
template <int MT, int WN>
MG_INLINE void end_slice(tile_sums<MT, WN> *s, slice_sums<MT * WN * 4> *done, int n_steps, int n_slices)
{
    enum { N = MT * WN * 4 };
    const int n = ++done->n;

    add_empty_parts(s, n_steps);
    if (n % 2 == 0) add_all<N>(s->total, done->one);
    if (n % 4 == 0) add_all<N>(s->total, done->two);
    if (n % 8 == 0) add_all<N>(s->total, done->four);
    if (n == n_slices) return;
    if (n % 2)
        keep_all<N>(done->one, s->total);
    else if (n % 4)
        keep_all<N>(done->two, s->total);
    else
        keep_all<N>(done->four, s->total);
    begin_slice(s, n_steps, s->begin + n_steps);
}

/* Partial sums of a slice, straight from the registers: 8 outputs of a row are 32 bytes. */
template <int MT, int WN>
MG_INLINE void leave_partial(const half_product *p, const tile_sums<MT, WN> *s, int slice, int tile,
                             int row_tile)
{
    const int lane = threadIdx.x % 32;
    const int64_t width = (int64_t)p->n_tiles * MG_TILE_HALF;

#pragma unroll
    for (int m = 0; m < MT; m++) {
        if (tile + m >= p->n_tiles) continue;
#pragma unroll
        for (int t = 0; t < WN; t++) {
            const int64_t row = (row_tile + t) * 8 + lane % 4 * 2;
            float *to = p->partial + ((int64_t)slice * p->x.n + row) * width +
                        (int64_t)(tile + m) * MG_TILE_HALF + lane / 4;
            if (row < p->x.n) to[0] = s->total[(m * WN + t) * 4 + 0], to[8] = s->total[(m * WN + t) * 4 + 2];
            if (row + 1 < p->x.n)
                to[width] = s->total[(m * WN + t) * 4 + 1], to[width + 8] = s->total[(m * WN + t) * 4 + 3];
        }
    }
}

/* An output, and where it goes: found once for all rows. */
typedef struct column {
    int64_t o;
    float bias;
    bool has_bias;
    int32_t head, e; /* of a cache */
    char *cache;     /* NULL: to y */
} column;

MG_INLINE column column_of(const mg_finish *to, int o)
{
    const mg_finish_kv *kv = &to->kv;
    const int HE = kv->H * kv->E, at = o - (int)kv->first_col;
    column c = {o, to->bias ? to->bias[o % to->n_bias] : 0.0f, to->bias != nullptr, 0, 0, nullptr};

    if (!kv->k || at < 0 || at >= 2 * HE) return c;
    c.has_bias = false;
    c.cache = (char *)(at < HE ? kv->k : kv->v);
    c.head = at % HE / kv->E, c.e = at % kv->E;
    return c;
}

template <int ACT, int N> MG_INLINE void activate_as(float (&v)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = mg_activate(v[i], ACT);
}

/* One branch for all values, so that none of them waits for another. */
template <int N> MG_INLINE void activate_all(float (&v)[N], int act)
{
    switch (act) {
    case MG_ACT_RELU: activate_as<MG_ACT_RELU>(v); return;
    case MG_ACT_GELU: activate_as<MG_ACT_GELU>(v); return;
    case MG_ACT_GELU_TANH: activate_as<MG_ACT_GELU_TANH>(v); return;
    case MG_ACT_ELU: activate_as<MG_ACT_ELU>(v); return;
    default: return;
    }
}

/* Values of every APART-th row from `row` on, to y. */
template <int APART, int N>
MG_INLINE void put_rows(const mg_finish *to, int64_t o, int row, int n_rows, const float (&v)[N])
{
    const int64_t stride = APART * to->row_stride;
    float *y = to->y + row * to->row_stride + o, old[N];

#pragma unroll
    for (int i = 0; i < N; i++) {
        old[i] = 0;
        if (to->accumulate && row + i * APART < n_rows) old[i] = __ldcg(y + i * stride);
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        if (row + i * APART < n_rows) y[i * stride] = to->accumulate ? old[i] + v[i] : v[i];
}

template <class T, int N>
MG_INLINE void store_all(char *to, const int64_t (&place)[N], unsigned there, const float (&v)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        if (there >> i & 1) reinterpret_cast<T *>(to)[place[i]] = mg_value<T>::narrow(v[i]);
}

/* The same to a cache. Of rows without a place in it one is noted. */
template <int APART, int N>
MG_INLINE void cache_rows(const mg_finish_kv *kv, const column *c, int row, int n_rows, const float (&v)[N])
{
    int line[N], at[N], bad_at = 0;
    unsigned there = 0, bad = 0;
    int64_t place[N];

#pragma unroll
    for (int i = 0; i < N; i++) {
        const int r = min(row + i * APART, n_rows - 1);
        line[i] = kv->row[r], at[i] = kv->pos[r];
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        const bool fits = line[i] >= 0 && line[i] < kv->n_rows && at[i] >= 0 && at[i] < kv->T_max;
        place[i] = (((int64_t)line[i] * kv->H + c->head) * kv->T_max + at[i]) * kv->E + c->e;
        there |= (unsigned)(fits && row + i * APART < n_rows) << i;
        bad |= (unsigned)!fits;
        bad_at = fits ? bad_at : at[i];
    }
    if (bad) mg_note_fault(kv->fault, MG_FAULT_CACHE, bad_at);
    if (kv->format == MG_FORMAT_BF16)
        store_all<__nv_bfloat16>(c->cache, place, there, v);
    else if (kv->format == MG_FORMAT_F16)
        store_all<__half>(c->cache, place, there, v);
    else
        store_all<float>(c->cache, place, there, v);
}

/* Sums to shared memory, and from there on: a thread takes one output of every few rows, TOGETHER of them at
 * a time, as what a row waits for is long. */
template <class S, int NT, int OT, int MT, int WN>
MG_INLINE void finish_sums(const half_product *p, float *sums, const tile_sums<MT, WN> *s, int out,
                           int row_tile)
{
    constexpr int WIDTH = OT * MG_TILE_HALF, AT_ONCE = S::N_THREADS / WIDTH;
    constexpr int TOGETHER = NT * 8 / AT_ONCE < 8 ? NT * 8 / AT_ONCE : 8;
    static_assert(NT * 8 % (AT_ONCE * TOGETHER) == 0, "no row past the last one is read");
    const int lane = threadIdx.x % 32, o = threadIdx.x % WIDTH, first = blockIdx.x * WIDTH;
    const int n_rows = (int)p->x.n;

    __syncthreads();
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int t = 0; t < WN; t++) {
            float *to = sums + ((row_tile + t) * 8 + lane % 4 * 2) * S::SUM_PITCH + (out + m) * MG_TILE_HALF +
                        lane / 4;
            to[0] = s->total[(m * WN + t) * 4 + 0];
            to[S::SUM_PITCH] = s->total[(m * WN + t) * 4 + 1];
            to[8] = s->total[(m * WN + t) * 4 + 2];
            to[S::SUM_PITCH + 8] = s->total[(m * WN + t) * 4 + 3];
        }
    __syncthreads();
    if (first + o >= p->n_out || (int)threadIdx.x >= AT_ONCE * WIDTH) return;
    const column c = column_of(&p->to, first + o);
#pragma unroll 1
    for (int row = threadIdx.x / WIDTH; row < n_rows; row += TOGETHER * AT_ONCE) {
        float v[TOGETHER];
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            v[i] = sums[(row + i * AT_ONCE) * S::SUM_PITCH + o];
            if (c.has_bias) v[i] = c.bias + v[i];
        }
        activate_all(v, p->to.act);
        if (c.cache)
            cache_rows<AT_ONCE>(&p->to.kv, &c, row, n_rows, v);
        else
            put_rows<AT_ONCE>(&p->to, c.o, row, n_rows, v);
    }
}

/* NT tiles of 8 rows by OT tiles of 16 outputs a block; MT of these and WN of those a warp. WHOLE: all
 * slices, one after the other. */
template <class T, int NT, int OT, int MT, int WN, bool WHOLE>
__global__ void __launch_bounds__(tiling<NT, OT, MT, WN>::N_THREADS, tiling<NT, OT, MT, WN>::BLOCKS)
    tiled_k(const half_product p)
{
    typedef tiling<NT, OT, MT, WN> S;
    constexpr int STAGE = S::W_PIECES + S::X_PIECES, AHEAD = S::STAGES - 1;
    MG_DYNAMIC_SHARED(uint4, shared);
    const int warp = threadIdx.x / 32, out = warp % (OT / MT) * MT, row = warp / (OT / MT) * WN;
    const int slice = WHOLE ? 0 : blockIdx.y, n_steps = WHOLE ? p.n_slices * p.n_steps : p.n_steps;
    copies from = copies_of<S, NT, OT>(&p, slice, n_steps);
    step_words<MT, WN> at[2];
    tile_sums<MT, WN> s;
    slice_sums<WHOLE ? MT *WN * 4 : 1> done = {};

    let_successor_start();
#pragma unroll
    for (int q = 0; q < AHEAD; q++)
        if (q * S::STEPS < n_steps) ask_weights<S>(shared + q * STAGE, &from);
    wait_for_predecessor();
#pragma unroll
    for (int q = 0; q < AHEAD; q++) {
        if (q * S::STEPS < n_steps) ask_rows<S, NT>(shared + q * STAGE + S::W_PIECES, &from);
        cp_async_commit();
    }
    begin_slice(&s, p.n_steps, 0);
    for (int first = 0, slot = 0; first < n_steps; first += S::STEPS) {
        const uint4 *w = shared + slot * STAGE, *x = w + S::W_PIECES;
        uint4 *free = shared + (slot ? slot - 1 : AHEAD) * STAGE;

        cp_async_wait<AHEAD - 1>();
        __syncthreads();
        take_step<S, NT>(&at[0], w, x, 0, out, row);
        if (first + AHEAD * S::STEPS < n_steps) {
            ask_weights<S>(free, &from);
            ask_rows<S, NT>(free + S::W_PIECES, &from);
        }
        cp_async_commit();
#pragma unroll
        for (int i = 0; i < S::STEPS; i++) {
            if (i + 1 < S::STEPS) take_step<S, NT>(&at[(i + 1) % 2], w, x, i + 1, out, row);
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int t = 0; t < WN; t++) mg_mma<T>(s.c[m][t], at[i % 2].a[m], at[i % 2].b[t]);
            if (s.end != first + i + 1) continue;
            end_part(&s, p.n_steps);
            if constexpr (WHOLE)
                if (s.begin + p.n_steps == first + i + 1) end_slice(&s, &done, p.n_steps, p.n_slices);
        }
        slot = slot == AHEAD ? 0 : slot + 1;
    }
    cp_async_wait<0>();
    if (!WHOLE) add_empty_parts(&s, p.n_steps);
    if (!WHOLE && p.n_slices > 1)
        leave_partial(&p, &s, slice, (int)blockIdx.x * OT + out, row);
    else
        finish_sums<S, NT, OT>(&p, reinterpret_cast<float *>(shared), &s, out, row);
}

/* An output of a row a thread: its slices. */
__global__ void __launch_bounds__(THREADS) add_slices_k(const half_product p)
{
    const int64_t o = (int64_t)blockIdx.x * THREADS + threadIdx.x, row = blockIdx.y,
                  width = (int64_t)p.n_tiles * MG_TILE_HALF;

    let_successor_start();
    wait_for_predecessor();
    if (o < p.n_out)
        mg_finish_value(&p.to, row, o, mg_slice_tree(p.partial + row * width + o, p.x.n * width, p.n_slices));
}

template <class T, int NT, int OT, int MT, int WN, bool WHOLE = false> static mg_variant tiled()
{
    typedef tiling<NT, OT, MT, WN> S;
    const mg_variant v = {
        tiled_k<T, NT, OT, MT, WN, WHOLE>, NT, OT, true, S::N_THREADS, S::SHARED_BYTES, WHOLE};

    return v;
}

template <class T> static void list(mg_variant to[MG_N_TILED_VARIANTS])
{
    const mg_variant all[MG_N_TILED_VARIANTS] = {
        tiled<T, 4, 1, 1, 1>(),       tiled<T, 4, 2, 1, 2>(),       tiled<T, 4, 4, 1, 2>(),
        tiled<T, 8, 1, 1, 2>(),       tiled<T, 8, 2, 1, 4>(),       tiled<T, 8, 4, 2, 4>(),
        tiled<T, 8, 4, 1, 4>(),       tiled<T, 16, 1, 1, 4>(),      tiled<T, 16, 2, 1, 8>(),
        tiled<T, 16, 3, 3, 4>(),      tiled<T, 16, 4, 2, 8>(),      tiled<T, 16, 4, 2, 4>(),
        tiled<T, 16, 8, 2, 8>(),      tiled<T, 4, 1, 1, 1, true>(), tiled<T, 8, 1, 1, 2, true>(),
        tiled<T, 16, 1, 1, 4, true>()};

    for (int i = 0; i < MG_N_TILED_VARIANTS; i++) to[i] = all[i];
}

void mg_tiled_variants(mg_variant to[MG_N_TILED_VARIANTS], mg_format format)
{
    if (format == MG_FORMAT_BF16)
        list<__nv_bfloat16>(to);
    else
        list<__half>(to);
}

mg_status mg_run_tiled(mg_cuda *cuda, const half_product *p, const mg_variant *v)
{
    const dim3 grid((unsigned)mg_ceil_div(p->n_tiles, v->steps), v->whole ? 1 : (unsigned)p->n_slices);

    MG_RETURN(mg_allow_shared(cuda, v->run, (size_t)v->shared_bytes));
    MG_RUN(cuda, v->run, grid, (unsigned)v->n_threads, (size_t)v->shared_bytes, *p);
    if (v->whole || p->n_slices == 1) return MG_OK;
    const dim3 all((unsigned)mg_ceil_div(p->n_out, THREADS), (unsigned)p->x.n);
    MG_RUN(cuda, add_slices_k, all, THREADS, 0, *p);
    return MG_OK;
}
