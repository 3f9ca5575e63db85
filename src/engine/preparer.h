/* Prepares clips ahead (conditions.h) on a thread of its own, on the replica's backend beside, in the order
 * in which they are put. A replica without a backend beside has no thread here: a clip is prepared when it
 * is put. One user, on one thread. */
#ifndef MG_PREPARER_H
#define MG_PREPARER_H

#include "conditions.h"

typedef struct mg_preparer mg_preparer;

/* At most n_most clips are in it. `r` is loaded, and borrowed. On a leader. */
mg_status mg_preparer_open(mg_preparer **out, mg_replica *r, int64_t n_most);

/* Waits for the clip at hand alone; all that were put and not taken are closed. NULL is legal. */
void mg_preparer_close(mg_preparer *p);

/* How many more can be put now. */
int64_t mg_preparer_room(mg_preparer *p);

/* There is room. `clip` is borrowed. */
mg_status mg_preparer_put(mg_preparer *p, const mg_clip *clip);

/* The next one, in the order of put, which the caller owns from now on; NULL if it is not ready within wait_s
 * or a signal asks to stop. A failure ended the thread, and comes again with every call. */
mg_status mg_preparer_get(mg_preparer *p, mg_ready_clip **out, double wait_s);

#endif
