/* Ranks on different GPUs. A sum gathers every rank's part and adds them in the tree that all backends share,
 * so its bits are those of shm and mpi; where ranks share a host, one kernel does both over mailboxes; `fast`
 * leaves the order to NCCL. Every call is queued in the stream of the backend and nobody waits for it here:
 * who waits for the device calls mg_comm_nccl_check meanwhile, which finds NCCL's asynchronous errors, lost
 * ranks and the deadline, and aborts the communicator. comm_nccl_sum.c has the sums and that check,
 * comm_nccl_tune.c chooses between the two ways. */
#include "comm_nccl_impl.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

typedef mg_nccl_group group;

static mg_status nccl_all_reduce(mg_comm *c, float *x, int64_t n)
{
    const group *g = c->ctx;

    return mg_nccl_sum(c, g->reduce, NULL, x, n);
}

static mg_status nccl_all_reduce_add(mg_comm *c, float *y, float *x, int64_t n)
{
    const group *g = c->ctx;

    return mg_nccl_sum(c, g->reduce, y, x, n);
}

static mg_status nccl_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    group *g = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    return mg_nccl_queued(c, g->nccl->all_gather(mine, all, bytes, ncclUint8, g->comm, g->stream),
                          "all_gather");
}

static mg_status nccl_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    group *g = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    return mg_nccl_queued(c, g->nccl->broadcast(x, x, bytes, ncclUint8, root, g->comm, g->stream), "bcast");
}

/* In the stream: what is queued behind it on one rank begins when all ranks have come so far. */
static mg_status nccl_barrier(mg_comm *c)
{
    group *g = c->ctx;

    return nccl_all_gather(c, g->token + 1, g->token, 1, MG_I32);
}

/* Lets the stream run out, as long as the other ranks do their part. */
static void finish(mg_comm *c)
{
    group *g = c->ctx;
    mg_wait w = mg_wait_begin(g->watchdog, "closing the group");

    while (!g->torn && cudaStreamQuery(g->stream) == cudaErrorNotReady)
        if (mg_wait_idle(&w, -1) != MG_OK) mg_nccl_give_up(g);
}

static void nccl_close(mg_comm *c)
{
    group *g = c->ctx;

    if (!g) return;
    if (g->comm) finish(c);
    if (g->torn) mg_nccl_give_up(g);
    if (g->comm) (void)g->nccl->comm_destroy(g->comm);
    g->comm = NULL;
    if (g->ops && !g->torn) mg_ops_release(g->ops, g->parts, g->parts_bytes);
    (void)cudaStreamSynchronize(g->stream); /* nobody in it waits for ranks any more */
    mg_nccl_gave_up(g);
    mg_mailboxes_close(&g->mail);
    free(g);
}

static const mg_comm_iface iface = {
    .all_reduce = nccl_all_reduce,
    .all_gather = nccl_all_gather,
    .bcast = nccl_bcast,
    .barrier = nccl_barrier,
    .close = nccl_close,
    .all_reduce_add = nccl_all_reduce_add,
    .tune = mg_nccl_tune,
};

int mg_comm_nccl_version(void)
{
    const mg_nccl *nccl;
    int version = 0;

    if (mg_nccl_find(&nccl) != MG_OK) {
        mg_clear_error();
        return 0;
    }
    return nccl->get_version(&version) == ncclSuccess ? version : 0;
}

/* Every rank must have the same NCCL: a mixture connects and then hangs or worse. */
static mg_status same_version(mg_comm *host, int mine)
{
    int32_t first = mine;

    MG_RETURN(mg_comm_bcast(host, &first, 1, MG_I32, 0));
    if (first == mine) return MG_OK;
    return mg_fail(MG_EFIT, "nccl: version %d.%d.%d here and %d.%d.%d on rank 0 of the group: install one",
                   mine / 10000, mine / 100 % 100, mine % 100, (int)first / 10000, (int)first / 100 % 100,
                   (int)first % 100);
}

static mg_status take_memory(mg_comm *c)
{
    group *g = c->ctx;
    void *block = NULL;

    const size_t sums = (size_t)c->size * MG_NCCL_PIECE_BYTES;
    g->parts_bytes = sums + ((size_t)c->size + 1) * sizeof *g->token;
    MG_RETURN(mg_ops_alloc(g->ops, &block, g->parts_bytes));
    g->parts = block;
    g->token = (int32_t *)(void *)((char *)block + sums);
    mg_tensor token = mg_tensor_1d(g->token, MG_I32, 1 + c->size);
    return mg_zero(g->ops, &token);
}

