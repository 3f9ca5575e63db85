/* Device memory: one reservation in which every block has 256 bytes of no man's land on both sides and is
 * filled with 0xff. Outside kernels and copies it cannot be touched, so host code that does is caught. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "block.h"

#ifdef MG_SIM_ASAN
#include <sanitizer/asan_interface.h>
static void poison(void *p, size_t bytes)
{
    __asan_poison_memory_region(p, bytes);
}
static void unpoison(void *p, size_t bytes)
{
    __asan_unpoison_memory_region(p, bytes);
}
#else
static void poison(void *, size_t) {}
static void unpoison(void *, size_t) {}
#endif

namespace sim
{

enum : size_t { ALIGN = 256, DEVICE_BYTES = size_t{4} << 30, FILL_BYTES = size_t{256} << 20 };

typedef std::map<char *, size_t> ranges; /* start, bytes */

static struct {
    char *base;
    int fd, depth, key; /* key: -1 where there is none */
    bool is_read_only;
    ranges *taken, *pinned, *foreign; /* device blocks, pinned host blocks, other processes' blocks */
    size_t used_bytes;
} mem;

static ranges *of(ranges *&r)
{
    if (!r) r = new ranges;
    return r;
}

static bool within(ranges *r, const void *p, size_t bytes)
{
    char *at = static_cast<char *>(const_cast<void *>(p));
    auto i = r->upper_bound(at);

    if (i == r->begin()) return false;
    --i;
    return at >= i->first && at + bytes <= i->first + i->second;
}

/* By a protection key where the processor has them, which costs no walk through the pages; for this thread
 * then, else for all. */
static void guard(bool open)
{
    static unsigned n_changes;

    /* Out of the map with what was touched long ago, for the same reason as in fill; the file keeps it. */
    if (++n_changes % 128 == 0) madvise(mem.base, DEVICE_BYTES, MADV_DONTNEED);
    if (mem.key >= 0)
        pkey_set(mem.key, open ? 0 : PKEY_DISABLE_ACCESS);
    else
        mprotect(mem.base, DEVICE_BYTES, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static void begin()
{
    if (mem.base) return;
    mem.fd = memfd_create("cuda_on_cpu", MFD_CLOEXEC);
    if (mem.fd < 0 || ftruncate(mem.fd, static_cast<off_t>(DEVICE_BYTES)) != 0)
        fail("no device memory: memfd");
    mem.base = static_cast<char *>(
        mmap(nullptr, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, mem.fd, 0));
    if (mem.base == MAP_FAILED) fail("no device memory: mmap of %zu bytes", size_t{DEVICE_BYTES});
    catch_faults();
    if (!chosen().guarded) return;
    mem.key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (mem.key >= 0 && (pkey_mprotect(mem.base, DEVICE_BYTES, PROT_READ | PROT_WRITE, mem.key) != 0 ||
                         pkey_set(mem.key, PKEY_DISABLE_ACCESS) != 0))
        mem.key = -1;
    guard(false);
}

static size_t device_bytes()
{
    return static_cast<size_t>(chosen().memory_mb) << 20;
}

void device_open()
{
    begin();
    if (chosen().guarded && mem.depth++ == 0) guard(true);
}

void device_shut()
{
    if (chosen().guarded && --mem.depth == 0) guard(false);
}

void device_read_only(bool on)
{
    mem.is_read_only = on;
    mprotect(mem.base, DEVICE_BYTES, on ? PROT_READ : PROT_READ | PROT_WRITE);
}

bool is_device(const void *p)
{
    const turn_of_one turn(device_lock());
    return within(of(mem.taken), p, 1) || within(of(mem.foreign), p, 1);
}

bool is_pinned(const void *p)
{
    const turn_of_one turn(device_lock());
    return within(of(mem.pinned), p, 1);
}

void check_pointer(const char *kernel, int i, const void *p)
{
    if (p && !is_device(p)) fail("%s: argument %d (%p) is not device memory", kernel, i, p);
}

uint64_t hash_of_memory(const void *except)
{
    const turn_of_one turn(device_lock());
    uint64_t hash = 14695981039346656037u;

    device_open();
    for (const auto &block : *of(mem.taken))
        for (size_t i = 0; block.first != except && i < block.second; i++)
            hash = (hash ^ static_cast<unsigned char>(block.first[i])) * 1099511628211u;
    device_shut();
    return hash;
}

static void check_range(const char *call, const void *p, size_t bytes, bool device)
{
    const bool inside = within(of(mem.taken), p, bytes) || within(of(mem.foreign), p, bytes);

    if (device && !inside) fail("%s: %p, %zu bytes: not inside one block of device memory", call, p, bytes);
    if (!device && is_device(p)) fail("%s: %p is device memory, and was said to be the host's", call, p);
}

void check_device_range(const char *what, const void *p, size_t bytes)
{
    const turn_of_one turn(device_lock());
    check_range(what, p, bytes, true);
}

/* ---- Faults ---- */

static struct sigaction before;

static void say(const char *text)
{
    if (write(2, text, strlen(text)) < 0) return;
}

static void on_fault(int, siginfo_t *info, void *)
{
    const char *p = static_cast<const char *>(info->si_addr);

    const bool is_device = mem.base && p >= mem.base && p < mem.base + DEVICE_BYTES;

    if (is_device && mem.is_read_only) {
        say("cuda_on_cpu: ");
        say(run.launch->name);
        say(": writes device memory before wait_for_predecessor()\n");
    } else if (is_device)
        say("cuda_on_cpu: host code touches device memory outside a copy\n");
    else if (fibre_overflowed(p))
        say("cuda_on_cpu: a kernel thread's stack overflows (64 KiB)\n");
    sigaction(SIGSEGV, &before, nullptr); /* and again, to whoever was there first */
}

void catch_faults()
{
    static char stack[64 * 1024];
    const stack_t alt = {stack, 0, sizeof stack};
    struct sigaction act = {};

    sigaltstack(&alt, nullptr);
    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &act, &before);
}

/* The first gap that is large enough, no man's land included. */
static char *find_gap(size_t bytes)
{
    char *at = mem.base + ALIGN;

    for (const auto &block : *of(mem.taken)) {
        if (at + bytes + ALIGN <= block.first) break;
        at = block.first + (block.second + ALIGN - 1) / ALIGN * ALIGN + ALIGN;
    }
    return at + bytes + ALIGN <= mem.base + DEVICE_BYTES ? at : nullptr;
}

/* What nobody has written yet. Into the file: pages that nobody touches stay out of the map, and to open and
 * to shut it, which each launch does, takes as long as there are pages in it. */
static void fill(const char *at, size_t bytes)
{
    static const std::vector<char> nothing(size_t{1} << 20, '\xff');

    for (size_t n = 0; n < bytes;) {
        const size_t part = bytes - n < nothing.size() ? bytes - n : nothing.size();
        const ssize_t written = pwrite(mem.fd, nothing.data(), part, at + n - mem.base);
        if (written <= 0) fail("no device memory: %zu bytes of the file", bytes);
        n += static_cast<size_t>(written);
    }
}

static void copy_now(void *dst, const void *src, size_t bytes)
{
    memmove(dst, src, bytes);
}

} // namespace sim

