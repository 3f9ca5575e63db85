/* Opens the CUDA backend: the device, its stream, pinned memory and scratch, and the table of slots. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_codec.cuh"
#include "cuda_fast.cuh"
#include "cuda_load.cuh"
#include "cuda_memory.cuh"
#include "cuda_step.cuh"
#include "cuda_transformer.cuh"
#include "cuda_variants.cuh"

extern "C" {
#include "host_memory.h"
}

enum {
    LEAST_SCRATCH = MG_RING_PIECES * MG_RING_BYTES,
    MOST_SCRATCH = 16 * LEAST_SCRATCH,
};

typedef struct backend {
    mg_ops ops;
    mg_cuda cuda;
    char name[64];
} backend;

static size_t kv_bytes(const mg_ops *ops, const mg_kv *kv)
{
    (void)ops;
    return (size_t)(kv->n_rows * kv->n_heads * kv->T_max * kv->E) *
           mg_dtype_bytes(mg_format_dtype(kv->format));
}

/* The place of a device is its UUID: hosts have GPUs at one PCI address, and parts of a GPU (MIG) have one
 * too. */
static uint64_t place_of(const cudaUUID_t *uuid)
{
    uint64_t place = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < sizeof uuid->bytes; i++)
        place = (place ^ (unsigned char)uuid->bytes[i]) * 1099511628211u;
    return place > INT32_MAX ? place : place + INT32_MAX; /* no rank, which is the place of a host */
}

static mg_status budget(const mg_ops *ops, mg_budget *out)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    size_t available, all;

    MG_CUDA(cudaMemGetInfo(&available, &all));
    *out = (mg_budget){cuda->place, (int64_t)available};
    /* One memory with the host's: files that it keeps there go when the memory is asked for, and CUDA counts
     * them as taken. It knows of no control group, to which some drivers count what a process takes. */
    if (cuda->is_integrated) *out = (mg_budget){0, mg_smaller(mg_host_memory_available(), (int64_t)all)};
    return MG_OK;
}

static void close_backend(mg_ops *ops)
{
    if (!ops) return;
    backend *b = (backend *)ops;
    mg_cuda *cuda = mg_cuda_of(ops);

    if (cuda->stream) (void)cudaStreamSynchronize(cuda->stream);
    if (cuda->copier) (void)cudaStreamSynchronize(cuda->copier);
    mg_cuda_step_forget(ops);
    mg_fast_close(cuda);
    for (int i = 0; i < MG_RING_PIECES; i++) {
        if (cuda->ring[i].done) (void)cudaEventDestroy(cuda->ring[i].done);
        if (cuda->ring[i].pinned) (void)cudaFreeHost(cuda->ring[i].pinned);
    }
    if (cuda->reached) (void)cudaEventDestroy(cuda->reached);
    for (int i = 0; i < MG_FETCH_LANES; i++) {
        if (cuda->lane[i].is_free) (void)cudaEventDestroy(cuda->lane[i].is_free);
        if (cuda->lane[i].is_here) (void)cudaEventDestroy(cuda->lane[i].is_here);
    }
    if (cuda->scratch) (void)cudaFree(cuda->scratch);
    if (cuda->tickets) (void)cudaFree(cuda->tickets);
    if (cuda->copier) (void)cudaStreamDestroy(cuda->copier);
    if (cuda->stream) (void)cudaStreamDestroy(cuda->stream);
    (void)cudaGetLastError();
    free(b);
}

/* Tickets, faults and counts are one block of words, all zero between uses. */
static mg_status take_words(mg_cuda *cuda)
{
    const size_t n = MG_MAX_TICKETS + 64, bytes = n * sizeof *cuda->tickets;

    MG_CUDA(cudaMalloc((void **)&cuda->tickets, bytes));
    cuda->fault = (int32_t *)cuda->tickets + MG_MAX_TICKETS + 16;
    cuda->n_bad = (int32_t *)cuda->tickets + MG_MAX_TICKETS + 32;
    return mg_cuda_check(cudaMemsetAsync(cuda->tickets, 0, bytes, cuda->stream), "cudaMemsetAsync");
}

