/* cuBLASLt's functions, from a library that is opened when `--gemm fast` asks for it: another run does not
 * map its 500 MB. */
#ifndef MG_CUBLASLT_LIBRARY_H
#define MG_CUBLASLT_LIBRARY_H

#include <cublasLt.h>
#include <cuda_runtime.h>

#include "status.h"

/* Named as in cublasLt.h. */
typedef struct mg_cublaslt {
    size_t (*get_version)(void);
    cublasStatus_t (*create)(cublasLtHandle_t *handle);
    cublasStatus_t (*destroy)(cublasLtHandle_t handle);
    cublasStatus_t (*matmul_desc_create)(cublasLtMatmulDesc_t *op, cublasComputeType_t compute,
                                         cudaDataType_t scale);
    cublasStatus_t (*matmul_desc_destroy)(cublasLtMatmulDesc_t op);
    cublasStatus_t (*matmul_desc_set_attribute)(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t which,
                                                const void *value, size_t bytes);
    cublasStatus_t (*matrix_layout_create)(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows,
                                           uint64_t columns, int64_t ld);
    cublasStatus_t (*matrix_layout_destroy)(cublasLtMatrixLayout_t layout);
    cublasStatus_t (*preference_create)(cublasLtMatmulPreference_t *preference);
    cublasStatus_t (*preference_destroy)(cublasLtMatmulPreference_t preference);
    cublasStatus_t (*preference_set_attribute)(cublasLtMatmulPreference_t preference,
                                               cublasLtMatmulPreferenceAttributes_t which, const void *value,
                                               size_t bytes);
    cublasStatus_t (*algo_get_heuristic)(cublasLtHandle_t handle, cublasLtMatmulDesc_t op,
                                         cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                         cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                         cublasLtMatmulPreference_t preference, int n_wanted,
                                         cublasLtMatmulHeuristicResult_t *results, int *n_results);
    cublasStatus_t (*matmul)(cublasLtHandle_t handle, cublasLtMatmulDesc_t op, const void *alpha,
                             const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                             cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                             cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                             const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                             cudaStream_t stream);
} mg_cublaslt;

/* Fills the table from the library at `path`; NULL: libcublasLt.so.13, then .12, by the usual ways. MG_EFIT
 * if there is none, or one that lacks something. */
mg_status mg_cublaslt_load(mg_cublaslt *out, const char *path);

/* The one of this process: the file that MGDIST_CUBLASLT names, or the usual ones. */
mg_status mg_cublaslt_find(const mg_cublaslt **out);

#endif
