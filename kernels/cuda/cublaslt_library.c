#include "cublaslt_library.h"

#include <dlfcn.h>

enum { OLDEST = 120000 }; /* of CUDA 12 */

/* Where each function goes; a name that the library lacks is told. */
static mg_status fill(mg_cublaslt *lt, void *library, const char *path)
{
    const struct {
        const char *name;
        void **slot;
    } wanted[] = {
        {"cublasLtGetVersion", (void **)&lt->get_version},
        {"cublasLtCreate", (void **)&lt->create},
        {"cublasLtDestroy", (void **)&lt->destroy},
        {"cublasLtMatmulDescCreate", (void **)&lt->matmul_desc_create},
        {"cublasLtMatmulDescDestroy", (void **)&lt->matmul_desc_destroy},
        {"cublasLtMatmulDescSetAttribute", (void **)&lt->matmul_desc_set_attribute},
        {"cublasLtMatrixLayoutCreate", (void **)&lt->matrix_layout_create},
        {"cublasLtMatrixLayoutDestroy", (void **)&lt->matrix_layout_destroy},
        {"cublasLtMatmulPreferenceCreate", (void **)&lt->preference_create},
        {"cublasLtMatmulPreferenceDestroy", (void **)&lt->preference_destroy},
        {"cublasLtMatmulPreferenceSetAttribute", (void **)&lt->preference_set_attribute},
        {"cublasLtMatmulAlgoGetHeuristic", (void **)&lt->algo_get_heuristic},
        {"cublasLtMatmul", (void **)&lt->matmul},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].slot = dlsym(library, wanted[i].name);
        if (!*wanted[i].slot)
            return mg_fail(MG_EFIT, "cublasLt: %s: has no %s: cuBLAS 12 or later is needed for --gemm fast",
                           path, wanted[i].name);
    }
    const size_t version = lt->get_version();
    if (version < OLDEST)
        return mg_fail(MG_EFIT, "cublasLt: %s: version %zu.%zu: cuBLAS 12 or later is needed for --gemm fast",
                       path, version / 10000, version % 10000 / 100);
    return MG_OK;
}

mg_status mg_cublaslt_load(mg_cublaslt *out, const char *path)
{
    const char *const usual[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
    void *library = dlopen(path ? path : usual[0], RTLD_NOW | RTLD_LOCAL);
    const char *found = path ? path : usual[0];

    if (!library && !path) library = dlopen(found = usual[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return mg_fail(MG_EFIT,
                       "cublasLt: %s: install cuBLAS, name its libcublasLt.so.13 in MGDIST_CUBLASLT, or "
                       "leave out --gemm fast",
                       dlerror());
    return fill(out, library, found);
}
