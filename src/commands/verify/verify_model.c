/* Is the conditioning alive? The classic failure is silent: a tensor is not found, is left as it was
 * initialised, and the model ignores the text or sounds like static. Such a model answers two texts alike. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conditions.h"
#include "finisher.h"
#include "model_options.h"
#include "plan.h"
#include "scheduler.h"
#include "tokenizer.h"
#include "verify.h"

/* Sequences of the first step: the two texts', and these. */
enum { NO_TEXT = 2, WITH_MELODY = 3, N_ROWS = 4 };

enum { N_TEXTS = 2, N_FRAMES = 50, MAX_TOKENS = 32, SEED = 1 };

static const char *const texts[N_TEXTS] = {"80s pop track with bassy drums and synth", "slow sad piano"};

/* What came of the two clips. */
typedef struct sounds {
    double rms[N_TEXTS], deviation[N_TEXTS];
    int64_t n_bad;
    mg_fault fault;
} sounds;

static mg_status take_sound(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    sounds *s = arg;
    const int64_t n_values = result->sound.n_frames * result->sound.n_channels;
    double sum = 0, squares = 0;

    if (result->fault.st != MG_OK) {
        s->fault = result->fault;
        return MG_OK;
    }
    for (int64_t i = 0; i < n_values; i++) {
        const double x = (double)result->sound.pcm[i];
        if (!isfinite(x)) s->n_bad++;
        sum += x;
        squares += x * x;
    }
    const double n = (double)n_values, mean = sum / n;
    s->rms[clip->index] = sqrt(squares / n);
    s->deviation[clip->index] = sqrt(fmax(0, squares / n - mean * mean));
    return MG_OK;
}

/* Text i, for a cross-attention model; for a melody model what stands before the columns of the rows that
 * hear it: with text 0 also the row that hears a melody. */
static mg_status set_text(mg_replica *r, int64_t i, const float *states, int64_t S)
{
    static const int32_t melody[] = {0, 4, 7, 4}; /* an arpeggio of C major */
    mg_lm_prefix p = {.n_style = 1, .text = states, .n_states = S, .S = S};

    if (!r->config.lm.n_chroma) return mg_lm_set_text(r->lm, i, states, S);
    MG_RETURN(mg_lm_set_prefix(r->lm, i, &p));
    if (i > 0) return MG_OK;
    p.bins = melody, p.n_bins = 4;
    if (r->config.lm.n_chroma <= S * r->config.lm.d_text) p.style = states; /* any numbers will do */
    MG_RETURN(mg_lm_set_prefix(r->lm, WITH_MELODY, &p));
    return mg_lm_set_prefix(r->lm, NO_TEXT, &(mg_lm_prefix){.n_style = 1, .S = S});
}

/* A clip's text into row i of the model, on every rank. */
static mg_status share_text(mg_replica *r, mg_conditions *conditions, int64_t i, const mg_clip *clip)
{
    const size_t room_bytes = r->limits.n_payload_bytes;
    mg_ready_clip *ready = NULL;
    mg_clip_terms terms;
    mg_clip_payload payload;
    mg_status st = MG_OK;
    void *room = calloc(1, room_bytes + 1);

    if (!room) st = mg_fail(MG_ENOMEM, "verify: no memory for a text");
    if (st == MG_OK && r->is_leader) st = mg_conditions_prepare(conditions, &ready, clip);
    if (st == MG_OK && ready) st = mg_fault_raise(&ready->fault);
    MG_TRY(mg_comm_agree(r->group, st));
    MG_TRY(mg_conditions_share(r, &terms, &payload, room, room_bytes, ready));
    st = set_text(r, i, payload.text, terms.S);
done:
    mg_ready_clip_close(ready);
    free(room);
    return st;
}

/* The first step's logits [N_ROWS,K,V]: of both texts, of none, and in a melody model of the first text with
 * a melody. */
