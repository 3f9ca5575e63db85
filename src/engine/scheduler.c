/* The run: slots are filled, step after step is made, finished clips become sound. */
#include "scheduler.h"

#include <stdlib.h>

#include "clock.h"
#include "scheduler_impl.h"
#include "stop.h"

mg_status mg_scheduler_open(mg_scheduler **out, mg_replica *r)
{
    const mg_replica_limits *l = &r->limits;
    const mg_lm_config *lm = &r->config.lm;
    const bool has_sound = r->is_leader && r->source.with_decoder;
    const int64_t n_pcm = has_sound ? l->T_max * r->config.codec.hop * lm->n_channels : 1;
    mg_scheduler *s = calloc(1, sizeof *s);
    mg_status st = MG_OK;

    *out = NULL;
    if (!s) return mg_fail(MG_ENOMEM, "scheduler: %zu bytes", sizeof *s);
    s->replica = r;
    s->delay = (mg_delay){lm->K, lm->n_channels, (int32_t)lm->V};
    s->n_slots = l->n_slots;
    s->slots = calloc((size_t)l->n_slots, sizeof *s->slots);
    s->active = calloc((size_t)l->n_slots, sizeof *s->active);
    s->codes = calloc((size_t)(lm->K * l->T_max), sizeof *s->codes);
    s->cells = calloc((size_t)(l->n_tokens * lm->K), sizeof *s->cells);
    s->row = calloc((size_t)l->n_tokens, sizeof *s->row);
    s->position = calloc((size_t)l->n_tokens, sizeof *s->position);
    s->text = calloc((size_t)l->n_tokens, sizeof *s->text);
    s->draws = calloc((size_t)(l->n_slots * lm->K), sizeof *s->draws);
    s->pcm = calloc((size_t)n_pcm, sizeof *s->pcm);
    if (!s->slots || !s->active || !s->codes || !s->cells || !s->row || !s->position || !s->text ||
        !s->draws || !s->pcm)
        MG_TRY(mg_fail(MG_ENOMEM, "scheduler: no memory for %lld slots", (long long)l->n_slots));
    MG_TRY(mg_conditions_open(&s->conditions, r));
    *out = s;
done:
    if (st != MG_OK) mg_scheduler_close(s);
    return st;
}

void mg_scheduler_close(mg_scheduler *s)
{
    if (!s) return;
    for (int64_t i = 0; s->slots && i < s->n_slots; i++) mg_clip_material_close(&s->slots[i].material);
    mg_conditions_close(s->conditions);
    free(s->slots);
    free(s->active);
    free(s->codes);
    free(s->cells);
    free(s->row);
    free(s->position);
    free(s->text);
    free(s->draws);
    free(s->pcm);
    free(s);
}

static mg_status decode(mg_scheduler *s, mg_clip_result *result, const mg_slot *sl)
{
    mg_replica *r = s->replica;
    const int64_t T = sl->clip->T;

    result->sound = (mg_sound){.pcm = s->pcm,
                               .n_frames = T * r->config.codec.hop,
                               .n_channels = r->config.lm.n_channels,
                               .rate_hz = r->config.codec.sampling_rate};
    return mg_encodec_decode_sound(r->codec, &result->sound, s->codes, T);
}

/* Sound, on the leader, and the callback; the slot is free afterwards. */
static mg_status finish(mg_scheduler *s, mg_slot *sl, mg_clip_done *done, void *arg)
{
    const mg_clip *c = sl->clip;

    if (s->replica->is_leader)
        MG_RETURN(mg_lm_get_codes(s->replica->lm, sl - s->slots, s->codes, c->T, c->T));
    const double lm_end_s = mg_clock_s();
    mg_clip_result result = {.codes = s->codes,
                             .T_prompt = sl->material.T_prompt,
                             .n_steps = sl->n_steps,
                             .n_windows = sl->n_windows,
                             .text_s = sl->text_s,
                             .lm_s = lm_end_s - sl->begin_s};

    if (s->replica->is_leader) {
        if (s->replica->source.with_decoder) result.st = decode(s, &result, sl);
        result.codec_s = mg_clock_s() - lm_end_s;
    }
    mg_clip_material_close(&sl->material);
    sl->clip = NULL;
    return s->replica->is_leader ? done(arg, c, &result) : MG_OK;
}

/* The next clips into the free slots. One whose files cannot be used is over at once. */
static mg_status fill_slots(mg_scheduler *s, const mg_clip *const *clips, int64_t n_clips,
                            int64_t *n_admitted, int64_t *n_finished, mg_clip_done *done, void *arg)
{
    for (int64_t i = 0; i < s->n_slots; i++)
        while (!s->slots[i].clip && *n_admitted < n_clips) {
            const mg_clip *clip = clips[(*n_admitted)++];
            mg_clip_result result = {0};
            MG_RETURN(mg_scheduler_admit(s, i, clip, &result.st));
            if (result.st == MG_OK) break;
            ++*n_finished;
            if (s->replica->is_leader) MG_RETURN(done(arg, clip, &result));
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

mg_status mg_scheduler_run(mg_scheduler *s, const mg_clip *const *clips, int64_t n_clips, mg_clip_done *done,
                           void *arg)
{
    int64_t n_admitted = 0, n_finished = 0, n_frames = 0, n_frames_all = 0;
    mg_progress progress;
    mg_status st = MG_OK;
    bool more;

    for (int64_t i = 0; i < n_clips; i++) n_frames_all += clips[i]->T;
    mg_progress_begin(&progress, "generate", "frames", n_frames_all);
    while (n_finished < n_clips) {
        MG_TRY(mg_stop_check());
        MG_TRY(fill_slots(s, clips, n_clips, &n_admitted, &n_finished, done, arg));
        if (n_finished == n_clips) break;
        MG_TRY(mg_scheduler_step(s));
        mg_progress_update(&progress, n_frames + count_frames(s));
        for (int64_t i = 0; i < s->n_slots; i++) {
            mg_slot *sl = &s->slots[i];
            if (!sl->clip || sl->column < sl->M) continue;
            MG_TRY(mg_scheduler_next_window(s, i, &more));
            if (more) continue;
            n_frames += sl->clip->T;
            MG_TRY(finish(s, sl, done, arg));
            n_finished++;
        }
    }
done:
    mg_progress_end(&progress);
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
