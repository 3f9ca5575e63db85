/* The run: slots are filled, step after step is made, clips whose codes are there are handed on. */
#include "scheduler.h"

#include <stdlib.h>

#include "clock.h"
#include "scheduler_impl.h"
#include "stop.h"

#define IDLE_WAIT_S 0.5 /* for a clip, with nothing else to do: far below the other ranks' deadline */

mg_status mg_scheduler_open(mg_scheduler **out, mg_replica *r)
{
    const mg_replica_limits *l = &r->limits;
    const mg_lm_config *lm = &r->config.lm;
    mg_scheduler *s = calloc(1, sizeof *s);
    mg_status st = MG_OK;

    *out = NULL;
    if (!s) return mg_fail(MG_ENOMEM, "scheduler: %zu bytes", sizeof *s);
    s->replica = r;
    s->delay = (mg_delay){lm->K, lm->n_channels};
    s->n_slots = l->n_slots;
    s->slots = calloc((size_t)l->n_slots, sizeof *s->slots);
    s->active = calloc((size_t)l->n_slots, sizeof *s->active);
    s->cells = calloc((size_t)(l->n_tokens * lm->K), sizeof *s->cells);
    s->row = calloc((size_t)l->n_tokens, sizeof *s->row);
    s->position = calloc((size_t)l->n_tokens, sizeof *s->position);
    s->text = calloc((size_t)l->n_tokens, sizeof *s->text);
    s->draws = calloc((size_t)(l->n_slots * lm->K), sizeof *s->draws);
    bool there = s->slots && s->active && s->cells && s->row && s->position && s->text && s->draws;
    for (int64_t i = 0; there && !r->is_leader && i < l->n_slots; i++)
        there = (s->slots[i].room = calloc(1, l->n_payload_bytes + 1)) != NULL;
    if (!there) MG_TRY(mg_fail(MG_ENOMEM, "scheduler: no memory for %lld slots", (long long)l->n_slots));
    *out = s;
done:
    if (st != MG_OK) mg_scheduler_close(s);
    return st;
}

void mg_scheduler_close(mg_scheduler *s)
{
    if (!s) return;
    for (int64_t i = 0; s->slots && i < s->n_slots; i++) {
        mg_ready_clip_close(s->slots[i].ready);
        free(s->slots[i].room);
    }
    free(s->slots);
    free(s->active);
    free(s->cells);
    free(s->row);
    free(s->position);
    free(s->text);
    free(s->draws);
    free(s);
}

/* What comes next, for every rank of the group. */
typedef enum admission { ADMIT_NONE, ADMIT_CLIP, ADMIT_OVER } admission;

/* What a run has to know of its two ends. */
typedef struct ends {
    const mg_clip_source *from;
    mg_clip_made *made;
    void *arg;
    bool over; /* the source has no more clips */
} ends;

/* On the leader: a clip that can be made. Others go by. */
static mg_status take_next(ends *e, mg_ready_clip **clip, double wait_s)
{
    for (;;) {
        MG_RETURN(e->from->next(e->from->arg, clip, &e->over, wait_s));
        if (!*clip || (*clip)->fault.st == MG_OK) return MG_OK;
        MG_RETURN(e->made(e->arg, *clip));
    }
}

/* The next clip into slot i, if there is one. */
static mg_status fill_slot(mg_scheduler *s, int64_t i, ends *e, double wait_s)
{
    mg_ready_clip *clip = NULL;
    int64_t what;
    mg_status st = MG_OK;

    if (s->replica->is_leader) MG_RETURN(take_next(e, &clip, wait_s));
    what = clip ? ADMIT_CLIP : e->over ? ADMIT_OVER : ADMIT_NONE;
    MG_TRY(mg_comm_bcast(s->replica->group, &what, 1, MG_I64, 0));
    e->over = what == ADMIT_OVER;
    if (what == ADMIT_CLIP) return mg_scheduler_admit(s, i, clip);
done:
    mg_ready_clip_close(clip);
    return st;
}

static int64_t count_active(const mg_scheduler *s)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n_slots; i++) n += s->slots[i].clip != NULL;
    return n;
}

/* The next clips into the free slots, until the source has none. */
static mg_status fill_slots(mg_scheduler *s, ends *e)
{
    for (int64_t i = 0; i < s->n_slots && !e->over; i++) {
        if (s->slots[i].clip) continue;
        MG_RETURN(fill_slot(s, i, e, count_active(s) > 0 ? 0 : IDLE_WAIT_S));
        if (!s->slots[i].clip) break;
    }
    return MG_OK;
}

