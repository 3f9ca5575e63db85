/* Weights from the host into the layouts of cuda_matrix.cuh. Pieces of the source, as it is, are read into
 * pinned memory by several threads, copied over, and put in their places by the device, which converts and
 * counts what is not finite then: while one piece is read the one before is on its way. */
#include "cuda_load.cuh"

#include <string.h>

#include "cuda_half.cuh"
#include "cuda_matrix.cuh"
#include "cuda_memory.cuh"

enum { THREADS = 256, AT_ONCE = MG_RING_PIECES / 2 };

/* Rows [row, row + n_rows) and columns [col, col + n_cols) of a source. */
typedef struct piece {
    int64_t row, n_rows, col, n_cols;
} piece;

enum { TO_MATRIX, TO_TENSOR, TO_CONV };

/* Where they go. */
typedef struct target {
    int32_t kind, format;
    void *data, *plain;      /* plain: a copy of plain_width values an output; NULL: none */
    int64_t first_out, n_in; /* TO_MATRIX; n_in: of a slice */
    int64_t plain_width;
    int32_t n_slices, n_steps;
    int32_t transposed, n_taps, stride, J; /* TO_CONV */
    int64_t c_in, c_out;
} target;

template <class S> MG_INLINE float source_value(const void *from, int64_t i)
{
    return mg_value<S>::widen(((const S *)from)[i]);
}

template <class T> MG_INLINE void put_both(const target *to, int64_t place, int64_t plain_place, T v)
{
    ((T *)to->data)[place] = v;
    if (to->plain) ((T *)to->plain)[plain_place] = v;
}

MG_INLINE void put_in_matrix(const target *to, int64_t o, int64_t column, float v)
{
    const int s = (int)(column / to->n_in);
    const int64_t i = column % to->n_in, plain = o * to->plain_width + column;
    const int64_t packed = to->format == MG_FORMAT_F32 ? mg_place_f32(o, s, i, to->n_slices, to->n_steps)
                                                       : mg_place_half(o, s, i, to->n_slices, to->n_steps);

    if (to->format == MG_FORMAT_F32)
        put_both(to, packed, plain, v);
    else if (to->format == MG_FORMAT_BF16)
        put_both(to, packed, plain, __float2bfloat16_rn(v));
    else
        put_both(to, packed, plain, __float2half_rn(v));
}

/* A convolution's weight [c_out, c_in * n_taps], or [c_in, c_out * n_taps] if transposed: see cuda_codec.cu.
 */
MG_INLINE void put_in_conv(const target *to, int64_t row, int64_t column, float v)
{
    const int64_t other = column / to->n_taps, t = column % to->n_taps;

    if (!to->transposed)
        put_in_matrix(to, row, t * to->c_in + other, v);
    else
        put_in_matrix(to, t % to->stride * to->c_out + other, (to->J - 1 - t / to->stride) * to->c_in + row,
                      v);
}

/* No number, or none that a matrix of this format holds: fp16 rounds it to infinity. */
MG_INLINE bool is_bad(float v, int32_t format)
{
    return !(fabsf(v) < (format == MG_FORMAT_F16 ? 65520.0f : INFINITY));
}

template <class S>
__global__ void __launch_bounds__(THREADS)
    place_k(const void *from, const target to, const piece p, int32_t *n_bad)
{
    let_successor_start();
    wait_for_predecessor();
    for (int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x; e < p.n_rows * p.n_cols;
         e += (int64_t)gridDim.x * THREADS) {
        const int64_t row = p.row + e / p.n_cols, column = p.col + e % p.n_cols;
        const float v = source_value<S>(from, e);
        if (is_bad(v, to.format)) atomicAdd(n_bad, 1);
        if (to.kind == TO_MATRIX)
            put_in_matrix(&to, to.first_out + row, column, v);
        else if (to.kind == TO_TENSOR)
            ((float *)to.data)[column] = v;
        else
            put_in_conv(&to, row, column, v);
    }
}

/* Zeros in what fills up slices, for outputs [first, end), and in all of outputs [end, padded_end). */
__global__ void __launch_bounds__(THREADS)
    fill_up_k(const target to, int64_t first, int64_t end, int64_t padded_end)
{
    const int64_t width = (int64_t)to.n_slices * to.n_steps * MG_STEP,
                  per_slice = (int64_t)to.n_steps * MG_STEP;

    let_successor_start();
    wait_for_predecessor();
    for (int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x; e < (padded_end - first) * width;
         e += (int64_t)gridDim.x * THREADS) {
        const int64_t o = first + e / width, i = e % width % per_slice;
        const int s = (int)(e % width / per_slice);
        if (o < end && i < to.n_in) continue;
        if (to.format == MG_FORMAT_F32)
            ((float *)to.data)[mg_place_f32(o, s, i, to.n_slices, to.n_steps)] = 0;
        else
            ((uint16_t *)to.data)[mg_place_half(o, s, i, to.n_slices, to.n_steps)] = 0;
    }
}

