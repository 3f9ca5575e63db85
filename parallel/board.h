/* The notice board of a host: which of its ranks live, and how those that left took their leave. A lost rank
 * is seen by every other rank of its host within one look; what happens on other hosts is not seen here. */
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

/* MG_OK, or: a rank of this host is dead or left with an error (MG_ECOMM), or was asked to stop
 * (MG_ESTOPPED). `call` names what we were doing. */
mg_status mg_board_look(mg_board *b, const char *call);

/* Tell the others that this rank gives up with `st`. `spoke`: it has said why, nobody else needs to.
 * `b` may be NULL. */
void mg_board_leave(mg_board *b, mg_status st, bool spoke);

/* Record a failure that others of this host find too: the first to come keeps its message, the rest get "".
 */
mg_status mg_board_fail(mg_board *b, mg_status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "rank 2 (host node1, pid 123)"; the text lives as long as the board, until the next call. */
const char *mg_board_name(mg_board *b, int rank);

#endif
