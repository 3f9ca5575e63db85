/* The checked front doors of a group, and what needs no backend of its own. */
#include "comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mg_comm_sums_in_order(const char *name)
{
    return !name || strcmp(name, "nccl/fast") != 0;
}

/* What an exchange returns. */
static mg_status exchanged(mg_comm *c, mg_status st)
{
    if (st == MG_OK) return st;
    c->torn = mg_fault_take(st);
    return mg_fault_raise(&c->torn);
}

/* An exchange, if the group is whole and there is anything to exchange. */
#define EXCHANGE(n, call) \
    (c->torn.st != MG_OK ? mg_fault_raise(&c->torn) : (n) > 0 ? exchanged(c, c->iface->call) : MG_OK)

mg_status mg_comm_all_reduce(mg_comm *c, float *x, int64_t n)
{
    MG_REQUIRE(c && n >= 0 && (x || n == 0));
    MG_REQUIRE((c->size & (c->size - 1)) == 0); /* the tree is whole */
    return EXCHANGE(n, all_reduce(c, x, n));
}

bool mg_comm_can_add(const mg_comm *c)
{
    return c->iface->all_reduce_add != NULL;
}

mg_status mg_comm_all_reduce_add(mg_comm *c, float *y, float *x, int64_t n)
{
    MG_REQUIRE(c && n >= 0 && ((x && y && x != y) || n == 0));
    MG_REQUIRE((c->size & (c->size - 1)) == 0 && mg_comm_can_add(c));
    return EXCHANGE(n, all_reduce_add(c, y, x, n));
}

mg_status mg_comm_tune(mg_comm *c, int64_t n)
{
    MG_REQUIRE(c && n > 0);
    return c->iface->tune ? c->iface->tune(c, n) : MG_OK;
}

mg_status mg_comm_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    MG_REQUIRE(c && n >= 0 && ((all && mine && all != mine) || n == 0));
    MG_REQUIRE(mg_dtype_bytes(dtype) > 0);
    return EXCHANGE(n, all_gather(c, all, mine, n, dtype));
}

mg_status mg_comm_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    MG_REQUIRE(c && n >= 0 && (x || n == 0));
    MG_REQUIRE(root >= 0 && root < c->size && mg_dtype_bytes(dtype) > 0);
    return EXCHANGE(n, bcast(c, x, n, dtype, root));
}

mg_status mg_comm_barrier(mg_comm *c)
{
    MG_REQUIRE(c);
    return EXCHANGE(1, barrier(c));
}

mg_status mg_comm_agree(mg_comm *c, mg_status mine)
{
    char message[4096]; /* our own cause outlives a failing exchange */
    const int32_t word[2] = {(int32_t)mine, mine != MG_OK && *mg_last_error() != '\0'};

    MG_REQUIRE(c && c->space == MG_HOST && c->statuses);
    int32_t *all = c->statuses;

    memset(all, 0, (size_t)c->size * 2 * sizeof *all);
    snprintf(message, sizeof message, "%s", mg_last_error());
    const mg_status st = mg_comm_all_gather(c, all, word, 2, MG_I32);
    int r = 0; /* the lowest failing rank that has a message, or that has none if none has */
    while (r < c->size && !all[2 * r + 1]) r++;
    if (r == c->size)
        for (r = 0; r < c->size && all[2 * r] == MG_OK;) r++;
    const mg_status worst = r < c->size ? (mg_status)all[2 * r] : MG_OK;

    if (st != MG_OK) return mine == MG_OK ? st : mg_fail(mine, "%s", message);
    if (worst != MG_OK && r != c->rank) mg_clear_error();
    c->agreed = worst;
    return worst;
}

mg_comm *mg_comm_make(const mg_comm_iface *iface, const char *name, int rank, int size, void *ctx)
{
    mg_comm *c = malloc(sizeof *c + (size_t)size * 2 * sizeof *c->statuses);

    if (!c) return NULL;
    *c = (mg_comm){.iface = iface, .name = name, .rank = rank, .size = size, .ctx = ctx};
    c->statuses = (int32_t *)(void *)(c + 1);
    return c;
}

void mg_comm_close(mg_comm *c)
{
    if (!c) return;
    c->iface->close(c);
    free(c);
}
