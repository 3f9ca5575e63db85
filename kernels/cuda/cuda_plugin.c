/* The plug-in's one door, and what can be asked before a device is opened. */
#include "cuda_plugin.h"

#include <ctype.h>
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "comm_nccl.h"
#include "cuda_read.h"
#include "host_memory.h"

/* No driver that answers: none at all, or a container that was given no more than the host's kernel. */
static mg_status say_no_driver(void)
{
    if (access("/proc/driver/nvidia/version", F_OK) == 0)
        return mg_fail(
            MG_EFIT,
            "cuda: the NVIDIA driver is loaded, but its library libcuda.so.1 is not here: give the container "
            "its GPUs (docker --gpus all, podman --device nvidia.com/gpu=all, apptainer --nv), or use "
            "--device cpu");
    return mg_fail(MG_EFIT, "cuda: no NVIDIA driver; use --device cpu");
}

static mg_status say_no_device(void)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");

    if (!visible)
        return mg_fail(MG_EFIT, "cuda: no GPU that this process may use: give the job or the container one, "
                                "or use --device cpu");
    return mg_fail(
        MG_EFIT,
        "cuda: no GPU that this process may use: CUDA_VISIBLE_DEVICES is \"%s\": give the job GPUs, "
        "or correct it, or use --device cpu",
        visible);
}

/* What to do where the machine is at fault. */
static const char *remedy_of(cudaError_t error)
{
    switch (error) {
    case cudaErrorMemoryAllocation: return "another program has its memory: nvidia-smi shows which";
    case cudaErrorDevicesUnavailable:
        return "another process has it for itself (nvidia-smi -q -d COMPUTE tells its mode): take another "
               "one by CUDA_VISIBLE_DEVICES";
    case cudaErrorSystemNotReady:
        return "the GPUs' switches are not set up: start nvidia-fabricmanager, of the driver's own version";
    case cudaErrorSystemDriverMismatch:
        return "the driver's library is of another version than its kernel module: after an update load the "
               "module anew, or restart the host";
    case cudaErrorCompatNotSupportedOnDevice:
        return "this GPU takes no cuda-compat library: leave it out of LD_LIBRARY_PATH";
    case cudaErrorStubLibrary:
        return "libcuda.so.1 is the toolkit's stub: take its folder out of LD_LIBRARY_PATH";
    case cudaErrorECCUncorrectable: return "its memory has failed: nvidia-smi -q -d ECC tells; reset it";
    default: return "nvidia-smi may tell more, and dmesg (NVRM, Xid)";
    }
}

/* The ways of having no GPU, said apart; `device` is -1 where it is about none of them. */
static mg_status say_why(cudaError_t error, int device)
{
    int driver = 0;
    char which[24] = "";

    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver) {
        if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return say_no_driver();
        return mg_fail(
            MG_EFIT,
            "cuda: the NVIDIA driver is for CUDA %d.%d, this program needs one for %d.%d: update it, or "
            "use --device cpu",
            driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || error == cudaSuccess) return say_no_device();
    if (device >= 0) (void)snprintf(which, sizeof which, "GPU %d: ", device);
    return mg_fail(MG_EFIT, "cuda: %s%s: %s: %s", which, cudaGetErrorName(error), cudaGetErrorString(error),
                   remedy_of(error));
}

