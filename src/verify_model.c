/* Is the conditioning alive? The classic failure is silent: a tensor is not found, is left as it was
 * initialised, and the model ignores the text or sounds like static. Such a model answers two texts alike. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "scheduler.h"
#include "tokenizer.h"
#include "verify.h"

enum { N_TEXTS = 2, N_FRAMES = 50, SEED = 1 };

static const char *const texts[N_TEXTS] = {"80s pop track with bassy drums and synth", "slow sad piano"};

/* What came of the two clips. */
typedef struct sounds {
    double rms[N_TEXTS], deviation[N_TEXTS];
    int64_t n_bad;
    mg_status st;
    char error[512];
} sounds;

static mg_status take_sound(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    sounds *s = arg;
    double sum = 0, squares = 0;

    if (result->st != MG_OK) {
        s->st = result->st;
        snprintf(s->error, sizeof s->error, "%s", mg_last_error());
        return MG_OK;
    }
    for (int64_t i = 0; i < result->n_frames; i++) {
        const double x = (double)result->pcm[i];
        if (!isfinite(x)) s->n_bad++;
        sum += x;
        squares += x * x;
    }
    const double n = (double)result->n_frames, mean = sum / n;
    s->rms[clip->index] = sqrt(squares / n);
    s->deviation[clip->index] = sqrt(fmax(0, squares / n - mean * mean));
    return MG_OK;
}

/* The leader encodes; everybody gets the states. */
static mg_status set_text(mg_replica *r, int64_t i_text, const mg_clip *clip)
{
    mg_status st = MG_OK;
    mg_tensor mine, states = mg_tensor_rows(&r->states, 0, clip->S);
    float *host = calloc((size_t)mg_tensor_count(&states), sizeof *host);

    if (!host) return mg_fail(MG_ENOMEM, "verify: no memory for a text's states");
    if (r->is_leader) {
        MG_TRY(mg_t5_encode(r->t5, &mine, clip->ids, clip->S));
        MG_TRY(r->ops->download(r->ops->ctx, host, mine.data, mg_tensor_bytes(&mine)));
    }
    MG_TRY(mg_comm_bcast(r->group, host, mg_tensor_count(&states), MG_F32, 0));
    MG_TRY(r->ops->upload(r->ops->ctx, states.data, host, mg_tensor_bytes(&states)));
    MG_TRY(mg_lm_set_text(r->lm, i_text, &states));
done:
    free(host);
    return st;
}

