#include <stdbool.h>
#include <stdlib.h>

#include "cublaslt_library.h"

mg_status mg_cublaslt_find(const mg_cublaslt **out)
{
    static mg_cublaslt lt;
    static bool found;

    *out = &lt;
    if (found) return MG_OK;
    MG_RETURN(mg_cublaslt_load(&lt, getenv("MGDIST_CUBLASLT")));
    found = true;
    return MG_OK;
}
