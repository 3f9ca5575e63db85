#include "conditions.h"

#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "chroma.h"
#include "npy.h"
#include "resample.h"
#include "text_states.h"

enum { CHROMA_MARGIN = 5 }; /* frames whose samples frame chroma_length-1 may read */

struct mg_conditions {
    mg_replica *replica; /* borrowed */
    mg_chroma *chroma;   /* leader of a melody model */
    float *states[2];    /* [S_max,d_text] each: a text's, a negative one's */
    int32_t *bins;       /* [chroma_length] */
};

mg_status mg_conditions_open(mg_conditions **out, mg_replica *r)
{
    const mg_lm_config *lm = &r->config.lm;
    mg_status st = MG_OK;
    mg_conditions *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c) return mg_fail(MG_ENOMEM, "conditions: %zu bytes", sizeof *c);
    c->replica = r;
    for (int i = 0; i < 2; i++)
        c->states[i] = calloc((size_t)(r->limits.S_max * lm->d_text) + 1, sizeof *c->states[i]);
    c->bins = calloc((size_t)lm->chroma_length + 1, sizeof *c->bins);
    if (!c->states[0] || !c->states[1] || !c->bins)
        MG_TRY(mg_fail(MG_ENOMEM, "conditions: no memory for a text's states"));
    if (r->is_leader && r->limits.with_melody)
        MG_TRY(mg_chroma_open(&c->chroma, r->config.codec.sampling_rate, lm->n_chroma));
    *out = c;
done:
    if (st != MG_OK) mg_conditions_close(c);
    return st;
}

void mg_conditions_close(mg_conditions *c)
{
    if (!c) return;
    mg_chroma_close(c->chroma);
    free(c->states[0]);
    free(c->states[1]);
    free(c->bins);
    free(c);
}

void mg_clip_material_close(mg_clip_material *m)
{
    mg_sound_close(&m->melody);
    *m = (mg_clip_material){0};
}

/* The leader's status is everybody's, and so is a number that it found. */
static mg_status share(const mg_replica *r, mg_status *st, int64_t *number)
{
    int64_t head[2] = {*st, number ? *number : 0};

    MG_RETURN(mg_comm_bcast(r->group, head, 2, MG_I64, 0));
    *st = (mg_status)head[0];
    if (number) *number = head[1];
    return *st == MG_EBUG || *st == MG_ENOMEM ? *st : MG_OK;
}

/* Does a prompt of T0 frames leave something to make? */
static mg_status check_prompt(const mg_replica *r, const mg_clip *clip, int64_t T0)
{
    const int64_t limit = clip->T < clip->T_window ? clip->T : clip->T_window;
    const double rate = mg_replica_frame_rate(r);

    if (T0 < limit) return MG_OK;
    return mg_fail(
        MG_EUSAGE,
        "audio prompt: %s: its %lld frames (%.2f s) count toward the length, and %s %lld (%.2f s): "
        "give a shorter --prompt-duration",
        clip->audio_prompt, (long long)T0, (double)T0 / rate,
        clip->T <= clip->T_window ? "the clip has" : "a window of the model has", (long long)limit,
        (double)limit / rate);
}

/* The first frames of a file of codes. */
static mg_status read_codes(const mg_replica *r, const mg_clip *clip, int32_t *codes, int64_t *T0)
{
    const mg_lm_config *lm = &r->config.lm;
    const double rate = mg_replica_frame_rate(r);
    mg_status st = MG_OK;
    int64_t n_rows, n_cols;
    int32_t *all = NULL;

    MG_TRY(mg_npy_read_i32(clip->audio_prompt, &all, &n_rows, &n_cols));
    if (n_rows != lm->K)
        MG_TRY(mg_fail(MG_EFAIL, "audio prompt: %s: codes of %lld codebooks, the model has %lld",
                       clip->audio_prompt, (long long)n_rows, (long long)lm->K));
    *T0 = n_cols;
    if (clip->audio_prompt_dur_s * rate < (double)n_cols) *T0 = (int64_t)(clip->audio_prompt_dur_s * rate);
    if (*T0 < 1) MG_TRY(mg_fail(MG_EFAIL, "audio prompt: %s: holds no frame", clip->audio_prompt));
    MG_TRY(check_prompt(r, clip, *T0));
    for (int64_t k = 0; k < lm->K; k++)
        for (int64_t t = 0; t < *T0; t++) {
            const int32_t code = all[k * n_cols + t];
            if (code < 0 || code >= lm->V)
                MG_TRY(mg_fail(MG_EFAIL,
                               "audio prompt: %s: code %d of codebook %lld, frame %lld: must be in 0 … %lld",
                               clip->audio_prompt, code, (long long)k, (long long)t, (long long)(lm->V - 1)));
            codes[k * clip->T + t] = code;
        }
done:
    free(all);
    return st;
}

/* The codes of a sound. */
static mg_status encode_sound(const mg_replica *r, const mg_clip *clip, int32_t *codes, int64_t *T0)
{
    mg_status st = MG_OK;
    mg_sound file = {0}, sound = {0};

    MG_TRY(mg_audio_file_read(&file, clip->audio_prompt, clip->audio_prompt_dur_s));
    MG_TRY(mg_sound_convert(&sound, &file, r->config.codec.sampling_rate, r->config.lm.n_channels));
    *T0 = mg_encodec_frames(&r->config.codec, sound.n_frames);
    MG_TRY(check_prompt(r, clip, *T0));
    MG_TRY(mg_encodec_encode_sound(r->codec, codes, clip->T, &sound));
done:
    mg_sound_close(&file);
    mg_sound_close(&sound);
    return st;
}

