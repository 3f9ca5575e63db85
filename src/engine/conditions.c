#include "conditions.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio_file.h"
#include "chroma.h"
#include "clock.h"
#include "npy.h"
#include "resample.h"
#include "stop.h"
#include "style_excerpt.h"
#include "style_memo.h"
#include "text.h"
#include "text_states.h"

enum { CHROMA_MARGIN = 5 }; /* frames whose samples the last one may read */

struct mg_conditions {
    mg_replica *replica; /* borrowed */
    mg_chroma *chroma;   /* of a melody model */
    mg_style_memo styles;
};

/* What preparing a clip collects before it is packed. */
typedef struct conditioning {
    int32_t *prompt;    /* [K,T_prompt] */
    mg_sound melody;    /* mono, at the codec's rate; of a style model the excerpt, at MERT's, or */
    const float *style; /* its rows, which the memo has; NULL: it has not */
    mg_style_key style_key;
    bool has_key;
} conditioning;

mg_status mg_conditions_open(mg_conditions **out, mg_replica *r)
{
    mg_status st = MG_OK;
    mg_conditions *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c) return mg_fail(MG_ENOMEM, "conditions: %zu bytes", sizeof *c);
    c->replica = r;
    if (r->limits.with_melody && !r->config.lm.is_style)
        MG_TRY(mg_chroma_open(&c->chroma, r->config.codec.sampling_rate, r->config.lm.n_chroma));
    *out = c;
done:
    if (st != MG_OK) mg_conditions_close(c);
    return st;
}

void mg_conditions_close(mg_conditions *c)
{
    if (!c) return;
    mg_chroma_close(c->chroma);
    mg_style_memo_reset(&c->styles);
    free(c);
}

/* Room for the codes of an audio prompt, if T0 frames of it leave something to make. */
static mg_status take_prompt(int32_t **codes, const mg_replica *r, const mg_clip *clip, int64_t T0)
{
    const mg_clip_terms *t = &clip->terms;
    const int64_t limit = t->T < t->T_window ? t->T : t->T_window;
    const double rate = mg_replica_frame_rate(r);

    if (T0 >= limit)
        return mg_fail(
            MG_EUSAGE,
            "audio prompt: %s: its %lld frames (%.2f s) count toward the length, and %s %lld (%.2f s): "
            "shorten the prompt (--prompt-duration, in a list prompt_duration)",
            clip->audio_prompt, (long long)T0, (double)T0 / rate,
            t->T <= t->T_window ? "the clip has" : "a window of the model has", (long long)limit,
            (double)limit / rate);
    *codes = calloc((size_t)(r->config.lm.K * T0), sizeof **codes);
    return *codes ? MG_OK : mg_fail(MG_ENOMEM, "audio prompt: %lld frames", (long long)T0);
}

/* The first frames of a file of codes. */
static mg_status read_codes(int32_t **codes, int64_t *T0, const mg_replica *r, const mg_clip *clip)
{
    const mg_lm_config *lm = &r->config.lm;
    const double rate = mg_replica_frame_rate(r);
    mg_status st = MG_OK;
    int64_t n_rows, n_cols;
    int32_t *all = NULL;

    MG_TRY(mg_npy_read_i32(clip->audio_prompt, &all, &n_rows, &n_cols));
    if (n_rows != lm->K)
        MG_TRY(mg_fail(MG_EFAIL, "audio prompt: %s: codes of %lld codebook%s, the model has %lld",
                       clip->audio_prompt, (long long)n_rows, mg_plural(n_rows), (long long)lm->K));
    *T0 = n_cols;
    if (clip->audio_prompt_dur_s * rate < (double)n_cols) *T0 = (int64_t)(clip->audio_prompt_dur_s * rate);
    if (*T0 < 1) MG_TRY(mg_fail(MG_EFAIL, "audio prompt: %s: holds no frame", clip->audio_prompt));
    MG_TRY(take_prompt(codes, r, clip, *T0));
    for (int64_t k = 0; k < lm->K; k++)
        for (int64_t t = 0; t < *T0; t++) {
            const int32_t code = all[k * n_cols + t];
            if (code < 0 || code >= lm->V)
                MG_TRY(mg_fail(MG_EFAIL,
                               "audio prompt: %s: code %d of codebook %lld, frame %lld: must be in 0 … %lld",
                               clip->audio_prompt, code, (long long)k, (long long)t, (long long)(lm->V - 1)));
            (*codes)[k * *T0 + t] = code;
        }
done:
    free(all);
    return st;
}

