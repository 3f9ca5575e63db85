/* Finishes clips behind the steps, on a thread of its own and the replica's backend beside: decodes their
 * codes and hands out their results. Clips that wait are decoded several at once. The queue is bounded: a
 * slow disk holds up the steps only when it is full. A replica without a backend beside has no thread here: a
 * clip is finished when it is put.
 *
 * One clip can be heard while its codes are still being made: piece by piece, the same sound.
 *
 * A clip's fault is in its result. A failure of `done` is the end of the run: it comes back from the next put
 * or drain, and later clips are dropped. */
#ifndef MG_FINISHER_H
#define MG_FINISHER_H

#include "ready_clip.h"
#include "replica.h"

typedef struct mg_finisher mg_finisher;

/* On the finisher's thread, once for every clip, in the order of put. It may wait for files. A status other
 * than MG_OK ends the run. */
typedef mg_status mg_clip_done(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* On the finisher's thread: frames [first, end) of the clip's sound are there, and their values may be
 * changed. Pieces come in order. The result has nothing yet that comes at the end. A status other than MG_OK
 * ends the run. */
typedef mg_status mg_clip_heard(void *arg, const mg_clip *clip, const mg_clip_result *so_far, int64_t first,
                                int64_t end);

/* Codec frames of a piece, half a second of them, and of those that its codes come in. */
enum { MG_PIECE_FRAMES = 25, MG_GROWN_FRAMES = 5 };

/* At most n_queue clips wait. `r` is loaded, and borrowed. On a leader. */
mg_status mg_finisher_open(mg_finisher **out, mg_replica *r, int64_t n_queue, mg_clip_done *done, void *arg);

/* For a call of one clip, before the steps: it goes to `heard` as its codes come by mg_finisher_grow, a
 * scheduler's mg_clip_grown, and to `done` at last. The thread has the codec meanwhile. False, and nothing is
 * heard, in a replica without a backend beside or without a decoder. `clip` is borrowed until it is put or
 * the finisher is closed. */
bool mg_finisher_listen(mg_finisher *f, mg_clip_heard *heard);
mg_status mg_finisher_grow(void *finisher, const mg_ready_clip *clip, int64_t n_frames);

/* Works on what waits for up to two seconds more, drops the rest, and finishes the clips at hand. The second:
 * for so many seconds; tests ask it of machines that are slow. */
void mg_finisher_close(mg_finisher *f);
void mg_finisher_close_within(mg_finisher *f, double grace_s);

/* Takes the clip, also where it fails. Waits while the queue is full; MG_ESTOPPED if a signal asks to stop.
 * `finisher` is an mg_finisher: this is a scheduler's mg_clip_made. One caller at a time. */
mg_status mg_finisher_put(void *finisher, mg_ready_clip *clip);

/* Until all clips are done. MG_ESTOPPED if a signal asks to stop. */
mg_status mg_finisher_drain(mg_finisher *f);

/* What has ended its work, as put and drain return it: for who has nothing to put. MG_OK: it works. */
mg_status mg_finisher_check(mg_finisher *f);

/* How many more can be put without waiting. */
int64_t mg_finisher_room(mg_finisher *f);

#endif
