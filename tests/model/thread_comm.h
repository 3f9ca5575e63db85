/* A group of ranks that are threads of one test program, so that tensor parallelism is tested without
 * processes. The sum is taken in rank order as a binary tree, as comm.h asks. */
#ifndef MG_THREAD_COMM_H
#define MG_THREAD_COMM_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"

enum { THREAD_COMM_MAX = 8 };

typedef struct thread_group {
    int size;
    pthread_barrier_t barrier;
    const void *piece[THREAD_COMM_MAX];
    mg_comm comm[THREAD_COMM_MAX];
} thread_group;

static inline float thread_tree_sum(const thread_group *g, int64_t i, int first, int n)
{
    if (n == 1) return ((const float *)g->piece[first])[i];
    return thread_tree_sum(g, i, first, n / 2) + thread_tree_sum(g, i, first + n / 2, n / 2);
}

static inline mg_status thread_all_reduce(mg_comm *c, float *x, int64_t n)
{
    thread_group *g = c->ctx;
    float *sum = malloc((size_t)n * sizeof *sum);

    if (!sum) return mg_fail(MG_ENOMEM, "thread_comm: %lld values", (long long)n);
    g->piece[c->rank] = x;
    pthread_barrier_wait(&g->barrier);
    for (int64_t i = 0; i < n; i++) sum[i] = thread_tree_sum(g, i, 0, g->size);
    pthread_barrier_wait(&g->barrier);
    memcpy(x, sum, (size_t)n * sizeof *sum);
    free(sum);
    return MG_OK;
}

static inline mg_status thread_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    thread_group *g = c->ctx;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    g->piece[c->rank] = mine;
    pthread_barrier_wait(&g->barrier);
    for (int r = 0; r < g->size; r++) memcpy((char *)all + (size_t)r * bytes, g->piece[r], bytes);
    pthread_barrier_wait(&g->barrier);
    return MG_OK;
}

static inline mg_status thread_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    thread_group *g = c->ctx;

    if (c->rank == root) g->piece[root] = x;
    pthread_barrier_wait(&g->barrier);
    if (c->rank != root) memcpy(x, g->piece[root], (size_t)n * mg_dtype_bytes(dtype));
    pthread_barrier_wait(&g->barrier);
    return MG_OK;
}

static inline mg_status thread_barrier(mg_comm *c)
{
    pthread_barrier_wait(&((thread_group *)c->ctx)->barrier);
    return MG_OK;
}

static inline void thread_close(mg_comm *c)
{
    c->ctx = NULL;
}

static inline void thread_group_open(thread_group *g, int size)
{
    static const mg_comm_iface iface = {.all_reduce = thread_all_reduce,
                                        .all_gather = thread_all_gather,
                                        .bcast = thread_bcast,
                                        .barrier = thread_barrier,
                                        .close = thread_close};

    memset(g, 0, sizeof *g);
    g->size = size;
    pthread_barrier_init(&g->barrier, NULL, (unsigned)size);
    for (int r = 0; r < size; r++)
        g->comm[r] = (mg_comm){.iface = &iface, .name = "threads", .rank = r, .size = size, .ctx = g};
}

static inline void thread_group_close(thread_group *g)
{
    pthread_barrier_destroy(&g->barrier);
}

#endif