static mg_status first_logits(mg_replica *r, mg_conditions *conditions, const mg_clip *clips, float *logits)
{
    const mg_lm_config *lm = &r->config.lm;
    int32_t cells[N_ROWS * MG_MAX_CODEBOOKS], position[N_ROWS] = {0};
    const int32_t row[N_ROWS] = {0, 1, NO_TEXT, WITH_MELODY}, text[N_TEXTS] = {0, 1};
    const mg_lm_batch batch = {.n_tokens = lm->n_chroma ? N_ROWS : N_ROWS - 1,
                               .n_with_text = lm->n_chroma ? 0 : N_TEXTS,
                               .with_logits = true,
                               .cells = cells,
                               .row = row,
                               .position = position,
                               .text = text};

    for (int64_t i = 0; i < N_ROWS * lm->K; i++) cells[i] = -1;
    for (int64_t i = 0; i < N_ROWS; i++)
        position[i] = (int32_t)mg_lm_prefix_length(lm, 1, clips[i == 1].terms.S);
    for (int64_t i = 0; i < N_TEXTS; i++) MG_RETURN(share_text(r, conditions, i, &clips[i]));
    MG_RETURN(mg_lm_step(r->lm, &batch, NULL, 0));
    return mg_lm_logits(r->lm, logits);
}

static double spread(const float *x, int64_t n)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)x[i], squares += (double)x[i] * (double)x[i];
    return sqrt(fmax(0, squares / (double)n - sum / (double)n * (sum / (double)n)));
}

