/* Products with fp32 weights, on the CUDA cores: the language model in exact mode, T5, and all of the codec,
 * whose convolutions are products over rows of x that overlap.
 *
 * Up to 8 rows: a block makes 32 outputs of one slice, a warp takes one part of it and a lane one output, 16
 * bytes of weights a load. More rows: tiles of 64 outputs by 64 rows through shared memory. In both an output
 * is the same chain of fused multiply-adds over each part, the parts added in order: the same bits. */
#include "cuda_norm.cuh"
#include "cuda_product.cuh"

enum {
    WARPS = MG_PARTS,
    THREADS = 32 * WARPS,
    SIDE = 64,          /* of a tile, outputs and rows */
    X_PITCH = SIDE + 4, /* words between the inputs of a step in shared memory */
    AHEAD = 8,          /* loads of a lane in flight */
};

typedef struct f32_product {
    const float4 *w;
    mg_rows x;
    mg_row_norm norm;
    mg_finish to;
    float *partial;                                  /* [slice][row][n_tiles * 32] */
    uint32_t *tickets;                               /* [n_tiles] */
    int32_t n_out, n_tiles, n_in, n_slices, n_steps; /* n_in, n_steps: of a slice */
} f32_product;

MG_INLINE float chain(float sum, float4 w, float4 x)
{
    return fmaf(w.w, x.w, fmaf(w.z, x.z, fmaf(w.y, x.y, fmaf(w.x, x.x, sum))));
}

/* Where input i of a row begins: past whole runs. */
MG_INLINE int64_t input_at(const mg_rows *x, int64_t i)
{
    return x->run_stride == x->run ? i : i / x->run * x->run_stride + i % x->run;
}

/* One output and slice of a row: into y, or for the other slices to find. */
MG_INLINE void deliver(const f32_product *p, int slice, int64_t row, int64_t o, float sum)
{
    if (p->n_slices > 1)
        p->partial[((int64_t)slice * p->x.n + row) * p->n_tiles * MG_TILE_F32 + o] = sum;
    else if (o < p->n_out)
        mg_finish_value(&p->to, row, o, sum);
}

/* What the last block of some tiles does with rows [first_row, end_row) and outputs [o, o + width). */
MG_INLINE void add_slices(const f32_product *p, int64_t first_row, int64_t end_row, int64_t first, int width)
{
    const int64_t row_width = (int64_t)p->n_tiles * MG_TILE_F32;

    for (int64_t e = threadIdx.x; e < (end_row - first_row) * width; e += THREADS) {
        const int64_t row = first_row + e / width, o = first + e % width;
        if (o >= p->n_out) continue;
        const float *partial = p->partial + row * row_width + o;
        mg_finish_value(&p->to, row, o, mg_slice_tree(partial, p->x.n * row_width, p->n_slices));
    }
}

/* R >= the rows. x of the slice stands in shared memory, [row][n_steps * 16]. */
template <int R> __global__ void __launch_bounds__(THREADS, 2) few_rows_k(const f32_product p)
{
    MG_DYNAMIC_SHARED(float, shared);
    const int lane = threadIdx.x % 32, part = threadIdx.x / 32, tile = blockIdx.x, slice = blockIdx.y;
    const int padded = p.n_steps * MG_STEP;
    const int first = mg_part_begin(p.n_steps, part) * 4, n = mg_part_begin(p.n_steps, part + 1) * 4 - first;
    const float4 *w = p.w + (((int64_t)tile * p.n_slices + slice) * p.n_steps * 4 + first) * 32 + lane;
    const uint4 none = {0, 0, 0, 0};
    float *parts = shared, *xs = parts + WARPS * R * 32;
    uint4 ahead[AHEAD];
    float sum[R];

    let_successor_start();
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
        ahead[i] = i < n ? ld_weights(reinterpret_cast<const uint4 *>(w + i * 32)) : none;
    wait_for_predecessor();
    mg_stage_rows(xs, padded, p.x.x + (int64_t)slice * p.n_in, p.x.row_stride, (int)p.x.n, p.n_in);
    __syncthreads();
    if (p.norm.gamma && part < p.x.n) {
        float *row = xs + part * padded;
        const mg_row_scale s = mg_norm_row<true>(row, p.n_in, &p.norm);
        __syncwarp();
        for (int i = lane; i < p.n_in; i += 32) row[i] = mg_norm_value(row[i], i, s, &p.norm);
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; r++) sum[r] = 0;
    for (int done = 0; done < n; done += AHEAD) {
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            if (done + i >= n) continue;
            const float4 weights = {__uint_as_float(ahead[i].x), __uint_as_float(ahead[i].y),
                                    __uint_as_float(ahead[i].z), __uint_as_float(ahead[i].w)};
            if (done + AHEAD + i < n)
                ahead[i] = ld_weights(reinterpret_cast<const uint4 *>(w + (done + AHEAD + i) * 32));
            const float *x = xs + (first + done + i) * 4;
#pragma unroll
            for (int r = 0; r < R; r++)
                if (r < p.x.n)
                    sum[r] = chain(sum[r], weights, *reinterpret_cast<const float4 *>(x + r * padded));
        }
    }
