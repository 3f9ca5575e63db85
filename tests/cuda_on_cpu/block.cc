/* Runs a block: its threads are fibres, and the ready thread of the lowest slot always runs. So a thread goes
 * as far as it can before its neighbours, which shows where a barrier is missing. */
#include "block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <string>

#include "tsan.h"

namespace sim
{

seat *self;
dim3 grid_dim, block_dim;

runner run;

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

void make_ready(thread *t)
{
    block *b = t->home;

    t->where = at::running;
    b->ready[t->slot / WARP] |= 1u << t->slot % WARP;
    b->ready_words |= 1u << t->slot / WARP;
}

/* All lanes of the warp whose slots fill this word (make_order). */
static void all_ready(block *b, unsigned word)
{
    b->ready[word] = ALL_LANES;
    b->ready_words |= 1u << word;
}

static bool is_ready(const thread *t)
{
    return t->home->ready[t->slot / WARP] >> t->slot % WARP & 1;
}

/* Takes the ready thread of the lowest slot; NULL if there is none. */
static MG_SIM_IN_PLACE thread *take_ready(block *b)
{
    if (!b->ready_words) return nullptr;
    const unsigned word = static_cast<unsigned>(__builtin_ctz(b->ready_words));
    const unsigned bit = static_cast<unsigned>(__builtin_ctz(b->ready[word]));

    b->ready[word] &= ~(1u << bit);
    if (!b->ready[word]) b->ready_words &= ~(1u << word);
    return &b->threads[b->order[word * WARP + bit]];
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
static MG_SIM_IN_PLACE void go_on(fibre *here)
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

/* The same from a thread that waits. Mostly the one of the warp's next slot goes on, and then the processor
 * need not know who is ready to look up its stack. */
static MG_SIM_IN_PLACE void go_on_from(thread *t)
{
    block *b = run.now;
    thread *next = t->after;
    const unsigned word = t->slot / WARP, bit = 1u << next->slot % WARP, ready = b->ready[word];

    if ((ready & (bit | (bit - 1))) != bit || b->ready_words & ((1u << word) - 1) || !next->stack ||
        next == t) {
        go_on(t->stack);
        return;
    }
    b->ready[word] = ready & ~bit;
    if (ready == bit) b->ready_words &= ~(1u << word);
    self = next;
    run.next_body = next;
    fibre_switch(t->stack, next->stack);
}

/* All live threads have come to it. */
static void release_barrier(block *b)
{
    if (b->barrier_differs) fail("__syncthreads reached at different places (divergent barrier)");
    for (unsigned first = 0; first < b->n_threads; first += WARP) {
        const unsigned live = b->warps[first / WARP].live;
        if (live == ALL_LANES) all_ready(b, b->threads[first].slot / WARP);
        for (unsigned l = 0; l < WARP && live != ALL_LANES; l++)
            if (live >> l & 1) make_ready(&b->threads[first + l]);
    }
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
    if (b->n_at_barrier++ == 0)
        b->barrier_file = file, b->barrier_line = line, b->barrier_differs = false;
    else if (line != b->barrier_line || (file != b->barrier_file && strcmp(file, b->barrier_file) != 0))
        b->barrier_differs = true;
    if (b->n_at_barrier == b->n_live) release_barrier(b);
    go_on_from(t);
    t->where = at::running;
    tsan_acquire(sync);
}

void nap()
{
    thread *t = running();
    block *b = t->home;

    t->where = at::nap;
    b->napping[t->slot / WARP] |= 1u << t->slot % WARP;
    b->any_napping = true;
    go_on_from(t);
}

void wait_for_predecessor()
{
    thread *t = running();

    *run.waited = true;
    if (!run.is_early) return;
    t->where = at::predecessor;
    t->home->n_early++;
    go_on_from(t);
    tsan_acquire(&t->home->sync[0]);
}

/* All lanes of a mask have come; and those of the whole warp where something is wrong, to be told what. */
static void warp_complete(warp *w, thread *lanes, thread *t)
{
    unsigned ballot = 0;

    for (unsigned l = 0; l < WARP; l++) {
        thread *o = &lanes[l];
        if (!(t->mask >> l & 1)) continue;
        if (o->mask != t->mask || o->kind != t->kind || o->line != t->line)
            fail("lanes %u and %u of one mask are at different warp operations", t->lane, l);
        if (o->kind == warp_kind::shuffle && !(t->mask >> o->src & 1))
            fail("lane %u shuffles from lane %u, which is not in mask %08x", l, o->src, t->mask);
        if (o->kind == warp_kind::ballot && o->value) ballot |= 1u << l;
    }
    for (unsigned l = 0; l < WARP; l++)
        if (t->mask >> l & 1)
            lanes[l].result = t->kind == warp_kind::shuffle ? lanes[lanes[l].src].value : ballot;
    w->arrived &= ~t->mask;
    if (t->kind == warp_kind::sync) w->n_syncs++;
    for (unsigned l = 0; l < WARP; l++)
        if (t->mask >> l & 1) make_ready(&lanes[l]);
}

/* The whole warp has come to one operation. */
static void whole_complete(block *b, warp *w, thread *lanes, thread *t)
{
    if (w->n_all != WARP || w->differs) warp_complete(w, lanes, t); /* which fails */
    w->arrived = w->n_all = 0;
    w->n_whole++;
    w->ballot[w->n_whole & 1] = 0;
    if (t->kind == warp_kind::sync) w->n_syncs++;
    all_ready(b, t->slot / WARP);
}

/* Meets the other lanes of the mask. */
static MG_SIM_IN_PLACE void meet(thread *t, warp *w, warp_kind kind, unsigned mask, const char *file,
                                 int line)
{
    block *b = t->home;
    thread *lanes = t - t->lane;

    t->where = at::warp, t->file = file, t->line = line;
    t->kind = kind, t->mask = mask;
    if (!(mask >> t->lane & 1)) fail("lane %u is not in its own mask %08x", t->lane, mask);
    if (mask & ~w->live)
        fail("mask %08x names lanes that have ended or never were (%08x live)", mask, w->live);
    w->arrived |= 1u << t->lane;
    char *sync = &w->sync[w->n_syncs & 1];
    if (kind == warp_kind::sync) tsan_release(sync);
    if (mask == ALL_LANES) {
        if (w->n_all++ == 0)
            w->kind = kind, w->line = line, w->differs = false;
        else if (w->kind != kind || w->line != line)
            w->differs = true;
    }
    if ((w->arrived & mask) == mask) {
        if (mask == ALL_LANES)
            whole_complete(b, w, lanes, t);
        else
            warp_complete(w, lanes, t);
    }
    go_on_from(t);
    t->where = at::running;
    if (kind == warp_kind::sync) tsan_acquire(sync);
}

uint64_t warp_op(warp_kind kind, unsigned mask, uint64_t value, unsigned src, const char *file, int line)
{
    thread *t = running();
    warp *w = t->team;

    if (kind == warp_kind::sync && is_muted(file, line)) return 0;
    t->value = value, t->src = src;
    if (mask != ALL_LANES) {
        meet(t, w, kind, mask, file, line);
        return t->result;
    }
    const unsigned turn = w->n_whole & 1;
    w->value[turn][t->lane] = value;
    if (kind == warp_kind::ballot && value) w->ballot[turn] |= 1u << t->lane;
    meet(t, w, kind, ALL_LANES, file, line);
    return kind == warp_kind::shuffle ? w->value[turn][src] : w->ballot[turn];
}

void *warp_board()
{
    thread *t = running();
    warp *w = t->team;

    return w->board[w->n_whole & 1];
}

bool is_last_at_board()
{
    const thread *t = running();

    return t->team->n_all == WARP - 1;
}

void meet_at_board(const char *file, int line)
{
    thread *t = running();

    meet(t, t->team, warp_kind::share, ALL_LANES, file, line);
}

/* ---- Threads and blocks ---- */

static void end_thread(thread *t)
{
    block *b = t->home;
    warp *w = t->team;
    const unsigned bit = 1u << t->lane;

    if (t->copies && !t->copies->empty()) fail("thread %u ends with copies in flight (cp_async_wait)", t->i);
    tsan_release(&b->sync[3]);
    t->where = at::end;
    w->live &= ~bit;
    for (unsigned l = 0; l < WARP && w->arrived; l++)
        if ((w->arrived >> l & 1) && ((t - t->lane)[l].mask & bit))
            fail("lane %u ends while lane %u waits for it in a warp operation", t->lane, l);
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

block *open_block(const call &c, dim3 index)
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
    b->order = order;
    b->n_threads = b->n_live = n;
    b->n_at_barrier = b->n_early = b->generation = b->ready_words = 0;
    b->any_napping = false;
    b->shelf_used = 0;
    memset(b->ready, 0, sizeof b->ready);
    memset(b->napping, 0, sizeof b->napping);
    b->dynamic = c.smem_bytes ? static_cast<char *>(take_shared(b, c.smem_bytes, 16)) : nullptr;
    for (unsigned i = 0; i < MAX_WARPS; i++) {
        const unsigned first = i * WARP;
        warp *w = &b->warps[i];
        w->arrived = w->n_syncs = w->n_whole = w->n_all = w->ballot[0] = w->ballot[1] = 0;
        w->live = n >= first + WARP ? ALL_LANES : n > first ? (1u << (n - first)) - 1 : 0;
    }
    for (unsigned s = 0; s < n; s++) {
        const unsigned i = order[s];
        thread *t = &b->threads[i];
        t->thread_idx = dim3(i % c.block.x, i / c.block.x % c.block.y, i / c.block.x / c.block.y);
        t->block_idx = index;
        t->home = b, t->stack = nullptr, t->file = nullptr, t->line = 0;
        t->i = i, t->slot = s, t->lane = i % WARP, t->n_groups = 0;
        t->team = &b->warps[i / WARP];
        t->after = &b->threads[order[(s + 1) % WARP && s + 1 < n ? s + 1 : s / WARP * WARP]];
        make_ready(t);
        t->where = at::start;
        if (TSAN) t->stack = take_fibre();
    }
    tsan_release(&b->sync[0]);
    return b;
}

void close_block(block *b)
{
    tsan_acquire(&b->sync[3]);
#ifdef MG_SIM_ASAN
    for (unsigned i = 0; i < b->n_pieces; i++) free(b->pieces[i].data);
    free(b->dynamic);
#endif
    b->n_pieces = 0;
    run.spare->push_back(b);
}

void turn(block *b)
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

/* ---- Reports ---- */

static std::string place_of(const thread *t)
{
    static const char *const names[] = {"not begun",
                                        "running",
                                        "at __syncthreads",
                                        "in a warp operation",
                                        "in __nanosleep",
                                        "at wait_for_predecessor",
                                        "ended"};
    if (is_ready(t)) return names[static_cast<int>(t->where == at::start ? at::start : at::running)];
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
