/* The plug-in's one door, and what can be asked before a device is opened. */
#include "cuda_plugin.h"

#include <ctype.h>
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

#include "comm_nccl.h"
#include "cuda_read.h"

/* The ways of having no GPU, said apart. */
static mg_status say_why(cudaError_t error)
{
    int driver = 0;

    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver) {
        if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
            return mg_fail(MG_EFIT, "cuda: no NVIDIA driver; use --device cpu");
        return mg_fail(
            MG_EFIT,
            "cuda: the NVIDIA driver is for CUDA %d.%d, this program needs one for %d.%d: update it, or "
            "use --device cpu",
            driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return mg_fail(MG_EFIT, "cuda: no GPU that this process may use (CUDA_VISIBLE_DEVICES?); "
                                "use --device cpu");
    return mg_fail(MG_EFIT, "cuda: %s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
}

static mg_status count(int *n)
{
    *n = 0;
    const cudaError_t error = cudaGetDeviceCount(n);
    if (error != cudaSuccess || *n == 0) {
        *n = 0;
        return say_why(error);
    }
    return MG_OK;
}

/* From the kernel's own table, since CUDA does not tell. */
static int numa_node_of(const char *pci)
{
    char path[128], address[32];
    int node = -1;

    snprintf(address, sizeof address, "%s", pci);
    for (char *c = address; *c; c++) *c = (char)tolower((unsigned char)*c);
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", address);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    if (fscanf(f, "%d", &node) != 1) node = -1;
    fclose(f);
    return node;
}

static mg_status describe(int device, bool with_free, mg_cuda_device *out)
{
    struct cudaDeviceProp p;
    size_t free_bytes = 0, total_bytes = 0;
    int n = 0;

    *out = (mg_cuda_device){.numa_node = -1};
    cudaError_t error = cudaGetDeviceProperties(&p, device);
    if (error == cudaSuccess) error = cudaDeviceGetPCIBusId(out->pci, (int)sizeof out->pci, device);
    if (error == cudaSuccess && with_free) error = cudaSetDevice(device);
    if (error == cudaSuccess && with_free) error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (error != cudaSuccess) return say_why(error);
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, p.name);
    const unsigned char *u = (const unsigned char *)p.uuid.bytes;
    n = snprintf(out->uuid, sizeof out->uuid, "GPU-");
    for (int i = 0; i < 16; i++)
        n += snprintf(out->uuid + n, sizeof out->uuid - (size_t)n,
                      i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
    out->numa_node = numa_node_of(out->pci);
    out->major = p.major, out->minor = p.minor, out->n_sms = p.multiProcessorCount;
    out->total_bytes = (int64_t)(with_free ? total_bytes : p.totalGlobalMem);
    out->free_bytes = with_free ? (int64_t)free_bytes : -1;
    return MG_OK;
}

static void versions(mg_cuda_versions *out)
{
    *out = (mg_cuda_versions){0};
    if (cudaDriverGetVersion(&out->driver) != cudaSuccess) out->driver = 0;
    if (cudaRuntimeGetVersion(&out->runtime) != cudaSuccess) out->runtime = 0;
    out->nccl = mg_comm_nccl_version();
}

static bool can_peer(int a, int b)
{
    int can = 0;

    return cudaDeviceCanAccessPeer(&can, a, b) == cudaSuccess && can;
}

static const mg_cuda_plugin table = {
    .version = MG_VERSION,
    .count = count,
    .describe = describe,
    .versions = versions,
    .open = mg_cuda_open,
    .open_group = mg_comm_nccl_open,
    .check_group = mg_comm_nccl_check,
    .can_peer = can_peer,
    .fast_version = mg_cuda_fast_version,
    .read = mg_cuda_read,
    .link = mg_cuda_link,
};

__attribute__((visibility("default"))) const mg_cuda_plugin *mg_cuda_plugin_table(void);

const mg_cuda_plugin *mg_cuda_plugin_table(void)
{
    return &table;
}