/* The codes of a sound. */
static mg_status encode_sound(int32_t **codes, int64_t *T0, mg_replica *r, const mg_clip *clip)
{
    mg_status st = MG_OK;
    mg_sound file = {0}, sound = {0};

    MG_TRY(mg_audio_file_read(&file, clip->audio_prompt, clip->audio_prompt_dur_s));
    MG_TRY(mg_sound_convert_unless(&sound, &file, r->config.codec.sampling_rate, r->config.lm.n_channels,
                                   mg_stop_check));
    *T0 = mg_encodec_frames(&r->config.codec, sound.n_frames);
    MG_TRY(take_prompt(codes, r, clip, *T0));
    mg_replica_lock_beside(r);
    st = mg_encodec_encode_sounds(r->codec, &(mg_encodec_sound){sound, *codes, *T0, *T0}, 1);
    mg_replica_unlock_beside(r);
done:
    mg_sound_close(&file);
    mg_sound_close(&sound);
    return st;
}

/* Samples of a melody that a clip can hear: of one window, as many as the prefix has room for; of several,
 * until the last one ends. With what resampling and the last frames look at behind them. */
static int64_t most_heard(const mg_config *config, const mg_clip_terms *t)
{
    const int64_t last = (mg_clip_n_windows(t) - 1) * t->T_stride + t->T_window;

    return (t->T > t->T_window ? last * config->codec.hop : config->lm.chroma_length * MG_CHROMA_HOP) +
           CHROMA_MARGIN * MG_CHROMA_HOP;
}

static mg_status read_melody(mg_sound *melody, const mg_replica *r, const mg_clip *clip)
{
    const mg_config *config = &r->config;
    const double rate = (double)config->codec.sampling_rate;
    const double heard_s = (double)most_heard(config, &clip->terms) / rate;
    mg_status st = MG_OK;
    mg_sound file = {0}, sound = {0};

    MG_TRY(mg_audio_file_read(&file, clip->melody, heard_s));
    MG_TRY(mg_sound_convert_unless(&sound, &file, config->codec.sampling_rate, config->lm.n_channels,
                                   mg_stop_check));
    MG_TRY(mg_sound_convert_unless(melody, &sound, config->codec.sampling_rate, 1, mg_stop_check));
done:
    mg_sound_close(&file);
    mg_sound_close(&sound);
    return st;
}

/* Of a file as it is now: where hosts share it, only opening asks the server. */
static bool has_state(const char *path, struct stat *state)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool has = fd >= 0 && fstat(fd, state) == 0;

    if (fd >= 0) close(fd);
    return has;
}

/* A style's rows that are known, or the excerpt that they are to be heard in. */
static mg_status read_style(mg_conditions *c, conditioning *m, mg_clip_terms *t, const mg_clip *clip)
{
    const mg_replica *r = c->replica;

    m->style_key = (mg_style_key){
        .start_s = clip->style_start_s, .dur_s = clip->style_dur_s, .n_codebooks = clip->style_n_codebooks};
    m->has_key = has_state(clip->melody, &m->style_key.file);
    if (m->has_key) m->style = mg_style_memo_find(&c->styles, &t->n_style, &m->style_key);
    if (m->style) return MG_OK;
    MG_RETURN(mg_style_excerpt_read(&m->melody, &r->config, clip));
    t->n_style = mg_style_n_rows(&r->config.style, m->melody.n_frames);
    return MG_OK;
}

