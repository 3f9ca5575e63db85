/* The stages of a call: clips, model, plan, work, outcomes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agreement.h"
#include "clip_output.h"
#include "clock.h"
#include "finisher.h"
#include "generate.h"
#include "generate_progress.h"
#include "log.h"
#include "machine.h"
#include "manifest.h"
#include "outcome_list.h"
#include "plan.h"
#include "rng.h"
#include "scheduler.h"
#include "text.h"

/* "guidance_scale 3, top_k 50": appended. */
__attribute__((format(printf, 3, 4))) static void add(char *out, size_t out_bytes, const char *format, ...)
{
    const size_t n = strlen(out);
    va_list args;

    if (n > 0) snprintf(out + n, out_bytes - n, ", ");
    va_start(args, format);
    vsnprintf(out + strlen(out), out_bytes - strlen(out), format, args);
    va_end(args);
}

static void add_number(char *used, char *other, size_t bytes, const char *key, double of_file, double of_clip)
{
    if (of_file == of_clip)
        add(used, bytes, "%s %g", key, of_file);
    else
        add(other, bytes, "%s %g, used is %g", key, of_file, of_clip);
}

/* What the checkpoint says of sampling, and what became of it; `c` stands for all clips. */
static void print_checkpoint_says(const mg_clip *c, const mg_replica *r)
{
    const mg_generation_config *g = &r->config.generation;
    const bool audiocraft = r->files->lm_yaml != NULL;
    const char *file = audiocraft ? "xp.cfg" : "generation_config.json";
    char used[256] = "", other[256] = "";

    if (g->has_guidance_scale)
        add_number(used, other, sizeof used, "guidance_scale", g->guidance_scale, c->terms.guidance);
    if (g->has_top_k)
        add_number(used, other, sizeof used, "top_k", (double)g->top_k, (double)c->terms.sampling.top_k);
    if (g->has_top_p && !(g->top_p >= 1 && c->terms.sampling.top_p == 0)) /* both are off */
        add_number(used, other, sizeof used, "top_p", g->top_p, c->terms.sampling.top_p);
    if (g->has_min_p) add_number(used, other, sizeof used, "min_p", g->min_p, c->terms.sampling.min_p);
    if (g->has_temperature)
        add_number(used, other, sizeof used, "temperature", g->temperature, c->terms.sampling.temperature);
    if (g->has_do_sample && g->do_sample != c->terms.sampling.greedy)
        add(used, sizeof used, "do_sample %s", g->do_sample ? "true" : "false");
    if (g->has_do_sample && g->do_sample == c->terms.sampling.greedy)
        add(other, sizeof other, "do_sample %s, used is %s", g->do_sample ? "true" : "false",
            c->terms.sampling.greedy ? "--greedy" : "sampling");
    if (*used && !audiocraft) mg_log_info("generate: from %s: %s", file, used);
    if (*other) mg_log_info("generate: %s says %s", file, other);
}

/* One line for all clips; where they differ it says so. `clips` are those that will be made. */
static void print_request(const mg_clip *clips, int64_t n, const mg_clip_list *list, const mg_replica *r)
{
    const mg_recipe *first = mg_clip_list_recipe(list, clips[0].index);
    const unsigned long long seed = list->seed;
    const double rate = mg_replica_frame_rate(r);
    const mg_clip *shortest = clips, *longest = clips;
    char how[160], length[96], seeds[48];
    bool same = true, own_seeds = false;

    for (int64_t i = 1; i < n; i++) {
        if (clips[i].terms.T < shortest->terms.T) shortest = &clips[i];
        if (clips[i].terms.T > longest->terms.T) longest = &clips[i];
        own_seeds = own_seeds || clips[i].terms.seed != (seed + (uint64_t)clips[i].index) % MG_SEED_LIMIT;
        same = same && mg_recipe_same_sampling(first, mg_clip_list_recipe(list, clips[i].index));
    }
    if (shortest->terms.T == longest->terms.T)
        snprintf(length, sizeof length, "%g s (%lld frame%s)", (double)longest->terms.T / rate,
                 (long long)longest->terms.T, mg_plural(longest->terms.T));
    else
        snprintf(length, sizeof length, "%g to %g s", (double)shortest->terms.T / rate,
                 (double)longest->terms.T / rate);
    if (own_seeds && n > 1)
        snprintf(seeds, sizeof seeds, "seeds of their own");
    else
        snprintf(seeds, sizeof seeds, "seed %llu",
                 own_seeds ? (unsigned long long)clips[0].terms.seed : seed);
    mg_recipe_describe_sampling(how, sizeof how, first);
    if (same)
        mg_log_info("generate: %lld clip%s of %s, cfg-coef %g, %s, %s", (long long)n, mg_plural(n), length,
                    clips[0].terms.guidance, how, seeds);
    else
        mg_log_info("generate: %lld clips of %s, sampled in different ways, %s", (long long)n, length, seeds);
    if (longest->terms.T > longest->terms.T_window)
        mg_log_info("generate: in windows of %g s, a new one every %g s",
                    (double)longest->terms.T_window / rate, (double)longest->terms.T_stride / rate);
    print_checkpoint_says(&clips[0], r);
    for (int64_t i = 0; i < n; i++) {
        const mg_recipe *q = mg_clip_list_recipe(list, clips[i].index);
        if (!clips[i].melody || q->melody_is_stem || r->config.lm.is_style) continue;
        mg_log_info("generate: a melody is heard as it is; AudioCraft takes drums and bass out first "
                    "(docs/GENERATE.md, Following a tune); --melody-stem says that this is done");
        break;
    }
}

