/* From a request and the model to a clip: how long, in which windows, how it is sampled, which tokens; and
 * whether the model can make it at all. */
#include <math.h>
#include <string.h>

#include "clip_list_impl.h"
#include "delay.h"
#include "encodec.h"
#include "plan.h"
#include "resample.h"
#include "style_excerpt.h"
#include "text.h"

#define DEFAULT_DURATION_S 30.0 /* AudioCraft's MusicGen; AudioGen's is its window */
#define DEFAULT_WINDOW_S   30.0
#define MUSIC_STRIDE       0.6 /* of the window: AudioCraft's 18 s of 30 */
#define SOUND_STRIDE       0.2 /* AudioGen's 2 s of 10 */
enum { SOUND_RATE_HZ = 16000, MAX_TOKENS = 2048 };

static bool is_audiocraft(const mg_replica *r)
{
    return r->files->lm_yaml != NULL;
}

static bool is_audiogen(const mg_replica *r)
{
    return is_audiocraft(r) && r->config.codec.sampling_rate == SOUND_RATE_HZ;
}

/* Who says: the nearest one wins. */
enum { SAID_BY_RULES, SAID_BY_CHECKPOINT, SAID_BY_CALL, SAID_BY_REQUEST };

/* transformers' max_new_tokens are the columns behind the start column. The delay pattern fills them, so the
 * clip has fewer frames: 1503 tokens are 1500. */
static mg_status count_new_tokens(mg_clip *c, int64_t n_tokens, const mg_replica *r)
{
    const mg_delay d = {r->config.lm.K, r->config.lm.n_channels};
    const int64_t n_more = mg_delay_columns(&d, 0) - 1;

    c->terms.T = n_tokens - n_more;
    if (c->audio_prompt)
        return mg_fail(MG_EUSAGE,
                       "option --max-new-tokens: counts behind the audio prompt; give --frames, which "
                       "counts all");
    if (c->terms.T >= 1) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "option --max-new-tokens: %lld: the delay pattern takes %lld of them; give more",
                   (long long)n_tokens, (long long)n_more);
}

/* AudioCraft's int(duration * frame_rate), in doubles: 8.2 s at 50 a second are 409 frames. */
static mg_status count_frames(mg_clip *c, const mg_recipe *q, const mg_request_state *state,
                              const mg_call *call, const mg_replica *r)
{
    double dur_s = q->dur_s;

    if (call->n_new_tokens > 0 && isnan(dur_s) && q->n_frames <= 0)
        return count_new_tokens(c, call->n_new_tokens, r);
    if (isnan(dur_s)) dur_s = is_audiogen(r) ? r->files->window_s : DEFAULT_DURATION_S;
    c->terms.T = q->n_frames > 0 ? q->n_frames : (int64_t)(dur_s * mg_replica_frame_rate(r));
    if (c->terms.T >= 1) return MG_OK;
    const mg_recipe asked = {.said = state->own};
    return mg_fail(MG_EUSAGE, "%s: %g: shorter than one frame, %g s",
                   MG_SAID(&asked, dur_s) ? "duration" : "option --duration", dur_s,
                   1.0 / mg_replica_frame_rate(r));
}

