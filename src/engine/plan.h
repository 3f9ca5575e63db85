/* Chooses how many clips run at once and checks that they fit. Every rank decides the same; the plan is
 * printed before anything is allocated. */
#ifndef MG_PLAN_H
#define MG_PLAN_H

#include "clip.h"
#include "replica.h"
#include "world.h"

/* True for the clips of this rank's replica where clips are dealt beforehand: i_replica, i_replica +
 * n_replicas, … */
static inline int mg_plan_is_mine(const mg_world *w, const mg_clip *c)
{
    return c->index % w->n_replicas == w->i_replica;
}

/* What one slot needs so that each of several clips fits into it. Zeroed: no clip. */
typedef struct mg_clip_need {
    int64_t n_rows, n_texts, n_tokens, T_max, P_max, S_max, n_payload_bytes, with_melody, n_excerpt,
        n_resampled;
} mg_clip_need;

/* Enlarge the need until this clip fits too. MG_EUSAGE if its window is longer than the model's positions.
 * Needs the open replica, loaded or not. */
mg_status mg_clip_need_add(mg_clip_need *need, const mg_replica *r, const mg_clip *c);

/* What n_slots slots of this need take. */
mg_replica_limits mg_plan_limits(const mg_clip_need *need, int64_t n_slots);

/* Choose limits for the largest need of all ranks. A rank that knows no clip passes a zeroed need and
 * n_clips = -1. `n_clips`: clips of the whole call; -1 on every rank: not known. `n_slots` > 0: the user's
 * number; 0: enough for the clips, at most the backend's hint, fewer if memory is short. MG_EFIT with the
 * numbers if that does not fit: a place (a host's memory, a device's) is checked for all ranks that use it.
 * Collective over w->all; agreed. */
mg_status mg_plan_make(mg_replica_limits *out, mg_replica *r, const mg_world *w, const mg_clip_need *need,
                       int64_t n_clips, int64_t n_slots);

/* The table of bytes, from rank 0. */
void mg_plan_print(const mg_replica_limits *limits, const mg_replica *r, const mg_world *w);

/* Frames of a window that the model's position table allows, with a text of S tokens (0: none). */
int64_t mg_plan_max_frames(const mg_replica *r, int64_t S);

#endif
