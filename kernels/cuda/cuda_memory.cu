/* Memory, and the ways in and out of it. What goes up passes through a ring of pinned pieces: the caller has
 * its bytes back at once, and the copy takes its place in the stream. */
#include "cuda_memory.cuh"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What a fault is said of: behind one CUDA may answer no question, so it is known before. The calling
 * thread's device, and addresses on the bus by their numbers. */
enum { MOST_DEVICES = 64, ADDRESS = 32 };
static thread_local int device_here = -1;
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;
static char addresses[MOST_DEVICES][ADDRESS];

void mg_cuda_name_device(int device)
{
    char address[ADDRESS] = "";

    device_here = device;
    if (device >= MOST_DEVICES) return;
    if (cudaDeviceGetPCIBusId(address, sizeof address, device) != cudaSuccess) {
        (void)cudaGetLastError(); /* else the next launch has it */
        return;
    }
    (void)pthread_mutex_lock(&naming);
    memcpy(addresses[device], address, sizeof address);
    (void)pthread_mutex_unlock(&naming);
}

mg_cuda *mg_cuda_of(const mg_ops *ops)
{
    mg_cuda *cuda = (mg_cuda *)ops->ctx;
    int now;

    device_here = cuda->settings.device;
    if (cudaGetDevice(&now) != cudaSuccess || now != cuda->settings.device)
        (void)cudaSetDevice(cuda->settings.device); /* what fails here fails again in what follows */
    return cuda;
}

extern "C" mg_status mg_cuda_failed(const char *what, const char *why)
{
    char host[64] = "", address[ADDRESS] = "";

    (void)cudaGetLastError();
    (void)gethostname(host, sizeof host - 1);
    (void)pthread_mutex_lock(&naming);
    if (device_here >= 0 && device_here < MOST_DEVICES)
        memcpy(address, addresses[device_here], sizeof address);
    (void)pthread_mutex_unlock(&naming);
    return mg_fail(MG_EDEVICE, "cuda: GPU %d (host %s, %s): %s: %s", device_here, host,
                   address[0] ? address : "?", what, why);
}

mg_status mg_cuda_check(cudaError_t error, const char *what)
{
    const char *why = cudaGetErrorString(error);

    if (error == cudaSuccess) return MG_OK;
    (void)cudaGetLastError(); /* it has been said now */
    if (error == cudaErrorMemoryAllocation) return mg_fail(MG_EFIT, "cuda: %s: %s", what, why);
    return mg_cuda_failed(what, why);
}

mg_status mg_cuda_alloc(const mg_ops *ops, void **out, size_t bytes)
{
    size_t available = 0, all = 0;

    if (ops) (void)mg_cuda_of(ops);
    *out = NULL;
    const cudaError_t error = cudaMalloc(out, bytes ? bytes : 1);
    if (error != cudaErrorMemoryAllocation) return mg_cuda_check(error, "cudaMalloc");
    (void)cudaGetLastError();
    *out = NULL;
    if (cudaMemGetInfo(&available, &all) != cudaSuccess) available = 0;
    return mg_fail(MG_EFIT, "cuda: %zu MiB of device memory: %zu of %zu MiB are free", bytes >> 20,
                   available >> 20, all >> 20);
}

void mg_cuda_release(const mg_ops *ops, void *block, size_t bytes)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    (void)bytes;
    if (!block) return;
    (void)mg_cuda_wait(cuda); /* not for ever: a sum that a lost rank will never bring is given up */
    (void)cudaFree(block);
}

/* Wait for `event`: first by looking again and again, then with pauses, so that a wait costs the host little.
 */
static mg_status wait_for(mg_cuda *cuda, cudaEvent_t event)
{
    const struct timespec pause = {0, 20000};

    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int n = 0;; n++) {
        const cudaError_t error = cudaEventQuery(event);
        if (error == cudaSuccess) return MG_OK;
        if (error != cudaErrorNotReady) return mg_cuda_check(error, "waiting for the device");
        clock_gettime(CLOCK_MONOTONIC, &now);
        const double waited_s =
            (double)(now.tv_sec - begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - begin.tv_nsec);
        if (cuda->settings.check) MG_RETURN(cuda->settings.check(cuda->settings.check_arg, waited_s));
        if (n > 200) nanosleep(&pause, NULL);
    }
}

mg_status mg_cuda_wait(mg_cuda *cuda)
{
    MG_CUDA(cudaEventRecord(cuda->reached, cuda->stream));
    return wait_for(cuda, cuda->reached);
}

mg_status mg_ring_take(mg_cuda *cuda, mg_ring_piece **out)
{
    mg_ring_piece *piece = &cuda->ring[cuda->next_piece];

    if (piece->in_flight) MG_RETURN(wait_for(cuda, piece->done));
    piece->in_flight = false;
    cuda->next_piece = (cuda->next_piece + 1) % MG_RING_PIECES;
    *out = piece;
    return MG_OK;
}

mg_status mg_ring_send(mg_cuda *cuda, mg_ring_piece *piece, void *dst, size_t bytes)
{
    MG_CUDA(cudaMemcpyAsync(dst, piece->pinned, bytes, cudaMemcpyHostToDevice, cuda->stream));
    MG_CUDA(cudaEventRecord(piece->done, cuda->stream));
    piece->in_flight = true;
    return MG_OK;
}

