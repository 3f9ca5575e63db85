/* Rows on their way into a 16-bit product: rounded, through a norm if there is one, in the order of the
 * tensor core's B operand. */
#include "cuda_norm.cuh"
#include "cuda_product_half.cuh"

enum { THREADS = 256 };

/* A place in p->packed: of step `step` of all slices, one after the other. */
MG_INLINE uint2 *packed_at(const half_product *p, int64_t row, int64_t step)
{
    return p->packed + (step * p->n_row_tiles + row / 8) * 32 + row % 8 * 4;
}

/* Four values of a row from input 4 * (lane % 4) of a step on, as the B operand: of a step, four lanes make
 * four words of two registers. By all lanes of a warp. */
template <class T> MG_INLINE void pack_four(uint2 *step, float4 v)
{
    const int quarter = threadIdx.x % 4;
    const uint32_t low = mg_pair<T>(v.x, v.y), high = mg_pair<T>(v.z, v.w);
    const uint32_t other = __shfl_xor_sync(0xffffffffu, quarter < 2 ? high : low, 2);

    if (quarter < 2)
        step[quarter * 2] = make_uint2(low, other);
    else
        step[quarter * 2 - 3] = make_uint2(other, high);
}

/* Rows of D = 128, 256 … 128 * FOURS, through a norm: a warp a row, which stays in its registers. The sums
 * are those of mg_norm_row. */
template <class T, int FOURS> __global__ void __launch_bounds__(32) pack_normed_k(const half_product p)
{
    const int lane = threadIdx.x, n = p.n_in / 128;
    const int64_t row = blockIdx.x;
    const float4 none = {0, 0, 0, 0};
    uint4 gamma[FOURS], beta[FOURS];
    float4 v[FOURS];

    let_successor_start();
#pragma unroll
    for (int k = 0; k < FOURS; k++) {
        if (k >= n) continue;
        gamma[k] = ld_weights(reinterpret_cast<const uint4 *>(p.norm.gamma) + k * 32 + lane);
        beta[k] = ld_weights(reinterpret_cast<const uint4 *>(p.norm.beta) + k * 32 + lane);
    }
    wait_for_predecessor();
#pragma unroll
    for (int k = 0; k < FOURS; k++) {
        v[k] = none;
        if (k < n && row < p.x.n)
            v[k] = __ldcg(reinterpret_cast<const float4 *>(p.x.x + row * p.x.row_stride) + k * 32 + lane);
    }
    const mg_row_scale s = mg_norm_held(v, p.n_in, &p.norm);
#pragma unroll
    for (int k = 0; k < FOURS; k++) {
        if (k >= n) continue;
        float4 y = none;
        if (row < p.x.n) {
            y.x = mg_norm_with(v[k].x, s, __uint_as_float(gamma[k].x), __uint_as_float(beta[k].x), true);
            y.y = mg_norm_with(v[k].y, s, __uint_as_float(gamma[k].y), __uint_as_float(beta[k].y), true);
            y.z = mg_norm_with(v[k].z, s, __uint_as_float(gamma[k].z), __uint_as_float(beta[k].z), true);
            y.w = mg_norm_with(v[k].w, s, __uint_as_float(gamma[k].w), __uint_as_float(beta[k].w), true);
        }
        pack_four<T>(packed_at(&p, row, k * 8 + lane / 4), y);
    }
}

/* Rows whose slices are whole steps, 128 inputs a warp. */
template <class T> __global__ void __launch_bounds__(THREADS) pack_plain_k(const half_product p)
{
    const int n = p.n_slices * p.n_in, i = (blockIdx.x * THREADS + threadIdx.x) * 4;
    const int64_t row = blockIdx.y;
    float4 v = {0, 0, 0, 0};

    let_successor_start();
    wait_for_predecessor();
    if (i >= n) return; /* all of a warp */
    if (row < p.x.n) v = __ldcg(reinterpret_cast<const float4 *>(p.x.x + row * p.x.row_stride + i));
    pack_four<T>(packed_at(&p, row, i / MG_STEP), v);
}