static mg_status count(int *n)
{
    *n = 0;
    const cudaError_t error = cudaGetDeviceCount(n);
    if (error != cudaSuccess || *n == 0) {
        *n = 0;
        return say_why(error, -1);
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
    FILE *f = fopen(path, "re");
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
    if (error != cudaSuccess) return say_why(error, device);
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, p.name);
    const unsigned char *u = (const unsigned char *)p.uuid.bytes;
    n = snprintf(out->uuid, sizeof out->uuid, strstr(out->name, " MIG ") ? "MIG-" : "GPU-");
    for (int i = 0; i < 16; i++)
        n += snprintf(out->uuid + n, sizeof out->uuid - (size_t)n,
                      i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
    out->numa_node = numa_node_of(out->pci);
    out->major = p.major, out->minor = p.minor, out->n_sms = p.multiProcessorCount;
    out->total_bytes = (int64_t)(with_free ? total_bytes : p.totalGlobalMem);
    out->shares_host = p.integrated != 0;
    out->free_bytes = with_free ? (int64_t)free_bytes : -1;
    if (!with_free || !out->shares_host) return MG_OK;
    const int64_t of_host = mg_host_memory_available(); /* as the plan counts it */
    out->free_bytes = of_host < out->total_bytes ? of_host : out->total_bytes;
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

/* Waits for a copy no longer than one can take: what is lost on the way may never end. */
static bool ends(cudaStream_t stream)
{
    enum { LOOKS = 5000 };
    const struct timespec pause = {0, 1000000};
    cudaError_t error = cudaErrorNotReady;

    for (int i = 0; i < LOOKS && (error = cudaStreamQuery(stream)) == cudaErrorNotReady; i++)
        nanosleep(&pause, NULL);
    return error == cudaSuccess;
}

enum { PEER_BYTES = 1 << 20 };

/* Blocks of memory on both devices: zeros on `to`, `text` on `from`, which may write to it. */
typedef struct peers {
    void *sent, *got;
    cudaStream_t stream;
} peers;

static bool open_peers(peers *p, int from, int to, const unsigned char *text)
{
    return cudaSetDevice(to) == cudaSuccess && cudaMalloc(&p->got, PEER_BYTES) == cudaSuccess &&
           cudaMemset(p->got, 0, PEER_BYTES) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess &&
           cudaSetDevice(from) == cudaSuccess && cudaMalloc(&p->sent, PEER_BYTES) == cudaSuccess &&
           cudaMemcpy(p->sent, text, PEER_BYTES, cudaMemcpyHostToDevice) == cudaSuccess &&
           cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking) == cudaSuccess &&
           cudaDeviceEnablePeerAccess(to, 0) == cudaSuccess;
}

static mg_status try_peer(int from, int to, bool *arrives, bool *is_stuck)
{
    unsigned char *text = malloc(2 * (size_t)PEER_BYTES), *came = text ? text + PEER_BYTES : NULL;
    peers p = {0};

    *is_stuck = false;
    if (!text) return mg_fail(MG_ENOMEM, "cuda: %d bytes", 2 * PEER_BYTES);
    for (int i = 0; i < PEER_BYTES; i++) text[i] = (unsigned char)(i * 7 + i / 256 + 1);
    const bool can = open_peers(&p, from, to, text);
    if (can && cudaMemcpyPeerAsync(p.got, to, p.sent, from, PEER_BYTES, p.stream) == cudaSuccess)
        *is_stuck = !ends(p.stream);
    *arrives =
        can && !*is_stuck && cudaSetDevice(to) == cudaSuccess &&
        cudaMemcpy(came, p.got, PEER_BYTES, cudaMemcpyDeviceToHost) == cudaSuccess &&
        memcmp(came, text, PEER_BYTES) == 0; /* read by its owner: where it was sent from it may look right */
    if (!*is_stuck) {                        /* else each of these would wait for it */
        (void)cudaSetDevice(from);
        if (can) (void)cudaDeviceDisablePeerAccess(to); /* a device takes only so many */
        if (p.stream) (void)cudaStreamDestroy(p.stream);
        if (p.sent) (void)cudaFree(p.sent);
        if (p.got) (void)cudaFree(p.got);
    }
    (void)cudaGetLastError();
    free(text);
    return can ? MG_OK : mg_fail(MG_EFIT, "cuda: GPUs %d and %d cannot be tried", from, to);
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
    .try_peer = try_peer,
    .fast_version = mg_cuda_fast_version,
    .read = mg_cuda_read,
    .link = mg_cuda_link,
};

__attribute__((visibility("default"))) const mg_cuda_plugin *mg_cuda_plugin_table(void);

const mg_cuda_plugin *mg_cuda_plugin_table(void)
{
    return &table;
}
