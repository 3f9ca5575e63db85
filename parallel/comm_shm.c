/* Ranks of one host. Every call is a row of rounds: copy mine into my slot, publish the round number, wait
 * until all have published it, read what I need from all slots. Two sets of slots take turns: who starts
 * round e has seen everybody finish e-1, hence done with reading e-2, whose slots are used again. Longer
 * messages go in pieces of a slot.
 *
 * Waiting is spinning on the round numbers, a short while if processors are scarce, then sleeping on one
 * futex word that the last rank to arrive bumps. */
#include "comm_shm.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reduce_tree.h"
#include "shared_map.h"

enum {
    SLOT_BYTES = 256 * 1024,
    SPIN_CHUNK = 64, /* pauses between two looks at the clock */
    MAX_YIELDS = 16, /* more ranks than processors: 8 on 2 take half the time of sleeping at once */
};

static const double SPIN_S = 1e-3; /* a processor each: longer than any gap inside a step */

typedef struct flag {
    _Alignas(64) atomic_uint round; /* the last round its rank has published; wraps */
} flag;

typedef struct header {
    _Alignas(64) atomic_uint wake; /* futex word: bumped when a round is complete and somebody sleeps */
    _Alignas(64) atomic_uint n_sleeping;
    flag flags[]; /* [size] */
} header;

typedef struct shm {
    const mg_watchdog *watchdog;
    int first_rank;
    unsigned round;
    mg_shared_map map;
    header *head;
    char *slots;         /* [2][size][SLOT_BYTES] */
    const float **parts; /* [size] scratch for the tree */
} shm;

static char *slot_of(const mg_comm *c, int r)
{
    const shm *s = c->ctx;

    return s->slots + ((size_t)(s->round & 1) * (size_t)c->size + (size_t)r) * SLOT_BYTES;
}

/* The lowest rank that has not published our round, -1 if all have. */
static int find_missing(const mg_comm *c)
{
    const shm *s = c->ctx;

    for (int r = 0; r < c->size; r++)
        if ((int)(atomic_load(&s->head->flags[r].round) - s->round) < 0) return r;
    return -1;
}

static void publish(mg_comm *c)
{
    shm *s = c->ctx;

    /* Sequentially consistent, as in sleep_for_round: either the sleeper sees our flag or we see the sleeper.
     */
    atomic_store(&s->head->flags[c->rank].round, s->round);
    if (atomic_load(&s->head->n_sleeping) == 0 || find_missing(c) >= 0) return;
    atomic_fetch_add(&s->head->wake, 1);
    syscall(SYS_futex, &s->head->wake, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void sleep_for_round(mg_comm *c)
{
    const shm *s = c->ctx;
    const struct timespec look = {.tv_nsec = 20 * 1000 * 1000};

    atomic_fetch_add(&s->head->n_sleeping, 1);
    const unsigned seen = atomic_load(&s->head->wake);
    if (find_missing(c) >= 0) syscall(SYS_futex, &s->head->wake, FUTEX_WAIT, seen, &look, NULL, 0);
    atomic_fetch_sub(&s->head->n_sleeping, 1);
}

static mg_status wait_for_round(mg_comm *c, const char *call)
{
    const shm *s = c->ctx;
    const bool scarce = s->watchdog->oversubscribed;
    mg_wait w = mg_wait_begin(s->watchdog, call);
    int missing;

    for (int i = 1; (missing = find_missing(c)) >= 0; i++) {
        if (scarce && i <= MAX_YIELDS) {
            sched_yield();
        } else if (!scarce && i % SPIN_CHUNK != 0) {
            mg_pause();
        } else {
            if (scarce || mg_wait_s(&w) >= SPIN_S) sleep_for_round(c);
            MG_RETURN(mg_wait_check(&w, s->first_rank + missing));
        }
    }
    return MG_OK;
}

/* One round: what `bytes` of mine say is in everybody's slots afterwards. */
static mg_status exchange(mg_comm *c, const void *mine, size_t bytes, const char *call)
{
    shm *s = c->ctx;

    s->round++;
    if (bytes > 0) memcpy(slot_of(c, c->rank), mine, bytes);
    publish(c);
    return wait_for_round(c, call);
}

static mg_status shm_all_reduce(mg_comm *c, float *x, int64_t n)
{
    shm *s = c->ctx;
    const int64_t n_slot = SLOT_BYTES / (int64_t)sizeof *x;

    for (int64_t at = 0; at < n; at += n_slot) {
        const int64_t n_now = n - at < n_slot ? n - at : n_slot;
        MG_RETURN(exchange(c, x + at, (size_t)n_now * sizeof *x, "all_reduce"));
        for (int r = 0; r < c->size; r++) s->parts[r] = (const float *)(const void *)slot_of(c, r);
        mg_tree_sum(x + at, s->parts, c->size, n_now);
    }
    return MG_OK;
}

static mg_status shm_all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    for (size_t at = 0; at < bytes; at += SLOT_BYTES) {
        const size_t now_bytes = bytes - at < SLOT_BYTES ? bytes - at : SLOT_BYTES;
        MG_RETURN(exchange(c, (const char *)mine + at, now_bytes, "all_gather"));
        for (int r = 0; r < c->size; r++)
            memcpy((char *)all + (size_t)r * bytes + at, slot_of(c, r), now_bytes);
    }
    return MG_OK;
}

static mg_status shm_bcast(mg_comm *c, void *x, int64_t n, mg_dtype dtype, int root)
{
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);

    for (size_t at = 0; at < bytes; at += SLOT_BYTES) {
        const size_t now_bytes = bytes - at < SLOT_BYTES ? bytes - at : SLOT_BYTES;
        MG_RETURN(exchange(c, (const char *)x + at, c->rank == root ? now_bytes : 0, "bcast"));
        if (c->rank != root) memcpy((char *)x + at, slot_of(c, root), now_bytes);
    }
    return MG_OK;
}

static mg_status shm_barrier(mg_comm *c)
{
    return exchange(c, NULL, 0, "barrier");
}

static void shm_close(mg_comm *c)
{
    shm *s = c->ctx;

    if (!s) return;
    mg_shared_map_close(&s->map);
    free(s->parts);
    free(s);
}

static const mg_comm_iface shm_iface = {
    .all_reduce = shm_all_reduce,
    .all_gather = shm_all_gather,
    .bcast = shm_bcast,
    .barrier = shm_barrier,
    .close = shm_close,
};

mg_status mg_comm_shm_open(mg_comm **out, mg_comm *via, int first_rank, const mg_watchdog *watchdog)
{
    mg_status st = MG_OK;
    const size_t n = (size_t)via->size, head_bytes = (sizeof(header) + n * sizeof(flag) + 4095) / 4096 * 4096;
    shm *s = calloc(1, sizeof *s);
    mg_comm *c = mg_comm_make(&shm_iface, "shm", via->rank, via->size, s);
    const float **parts = calloc(n, sizeof *parts);

    *out = NULL;
    if (!c || !s || !parts) {
        free(c), free(s), free(parts);
        c = NULL;
        st = mg_fail(MG_ENOMEM, "comm: a group of %d ranks", via->size);
    } else {
        *s = (shm){.watchdog = watchdog, .first_rank = first_rank, .parts = parts};
    }
    MG_TRY(mg_comm_agree(via, st));
    MG_TRY(mg_shared_map_open(&s->map, via, head_bytes + 2 * n * SLOT_BYTES));
    s->head = s->map.base;
    s->slots = (char *)s->map.base + head_bytes;
    *out = c;
done:
    if (st != MG_OK) mg_comm_close(c);
    return st;
}