/* States [S, d_text] of one text. */
static mg_status encode_text(float *out, mg_replica *r, const mg_clip_text *text, int64_t S_wanted)
{
    const int64_t d_text = r->config.lm.d_text;
    mg_status st = MG_OK;
    int64_t S, d;
    float *states = NULL;

    if (S_wanted == 0) return MG_OK;
    if (!text->states) {
        mg_replica_lock_beside(r);
        st = mg_t5_encode(r->t5, out, text->ids, S_wanted);
        mg_replica_unlock_beside(r);
        return st;
    }
    MG_TRY(mg_text_states_read(&states, &S, &d, text->states));
    if (S != S_wanted || d != d_text)
        MG_TRY(mg_fail(MG_EFAIL, "text states: %s: [%lld, %lld], expected [%lld, %lld]", text->states,
                       (long long)S, (long long)d, (long long)S_wanted, (long long)d_text));
    memcpy(out, states, (size_t)(S * d) * sizeof *states);
done:
    free(states);
    return st;
}

/* Samples that a window hears. As AudioCraft: a clip of one window hears the melody from its start; with
 * several, each hears its own stretch of the melody, played round and round. */
static int64_t count_heard(const mg_conditions *c, const mg_clip_terms *t, const mg_sound *melody)
{
    return t->T > t->T_window ? t->T_window * c->replica->config.codec.hop : melody->n_frames;
}

static int64_t count_bins(const mg_conditions *c, const mg_clip_terms *t, const mg_sound *melody)
{
    const int64_t n_all = mg_chroma_count(count_heard(c, t, melody));
    const int64_t room = c->replica->config.lm.chroma_length;

    return n_all < room ? n_all : room;
}

/* bins [n_windows, n_bins] */
static mg_status find_bins(int32_t *bins, const mg_conditions *c, const mg_clip_terms *t,
                           const mg_sound *melody)
{
    const bool is_wrapped = t->T > t->T_window;
    const int64_t n = count_heard(c, t, melody), first = t->T_stride * c->replica->config.codec.hop;
    mg_status st = MG_OK;
    float *pcm = melody->pcm;
    int32_t *all = calloc((size_t)mg_chroma_count(n), sizeof *all);

    if (!all) MG_TRY(mg_fail(MG_ENOMEM, "melody: %lld samples", (long long)n));
    if (is_wrapped) {
        pcm = calloc((size_t)n, sizeof *pcm);
        if (!pcm) MG_TRY(mg_fail(MG_ENOMEM, "melody: %lld samples", (long long)n));
    }
    for (int64_t w = 0; w < mg_clip_n_windows(t); w++) {
        for (int64_t i = 0; is_wrapped && i < n; i++)
            pcm[i] = melody->pcm[(w * first + i) % melody->n_frames];
        MG_TRY(mg_chroma_bins(c->chroma, all, pcm, n));
        memcpy(bins + w * t->n_bins, all, (size_t)t->n_bins * sizeof *all);
    }
done:
    free(all);
    if (is_wrapped) free(pcm);
    return st;
}

static mg_status find_style(float *rows, mg_conditions *c, const conditioning *m, const mg_clip_terms *t,
                            const mg_clip *clip)
{
    mg_replica *r = c->replica;
    const int64_t D = r->config.lm.n_chroma;

    if (m->style) {
        memcpy(rows, m->style, (size_t)(t->n_style * D) * sizeof *rows);
        return MG_OK;
    }
    mg_replica_lock_beside(r);
    const mg_status st =
        mg_style_encode(r->style, rows, m->melody.pcm, m->melody.n_frames, clip->style_n_codebooks);
    mg_replica_unlock_beside(r);
    if (st == MG_OK && m->has_key) mg_style_memo_put(&c->styles, &m->style_key, rows, t->n_style, D);
    return st;
}