/* Where a draw found nothing to draw from, mg_sample left V. */
static mg_status check_codes(const mg_scheduler *s, const mg_ready_clip *c)
{
    const int64_t V = s->replica->config.lm.V, T = c->terms.T, n = s->delay.K * T;
    const mg_format format = s->replica->backend.formats.weights;
    int64_t i = 0;

    while (i < n && c->codes[i] < V) i++;
    if (i == n) return MG_OK;
    return mg_fail(MG_EFAIL,
                   "language model: codebook %lld, frame %lld: the logits are no numbers: something "
                   "overflows in %s%s",
                   (long long)(i / T), (long long)(i % T), mg_format_name(format),
                   format == MG_FORMAT_F16 ? "; give --dtype bf16 or fp32" : "");
}

void mg_scheduler_listen(mg_scheduler *s, mg_clip_grown *grown, void *arg, int64_t n_frames)
{
    s->grown = grown;
    s->grown_arg = arg;
    s->n_grown = n_frames;
}

/* Frames of the slot's clip that have all their codes: the last codebook is the latest. */
static int64_t count_whole_frames(const mg_scheduler *s, const mg_slot *sl)
{
    const int64_t last = mg_delay_frame(&s->delay, sl->T, s->delay.K - 1, sl->column);

    return last < 0 ? 0 : sl->first + last + 1;
}

/* Codes of the clips in the slots to whoever listens. */
static mg_status fetch_codes(mg_scheduler *s)
{
    for (int64_t i = 0; s->grown && i < s->n_slots; i++) {
        mg_slot *sl = &s->slots[i];
        if (!sl->clip || !sl->ready) continue;
        const int64_t n = count_whole_frames(s, sl), T = sl->clip->T;
        if (n - sl->n_fetched < s->n_grown) continue;
        MG_RETURN(mg_lm_get_codes(s->replica->lm, i, sl->ready->codes, T, sl->n_fetched, n));
        sl->n_fetched = n;
        MG_RETURN(s->grown(s->grown_arg, sl->ready, n));
    }
    return MG_OK;
}

/* The slot is free from now on; on the leader its clip gets its codes and goes on its way. */
static mg_status finish(mg_scheduler *s, int64_t i_slot, const ends *e)
{
    mg_slot *sl = &s->slots[i_slot];
    mg_ready_clip *clip = sl->ready;
    const int64_t T = sl->clip->T;

    if (clip) MG_RETURN(mg_lm_get_codes(s->replica->lm, i_slot, clip->codes, T, sl->n_fetched, T));
    sl->clip = NULL;
    sl->ready = NULL;
    if (!clip) return MG_OK;
    clip->n_steps = sl->n_steps;
    clip->n_windows = sl->n_windows;
    clip->lm_s = mg_clock_s() - sl->begin_s;
    clip->fault = mg_fault_take(check_codes(s, clip));
    return e->made(e->arg, clip);
}

/* Clips whose last window is done leave; frames of theirs are added. */
static mg_status end_windows(mg_scheduler *s, const ends *e, int64_t *n_frames)
{
    for (int64_t i = 0; i < s->n_slots; i++) {
        const mg_slot *sl = &s->slots[i];
        bool more;
        if (!sl->clip || sl->column < sl->M) continue;
        MG_RETURN(mg_scheduler_next_window(s, i, &more));
        if (more) continue;
        *n_frames += sl->clip->T;
        MG_RETURN(finish(s, i, e));
    }
    return MG_OK;
}

/* Frames that the slots' clips have so far. */
static int64_t count_frames(const mg_scheduler *s)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n_slots; i++) {
        const mg_slot *sl = &s->slots[i];
        if (sl->clip) n += sl->first + (sl->column < sl->T ? sl->column : sl->T);
    }
    return n;
}

mg_status mg_scheduler_run(mg_scheduler *s, const mg_clip_source *from, mg_clip_made *made, void *arg)
{
    ends e = {.from = from, .made = made, .arg = arg};
    int64_t n_frames = 0;
    mg_status st = MG_OK;

    MG_REQUIRE((from != NULL) == s->replica->is_leader);
    s->from = from;
    while (!e.over || count_active(s) > 0) {
        MG_TRY(mg_stop_check());
        MG_TRY(mg_scheduler_tick(s));
        if (!e.over) MG_TRY(fill_slots(s, &e));
        if (count_active(s) == 0) continue;
        MG_TRY(mg_scheduler_step(s));
        if (from && from->tell) MG_TRY(from->tell(from->arg, n_frames + count_frames(s)));
        MG_TRY(fetch_codes(s));
        MG_TRY(end_windows(s, &e, &n_frames));
    }
done:
    s->from = NULL;
    return st;
}

int64_t mg_scheduler_n_steps(const mg_scheduler *s)
{
    return s->n_steps;
}

double mg_scheduler_step_s(const mg_scheduler *s)
{
    return s->step_s;
}