static unsigned blocks_for(int64_t n)
{
    return (unsigned)mg_smaller(mg_ceil_div(n, THREADS), 8192);
}

typedef struct batch {
    const mg_host_matrix *src;
    piece pieces[AT_ONCE];
    mg_ring_piece *ring[AT_ONCE];
} batch;

static void read_pieces(void *arg, int64_t first, int64_t end, int i_thread)
{
    const batch *b = (const batch *)arg;
    const mg_host_matrix *src = b->src;
    const size_t size = mg_dtype_bytes(src->dtype);

    (void)i_thread;
    for (int64_t i = first; i < end; i++) {
        const piece *p = &b->pieces[i];
        char *to = b->ring[i]->pinned;
        if (src->read) {
            src->read(src->read_arg, to, p->row, p->n_rows, p->col, p->n_cols);
            continue;
        }
        for (int64_t r = 0; r < p->n_rows; r++)
            memcpy(to + (size_t)(r * p->n_cols) * size,
                   (const char *)src->data + (size_t)((p->row + r) * src->row_stride + p->col) * size,
                   (size_t)p->n_cols * size);
    }
}

static mg_status place(mg_cuda *cuda, const target *to, const mg_host_matrix *src, const piece *p,
                       const void *from)
{
    const unsigned blocks = blocks_for(p->n_rows * p->n_cols);

    if (src->dtype == MG_BF16)
        MG_RUN(cuda, place_k<__nv_bfloat16>, blocks, THREADS, 0, from, *to, *p, cuda->n_bad);
    else if (src->dtype == MG_F16)
        MG_RUN(cuda, place_k<__half>, blocks, THREADS, 0, from, *to, *p, cuda->n_bad);
    else
        MG_RUN(cuda, place_k<float>, blocks, THREADS, 0, from, *to, *p, cuda->n_bad);
    return MG_OK;
}

/* The next piece after (row, col) of a source: whole rows, or a part of one. */
static piece next_piece(const mg_host_matrix *src, int64_t *row, int64_t *col)
{
    const int64_t most = MG_RING_BYTES / (int64_t)mg_dtype_bytes(src->dtype);
    piece p = {*row, 1, *col, mg_smaller(src->n_cols - *col, most)};

    if (*col == 0 && src->n_cols <= most) p.n_rows = mg_smaller(most / src->n_cols, src->n_rows - *row);
    *col += p.n_cols;
    if (*col == src->n_cols) *col = 0, *row += p.n_rows;
    return p;
}

/* All of a source to its places. What is read stays where it was copied to until it is placed: each piece of
 * the ring has its own part of the scratch. */
static mg_status load(mg_cuda *cuda, const target *to, const mg_host_matrix *src, int64_t *n_bad,
                      const mg_ops *ops)
{
    const int64_t size = (int64_t)mg_dtype_bytes(src->dtype);
    int32_t count = 0;
    batch b = {.src = src};

    for (int64_t row = 0, col = 0; row < src->n_rows;) {
        int n = 0;
        for (; n < AT_ONCE && row < src->n_rows; n++) {
            b.pieces[n] = next_piece(src, &row, &col);
            MG_RETURN(mg_ring_take(cuda, &b.ring[n]));
        }
        if (cuda->settings.threads)
            mg_threads_run(cuda->settings.threads, read_pieces, &b, n);
        else
            read_pieces(&b, 0, n, 0);
        for (int i = 0; i < n; i++) {
            char *stage = cuda->scratch + (size_t)(b.ring[i] - cuda->ring) * MG_RING_BYTES;
            MG_RETURN(mg_ring_send(cuda, b.ring[i], stage,
                                   (size_t)(b.pieces[i].n_rows * b.pieces[i].n_cols * size)));
            MG_RETURN(place(cuda, to, src, &b.pieces[i], stage));
        }
    }
    if (!n_bad) return MG_OK;
    MG_RETURN(mg_cuda_download(ops, &count, cuda->n_bad, sizeof count));
    *n_bad += count;
    if (count) MG_CUDA(cudaMemsetAsync(cuda->n_bad, 0, sizeof count, cuda->stream));
    return MG_OK;
}