/* What the files hold, and so how large the payload is. */
static mg_status read_files(mg_conditions *c, conditioning *m, mg_clip_terms *t, const mg_clip *clip)
{
    mg_replica *r = c->replica;

    if (clip->audio_prompt)
        MG_RETURN(mg_npy_is_named(clip->audio_prompt) ? read_codes(&m->prompt, &t->T_prompt, r, clip)
                                                      : encode_sound(&m->prompt, &t->T_prompt, r, clip));
    if (!clip->melody) return MG_OK;
    if (r->config.lm.is_style) return read_style(c, m, t, clip);
    MG_RETURN(read_melody(&m->melody, r, clip));
    t->n_bins = count_bins(c, t, &m->melody);
    return MG_OK;
}

static mg_status pack(mg_conditions *c, mg_ready_clip *ready, const conditioning *m)
{
    const mg_lm_config *lm = &c->replica->config.lm;
    const mg_clip_terms *t = &ready->terms;
    const mg_clip *clip = ready->clip;

    ready->payload = calloc(1, mg_clip_payload_bytes(t, lm) + 1);
    ready->codes = calloc((size_t)(lm->K * t->T), sizeof *ready->codes);
    if (!ready->payload || !ready->codes)
        return mg_fail(MG_ENOMEM, "conditions: no memory for a clip of %lld frames", (long long)t->T);
    const mg_clip_payload to = mg_clip_payload_of(ready->payload, t, lm);
    if (m->prompt) memcpy(to.prompt, m->prompt, (size_t)(lm->K * t->T_prompt) * sizeof *to.prompt);
    MG_RETURN(encode_text(to.text, c->replica, &clip->text, t->S));
    MG_RETURN(encode_text(to.negative, c->replica, &clip->negative, t->S_negative));
    if (t->n_style > 0) return find_style(to.style, c, m, t, clip);
    return t->with_melody ? find_bins(to.bins, c, t, &m->melody) : MG_OK;
}

mg_status mg_conditions_prepare(mg_conditions *c, mg_ready_clip **out, const mg_clip *clip)
{
    const double begin_s = mg_clock_s();
    conditioning m = {0};
    mg_status st = MG_OK;

    *out = NULL;
    MG_REQUIRE(clip->terms.with_melody == (clip->melody != NULL));
    mg_ready_clip *ready = calloc(1, sizeof *ready);
    if (!ready) return mg_fail(MG_ENOMEM, "conditions: %zu bytes", sizeof *ready);
    ready->clip = clip;
    ready->terms = clip->terms;
    st = read_files(c, &m, &ready->terms, clip);
    if (st == MG_OK) st = pack(c, ready, &m);
    free(m.prompt);
    mg_sound_close(&m.melody);
    ready->text_s = mg_clock_s() - begin_s;
    if (mg_status_is_common(st)) {
        mg_ready_clip_close(ready);
        return st;
    }
    ready->fault = mg_fault_take(st);
    *out = ready;
    return MG_OK;
}

mg_status mg_conditions_share(mg_replica *r, mg_clip_terms *terms, mg_clip_payload *payload, void *room,
                              size_t room_bytes, const mg_ready_clip *clip)
{
    const mg_lm_config *lm = &r->config.lm;
    void *block = clip ? clip->payload : room;

    MG_REQUIRE((clip != NULL) == r->is_leader);
    if (clip) *terms = clip->terms;
    MG_RETURN(mg_comm_bcast(r->group, terms, sizeof *terms, MG_U8, 0));
    const size_t bytes = mg_clip_payload_bytes(terms, lm);
    MG_REQUIRE(clip || bytes <= room_bytes);
    *payload = mg_clip_payload_of(block, terms, lm);
    return bytes > 0 ? mg_comm_bcast(r->group, block, (int64_t)bytes, MG_U8, 0) : MG_OK;
}