/* A clip of one window hears as much of its melody as the prefix has room for. */
static mg_status read_melody(const mg_replica *r, const mg_clip *clip, mg_sound *melody)
{
    const mg_config *config = &r->config;
    const double rate = (double)config->codec.sampling_rate;
    const double heard_s = (double)((config->lm.chroma_length + CHROMA_MARGIN) * MG_CHROMA_HOP) / rate;
    mg_status st = MG_OK;
    mg_sound file = {0}, sound = {0};

    MG_TRY(mg_audio_file_read(&file, clip->melody, clip->T > clip->T_window ? NAN : heard_s));
    MG_TRY(mg_sound_convert(&sound, &file, config->codec.sampling_rate, config->lm.n_channels));
    MG_TRY(mg_sound_convert(melody, &sound, config->codec.sampling_rate, 1));
done:
    mg_sound_close(&file);
    mg_sound_close(&sound);
    return st;
}

mg_status mg_conditions_read(mg_conditions *c, mg_clip_material *m, const mg_clip *clip, int32_t *codes)
{
    mg_replica *r = c->replica;

    mg_clip_material_close(m);
    if (!clip->audio_prompt && !clip->melody) return MG_OK;
    if (r->is_leader) {
        if (clip->audio_prompt)
            m->st = mg_npy_is_named(clip->audio_prompt) ? read_codes(r, clip, codes, &m->T_prompt)
                                                        : encode_sound(r, clip, codes, &m->T_prompt);
        if (m->st == MG_OK && clip->melody) m->st = read_melody(r, clip, &m->melody);
    }
    MG_RETURN(share(r, &m->st, &m->T_prompt));
    if (m->st != MG_OK || m->T_prompt == 0) return MG_OK;
    return mg_comm_bcast(r->group, codes, r->config.lm.K * clip->T, MG_I32, 0);
}

/* On the leader: states of one text. */
static mg_status compute_states(mg_replica *r, float *out, const mg_clip_text *text)
{
    mg_status st = MG_OK;
    int64_t S, d;
    float *states = NULL;

    if (!text->states) return mg_t5_encode(r->t5, out, text->ids, text->S);
    MG_TRY(mg_text_states_read(&states, &S, &d, text->states));
    if (S != text->S || d != r->config.lm.d_text)
        MG_TRY(mg_fail(MG_EFAIL, "text states: %s: [%lld, %lld], expected [%lld, %lld]", text->states,
                       (long long)S, (long long)d, (long long)text->S, (long long)r->config.lm.d_text));
    memcpy(out, states, (size_t)(S * d) * sizeof *states);
done:
    free(states);
    return st;
}

/* One text's states to every rank, in `room`. */
static mg_status hand_out(mg_replica *r, mg_clip_material *m, const float **out, float *room,
                          const mg_clip_text *text)
{
    *out = NULL;
    if (text->S == 0 || m->st != MG_OK) return MG_OK;
    if (r->is_leader) m->st = compute_states(r, room, text);
    MG_RETURN(share(r, &m->st, NULL));
    if (m->st != MG_OK) return MG_OK;
    *out = room;
    return mg_comm_bcast(r->group, room, text->S * r->config.lm.d_text, MG_F32, 0);
}

mg_status mg_conditions_encode(mg_conditions *c, mg_clip_material *m, const float **text,
                               const float **negative, const mg_clip *clip)
{
    MG_RETURN(hand_out(c->replica, m, text, c->states[0], &clip->text));
    return hand_out(c->replica, m, negative, c->states[1], &clip->negative);
}

/* As AudioCraft: a clip of one window hears the melody from its start; with several, each hears its own
 * stretch of the melody, played round and round. */
static mg_status find_bins(mg_conditions *c, int64_t *n_bins, const mg_clip_material *m, const mg_clip *clip,
                           int64_t first)
{
    const int64_t hop = c->replica->config.codec.hop, room = c->replica->config.lm.chroma_length;
    const bool is_wrapped = clip->T > clip->T_window;
    const int64_t n = is_wrapped ? clip->T_window * hop : m->melody.n_frames;
    const int64_t n_all = mg_chroma_count(c->chroma, n);
    mg_status st = MG_OK;
    float *pcm = m->melody.pcm;
    int32_t *all = calloc((size_t)n_all, sizeof *all);

    if (!all) MG_TRY(mg_fail(MG_ENOMEM, "melody: %lld frames", (long long)n_all));
    if (is_wrapped) {
        pcm = calloc((size_t)n, sizeof *pcm);
        if (!pcm) MG_TRY(mg_fail(MG_ENOMEM, "melody: %lld samples", (long long)n));
        for (int64_t i = 0; i < n; i++) pcm[i] = m->melody.pcm[(first * hop + i) % m->melody.n_frames];
    }
    MG_TRY(mg_chroma_bins(c->chroma, all, pcm, n));
    *n_bins = n_all < room ? n_all : room;
    memcpy(c->bins, all, (size_t)*n_bins * sizeof *all);
done:
    free(all);
    if (is_wrapped) free(pcm);
    return st;
}

mg_status mg_conditions_listen(mg_conditions *c, const int32_t **bins, int64_t *n_bins,
                               const mg_clip_material *m, const mg_clip *clip, int64_t first)
{
    const mg_replica *r = c->replica;
    mg_status st = MG_OK;

    *bins = NULL, *n_bins = 0;
    if (!clip->melody) return MG_OK;
    if (r->is_leader) st = find_bins(c, n_bins, m, clip, first);
    MG_RETURN(share(r, &st, n_bins));
    MG_RETURN(st);
    *bins = c->bins;
    return mg_comm_bcast(r->group, c->bins, *n_bins, MG_I32, 0);
}