static int64_t count_frames(const mg_clip *clips, int64_t n)
{
    int64_t T = 0;

    for (int64_t i = 0; i < n; i++) T += clips[i].terms.T;
    return T;
}

/* Of the clips that came of it. */
static void print_summary(const mg_scheduler *s, const mg_clip *clips, int64_t n, const mg_clip_output *o,
                          const mg_replica *r, double begin_s)
{
    int64_t T = 0;

    for (int64_t i = 0; i < n; i++)
        if (o->outcome[clips[i].index] == MG_OUTCOME_DELIVERED) T += clips[i].terms.T;
    const double all_s = mg_clock_s() - begin_s, music_s = (double)T / mg_replica_frame_rate(r);
    const int64_t n_steps = mg_scheduler_n_steps(s);

    mg_log_info("generate: %.1f s of music in %.1f s, %.1f times as fast as it plays; %lld steps of %.2f ms",
                music_s, all_s, music_s / all_s, (long long)n_steps,
                n_steps ? mg_scheduler_step_s(s) * 1000 / (double)n_steps : 0.0);
}

/* The clips that will be made: what was refused, or is there already, is left out. */
static mg_status choose_clips(mg_clip **out, int64_t *n, const mg_clip_list *list)
{
    *n = 0;
    *out = calloc((size_t)list->n, sizeof **out);
    if (!*out) return mg_fail(MG_ENOMEM, "clips: %lld", (long long)list->n);
    for (int64_t i = 0; i < list->n; i++)
        if (!list->job[i].refused && !list->job[i].is_there) (*out)[(*n)++] = list->job[i].clip;
    return MG_OK;
}

/* What a replica's clips pass through, from the list to their files. */
typedef struct line {
    const mg_clip **mine; /* [n] dealt to this replica */
    int64_t n;
    mg_preparer *preparer;
    mg_scheduler *scheduler;
    mg_finisher *finisher;
    mg_clip_output *output;
    mg_generate_progress progress;
} line;

static int64_t count_mine(const line *l)
{
    int64_t T = 0;

    for (int64_t i = 0; i < l->n; i++) T += l->mine[i]->terms.T;
    return T;
}

static mg_status tell_progress(void *list, int64_t n_frames)
{
    return mg_generate_progress_tell(((const mg_list_source *)list)->told, n_frames);
}

/* The one clip to standard output while it is made, if that can be. */
static void listen(line *l)
{
    if (!mg_clip_output_is_heard(l->output, l->mine[0]->index))
        mg_log_info(
            "generate: the sound comes when all of it is made; a WAV at the model's rate with --strategy "
            "clip comes while it is made");
    else if (mg_finisher_listen(l->finisher, mg_clip_output_hear))
        mg_scheduler_listen(l->scheduler, mg_finisher_grow, l->finisher, MG_GROWN_FRAMES);
}