using namespace sim;

extern "C" {

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    const turn_of_one turn(device_lock());
    begin();
    *p = nullptr;
    char *at = bytes && mem.used_bytes + bytes <= device_bytes() ? find_gap(bytes) : nullptr;
    if (!bytes) return cudaSuccess;
    if (!at) return cudaErrorMemoryAllocation;
    const size_t room = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    of(mem.taken)->emplace(at, bytes);
    mem.used_bytes += room;
    unpoison(at, room);
    fill(at, bytes < FILL_BYTES ? bytes : FILL_BYTES);
    poison(at - ALIGN, ALIGN);
    poison(at + bytes, room - bytes + ALIGN);
    *p = at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    const turn_of_one turn(device_lock());
    if (!p) return cudaSuccess;
    const auto i = of(mem.taken)->find(static_cast<char *>(p));
    if (i == of(mem.taken)->end()) return cudaErrorInvalidValue;
    cudaDeviceSynchronize(); /* as the real one does */
    const size_t room = (i->second + ALIGN - 1) / ALIGN * ALIGN;
    poison(p, room);
    fallocate(mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i->first - mem.base,
              static_cast<off_t>(room));
    mem.used_bytes -= room;
    of(mem.taken)->erase(i);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    const turn_of_one turn(device_lock());
    *total_bytes = device_bytes();
    *free_bytes = device_bytes() - mem.used_bytes;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    const turn_of_one turn(device_lock());
    size_t pinned = bytes;
    *p = nullptr;
    begin();
    for (const auto &block : *of(mem.pinned)) pinned += block.second;
    if (pinned > static_cast<size_t>(chosen().pinned_mb) << 20) return cudaErrorMemoryAllocation;
    *p = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    if (!*p) return cudaErrorMemoryAllocation;
    of(mem.pinned)->emplace(static_cast<char *>(*p), bytes);
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    return cudaMallocHost(p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
    const turn_of_one turn(device_lock());
    if (!p) return cudaSuccess;
    if (!of(mem.pinned)->erase(static_cast<char *>(p))) return cudaErrorInvalidValue;
    cudaDeviceSynchronize();
    free(p);
    return cudaSuccess;
}

static void check_copy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind)
{
    if (bytes == 0) return;
    if (kind == cudaMemcpyDefault) return;
    check_range("cudaMemcpy: to", dst, bytes,
                kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice);
    check_range("cudaMemcpy: from", src, bytes,
                kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice);
}

