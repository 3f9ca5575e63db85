/* The device that the fixture shows, its options, and the words for errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "block.h"

namespace sim
{

static options parse()
{
    options o;
    const char *text = getenv("CUDA_ON_CPU");
    std::vector<char> copy(text ? text : "", (text ? text : "") + strlen(text ? text : "") + 1);
    char *rest = nullptr;

    for (char *w = strtok_r(copy.data(), ",", &rest); w; w = strtok_r(nullptr, ",", &rest)) {
        if (strcmp(w, "asc") == 0)
            o.threads = options::ascending;
        else if (strcmp(w, "desc") == 0)
            o.threads = options::descending, o.blocks_descending = true;
        else if (sscanf(w, "random:%u", &o.seed) == 1)
            o.threads = options::shuffled;
        else if (strcmp(w, "eager") == 0)
            o.eager = true, o.guarded = false;
        else if (strcmp(w, "late") == 0)
            o.eager = false, o.guarded = true;
        else if (strcmp(w, "hasty") == 0)
            o.hasty = true;
        else if (strcmp(w, "early") == 0)
            o.early = true;
        else if (strcmp(w, "hangs") == 0)
            o.hangs = true;
        else if (strcmp(w, "idle") == 0)
            o.idle = true;
        else if (strcmp(w, "lossy") == 0)
            o.lossy = true;
        else if (strcmp(w, "integrated") == 0)
            o.integrated = true;
        else if (sscanf(w, "error=%d", &o.error) == 1 || sscanf(w, "old=%d", &o.old) == 1)
            continue;
        else if (strcmp(w, "count") == 0)
            o.counts = true;
        else if (sscanf(w, "devices=%d", &o.n_devices) == 1)
            continue;
        else if (sscanf(w, "patience=%lf", &o.patience_s) == 1)
            continue;
        else if (sscanf(w, "graphs=%d", &o.most_graphs) == 1 || sscanf(w, "host=%d", &o.host) == 1)
            continue;
        else if (sscanf(w, "mute=%63[^:]:%d", o.mute_file, &o.mute_line) == 2)
            continue;
        else if (sscanf(w, "part=%d", &o.part) == 1)
            continue;
        else if (sscanf(w, "kinds=%d", &o.n_kinds) == 1 || sscanf(w, "memory=%d", &o.memory_mb) == 1 ||
                 sscanf(w, "pinned=%d", &o.pinned_mb) == 1 || sscanf(w, "shared=%d", &o.shared_kb) == 1)
            continue;
        else if (sscanf(w, "driver=%d", &o.driver) == 1 || sscanf(w, "runtime=%d", &o.runtime) == 1 ||
                 sscanf(w, "falls=%ld", &o.falls_at) == 1 || sscanf(w, "clock=%d", &o.clock) == 1 ||
                 sscanf(w, "sms=%d", &o.n_sms) == 1)
            continue;
        else
            fail("CUDA_ON_CPU: %s: must be asc, desc, random:N, late, eager, hasty, early, count, devices=N, "
                 "part=N, kinds=N, memory=MB, pinned=MB, shared=KB, sms=N, driver=VERSION, runtime=VERSION, "
                 "falls=N, clock=SEED, patience=SECONDS, graphs=N, host=N, error=N, old=N, hangs, idle, "
                 "lossy, integrated or mute=FILE:LINE",
                 w);
    }
    return o;
}

const options &chosen()
{
    static const options o = parse();
    return o;
}

/* Warps among themselves, and lanes within a warp, so that a warp keeps one word of the bitmaps. */
static std::vector<uint16_t> make_order(unsigned n)
{
    std::vector<uint16_t> order(n);
    const unsigned n_warps = (n + WARP - 1) / WARP;
    std::mt19937 random(chosen().seed);
    std::vector<unsigned> warps(n_warps);

    for (unsigned i = 0; i < n; i++) order[i] = static_cast<uint16_t>(i);
    if (chosen().threads == options::ascending) return order;
    if (chosen().threads == options::descending) {
        std::reverse(order.begin(), order.end());
        if (n % WARP == 0) return order;
        for (unsigned i = 0; i < n; i++)
            order[i] = static_cast<uint16_t>(i); /* a part of a warp stays last */
        return order;
    }
    if (n % WARP != 0) n_warps > 1 ? (void)0 : std::shuffle(order.begin(), order.end(), random);
    if (n % WARP != 0) return order;
    for (unsigned w = 0; w < n_warps; w++) warps[w] = w;
    std::shuffle(warps.begin(), warps.end(), random);
    for (unsigned w = 0; w < n_warps; w++) {
        for (unsigned l = 0; l < WARP; l++) order[w * WARP + l] = static_cast<uint16_t>(warps[w] * WARP + l);
        std::shuffle(order.begin() + w * WARP, order.begin() + (w + 1) * WARP, random);
    }
    return order;
}

const uint16_t *slots_of(unsigned n)
{
    static std::vector<uint16_t> *orders = new std::vector<uint16_t>[MAX_THREADS + 1];

    if (orders[n].empty()) orders[n] = make_order(n);
    return orders[n].data();
}

std::recursive_mutex &device_lock()
{
    static std::recursive_mutex *lock = new std::recursive_mutex;
    return *lock;
}

static thread_local cudaError_t last_error = cudaSuccess;

void set_error(cudaError_t error)
{
    last_error = error;
}

