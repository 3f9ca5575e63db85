/* Products of many rows by cuBLASLt. By arithmetic, for an H100 (3.35 TB/s of memory, about 5.5 TB/s of L2);
 * no GPU has measured it:
 *
 * A product of R rows over W bytes of 16-bit weights takes W from memory once. Our own kernel also takes all
 * rows from L2 again for every 16 outputs: R/16 times W. At 32 rows that lasts as long as W itself. At 128
 * rows it lasts nearly five times as long, and further rows begin anew. A tile of cuBLASLt has 128 outputs
 * and more, so it stays near the time of W up to some 300 rows, where the tensor cores set it.
 *
 * cuBLASLt wants plain matrices. To unpack one before each product reads W, writes W and reads it again,
 * which at 128 rows costs what is to be saved. So plain copies are kept: the matrices take twice the memory.
 *
 * fp32 (T5, the codec) has no rounding of x: cuBLASLt reads the rows where they are. Those of a convolution
 * overlap, which it does not allow: it takes a tap, or a stride's width, at a time, and adds into y. Each
 * such piece reads and writes y once more, which below LEAST_PIECE inputs costs more than its sums.
 *
 * Sums of parts of the inner dimension meet in the workspace in a fixed order, so a run has the bytes of the
 * run before. How a shape is computed is asked of cuBLASLt once and kept; recorded steps keep it too. */
#include <cublasLt.h> /* here: some of it is C++ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_fast.cuh"
#include "cuda_memory.cuh"
#include "cuda_norm.cuh"
#include "cuda_product.cuh"

extern "C" {
#include "cublaslt_library.h"
}

enum {
    THREADS = 256,
    MOST_SHAPES = 256,
    ALIGNMENT = 16,    /* bytes, of every matrix and of its rows */
    LEAST_PIECE = 128, /* inputs */
};

/* Y^T [m, n] = W [m, k] X^T [k, n], column-major, as cuBLASLt counts: W and X are rows of k one behind the
 * other. int64_t throughout: shapes are compared as bytes. */
typedef struct shape {
    int64_t format, m, n, k, w_ld, x_ld, y_ld;
} shape;

/* How one of them is computed. */
typedef struct way {
    shape is;
    bool found; /* false: cuBLASLt knows none */
    cublasLtMatrixLayout_t w, x, y;
    cublasLtMatmulAlgo_t algo;
} way;

struct mg_fast {
    const mg_cublaslt *lt;
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t op;
    cublasLtMatmulPreference_t preference;
    void *workspace;
    size_t workspace_bytes; /* half of scratch: 32 MiB beside 64 GiB, which NVIDIA proposes for sm_90 */
    way ways[MOST_SHAPES];
    int n_ways, next; /* next: the one that makes room */
};

static mg_status check(cublasStatus_t status, const char *what)
{
    char why[32];

    if (status == CUBLAS_STATUS_SUCCESS) return MG_OK;
    (void)snprintf(why, sizeof why, "status %d", (int)status);
    return status == CUBLAS_STATUS_ALLOC_FAILED ? mg_fail(MG_EFIT, "cublasLt: %s: %s", what, why)
                                                : mg_cuda_failed(what, why);
}

#define LT(fast, function, ...) MG_RETURN(check((fast)->lt->function(__VA_ARGS__), #function))

/* ---- Before a product, and after it ---- */

/* A block a row: rounded, through a norm if there is one, zeros behind it up to `width`. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    round_rows_k(T *to, const mg_rows x, const mg_row_norm norm, int n_in, int width)
{
    const float *row = x.x + (int64_t)blockIdx.x * x.row_stride;
    uint32_t *out = reinterpret_cast<uint32_t *>(to + (int64_t)blockIdx.x * width);
    const bool with_norm = norm.gamma != nullptr;
    mg_row_scale s = {0, 0};

    let_successor_start();
    wait_for_predecessor();
    if (with_norm) s = mg_norm_row<false>(row, n_in, &norm);
    for (int i = threadIdx.x * 2; i < width; i += 2 * THREADS) {
        float v[2] = {0, 0};
        for (int j = 0; j < 2; j++) {
            if (i + j >= n_in) continue;
            v[j] = __ldcg(row + i + j);
            if (with_norm) v[j] = mg_norm_value(v[j], i + j, s, &norm);
        }
        out[i / 2] = mg_pair<T>(v[0], v[1]);
    }
}

/* Sums that stand in y already, from output `first` on. */
__global__ void __launch_bounds__(THREADS)
    finish_k(const mg_finish to, int64_t n_rows, int64_t first, int64_t n_out)
{
    const int64_t width = n_out - first;

    let_successor_start();
    wait_for_predecessor();
    for (int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x; e < n_rows * width;
         e += (int64_t)gridDim.x * THREADS) {
        const int64_t row = e / width, o = first + e % width;
        mg_finish_value(&to, row, o, __ldcg(to.y + row * to.row_stride + o));
    }
}