#pragma unroll
    for (int r = 0; r < R; r++) parts[(part * R + r) * 32 + lane] = sum[r];
    __syncthreads();
    for (int row = part; row < p.x.n; row += WARPS) {
        float all = parts[row * 32 + lane];
        for (int i = 1; i < MG_PARTS; i++) all += parts[(i * R + row) * 32 + lane];
        deliver(&p, slice, row, (int64_t)tile * MG_TILE_F32 + lane, all);
    }
    if (p.n_slices > 1 && mg_is_last_block(p.tickets + tile, p.n_slices))
        add_slices(&p, 0, p.x.n, (int64_t)tile * MG_TILE_F32, MG_TILE_F32);
}

/* A step's weights and inputs of a tile, in registers on their way to shared memory. */
typedef struct step_values {
    float4 w, x;
} step_values;

/* Thread t takes output t / 4 % … and row t / 4, inputs 4 (t % 4) … of both. */
MG_INLINE step_values fetch_step(const f32_product *p, int64_t tile, int64_t row, int slice, int step)
{
    const int o = threadIdx.x % 32 + threadIdx.x / 128 * 32, four = threadIdx.x / 32 % 4;
    const int64_t tile32 = tile * (SIDE / MG_TILE_F32) + o / 32;
    step_values v = {{0, 0, 0, 0}, {0, 0, 0, 0}};
    float x[4] = {0, 0, 0, 0};

    if (tile32 < p->n_tiles)
        v.w = __ldg(p->w + (((tile32 * p->n_slices + slice) * p->n_steps + step) * 4 + four) * 32 + o % 32);
    const int i = step * MG_STEP + threadIdx.x % 4 * 4;
    row += threadIdx.x / 4;
    if (row >= p->x.n) return v;
    const float *from = p->x.x + row * p->x.row_stride + (int64_t)slice * p->n_in;
    const bool fours = p->x.run % 4 == 0 && p->x.run_stride % 4 == 0 && p->x.row_stride % 4 == 0 &&
                       reinterpret_cast<uintptr_t>(from) % 16 == 0;
    if (fours && i + 4 <= p->n_in) {
        v.x = __ldcg(reinterpret_cast<const float4 *>(from + input_at(&p->x, i)));
        return v;
    }
    for (int j = 0; j < 4; j++)
        if (i + j < p->n_in) x[j] = __ldcg(from + input_at(&p->x, i + j));
    v.x = make_float4(x[0], x[1], x[2], x[3]);
    return v;
}

MG_INLINE void store_step(float *ws, float *xs, step_values v)
{
    const int o = threadIdx.x % 32 + threadIdx.x / 128 * 32, four = threadIdx.x / 32 % 4;
    const int row = threadIdx.x / 4, four_x = threadIdx.x % 4;
    const float w[4] = {v.w.x, v.w.y, v.w.z, v.w.w}, x[4] = {v.x.x, v.x.y, v.x.z, v.x.w};

#pragma unroll
    for (int j = 0; j < 4; j++) {
        ws[(four * 4 + j) * X_PITCH + o] = w[j];
        xs[(four_x * 4 + j) * X_PITCH + row] = x[j];
    }
}

/* 4 outputs by 4 rows a thread. */
MG_INLINE void multiply_step(float (&sum)[4][4], const float *ws, const float *xs)
{
    const int o = threadIdx.x % 16 * 4, row = threadIdx.x / 16 * 4;

#pragma unroll
    for (int k = 0; k < MG_STEP; k++) {
        const float4 w4 = *reinterpret_cast<const float4 *>(ws + k * X_PITCH + o);
        const float4 x4 = *reinterpret_cast<const float4 *>(xs + k * X_PITCH + row);
        const float w[4] = {w4.x, w4.y, w4.z, w4.w}, x[4] = {x4.x, x4.y, x4.z, x4.w};
#pragma unroll
        for (int r = 0; r < 4; r++)
#pragma unroll
            for (int c = 0; c < 4; c++) sum[r][c] = fmaf(w[c], x[r], sum[r][c]);
    }
}

