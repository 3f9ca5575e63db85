/* Products with fp32 weights, on the CUDA cores: the language model in exact mode, T5, and all of the codec,
 * whose convolutions are products over rows of x that overlap.
 *
 * Up to 8 rows: a block makes 32 outputs of one slice, a warp takes one part of it and a lane one output, 16
 * bytes of weights a load. More rows: tiles (cuda_tile_f32.cu). In both an output is the same chain of fused
 * multiply-adds over each part, the parts added in order: the same bits. */
#include "cuda_norm.cuh"
#include "cuda_product_f32.cuh"

enum {
    WARPS = MG_PARTS,
    THREADS = 32 * WARPS,
    AHEAD = 8, /* loads of a lane in flight */
};

/* One output and slice of a row: into y, or for the other slices to find. */
MG_INLINE void deliver(const mg_f32_product *p, int slice, int64_t row, int64_t o, float sum)
{
    if (p->n_slices > 1)
        p->partial[((int64_t)slice * p->x.n + row) * p->n_tiles * MG_TILE_F32 + o] = sum;
    else if (o < p->n_out)
        mg_finish_value(&p->to, row, o, sum);
}

/* R >= the rows. x of the slice stands in shared memory, [row][n_steps * 16]. */
template <int R> __global__ void __launch_bounds__(THREADS, 2) few_rows_k(const mg_f32_product p)
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
                    sum[r] = mg_chain(sum[r], weights, *reinterpret_cast<const float4 *>(x + r * padded));
        }
    }
#pragma unroll
    for (int r = 0; r < R; r++) parts[(part * R + r) * 32 + lane] = sum[r];
    __syncthreads();
    for (int row = part; row < p.x.n; row += WARPS) {
        float all = 0; /* so, and not the first part, as where empty parts are passed over */
        for (int i = 0; i < MG_PARTS; i++) all += parts[(i * R + row) * 32 + lane];
        deliver(&p, slice, row, (int64_t)tile * MG_TILE_F32 + lane, all);
    }
    if (p.n_slices > 1 && mg_is_last_block(p.tickets + tile, p.n_slices))
        mg_add_slices(&p, 0, p.x.n, (int64_t)tile * MG_TILE_F32, MG_TILE_F32);
}

template <int R> static mg_status run_few(mg_cuda *cuda, const mg_f32_product *p, bool *done)
{
    const size_t bytes = (WARPS * R * 32 + (size_t)p->x.n * p->n_steps * MG_STEP) * sizeof(float);

    if (bytes > cuda->shared_bytes) return MG_OK;
    *done = true;
    MG_RETURN(mg_allow_shared(cuda, few_rows_k<R>, bytes));
    MG_RUN(cuda, few_rows_k<R>, dim3(p->n_tiles, p->n_slices), THREADS, bytes, *p);
    return MG_OK;
}

/* Whether 16 bytes of a row at a time are in one run, and none of them past its end. */
static bool reads_fours(const mg_f32_product *p)
{
    const mg_rows *x = &p->x;

    return p->n_in % MG_STEP == 0 && x->run % MG_STEP == 0 && x->run_stride % 4 == 0 &&
           x->row_stride % 4 == 0 && (uintptr_t)x->x % 16 == 0;
}

static bool writes_fours(const mg_f32_product *p)
{
    const mg_finish *to = &p->to;

    return !to->kv.k && p->n_out % 4 == 0 && to->row_stride % 4 == 0 && (uintptr_t)to->y % 16 == 0 &&
           (!to->bias || (to->n_bias % 4 == 0 && (uintptr_t)to->bias % 16 == 0));
}

static mg_status run_rows(mg_cuda *cuda, mg_f32_product *p, int way, int n_splits)
{
    const bool is_plain = p->x.run_stride == p->x.run;
    bool done = false;

    if (way < 0 && p->x.n <= MG_FEW_F32_ROWS && is_plain) {
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
    MG_REQUIRE(!p->norm.gamma);
    p->x_fours = reads_fours(p), p->y_fours = writes_fours(p);
    return mg_tile_product_f32(cuda, p, way, n_splits);
}

mg_status mg_product_f32_by(mg_cuda *cuda, int way, int n_splits, const mg_finish *to, const mg_rows *x,
                            const mg_matrix *w, const mg_row_norm *norm)
{
    enum { LEAST_TILE_ROWS = 32, MOST_ROWS = 1 << 20 }; /* a grid has at most 65535 tiles of rows */
    mg_f32_product p = {
        .w = (const float4 *)w->data,
        .partial = (float *)(cuda->scratch + mg_packed_bytes(cuda)),
        .tickets = cuda->tickets,
        .n_out = (int32_t)w->n_out,
        .n_tiles = (int32_t)mg_ceil_div(w->n_out, MG_TILE_F32),
        .n_in = (int32_t)(w->n_in / w->n_slices),
        .n_slices = w->n_slices,
    };
    const int64_t partial_row = (int64_t)p.n_slices * p.n_tiles * MG_TILE_F32 * (int64_t)sizeof(float);
    int64_t at_once = mg_smaller(x->n, MOST_ROWS);

    if (p.n_slices > 1) {
        at_once = mg_smaller(mg_partial_bytes(cuda) / partial_row,
                             MG_MAX_TICKETS / mg_ceil_div(w->n_out, MG_TILE_F32) * LEAST_TILE_ROWS);
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
        MG_RETURN(run_rows(cuda, &p, way, n_splits));
    }
    return MG_OK;
}

mg_status mg_product_f32(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                         const mg_row_norm *norm)
{
    return mg_product_f32_by(cuda, -1, 1, to, x, w, norm);
}