static int64_t tile_of(mg_format format)
{
    return format == MG_FORMAT_F32 ? (int)MG_TILE_F32 : (int)MG_TILE_HALF;
}

/* A multiple of 512: whole tiles. */
size_t mg_packed_matrix_bytes(const mg_matrix *w)
{
    const int64_t tile = tile_of(w->format), n_steps = mg_slice_steps(w->n_in / w->n_slices);

    return (size_t)(mg_ceil_div(w->n_out, tile) * tile * w->n_slices * n_steps * MG_STEP) *
           mg_dtype_bytes(mg_format_dtype(w->format));
}

static size_t plain_row_bytes(const mg_matrix *w)
{
    return (size_t)mg_plain_width(w) * mg_dtype_bytes(mg_format_dtype(w->format));
}

size_t mg_cuda_matrix_bytes(const mg_ops *ops, const mg_matrix *w)
{
    const mg_cuda *cuda = mg_cuda_of(ops);

    return mg_packed_matrix_bytes(w) + (cuda->fast ? (size_t)w->n_out * plain_row_bytes(w) : 0);
}

static target matrix_target(const mg_cuda *cuda, const mg_matrix *w, int64_t first_out)
{
    target to = {};

    to.kind = TO_MATRIX;
    to.format = w->format;
    to.data = w->data;
    to.plain = cuda->fast ? mg_plain_of(w) : NULL;
    to.plain_width = mg_plain_width(w);
    to.first_out = first_out;
    to.n_in = w->n_in / w->n_slices;
    to.n_slices = w->n_slices;
    to.n_steps = mg_slice_steps(to.n_in);
    return to;
}

mg_status mg_cuda_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                              const mg_host_matrix *src, int64_t *n_bad)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const target to = matrix_target(cuda, w, first_out);
    const int64_t end = first_out + src->n_rows, tile = tile_of(w->format);
    const int64_t padded_end = end == w->n_out ? mg_ceil_div(end, tile) * tile : end;
    const int64_t n = (padded_end - first_out) * w->n_slices * to.n_steps * MG_STEP;

    if (mg_format_is_quantised(w->format))
        return mg_fail(MG_EUSAGE,
                       "weights: 8 and 4 bits: a GPU keeps them as fp32, bf16 or fp16; use --device cpu");
    if (src->n_rows == 0) return MG_OK;
    if (padded_end != end || (int64_t)to.n_steps * MG_STEP != to.n_in)
        MG_RUN(cuda, fill_up_k, blocks_for(n), THREADS, 0, to, first_out, end, padded_end);
    if (to.plain && to.plain_width != w->n_in)
        MG_CUDA(cudaMemsetAsync((char *)to.plain + (size_t)first_out * plain_row_bytes(w), 0,
                                (size_t)src->n_rows * plain_row_bytes(w), cuda->stream));
    return load(cuda, &to, src, n_bad, ops);
}

mg_status mg_cuda_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    target to = {};

    to.kind = TO_TENSOR;
    to.data = dst;
    return load(mg_cuda_of(ops), &to, src, n_bad, ops);
}

mg_matrix mg_cuda_conv_matrix(const mg_conv *c)
{
    const int64_t J = mg_ceil_div(c->n_taps, c->stride);
    mg_matrix w = {};

    w.format = MG_FORMAT_F32;
    w.n_out = c->transposed ? c->stride * c->c_out : c->c_out;
    w.n_in = (c->transposed ? J : c->n_taps) * c->c_in;
    w.n_slices = 1;
    w.data = c->data;
    return w;
}

size_t mg_cuda_conv_bytes(const mg_ops *ops, const mg_conv *c)
{
    const mg_matrix w = mg_cuda_conv_matrix(c);

    return mg_cuda_matrix_bytes(ops, &w);
}

mg_status mg_cuda_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const mg_matrix w = mg_cuda_conv_matrix(c);
    target to = matrix_target(cuda, &w, 0);
    int64_t n_bad = 0; /* counted by who read the tensor */

    to.kind = TO_CONV;
    to.transposed = c->transposed;
    to.n_taps = (int32_t)c->n_taps;
    to.stride = (int32_t)c->stride;
    to.J = (int32_t)mg_ceil_div(c->n_taps, c->stride);
    to.c_in = c->c_in;
    to.c_out = c->c_out;
    MG_CUDA(cudaMemsetAsync(c->data, 0, mg_cuda_matrix_bytes(ops, &w), cuda->stream));
    return load(cuda, &to, src, &n_bad, ops);
}
