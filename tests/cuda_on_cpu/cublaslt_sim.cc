/* In cuBLASLt's place: column-major products in the order of their stream, W transposed, that sum over
 * DESCENDING inputs, so that no kernel of ours has their bits. What the library forbids ends the process:
 * columns nearer to each other than they are long, an address or a stride that is not aligned as was said,
 * memory that is not the device's or not one block, an algorithm that was chosen for another shape, sums in
 * an order that varies from run to run. CUBLASLT_ON_CPU=none: it knows no way to compute anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cublasLt.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "sim.h"

extern "C" {
#include "cublaslt_library.h"
}

struct cublasLtContext {
    int n_live; /* descriptors */
};

namespace
{

enum : size_t { WORKSPACE_USED = 1 << 16 };

struct layout {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t ld;
};
struct wishes {
    uint64_t workspace;
    uint32_t reductions, align[4]; /* of A, B, C, D */
};
struct operation {
    int32_t compute, scale, transposes_a, transposes_b;
};
/* What an algorithm is for. */
struct chosen_for {
    uint32_t type, align[4], workspace;
    int64_t m, n, k, lda, ldb, ldd;
};
static_assert(sizeof(layout) <= sizeof(cublasLtMatrixLayoutOpaque_t) &&
                  sizeof(wishes) <= sizeof(cublasLtMatmulPreferenceOpaque_t) &&
                  sizeof(operation) <= sizeof(cublasLtMatmulDescOpaque_t),
              "they stand in the library's own structs");

template <class T, class O> T *in(O *opaque)
{
    return reinterpret_cast<T *>(opaque);
}

size_t bytes_of(cudaDataType_t type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

/* CUDA_ON_CPU=count: said when the process ends. */
struct asked {
    long products = 0, shapes = 0; /* products that a graph replays are counted once */
    ~asked()
    {
        if (sim::chosen().counts && products)
            fprintf(stderr, "cuda_on_cpu: cublasLt: %ld products, %ld shapes\n", products, shapes);
    }
};
asked counted;

float value(cudaDataType_t type, const void *p, int64_t i)
{
    if (type == CUDA_R_16BF) return __bfloat162float(static_cast<const __nv_bfloat16 *>(p)[i]);
    if (type == CUDA_R_16F) return __half2float(static_cast<const __half *>(p)[i]);
    return static_cast<const float *>(p)[i];
}

void demand(bool right, const char *what)
{
    if (!right) sim::fail("cublasLt: %s", what);
}

uint64_t hash_of(const chosen_for &c)
{
    const uint64_t word[] = {c.type,
                             static_cast<uint64_t>(c.m),
                             static_cast<uint64_t>(c.n),
                             static_cast<uint64_t>(c.k),
                             static_cast<uint64_t>(c.lda),
                             static_cast<uint64_t>(c.ldb),
                             static_cast<uint64_t>(c.ldd)};
    uint64_t h = 14695981039346656037u;

    for (uint64_t w : word) h = (h ^ w) * 1099511628211u;
    return h;
}

chosen_for shape_of(const operation &op, const layout &a, const layout &b, const layout &d)
{
    demand(op.compute == CUBLAS_COMPUTE_32F && op.scale == CUDA_R_32F, "not sums in fp32");
    demand(op.transposes_a == CUBLAS_OP_T && op.transposes_b == CUBLAS_OP_N, "not the form that is fast");
    demand(a.rows == b.rows && a.columns == d.rows && b.columns == d.columns, "sizes that do not meet");
    for (const layout *l : {&a, &b, &d})
        demand(l->ld >= static_cast<int64_t>(l->rows), "columns that overlap");
    demand(a.type == b.type && d.type == CUDA_R_32F, "types that are not of one product");
    return {a.type,
            {},
            0,
            static_cast<int64_t>(d.rows),
            static_cast<int64_t>(d.columns),
            static_cast<int64_t>(a.rows),
            a.ld,
            b.ld,
            d.ld};
}

bool is_aligned(const void *p, int64_t ld, size_t bytes, uint64_t align)
{
    return reinterpret_cast<uintptr_t>(p) % align == 0 && static_cast<uint64_t>(ld) * bytes % align == 0;
}

void check_block(const char *name, const void *p, const layout &l)
{
    const size_t elements = (l.columns - 1) * static_cast<size_t>(l.ld) + l.rows;
    sim::check_device_range(name, p, elements * bytes_of(l.type));
}

} // namespace

extern "C" {

static size_t get_version(void)
{
    return 130100;
}

static cublasStatus_t create(cublasLtHandle_t *handle)
{
    *handle = new cublasLtContext();
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(cublasLtHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matmul_desc_create(cublasLtMatmulDesc_t *op, cublasComputeType_t compute,
                                         cudaDataType_t scale)
{
    *op = new cublasLtMatmulDescOpaque_t();
    *in<operation>(*op) = {compute, scale, CUBLAS_OP_N, CUBLAS_OP_N};
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matmul_desc_destroy(cublasLtMatmulDesc_t op)
{
    delete op;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matmul_desc_set_attribute(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t which,
                                                const void *from, size_t bytes)
{
    operation *o = in<operation>(op);

    if (bytes != sizeof(int32_t)) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(which == CUBLASLT_MATMUL_DESC_TRANSA ? &o->transposes_a : &o->transposes_b, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matrix_layout_create(cublasLtMatrixLayout_t *out, cudaDataType_t type, uint64_t rows,
                                           uint64_t columns, int64_t ld)
{
    *out = new cublasLtMatrixLayoutOpaque_t();
    *in<layout>(*out) = {type, rows, columns, ld};
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matrix_layout_destroy(cublasLtMatrixLayout_t l)
{
    delete l;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_create(cublasLtMatmulPreference_t *preference)
{
    *preference = new cublasLtMatmulPreferenceOpaque_t();
    *in<wishes>(*preference) = {0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}}; /* its defaults */
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_destroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_set_attribute(cublasLtMatmulPreference_t preference,
                                               cublasLtMatmulPreferenceAttributes_t which, const void *from,
                                               size_t bytes)
{
    wishes *w = in<wishes>(preference);

    if (which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        if (bytes != sizeof w->workspace) return CUBLAS_STATUS_INVALID_VALUE;
        memcpy(&w->workspace, from, bytes);
        return CUBLAS_STATUS_SUCCESS;
    }
    if (bytes != sizeof(uint32_t)) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
               ? &w->reductions
               : &w->align[which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
           from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t algo_get_heuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                                         cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                         cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                                         int n_wanted, cublasLtMatmulHeuristicResult_t *results,
                                         int *n_results)
{
    const wishes &w = *in<wishes>(preference);
    const char *wish = getenv("CUBLASLT_ON_CPU");

    *n_results = 0;
    if (wish && strcmp(wish, "none") == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (n_wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    demand(w.reductions == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, "sums in an order that may vary");
    demand(memcmp(c, d, sizeof *c) == 0, "C that is not D");
    const chosen_for shape = shape_of(*in<operation>(op), *in<layout>(a), *in<layout>(b), *in<layout>(d));
    demand(w.workspace >= WORKSPACE_USED, "no workspace");
    results[0] = {};
    results[0].algo.data[0] = hash_of(shape);
    for (int i = 0; i < 4; i++) results[0].algo.data[1 + i] = w.align[i];
    results[0].workspaceSize = WORKSPACE_USED;
    *n_results = 1;
    counted.shapes++;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void *alpha, const void *a,
                             cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
                             const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                             cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                             void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    const layout la = *in<layout>(a_layout), lb = *in<layout>(b_layout), ld = *in<layout>(d_layout);
    const chosen_for s = shape_of(*in<operation>(op), la, lb, ld);
    const float by = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);

    demand(algo && algo->data[0] == hash_of(s), "an algorithm that was chosen for another shape");
    demand(c == d && c_layout == d_layout, "C that is not D");
    demand(is_aligned(a, la.ld, bytes_of(la.type), algo->data[1]) &&
               is_aligned(b, lb.ld, bytes_of(lb.type), algo->data[2]) &&
               is_aligned(d, ld.ld, 4, algo->data[3]) && is_aligned(d, ld.ld, 4, algo->data[4]),
           "an address or a stride that is not aligned as was said");
    demand(workspace_bytes >= WORKSPACE_USED && reinterpret_cast<uintptr_t>(workspace) % 16 == 0,
           "no workspace");
    sim::check_device_range("cublasLt: workspace", workspace, workspace_bytes);
    check_block("cublasLt: A", a, la);
    check_block("cublasLt: B", b, lb);
    check_block("cublasLt: D", d, ld);
    counted.products++;
    sim::enqueue_item(stream, [=] {
        float *y = static_cast<float *>(d);
        memset(workspace, 0xff, WORKSPACE_USED);
        for (int64_t j = 0; j < s.n; j++)
            for (int64_t i = 0; i < s.m; i++) {
                float sum = 0;
                for (int64_t k = s.k - 1; k >= 0; k--)
                    sum += value(la.type, a, i * la.ld + k) * value(lb.type, b, j * lb.ld + k);
                float *to = y + j * ld.ld + i;
                *to = keep != 0 ? by * sum + keep * *to : by * sum;
            }
        return true;
    });
    return CUBLAS_STATUS_SUCCESS;
}

/* The library that MGDIST_CUBLASLT names, if it does: to see what is said of one that is none. */
mg_status mg_cublaslt_find(const mg_cublaslt **out)
{
    static const mg_cublaslt lt = {get_version,
                                   create,
                                   destroy,
                                   matmul_desc_create,
                                   matmul_desc_destroy,
                                   matmul_desc_set_attribute,
                                   matrix_layout_create,
                                   matrix_layout_destroy,
                                   preference_create,
                                   preference_destroy,
                                   preference_set_attribute,
                                   algo_get_heuristic,
                                   matmul};
    static mg_cublaslt other;
    const char *path = getenv("MGDIST_CUBLASLT");

    *out = path ? &other : &lt;
    return path ? mg_cublaslt_load(&other, path) : MG_OK;
}

} /* extern "C" */
