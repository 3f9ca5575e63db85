/* Products with fp32 weights and many rows: a block makes a tile of outputs by rows, a thread 4 or 8 outputs
 * by 4 or 8 rows of it in registers. Steps of 16 inputs come through shared memory, several on their way at
 * once, weights and inputs alike in groups of 4 as they stand in memory: nothing is turned around.
 *
 *   shared memory of a step, in groups: weights [4][tile of 32 outputs][40], inputs [4][ROWS + 2]
 *   output o of a tile of 32 stands at o % 4 * 10 + o / 4: a thread's 4 neighbours are read, and the gaps
 *   make copies in, without two lanes at one bank
 *
 * Each part of a slice is a chain of its own; the sum of those that are done stands in shared memory, for
 * registers are what limits the blocks of an SM. Where there are too few tiles for the SMs, blocks share the
 * parts of a tile, and the last one adds them. The order of a sum is the same in every shape and split. */
#include "cuda_product_f32.cuh"

enum {
    THREADS = 128,
    WARPS = THREADS / 32,
    W_PITCH = 40, /* groups of a tile of 32 outputs */
    W_APART = 10, /* groups from an output to its neighbour */
};

/* x_fours: inputs are read 16 bytes at a time; else one by one.
 * LANES of a warp side by side over outputs, the others over rows; a thread has TO outputs, neighbours by
 * fours, and TR rows. */
template <int OUTS_, int ROWS_, int LANES_, int TO_, int TR_, int STAGES_, int BLOCKS_,
          bool FOURS_OF_X_ = true>
struct tile_shape {
    static const bool FOURS_OF_X = FOURS_OF_X_;
    static const int OUTS = OUTS_, ROWS = ROWS_, LANES = LANES_, TO = TO_, TR = TR_;
    static const int STAGES = STAGES_; /* steps in shared memory */
    static const int BLOCKS = BLOCKS_; /* of an SM; one more would fit, which is left to others */
    static const int ROW_LANES = 32 / LANES, FOURS = TO / 4;
    static const int WARPS_WIDE = OUTS / (LANES * TO);
    static const int N_W = OUTS / MG_TILE_F32, N_X = ROWS * 4 / THREADS; /* groups that a thread copies */
    static const int W_FOUR = N_W * W_PITCH, X_FOUR = ROWS + 2;
    static const int STAGE = 4 * (W_FOUR + X_FOUR), TOTALS = FOURS * TR * THREADS;
    static const int NEXT_FOUR = LANES < 8 ? LANES : W_PITCH; /* groups from a thread's four to its next */
    static const int BYTES = (STAGES * STAGE + TOTALS) * 16;
    static_assert(OUTS / (LANES * TO) * (ROWS / (ROW_LANES * TR)) == WARPS, "a warp each its part");
    static_assert(LANES * FOURS % 8 == 0, "a warp has whole tiles of 32");
};

/* What a thread copies of each step. */
template <class S> struct tile_source {
    const float4 *w[S::N_W];
    const float *x[S::N_X];
};

template <class S> MG_INLINE tile_source<S> find_source(const mg_f32_product *p, int slice, int64_t first_row)
{
    tile_source<S> s;

#pragma unroll
    for (int i = 0; i < S::N_W; i++) { /* past the end the last ones again: their sums are dropped */
        int64_t tile = (int64_t)blockIdx.x * S::N_W + i;
        tile = tile < p->n_tiles ? tile : p->n_tiles - 1;
        s.w[i] = p->w + (tile * p->n_slices + slice) * p->n_steps * (4 * MG_TILE_F32) + threadIdx.x;
    }
#pragma unroll
    for (int i = 0; i < S::N_X; i++) {
        int64_t row = first_row + threadIdx.x / 4 + i * (THREADS / 4);
        row = row < p->x.n ? row : p->x.n - 1;
        s.x[i] = p->x.x + row * p->x.row_stride + (int64_t)slice * p->n_in;
    }
    return s;
}

template <class S> MG_INLINE void copy_weights(float4 *stage, const tile_source<S> *s, int step)
{
    const int o = threadIdx.x % 32;
    float4 *to = stage + threadIdx.x / 32 * S::W_FOUR + o % 4 * W_APART + o / 4;

#pragma unroll
    for (int i = 0; i < S::N_W; i++) cp_async16(to + i * W_PITCH, s->w[i] + step * (4 * MG_TILE_F32));
}

