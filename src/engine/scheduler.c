#include "scheduler.h"

#include <stdlib.h>

#include "clock.h"
#include "delay.h"
#include "rng.h"
#include "stop.h"

typedef struct slot {
    const mg_clip *clip; /* NULL: free */
    int64_t column;      /* fed next */
    int64_t M;           /* columns to feed */
    int32_t *codes;      /* [K,T] of the clip */
    int64_t i_token;     /* in the current step: its token, with text if it has one */
    int64_t i_plain;     /* its token without text, under guidance; -1 otherwise */
    double text_s, begin_s;
} slot;

struct mg_scheduler {
    mg_replica *replica; /* borrowed */
    mg_delay delay;
    int64_t n_slots;
    slot *slots;           /* [n_slots] */
    int64_t *active;       /* [n_slots]: the slots of the current step */
    mg_sampler **samplers; /* one a thread */
    int n_samplers;
    int32_t *codes;                     /* [n_slots,K,T_max] */
    int32_t *ids, *row, *column, *text; /* [n_rows,K], [n_rows]: the tokens of a step */
    float *logits;                      /* [n_rows,K,V] */
    float *states;                      /* [S_max,d_text] */
    float *pcm;                         /* leader: [T_max * hop] */
    int64_t n_steps;
    double step_s;
};

mg_status mg_scheduler_open(mg_scheduler **out, mg_replica *r)
{
    const mg_replica_limits *l = &r->limits;
    const int64_t K = r->config.lm.K, V = r->config.lm.V;
    mg_scheduler *s = calloc(1, sizeof *s);
    mg_status st = MG_OK;

    *out = NULL;
    if (!s) return mg_fail(MG_ENOMEM, "scheduler: %zu bytes", sizeof *s);
    s->replica = r;
    s->delay = (mg_delay){K, r->config.lm.n_channels, (int32_t)V};
    s->n_slots = l->n_slots;
    s->n_samplers = mg_threads_count(r->threads);
    s->slots = calloc((size_t)l->n_slots, sizeof *s->slots);
    s->active = calloc((size_t)l->n_slots, sizeof *s->active);
    s->samplers = calloc((size_t)s->n_samplers, sizeof *s->samplers);
    s->codes = calloc((size_t)(l->n_slots * K * l->T_max), sizeof *s->codes);
    s->ids = calloc((size_t)(l->n_rows * K), sizeof *s->ids);
    s->row = calloc((size_t)l->n_rows, sizeof *s->row);
    s->column = calloc((size_t)l->n_rows, sizeof *s->column);
    s->text = calloc((size_t)l->n_rows, sizeof *s->text);
    s->logits = calloc((size_t)(l->n_rows * K * V), sizeof *s->logits);
    s->states = calloc((size_t)(l->S_max * r->config.lm.d_text) + 1, sizeof *s->states);
    s->pcm = calloc(r->is_leader ? (size_t)(l->T_max * r->config.codec.hop) : 1, sizeof *s->pcm);
    if (!s->slots || !s->active || !s->samplers || !s->codes || !s->ids || !s->row || !s->column ||
        !s->text || !s->logits || !s->states || !s->pcm)
        MG_TRY(mg_fail(MG_ENOMEM, "scheduler: no memory for %lld slots", (long long)l->n_slots));
    for (int64_t i = 0; i < l->n_slots; i++) s->slots[i].codes = s->codes + i * K * l->T_max;
    for (int i = 0; i < s->n_samplers; i++) MG_TRY(mg_sampler_open(&s->samplers[i], V));
    *out = s;
done:
    if (st != MG_OK) mg_scheduler_close(s);
    return st;
}

void mg_scheduler_close(mg_scheduler *s)
{
    if (!s) return;
    for (int i = 0; s->samplers && i < s->n_samplers; i++) mg_sampler_close(s->samplers[i]);
    free(s->slots);
    free(s->active);
    free(s->samplers);
    free(s->codes);
    free(s->ids);
    free(s->row);
    free(s->column);
    free(s->text);
    free(s->logits);
    free(s->states);
    free(s->pcm);
    free(s);
}

/* The leader encodes; everybody gets the states and keeps the text's keys and values. */
static mg_status set_text(mg_scheduler *s, int64_t i_slot, const mg_clip *clip)
{
    mg_replica *r = s->replica;
    mg_tensor mine, states = mg_tensor_rows(&r->states, 0, clip->S);

    if (r->is_leader) {
        MG_RETURN(mg_t5_encode(r->t5, &mine, clip->ids, clip->S));
        MG_RETURN(r->ops->download(r->ops->ctx, s->states, mine.data, mg_tensor_bytes(&mine)));
    }
    MG_RETURN(mg_comm_bcast(r->group, s->states, mg_tensor_count(&states), MG_F32, 0));
    MG_RETURN(r->ops->upload(r->ops->ctx, states.data, s->states, mg_tensor_bytes(&states)));
    return mg_lm_set_text(r->lm, i_slot, &states);
}

static mg_status admit(mg_scheduler *s, int64_t i_slot, const mg_clip *clip)
{
    slot *sl = &s->slots[i_slot];
    const double begin_s = mg_clock_s();

    if (mg_clip_has_text(clip)) MG_RETURN(set_text(s, i_slot, clip));
    sl->clip = clip;
    sl->column = 0;
    sl->M = mg_delay_columns(&s->delay, clip->T) - 1; /* the last one is sampled and never fed */
    sl->begin_s = mg_clock_s();
    sl->text_s = sl->begin_s - begin_s;
    return MG_OK;
}