/* Mailboxes, if they are wanted and can be. Collective over host. */
static mg_status open_mailboxes(mg_comm *c, mg_comm *host)
{
    group *g = c->ctx;
    const char *why = NULL;

    if (g->reduce != MG_REDUCE_ONESHOT && g->reduce != MG_REDUCE_AUTO) return MG_OK;
    MG_RETURN(mg_mailboxes_open(&g->mail, g->ops, host, &why));
    if (!why) return MG_OK;
    if (g->reduce == MG_REDUCE_ONESHOT)
        return mg_fail(MG_EFIT, "option --reduce: oneshot: %s; use --reduce auto", why);
    mg_log_detail("sums over ranks: by NCCL, since %s", why);
    g->reduce = MG_REDUCE_NCCL;
    return MG_OK;
}

/* Since 2.22 NCCL joins the ranks, and takes memory for that, at the first call of a kind and a size: so now,
 * and not when the plan has given away what is free, or a step is recorded. What is moved does not matter. */
static mg_status join_ranks(mg_comm *c)
{
    group *g = c->ctx;
    static const size_t some_bytes[] = {4, 64 << 10, MG_NCCL_PIECE_BYTES};

    for (size_t i = 0; i < sizeof some_bytes / sizeof *some_bytes; i++) {
        const size_t bytes = some_bytes[i];
        const char *mine = (const char *)g->parts + (size_t)c->rank * bytes;
        MG_RETURN(mg_nccl_queued(c, g->nccl->all_gather(mine, g->parts, bytes, ncclUint8, g->comm, g->stream),
                                 "connecting"));
        if (g->reduce != MG_REDUCE_FAST) continue;
        MG_RETURN(mg_nccl_queued(c,
                                 g->nccl->all_reduce(g->parts, g->parts, bytes / sizeof(float), ncclFloat32,
                                                     ncclSum, g->comm, g->stream),
                                 "connecting"));
    }
    return mg_nccl_run_out(c, INFINITY, NULL);
}

static const char *const names[] = {"nccl", "nccl", "oneshot", "nccl/fast"};

static mg_status open_local(mg_comm *c, group *g, ncclUniqueId *id)
{
    c->ctx = g;
    MG_RETURN(mg_nccl_find(&g->nccl));
    MG_RETURN(take_memory(c));
    if (c->rank == 0 && g->nccl->get_unique_id(id) != ncclSuccess)
        return mg_nccl_fail(c, ncclSystemError, "ncclGetUniqueId");
    return MG_OK;
}

mg_status mg_comm_nccl_open(mg_comm **out, const mg_ops *ops, const mg_cuda_group_settings *s)
{
    mg_status st = MG_OK;
    mg_comm *host = s->host;
    mg_comm *c = calloc(1, sizeof *c);
    group *g = calloc(1, sizeof *g);
    ncclUniqueId id = {{0}};
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;

    *out = NULL;
    if (!c || !g) {
        free(c), free(g);
        c = NULL;
        st = mg_fail(MG_ENOMEM, "nccl: a group of %d ranks", host->size);
    } else {
        *g = (group){.ops = ops,
                     .host = host,
                     .watchdog = s->watchdog,
                     .stream = mg_cuda_join_group(ops),
                     .first_rank = s->first_rank,
                     .reduce = s->reduce};
        *c = (mg_comm){.iface = &iface,
                       .name = names[s->reduce],
                       .rank = host->rank,
                       .size = host->size,
                       .space = MG_DEVICE};
        st = open_local(c, g, &id);
    }
    MG_TRY(mg_comm_agree(host, st));
    MG_TRY(mg_comm_agree(host, same_version(host, mg_comm_nccl_version())));
    MG_TRY(mg_comm_bcast(host, &id, sizeof id, MG_U8, 0));
    config.blocking = 0;
    st = mg_nccl_queued(c, g->nccl->comm_init_rank_config(&g->comm, host->size, id, host->rank, &config),
                        "connecting");
    MG_TRY(mg_comm_agree(host, st));
    MG_TRY(mg_comm_agree(host, join_ranks(c)));
    MG_TRY(mg_comm_agree(host, open_mailboxes(c, host)));
    *out = c;
done:
    if (st != MG_OK) mg_comm_close(c);
    return st;
}