/* Four inputs of a row from k on, one by one: zeros past its end. */
MG_INLINE float4 four_inputs(const mg_f32_product *p, const float *row, int k)
{
    float x[4];

#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = k + j < p->n_in ? __ldcg(row + mg_input_at(&p->x, k + j)) : 0.0f;
    return make_float4(x[0], x[1], x[2], x[3]);
}

template <class S>
MG_INLINE void copy_inputs(float4 *stage, const mg_f32_product *p, const tile_source<S> *s, int step)
{
    const int k = threadIdx.x % 4, at = step * MG_STEP;
    float4 *to = stage + 4 * S::W_FOUR + k * S::X_FOUR + threadIdx.x / 4;

    if constexpr (S::FOURS_OF_X) {
        const int64_t from = mg_input_at(&p->x, at) + k * 4;
#pragma unroll
        for (int i = 0; i < S::N_X; i++) cp_async16(to + i * (THREADS / 4), s->x[i] + from);
    } else {
#pragma unroll
        for (int i = 0; i < S::N_X; i++) to[i * (THREADS / 4)] = four_inputs(p, s->x[i], at + k * 4);
    }
}

/* Which outputs and rows of the tile a thread has: those from 4 * four on, and every ROW_LANES-th row. Lanes
 * that differ in the lowest bit read the same weights, those that differ in the next one the same inputs, so
 * that half a warp is served at once. */
template <class S> MG_INLINE int first_four()
{
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

    return warp % S::WARPS_WIDE * (S::LANES * S::FOURS) + lane / 2 % S::LANES;
}

template <class S> MG_INLINE int first_row_of()
{
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

    return warp / S::WARPS_WIDE * (S::ROW_LANES * S::TR) + lane / (2 * S::LANES) * 2 + lane % 2;
}

template <class S>
MG_INLINE void multiply_step(float (&sum)[S::TO][S::TR], const float4 *stage, int four, int row)
{
    const float4 *ws = stage + four / 8 * W_PITCH + four % 8, *xs = stage + 4 * S::W_FOUR + row;

#pragma unroll
    for (int k = 0; k < 4; k++) {
        float4 x[S::TR];
#pragma unroll
        for (int r = 0; r < S::TR; r++) x[r] = xs[k * S::X_FOUR + r * S::ROW_LANES];
#pragma unroll
        for (int o = 0; o < S::TO; o++) {
            const float4 w = ws[k * S::W_FOUR + o / 4 * S::NEXT_FOUR + o % 4 * W_APART];
#pragma unroll
            for (int r = 0; r < S::TR; r++) sum[o][r] = mg_chain(sum[o][r], w, x[r]);
        }
    }
}

/* Four outputs and a row of a thread's sums. */
template <class S> MG_INLINE float4 four_of(const float (&sum)[S::TO][S::TR], int f, int r)
{
    return make_float4(sum[4 * f][r], sum[4 * f + 1][r], sum[4 * f + 2][r], sum[4 * f + 3][r]);
}