/* Any rows: 8 of them (blockIdx.x), 4 values a lane and step. */
template <class T> __global__ void __launch_bounds__(THREADS) pack_any_k(const half_product p)
{
    MG_SHARED(scales, mg_row_scale[8]);
    const int warp = threadIdx.x / 32, row_tile = blockIdx.x;
    const bool with_norm = p.norm.gamma != nullptr;

    let_successor_start();
    wait_for_predecessor();
    if (with_norm) {
        const int64_t row = (int64_t)row_tile * 8 + warp;
        if (row < p.x.n) {
            const mg_row_scale s = mg_norm_row<false>(p.x.x + row * p.x.row_stride, p.n_in, &p.norm);
            if (threadIdx.x % 32 == 0) scales[warp] = s;
        }
        __syncthreads();
    }
    const int n = p.n_slices * p.n_steps * 32;
    for (int e = blockIdx.y * THREADS + threadIdx.x; e < n; e += gridDim.y * THREADS) {
        const int lane = e % 32, step = e / 32 % p.n_steps, slice = e / 32 / p.n_steps;
        const int64_t row = (int64_t)row_tile * 8 + lane / 4;
        const float *x = p.x.x + row * p.x.row_stride + (int64_t)slice * p.n_in;
        float v[4];
        for (int j = 0; j < 4; j++) {
            const int i = step * MG_STEP + lane % 4 * 2 + j / 2 * 8 + j % 2;
            v[j] = 0;
            if (row < p.x.n && i < p.n_in) {
                v[j] = __ldcg(x + i);
                if (with_norm) v[j] = mg_norm_value(v[j], i, scales[lane / 4], &p.norm);
            }
        }
        packed_at(&p, row, (int64_t)slice * p.n_steps + step)[lane % 4] =
            make_uint2(mg_pair<T>(v[0], v[1]), mg_pair<T>(v[2], v[3]));
    }
}

static bool is_aligned(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

template <class T> static mg_status pack(mg_cuda *cuda, const half_product *p)
{
    const int64_t n_values = (int64_t)p->n_slices * p->n_steps * 32, width = (int64_t)p->n_slices * p->n_in;
    const unsigned n_rows = (unsigned)p->n_row_tiles * 8;
    const bool is_plain =
        p->n_in % MG_STEP == 0 && width % 128 == 0 && p->x.row_stride % 4 == 0 && is_aligned(p->x.x);

    MG_REQUIRE(n_values * p->n_row_tiles * 8 <= mg_packed_bytes(cuda));
    if (!p->norm.gamma && is_plain) {
        const dim3 grid((unsigned)mg_ceil_div(width, 4 * THREADS), n_rows);
        MG_RUN(cuda, pack_plain_k<T>, grid, THREADS, 0, *p);
    } else if (p->norm.beta && is_plain && width <= 2048 && is_aligned(p->norm.gamma) &&
               is_aligned(p->norm.beta)) {
        if (width <= 1024)
            MG_RUN(cuda, (pack_normed_k<T, 8>), n_rows, 32, 0, *p);
        else if (width <= 1536)
            MG_RUN(cuda, (pack_normed_k<T, 12>), n_rows, 32, 0, *p);
        else
            MG_RUN(cuda, (pack_normed_k<T, 16>), n_rows, 32, 0, *p);
    } else {
        const int64_t n_blocks = p->norm.gamma ? 1 : mg_smaller(mg_ceil_div(n_values, THREADS), 64);
        MG_RUN(cuda, pack_any_k<T>, dim3((unsigned)p->n_row_tiles, (unsigned)n_blocks), THREADS, 0, *p);
    }
    return MG_OK;
}

mg_status mg_pack_rows(mg_cuda *cuda, const half_product *p, mg_format format)
{
    return format == MG_FORMAT_BF16 ? pack<__nv_bfloat16>(cuda, p) : pack<__half>(cuda, p);
}