/* The longest first: one that begins last would go on alone. */
static int by_length(const void *a, const void *b)
{
    const mg_clip *x = *(const mg_clip *const *)a, *y = *(const mg_clip *const *)b;

    if (x->terms.T != y->terms.T) return x->terms.T > y->terms.T ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The leader has all of it, other ranks the scheduler. */
static mg_status open_line(line *l, mg_replica *r, const mg_clip *clips, int64_t n, const mg_clip_list *list,
                           const mg_call *call, const mg_world *w)
{
    const int64_t n_slots = r->limits.n_slots;

    MG_RETURN(mg_scheduler_open(&l->scheduler, r));
    MG_RETURN(mg_clip_output_open(&l->output, call, list, r, w));
    if (!r->is_leader) return MG_OK;
    l->mine = calloc((size_t)n + 1, sizeof *l->mine);
    if (!l->mine) return mg_fail(MG_ENOMEM, "clips: %lld", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (mg_plan_is_mine(w, &clips[i])) l->mine[l->n++] = &clips[i];
    qsort(l->mine, (size_t)l->n, sizeof *l->mine, by_length);
    MG_RETURN(mg_preparer_open(&l->preparer, r, n_slots));
    MG_RETURN(
        mg_finisher_open(&l->finisher, r, MG_FINISHING_CLIPS * n_slots, mg_clip_output_take, l->output));
    if (l->n == 1 && mg_call_is_to_stdout(call)) listen(l);
    return MG_OK;
}

static void close_line(line *l)
{
    mg_preparer_close(l->preparer);
    mg_finisher_close(l->finisher);
    mg_scheduler_close(l->scheduler);
    mg_generate_progress_close(&l->progress);
    mg_clip_output_close(l->output);
    free(l->mine);
}

/* This replica's clips through its line, and everybody's account. */
static mg_status make_clips(mg_replica *r, const mg_clip *clips, int64_t n, const mg_clip_list *list,
                            const mg_generate_settings *settings, const mg_world *w)
{
    mg_status st = MG_OK;
    line l = {0};
    bool is_stopped;
    const double begin_s = mg_clock_s();

    MG_TRY(mg_comm_agree(w->all, open_line(&l, r, clips, n, list, &settings->call, w)));
    MG_TRY(mg_comm_agree(w->all, mg_generate_progress_open(&l.progress, w, count_frames(clips, n))));
    mg_list_source source = {
        .preparer = l.preparer, .clip = l.mine, .n = l.n, .tell = tell_progress, .told = &l.progress};
    const mg_clip_source from = mg_list_source_of(&source);
    MG_TRY(mg_scheduler_run(l.scheduler, r->is_leader ? &from : NULL, mg_finisher_put, l.finisher));
    if (l.finisher) MG_TRY(mg_finisher_drain(l.finisher));
    if (r->is_leader) MG_TRY(mg_generate_progress_end(&l.progress, count_mine(&l)));
    MG_TRY(mg_world_await_all(w, MG_OK)); /* other replicas may have more to do */
    st = mg_clip_output_conclude(l.output);
    if (st == MG_OK || st == MG_EPARTIAL) print_summary(l.scheduler, clips, n, l.output, r, begin_s);
done:
    is_stopped = st == MG_ESTOPPED;
    st = mg_world_tell_loss(w, st);
    if (is_stopped && l.output) {
        mg_finisher_close(l.finisher); /* what is at hand is written still */
        l.finisher = NULL;
        mg_fault fault = mg_fault_take(st);
        mg_clip_output_stopped(l.output);
        st = mg_fault_raise(&fault);
    }
    close_line(&l);
    return st;
}

/* Nothing is left to make: all clips are there already, or were refused. */
static mg_status account_for(mg_replica *r, const mg_clip_list *list, const mg_call *call, const mg_world *w)
{
    mg_clip_output *output = NULL;
    mg_status st = mg_comm_agree(w->all, mg_clip_output_open(&output, call, list, r, w));

    if (st == MG_OK) st = mg_clip_output_conclude(output);
    mg_clip_output_close(output);
    return st;
}

/* What a slot of this replica needs; every leader has the whole list. */
static mg_status measure_clips(mg_clip_need *need, const mg_clip *clips, int64_t n, const mg_replica *r)
{
    *need = (mg_clip_need){0};
    for (int64_t i = 0; r->is_leader && i < n; i++) MG_RETURN(mg_clip_need_add(need, r, &clips[i]));
    return MG_OK;
}

/* Formats that cannot hold the sound. */
static mg_status check_formats(const mg_call *call, const mg_clip_list *list, const mg_config *config)
{
    for (int64_t i = 0; !call->codes_only && i < list->requests.n; i++) {
        const mg_recipe *r = &list->requests.recipe[i];
        const int64_t rate_hz = r->rate_hz > 0 ? r->rate_hz : config->codec.sampling_rate;
        const mg_audio_coding coding = mg_recipe_coding(r);
        MG_RETURN(mg_audio_coding_check(&coding, rate_hz, config->lm.n_channels));
    }
    return MG_OK;
}

/* What is wrong with the output is found out before the weights are read. Collective. */
static mg_status check_output(mg_out_made *made, const mg_call *call, const mg_clip_list *list,
                              const mg_config *config, const mg_world *w)
{
    MG_RETURN(mg_comm_agree(w->all, check_formats(call, list, config)));
    return mg_call_is_to_stdout(call) ? MG_OK : mg_agree_output(made, w, call->out_dir, w->tp_rank == 0);
}

/* What the options say of the model; `room` is for what --model-key leads to. */
static mg_status describe_source(mg_replica_source *source, mg_manifest_room *room,
                                 const mg_generate_settings *s, const mg_clip_list *list)
{
    *source = (mg_replica_source){
        .model = s->call.model,
        .with_text = mg_clip_list_has_text(list),
        .with_tokenizer = mg_clip_list_has_text(list),
        .with_decoder = !s->call.codes_only,
        .with_encoder = mg_clip_list_has_audio_prompt(list),
        .with_melody = mg_clip_list_has_melody(list),
        .apply_proposed = s->apply_proposed,
    };
    if (!s->call.model_key) return MG_OK;
    return mg_manifest_find_model(&source->model, room, s->call.model_key, s->manifest);
}

mg_status mg_generate_run(mg_context *context, const mg_generate_settings *s)
{
    mg_world *w = context->world;
    mg_status st = MG_OK;
    mg_backend backend = {0}, beside = {0};
    mg_out_made made = {0};
    mg_clip_need need;
    mg_clip_list list = {0};
    mg_clip *clips = NULL;
    int64_t n = 0;
    mg_replica *replica = NULL;
    mg_replica_source source;
    mg_replica_limits limits;
    mg_manifest_room room;

    MG_TRY(mg_clip_list_open(&list, &s->call, w));
    MG_TRY(mg_comm_agree(w->all, describe_source(&source, &room, s, &list)));
    MG_TRY(mg_generate_split(w, &source.model, &s->machine, list.n));
    MG_TRY(mg_comm_agree(w->all, mg_machine_open(&backend, &s->machine, w)));
    MG_TRY(mg_comm_agree(
        w->all, mg_machine_open_beside(&beside, &s->machine, w, source.with_text || source.with_melody)));
    MG_TRY(mg_comm_agree(w->all, mg_replica_open(&replica, &source, &backend, &beside, w->group)));
    MG_TRY(mg_agree_replica(w, replica));
    MG_TRY(mg_comm_agree(w->all, mg_clip_list_fill(&list, &s->call, replica)));
    MG_TRY(check_output(&made, &s->call, &list, &replica->config, w));
    MG_TRY(mg_clip_list_look(&list, &s->call, replica, w));
    MG_TRY(mg_comm_agree(w->all, choose_clips(&clips, &n, &list)));
    if (n == 0) {
        st = account_for(replica, &list, &s->call, w);
        goto done;
    }
    print_request(clips, n, &list, replica);
    MG_TRY(mg_comm_agree(w->all, measure_clips(&need, clips, n, replica)));
    MG_TRY(mg_plan_make(&limits, replica, w, &need, n, s->n_slots));
    mg_plan_print(&limits, replica, w);
    MG_TRY(mg_comm_agree(w->all, mg_replica_load(replica, &limits)));
    MG_TRY(mg_replica_keep_pack(replica, w));
    st = make_clips(replica, clips, n, &list, s, w);
done:
    mg_replica_close(replica);
    free(clips);
    mg_clip_list_close(&list);
    mg_machine_close(&backend);
    mg_machine_close(&beside);
    mg_out_made_undo(&made); /* it may be empty: all clips failed, or the start was refused */
    return st;
}