MG_INLINE float4 add_fours(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

/* Sums of a part, or slice, for the last block to find. */
MG_INLINE void keep_four(const mg_f32_product *p, int which, int64_t row, int64_t o, float4 v)
{
    const int64_t row_width = (int64_t)p->n_tiles * MG_TILE_F32;

    if (row < p->x.n && o < row_width)
        *reinterpret_cast<float4 *>(p->partial + (which * p->x.n + row) * row_width + o) = v;
}

template <class S>
MG_INLINE void keep_part(const mg_f32_product *p, int part, const float (&sum)[S::TO][S::TR],
                         int64_t first_row, int64_t first)
{
#pragma unroll
    for (int i = 0; i < S::FOURS * S::TR; i++)
        keep_four(p, part, first_row + i % S::TR * S::ROW_LANES, first + i / S::TR * 4 * S::LANES,
                  four_of<S>(sum, i / S::TR, i % S::TR));
}

template <class S> MG_INLINE void add_part(float4 *total, const float (&sum)[S::TO][S::TR])
{
#pragma unroll
    for (int i = 0; i < S::FOURS * S::TR; i++)
        total[i * THREADS] = add_fours(total[i * THREADS], four_of<S>(sum, i / S::TR, i % S::TR));
}

MG_INLINE float4 add_bias(const mg_finish *to, int64_t o, float4 v)
{
    if (!to->bias) return v;
    return add_fours(__ldg(reinterpret_cast<const float4 *>(to->bias + (int)o % to->n_bias)), v);
}

/* The end of four outputs: as mg_finish_value. */
MG_INLINE void finish_four(const mg_f32_product *p, int64_t row, int64_t o, float4 v)
{
    float4 *y = reinterpret_cast<float4 *>(p->to.y + row * p->to.row_stride + o);

    if (p->y_fours) {
        v = add_bias(&p->to, o, v);
        v.x = mg_activate(v.x, p->to.act), v.y = mg_activate(v.y, p->to.act);
        v.z = mg_activate(v.z, p->to.act), v.w = mg_activate(v.w, p->to.act);
        *y = p->to.accumulate ? add_fours(__ldcg(y), v) : v;
        return;
    }
    const float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (o + j < p->n_out) mg_finish_value(&p->to, row, o + j, values[j]);
}

/* Without an activation, and 16 bytes at a time: a thread's sums plus its totals, as many rows at once as
 * suit the loads of a y that is added to. */
template <class S>
MG_INLINE void write_plain(const mg_f32_product *p, const float (&sum)[S::TO][S::TR], const float4 *total,
                           int64_t first_row, int64_t first)
{
    enum { AT_ONCE = 4 };

#pragma unroll
    for (int f = 0; f < S::FOURS; f++) {
        const int64_t o = first + f * 4 * S::LANES;
        float *y = p->to.y + first_row * p->to.row_stride + o;
        if (o >= p->n_out) continue;
#pragma unroll
        for (int r = 0; r < S::TR; r += AT_ONCE) {
            float4 old[AT_ONCE];
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                const int at = (r + i) * S::ROW_LANES;
                old[i] = make_float4(0, 0, 0, 0);
                if (p->to.accumulate && first_row + at < p->x.n)
                    old[i] = __ldcg(reinterpret_cast<const float4 *>(y + at * p->to.row_stride));
            }
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                const int at = (r + i) * S::ROW_LANES;
                float4 v = add_fours(total[(f * S::TR + r + i) * THREADS], four_of<S>(sum, f, r + i));
                v = add_bias(&p->to, o, v);
                if (p->to.accumulate) v = add_fours(old[i], v);
                if (first_row + at < p->x.n) *reinterpret_cast<float4 *>(y + at * p->to.row_stride) = v;
            }
        }
    }
}

/* A thread's sums plus its totals, whatever is to become of them. */
template <class S>
MG_INLINE void write_any(const mg_f32_product *p, const float (&sum)[S::TO][S::TR], float4 *total, int slice,
                         int64_t first_row, int64_t first)
{
    add_part<S>(total, sum);
#pragma unroll 1
    for (int i = 0; i < S::FOURS * S::TR; i++) {
        const int64_t row = first_row + i % S::TR * S::ROW_LANES, o = first + i / S::TR * 4 * S::LANES;
        if (p->n_slices > 1)
            keep_four(p, slice, row, o, total[i * THREADS]);
        else if (row < p->x.n && o < p->n_out)
            finish_four(p, row, o, total[i * THREADS]);
    }
}

/* The parts that the blocks of a tile have made. */
template <class S> MG_INLINE void add_parts(const mg_f32_product *p, int64_t first_row, int64_t first)
{
    const int64_t row_width = (int64_t)p->n_tiles * MG_TILE_F32;

#pragma unroll 1
    for (int e = threadIdx.x; e < S::ROWS * (S::OUTS / 4); e += THREADS) {
        const int64_t row = first_row + e / (S::OUTS / 4), o = first + e % (S::OUTS / 4) * 4;
        float4 part[MG_PARTS], all = {0, 0, 0, 0};
        if (row >= p->x.n || o >= p->n_out) continue;
#pragma unroll
        for (int i = 0; i < MG_PARTS; i++)
            if (mg_part_begin(p->n_steps, i) < mg_part_begin(p->n_steps, i + 1))
                part[i] =
                    __ldcg(reinterpret_cast<const float4 *>(p->partial + (i * p->x.n + row) * row_width + o));
            else
                part[i] = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < MG_PARTS; i++) all = add_fours(all, part[i]);
        finish_four(p, row, o, all);
    }
}

