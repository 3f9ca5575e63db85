/* A block of threads while it runs: who may go on, who waits for what. */
#ifndef MG_SIM_BLOCK_H
#define MG_SIM_BLOCK_H

#include <stdint.h>

#include <vector>

#include "fibre.h"
#include "sim.h"

namespace sim
{

enum { WARP = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / WARP, BOARD_BYTES = 3072, MAX_PIECES = 32 };

const unsigned ALL_LANES = 0xffffffffu;

enum class at { start, running, barrier, warp, nap, predecessor, end };

struct block;
struct warp;

struct copy16 {
    void *dst;
    const void *src;
    bool last;     /* of its group */
    bool is_early; /* read before the predecessor had ended: then `words` are what was there */
    uint64_t words[2];
};

struct thread : seat {
    block *home;
    warp *team;
    thread *after; /* of the warp's next slot, behind the last one the first */
    fibre *stack;
    at where;
    const char *file;
    int line;
    unsigned i, slot, lane; /* in the block; place in the order; in the warp */
    /* in a warp operation */
    warp_kind kind;
    unsigned mask, src;
    uint64_t value, result;
    std::vector<copy16> *copies;
    unsigned n_groups;
};

/* Operations of all 32 lanes take turns with two places for what the lanes bring: when one has come to the
 * next operation, others may still read what this one gave. */
struct warp {
    unsigned live, arrived, n_syncs;
    unsigned n_whole, n_all; /* operations of all lanes that are done; lanes that have come to the next one */
    warp_kind kind;          /* of it */
    int line;
    bool differs;
    unsigned ballot[2];
    uint64_t value[2][WARP];
    char sync[2]; /* as block's */
    alignas(16) unsigned char board[2][BOARD_BYTES];
};

struct piece {
    const void *key;
    void *data;
    size_t bytes;
};

struct block {
    dim3 index;
    unsigned n_threads, n_live, n_at_barrier, n_early, generation; /* n_early: wait for the predecessor */
    uint32_t ready[MAX_WARPS], napping[MAX_WARPS];                 /* by slot */
    uint32_t ready_words;
    const uint16_t *order; /* thread of each slot */
    bool any_napping;
    const char *barrier_file; /* that the first thread has come to */
    int barrier_line;
    bool barrier_differs; /* from another thread's */
    thread threads[MAX_THREADS];
    warp warps[MAX_WARPS];
    unsigned n_pieces;
    piece pieces[MAX_PIECES];
    char *dynamic;
    char *shelf; /* what shared memory is cut from, where nothing checks its bounds */
    size_t shelf_used;
    char sync[4]; /* addresses for ThreadSanitizer: start, two of barriers, end */
};

/* What runs: one launch at a time, and one of its blocks. */
struct runner {
    const call *launch = nullptr;
    block *now = nullptr;
    thread *next_body = nullptr; /* for a fibre that starts, or starts anew */
    fibre *free = nullptr;       /* a list: fibres put themselves on it, and must not allocate */
    std::vector<block *> *spare = new std::vector<block *>;
    bool is_early = false;  /* the predecessor has not ended */
    bool *waited = nullptr; /* set where a thread of the launch comes to wait_for_predecessor() */
};
extern runner run;

/* A block of the launch, none of whose threads has begun. */
block *open_block(const call &c, dim3 index);
void close_block(block *b);

/* Lets a block run until it is done or has nobody who can go on. */
void turn(block *b);

void make_ready(thread *t);

enum { SHELF_BYTES = 512 * 1024 };

/* Where the lanes of the running warp write what all of them read behind meet_at_board, up to their next warp
 * operation. */
void *warp_board();
/* The others have come to it: what this lane still does there, it does for all. */
bool is_last_at_board();
void meet_at_board(const char *file, int line);

/* Shared memory for the block. */
void *take_shared(block *b, size_t bytes, size_t align);

/* The order: thread of a slot and slot of a thread, for blocks of n. */
const uint16_t *slots_of(unsigned n);

/* The running block; its caller is about to abort. */
void report(const block *b, const char *name);

} // namespace sim

#endif
