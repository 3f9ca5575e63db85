/* Attention over a short text and the product behind it in one kernel of a device: whether it is worth it, by
 * arithmetic. The CUDA backend asks it of a call (cuda_product_attended.cu), and mg_predict of a step that
 * runs elsewhere. So the sizes of a text stand here; those of products are device_products.h's. */
#ifndef MG_ATTENDED_H
#define MG_ATTENDED_H

#include <stddef.h>

#include "device_products.h"

enum {
    MG_SEGMENT = 32,                                     /* keys */
    MG_SEGMENT_E = 64,                                   /* the width of a head */
    MG_SEGMENT_AT_ONCE = 4,                              /* keys of a piece of all lanes */
    MG_SEGMENT_PIECES = MG_SEGMENT / MG_SEGMENT_AT_ONCE, /* of a lane, 16 bytes each */
    MG_ATTENDED_STEPS = 16, /* of a slice: all of them are asked for before the wait */
    MG_ATTENDED_CYCLES = 2100,
};

/* A warp's part of shared memory behind the weights, in 16 bytes: keys, then values, of each row and head;
 * queries; a head's softmax; the rows that the product takes. */
typedef struct mg_attended_room {
    int n_pieces; /* of a row and head: 4 for 16 keys, or 8 */
    int queries, softmax, rows, all;
} mg_attended_room;

MG_BOTH mg_attended_room mg_attended_room_of(int n_keys, int n_rows, int n_heads, int n_steps)
{
    mg_attended_room r;

    r.n_pieces = n_keys <= MG_SEGMENT / 2 ? MG_SEGMENT_PIECES / 2 : (int)MG_SEGMENT_PIECES;
    r.queries = n_rows * n_heads * 2 * r.n_pieces * 32;
    r.softmax = r.queries + n_rows * n_heads * MG_SEGMENT_E / 4;
    r.rows = r.softmax + MG_SEGMENT / 4;
    r.all = r.rows + n_rows * mg_few_pitch(n_steps, true) / 8;
    return r;
}

typedef struct mg_attended {
    int64_t n_rows, n_keys, n_out; /* n_keys: that the cache has room for */
    int64_t n_heads, n_slices;     /* of all inputs; MG_SEGMENT_E wide, as many in each slice */
} mg_attended;

/* A slice's heads and steps; and the shared memory of a block. */
static inline int mg_attended_heads(const mg_attended *a)
{
    return (int)(a->n_heads / a->n_slices);
}

static inline int mg_attended_steps(const mg_attended *a)
{
    return mg_slice_steps((int64_t)mg_attended_heads(a) * MG_SEGMENT_E);
}

static inline size_t mg_attended_bytes(const mg_attended *a)
{
    const int n_steps = mg_attended_steps(a);
    const mg_attended_room room =
        mg_attended_room_of((int)a->n_keys, (int)a->n_rows, mg_attended_heads(a), n_steps);
    const int held = mg_few_held(n_steps, true, MG_ATTENDED_STEPS) * MG_FEW_CHUNK * 32;

    return (size_t)a->n_slices * (size_t)(held + room.all) * 16;
}

/* What attention takes behind the wait: a head's instructions and those of each piece, twice where two warps
 * share a scheduler; one alone waits for its own results, half as long again. */
static inline int64_t mg_attended_cycles(const mg_attended *a)
{
    enum { HEAD = 165, PIECE = 44 };
    const int n_pieces = mg_attended_room_of((int)a->n_keys, 1, 1, 1).n_pieces;

    return a->n_rows * mg_attended_heads(a) * (HEAD + PIECE * n_pieces) * (a->n_slices > 4 ? 4 : 3) / 2;
}

/* On a device with n_sms, whose blocks may ask for shared_bytes. A kernel of a step costs 1.6 to 2 us, so
 * attention may take MG_ATTENDED_CYCLES, 1.2 us at 1.75 GHz. The memory of an SM holds what other kernels ask
 * for ahead of time as well. A fifth of each SM's is left to the block of the norm before, 36 KB for small;
 * half of all SMs' to the products around it. */
static inline bool mg_attended_pays(const mg_attended *a, int64_t n_sms, size_t shared_bytes)
{
    const int64_t n_blocks = (a->n_out + MG_TILE_HALF - 1) / MG_TILE_HALF;

    if (a->n_rows < 1 || a->n_keys > MG_SEGMENT || a->n_slices == 1 || a->n_heads % a->n_slices) return false;
    if (mg_few_chunks(mg_attended_steps(a), true) > MG_ATTENDED_STEPS / MG_FEW_CHUNK) return false;
    if (mg_attended_cycles(a) > MG_ATTENDED_CYCLES) return false;
    const size_t bytes = mg_attended_bytes(a), all = (size_t)n_sms * shared_bytes;
    return bytes <= shared_bytes / 5 * 4 && (size_t)n_blocks * bytes <= all / 2;
}

#endif
