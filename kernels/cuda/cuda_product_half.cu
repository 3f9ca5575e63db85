/* Products with bf16 and fp16 weights, on the tensor cores. A few rows go the way of cuda_product_few.cuh;
 * here are 1 to 128 of them that a kernel of its own has packed before, in the order of the instruction's B
 * operand. All give the same bits.
 *
 * A block makes 16 outputs of one slice. Each of its 8 warps takes one part of the slice (cuda_matrix.cuh),
 * and asks for all its weights before it waits for x: 16 bytes a lane and step, one after the other in
 * memory. Where there are several slices, the last block of a tile to arrive adds them, in the tree of ops.h.
 */
#include "cuda_product_few.cuh"

enum { THREADS = 32 * MG_PARTS, PITCH = MG_VARIANT_PITCH };

/* One step of all rows: N of the row tiles at a time, from t0 on. */
template <int N> MG_INLINE void load_b(uint2 *b, const half_product *p, int slice, int step, int t0)
{
    const int lane = threadIdx.x % 32;
    const uint2 none = {0, 0};

#pragma unroll
    for (int t = 0; t < N; t++) {
        const int64_t tile = ((int64_t)slice * p->n_steps + step) * p->n_row_tiles + t0 + t;
        b[t] = none;
        if (t0 + t < p->n_row_tiles) b[t] = __ldcg(p->packed + tile * 32 + lane);
    }
}

/* Sums of the 8 parts, in order, and on: to the caller's y, or to the other slices. */
template <int NT> MG_INLINE void finish_tile(const half_product *p, const float *parts, int tile, int slice)
{
    const int n = (int)p->x.n * MG_TILE_HALF;
    const int64_t width = (int64_t)p->n_tiles * MG_TILE_HALF, first = (int64_t)tile * MG_TILE_HALF;

    for (int e = threadIdx.x; e < n; e += THREADS) {
        const int row = e / MG_TILE_HALF, o = e % MG_TILE_HALF;
        float sum = parts[row * PITCH + o];
        for (int part = 1; part < MG_PARTS; part++) sum += parts[(part * NT * 8 + row) * PITCH + o];
        if (p->n_slices > 1)
            p->partial[((int64_t)slice * p->x.n + row) * width + first + o] = sum;
        else if (first + o < p->n_out)
            mg_finish_value(&p->to, row, first + o, sum);
    }
    if (p->n_slices == 1) return;
    if (!mg_is_last_block(p->tickets + tile, p->n_slices)) return;
    for (int e = threadIdx.x; e < n; e += THREADS) {
        const int row = e / MG_TILE_HALF, o = e % MG_TILE_HALF;
        if (first + o >= p->n_out) continue;
        const float *partial = p->partial + row * width + first + o;
        mg_finish_value(&p->to, row, first + o, mg_slice_tree(partial, p->x.n * width, p->n_slices));
    }
}

/* KS: steps of a part that are asked for at once. */
template <class T, int NT, int KS, int BLOCKS>
__global__ void __launch_bounds__(THREADS, BLOCKS) product_k(const half_product p)
{
    constexpr int N = NT < 8 ? NT : NT < 16 ? 8 : 4; /* row tiles at a time: registers */
    MG_DYNAMIC_SHARED(float, parts);
    const int lane = threadIdx.x % 32, part = threadIdx.x / 32, tile = blockIdx.x, slice = blockIdx.y;
    const int first = mg_part_begin(p.n_steps, part), n = mg_part_begin(p.n_steps, part + 1) - first;
    const uint4 *w = p.w + (((int64_t)tile * p.n_slices + slice) * p.n_steps + first) * 32 + lane;
    const uint4 none = {0, 0, 0, 0};
    float c[NT][4];
    uint4 a[KS];

    let_successor_start();
#pragma unroll
    for (int i = 0; i < KS; i++) a[i] = i < n ? ld_weights(w + i * 32) : none;
    wait_for_predecessor();
#pragma unroll
    for (int t = 0; t < NT; t++) c[t][0] = c[t][1] = c[t][2] = c[t][3] = 0;
    for (int done = 0;;) {
#pragma unroll
        for (int i = 0; i < KS; i++) {
            if (done + i < n) {
#pragma unroll
                for (int t0 = 0; t0 < NT; t0 += N) {
                    uint2 b[N];
                    load_b<N>(b, &p, slice, first + done + i, t0);
#pragma unroll
                    for (int t = 0; t < N; t++) mg_mma<T>(c[t0 + t], a[i], b[t]);
                }
            }
        }
        done += KS;
        if (done >= n) break;
#pragma unroll
        for (int i = 0; i < KS; i++) a[i] = done + i < n ? ld_weights(w + (done + i) * 32) : none;
    }
#pragma unroll
    for (int t = 0; t < NT; t++) {
        float *to = parts + ((part * NT + t) * 8 + lane % 4 * 2) * PITCH + lane / 4;
        to[0] = c[t][0];
        to[PITCH] = c[t][1];
        to[8] = c[t][2];
        to[PITCH + 8] = c[t][3];
    }
    __syncthreads();
    finish_tile<NT>(&p, parts, tile, slice);
}

/* As cuda_variants.cuh lists them, but for the tiled ones. */
#define FEW(tiles, steps, norm, blocks)                           \
    {                                                             \
        few_k<T, tiles, steps, norm, blocks>, tiles, steps, false \
    }
#define PACKED(tiles, steps, blocks)                           \
    {                                                          \
        product_k<T, tiles, steps, blocks>, tiles, steps, true \
    }
