/* In the place of cuda_fast.cu where the toolkit has no cublasLt.h. */
#include "cuda_fast.cuh"

static mg_status say_none(void)
{
    return mg_fail(MG_EFIT, "option --gemm: fast: this program was built without cublasLt.h");
}

mg_status mg_fast_open(mg_cuda *cuda)
{
    (void)cuda;
    return say_none();
}

void mg_fast_close(mg_cuda *cuda)
{
    (void)cuda;
}

mg_status mg_fast_product(mg_cuda *cuda, bool *done, const mg_finish *to, const mg_rows *x,
                          const mg_matrix *w, const mg_row_norm *norm)
{
    (void)cuda, (void)to, (void)x, (void)w, (void)norm;
    *done = false;
    return MG_OK;
}

extern "C" mg_status mg_cuda_fast_version(int *out)
{
    *out = 0;
    return say_none();
}