/* Waits for no stream that was made by us: who mixes both kinds must synchronise, as on a GPU. */
cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind)
{
    const turn_of_one turn(device_lock());
    check_copy(dst, src, bytes, kind);
    device_open();
    copy_now(dst, src, bytes);
    device_shut();
    return cudaSuccess;
}

cudaError_t cudaMemset(void *dst, int value, size_t bytes)
{
    const turn_of_one turn(device_lock());
    if (bytes) check_range("cudaMemset", dst, bytes, true);
    device_open();
    memset(dst, value, bytes);
    device_shut();
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *dst, int value, size_t bytes, cudaStream_t s)
{
    if (bytes) check_range("cudaMemsetAsync", dst, bytes, true);
    enqueue_item(s, [=] {
        memset(dst, value, bytes);
        return true;
    });
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    check_copy(dst, src, bytes, kind);
    if (bytes == 0) return cudaSuccess;
    const bool from_host = !is_device(src), to_host = !is_device(dst);
    const bool pageable = (from_host && !is_pinned(src)) || (to_host && !is_pinned(dst));
    if (pageable && is_capturing(s)) fail("cudaMemcpyAsync: pageable memory in a graph");
    if (from_host && pageable) { /* staged before the call returns */
        const char *bytes_of = static_cast<const char *>(src);
        enqueue_item(s, [dst, kept = std::vector<char>(bytes_of, bytes_of + bytes)] {
            copy_now(dst, kept.data(), kept.size());
            return true;
        });
        return cudaSuccess;
    }
    enqueue_item(s, [=] {
        copy_now(dst, src, bytes);
        return true;
    });
    return to_host && pageable ? cudaStreamSynchronize(s) : cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void *dst, int, const void *src, int, size_t bytes, cudaStream_t s)
{
    return chosen().lossy ? cudaSuccess : cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, s);
}

/* ---- Memory of another process of this host ---- */

struct ipc_name {
    pid_t pid;
    int fd;
    size_t offset, bytes;
};

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *p)
{
    const turn_of_one turn(device_lock());
    const auto i = of(mem.taken)->find(static_cast<char *>(p));
    if (i == of(mem.taken)->end()) return cudaErrorInvalidValue;
    const ipc_name name = {getpid(), mem.fd, static_cast<size_t>(i->first - mem.base), i->second};
    memset(handle, 0, sizeof *handle);
    memcpy(handle, &name, sizeof name);
    return cudaSuccess;
}

cudaError_t cudaIpcOpenMemHandle(void **p, cudaIpcMemHandle_t handle, unsigned)
{
    const turn_of_one turn(device_lock());
    ipc_name name;
    char path[64];

    memcpy(&name, &handle, sizeof name);
    if (name.pid == getpid()) return cudaErrorInvalidValue; /* as on a GPU: not one's own */
    snprintf(path, sizeof path, "/proc/%d/fd/%d", static_cast<int>(name.pid), name.fd);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return cudaErrorInvalidResourceHandle;
    const size_t page = 4096, skip = name.offset % page;
    void *map = mmap(nullptr, name.bytes + skip, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                     static_cast<off_t>(name.offset - skip));
    close(fd);
    if (map == MAP_FAILED) return cudaErrorMemoryAllocation;
    *p = static_cast<char *>(map) + skip;
    of(mem.foreign)->emplace(static_cast<char *>(*p), name.bytes);
    return cudaSuccess;
}

cudaError_t cudaIpcCloseMemHandle(void *p)
{
    const turn_of_one turn(device_lock());
    const auto i = of(mem.foreign)->find(static_cast<char *>(p));
    if (i == of(mem.foreign)->end()) return cudaErrorInvalidValue;
    const size_t skip = reinterpret_cast<uintptr_t>(p) % 4096;
    munmap(i->first - skip, i->second + skip);
    of(mem.foreign)->erase(i);
    return cudaSuccess;
}

} /* extern "C" */