__global__ void __launch_bounds__(THREADS, 2) many_rows_k(const f32_product p)
{
    MG_SHARED(ws, float[2][MG_STEP * X_PITCH]);
    MG_SHARED(xs, float[2][MG_STEP * X_PITCH]);
    const int64_t first_row = (int64_t)blockIdx.x * SIDE, first = (int64_t)blockIdx.y * SIDE;
    const int slice = blockIdx.z;
    float sum[4][4], total[4][4];
    int step = 0;

    let_successor_start();
    wait_for_predecessor();
    step_values next = fetch_step(&p, blockIdx.y, first_row, slice, 0);
    for (int part = 0; part < MG_PARTS; part++) {
        for (int i = 0; i < 16; i++) sum[i / 4][i % 4] = 0;
        for (const int end = mg_part_begin(p.n_steps, part + 1); step < end; step++) {
            store_step(ws[step % 2], xs[step % 2], next);
            __syncthreads();
            if (step + 1 < p.n_steps) next = fetch_step(&p, blockIdx.y, first_row, slice, step + 1);
            multiply_step(sum, ws[step % 2], xs[step % 2]);
        }
#pragma unroll
        for (int i = 0; i < 16; i++)
            total[i / 4][i % 4] = part ? total[i / 4][i % 4] + sum[i / 4][i % 4] : sum[i / 4][i % 4];
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const int64_t row = first_row + threadIdx.x / 16 * 4 + i / 4,
                      o = first + threadIdx.x % 16 * 4 + i % 4;
        if (row < p.x.n && o < (int64_t)p.n_tiles * MG_TILE_F32)
            deliver(&p, slice, row, o, total[i / 4][i % 4]);
    }
    if (p.n_slices == 1) return;
    if (mg_is_last_block(p.tickets + blockIdx.x * gridDim.y + blockIdx.y, p.n_slices)) {
        const int64_t end = first_row + SIDE < p.x.n ? first_row + SIDE : p.x.n;
        add_slices(&p, first_row, end, first, SIDE);
    }
}

template <int R> static mg_status run_few(mg_cuda *cuda, const f32_product *p, bool *done)
{
    const size_t bytes = (WARPS * R * 32 + (size_t)p->x.n * p->n_steps * MG_STEP) * sizeof(float);

    if (bytes > cuda->shared_bytes) return MG_OK;
    *done = true;
    MG_RETURN(mg_allow_shared(few_rows_k<R>, bytes));
    MG_RUN(cuda, few_rows_k<R>, dim3(p->n_tiles, p->n_slices), THREADS, bytes, *p);
    return MG_OK;
}

static mg_status run_rows(mg_cuda *cuda, const f32_product *p)
{
    const bool is_plain = p->x.run_stride == p->x.run;
    bool done = false;

    if (p->x.n <= MG_FEW_F32_ROWS && is_plain) {
        if (p->x.n == 1)
            MG_RETURN(run_few<1>(cuda, p, &done));
        else if (p->x.n == 2)
            MG_RETURN(run_few<2>(cuda, p, &done));
        else if (p->x.n <= 4)
            MG_RETURN(run_few<4>(cuda, p, &done));
        else
            MG_RETURN(run_few<8>(cuda, p, &done));
        if (done) return MG_OK;
    }
    const dim3 grid((unsigned)mg_ceil_div(p->x.n, SIDE), (unsigned)mg_ceil_div(p->n_out, SIDE), p->n_slices);
    MG_REQUIRE(!p->norm.gamma);
    MG_RUN(cuda, many_rows_k, grid, THREADS, 0, *p);
    return MG_OK;
}

mg_status mg_product_f32(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                         const mg_row_norm *norm)
{
    f32_product p = {
        .w = (const float4 *)w->data,
        .partial = (float *)(cuda->scratch + mg_packed_bytes(cuda)),
        .tickets = cuda->tickets,
        .n_out = (int32_t)w->n_out,
        .n_tiles = (int32_t)mg_ceil_div(w->n_out, MG_TILE_F32),
        .n_in = (int32_t)(w->n_in / w->n_slices),
        .n_slices = w->n_slices,
    };
    const int64_t partial_row = (int64_t)p.n_slices * p.n_tiles * MG_TILE_F32 * (int64_t)sizeof(float);
    const int64_t n_tickets = mg_ceil_div(w->n_out, MG_TILE_F32);
    int64_t at_once = x->n;

    if (p.n_slices > 1) {
        at_once = mg_smaller(mg_partial_bytes(cuda) / partial_row, MG_MAX_TICKETS / n_tickets * SIDE);
        at_once = mg_smaller(at_once, 1024);
    }
    MG_REQUIRE(at_once > 0 || x->n == 0);
    p.n_steps = mg_slice_steps(p.n_in);
    if (norm) p.norm = *norm;
    for (int64_t row = 0; row < x->n; row += at_once) {
        p.x = *x;
        p.x.x = x->x + row * x->row_stride;
        p.x.n = mg_smaller(at_once, x->n - row);
        p.to = *to;
        p.to.y = to->y + row * to->row_stride;
        if (to->kv.k) p.to.kv.row = to->kv.row + row, p.to.kv.pos = to->kv.pos + row;
        MG_RETURN(run_rows(cuda, &p));
    }
    return MG_OK;
}