bool mg_is_told(const mg_cuda *cuda, const void *kernel, cudaFuncAttribute what)
{
    for (int i = 0; i < cuda->n_told; i++)
        if (cuda->told[i].kernel == kernel && cuda->told[i].what == what) return true;
    return false;
}

void mg_note_told(mg_cuda *cuda, const void *kernel, cudaFuncAttribute what)
{
    if (cuda->n_told < MG_MOST_TOLD) cuda->told[cuda->n_told++] = {kernel, what};
}

static mg_status open_device(backend *b)
{
    mg_cuda *cuda = &b->cuda;
    cudaDeviceProp device;
    int n_devices = 0, driver = 0;

    const cudaError_t error = cudaGetDeviceCount(&n_devices);
    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver)
        return mg_fail(MG_EFIT, "cuda: no driver, or one too old for this build; use --device cpu");
    if (error == cudaErrorNoDevice || n_devices == 0)
        return mg_fail(MG_EFIT,
                       "cuda: no GPU that this process may use (CUDA_VISIBLE_DEVICES?); use --device cpu");
    MG_RETURN(mg_cuda_check(error, "cudaGetDeviceCount"));
    if (cuda->settings.device < 0 || cuda->settings.device >= n_devices)
        return mg_fail(MG_EFIT, "cuda: device %d: this process sees %d", cuda->settings.device, n_devices);
    mg_cuda_name_device(cuda->settings.device);
    MG_CUDA(cudaSetDevice(cuda->settings.device));
    MG_CUDA(cudaGetDeviceProperties(&device, cuda->settings.device));
    cuda->is_integrated = device.integrated != 0;
    cuda->n_sms = device.multiProcessorCount;
    cuda->place = place_of(&device.uuid);
    cuda->level = device.major * 10 + device.minor;
    cuda->shared_limit = cuda->shared_bytes = device.sharedMemPerBlockOptin - MG_OWN_SHARED;
    cuda->scratch_bytes = device.totalGlobalMem / 1024 & ~(size_t)(MG_RING_BYTES - 1);
    if (cuda->scratch_bytes < LEAST_SCRATCH) cuda->scratch_bytes = LEAST_SCRATCH;
    if (cuda->scratch_bytes > MOST_SCRATCH) cuda->scratch_bytes = MOST_SCRATCH;
    if (cuda->level < 80)
        return mg_fail(MG_EFIT,
                       "cuda: %s: compute capability %d.%d, at least 8.0 is needed; use --device cpu",
                       device.name, device.major, device.minor);
    if (!mg_kernels_look(&cuda->overlap))
        return mg_fail(
            MG_EFIT,
            "cuda: %s: this program has no kernels of compute capability %d.%d, or the driver is "
            "too old for them: build it with -DMG_CUDA_ARCHITECTURES=%d%s-real, or update the driver",
            device.name, device.major, device.minor, cuda->level, cuda->level == 90 ? "a" : "");
    /* Graphs keep the early start since CUDA 12.3; what an older driver records is not documented. */
    MG_CUDA(cudaDriverGetVersion(&driver));
    cuda->overlap = cuda->overlap && cuda->level >= 90 && driver >= 12030;
    snprintf(b->name, sizeof b->name, "cuda/sm_%d%s", cuda->level,
             cuda->settings.fast_products ? "/fast" : "");
    return MG_OK;
}

static mg_status open_stream(mg_cuda *cuda)
{
    int last, first;

    MG_CUDA(cudaDeviceGetStreamPriorityRange(&last, &first));
    MG_CUDA(cudaStreamCreateWithPriority(&cuda->stream, cudaStreamNonBlocking,
                                         cuda->settings.beside ? last : first));
    return MG_OK;
}

