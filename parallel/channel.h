/* Messages between two ranks, at any time, beside the groups of comm.h: a coordinator and those who ask it. A
 * message arrives whole, and those of one sender in order. No call waits. All calls on the thread of the
 * groups. */
#ifndef MG_CHANNEL_H
#define MG_CHANNEL_H

#include <stddef.h>

#include "world.h"

typedef struct mg_channel mg_channel;

/* Collective over the world, not agreed. */
mg_status mg_channel_open(mg_channel **out, const mg_world *w);

/* Gives what was sent up to two seconds to go out; what then is still on its way is lost. NULL is legal. */
void mg_channel_close(mg_channel *c);

/* A copy of the bytes to `rank`, which may be this one. */
mg_status mg_channel_send(mg_channel *c, int rank, const void *data, size_t bytes);

/* The next message: *data, malloc'ed, with a NUL behind it, and who sent it; NULL if none is there. */
mg_status mg_channel_receive(mg_channel *c, int *rank, char **data, size_t *bytes);

#endif
