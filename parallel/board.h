/* The notice board of a host, in shared memory: which of its ranks live, and with what status the others
 * ended. Every rank of a host sees a lost rank at its next look. Other hosts are not seen. */
#ifndef MG_BOARD_H
#define MG_BOARD_H

#include <stdbool.h>

#include "comm.h"
#include "placement.h"

typedef struct mg_board mg_board;

/* Collective over `local`, the ranks of this host. `placements` is borrowed, [n_ranks] of the whole world.
 * Where memory cannot be shared the board is blind: it knows the placements and sees nothing. */
mg_status mg_board_open(mg_board **out, mg_comm *local, const mg_placement *placements, int n_ranks,
                        int rank);
void mg_board_close(mg_board *b);

/* True if the ranks of this host can share memory. */
bool mg_board_sees(const mg_board *b);

/* MG_ECOMM if a rank of this host is dead or ended with an error; MG_ESTOPPED if one was asked to stop.
 * `call` names the caller's operation in the message. */
mg_status mg_board_look(mg_board *b, const char *call);

/* Tell the other ranks that this one ends with `st`. `spoke`: it has printed the reason, so they need not.
 * `b` may be NULL. */
void mg_board_leave(mg_board *b, mg_status st, bool spoke);

/* Who has nothing to say waits until the rank that speaks has left, which it does when it has spoken; for
 * `most_s` at most. `b` may be NULL. */
void mg_board_hear(const mg_board *b, double most_s);

/* Record a failure that several ranks of this host detect: the first caller keeps its message, the others
 * get "". */
mg_status mg_board_fail(mg_board *b, mg_status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Is this rank of this host stopped (SIGSTOP, a debugger)? False where we cannot tell. */
bool mg_board_is_stopped(const mg_board *b, int rank);

/* "rank 2 (host node1, pid 123)"; the text lives as long as the board, until the next call. */
const char *mg_board_name(mg_board *b, int rank);

#endif