static mg_status finish(mg_cuda *cuda, const mg_finish *to, int64_t n_rows, int64_t n_out)
{
    const bool all = to->bias || to->act != MG_ACT_NONE;
    mg_finish sums = *to;

    if (!all && !to->kv.k) return MG_OK;
    const int64_t first = all ? 0 : to->kv.first_col;
    sums.accumulate = false; /* they have been added to y */
    MG_RUN(cuda, finish_k, (unsigned)mg_smaller(mg_ceil_div(n_rows * (n_out - first), THREADS), 8192),
           THREADS, 0, sums, n_rows, first, n_out);
    return MG_OK;
}

/* ---- How cuBLASLt computes a shape ---- */

static cudaDataType_t type_of(int64_t format)
{
    return format == MG_FORMAT_BF16 ? CUDA_R_16BF : format == MG_FORMAT_F16 ? CUDA_R_16F : CUDA_R_32F;
}

static void drop(const mg_fast *fast, way *w)
{
    if (w->w) (void)fast->lt->matrix_layout_destroy(w->w);
    if (w->x) (void)fast->lt->matrix_layout_destroy(w->x);
    if (w->y) (void)fast->lt->matrix_layout_destroy(w->y);
    *w = {};
}

static mg_status ask(mg_fast *fast, way *w)
{
    const shape *s = &w->is;
    cublasLtMatmulHeuristicResult_t best = {};
    int n = 0;

    LT(fast, matrix_layout_create, &w->w, type_of(s->format), (uint64_t)s->k, (uint64_t)s->m, s->w_ld);
    LT(fast, matrix_layout_create, &w->x, type_of(s->format), (uint64_t)s->k, (uint64_t)s->n, s->x_ld);
    LT(fast, matrix_layout_create, &w->y, CUDA_R_32F, (uint64_t)s->m, (uint64_t)s->n, s->y_ld);
    const cublasStatus_t status = fast->lt->algo_get_heuristic(fast->handle, fast->op, w->w, w->x, w->y, w->y,
                                                               fast->preference, 1, &best, &n);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return MG_OK;
    MG_RETURN(check(status, "algo_get_heuristic"));
    w->found = n > 0 && best.state == CUBLAS_STATUS_SUCCESS;
    w->algo = best.algo;
    return MG_OK;
}

static mg_status find_way(way **out, mg_fast *fast, const shape *s)
{
    for (int i = 0; i < fast->n_ways; i++) {
        *out = &fast->ways[i];
        if (memcmp(&fast->ways[i].is, s, sizeof *s) == 0) return MG_OK;
    }
    if (fast->n_ways < MOST_SHAPES) {
        *out = &fast->ways[fast->n_ways++];
    } else {
        *out = &fast->ways[fast->next++ % MOST_SHAPES];
        drop(fast, *out);
    }
    (*out)->is = *s;
    return ask(fast, *out);
}

/* ---- Products ---- */

/* Inputs from `at` on whose rows cuBLASLt can read: of one run, and no more than rows are apart. */
static int64_t piece_at(const mg_rows *x, int64_t at, int64_t n_in)
{
    const int64_t left = x->run_stride == x->run ? n_in - at : (at / x->run + 1) * x->run - at;

    return mg_smaller(mg_smaller(left, n_in - at), x->row_stride);
}

static bool is_aligned(const void *p, int64_t stride_bytes)
{
    return (uintptr_t)p % ALIGNMENT == 0 && stride_bytes % ALIGNMENT == 0;
}

