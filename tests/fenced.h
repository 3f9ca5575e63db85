/* A second space over the CPU backend: its memory cannot be read or written but inside a call of the backend
 * or of its group, so host code that looks into it ends in SIGSEGV; and what a call is given must be in it,
 * so a host pointer is found too. Between step_begin and step_end it holds a caller to what a recording
 * backend needs: with the same key, the same calls with the same pointers and sizes.
 *
 * This is how the model and the engine are shown to fit a device without having one.
 */
#ifndef MG_FENCED_H
#define MG_FENCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "comm.h"
#include "ops.h"

enum { FENCE_BLOCKS = 64, FENCE_KEYS = 256, FENCE_PAGE = 2 << 20 };

typedef struct fence_block {
    char *base;
    size_t bytes;
} fence_block;

typedef struct fence {
    mg_ops ops; /* first: the instance is the fence */
    mg_ops_iface table;
    mg_ops *inner; /* owned */
    fence_block block[FENCE_BLOCKS];
    int n_blocks, n_steps, n_replayable, n_uploads, n_downloads;
    bool in_step;
    uint64_t key, hash; /* of the step at hand */
    struct {
        uint64_t key, hash;
    } known[FENCE_KEYS];
    int n_known;
} fence;

/* The backend `inner`, which it closes, in a second space. */
mg_ops *fence_open(mg_ops *inner);

/* A group in the fenced memory, over one in the host's, which stays borrowed. */
mg_comm *fence_group_open(mg_comm *inner, mg_ops *fenced);

#endif