/* The window: as asked, else the model's own; and its step. `S`: tokens that stand beside it. */
static mg_status set_windows(mg_clip *c, const mg_recipe *q, const mg_replica *r, int64_t S)
{
    const mg_generation_config *g = &r->config.generation;
    const double rate = mg_replica_frame_rate(r), asked_s = q->window_s, step_s = q->stride_s;
    const int64_t T_most = mg_plan_max_frames(r, S);
    const double stride = is_audiogen(r) ? SOUND_STRIDE : MUSIC_STRIDE;
    double window_s = isnan(asked_s) ? DEFAULT_WINDOW_S : asked_s;

    if (T_most < 2)
        return mg_fail(MG_EUSAGE,
                       "prompt: its %lld tokens leave no room for music in this model's %lld positions",
                       (long long)S, (long long)r->config.lm.max_positions);
    if (isnan(asked_s) && r->files->window_s > 0) window_s = r->files->window_s;
    if (isnan(asked_s) && !is_audiocraft(r) && g->has_max_length && g->max_length > 1)
        window_s = (double)g->max_length / rate;
    c->terms.T_window = (int64_t)(window_s * rate);
    if (!isnan(asked_s) && c->terms.T_window > T_most)
        return mg_fail(MG_EUSAGE,
                       "option --window: %g: this model's position table ends at %lld frames (%.2f s)",
                       asked_s, (long long)T_most, (double)T_most / rate);
    if (c->terms.T_window < 2)
        return mg_fail(MG_EUSAGE, "option --window: %g: shorter than two frames, %g s", window_s, 2 / rate);
    if (c->terms.T_window > T_most) {
        c->terms.T_window = T_most;
        window_s = (double)T_most / rate;
    }
    c->terms.T_stride = (int64_t)(rate * (isnan(step_s) ? stride * window_s : step_s));
    if (c->terms.T_stride < 1) c->terms.T_stride = 1;
    if (c->terms.T_stride < c->terms.T_window) return MG_OK;
    if (c->terms.T > c->terms.T_window)
        return mg_fail(MG_EUSAGE, "option --extend-stride: %g: must be shorter than the window, %g s", step_s,
                       window_s);
    c->terms.T_stride = c->terms.T_window - 1;
    return MG_OK;
}

static int who_says(const mg_recipe_key *key, const mg_request_state *state, const mg_recipe *call,
                    const mg_recipe *checkpoint)
{
    const mg_recipe asked = {.said = state->own};

    return mg_recipe_says(&asked, key)       ? SAID_BY_REQUEST
           : mg_recipe_says(call, key)       ? SAID_BY_CALL
           : mg_recipe_says(checkpoint, key) ? SAID_BY_CHECKPOINT
                                             : SAID_BY_RULES;
}

/* Only Hugging Face's generation_config.json gives defaults: AudioCraft itself ignores what xp.cfg says. */
static void read_checkpoint(mg_recipe *says, const mg_replica *r)
{
    const mg_generation_config *g = &r->config.generation;

    mg_recipe_init(says);
    if (is_audiocraft(r)) return;
    if (g->has_guidance_scale) /* transformers guides above 1 alone */
        MG_SAY(says, cfg_coef, g->guidance_scale > 1 ? g->guidance_scale : 1);
    if (g->has_top_k) MG_SAY(says, sampling.top_k, g->top_k);
    if (g->has_top_p) MG_SAY(says, sampling.top_p, g->top_p);
    if (g->has_min_p) MG_SAY(says, sampling.min_p, g->min_p);
    if (g->has_temperature) MG_SAY(says, sampling.temperature, g->temperature);
    if (g->has_do_sample) MG_SAY(says, sampling.greedy, !g->do_sample);
}

static mg_recipe read_rules(bool hf)
{
    mg_recipe says;

    mg_recipe_init(&says);
    MG_SAY(&says, cfg_coef, 3);
    MG_SAY(&says, sampling.top_k, hf ? 50 : 250);
    MG_SAY(&says, sampling.top_p, hf ? 1 : 0);
    MG_SAY(&says, sampling.temperature, 1);
    return says;
}