/* The first step's logits [3,K,V]: of both texts, and of none. */
static mg_status first_logits(mg_replica *r, const mg_clip *clips, float *logits)
{
    const int64_t K = r->config.lm.K;
    int32_t ids[(N_TEXTS + 1) * MG_MAX_CODEBOOKS];
    const int32_t row[] = {0, 1, 2}, position[] = {0, 0, 0}, text[] = {0, 1};
    const mg_lm_batch batch = {.n_tokens = N_TEXTS + 1,
                               .n_with_text = N_TEXTS,
                               .ids = ids,
                               .row = row,
                               .position = position,
                               .text = text};

    for (int64_t i = 0; i < (N_TEXTS + 1) * K; i++) ids[i] = (int32_t)r->config.lm.V;
    for (int64_t i = 0; i < N_TEXTS; i++) MG_RETURN(set_text(r, i, &clips[i]));
    return mg_lm_forward(r->lm, &batch, logits);
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
static void judge_logits(mg_verify *v, const float *logits, int64_t n)
{
    const double own = spread(logits, n);
    const double texts_differ = farthest(logits, logits + n, n), guided = farthest(logits, logits + 2 * n, n);
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
}

static void judge_sounds(mg_verify *v, const sounds *s)
{
    const double rms = fmax(s->rms[0], s->rms[1]), deviation = fmax(s->deviation[0], s->deviation[1]);

    if (s->st != MG_OK)
        mg_verify_note(v, "codec sounds", MG_VERIFY_FAILED, "%s", s->error);
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

static mg_status make_sounds(mg_verify *v, const mg_clip *clips)
{
    mg_status st = MG_OK;
    mg_scheduler *scheduler = NULL;
    const mg_clip *list[N_TEXTS] = {&clips[0], &clips[1]};
    sounds s = {0};

    MG_TRY(mg_comm_agree(v->world->all, mg_scheduler_open(&scheduler, v->replica)));
    MG_TRY(mg_scheduler_run(scheduler, list, N_TEXTS, take_sound, &s));
    if (v->world->rank == 0) judge_sounds(v, &s);
done:
    mg_scheduler_close(scheduler);
    return st;
}

static mg_status make_clips(mg_clip *clips, const mg_replica *r)
{
    mg_tokenizer *tokenizer = NULL;
    const int64_t most = mg_plan_max_frames(r);

    MG_RETURN(mg_tokenizer_open(&tokenizer, r->files->tokenizer));
    mg_status st = MG_OK;
    for (int i = 0; i < N_TEXTS && st == MG_OK; i++) {
        clips[i] = (mg_clip){.index = i,
                             .prompt = texts[i],
                             .seed = SEED,
                             .T = most < N_FRAMES ? most : N_FRAMES,
                             .guidance = 3,
                             .sampling = {.top_k = 250, .temperature = 1}};
        st = mg_tokenizer_encode(tokenizer, texts[i], &clips[i].ids, &clips[i].S);
    }
    mg_tokenizer_close(tokenizer);
    return st;
}

static mg_status listen(mg_verify *v, mg_clip *clips)
{
    mg_status st = MG_OK;
    mg_world *w = v->world;
    mg_replica_limits limits;
    const mg_lm_config *c = &v->replica->config.lm;
    float *logits = calloc((size_t)((N_TEXTS + 1) * c->K * c->V), sizeof *logits);

    MG_TRY(mg_comm_agree(w->all, logits ? MG_OK : mg_fail(MG_ENOMEM, "verify: no memory for the logits")));
    MG_TRY(mg_comm_agree(w->all, make_clips(clips, v->replica)));
    MG_TRY(mg_plan_make(&limits, v->replica, w, clips, N_TEXTS, N_TEXTS));
    MG_TRY(mg_comm_agree(w->all, mg_replica_load(v->replica, &limits)));
    MG_TRY(first_logits(v->replica, clips, logits));
    if (w->rank == 0) judge_logits(v, logits, c->K * c->V);
    MG_TRY(make_sounds(v, clips));
done:
    free(logits);
    return st;
}

mg_status mg_verify_model(mg_verify *v)
{
    const mg_verify_settings *s = v->settings;
    const mg_replica_source source = {.model = {.model = s->source,
                                                .text_encoder = s->text_encoder,
                                                .codec = s->codec,
                                                .tokenizer = s->tokenizer},
                                      .dtype = v->backend.dtype,
                                      .with_text = true,
                                      .with_tokenizer = true};
    const mg_lm_config *lm = &v->files->config.lm;
    mg_clip clips[N_TEXTS] = {0};
    mg_status st;

    if (lm->n_chroma || lm->n_channels == 2) {
        mg_verify_note(v, "the short run", MG_VERIFY_SKIPPED, "%s is not supported yet, so it was not heard",
                       lm->n_chroma ? "following a melody" : "stereo sound");
        return MG_OK;
    }
    st = mg_comm_agree(v->world->all, mg_replica_open(&v->replica, &source, v->backend.ops,
                                                      v->backend.threads, v->world->group));
    if (st == MG_OK) {
        mg_verify_note(v, "every tensor in place", MG_VERIFY_PASSED, "%.1f MB to read",
                       (double)v->replica->read_bytes / 1e6);
        st = listen(v, clips);
        if (st == MG_OK) mg_verify_note(v, "melody acts", MG_VERIFY_SKIPPED, "this model follows no melody");
    }
    if (st == MG_ECHECKPOINT) { /* a finding: what opened or loaded is not right */
        mg_verify_note(v, v->replica ? "loads" : "every tensor in place", MG_VERIFY_FAILED, "%s",
                       mg_last_error());
        st = MG_OK;
    }
    for (int i = 0; i < N_TEXTS; i++) free(clips[i].ids);
    return st;
}