static bool takes(const mg_finish *to, const mg_rows *x, const mg_matrix *w)
{
    if (x->n <= MG_FAST_ABOVE_ROWS || (to->accumulate && to->act != MG_ACT_NONE)) return false;
    if (!is_aligned(to->y, to->row_stride * 4)) return false;
    if (w->format != MG_FORMAT_F32) return x->run_stride == x->run && x->row_stride >= w->n_in;
    if (!is_aligned(x->x, x->row_stride * 4)) return false;
    if (piece_at(x, 0, w->n_in) == w->n_in) return true;
    for (int64_t at = 0, n; at < w->n_in; at += n) {
        n = piece_at(x, at, w->n_in);
        if (n < LEAST_PIECE || n % 4 || x->run % 4 || x->run_stride % 4) return false;
    }
    return true;
}

/* y = or += x w^T over k inputs. */
static mg_status multiply(mg_cuda *cuda, const shape *s, const mg_finish *to, const void *x, const void *w,
                          bool adds)
{
    const float one = 1, beta = adds ? 1.0f : 0.0f;
    mg_fast *fast = cuda->fast;
    way *how;

    MG_RETURN(find_way(&how, fast, s));
    MG_REQUIRE(how->found);
    LT(fast, matmul, fast->handle, fast->op, &one, w, how->w, x, how->x, &beta, to->y, how->y, to->y, how->y,
       &how->algo, fast->workspace, fast->workspace_bytes, cuda->stream);
    return MG_OK;
}

static shape shape_f32(const mg_finish *to, const mg_rows *x, const mg_matrix *w, int64_t n_inputs)
{
    return {w->format, w->n_out, x->n, n_inputs, mg_plain_width(w), x->row_stride, to->row_stride};
}

static mg_status product_f32(mg_cuda *cuda, bool *done, const mg_finish *to, const mg_rows *x,
                             const mg_matrix *w)
{
    const float *plain = (const float *)mg_plain_of(w);
    way *how;

    for (int64_t at = 0, n; at < w->n_in; at += n) { /* all pieces, or none */
        n = piece_at(x, at, w->n_in);
        const shape s = shape_f32(to, x, w, n);
        MG_RETURN(find_way(&how, cuda->fast, &s));
        if (!how->found) return MG_OK;
    }
    for (int64_t at = 0, n; at < w->n_in; at += n) {
        n = piece_at(x, at, w->n_in);
        const shape s = shape_f32(to, x, w, n);
        const float *from = x->x + at / x->run * x->run_stride + at % x->run;
        MG_RETURN(multiply(cuda, &s, to, from, plain + at, at > 0 || to->accumulate));
    }
    *done = true;
    return finish(cuda, to, x->n, w->n_out);
}

/* Of n rows, which stand in scratch. */
static shape shape_half(const mg_finish *to, const mg_matrix *w, int64_t n)
{
    const int64_t width = mg_plain_width(w);

    return {w->format, w->n_out, n, width, width, width, to->row_stride};
}

/* As many rows as scratch holds, rounded. */
static mg_status rows_half(mg_cuda *cuda, const mg_finish *to, const mg_rows *x, const mg_matrix *w,
                           const mg_row_norm *norm)
{
    const shape s = shape_half(to, w, x->n);

    if (w->format == MG_FORMAT_BF16)
        MG_RUN(cuda, round_rows_k<__nv_bfloat16>, (unsigned)x->n, THREADS, 0, (__nv_bfloat16 *)cuda->scratch,
               *x, *norm, (int)w->n_in, (int)s.k);
    else
        MG_RUN(cuda, round_rows_k<__half>, (unsigned)x->n, THREADS, 0, (__half *)cuda->scratch, *x, *norm,
               (int)w->n_in, (int)s.k);
    MG_RETURN(multiply(cuda, &s, to, cuda->scratch, mg_plain_of(w), to->accumulate));
    return finish(cuda, to, x->n, w->n_out);
}