/* Blocks: outputs, rows, slices or splits. */
template <class S> __global__ void __launch_bounds__(THREADS, S::BLOCKS + 1) tile_k(const mg_f32_product p)
{
    MG_DYNAMIC_SHARED(float4, shared);
    float4 *const total = shared + S::STAGES * S::STAGE + threadIdx.x;
    const int64_t first_row = (int64_t)blockIdx.y * S::ROWS;
    const int split = blockIdx.z % p.n_splits, slice = blockIdx.z / p.n_splits;
    const int begin = mg_part_begin(p.n_steps, split * MG_PARTS / p.n_splits);
    const int end = mg_part_begin(p.n_steps, (split + 1) * MG_PARTS / p.n_splits);
    const int four = first_four<S>(), row = first_row_of<S>();
    const int64_t first = (int64_t)blockIdx.x * S::OUTS + four * 4;
    const tile_source<S> source = find_source<S>(&p, slice, first_row);
    float sum[S::TO][S::TR];
    int part = split * MG_PARTS / p.n_splits;

    let_successor_start();
#pragma unroll
    for (int i = 0; i < S::STAGES - 1; i++)
        if (begin + i < end) copy_weights<S>(shared + i * S::STAGE, &source, begin + i);
#pragma unroll
    for (int i = 0; i < S::FOURS * S::TR; i++) total[i * THREADS] = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < S::TO * S::TR; i++) sum[i / S::TR][i % S::TR] = 0;
    wait_for_predecessor();
#pragma unroll
    for (int i = 0; i < S::STAGES - 1; i++) {
        if (begin + i < end) copy_inputs<S>(shared + i * S::STAGE, &p, &source, begin + i);
        cp_async_commit();
    }
    int here = 0, next = S::STAGES - 1;
    for (int step = begin; step < end; step++) {
        cp_async_wait<S::STAGES - 2>();
        __syncthreads();
        if (step + S::STAGES - 1 < end) {
            copy_weights<S>(shared + next * S::STAGE, &source, step + S::STAGES - 1);
            copy_inputs<S>(shared + next * S::STAGE, &p, &source, step + S::STAGES - 1);
        }
        cp_async_commit();
        multiply_step<S>(sum, shared + here * S::STAGE, four, row);
        here = here + 1 < S::STAGES ? here + 1 : 0;
        next = next + 1 < S::STAGES ? next + 1 : 0;
        while (mg_part_begin(p.n_steps, part + 1) <= step) part++;
        if (mg_part_begin(p.n_steps, part + 1) > step + 1) continue;
        if (p.n_splits == 1 && step + 1 == end) break; /* the last part is added on the way out */
        if (p.n_splits > 1)
            keep_part<S>(&p, part, sum, first_row + row, first);
        else
            add_part<S>(total, sum);
#pragma unroll
        for (int i = 0; i < S::TO * S::TR; i++) sum[i / S::TR][i % S::TR] = 0;
    }
    cp_async_wait<0>();
    if (p.n_splits == 1 && p.n_slices == 1 && p.y_fours && p.to.act == MG_ACT_NONE)
        write_plain<S>(&p, sum, total, first_row + row, first);
    else if (p.n_splits == 1)
        write_any<S>(&p, sum, total, slice, first_row + row, first);
    if (p.n_splits * p.n_slices == 1) return;
    if (!mg_is_last_block(p.tickets + blockIdx.y * gridDim.x + blockIdx.x, p.n_splits * p.n_slices)) return;
    const int64_t end_row = first_row + S::ROWS < p.x.n ? first_row + S::ROWS : p.x.n;
    if (p.n_splits > 1)
        add_parts<S>(&p, first_row, (int64_t)blockIdx.x * S::OUTS);
    else
        mg_add_slices(&p, first_row, end_row, (int64_t)blockIdx.x * S::OUTS, S::OUTS);
}

typedef tile_shape<64, 128, 8, 8, 8, 3, 2> wide_tile;
typedef tile_shape<32, 256, 4, 8, 8, 2, 2> narrow_tile; /* for 32 outputs */
typedef tile_shape<64, 64, 8, 4, 8, 4, 2> middle_tile;
typedef tile_shape<64, 64, 8, 4, 8, 2, 2, false> slow_tile; /* for inputs that do not stand in fours */
typedef tile_shape<64, 32, 8, 4, 4, 6, 3> small_tile;

