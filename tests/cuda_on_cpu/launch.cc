/* Runs launches: their blocks in turn, as many at once as a device would hold. A block whose threads all nap
 * is parked and others get their turn, so grids may wait for each other. */
#include "block.h"

#include <sched.h>

#include <deque>
#include <map>

#include "tsan.h"

namespace sim
{

enum { SM_THREADS = 2048 };

static dim3 index_of(const dim3 &grid, uint64_t i)
{
    return dim3(static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                static_cast<unsigned>(i / grid.x / grid.y));
}

int active_blocks(int n_threads, size_t smem_bytes)
{
    const int by_threads = SM_THREADS / (n_threads < WARP ? WARP : n_threads);
    const int by_shared = smem_bytes ? static_cast<int>(shared_bytes_of_block() / smem_bytes) : by_threads;
    const int n = by_threads < by_shared ? by_threads : by_shared;

    return n < 8 ? n : 8;
}

/* ---- Attributes of kernels ---- */

typedef std::map<std::pair<int, const void *>, size_t> limits; /* of a kernel, on a device */

static limits &allowed()
{
    static limits *map = new limits;
    return *map;
}

size_t allowed_smem(const void *function)
{
    const auto it = allowed().find({device_of_thread(), function});

    return it == allowed().end() ? 48 * 1024 : it->second;
}

static long n_set;

long n_attributes()
{
    return n_set;
}

cudaError_t set_attribute(cudaFuncAttribute attr, const void *function, int value)
{
    const turn_of_one turn(device_lock());

    n_set++;
    if (attr != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (static_cast<size_t>(value) > shared_bytes_of_block())
        return set_error(cudaErrorInvalidValue), cudaErrorInvalidValue;
    allowed()[{device_of_thread(), function}] = static_cast<size_t>(value);
    return cudaSuccess;
}

/* ---- Blocks ---- */

struct started {
    std::deque<block *> parked;
    uint64_t next = 0;        /* block to start */
    double waiting_since = 0; /* no thread has ended or passed a barrier */
    size_t n_idle = 0;        /* turns since a thread ended or a block began */
    bool waited = false;      /* a thread has come to wait_for_predecessor() */
};

[[noreturn]] static void report_naps(const call &c, const started &state, block *b)
{
    const uint64_t n_blocks = uint64_t{c.grid.x} * c.grid.y * c.grid.z;

    run.now = b;
    fail("threads nap for more than %g s (%zu blocks resident, %llu of %llu started)", chosen().patience_s,
         state.parked.size(), static_cast<unsigned long long>(state.next),
         static_cast<unsigned long long>(n_blocks));
}

/* At most so many, since each thread has a stack. */
void start_early(const call &c, started *&state)
{
    enum { EARLY_BLOCKS = 3 };
    const uint64_t n_blocks = uint64_t{c.grid.x} * c.grid.y * c.grid.z;

    if (state) return;
    state = new started;
    run.launch = &c, run.waited = &state->waited;
    grid_dim = c.grid, block_dim = c.block;
    run.is_early = true;
    device_read_only(true);
    while (state->next < n_blocks && state->next < EARLY_BLOCKS) {
        const uint64_t i = chosen().blocks_descending ? n_blocks - 1 - state->next : state->next;
        block *b = open_block(c, index_of(c.grid, i));
        state->next++;
        turn(b);
        if (b->n_early < b->n_live) fail("a thread does not come to wait_for_predecessor()");
        run.now = nullptr;
        if (b->n_live == 0)
            close_block(b);
        else
            state->parked.push_back(b);
    }
    device_read_only(false);
    run.is_early = false;
    run.launch = nullptr;
}

/* The predecessor has ended. */
static void end_early(started *state)
{
    for (block *b : state->parked) {
        if (!b->n_early) continue;
        b->n_early = 0;
        tsan_release(&b->sync[0]);
        for (unsigned i = 0; i < b->n_threads; i++)
            if (b->threads[i].where == at::predecessor) make_ready(&b->threads[i]);
    }
}

static bool threads_left_out;

void leave_out_threads(bool on)
{
    const turn_of_one turn(device_lock());
    threads_left_out = on;
}

bool run_call(const call &c, started *&state)
{
    if (threads_left_out && !state) return true;
    const uint64_t n_blocks = uint64_t{c.grid.x} * c.grid.y * c.grid.z;
    const unsigned n_threads = c.block.x * c.block.y * c.block.z;
    const size_t n_resident =
        static_cast<size_t>(chosen().n_sms * active_blocks(static_cast<int>(n_threads), c.smem_bytes));

    if (self) fail("a launch inside a kernel");
    if (!state) state = new started;
    end_early(state);
    std::deque<block *> &parked = state->parked;
    run.launch = &c, run.waited = &state->waited;
    grid_dim = c.grid, block_dim = c.block;
    while (state->next < n_blocks || !parked.empty()) {
        block *b;
        if (state->next < n_blocks && parked.size() < n_resident) {
            const uint64_t i = chosen().blocks_descending ? n_blocks - 1 - state->next : state->next;
            b = open_block(c, index_of(c.grid, i));
            state->next++;
            state->waiting_since = 0, state->n_idle = 0;
        } else {
            b = parked.front();
            parked.pop_front();
        }
        const unsigned live = b->n_live, generation = b->generation;
        turn(b);
        run.now = nullptr;
        if (b->n_live < live) state->n_idle = 0;
        if (b->n_live < live || b->generation != generation) state->waiting_since = 0;
        if (b->n_live == 0) {
            close_block(b);
            continue;
        }
        parked.push_back(b);
        if (c.waits_for_ranks) {
            if (state->n_idle++ < 2 * parked.size()) continue;
            state->n_idle = 0;
            run.launch = nullptr;
            return false;
        }
        if (state->waiting_since == 0) state->waiting_since = now_s();
        if (now_s() - state->waiting_since > chosen().patience_s) report_naps(c, *state, b);
        if (parked.size() == 1 && state->next == n_blocks) sched_yield();
    }
    if (c.overlaps && !state->waited) fail("%s: no block waits for the predecessor", c.name);
    delete state;
    state = nullptr;
    run.launch = nullptr;
    return true;
}

} // namespace sim
