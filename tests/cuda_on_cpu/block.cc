/* Runs launches: a block's threads are fibres, and the ready thread of the lowest slot always runs. So a
 * thread goes as far as it can before its neighbours, which shows where a barrier is missing. A block whose
 * threads all nap is parked and others get their turn, so grids may wait for each other. */
#include "block.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <deque>
#include <string>

#include "tsan.h"

namespace sim
{

seat *self;
dim3 grid_dim, block_dim;

static struct {
    const call *launch;
    block *now;
    thread *next_body; /* for a fibre that starts, or starts anew */
    fibre *free;       /* a list: fibres put themselves on it, and must not allocate */
    std::vector<block *> *spare;
    bool is_early; /* the predecessor has not ended */
} run = {nullptr, nullptr, nullptr, nullptr, new std::vector<block *>, false};

enum { SM_SHARED_BYTES = 227 * 1024, N_SMS = 4, SM_THREADS = 2048 };

static thread *running()
{
    return static_cast<thread *>(self);
}

void fail(const char *format, ...)
{
    va_list args;
    char text[512];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const block *b = run.now;
    if (b)
        fprintf(stderr, "cuda_on_cpu: %s: block (%u,%u,%u): %s\n", run.launch->name, b->index.x, b->index.y,
                b->index.z, text);
    else
        fprintf(stderr, "cuda_on_cpu: %s\n", text);
    if (b) report(b, run.launch->name);
    fflush(stderr);
    abort();
}

static void make_ready(thread *t)
{
    block *b = t->home;

    t->where = at::running;
    b->ready[t->slot / WARP] |= 1u << t->slot % WARP;
    b->ready_words |= 1u << t->slot / WARP;
}

/* Takes the ready thread of the lowest slot; NULL if there is none. */
static thread *take_ready(block *b)
{
    if (!b->ready_words) return nullptr;
    const unsigned word = static_cast<unsigned>(__builtin_ctz(b->ready_words));
    const unsigned bit = static_cast<unsigned>(__builtin_ctz(b->ready[word]));

    b->ready[word] &= ~(1u << bit);
    if (!b->ready[word]) b->ready_words &= ~(1u << word);
    return &b->threads[slots_of(b->n_threads)[word * WARP + bit]];
}

static void fibre_entry();

static fibre *take_fibre()
{
    fibre *f = run.free;
    if (!f) return fibre_open(fibre_entry);
    run.free = f->next_free;
    return f;
}

/* From `here`, which waits or has ended, to the next thread that can go on, or to the main stack. */
static void go_on(fibre *here)
{
    thread *next = take_ready(run.now);

    if (!next) {
        self = nullptr;
        fibre_switch(here, fibre_main());
        return;
    }
    self = next;
    if (!next->stack) next->stack = take_fibre();
    if (next->stack == here) return;
    run.next_body = next;
    fibre_switch(here, next->stack);
}

static void release_barrier(block *b)
{
    thread *first = nullptr;

    for (unsigned i = 0; i < b->n_threads; i++) {
        thread *t = &b->threads[i];
        if (t->where != at::barrier) continue;
        if (!first) first = t;
        if (t->line != first->line || strcmp(t->file, first->file) != 0)
            fail("__syncthreads reached at different places (divergent barrier)");
    }
    for (unsigned i = 0; i < b->n_threads; i++)
        if (b->threads[i].where == at::barrier) make_ready(&b->threads[i]);
    b->n_at_barrier = 0;
    b->generation++;
}

static bool is_muted(const char *file, int line)
{
    if (line != chosen().mute_line) return false;
    const char *name = strrchr(file, '/');
    return strcmp(name ? name + 1 : file, chosen().mute_file) == 0;
}

void barrier(const char *file, int line)
{
    thread *t = running();
    block *b = t->home;

    if (is_muted(file, line)) return;
    char *sync = &b->sync[1 + (b->generation & 1)];
    t->where = at::barrier, t->file = file, t->line = line;
    tsan_release(sync);
    if (++b->n_at_barrier == b->n_live) release_barrier(b);
    go_on(t->stack);
    tsan_acquire(sync);
}

void nap()
{
    thread *t = running();
    block *b = t->home;

    t->where = at::nap;
    b->napping[t->slot / WARP] |= 1u << t->slot % WARP;
    b->any_napping = true;
    go_on(t->stack);
}

void wait_for_predecessor()
{
    thread *t = running();

    if (!run.is_early) return;
    t->where = at::predecessor;
    t->home->n_early++;
    go_on(t->stack);
    tsan_acquire(&t->home->sync[0]);
}

static void warp_complete(warp *w, thread *lanes, thread *t)
{
    unsigned ballot = 0;

    for (unsigned l = 0; l < WARP; l++) {
        thread *o = &lanes[l];
        if (!(t->mask >> l & 1)) continue;
        if (o->mask != t->mask || o->kind != t->kind || o->line != t->line)
            fail("lanes %u and %u of one mask are at different warp operations", t->i % WARP, l);
        if (o->kind == warp_kind::shuffle && !(t->mask >> o->src & 1))
            fail("lane %u shuffles from lane %u, which is not in mask %08x", l, o->src, t->mask);
        if (o->kind == warp_kind::ballot && o->value) ballot |= 1u << l;
    }
    for (unsigned l = 0; l < WARP; l++) {
        thread *o = &lanes[l];
        if (!(t->mask >> l & 1)) continue;
        if (o->kind == warp_kind::share) quiet_copy(w->shared + l * o->value, o->shares, o->value);
        o->result = o->kind == warp_kind::shuffle ? lanes[o->src].value : ballot;
    }
    w->arrived &= ~t->mask;
    if (t->kind == warp_kind::sync) w->n_syncs++;
    for (unsigned l = 0; l < WARP; l++)
        if (t->mask >> l & 1) make_ready(&lanes[l]);
}

static uint64_t meet(warp_kind kind, unsigned mask, const char *file, int line)
{
    thread *t = running();
    block *b = t->home;
    warp *w = &b->warps[t->i / WARP];
    thread *lanes = &b->threads[t->i / WARP * WARP];

    t->where = at::warp, t->file = file, t->line = line;
    t->kind = kind, t->mask = mask;
    if (!(mask >> t->i % WARP & 1)) fail("lane %u is not in its own mask %08x", t->i % WARP, mask);
    if (mask & ~w->live)
        fail("mask %08x names lanes that have ended or never were (%08x live)", mask, w->live);
    w->arrived |= 1u << t->i % WARP;
    char *sync = &w->sync[w->n_syncs & 1];
    if (kind == warp_kind::sync) tsan_release(sync);
    if ((w->arrived & mask) == mask) warp_complete(w, lanes, t);
    go_on(t->stack);
    if (kind == warp_kind::sync) tsan_acquire(sync);
    return t->result;
}

uint64_t warp_op(warp_kind kind, unsigned mask, uint64_t value, unsigned src, const char *file, int line)
{
    thread *t = running();

    if (kind == warp_kind::sync && is_muted(file, line)) return 0;
    t->value = value, t->src = src;
    return meet(kind, mask, file, line);
}

const void *warp_share(const void *mine, size_t bytes, const char *file, int line)
{
    thread *t = running();
    warp *w = &t->home->warps[t->i / WARP];

    if (bytes > SHARE_BYTES) fail("a warp shares at most %d bytes a lane", SHARE_BYTES);
    t->shares = mine, t->value = bytes;
    meet(warp_kind::share, 0xffffffffu, file, line);
    return w->shared;
}

/* ---- Threads and blocks ---- */

static void end_thread(thread *t)
{
    block *b = t->home;
    warp *w = &b->warps[t->i / WARP];
    const unsigned bit = 1u << t->i % WARP;

    if (t->copies && !t->copies->empty()) fail("thread %u ends with copies in flight (cp_async_wait)", t->i);
    tsan_release(&b->sync[3]);
    t->where = at::end;
    w->live &= ~bit;
    for (unsigned l = 0; l < WARP && w->arrived; l++)
        if ((w->arrived >> l & 1) && (b->threads[t->i / WARP * WARP + l].mask & bit))
            fail("lane %u ends while lane %u waits for it in a warp operation", t->i % WARP, l);
    b->n_live--;
    if (b->n_live > 0 && b->n_at_barrier == b->n_live) release_barrier(b);
}

static void fibre_entry()
{
    fibre *here = run.next_body->stack;

    fibre_arrived(here);
    for (;;) {
        thread *t = running();
        tsan_acquire(&t->home->sync[0]);
        t->where = at::running;
        run.launch->body();
        end_thread(t);
        /* A thread's end frees its stack for one that has not begun, without a switch. */
        thread *next = take_ready(run.now);
        if (next && !next->stack && !TSAN) {
            next->stack = here;
            self = next;
            continue;
        }
        here->next_free = run.free;
        run.free = here;
        self = next;
        if (next) {
            if (!next->stack) next->stack = take_fibre();
            run.next_body = next;
        }
        fibre_switch(here, next ? next->stack : fibre_main());
    }
}

static block *open_block(const call &c, dim3 index)
{
    block *b;

    if (run.spare->empty()) {
        b = new block();
        b->shelf = static_cast<char *>(
            mmap(nullptr, SHELF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    } else {
        b = run.spare->back();
        run.spare->pop_back();
    }
    const unsigned n = c.block.x * c.block.y * c.block.z;
    const uint16_t *order = slots_of(n);
    b->index = index;
    b->n_threads = b->n_live = n;
    b->n_at_barrier = b->n_early = b->generation = b->ready_words = 0;
    b->any_napping = false;
    b->shelf_used = 0;
    memset(b->ready, 0, sizeof b->ready);
    memset(b->napping, 0, sizeof b->napping);
    b->dynamic = c.smem_bytes ? static_cast<char *>(take_shared(b, c.smem_bytes, 16)) : nullptr;
    for (unsigned i = 0; i < MAX_WARPS; i++) {
        const unsigned first = i * WARP;
        b->warps[i].arrived = b->warps[i].n_syncs = 0;
        b->warps[i].live = n >= first + WARP ? 0xffffffffu : n > first ? (1u << (n - first)) - 1 : 0;
    }
    for (unsigned s = 0; s < n; s++) {
        const unsigned i = order[s];
        thread *t = &b->threads[i];
        t->thread_idx = dim3(i % c.block.x, i / c.block.x % c.block.y, i / c.block.x / c.block.y);
        t->block_idx = index;
        t->home = b, t->stack = nullptr, t->file = nullptr, t->line = 0;
        t->i = i, t->slot = s, t->n_groups = 0;
        make_ready(t);
        t->where = at::start;
        if (TSAN) t->stack = take_fibre();
    }
    tsan_release(&b->sync[0]);
    return b;
}

static void close_block(block *b)
{
    tsan_acquire(&b->sync[3]);
#ifdef MG_SIM_ASAN
    for (unsigned i = 0; i < b->n_pieces; i++) free(b->pieces[i].data);
    free(b->dynamic);
#endif
    b->n_pieces = 0;
    run.spare->push_back(b);
}

/* Lets a block run until it is done or has nobody who can go on. */
static void turn(block *b)
{
    run.now = b;
    if (b->any_napping) {
        for (unsigned i = 0; i < MAX_WARPS; i++) {
            if (b->napping[i]) b->ready_words |= 1u << i;
            b->ready[i] |= b->napping[i];
            b->napping[i] = 0;
        }
        b->any_napping = false;
    }
    go_on(fibre_main());
    if (b->n_live > 0 && !b->any_napping && !b->n_early) fail("deadlock: every thread waits");
}

static dim3 index_of(const dim3 &grid, uint64_t i)
{
    return dim3(static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                static_cast<unsigned>(i / grid.x / grid.y));
}

int active_blocks(int n_threads, size_t smem_bytes)
{
    const int by_threads = SM_THREADS / (n_threads < WARP ? WARP : n_threads);
    const int by_shared = smem_bytes ? static_cast<int>(SM_SHARED_BYTES / smem_bytes) : by_threads;
    const int n = by_threads < by_shared ? by_threads : by_shared;

    return n < 8 ? n : 8;
}

struct started {
    std::deque<block *> parked;
    uint64_t next = 0;        /* block to start */
    double waiting_since = 0; /* no thread has ended or passed a barrier */
    size_t n_idle = 0;        /* turns since a thread ended or a block began */
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
    run.launch = &c;
    grid_dim = c.grid, block_dim = c.block;
    run.is_early = true;
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

bool run_call(const call &c, started *&state)
{
    const uint64_t n_blocks = uint64_t{c.grid.x} * c.grid.y * c.grid.z;
    const unsigned n_threads = c.block.x * c.block.y * c.block.z;
    const size_t n_resident =
        static_cast<size_t>(N_SMS * active_blocks(static_cast<int>(n_threads), c.smem_bytes));

    if (self) fail("a launch inside a kernel");
    if (!state) state = new started;
    end_early(state);
    std::deque<block *> &parked = state->parked;
    run.launch = &c;
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
    delete state;
    state = nullptr;
    run.launch = nullptr;
    return true;
}

/* ---- Reports ---- */

static std::string place_of(const thread *t)
{
    static const char *const names[] = {"not begun",           "running",        "at __syncthreads",
                                        "in a warp operation", "in __nanosleep", "ended"};
    std::string text = names[static_cast<int>(t->where)];

    if (t->where == at::barrier || t->where == at::warp) {
        text += " ";
        text += t->file;
        text += ":" + std::to_string(t->line);
    }
    return text;
}

void report(const block *b, const char *)
{
    for (unsigned i = 0; i < b->n_threads;) {
        const std::string here = place_of(&b->threads[i]);
        unsigned end = i + 1;
        while (end < b->n_threads && place_of(&b->threads[end]) == here) end++;
        fprintf(stderr, "  threads %u-%u: %s\n", i, end - 1, here.c_str());
        i = end;
    }
}

} // namespace sim
