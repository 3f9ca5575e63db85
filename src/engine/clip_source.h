/* Where a replica's clips come from: the contract between the scheduler and whoever has clips to make.
 *
 * Who calls: the scheduler, on the leader alone, on the thread that runs the steps, between two steps. So a
 * source may talk to other ranks (over groups that the steps do not use), and needs no lock against itself.
 *
 * What may block: `next` may wait up to `wait_s` for a clip; 0 while clips are being made, for then every
 * slot of the replica waits with it. It must return after about that time, also without a clip: the other
 * ranks of the group wait for the leader, and their deadline runs.
 *
 * Who prepares: the source hands out *prepared* clips. Preparing takes from milliseconds (a text) to seconds
 * (a long audio prompt), so it belongs on another thread: preparer.h is one. A source that gets its
 * clips from a coordinator asks for them in `tick` and puts what came into a preparer. Its `next` takes out
 * what is ready.
 *
 * How faults travel: a clip that cannot be made is handed out like any other, with its fault; it takes no
 * slot and goes straight to the scheduler's `made`. A status other than MG_OK is the end of the run.
 *
 * How it stops: the scheduler looks at the stop flag before every step and leaves with MG_ESTOPPED; a source
 * that waits looks too (mg_stop_requested). Clips that were handed out and not made are gone then.
 *
 * Several replicas: each leader has a source of its own, and they need not agree on anything. Dealt
 * beforehand (mg_list_source over every n-th clip) they never talk. To pull, a leader's `tick` asks the
 * coordinator without waiting and looks whether an answer has come; the coordinator is a leader too, and its
 * `tick`, which is called before every step and between two waits, answers the others. `over` is final:
 * say it when nothing can come any more, not when there is nothing now. */
#ifndef MG_CLIP_SOURCE_H
#define MG_CLIP_SOURCE_H

#include "preparer.h"

typedef struct mg_clip_source {
    /* The next clip, which the caller owns from now on; NULL: none yet, or, with *over, none any more. Called
     * while a slot is free, until *over. */
    mg_status (*next)(void *arg, mg_ready_clip **clip, bool *over, double wait_s);
    /* Before every forward pass, whether a slot is free or not, also after *over; may be NULL. Must not wait.
     */
    mg_status (*tick)(void *arg);
    /* Behind every step: the frames that this source's clips have so far; may be NULL. Must not wait. */
    mg_status (*tell)(void *arg, int64_t n_frames);
    void *arg;
} mg_clip_source;

/* A source over clips that are all known, in order; they are prepared ahead, as many as the preparer takes.
 * Each is waited for, so that the same clips share the same steps whatever else happens. */
typedef struct mg_list_source {
    mg_preparer *preparer;      /* borrowed; it has no other user */
    const mg_clip *const *clip; /* [n] borrowed */
    int64_t n, n_put, n_taken;
    mg_status (*tell)(void *list, int64_t n_frames); /* the source's; NULL: nobody wants to know */
    void *told;                                      /* for its use */
} mg_list_source;

mg_clip_source mg_list_source_of(mg_list_source *list);

#endif