static void set_sampling(mg_recipe *q, const mg_request_state *state, const mg_recipe *call,
                         const mg_replica *r)
{
    const bool hf = q->sampling.rules == MG_RULES_HF;
    const mg_recipe rules = read_rules(hf);
    mg_recipe checkpoint;
    bool told_how = false; /* by the request or the call: then a checkpoint's do_sample false is not meant */

    read_checkpoint(&checkpoint, r);
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        const bool is_number = key->type == MG_KEY_INT || key->type == MG_KEY_NUMBER;
        if (!mg_recipe_is_of_sampling(key) || !is_number) continue;
        told_how = told_how || who_says(key, state, call, &checkpoint) >= SAID_BY_CALL;
    }
    if (told_how) MG_UNSAY(&checkpoint, sampling.greedy);
    mg_recipe_fill(q, &checkpoint);
    mg_recipe_fill(q, &rules);
    const int by_k =
        who_says(mg_recipe_key_of(offsetof(mg_recipe, sampling.top_k)), state, call, &checkpoint);
    const int by_p =
        who_says(mg_recipe_key_of(offsetof(mg_recipe, sampling.top_p)), state, call, &checkpoint);
    /* By AudioCraft's rules top-p disables top-k: not a top-p from farther away, nor transformers' "off". */
    if (!hf && (by_k > by_p || (by_p == SAID_BY_CHECKPOINT && q->sampling.top_p >= 1))) q->sampling.top_p = 0;
}

static mg_status encode(int32_t **ids, int64_t *S, const char *text, const char *where,
                        const mg_tokenizer *tokenizer, const mg_replica *r)
{
    const char *path = r->files->tokenizer;

    MG_RETURN(mg_tokenizer_encode(tokenizer, text, ids, S));
    if (*S > MAX_TOKENS)
        return mg_fail(MG_EUSAGE, "%s: %lld tokens, at most %d are taken; shorten it", where, (long long)*S,
                       MAX_TOKENS);
    for (int64_t s = 0; s < *S; s++)
        if ((*ids)[s] < 0 || (*ids)[s] >= r->config.t5.vocab_size)
            return mg_fail(MG_ECHECKPOINT, "tokenizer: %s: gives token %d, and the text encoder has %lld",
                           path, (*ids)[s], (long long)r->config.t5.vocab_size);
    return MG_OK;
}

mg_status mg_request_encode(mg_request_state *state, const mg_recipe *q, const mg_replica *r,
                            const mg_tokenizer *tokenizer)
{
    if (q->prompt && *q->prompt && !q->text_states)
        MG_RETURN(encode(&state->ids, &state->tokens.S, q->prompt, q->where, tokenizer, r));
    if (!q->negative_prompt) return MG_OK;
    return encode(&state->negative_ids, &state->tokens.S_negative, q->negative_prompt, "negative prompt",
                  tokenizer, r);
}

static mg_status set_texts(mg_clip *c, const mg_request_state *state, const mg_replica *r)
{
    const mg_request_files *files = &state->files;

    c->text.ids = state->ids;
    c->terms.S = c->text.states ? files->states_S : state->tokens.S;
    c->negative.ids = state->negative_ids;
    c->terms.S_negative = state->tokens.S_negative;
    if (!c->text.states) return MG_OK;
    if (files->states_d != r->config.lm.d_text)
        return mg_fail(MG_EUSAGE, "%s: text states are %lld wide, and this model's are %lld", c->text.states,
                       (long long)files->states_d, (long long)r->config.lm.d_text);
    if (files->states_S > MAX_TOKENS)
        return mg_fail(MG_EUSAGE, "%s: states of %lld tokens, at most %d are taken", c->text.states,
                       (long long)files->states_S, MAX_TOKENS);
    return MG_OK;
}