static double farthest(const float *x, const float *y, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

/* A thousandth of the logits' own spread is far more than rounding, and far less than any text does. */
static void judge_logits(mg_verify *v, const float *logits, int64_t n, bool has_melody)
{
    const double own = spread(logits, n);
    const double texts_differ = farthest(logits, logits + n, n),
                 guided = farthest(logits, logits + NO_TEXT * n, n);
    const double least = own / 1000;

    if (!(own > 0) || !isfinite(own)) {
        mg_verify_note(v, "logits", MG_VERIFY_FAILED, "their spread is %g: the language model says nothing",
                       own);
        return;
    }
    mg_verify_note(v, "logits", MG_VERIFY_PASSED, "spread %.3g", own);
    mg_verify_note(v, "two texts differ", texts_differ > least ? MG_VERIFY_PASSED : MG_VERIFY_FAILED,
                   texts_differ > least ? "by up to %.3g" : "by up to %.3g: the model does not hear its text",
                   texts_differ);
    mg_verify_note(v, "guidance acts", guided > least ? MG_VERIFY_PASSED : MG_VERIFY_FAILED,
                   guided > least
                       ? "with and without text differ by up to %.3g"
                       : "with and without text differ by up to %.3g: guidance has nothing to hold",
                   guided);
    if (!has_melody) {
        mg_verify_note(v, "melody acts", MG_VERIFY_SKIPPED, "this model follows no melody");
        return;
    }
    const double heard = farthest(logits, logits + WITH_MELODY * n, n);
    mg_verify_note(v, "melody acts", heard > least ? MG_VERIFY_PASSED : MG_VERIFY_FAILED,
                   heard > least
                       ? "with and without a melody differ by up to %.3g"
                       : "with and without a melody differ by up to %.3g: the model does not hear it",
                   heard);
}

static void judge_sounds(mg_verify *v, const sounds *s)
{
    const double rms = fmax(s->rms[0], s->rms[1]), deviation = fmax(s->deviation[0], s->deviation[1]);

    if (s->fault.st != MG_OK)
        mg_verify_note(v, "codec sounds", MG_VERIFY_FAILED, "%s", s->fault.text);
    else if (s->n_bad)
        mg_verify_note(v, "codec sounds", MG_VERIFY_FAILED, "%lld values are NaN or Inf",
                       (long long)s->n_bad);
    else if (rms < 1e-4 || deviation < 1e-4)
        mg_verify_note(v, "codec sounds", MG_VERIFY_FAILED,
                       "rms %.2g, around the mean %.2g: nothing but silence", rms, deviation);
    else if (rms > 2)
        mg_verify_note(v, "codec sounds", MG_VERIFY_FAILED, "rms %.3g: far beyond full scale", rms);
    else
        mg_verify_note(v, "codec sounds", MG_VERIFY_PASSED, "rms %.3g and %.3g in %d frames", s->rms[0],
                       s->rms[1], N_FRAMES);
}

/* The two clips. */
static mg_status make_sounds(mg_verify *v, const mg_clip *clips)
{
    mg_status st = MG_OK;
    mg_replica *r = v->replica;
    mg_scheduler *scheduler = NULL;
    mg_preparer *preparer = NULL;
    mg_finisher *finisher = NULL;
    const mg_clip *list[N_TEXTS] = {&clips[0], &clips[1]};
    sounds s = {0};

    st = mg_scheduler_open(&scheduler, r);
    if (st == MG_OK && r->is_leader) st = mg_preparer_open(&preparer, r, N_TEXTS);
    if (st == MG_OK && r->is_leader) st = mg_finisher_open(&finisher, r, N_TEXTS, take_sound, &s);
    MG_TRY(mg_comm_agree(v->world->all, st));
    mg_list_source source = {.preparer = preparer, .clip = list, .n = N_TEXTS};
    const mg_clip_source from = mg_list_source_of(&source);
    MG_TRY(mg_scheduler_run(scheduler, r->is_leader ? &from : NULL, mg_finisher_put, finisher));
    if (finisher) MG_TRY(mg_finisher_drain(finisher));
    if (v->world->rank == 0) judge_sounds(v, &s);
done:
    st = mg_world_tell_loss(v->world, st); /* the codec may take longer than the launcher leaves us */
    mg_preparer_close(preparer);
    mg_finisher_close(finisher);
    mg_scheduler_close(scheduler);
    return st;
}

static mg_status make_clips(mg_clip *clips, const mg_replica *r)
{
    mg_tokenizer *tokenizer = NULL;
    const int64_t most = mg_plan_max_frames(r, MAX_TOKENS);

    MG_RETURN(mg_tokenizer_open(&tokenizer, r->files->tokenizer));
    mg_status st = MG_OK;
    for (int i = 0; i < N_TEXTS && st == MG_OK; i++) {
        clips[i] = (mg_clip){.index = i,
                             .text.text = texts[i],
                             .terms = {.seed = SEED,
                                       .T = most < N_FRAMES ? most : N_FRAMES,
                                       .T_window = most,
                                       .guidance = 3,
                                       .guidance_beta = NAN,
                                       .sampling = {.top_k = 250, .temperature = 1}}};
        st = mg_tokenizer_encode(tokenizer, texts[i], &clips[i].text.ids, &clips[i].terms.S);
    }
    mg_tokenizer_close(tokenizer);
    return st;
}

static mg_status check_outputs(mg_verify *v, mg_clip *clips)
{
    mg_status st = MG_OK;
    mg_world *w = v->world;
    mg_replica_limits limits;
    mg_clip_need need = {0};
    const mg_lm_config *c = &v->replica->config.lm;
    float *logits = calloc((size_t)(N_ROWS * c->K * c->V), sizeof *logits);
    mg_conditions *conditions = NULL;

    MG_TRY(mg_comm_agree(w->all, logits ? MG_OK : mg_fail(MG_ENOMEM, "verify: no memory for the logits")));
    MG_TRY(mg_comm_agree(w->all, make_clips(clips, v->replica)));
    for (int i = 0; i < N_TEXTS && st == MG_OK; i++) st = mg_clip_need_add(&need, v->replica, &clips[i]);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_plan_make(&limits, v->replica, w, &need, N_TEXTS, N_TEXTS));
    MG_TRY(mg_comm_agree(w->all, mg_replica_load(v->replica, &limits)));
    MG_TRY(mg_replica_keep_pack(v->replica, w));
    if (v->replica->is_leader) st = mg_conditions_open(&conditions, v->replica);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(first_logits(v->replica, conditions, clips, logits));
    if (w->rank == 0) judge_logits(v, logits, c->K * c->V, c->n_chroma > 0);
    MG_TRY(make_sounds(v, clips));
done:
    mg_conditions_close(conditions);
    free(logits);
    return st;
}

mg_status mg_verify_model(mg_verify *v)
{
    const mg_verify_settings *s = v->settings;
    const mg_replica_source source = {.model = mg_model_with_parts(s->source, &s->parts),
                                      .with_text = true,
                                      .with_tokenizer = true,
                                      .with_decoder = true,
                                      .may_style = true};
    mg_clip clips[N_TEXTS] = {0};
    mg_status st;

    st = mg_comm_agree(v->world->all,
                       mg_replica_open(&v->replica, &source, &v->backend, &v->beside, v->world->group));
    if (st == MG_OK) {
        mg_verify_note(v, "every tensor in place", MG_VERIFY_PASSED, "%.1f MB to read",
                       (double)v->replica->read_bytes / 1e6);
        st = check_outputs(v, clips);
    }
    if (st == MG_ECHECKPOINT) { /* a finding: what opened or loaded is not right */
        mg_verify_note_error(v, v->replica ? "loads" : "every tensor in place");
        st = MG_OK;
    }
    for (int i = 0; i < N_TEXTS; i++) free(clips[i].text.ids);
    return st;
}
