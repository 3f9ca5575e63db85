/* A clip comes into a slot, and its windows begin: what the model is to follow goes into its caches, and the
 * frames that are known already (an audio prompt's, the window before) are fed many columns at once. */
#include "clock.h"
#include "scheduler_impl.h"

static int64_t row_of(const mg_scheduler *s, int64_t i_slot, mg_role role)
{
    return role * s->n_slots + i_slot;
}

bool mg_scheduler_has_text(const mg_scheduler *s, const mg_slot *sl, mg_role role)
{
    if (s->replica->config.lm.n_chroma) return false; /* it stands before the columns */
    return role == MG_ROLE_CONDITIONAL ? sl->clip->S > 0
                                       : role == MG_ROLE_UNCONDITIONAL && sl->clip->S_negative > 0;
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
        if (sl->column > 0) MG_RETURN(mg_scheduler_tick(s)); /* many passes may take minutes */
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

/* Melody models: what each sequence has before its columns, in window `i_window`. Without a style one row of
 * zeros stands there, as in AudioCraft. */
static mg_status set_prefixes(mg_scheduler *s, int64_t i_slot, int64_t i_window)
{
    mg_slot *sl = &s->slots[i_slot];
    const mg_clip_terms *c = sl->clip;
    const int64_t S = mg_clip_n_tokens(c) > 0 ? mg_clip_n_tokens(c) : 1;

    for (int role = 0; role < sl->n_roles; role++) {
        const bool is_plain = role == MG_ROLE_UNCONDITIONAL;
        const int64_t n = is_plain ? c->S_negative : role == MG_ROLE_CONDITIONAL ? c->S : 0;
        mg_lm_prefix p = {.n_style = c->n_style > 0 ? c->n_style : 1, .n_states = n, .S = S};
        if (n > 0) p.text = is_plain ? sl->payload.negative : sl->payload.text;
        if (c->n_bins > 0 && !is_plain)
            p.bins = sl->payload.bins + i_window * c->n_bins, p.n_bins = c->n_bins;
        if (c->n_style > 0 && !is_plain) p.style = sl->payload.style;
        MG_RETURN(mg_lm_set_prefix(s->replica->lm, row_of(s, i_slot, (mg_role)role), &p));
        sl->prefix = mg_lm_prefix_length(&s->replica->config.lm, p.n_style, S);
    }
    return MG_OK;
}

/* Texts, and for melody models the melody of the window, into the model. */
static mg_status set_conditions(mg_scheduler *s, int64_t i_slot, int64_t i_window)
{
    const mg_slot *sl = &s->slots[i_slot];
    const mg_clip_terms *c = sl->clip;
    const mg_clip_payload *p = &sl->payload;
    mg_lm *lm = s->replica->lm;

    if (s->replica->config.lm.n_chroma) return set_prefixes(s, i_slot, i_window);
    if (c->S > 0) MG_RETURN(mg_lm_set_text(lm, row_of(s, i_slot, MG_ROLE_CONDITIONAL), p->text, c->S));
    if (c->S_negative == 0) return MG_OK;
    return mg_lm_set_text(lm, row_of(s, i_slot, MG_ROLE_UNCONDITIONAL), p->negative, c->S_negative);
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

mg_status mg_scheduler_admit(mg_scheduler *s, int64_t i_slot, mg_ready_clip *ready)
{
    mg_slot *sl = &s->slots[i_slot];
    const mg_clip_terms *c = &sl->terms;

    *sl = (mg_slot){.clip = c, .ready = ready, .room = sl->room};
    MG_RETURN(mg_conditions_share(s->replica, &sl->terms, &sl->payload, sl->room,
                                  s->replica->limits.n_payload_bytes, ready));
    sl->n_roles = mg_clip_n_rows(c);
    MG_RETURN(set_conditions(s, i_slot, 0));
    sl->begin_s = mg_clock_s();
    MG_RETURN(mg_lm_put_codes(s->replica->lm, i_slot, sl->payload.prompt, c->T_prompt, c->T_prompt));
    return begin_window(s, i_slot, 0, c->T_prompt);
}

mg_status mg_scheduler_next_window(mg_scheduler *s, int64_t i_slot, bool *more)
{
    mg_slot *sl = &s->slots[i_slot];
    const mg_clip_terms *c = sl->clip;

    *more = sl->first + sl->T < c->T;
    if (!*more) return MG_OK;
    if (c->n_bins > 0) /* each window hears its own part of the melody */
        MG_RETURN(set_conditions(s, i_slot, sl->n_windows));
    return begin_window(s, i_slot, sl->first + c->T_stride, sl->T - c->T_stride);
}
