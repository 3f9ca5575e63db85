/* What a slot must have room for, before any job is dealt: the largest that the jobs ask for. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "numbers.h"
#include "run_leader_impl.h"

enum { MANY_TOKENS = 512, MOST_TOKENS = 2048 };

/* Tokens of a text of so many bytes: hardly ever more than its characters, and of a long one than half. */
static int64_t tokens_of(int64_t bytes)
{
    const int64_t few = mg_smaller(bytes + 16, MANY_TOKENS);

    return mg_smaller(mg_larger(few, bytes / 2), MOST_TOKENS);
}

/* One that is as long as `text` says, with everything that any job has. */
static mg_status add_one(mg_clip_need *need, const mg_run_settings *s, const mg_dataset_needs *jobs,
                         const mg_replica *r, const char *text)
{
    mg_clip_list list;
    const mg_clip_record from = {
        .text = text, .text_bytes = (int64_t)strlen(text), .where = "jobs", .folder = "", .name = "need"};

    MG_RETURN(mg_clip_list_open_one(&list, &s->call, r, NULL, &from));
    mg_clip *c = &list.job[0].clip;
    const int64_t S = mg_larger(jobs->with_states ? MANY_TOKENS : 0, tokens_of(jobs->text_bytes));
    if (jobs->with_text || jobs->with_states) c->terms.S = S;
    if (jobs->with_negative) c->terms.S_negative = tokens_of(jobs->text_bytes);
    if (jobs->with_melody) c->terms.with_melody = true;
    c->style_dur_s = fmax((double)jobs->style_ms / 1000, r->config.style.excerpt_s);
    if (jobs->with_audio_prompt) c->audio_prompt = "jobs"; /* asked whether it is there, and never opened */
    c->terms.guidance = 3;
    if (jobs->with_melody) c->terms.guidance_beta = 1;
    const mg_status st = mg_clip_need_add(need, r, c);
    mg_clip_list_close(&list);
    return st;
}

mg_status mg_run_leader_need(mg_clip_need *need, const mg_run_settings *s, const mg_dataset_needs *jobs,
                             const mg_replica *r)
{
    char window[48] = "", text[160];

    *need = (mg_clip_need){0};
    if (!r->is_leader) return MG_OK;
    if (jobs->window_ms > 0)
        snprintf(window, sizeof window, "\"window\":%.3f", (double)jobs->window_ms / 1000);
    if (jobs->without_length > 0) {
        snprintf(text, sizeof text, "{%s}", window);
        MG_RETURN(add_one(need, s, jobs, r, text));
    }
    /* A job that no file holds fails alone: room is made for the longest that one does. */
    const int64_t most = mg_clip_list_most_frames(&s->call.all, r);
    const double dur_s = (double)jobs->dur_ms / 1000, rate = mg_replica_frame_rate(r);
    if (jobs->dur_ms > 0 && dur_s * rate < (double)most) {
        snprintf(text, sizeof text, "{\"duration\":%.3f%s%s}", dur_s, *window ? "," : "", window);
        MG_RETURN(add_one(need, s, jobs, r, text));
    }
    const int64_t T = jobs->dur_ms > 0 && dur_s * rate >= (double)most ? most : jobs->n_frames;
    if (T > 0) {
        snprintf(text, sizeof text, "{\"frames\":%lld%s%s}", (long long)(T < most ? T : most),
                 *window ? "," : "", window);
        MG_RETURN(add_one(need, s, jobs, r, text));
    }
    return MG_OK;
}