#define ALL_PACKED PACKED(1, 8, 4), PACKED(2, 8, 3), PACKED(4, 8, 3), PACKED(8, 8, 2), PACKED(16, 4, 2)

template <class T> static const mg_variant *plain_variants(bool with_norm)
{
    static const mg_variant plain[MG_N_PLAIN_VARIANTS] = {
        FEW(1, 8, false, 3), FEW(1, 16, false, 3), FEW(1, 32, false, 3),
        FEW(2, 8, false, 2), FEW(2, 16, false, 2), FEW(2, 32, false, 2),
        ALL_PACKED};
    static const mg_variant normed[MG_N_PLAIN_VARIANTS] = {
        FEW(1, 8, true, 4),  FEW(1, 16, true, 3), FEW(1, 32, true, 2), FEW(2, 8, true, 3),
        FEW(2, 16, true, 2), FEW(2, 32, true, 2), ALL_PACKED};

    return with_norm ? normed : plain;
}

/* The lists of a format: without a norm and with one. */
struct variant_lists {
    mg_variant list[2][MG_N_VARIANTS];

    variant_lists(mg_format format)
    {
        for (int with_norm = 0; with_norm < 2; with_norm++) {
            const mg_variant *plain = format == MG_FORMAT_BF16 ? plain_variants<__nv_bfloat16>(with_norm)
                                                               : plain_variants<__half>(with_norm);
            for (int i = 0; i < MG_N_PLAIN_VARIANTS; i++) list[with_norm][i] = plain[i];
            mg_tiled_variants(list[with_norm] + MG_N_PLAIN_VARIANTS, format);
        }
    }
};

const mg_variant *mg_variants(mg_format format, bool with_norm)
{
    static const variant_lists bf16(MG_FORMAT_BF16), f16(MG_FORMAT_F16);

    return (format == MG_FORMAT_BF16 ? bf16 : f16).list[with_norm];
}

static mg_status run_rows(mg_cuda *cuda, half_product *p, const mg_matrix *w, bool with_norm,
                          const mg_variant *v)
{
    const size_t bytes = mg_variant_shared_bytes(v, w, with_norm, p->x.n);
    const dim3 grid(p->n_tiles, v->packs ? p->n_slices : 1);

    p->n_row_tiles = (int32_t)mg_ceil_div(p->x.n, 8);
    if (v->packs) MG_RETURN(mg_pack_rows(cuda, p, w->format));
    if (v->n_threads) return mg_run_tiled(cuda, p, v);
    MG_RETURN(mg_allow_shared(cuda, v->run, bytes));
    MG_RUN(cuda, v->run, grid, THREADS, bytes, *p);
    return MG_OK;
}

mg_status mg_product_half(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                          const mg_row_norm *norm)
{
    return mg_product_half_by(cuda, MG_BY_CHOICE, to, x, w, norm);
}

half_product mg_half_product_of(const mg_cuda *cuda, const mg_finish *to, const mg_matrix *w)
{
    const int32_t n_in = (int32_t)(w->n_in / w->n_slices);

    return {
        .w = (const uint4 *)w->data,
        .packed = (uint2 *)cuda->scratch,
        .to = *to,
        .partial = (float *)(cuda->scratch + mg_packed_bytes(cuda)),
        .tickets = cuda->tickets,
        .n_out = (int32_t)w->n_out,
        .n_tiles = (int32_t)mg_ceil_div(w->n_out, MG_TILE_HALF),
        .n_in = n_in,
        .n_slices = w->n_slices,
        .n_steps = mg_slice_steps(n_in),
    };
}

mg_status mg_product_half_by(mg_cuda *cuda, int variant, const mg_finish *to, const mg_rows *x,
                             const mg_matrix *w, const mg_row_norm *norm)
{
    half_product p = mg_half_product_of(cuda, to, w);
    const int64_t partial_row = (int64_t)p.n_slices * p.n_tiles * MG_TILE_HALF * (int64_t)sizeof(float);
    const mg_variant *all = mg_variants(w->format, norm);
    int64_t at_once = mg_smaller(MG_ROWS_AT_ONCE, mg_partial_bytes(cuda) / partial_row);

    MG_REQUIRE(!norm || p.n_slices == 1);
    MG_REQUIRE(p.n_slices == 1 || (at_once > 0 && p.n_tiles <= MG_MAX_TICKETS));
    if (p.n_slices == 1) at_once = MG_ROWS_AT_ONCE;
    at_once = mg_smaller(at_once, mg_packed_bytes(cuda) / ((int64_t)p.n_slices * p.n_steps * 32) & ~7);
    MG_REQUIRE(at_once > 0);
    if (norm) p.norm = *norm;
    for (int64_t row = 0; row < x->n; row += at_once) {
        p.x = *x;
        p.x.x = x->x + row * x->row_stride;
        p.x.n = mg_smaller(at_once, x->n - row);
        p.to.y = to->y + row * to->row_stride;
        if (to->kv.k) p.to.kv.row = to->kv.row + row, p.to.kv.pos = to->kv.pos + row;
        int which = variant;
        if (which == MG_BY_CHOICE || /* or it is for all rows, and not for so few */
            (p.x.n < x->n && !mg_variant_fits(cuda, &all[which], w, norm, p.x.n)))
            which = mg_variant_choose(cuda, w, norm, p.x.n);
        const mg_variant *v = &all[which];
        MG_REQUIRE(mg_variant_fits(cuda, v, w, norm, p.x.n));
        MG_RETURN(run_rows(cuda, &p, w, norm, v));
    }
    return MG_OK;
}
