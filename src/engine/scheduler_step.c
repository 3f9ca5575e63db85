/* A step: one forward pass over a column of every sequence of every slot, and draws for the next column. */
#include <string.h>

#include "clock.h"
#include "rng.h"
#include "scheduler_impl.h"

/* Tokens with text first, as the model wants them. */
static int64_t build_batch(mg_scheduler *s, mg_lm_batch *b)
{
    int64_t n_active = 0;

    *b = mg_scheduler_batch(s);
    for (int64_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].clip) s->active[n_active++] = i;
    for (int with_text = 1; with_text >= 0; with_text--)
        for (int64_t a = 0; a < n_active; a++) {
            const mg_slot *sl = &s->slots[s->active[a]];
            for (int role = 0; role < sl->n_roles; role++)
                if (mg_scheduler_has_text(s, sl, (mg_role)role) == with_text)
                    mg_scheduler_add_token(s, b, s->active[a], (mg_role)role, sl->column);
        }
    return n_active;
}

/* The code of the next column of (slot, codebook), where the delay pattern wants one and it is not known. The
 * draw belongs to the clip's column, whichever window comes to it. */
static mg_draw draw_of(const mg_scheduler *s, int64_t i_slot, int64_t k)
{
    const mg_slot *sl = &s->slots[i_slot];
    const mg_clip_terms *c = sl->clip;
    const int64_t column = sl->column + 1, frame = mg_delay_frame(&s->delay, sl->T, k, column);
    mg_draw d = {.n_roles = sl->n_roles,
                 .k = (int32_t)k,
                 .cell = -1,
                 .coef = (float)c->guidance,
                 .beta = (float)c->guidance_beta,
                 .how = c->sampling};

    memcpy(d.token, sl->token, sizeof d.token);
    if (frame < sl->T_known) return d; /* -1: none */
    d.cell = mg_lm_cell(s->replica->lm, i_slot, k, sl->first + frame);
    d.uniform = mg_rng_uniform(c->seed, sl->first + column, (int)k);
    return d;
}

mg_status mg_scheduler_step(mg_scheduler *s)
{
    const double begin_s = mg_clock_s();
    const int64_t K = s->delay.K;
    mg_lm_batch batch;
    const int64_t n_active = build_batch(s, &batch);

    batch.with_logits = true;
    for (int64_t u = 0; u < n_active * K; u++) s->draws[u] = draw_of(s, s->active[u / K], u % K);
    MG_RETURN(mg_lm_step(s->replica->lm, &batch, s->draws, n_active * K));
    for (int64_t a = 0; a < n_active; a++) {
        s->slots[s->active[a]].column++;
        s->slots[s->active[a]].n_steps++;
    }
    s->n_steps++;
    s->step_s += mg_clock_s() - begin_s;
    return MG_OK;
}