/* One token of the step; its place in the batch. */
static int64_t add_token(mg_scheduler *s, mg_lm_batch *b, const slot *sl, int64_t row)
{
    const int64_t i = b->n_tokens++;

    mg_delay_column(&s->delay, s->ids + i * s->delay.K, sl->codes, sl->clip->T, sl->column);
    s->row[i] = (int32_t)row;
    s->column[i] = (int32_t)sl->column;
    return i;
}

/* The columns of all active slots: tokens with text first, as the model wants them. */
static int64_t build_batch(mg_scheduler *s, mg_lm_batch *b)
{
    int64_t n_active = 0;

    *b = (mg_lm_batch){.ids = s->ids, .row = s->row, .position = s->column, .text = s->text};
    for (int64_t i = 0; i < s->n_slots; i++) {
        slot *sl = &s->slots[i];
        if (!sl->clip) continue;
        s->active[n_active++] = i;
        if (!mg_clip_has_text(sl->clip)) continue;
        s->text[b->n_tokens] = (int32_t)i;
        sl->i_token = add_token(s, b, sl, i);
    }
    b->n_with_text = b->n_tokens;
    for (int64_t a = 0; a < n_active; a++) {
        slot *sl = &s->slots[s->active[a]];
        sl->i_plain = -1;
        if (!mg_clip_has_text(sl->clip))
            sl->i_token = add_token(s, b, sl, s->active[a]);
        else if (mg_clip_is_guided(sl->clip))
            sl->i_plain = add_token(s, b, sl, s->n_slots + s->active[a]);
    }
    return n_active;
}

/* Units are (active slot, codebook): the code of the next column, where the delay pattern wants one. */
static void sample_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    mg_scheduler *s = arg;
    const int64_t K = s->delay.K, V = s->replica->config.lm.V;

    for (int64_t u = first; u < end; u++) {
        const slot *sl = &s->slots[s->active[u / K]];
        const mg_clip *c = sl->clip;
        const int64_t k = u % K, column = sl->column + 1;
        const int64_t frame = mg_delay_frame(&s->delay, c->T, k, column);
        float *logits = s->logits + (sl->i_token * K + k) * V;

        if (frame < 0) continue;
        if (sl->i_plain >= 0)
            mg_guide(logits, logits, s->logits + (sl->i_plain * K + k) * V, (float)c->guidance, V);
        sl->codes[k * c->T + frame] =
            mg_sample(s->samplers[i_thread], logits, &c->sampling, mg_rng_uniform(c->seed, column, (int)k));
    }
}

/* Sound, on the leader, and the callback; the slot is free afterwards. */
static mg_status finish(mg_scheduler *s, slot *sl, mg_clip_done *done, void *arg)
{
    mg_replica *r = s->replica;
    const mg_clip *c = sl->clip;
    const double lm_end_s = mg_clock_s();
    mg_clip_result result = {.codes = sl->codes, .n_steps = sl->M, .text_s = sl->text_s};

    sl->clip = NULL;
    if (!r->is_leader) return MG_OK;
    result.lm_s = lm_end_s - sl->begin_s;
    result.pcm = s->pcm;
    result.n_frames = c->T * r->config.codec.hop;
    result.st = mg_encodec_decode(r->codec, s->pcm, sl->codes, c->T);
    result.codec_s = mg_clock_s() - lm_end_s;
    return done(arg, c, &result);
}

/* Feed one column of every active slot, sample the next, move on. */
static mg_status step(mg_scheduler *s, int64_t *n_columns)
{
    const double begin_s = mg_clock_s();
    mg_lm_batch batch;
    const int64_t n_active = build_batch(s, &batch);

    MG_RETURN(mg_lm_forward(s->replica->lm, &batch, s->logits));
    mg_threads_run(s->replica->threads, sample_units, s, n_active * s->delay.K);
    for (int64_t a = 0; a < n_active; a++) s->slots[s->active[a]].column++;
    *n_columns += n_active;
    s->n_steps++;
    s->step_s += mg_clock_s() - begin_s;
    return MG_OK;
}

mg_status mg_scheduler_run(mg_scheduler *s, const mg_clip *const *clips, int64_t n_clips, mg_clip_done *done,
                           void *arg)
{
    int64_t n_admitted = 0, n_finished = 0, n_columns = 0, n_columns_all = 0;
    mg_progress progress;
    mg_status st = MG_OK;

    for (int64_t i = 0; i < n_clips; i++) n_columns_all += mg_delay_columns(&s->delay, clips[i]->T) - 1;
    mg_progress_begin(&progress, "generate", "frames", n_columns_all);
    while (n_finished < n_clips) {
        MG_TRY(mg_stop_check());
        for (int64_t i = 0; i < s->n_slots && n_admitted < n_clips; i++)
            if (!s->slots[i].clip) MG_TRY(admit(s, i, clips[n_admitted++]));
        MG_TRY(step(s, &n_columns));
        mg_progress_update(&progress, n_columns);
        for (int64_t i = 0; i < s->n_slots; i++) {
            slot *sl = &s->slots[i];
            if (!sl->clip || sl->column < sl->M) continue;
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
