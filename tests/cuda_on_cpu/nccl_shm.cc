/* In NCCL's place: ranks of one host over a shared file. A collective is an item of its stream, done when all
 * ranks have brought their part; until then it says "not yet", and whoever waits for the stream keeps the
 * processor, as on a GPU. As the real one it is not destroyed, nor its abort done, before the last graph that
 * has recorded a collective of it. As with a non-blocking communicator another thread puts a call into its
 * stream, later than the call returns: whoever does not ask until it is there has it in the wrong place, and
 * a stream that records takes it in relaxed mode only. NCCL_ON_CPU="fail:N": the N-th collective of this rank
 * fails asynchronously; "version:N": it says that it is of this version. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>

#include "nccl.h"
#include "sim.h"

extern "C" {
#include "nccl_library.h"
}

namespace
{

enum : size_t { SLOT_BYTES = 1 << 20, MAX_RANKS = 8 };

struct board {
    std::atomic<int> joined;
    std::atomic<uint64_t> posted[MAX_RANKS], taken[MAX_RANKS]; /* rounds */
    alignas(4096) char slots[2][MAX_RANKS][SLOT_BYTES];
};

} // namespace

struct ncclComm {
    int rank, size;
    board *shared;
    uint64_t round;
    long n_calls, fail_at;
    ncclResult_t error;
    int busy;                             /* looks that find the last call in progress still */
    std::function<ncclResult_t()> launch; /* at the last of these */
    std::atomic<bool> torn;
    std::shared_ptr<int> users; /* one for each collective that waits, or is in a graph; and this one */
};

namespace
{

/* A collective while it is under way. */
struct task {
    ncclComm *comm;
    std::shared_ptr<int> use;
    const char *send;
    char *recv;
    size_t bytes; /* of one rank */
    int root;     /* of a broadcast, else -1 */
    bool sum;
    size_t at = 0;
    bool posted = false;

    bool all_have(const std::atomic<uint64_t> *counts, uint64_t round) const
    {
        for (int r = 0; r < comm->size; r++)
            if (counts[r].load(std::memory_order_acquire) < round) return false;
        return true;
    }

    void take(const char *const *from, size_t n)
    {
        if (!sum && root < 0)
            for (int r = 0; r < comm->size; r++)
                memcpy(recv + static_cast<size_t>(r) * bytes + at, from[r], n);
        if (root >= 0) memcpy(recv + at, from[root], n);
        if (!sum) return;
        for (size_t i = 0; i + sizeof(float) <= n;
             i += sizeof(float)) { /* not the tree's order, on purpose */
            float total = 0, part;
            for (int r = comm->size - 1; r >= 0; r--) {
                memcpy(&part, from[r] + i, sizeof part);
                total += part;
            }
            memcpy(recv + at + i, &total, sizeof total);
        }
    }

    bool run()
    {
        board *b = comm->shared;

        while (at < bytes) {
            const uint64_t round = comm->round;
            const size_t n = bytes - at < SLOT_BYTES ? bytes - at : size_t{SLOT_BYTES};
            if (comm->torn) return true;
            if (comm->error != ncclSuccess) return false;
            if (!posted) {
                if (round >= 2 && !all_have(b->taken, round - 1)) return false; /* the slot is still read */
                if (root < 0 || root == comm->rank) memcpy(b->slots[round & 1][comm->rank], send + at, n);
                b->posted[comm->rank].store(round + 1, std::memory_order_release);
                posted = true;
            }
            if (!all_have(b->posted, round + 1)) return false;
            const char *from[MAX_RANKS];
            for (int r = 0; r < comm->size; r++) from[r] = b->slots[round & 1][r];
            take(from, n);
            b->taken[comm->rank].store(round + 1, std::memory_order_release);
            comm->round++;
            posted = false;
            at += n;
        }
        return true;
    }
};

ncclResult_t enqueue(const task &t, cudaStream_t s)
{
    if (t.comm->torn || t.comm->busy) return ncclInvalidUsage;
    t.comm->launch = [t, s] {
        if (!sim::takes_from_all_threads(s)) return ncclUnhandledCudaError;
        sim::enqueue_item(
            s,
            [t = task(t)]() mutable {
                if (t.at == 0 && !t.posted && ++t.comm->n_calls == t.comm->fail_at)
                    t.comm->error = ncclRemoteError;
                return t.run();
            },
            true);
        return ncclSuccess;
    };
    t.comm->busy = 2;
    return ncclInProgress;
}

/* Under the lock, so that who used it last has been seen. */
bool is_used(const ncclComm *c)
{
    const sim::turn_of_one turn(sim::device_lock());
    return c->users.use_count() > 1;
}

size_t size_of(ncclDataType_t type)
{
    static const size_t bytes[] = {1, 1, 4, 4, 8, 8, 2, 4};
    return bytes[type];
}

} // namespace

