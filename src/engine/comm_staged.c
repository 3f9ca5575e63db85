#include "comm_staged.h"

#include <stdlib.h>

enum { PIECE_BYTES = 4 << 20 }; /* of one rank */

typedef struct staged {
    const mg_ops *ops;
    mg_comm *host;
    char *room; /* [1 + size, PIECE_BYTES]: mine, and everybody's */
} staged;

static mg_status staged_all_reduce(mg_comm *c, float *x, int64_t n)
{
    staged *s = c->ctx;
    const int64_t n_piece = PIECE_BYTES / (int64_t)sizeof *x;
    float *mine = (float *)(void *)s->room;

    for (int64_t at = 0; at < n; at += n_piece) {
        const int64_t n_now = n - at < n_piece ? n - at : n_piece;
        const size_t bytes = (size_t)n_now * sizeof *x;
        MG_RETURN(mg_download(s->ops, mine, x + at, bytes));
        MG_RETURN(mg_comm_all_reduce(s->host, mine, n_now));
        MG_RETURN(mg_upload(s->ops, x + at, mine, bytes));
    }
    return MG_OK;
}

static mg_status staged_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    staged *s = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        const size_t now_bytes = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        MG_RETURN(mg_download(s->ops, s->room, (const char *)mine + at, now_bytes));
        MG_RETURN(mg_comm_all_gather(s->host, s->room + PIECE_BYTES, s->room, (int64_t)now_bytes, MG_U8));
        for (int r = 0; r < c->size; r++)
            MG_RETURN(mg_upload(s->ops, (char *)all + (size_t)r * bytes + at,
                                s->room + PIECE_BYTES + (size_t)r * now_bytes, now_bytes));
    }
    return MG_OK;
}

static mg_status staged_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    staged *s = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        const size_t now_bytes = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        if (c->rank == root) MG_RETURN(mg_download(s->ops, s->room, (char *)x + at, now_bytes));
        MG_RETURN(mg_comm_bcast(s->host, s->room, (int64_t)now_bytes, MG_U8, root));
        if (c->rank != root) MG_RETURN(mg_upload(s->ops, (char *)x + at, s->room, now_bytes));
    }
    return MG_OK;
}

static mg_status staged_barrier(mg_comm *c)
{
    staged *s = c->ctx;

    return mg_comm_barrier(s->host);
}

static void staged_close(mg_comm *c)
{
    staged *s = c->ctx;

    if (!s) return;
    free(s->room);
    free(s);
}

static const mg_comm_iface iface = {
    .all_reduce = staged_all_reduce,
    .all_gather = staged_all_gather,
    .bcast = staged_bcast,
    .barrier = staged_barrier,
    .close = staged_close,
};

mg_status mg_comm_staged_open(mg_comm **out, const mg_ops *ops, mg_comm *host)
{
    mg_comm *c = calloc(1, sizeof *c);
    staged *s = calloc(1, sizeof *s);
    char *room = malloc((size_t)(1 + host->size) * PIECE_BYTES);

    *out = NULL;
    if (!c || !s || !room) {
        free(c), free(s), free(room);
        return mg_fail(MG_ENOMEM, "staged: a group of %d ranks", host->size);
    }
    *s = (staged){.ops = ops, .host = host, .room = room};
    *c = (mg_comm){.iface = &iface,
                   .name = "staged",
                   .rank = host->rank,
                   .size = host->size,
                   .space = ops->space,
                   .ctx = s};
    *out = c;
    return MG_OK;
}
