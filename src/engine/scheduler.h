/* Runs a replica's clips through its slots, from their conditions to their codes. Clips of different lengths
 * share each step, and a finished one makes room at once for the next. Every rank of the group runs the same
 * schedule in lockstep and draws the same codes. The leader alone has the clips: it takes them from a source
 * (clip_source.h) and hands them on when their codes are there, to a finisher (finisher.h) as a rule. */
#ifndef MG_SCHEDULER_H
#define MG_SCHEDULER_H

#include "clip_source.h"

typedef struct mg_scheduler mg_scheduler;

/* On the leader, once for every clip that the source handed out: its codes are there, or its fault is. It
 * owns the clip from now on, whatever it returns. A status other than MG_OK ends the run. */
typedef mg_status mg_clip_made(void *arg, mg_ready_clip *clip);

/* Room for all that the steps need: they allocate nothing. `r` is loaded, and borrowed. */
mg_status mg_scheduler_open(mg_scheduler **out, mg_replica *r);
void mg_scheduler_close(mg_scheduler *s);

/* On the leader, behind a step: frames [0, n_frames) of clip->codes are there, and later steps leave them
 * alone. It must not wait. A status other than MG_OK ends the run. */
typedef mg_status mg_clip_grown(void *arg, const mg_ready_clip *clip, int64_t n_frames);

/* From now on `grown` is told of each clip's codes, about every n_frames frames; it makes the steps wait for
 * the device so often. */
void mg_scheduler_listen(mg_scheduler *s, mg_clip_grown *grown, void *arg, int64_t n_frames);

/* Make the source's clips until it is over; `from` is NULL on all ranks but the leader. Collective over the
 * group, not agreed: a rank that fails here ends the run for all. MG_ESTOPPED between steps. */
mg_status mg_scheduler_run(mg_scheduler *s, const mg_clip_source *from, mg_clip_made *made, void *arg);

/* Forward passes so far, and the seconds they took. */
int64_t mg_scheduler_n_steps(const mg_scheduler *s);
double mg_scheduler_step_s(const mg_scheduler *s);

#endif
