/* Runs a replica's clips through its slots: clips of different lengths share each step, and a finished one
 * makes room at once for the next. Every rank of the group runs the same schedule in lockstep and samples the
 * same codes from the same logits; the leader alone encodes texts and decodes sound. */
#ifndef MG_SCHEDULER_H
#define MG_SCHEDULER_H

#include "clip.h"
#include "replica.h"

typedef struct mg_scheduler mg_scheduler;

/* On the leader, once for every clip as it finishes. A status other than MG_OK ends the run. */
typedef mg_status mg_clip_done(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* Room for all that a run needs: it allocates nothing afterwards. `r` is loaded, and borrowed. */
mg_status mg_scheduler_open(mg_scheduler **out, mg_replica *r);
void mg_scheduler_close(mg_scheduler *s);

/* Make clips[0 … n_clips), in order of admission; the same list on every rank of the group. Collective over
 * the group, not agreed: a rank that fails here ends the run for all. MG_ESTOPPED between steps. */
mg_status mg_scheduler_run(mg_scheduler *s, const mg_clip *const *clips, int64_t n_clips, mg_clip_done *done,
                           void *arg);

/* Forward passes so far, and the seconds they and the sampling behind them took. */
int64_t mg_scheduler_n_steps(const mg_scheduler *s);
double mg_scheduler_step_s(const mg_scheduler *s);

#endif
