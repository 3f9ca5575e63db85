#include "nccl_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

/* Where each function goes; a name that the library lacks is told. */
static mg_status fill(mg_nccl *nccl, void *library, const char *path)
{
    const struct {
        const char *name;
        void **slot;
    } wanted[] = {
        {"ncclGetVersion", (void **)&nccl->get_version},
        {"ncclGetUniqueId", (void **)&nccl->get_unique_id},
        {"ncclCommInitRankConfig", (void **)&nccl->comm_init_rank_config},
        {"ncclCommGetAsyncError", (void **)&nccl->comm_get_async_error},
        {"ncclCommAbort", (void **)&nccl->comm_abort},
        {"ncclCommDestroy", (void **)&nccl->comm_destroy},
        {"ncclAllGather", (void **)&nccl->all_gather},
        {"ncclAllReduce", (void **)&nccl->all_reduce},
        {"ncclBroadcast", (void **)&nccl->broadcast},
        {"ncclGetErrorString", (void **)&nccl->get_error_string},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].slot = dlsym(library, wanted[i].name);
        if (!*wanted[i].slot)
            return mg_fail(MG_EFIT, "nccl: %s: has no %s: NCCL 2.14 or later is needed", path,
                           wanted[i].name);
    }
    return MG_OK;
}

mg_status mg_nccl_find(const mg_nccl **out)
{
    static mg_nccl nccl;
    static bool found;
    const char *path = getenv("MGDIST_NCCL");

    *out = &nccl;
    if (found) return MG_OK;
    if (!path || !*path) path = "libnccl.so.2";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return mg_fail(MG_EFIT, "nccl: %s: install NCCL, name its libnccl.so.2 in MGDIST_NCCL, or use --tp 1",
                       dlerror());
    MG_RETURN(fill(&nccl, library, path));
    found = true;
    return MG_OK;
}