static mg_status check_melody(const mg_clip *c, const mg_recipe *q, const mg_request_state *state,
                              const mg_replica *r)
{
    if (c->melody && r->config.codec.sampling_rate == 0)
        return mg_fail(MG_EUSAGE,
                       "melody: %s: needs the codec, whose sampling rate it is heard at; give --codec",
                       c->melody);
    if (c->melody && r->config.lm.n_chroma == 0)
        return mg_fail(MG_EUSAGE,
                       "melody: %s: the model %s follows texts alone; take one that follows a melody or a "
                       "style, such as facebook/musicgen-melody or facebook/musicgen-style",
                       c->melody, r->files->lm.path);
    const mg_recipe asked = {.said = state->own};
    if (!r->config.lm.is_style &&
        (MG_SAID(q, style_n_codebooks) || MG_SAID(q, style_dur_s) || MG_SAID(q, style_start_s)))
        return mg_fail(
            MG_EUSAGE,
            "style_codebooks, style_duration, style_start: are for MusicGen-Style, which the model %s "
            "is not",
            r->files->lm.path);
    if (!c->melody && (MG_SAID(&asked, style_n_codebooks) || MG_SAID(&asked, style_dur_s) ||
                       MG_SAID(&asked, style_start_s)))
        return mg_fail(MG_EUSAGE, "style_codebooks, style_duration, style_start: there is no music (melody)");
    if (!c->melody && MG_SAID(&asked, cfg_coef_beta))
        return mg_fail(MG_EUSAGE, "cfg_coef_beta: %g: weighs the text against a melody, and there is none",
                       q->cfg_coef_beta);
    return MG_OK;
}

/* Codec frames of the audio prompt. */
static mg_status count_prompt(int64_t *T0, const mg_clip *c, const mg_request_files *f, const mg_replica *r)
{
    const mg_codec_config *codec = &r->config.codec;
    const mg_lm_config *lm = &r->config.lm;
    const double dur_s = c->audio_prompt_dur_s;

    if (f->codes_T > 0) {
        if (f->codes_K != lm->K)
            return mg_fail(MG_EFAIL, "%s: codes of %lld codebook%s, and this model has %lld", c->audio_prompt,
                           (long long)f->codes_K, mg_plural(f->codes_K), (long long)lm->K);
        if (f->codes_low < 0 || f->codes_high >= lm->V)
            return mg_fail(MG_EFAIL, "%s: holds the code %lld: this model's are 0 to %lld", c->audio_prompt,
                           (long long)(f->codes_low < 0 ? f->codes_low : f->codes_high),
                           (long long)lm->V - 1);
        *T0 = dur_s * mg_replica_frame_rate(r) < (double)f->codes_T
                  ? (int64_t)(dur_s * mg_replica_frame_rate(r))
                  : f->codes_T;
    } else {
        int64_t n = f->prompt_n_frames;
        if (lm->n_channels > 1 && f->prompt_n_channels > lm->n_channels)
            return mg_fail(MG_EFAIL, "%s: has %lld channels, and this model takes 1 or %lld; mix it down",
                           c->audio_prompt, (long long)f->prompt_n_channels, (long long)lm->n_channels);
        if (dur_s * (double)f->prompt_rate_hz < (double)n) n = (int64_t)(dur_s * (double)f->prompt_rate_hz);
        n = mg_resample_count(n > 1 ? n : 1, f->prompt_rate_hz, codec->sampling_rate);
        *T0 = mg_encodec_frames(codec, n);
    }
    return *T0 > 0 ? MG_OK : mg_fail(MG_EFAIL, "%s: too short for a frame", c->audio_prompt);
}

static mg_status check_prompt(const mg_clip *c, const mg_request_files *f, const mg_replica *r)
{
    const bool windowed = c->terms.T_window < c->terms.T;
    const int64_t T_limit = windowed ? c->terms.T_window : c->terms.T;
    const double rate = mg_replica_frame_rate(r);
    int64_t T0 = 0;

    if (!c->audio_prompt) return MG_OK;
    MG_RETURN(count_prompt(&T0, c, f, r));
    if (T0 < T_limit) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "%s: %lld frames (%.2f s), which count toward the limit, and %s %lld frames (%.2f s); "
                   "shorten the prompt (--prompt-duration, in a list prompt_duration)%s",
                   c->audio_prompt, (long long)T0, (double)T0 / rate,
                   windowed ? "the model's window is" : "the clip has", (long long)T_limit,
                   (double)T_limit / rate, windowed ? "" : " or make the clip longer");
}

