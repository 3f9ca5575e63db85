/* A shared page with a card for each rank of the host, and a pidfd for each peer: the kernel makes it
 * readable when the process ends, also as a zombie, and never confuses it with a later process of the same
 * number. */
#include "board.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "shared_map.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* glibc has the call since 2.36 alone, and older headers no number for it */
#endif

enum { PATIENCE_MS = 200 };

typedef struct card {
    _Alignas(64) atomic_int left; /* 0: still here; else 1 + mg_status */
} card;

typedef struct page {
    _Alignas(64) atomic_int speaker; /* 0: nobody yet; else 1 + world rank of the one that tells the user */
    card cards[];                    /* [n_local] */
} page;

struct mg_board {
    const mg_placement *placements; /* [n_ranks], borrowed */
    int rank, n_local, i_local;
    int *local_ranks;     /* [n_local] world ranks, ascending */
    struct pollfd *peers; /* [n_local]; fd -1: ourselves, or a process that we cannot tell for sure */
    mg_shared_map map;
    page *page; /* NULL: blind */
    char name[128];
};

static void watch_peer(mg_board *b, int i)
{
    const mg_placement *placement = &b->placements[b->local_ranks[i]];

    b->peers[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    if (i == b->i_local || placement->start_ticks == 0) return;
    const int fd = (int)syscall(SYS_pidfd_open, (pid_t)placement->pid, 0); /* Linux before 5.3: -1 */
    if (fd >= 0 && mg_process_start_ticks(placement->pid) == placement->start_ticks)
        b->peers[i].fd = fd;
    else if (fd >= 0)
        close(fd); /* another pid namespace: the number means somebody else there */
}

mg_status mg_board_open(mg_board **out, mg_comm *local, const mg_placement *placements, int n_ranks, int rank)
{
    mg_status st = MG_OK;
    mg_board *b = calloc(1, sizeof *b);
    const size_t n_local = (size_t)local->size;

    *out = NULL;
    if (b) {
        *b = (mg_board){.placements = placements, .rank = rank, .i_local = local->rank};
        b->local_ranks = calloc(n_local, sizeof *b->local_ranks);
        b->peers = calloc(n_local, sizeof *b->peers);
    }
    if (!b || !b->local_ranks || !b->peers) st = mg_fail(MG_ENOMEM, "board: %zu ranks", n_local);
    MG_TRY(mg_comm_agree(local, st));
    for (int r = 0; r < n_ranks; r++) {
        if (placements[r].first_of_host != placements[rank].first_of_host) continue;
        b->local_ranks[b->n_local] = r;
        watch_peer(b, b->n_local++);
    }
    *out = b;
    if (local->size == 1) return MG_OK;
    if (mg_shared_map_open(&b->map, local, sizeof(page) + n_local * sizeof(card)) == MG_OK)
        b->page = b->map.base;
    else
        mg_clear_error(); /* blind, on all ranks of this host */
done:
    if (st != MG_OK) mg_board_close(b);
    return st;
}

void mg_board_close(mg_board *b)
{
    if (!b) return;
    for (int i = 0; b->peers && i < b->n_local; i++)
        if (b->peers[i].fd >= 0) close(b->peers[i].fd);
    mg_shared_map_close(&b->map);
    free(b->peers);
    free(b->local_ranks);
    free(b);
}

bool mg_board_sees(const mg_board *b)
{
    return b->page != NULL;
}

const char *mg_board_name(mg_board *b, int rank)
{
    const mg_placement *placement = &b->placements[rank];

    snprintf(b->name, sizeof b->name, "rank %d (host %s, pid %" PRId64 ")", rank, placement->host,
             placement->pid);
    return b->name;
}

bool mg_board_is_stopped(const mg_board *b, int rank)
{
    for (int i = 0; i < b->n_local; i++)
        if (b->local_ranks[i] == rank && b->peers[i].fd >= 0)
            return mg_process_is_stopped(b->placements[rank].pid);
    return false;
}

static bool is_left(const mg_board *b, int i)
{
    return b->page && atomic_load(&b->page->cards[i].left) > 0;
}

/* A rank that left in good order and whose process then ended is no loss. */
static bool is_dead(const mg_board *b, int i)
{
    return b->peers[i].fd >= 0 && b->peers[i].revents != 0 && !is_left(b, i);
}

/* The lowest rank that is still here speaks, so the others let it come first: it finds the same within a
 * look, unless it is stuck. */
static bool may_speak(mg_board *b, bool at_once)
{
    bool i_am_lowest = true;
    int nobody = 0;

    if (!b->page) return true;
    for (int i = 0; i < b->i_local; i++) i_am_lowest = i_am_lowest && (is_dead(b, i) || is_left(b, i));
    for (int t_ms = 0; !at_once && !i_am_lowest && t_ms < PATIENCE_MS && !atomic_load(&b->page->speaker);
         t_ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    return atomic_compare_exchange_strong(&b->page->speaker, &nobody, b->rank + 1) || nobody == b->rank + 1;
}

mg_status mg_board_fail(mg_board *b, mg_status st, const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (may_speak(b, false)) return mg_fail(st, "%s", message);
    mg_clear_error();
    return st;
}

void mg_board_leave(mg_board *b, mg_status st, bool spoke)
{
    if (!b || !b->page) return;
    if (spoke) may_speak(b, true);
    atomic_store(&b->page->cards[b->i_local].left, 1 + (int)st);
}

void mg_board_hear(const mg_board *b, double most_s)
{
    const int speaker = b && b->page ? atomic_load(&b->page->speaker) - 1 : -1;
    int i = 0;

    if (speaker < 0 || speaker == b->rank) return;
    while (i < b->n_local && b->local_ranks[i] != speaker) i++;
    for (int t_ms = 0; i < b->n_local && t_ms < most_s * 1000 && !is_left(b, i) && !is_dead(b, i); t_ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
}

static mg_status status_left(const mg_board *b, int i)
{
    const int left = atomic_load(&b->page->cards[i].left);

    return left > 0 ? (mg_status)(left - 1) : MG_OK;
}

mg_status mg_board_look(mg_board *b, const char *call)
{
    int i_left = -1; /* the first that failed by itself, else the first that followed another's failure */

    if (poll(b->peers, (nfds_t)b->n_local, 0) > 0)
        for (int i = 0; i < b->n_local; i++)
            if (is_dead(b, i))
                return mg_board_fail(b, MG_ECOMM, "%s: %s is gone: it was killed, or it crashed", call,
                                     mg_board_name(b, b->local_ranks[i]));
    for (int i = 0; b->page && i < b->n_local; i++) {
        const mg_status st = i == b->i_local ? MG_OK : status_left(b, i);
        if (st == MG_OK || st == MG_EPARTIAL) continue;
        if (i_left < 0 || (status_left(b, i_left) == MG_ECOMM && st != MG_ECOMM)) i_left = i;
    }
    if (i_left < 0) return MG_OK;
    const mg_status st = status_left(b, i_left);
    const char *who = mg_board_name(b, b->local_ranks[i_left]);
    if (mg_status_is_stop(st))
        return mg_board_fail(b, MG_ESTOPPED, "%s: stopped: %s was asked to stop", call, who);
    return mg_board_fail(b, MG_ECOMM, "%s: %s left with an error (its exit code is %d)", call, who,
                         mg_exit_code(st));
}