/* A block asks for so much shared memory that an SM takes no more than S::BLOCKS: what is left of it, and of
 * the registers, is for the language model, whose kernels would wait for the end of a tile else. */
template <class S> static mg_status run_shape(mg_cuda *cuda, const mg_f32_product *p)
{
    const size_t part = (cuda->shared_bytes + 1024) / (S::BLOCKS + 1);
    const size_t bytes = part > (size_t)S::BYTES ? part : (size_t)S::BYTES;
    const dim3 grid((unsigned)mg_ceil_div(p->n_out, S::OUTS), (unsigned)mg_ceil_div(p->x.n, S::ROWS),
                    (unsigned)(p->n_slices * p->n_splits));

    MG_REQUIRE(bytes <= cuda->shared_bytes && grid.y <= 65535);
    MG_REQUIRE(grid.z == 1 || grid.x * grid.y <= MG_MAX_TICKETS);
    MG_RETURN(mg_allow_shared(cuda, tile_k<S>, bytes));
    MG_RUN(cuda, tile_k<S>, grid, THREADS, bytes, *p);
    return MG_OK;
}

/* By arithmetic, to choose by: what a shape makes of an SM's multiply-adds where it has 1, 2, … blocks. */
typedef struct tile_way {
    mg_status (*run)(mg_cuda *cuda, const mg_f32_product *p);
    int outs, rows, blocks;
    double rate[3];
} tile_way;

static const tile_way ways[] = {
    {run_shape<wide_tile>, wide_tile::OUTS, wide_tile::ROWS, wide_tile::BLOCKS, {.45, .65}},
    {run_shape<narrow_tile>, narrow_tile::OUTS, narrow_tile::ROWS, narrow_tile::BLOCKS, {.45, .65}},
    {run_shape<middle_tile>, middle_tile::OUTS, middle_tile::ROWS, middle_tile::BLOCKS, {.35, .55}},
    {run_shape<small_tile>, small_tile::OUTS, small_tile::ROWS, small_tile::BLOCKS, {.2, .33, .4}},
};

/* Microseconds, about. */
static double time_of(const tile_way *way, const mg_f32_product *p, int n_splits, int n_sms)
{
    static const double FMAS = 128 * 1700, BYTES = 3e6, TO_MEET = 3; /* of an SM, of L2; a us */
    const int64_t n_tiles =
        mg_ceil_div(p->n_out, way->outs) * mg_ceil_div(p->x.n, way->rows) * p->n_slices * n_splits;
    const int64_t of_sm = mg_ceil_div(n_tiles, n_sms);
    const double rate = way->rate[mg_smaller(of_sm, way->blocks) - 1];
    const double work = (double)(way->outs * way->rows * MG_STEP) * (double)mg_ceil_div(p->n_steps, n_splits);
    const double us = (double)of_sm * work / (FMAS * rate);

    if (n_splits == 1) return us;
    return us + TO_MEET + (double)(p->x.n * p->n_out) * MG_PARTS * 2 * (double)sizeof(float) / BYTES;
}

static_assert(sizeof ways / sizeof *ways == MG_TILE_WAYS, "as the header says");

mg_status mg_tile_product_f32(mg_cuda *cuda, mg_f32_product *p, int way, int n_splits)
{
    const int64_t part_bytes = p->x.n * p->n_tiles * MG_TILE_F32 * (int64_t)sizeof(float);
    const int most = p->n_slices == 1 && part_bytes * MG_PARTS <= mg_partial_bytes(cuda) ? MG_PARTS : 1;
    double best_us = 0;

    p->n_splits = n_splits;
    MG_REQUIRE(way < MG_TILE_WAYS && n_splits <= most);
    if (!p->x_fours) return run_shape<slow_tile>(cuda, p);
    if (way >= 0) return ways[way].run(cuda, p);
    for (int i = 0; i < MG_TILE_WAYS; i++)
        for (n_splits = 1; n_splits <= most; n_splits *= 2) {
            const double us = time_of(&ways[i], p, n_splits, cuda->n_sms);
            if (way >= 0 && us >= best_us) continue;
            best_us = us, way = i;
            p->n_splits = n_splits;
        }
    return ways[way].run(cuda, p);
}