mg_status mg_cuda_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    mg_ring_piece *piece;

    for (size_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < MG_RING_BYTES ? bytes - at : (size_t)MG_RING_BYTES;
        MG_RETURN(mg_ring_take(cuda, &piece));
        memcpy(piece->pinned, (const char *)src_host + at, n);
        MG_RETURN(mg_ring_send(cuda, piece, (char *)dst + at, n));
    }
    return MG_OK;
}

static mg_status report_fault(const int32_t *fault)
{
    switch (fault[0]) {
    case MG_FAULT_NONE: return MG_OK;
    case MG_FAULT_TOKEN: return mg_fail(MG_EBUG, "embed: token %d: not in the table", (int)fault[1]);
    case MG_FAULT_POSITION: return mg_fail(MG_EBUG, "embed: position %d: not in the table", (int)fault[1]);
    case MG_FAULT_CACHE: return mg_fail(MG_EBUG, "kv_write: position %d: outside the cache", (int)fault[1]);
    case MG_FAULT_KEYS: return mg_fail(MG_EBUG, "attention: %d keys: outside the cache", (int)fault[1]);
    case MG_FAULT_CELL: return mg_fail(MG_EBUG, "gather_ids: cell %d: outside the grid", (int)fault[1]);
    case MG_FAULT_DRAW:
        return mg_fail(MG_EBUG,
                       "sample: cell %d: it, or what it is drawn from, is outside the grid or the logits",
                       (int)fault[1]);
    default: return mg_fail(MG_EBUG, "cuda: fault %d", (int)fault[0]);
    }
}

/* Two pieces at a time: one is copied to the caller while the next one comes. The word of faults comes with
 * the first, before anything is believed. */
mg_status mg_cuda_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    mg_ring_piece *piece[2], *word;
    size_t size[2] = {0, 0}, asked = 0, done = 0;
    int32_t fault[2];

    MG_RETURN(mg_ring_take(cuda, &word));
    MG_RETURN(mg_ring_take(cuda, &piece[0]));
    MG_RETURN(mg_ring_take(cuda, &piece[1]));
    MG_CUDA(cudaMemcpyAsync(word->pinned, cuda->fault, sizeof fault, cudaMemcpyDeviceToHost, cuda->stream));
    MG_CUDA(cudaMemsetAsync(cuda->fault, 0, sizeof fault, cuda->stream));
    MG_CUDA(cudaEventRecord(word->done, cuda->stream));
    for (int i = 0; done < bytes || i == 0; i++) {
        for (; asked < bytes && asked < done + 2 * (size_t)MG_RING_BYTES;
             asked += size[asked / MG_RING_BYTES % 2]) {
            const int next = (int)(asked / MG_RING_BYTES % 2);
            size[next] = bytes - asked < MG_RING_BYTES ? bytes - asked : (size_t)MG_RING_BYTES;
            MG_CUDA(cudaMemcpyAsync(piece[next]->pinned, (const char *)src + asked, size[next],
                                    cudaMemcpyDeviceToHost, cuda->stream));
            MG_CUDA(cudaEventRecord(piece[next]->done, cuda->stream));
        }
        MG_RETURN(wait_for(cuda, i == 0 && bytes == 0 ? word->done : piece[i % 2]->done));
        if (i == 0) {
            memcpy(fault, word->pinned, sizeof fault);
            MG_RETURN(report_fault(fault));
        }
        const size_t n = bytes - done < MG_RING_BYTES ? bytes - done : (size_t)MG_RING_BYTES;
        memcpy((char *)dst_host + done, piece[i % 2]->pinned, n);
        done += n;
    }
    return MG_OK;
}

mg_status mg_cuda_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_CUDA(cudaMemcpyAsync(y->data, x->data, mg_tensor_bytes(x), cudaMemcpyDeviceToDevice, cuda->stream));
    return MG_OK;
}

mg_status mg_cuda_zero(const mg_ops *ops, mg_tensor *y)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_CUDA(cudaMemsetAsync(y->data, 0, mg_tensor_bytes(y), cuda->stream));
    return MG_OK;
}

mg_status mg_cuda_pin(const mg_ops *ops, void **out, size_t bytes)
{
    (void)mg_cuda_of(ops);
    return mg_cuda_check(cudaMallocHost(out, bytes), "cudaMallocHost");
}

void mg_cuda_unpin(const mg_ops *ops, void *block)
{
    (void)mg_cuda_wait(mg_cuda_of(ops)); /* as in release */
    (void)cudaFreeHost(block);
}

/* In a stream of its own, which waits for what was asked of the other so far: it may use dst still. */
mg_status mg_cuda_fetch(const mg_ops *ops, int lane, void *dst, const void *src_host, size_t bytes)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const mg_lane *l = &cuda->lane[lane];

    MG_CUDA(cudaEventRecord(l->is_free, cuda->stream));
    MG_CUDA(cudaStreamWaitEvent(cuda->copier, l->is_free, 0));
    MG_CUDA(cudaMemcpyAsync(dst, src_host, bytes, cudaMemcpyHostToDevice, cuda->copier));
    return mg_cuda_check(cudaEventRecord(l->is_here, cuda->copier), "cudaEventRecord");
}

mg_status mg_cuda_fetched(const mg_ops *ops, int lane)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    return mg_cuda_check(cudaStreamWaitEvent(cuda->stream, cuda->lane[lane].is_here, 0),
                         "cudaStreamWaitEvent");
}
