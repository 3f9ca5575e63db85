/* A step: one forward pass over a column of every sequence of every slot, then the codes of the next column.
 */
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

static float *logits_of(const mg_scheduler *s, const mg_slot *sl, mg_role role, int64_t k)
{
    return s->logits + (sl->token[role] * s->delay.K + k) * s->replica->config.lm.V;
}

/* Units are (active slot, codebook): the code of the next column, where the delay pattern wants one and it is
 * not known. The draw belongs to the clip's column, whichever window comes to it. */
static void sample_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    mg_scheduler *s = arg;
    const int64_t K = s->delay.K, V = s->replica->config.lm.V;

    for (int64_t u = first; u < end; u++) {
        const mg_slot *sl = &s->slots[s->active[u / K]];
        const mg_clip *c = sl->clip;
        const int64_t k = u % K, column = sl->column + 1;
        const int64_t frame = mg_delay_frame(&s->delay, sl->T, k, column);
        float *logits = logits_of(s, sl, MG_ROLE_FOLLOWING, k);

        if (frame < sl->T_known) continue; /* -1: none */
        if (sl->n_roles > MG_ROLE_MELODY_ALONE)
            mg_guide(logits, logits, logits_of(s, sl, MG_ROLE_MELODY_ALONE, k), (float)c->guidance_beta, V);
        if (sl->n_roles > MG_ROLE_PLAIN)
            mg_guide(logits, logits, logits_of(s, sl, MG_ROLE_PLAIN, k), (float)c->guidance, V);
        sl->codes[k * c->T + sl->first + frame] = mg_sample(
            s->samplers[i_thread], logits, &c->sampling, mg_rng_uniform(c->seed, sl->first + column, (int)k));
    }
}

mg_status mg_scheduler_step(mg_scheduler *s)
{
    const double begin_s = mg_clock_s();
    mg_lm_batch batch;
    const int64_t n_active = build_batch(s, &batch);

    MG_RETURN(mg_lm_forward(s->replica->lm, &batch, s->logits));
    mg_threads_run(s->replica->threads, sample_units, s, n_active * s->delay.K);
    for (int64_t a = 0; a < n_active; a++) {
        s->slots[s->active[a]].column++;
        s->slots[s->active[a]].n_steps++;
    }
    s->n_steps++;
    s->step_s += mg_clock_s() - begin_s;
    return MG_OK;
}