/* The devices that CUDA_VISIBLE_DEVICES leaves, by their numbers in the machine. */
static const std::vector<int> &visible()
{
    static std::vector<int> *list = nullptr;

    if (list) return *list;
    list = new std::vector<int>;
    const char *wish = getenv("CUDA_VISIBLE_DEVICES");
    if (!wish) {
        for (int i = 0; i < chosen().n_devices; i++) list->push_back(i);
        return *list;
    }
    for (const char *at = wish; *at;) {
        char *end;
        const long i = strtol(at, &end, 10);
        if (end == at || i < 0 || i >= chosen().n_devices) break;
        list->push_back(static_cast<int>(i));
        at = *end == ',' ? end + 1 : end;
    }
    return *list;
}

static thread_local int current_device; /* as CUDA's: each thread begins with the first */

int device_of_thread()
{
    return current_device;
}

/* Where a machine's fault is met: by who makes a context, by who wants code for the device, or by all. */
static cudaError_t error_at(bool context, bool code)
{
    const cudaError_t e = static_cast<cudaError_t>(chosen().error);
    const bool of_context = e == cudaErrorDevicesUnavailable || e == cudaErrorMemoryAllocation,
               of_code = e == cudaErrorNoKernelImageForDevice;

    return of_context == context && of_code == code ? e : cudaSuccess;
}

cudaError_t image_error()
{
    return error_at(false, true);
}

} // namespace sim

using namespace sim;

enum { L2_BYTES = 3 << 20 };

extern "C" {

const char *cudaGetErrorName(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    case cudaErrorSystemNotReady: return "cudaErrorSystemNotReady";
    case cudaErrorSystemDriverMismatch: return "cudaErrorSystemDriverMismatch";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorPeerAccessAlreadyEnabled: return "cudaErrorPeerAccessAlreadyEnabled";
    default: return "cudaErrorUnknown";
    }
}

const char *cudaGetErrorString(cudaError_t e)
{
    return cudaGetErrorName(e);
}

cudaError_t cudaPeekAtLastError(void)
{
    return has_fallen() ? cudaErrorLaunchFailure : last_error;
}

cudaError_t cudaGetLastError(void)
{
    if (has_fallen()) return cudaErrorLaunchFailure;
    const cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    return *version = chosen().driver, cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version)
{
    return *version = chosen().runtime, cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 0;
    while (chosen().hangs) pause();
    if (chosen().driver / 1000 < chosen().runtime / 1000) return cudaErrorInsufficientDriver;
    if (error_at(false, false) != cudaSuccess) return error_at(false, false);
    *n = static_cast<int>(visible().size());
    return *n > 0 ? cudaSuccess : cudaErrorNoDevice;
}

/* A device that has fallen may take every call with it. */
cudaError_t cudaGetDevice(int *device)
{
    if (has_fallen()) return cudaErrorLaunchFailure;
    return *device = current_device, cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (has_fallen()) return cudaErrorLaunchFailure;
    if (device < 0 || device >= static_cast<int>(visible().size())) return cudaErrorInvalidDevice;
    current_device = device;
    return error_at(true, false);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    if (device < 0 || device >= static_cast<int>(visible().size())) return cudaErrorInvalidDevice;
    const int number = visible()[static_cast<size_t>(device)];
    *p = cudaDeviceProp();
    snprintf(p->name, sizeof p->name, "CUDA on CPU");
    if (number % chosen().n_kinds)
        snprintf(p->name, sizeof p->name, "CUDA on CPU, kind %d", number % chosen().n_kinds);
    if (chosen().part) snprintf(p->name, sizeof p->name, "CUDA on CPU MIG 1g.5gb");
    snprintf(p->uuid.bytes, sizeof p->uuid.bytes, "cuda-on-cpu-%02d", (chosen().host * 8 + number) % 100);
    p->uuid.bytes[sizeof p->uuid.bytes - 1] = static_cast<char>(chosen().part);
    cudaMemGetInfo(&p->totalGlobalMem, &p->totalGlobalMem);
    cudaDeviceGetAttribute(&p->multiProcessorCount, cudaDevAttrMultiProcessorCount, device);
    p->sharedMemPerBlock = 48 * 1024, p->sharedMemPerBlockOptin = shared_bytes_of_block();
    p->sharedMemPerMultiprocessor = p->sharedMemPerBlockOptin + 1024;
    p->regsPerBlock = 65536, p->warpSize = 32;
    p->maxThreadsPerBlock = 1024, p->maxThreadsPerMultiProcessor = 2048;
    p->major = 9, p->pciBusID = 1 + number;
    if (number == chosen().old) p->major = 7, p->minor = 5;
    p->l2CacheSize = L2_BYTES;
    p->integrated = chosen().integrated;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int device)
{
    if (device < 0 || device >= static_cast<int>(visible().size())) return cudaErrorInvalidDevice;
    switch (attr) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMultiProcessorCount: *value = chosen().n_sms; break;
    case cudaDevAttrL2CacheSize: *value = L2_BYTES; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrIntegrated: *value = chosen().integrated; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(shared_bytes_of_block()) + 1024;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(shared_bytes_of_block()); break;
    case cudaDevAttrPciBusId: *value = 1 + visible()[static_cast<size_t>(device)]; break;
    default: *value = 0;
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int n, int device)
{
    if (has_fallen()) return cudaErrorLaunchFailure;
    if (device < 0 || device >= static_cast<int>(visible().size())) return cudaErrorInvalidDevice;
    snprintf(id, static_cast<size_t>(n), "0000:%02X:00.0", 1 + visible()[static_cast<size_t>(device)]);
    return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
    *can = device != peer;
    return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int, unsigned)
{
    return cudaSuccess;
}

cudaError_t cudaDeviceDisablePeerAccess(int)
{
    return cudaSuccess;
}

cudaError_t cudaDeviceGetP2PAttribute(int *value, cudaDeviceP2PAttr, int, int)
{
    return *value = 1, cudaSuccess;
}

} /* extern "C" */
