/* The quality gate, on the finisher's thread: what is wrong with a clip, and what follows from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_leader_impl.h"
#include "text.h"

void mg_run_gate_measure(mg_quality *q, const mg_run_leader *l, const mg_clip_result *result)
{
    const mg_lm_config *lm = &l->r->config.lm;
    const int64_t hop = l->r->config.codec.hop, T = result->sound.n_frames / hop;
    mg_sound made = result->sound; /* by the model: an audio prompt hides none of its faults, and is none */

    made.pcm += result->T_prompt * hop * made.n_channels;
    made.n_frames -= result->T_prompt * hop;
    *q = (mg_quality){0};
    if (l->s->gate != MG_GATE_OFF) {
        mg_quality_measure_sound(q, &made, l->s->limits.silence_db);
        mg_quality_measure_codes(q, result->codes, lm->K, T, result->T_prompt, lm->n_channels);
    }
    q->n_not_finite = mg_quality_count_not_finite(&result->sound); /* no file holds it, gate or not */
}

bool mg_run_gate_refuses(const mg_quality *q, const mg_run_leader *l)
{
    char words[MG_QUALITY_WORDS_SIZE];

    if (q->n_not_finite > 0) return true; /* no file can hold it, whatever the gate is set to */
    mg_quality_words(words, q, &l->s->limits);
    return l->s->gate == MG_GATE_RETRY && *words;
}

/* Once more with another seed, or no more: then the job has failed. */
mg_status mg_run_gate_refuse(mg_run_result *out, const mg_quality *q, const mg_run_leader *l,
                             const mg_run_clip *c)
{
    const bool again = l->s->gate == MG_GATE_RETRY && c->attempt < l->s->gate_retries;
    char text[MG_QUALITY_TEXT_SIZE];
    mg_text t = {0};

    out->kind = again ? MG_MADE_BAD : MG_MADE_FAILED;
    if (again)
        mg_quality_words(text, q, &l->s->limits);
    else
        mg_quality_describe(text, q, &l->s->limits);
    mg_text_format(&t, "%s%s", again ? "" : "sound: ", text);
    if (!again && c->attempt > 0)
        mg_text_format(&t, "; made %lld times, and refused before for: %s", (long long)c->attempt + 1,
                       c->refused);
    return mg_text_end(&t, &out->reason, "clip");
}

void mg_run_gate_put(mg_json_text *t, const mg_quality *q, const mg_run_leader *l, const mg_run_clip *c)
{
    char words[MG_QUALITY_WORDS_SIZE];

    if (l->s->gate == MG_GATE_OFF) return;
    mg_quality_words(words, q, &l->s->limits);
    mg_json_text_object(t, "gate");
    mg_json_text_string(t, "found", words);
    mg_json_text_int(t, "attempt", c->attempt);
    mg_json_text_string(t, "refused", c->refused);
    mg_json_text_real(t, "silence", q->silence);
    mg_json_text_real(t, "clipping", q->clipping);
    mg_json_text_real(t, "dc", q->dc);
    mg_json_text_real(t, "dead_channel", q->dead_channel_db);
    mg_json_text_real(t, "repeat", q->repeat);
    mg_json_text_real(t, "loop", q->loop);
    mg_json_text_close(t);
}
