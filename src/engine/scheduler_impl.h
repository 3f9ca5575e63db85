/* The scheduler's private header: its slots. scheduler.c has the run. scheduler_slot.c admits a clip and
 * begins its windows. scheduler_step.c feeds a column of every slot and draws the codes of the next. */
#ifndef MG_SCHEDULER_IMPL_H
#define MG_SCHEDULER_IMPL_H

#include "conditions.h"
#include "delay.h"
#include "scheduler.h"

/* The sequences of a clip, in the order of mg_draw. Guidance moves the conditional logits away from the
 * unconditional ones; double guidance also computes logits conditioned on the melody only. */
typedef enum mg_role { MG_ROLE_CONDITIONAL, MG_ROLE_UNCONDITIONAL, MG_ROLE_MELODY_ONLY } mg_role;

typedef struct mg_slot {
    const mg_clip_terms *clip; /* NULL: free; else the terms below */
    mg_clip_terms terms;
    mg_ready_clip *ready;        /* leader: the clip itself; owned */
    void *room;                  /* other ranks: for a payload; owned */
    mg_clip_payload payload;     /* views into one of the two */
    int n_roles;                 /* the first ones of mg_role */
    int64_t first;               /* of the window at hand: its first frame in the clip */
    int64_t T, T_known;          /* frames of the window; those that are known before it begins */
    int64_t prefix;              /* positions before column 0 */
    int64_t column;              /* fed next */
    int64_t M;                   /* columns to feed */
    int32_t token[MG_MAX_ROLES]; /* of each role in the current step */
    int64_t n_steps, n_windows;
    int64_t n_fetched; /* frames of the clip whose codes are with the ready clip */
    double begin_s;
} mg_slot;

struct mg_scheduler {
    mg_replica *replica;        /* borrowed */
    const mg_clip_source *from; /* of the run at hand; NULL on all ranks but the leader */
    mg_delay delay;
    int64_t n_slots;
    mg_slot *slots;                         /* [n_slots] */
    int64_t *active;                        /* [n_slots]: the slots of the current step */
    int32_t *cells, *row, *position, *text; /* [n_tokens,K], [n_tokens]: the tokens of a forward pass */
    mg_draw *draws;                         /* [n_slots K] */
    int64_t n_steps;
    double step_s;
    mg_clip_grown *grown; /* NULL: nobody listens */
    void *grown_arg;
    int64_t n_grown; /* frames */
};

/* Room for one more token in the scheduler's arrays: a column of the slot's codes, in one role. Tokens with a
 * text come first. */
void mg_scheduler_add_token(mg_scheduler *s, mg_lm_batch *b, int64_t i_slot, mg_role role, int64_t column);

/* The source's tick, if there is one. */
static inline mg_status mg_scheduler_tick(const mg_scheduler *s)
{
    return s->from && s->from->tick ? s->from->tick(s->from->arg) : MG_OK;
}

/* Does this role attend to a text? */
bool mg_scheduler_has_text(const mg_scheduler *s, const mg_slot *sl, mg_role role);

/* An empty batch over the scheduler's arrays. */
mg_lm_batch mg_scheduler_batch(const mg_scheduler *s);

/* The leader's clip (NULL elsewhere) takes the slot, which owns it. */
mg_status mg_scheduler_admit(mg_scheduler *s, int64_t i_slot, mg_ready_clip *ready);

/* The slot's window is done: begin the next one, if there is one; else *more is false. */
mg_status mg_scheduler_next_window(mg_scheduler *s, int64_t i_slot, bool *more);

/* Feed one column of every active slot and draw the next. */
mg_status mg_scheduler_step(mg_scheduler *s);

#endif
