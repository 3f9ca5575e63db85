/* A clip comes into a slot, and its windows begin: what the model is to follow goes into its caches, and the
 * frames that are known already (an audio prompt's, the window before) are fed many columns at once. */
#include "clock.h"
#include "scheduler_impl.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t row_of(const mg_scheduler *s, int64_t i_slot, mg_role role)
{
    return role * s->n_slots + i_slot;
}

bool mg_scheduler_has_text(const mg_scheduler *s, const mg_slot *sl, mg_role role)
{
    if (s->replica->config.lm.n_chroma) return false; /* it stands before the columns */
    return role == MG_ROLE_FOLLOWING ? sl->clip->text.S > 0
                                     : role == MG_ROLE_PLAIN && sl->clip->negative.S > 0;
}

mg_lm_batch mg_scheduler_batch(const mg_scheduler *s)
{
    return (mg_lm_batch){.cells = s->cells, .row = s->row, .position = s->position, .text = s->text};
}

void mg_scheduler_add_token(mg_scheduler *s, mg_lm_batch *b, int64_t i_slot, mg_role role, int64_t column)
{
    mg_slot *sl = &s->slots[i_slot];
    const int64_t i = b->n_tokens++;

    for (int64_t k = 0; k < s->delay.K; k++) {
        const int64_t frame = mg_delay_frame(&s->delay, sl->T, k, column);
        s->cells[i * s->delay.K + k] =
            frame < 0 ? -1 : mg_lm_cell(s->replica->lm, i_slot, k, sl->first + frame);
    }
    s->row[i] = (int32_t)row_of(s, i_slot, role);
    s->position[i] = (int32_t)(sl->prefix + column);
    sl->token[role] = (int32_t)i;
    if (!mg_scheduler_has_text(s, sl, role)) return;
    s->text[i] = (int32_t)row_of(s, i_slot, role); /* its negative text stands behind all texts */
    b->n_with_text++;
}

/* Columns [0, T_known) leave their keys and values; the one behind them is the first step's. */
static mg_status feed_known(mg_scheduler *s, int64_t i_slot)
{
    mg_slot *sl = &s->slots[i_slot];
    const int64_t most = s->replica->limits.n_tokens / sl->n_roles;

    while (sl->column < sl->T_known) {
        const int64_t left = sl->T_known - sl->column, n = left < most ? left : most;
        mg_lm_batch b = mg_scheduler_batch(s);
        for (int with_text = 1; with_text >= 0; with_text--)
            for (int role = 0; role < sl->n_roles; role++) {
                if (mg_scheduler_has_text(s, sl, (mg_role)role) != with_text) continue;
                for (int64_t j = 0; j < n; j++)
                    mg_scheduler_add_token(s, &b, i_slot, (mg_role)role, sl->column + j);
            }
        MG_RETURN(mg_lm_step(s->replica->lm, &b, NULL, 0));
        sl->column += n;
    }
    return MG_OK;
}

/* Melody models: what each sequence has before its columns. */
static mg_status set_prefixes(mg_scheduler *s, int64_t i_slot, const float *text, const float *negative)
{
    mg_slot *sl = &s->slots[i_slot];
    mg_lm *lm = s->replica->lm;
    const int64_t S_text = sl->clip->text.S, S_negative = sl->clip->negative.S;
    const int64_t S = larger(larger(S_text, S_negative), 1);
    const int32_t *bins;
    int64_t n_bins;

    MG_RETURN(mg_conditions_listen(s->conditions, &bins, &n_bins, &sl->material, sl->clip, sl->first));
    for (int role = 0; role < sl->n_roles; role++) {
        const float *states = role == MG_ROLE_FOLLOWING ? text : role == MG_ROLE_PLAIN ? negative : NULL;
        MG_RETURN(mg_lm_set_prefix(lm, row_of(s, i_slot, (mg_role)role), role == MG_ROLE_PLAIN ? NULL : bins,
                                   n_bins, states, role == MG_ROLE_PLAIN ? S_negative : S_text, S));
    }
    sl->prefix = mg_lm_prefix_length(&s->replica->config.lm, S);
    return MG_OK;
}

/* Texts, and for melody models the melody, into the model; sl->material.st says whether that went well. */
static mg_status set_conditions(mg_scheduler *s, int64_t i_slot)
{
    mg_slot *sl = &s->slots[i_slot];
    mg_lm *lm = s->replica->lm;
    const float *text, *negative;

    MG_RETURN(mg_conditions_encode(s->conditions, &sl->material, &text, &negative, sl->clip));
    if (sl->material.st != MG_OK) return MG_OK;
    if (s->replica->config.lm.n_chroma) return set_prefixes(s, i_slot, text, negative);
    if (text) MG_RETURN(mg_lm_set_text(lm, row_of(s, i_slot, MG_ROLE_FOLLOWING), text, sl->clip->text.S));
    if (!negative) return MG_OK;
    return mg_lm_set_text(lm, row_of(s, i_slot, MG_ROLE_PLAIN), negative, sl->clip->negative.S);
}

/* Frames [first, …) of the clip, the first T_known of which are there. */
static mg_status begin_window(mg_scheduler *s, int64_t i_slot, int64_t first, int64_t T_known)
{
    mg_slot *sl = &s->slots[i_slot];
    const int64_t left = sl->clip->T - first;

    sl->first = first;
    sl->T = left < sl->clip->T_window ? left : sl->clip->T_window;
    sl->T_known = T_known;
    sl->column = 0;
    sl->M = mg_delay_columns(&s->delay, sl->T) - 1; /* the last one is sampled and never fed */
    sl->n_windows++;
    return feed_known(s, i_slot);
}

mg_status mg_scheduler_admit(mg_scheduler *s, int64_t i_slot, const mg_clip *clip, mg_status *refused)
{
    mg_slot *sl = &s->slots[i_slot];
    const double begin_s = mg_clock_s();

    *sl = (mg_slot){.clip = clip, .material = sl->material};
    sl->n_roles = mg_clip_is_guided_twice(clip) ? 3 : mg_clip_is_guided(clip) ? 2 : 1;
    MG_RETURN(mg_conditions_read(s->conditions, &sl->material, clip, s->codes));
    if (sl->material.st == MG_OK) MG_RETURN(set_conditions(s, i_slot));
    *refused = sl->material.st;
    if (*refused != MG_OK) {
        sl->clip = NULL;
        return MG_OK;
    }
    sl->begin_s = mg_clock_s();
    sl->text_s = sl->begin_s - begin_s;
    MG_RETURN(mg_lm_put_codes(s->replica->lm, i_slot, s->codes, clip->T, sl->material.T_prompt));
    return begin_window(s, i_slot, 0, sl->material.T_prompt);
}

mg_status mg_scheduler_next_window(mg_scheduler *s, int64_t i_slot, bool *more)
{
    mg_slot *sl = &s->slots[i_slot];
    const mg_clip *clip = sl->clip;

    *more = sl->first + sl->T < clip->T;
    if (!*more) return MG_OK;
    const int64_t first = sl->first + clip->T_stride, T_known = sl->T - clip->T_stride;
    if (clip->melody) { /* each window hears its own part of it */
        sl->first = first;
        MG_RETURN(set_conditions(s, i_slot));
        MG_RETURN(sl->material.st);
    }
    return begin_window(s, i_slot, first, T_known);
}