static mg_status product_half(mg_cuda *cuda, bool *done, const mg_finish *to, const mg_rows *x,
                              const mg_matrix *w, const mg_row_norm *norm)
{
    const int64_t held = (int64_t)cuda->scratch_bytes / (mg_plain_width(w) * 2);
    const int64_t at_once = mg_smaller(x->n, held);
    const mg_row_norm none = {};
    way *how;

    MG_REQUIRE(at_once > 0);
    for (int64_t row = 0, n; row < x->n; row += n) { /* all of them, or none */
        n = mg_smaller(at_once, x->n - row);
        const shape s = shape_half(to, w, n);
        MG_RETURN(find_way(&how, cuda->fast, &s));
        if (!how->found) return MG_OK;
    }
    for (int64_t row = 0; row < x->n; row += at_once) {
        mg_rows part = *x;
        mg_finish part_to = *to;
        part.x = x->x + row * x->row_stride;
        part.n = mg_smaller(at_once, x->n - row);
        part_to.y = to->y + row * to->row_stride;
        if (to->kv.k) part_to.kv.row = to->kv.row + row, part_to.kv.pos = to->kv.pos + row;
        MG_RETURN(rows_half(cuda, &part_to, &part, w, norm ? norm : &none));
    }
    *done = true;
    return MG_OK;
}

mg_status mg_fast_product(mg_cuda *cuda, bool *done, const mg_finish *to, const mg_rows *x,
                          const mg_matrix *w, const mg_row_norm *norm)
{
    *done = false;
    if (!takes(to, x, w)) return MG_OK;
    if (w->format != MG_FORMAT_F32) return product_half(cuda, done, to, x, w, norm);
    MG_REQUIRE(!norm);
    return product_f32(cuda, done, to, x, w);
}

/* ---- Opening ---- */

static mg_status set_preference(mg_fast *fast, cublasLtMatmulPreferenceAttributes_t which, uint32_t value)
{
    return check(fast->lt->preference_set_attribute(fast->preference, which, &value, sizeof value),
                 "preference_set_attribute");
}

static mg_status prepare(mg_fast *fast)
{
    const int32_t transposed = CUBLAS_OP_T;

    MG_RETURN(mg_cublaslt_find(&fast->lt));
    LT(fast, create, &fast->handle);
    LT(fast, matmul_desc_create, &fast->op, CUBLAS_COMPUTE_32F, CUDA_R_32F); /* TF32 would say so here */
    LT(fast, matmul_desc_set_attribute, fast->op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
       sizeof transposed);
    LT(fast, preference_create, &fast->preference);
    LT(fast, preference_set_attribute, fast->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
       &fast->workspace_bytes, sizeof fast->workspace_bytes);
    MG_RETURN(set_preference(fast, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                             CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    MG_RETURN(set_preference(fast, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, ALIGNMENT));
    MG_RETURN(set_preference(fast, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, ALIGNMENT));
    MG_RETURN(set_preference(fast, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, ALIGNMENT));
    MG_RETURN(set_preference(fast, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, ALIGNMENT));
    return mg_cuda_alloc(NULL, &fast->workspace, fast->workspace_bytes);
}

mg_status mg_fast_open(mg_cuda *cuda)
{
    cuda->fast = (mg_fast *)calloc(1, sizeof *cuda->fast);
    if (!cuda->fast) return mg_fail(MG_ENOMEM, "cublasLt: %zu bytes", sizeof *cuda->fast);
    cuda->fast->workspace_bytes = cuda->scratch_bytes / 2;
    return prepare(cuda->fast);
}

void mg_fast_close(mg_cuda *cuda)
{
    mg_fast *fast = cuda->fast;

    cuda->fast = NULL;
    if (!fast) return;
    for (int i = 0; i < fast->n_ways; i++) drop(fast, &fast->ways[i]);
    if (fast->preference) (void)fast->lt->preference_destroy(fast->preference);
    if (fast->op) (void)fast->lt->matmul_desc_destroy(fast->op);
    if (fast->handle) (void)fast->lt->destroy(fast->handle);
    if (fast->workspace) (void)cudaFree(fast->workspace);
    free(fast);
}

extern "C" mg_status mg_cuda_fast_version(int *out)
{
    const mg_cublaslt *lt;

    MG_RETURN(mg_cublaslt_find(&lt));
    *out = (int)lt->get_version();
    return MG_OK;
}