/* Is the melody's file as long as its excerpt? Found out before the weights are read. */
static mg_status check_excerpt(const mg_clip *c, const mg_request_files *f, const mg_replica *r)
{
    int64_t first, n;

    return mg_style_excerpt_find(
        &first, &n, &r->config, c,
        mg_resample_count(f->melody_n_frames, f->melody_rate_hz, r->config.codec.sampling_rate));
}

/* What a style model hears of the melody's file. */
static mg_status set_style(mg_clip *c, mg_recipe *q, const mg_request_files *f, const mg_replica *r)
{
    const mg_style_config *s = &r->config.style;

    if (!c->melody || !r->config.lm.is_style) return MG_OK;
    if (!MG_SAID(q, style_n_codebooks)) MG_SAY(q, style_n_codebooks, s->eval_codebooks);
    if (!MG_SAID(q, style_dur_s)) MG_SAY(q, style_dur_s, s->excerpt_s);
    if (q->style_n_codebooks > s->n_codebooks)
        return mg_fail(MG_EUSAGE, "style_codebooks: %lld: this model has %lld",
                       (long long)q->style_n_codebooks, (long long)s->n_codebooks);
    c->style_n_codebooks = q->style_n_codebooks;
    c->style_dur_s = q->style_dur_s;
    return check_excerpt(c, f, r);
}

static int64_t rate_of(const mg_recipe *q, const mg_replica *r)
{
    return q->rate_hz > 0 ? q->rate_hz : r->config.codec.sampling_rate;
}

int64_t mg_clip_list_most_frames(const mg_recipe *q, const mg_replica *r)
{
    const int64_t most = mg_audio_format_most_frames((mg_audio_format)q->format, r->config.lm.n_channels);
    const int64_t from_hz = r->config.codec.sampling_rate;

    if (most == INT64_MAX || from_hz == 0) return INT64_MAX;
    return ((most + 1) * from_hz - 1) / (rate_of(q, r) * r->config.codec.hop); /* as mg_resample_count */
}

/* Can a file of its format hold the sound? Known before the hours that it takes. */
static mg_status check_length(const mg_clip *c, const mg_recipe *q, const mg_call *call, const mg_replica *r)
{
    const mg_codec_config *codec = &r->config.codec;
    const int64_t rate_hz = rate_of(q, r);

    if (call->codes_only || c->terms.T <= mg_clip_list_most_frames(q, r)) return MG_OK;
    return mg_audio_length_check((mg_audio_format)q->format,
                                 mg_resample_count(c->terms.T * codec->hop, codec->sampling_rate, rate_hz),
                                 rate_hz, r->config.lm.n_channels);
}

mg_status mg_request_fill(mg_clip *c, mg_recipe *q, const mg_request_state *state, const mg_call *call,
                          const mg_replica *replica)
{
    MG_RETURN(check_melody(c, q, state, replica));
    if (!c->melody) MG_UNSAY(q, cfg_coef_beta); /* of the call, for clips that have one */
    MG_RETURN(set_style(c, q, &state->files, replica));
    MG_RETURN(set_texts(c, state, replica));
    MG_RETURN(count_frames(c, q, state, call, replica));
    MG_RETURN(check_length(c, q, call, replica));
    MG_RETURN(set_windows(c, q, replica, mg_clip_n_tokens(&c->terms)));
    set_sampling(q, state, &call->all, replica);
    c->terms.guidance = q->cfg_coef;
    c->terms.guidance_beta = q->cfg_coef_beta;
    c->terms.sampling = q->sampling;
    c->written_hz = call->codes_only ? 0 : rate_of(q, replica);
    MG_SAY(q, n_frames, c->terms.T);
    MG_SAY(q, n_window_frames, c->terms.T_window);
    MG_SAY(q, n_stride_frames, c->terms.T_stride);
    return check_prompt(c, &state->files, replica);
}
