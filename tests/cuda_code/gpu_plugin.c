/* mg_cuda_open of the plug-in, for the tests that are built again for a machine with a GPU. */
#include <dlfcn.h>

#include "cuda_plugin.h"

mg_status mg_cuda_open(mg_ops **out, const mg_cuda_settings *settings)
{
    void *library = dlopen(MG_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    mg_cuda_plugin_fn *table = NULL;

    if (!library) return mg_fail(MG_EFIT, "%s", dlerror());
    *(void **)&table = dlsym(library, MG_CUDA_PLUGIN_SYMBOL);
    return table ? table()->open(out, settings) : mg_fail(MG_EFIT, "%s: %s", MG_PLUGIN, dlerror());
}