extern "C" {

ncclResult_t ncclGetVersion(int *version)
{
    const char *wish = getenv("NCCL_ON_CPU");

    *version = 22809;
    if (wish) sscanf(wish, "version:%d", version);
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    static int n;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/dev/shm/mg-nccl.%d.%d", static_cast<int>(getpid()), n++);
    return ncclSuccess;
}

/* All ranks map the file; the last to come removes its name, so that nothing is left behind. */
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int n, ncclUniqueId id, int rank, ncclConfig_t *)
{
    const char *wish = getenv("NCCL_ON_CPU");

    if (n > static_cast<int>(MAX_RANKS) || rank < 0 || rank >= n) return ncclInvalidArgument;
    const int fd = open(id.internal, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(board)) != 0) return ncclSystemError;
    void *map = mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return ncclSystemError;
    ncclComm *c = new ncclComm();
    c->rank = rank, c->size = n;
    c->users = std::make_shared<int>(0);
    c->shared = static_cast<board *>(map);
    if (wish) sscanf(wish, "fail:%ld", &c->fail_at);
    if (c->shared->joined.fetch_add(1) + 1 == n) unlink(id.internal);
    *comm = c;
    return ncclInProgress; /* as a non-blocking one does; ncclCommGetAsyncError says when all are there */
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *error)
{
    *error = c->error != ncclSuccess              ? c->error
             : c->shared->joined.load() < c->size ? ncclInProgress
             : c->busy                            ? ncclInProgress
                                                  : ncclSuccess;
    if (*error == ncclInProgress && c->busy && --c->busy == 0) {
        const ncclResult_t launched = c->launch();
        c->launch = nullptr; /* its use of this communicator ends */
        if (launched != ncclSuccess) *error = c->error = launched;
    }
    return ncclSuccess;
}

/* For ever, if need be. */
ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    c->launch = nullptr; /* what nobody waited for */
    while (is_used(c)) usleep(200);
    munmap(c->shared, sizeof(board));
    delete c;
    return ncclSuccess;
}

/* What is queued ends without its data, as the real one's kernels do. */
ncclResult_t ncclCommAbort(ncclComm_t c)
{
    c->torn = true;
    return ncclCommDestroy(c);
}

ncclResult_t ncclAllGather(const void *send, void *all, size_t n, ncclDataType_t type, ncclComm_t c,
                           cudaStream_t s)
{
    return enqueue({c, c->users, static_cast<const char *>(send), static_cast<char *>(all), n * size_of(type),
                    -1, false},
                   s);
}

ncclResult_t ncclAllReduce(const void *send, void *sum, size_t n, ncclDataType_t type, ncclRedOp_t,
                           ncclComm_t c, cudaStream_t s)
{
    if (type != ncclFloat32) return ncclInvalidArgument;
    return enqueue(
        {c, c->users, static_cast<const char *>(send), static_cast<char *>(sum), n * size_of(type), -1, true},
        s);
}

ncclResult_t ncclBroadcast(const void *send, void *recv, size_t n, ncclDataType_t type, int root,
                           ncclComm_t c, cudaStream_t s)
{
    return enqueue({c, c->users, static_cast<const char *>(send), static_cast<char *>(recv),
                    n * size_of(type), root, false},
                   s);
}

const char *ncclGetErrorString(ncclResult_t error)
{
    static const char *const words[] = {
        "no error",         "unhandled cuda error", "system error",          "internal error",
        "invalid argument", "invalid usage",        "remote process exited", "in progress"};
    return words[error];
}

/* The library that parallel/nccl_library.c would have opened. */
mg_status mg_nccl_find(const mg_nccl **out)
{
    static const mg_nccl nccl = {
        ncclGetVersion,  ncclGetUniqueId, ncclCommInitRankConfig, ncclCommGetAsyncError, ncclCommAbort,
        ncclCommDestroy, ncclAllGather,   ncclAllReduce,          ncclBroadcast,         ncclGetErrorString};
    *out = &nccl;
    return MG_OK;
}

} /* extern "C" */
