#include <stdbool.h>
#include <stdlib.h>

#include "cublaslt_library.h"

mg_status mg_cublaslt_find(const mg_cublaslt **out)
{
    static mg_cublaslt lt;
    static bool found;
    const char *path = getenv("MGDIST_CUBLASLT");

    *out = &lt;
    if (found) return MG_OK;
    MG_RETURN(mg_cublaslt_load(&lt, path && *path ? path : NULL));
    found = true;
    return MG_OK;
}