static mg_status take_memory(mg_cuda *cuda)
{
    MG_RETURN(open_stream(cuda));
    MG_CUDA(cudaEventCreateWithFlags(&cuda->reached, cudaEventDisableTiming));
    MG_CUDA(cudaStreamCreateWithFlags(&cuda->copier, cudaStreamNonBlocking));
    for (int i = 0; i < MG_FETCH_LANES; i++) {
        MG_CUDA(cudaEventCreateWithFlags(&cuda->lane[i].is_free, cudaEventDisableTiming));
        MG_CUDA(cudaEventCreateWithFlags(&cuda->lane[i].is_here, cudaEventDisableTiming));
    }
    for (int i = 0; i < MG_RING_PIECES; i++) {
        MG_CUDA(cudaMallocHost((void **)&cuda->ring[i].pinned, MG_RING_BYTES));
        MG_CUDA(cudaEventCreateWithFlags(&cuda->ring[i].done, cudaEventDisableTiming));
    }
    MG_RETURN(mg_cuda_alloc(NULL, (void **)&cuda->scratch, cuda->scratch_bytes));
    MG_RETURN(take_words(cuda));
    return cuda->settings.fast_products ? mg_fast_open(cuda) : MG_OK;
}

static const mg_ops_iface iface = {
    .alloc = mg_cuda_alloc,
    .release = mg_cuda_release,
    .budget = budget,
    .upload = mg_cuda_upload,
    .download = mg_cuda_download,
    .copy = mg_cuda_copy,
    .zero = mg_cuda_zero,
    .matrix_bytes = mg_cuda_matrix_bytes,
    .conv_bytes = mg_cuda_conv_bytes,
    .kv_bytes = kv_bytes,
    .matrix_load = mg_cuda_matrix_load,
    .tensor_load = mg_cuda_tensor_load,
    .conv_load = mg_cuda_conv_load,
    .pin = mg_cuda_pin,
    .unpin = mg_cuda_unpin,
    .fetch = mg_cuda_fetch,
    .fetched = mg_cuda_fetched,
    .tune = mg_cuda_tune,
    .step_begin = mg_cuda_step_begin,
    .step_end = mg_cuda_step_end,
    .step_forget = mg_cuda_step_forget,
    .embed = mg_cuda_embed,
    .layer_norm = mg_cuda_layer_norm,
    .rms_norm = mg_cuda_rms_norm,
    .linear = mg_cuda_linear,
    .add = mg_cuda_add,
    .mul = mg_cuda_mul,
    .kv_write = mg_cuda_kv_write,
    .attention = mg_cuda_attention,
    .gather_ids = mg_cuda_gather_ids,
    .sample = mg_cuda_sample,
    .pad = mg_cuda_pad,
    .conv1d = mg_cuda_conv1d,
    .conv_transpose1d = mg_cuda_conv_transpose1d,
    .lstm = mg_cuda_lstm,
    .nearest_code = mg_cuda_nearest_code,
    .norm_linear = mg_cuda_norm_linear,
    .linear_add = mg_cuda_linear_add,
    .attention_linear = mg_cuda_attention_linear,
    .close = close_backend,
};

mg_status mg_cuda_open(mg_ops **out, const mg_cuda_settings *settings)
{
    mg_status st = MG_OK;
    backend *b = (backend *)calloc(1, sizeof *b);

    *out = NULL;
    if (!b) return mg_fail(MG_ENOMEM, "cuda: %zu bytes", sizeof *b);
    b->cuda.settings = *settings;
    b->ops.iface = &iface;
    b->ops.name = b->name;
    b->ops.space = MG_DEVICE;
    b->ops.hints = mg_hints_of(MG_DEVICE);
    b->ops.ctx = &b->cuda;
    MG_TRY(open_device(b));
    MG_TRY(take_memory(&b->cuda));
    *out = &b->ops;
done:
    if (st != MG_OK) close_backend(&b->ops);
    return st;
}
