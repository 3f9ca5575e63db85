/* The stages of a run: jobs, model, plan, clips, the files of the dataset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agreement.h"
#include "clock.h"
#include "generate.h"
#include "layout.h"
#include "log.h"
#include "machine.h"
#include "manifest.h"
#include "model_fingerprint.h"
#include "run.h"
#include "stop.h"
#include "text.h"

typedef struct run_call {
    const mg_run_settings *s;
    mg_world *w;
    mg_dataset *d; /* world rank 0 */
    mg_dataset_needs needs;
    mg_run_holder holder; /* world rank 0, of the dataset */
    mg_backend backend, beside;
    mg_replica *replica;
    mg_scheduler *scheduler;
    mg_channel *channel;
    mg_run_coordinator *coordinator; /* world rank 0 */
    mg_run_leader *leader;
    bool begun; /* clips may be made: a failure is no refusal any more */
    mg_model_request model;
    mg_manifest_room room; /* for what --model-key leads to */
} run_call;

enum { SHOWN_OF_A_KIND = 5 };

/* What --check has said. */
typedef struct checked {
    int64_t n_said, n_alike; /* of those the last ones, which differ in their lines alone */
    char last[512];
} checked;

static void say_alike(const checked *c)
{
    if (c->n_alike > SHOWN_OF_A_KIND)
        mg_log_error("the same in %lld more line%s", (long long)(c->n_alike - SHOWN_OF_A_KIND),
                     mg_plural(c->n_alike - SHOWN_OF_A_KIND));
}

/* A column of a wrong name is in every line of a list. */
static void say_fault(void *arg, const char *fault)
{
    checked *c = arg;
    const char *line = strstr(fault, ": line "), *what = line ? strstr(line + 1, ": ") : NULL;
    char text[sizeof c->last];

    snprintf(text, sizeof text, "%s", what ? what : fault);
    if (strcmp(text, c->last) != 0) {
        say_alike(c);
        snprintf(c->last, sizeof c->last, "%s", text);
        c->n_alike = 0;
    }
    c->n_said++;
    if (++c->n_alike <= SHOWN_OF_A_KIND) mg_log_error("%s", fault);
}

/* --check: rank 0 says all there is to say. */
static mg_status check_jobs(const mg_run_settings *s, const mg_world *w)
{
    mg_dataset_call call;
    checked said = {0};
    int64_t n;

    if (w->rank > 0) return MG_OK;
    MG_RETURN(mg_run_describe(&call, s));
    const mg_status st = mg_dataset_check_jobs(&call, say_fault, &said, &n);
    say_alike(&said);
    if (st == MG_OK)
        mg_log_info("run: %s: %lld clip%s, nothing is wrong with %s", s->jobs, (long long)n, mg_plural(n),
                    n == 1 ? "it" : "them");
    if (st == MG_EUSAGE && said.n_said > 0)
        return mg_fail(MG_EUSAGE, "run: %s: cannot be used as it is", s->jobs);
    return st;
}

static mg_status open_dataset(run_call *c)
{
    mg_dataset_call call;
    mg_dataset_counts n;

    if (c->w->rank > 0) return MG_OK;
    MG_RETURN(mg_run_describe(&call, c->s));
    MG_RETURN(mg_dataset_open(&c->d, &call));
    if (c->s->metrics) MG_RETURN(mg_dataset_check_file_outside(c->s->metrics));
    MG_RETURN(mg_dataset_get_needs(c->d, &c->needs));
    mg_dataset_tell_holder(c->d, &c->holder);
    mg_dataset_count(c->d, &n);
    if (n.done + n.failed > 0)
        mg_log_info("run: %s: goes on: %lld of %lld clips are done, %lld failed", c->s->out,
                    (long long)n.done, (long long)n.total, (long long)n.failed);
    else
        mg_log_info("run: %s: %lld clip%s to make, seed %lld", c->s->out, (long long)n.total,
                    mg_plural(n.total), (long long)mg_dataset_seed(c->d));
    return MG_OK;
}

/* "cuda/sm_90" ("/fast": --gemm fast), parts that run elsewhere, and sums in another order. */
static mg_status claim_machine(run_call *c)
{
    const char *text = mg_replica_text_backend(c->replica), *codec = mg_replica_codec_backend(c->replica);
    const char *sums = c->replica->backend.group->name;
    const bool in_order = mg_comm_sums_in_order(sums);
    char value[256];

    snprintf(value, sizeof value, "%s%s%s%s%s%s%s", c->replica->backend.ops->name, text ? ", text " : "",
             text ? text : "", codec ? ", codec " : "", codec ? codec : "", in_order ? "" : ", sums ",
             in_order ? "" : sums);
    return mg_dataset_claim_value(c->d, "cpu-level", value);
}

/* What would make the dataset one of two kinds. */
static mg_status claim_kind(run_call *c)
{
    char model[65], settings[MG_PATH_SIZE], gate[MG_RUN_GATE_SIZE], dtype[32];
    const mg_recipe *all = &c->s->call.all;
    const mg_lm_formats *formats = &c->replica->backend.formats;

    if (c->w->rank > 0) return MG_OK;
    MG_RETURN(mg_model_fingerprint(model, c->replica->files));
    MG_RETURN(mg_dataset_claim_value(c->d, "model", model));
    if (c->replica->files->mert.checkpoint) { /* the first jobs with a style bring it along */
        MG_RETURN(mg_style_fingerprint(model, c->replica->files));
        MG_RETURN(mg_dataset_claim_value(c->d, "style-encoder", model));
    }
    snprintf(dtype, sizeof dtype, "%s%s", mg_format_name(formats->weights),
             formats->kv == MG_FORMAT_Q8 ? ", kv int8" : "");
    MG_RETURN(mg_dataset_claim_value(c->d, "dtype", dtype));
    MG_RETURN(claim_machine(c));
    MG_RETURN(mg_dataset_claim_value(c->d, "version", MG_VERSION));
    mg_run_describe_gate(gate, c->s);
    MG_RETURN(mg_dataset_claim_value(c->d, "gate", gate));
    MG_RETURN(mg_run_describe_recipe(settings, all));
    return mg_dataset_claim_value(c->d, "settings", settings);
}

/* The groups are of one rank each where the model fits one: clips are many. */
static mg_status split(run_call *c)
{
    const mg_run_settings *s = c->s;
    mg_status st = MG_OK;

    c->model = s->call.model;
    if (s->call.model_key) st = mg_manifest_find_model(&c->model, &c->room, s->call.model_key, s->manifest);
    MG_RETURN(mg_comm_agree(c->w->all, st));
    return mg_generate_split(c->w, &c->model, &s->machine, MG_MANY_CLIPS);
}

static mg_status open_replica(run_call *c)
{
    const mg_run_settings *s = c->s;
    const char *apply = getenv("APPLY_PROPOSED");
    const bool text = c->needs.with_text || c->needs.with_negative;
    mg_replica_source source = {.model = c->model,
                                .with_text = text,
                                .with_tokenizer = text,
                                .with_decoder = true,
                                .with_encoder = c->needs.with_audio_prompt,
                                .with_melody = c->needs.with_melody,
                                .apply_proposed = s->apply_proposed || (apply && strcmp(apply, "1") == 0)};

    return mg_replica_open(&c->replica, &source, &c->backend, &c->beside, c->w->group);
}

/* A dataset keeps its model, so jobs with a melody could never be made. */
static mg_status check_melodies(const run_call *c)
{
    if (!c->needs.with_melody || c->replica->config.lm.n_chroma > 0) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "melody: %s: the jobs name some, and the model %s follows texts alone; take one that "
                   "follows a melody "
                   "or a style, such as facebook/musicgen-melody or facebook/musicgen-style",
                   c->s->jobs ? c->s->jobs : c->s->out, c->replica->files->lm.path);
}

static mg_status check_coding(const run_call *c)
{
    const mg_recipe *all = &c->s->call.all;
    const mg_audio_coding coding = mg_recipe_coding(all);
    const mg_config *config = &c->replica->config;

    return mg_audio_coding_check(&coding, all->rate_hz > 0 ? all->rate_hz : config->codec.sampling_rate,
                                 config->lm.n_channels);
}

/* A lower bound: a tenth of 16 bits for what is packed. */
static mg_status check_space(run_call *c)
{
    const mg_recipe *all = &c->s->call.all;
    const mg_config *m = &c->replica->config;
    const int64_t rate_hz = all->rate_hz > 0 ? all->rate_hz : m->codec.sampling_rate;
    const double bytes = all->format == MG_AUDIO_WAV_F32 ? 4 : all->format == MG_AUDIO_WAV ? 2 : 0.2;

    return c->w->rank > 0 ? MG_OK
                          : mg_dataset_check_space(c->d, bytes * (double)(rate_hz * m->lm.n_channels));
}

static mg_status load(run_call *c, mg_clip_need *need)
{
    mg_world *w = c->w;
    mg_replica_limits limits;

    MG_RETURN(mg_comm_agree(w->all, check_coding(c)));

    MG_RETURN(mg_comm_agree(w->all, mg_run_leader_need(need, c->s, &c->needs, c->replica)));
    MG_RETURN(mg_plan_make(&limits, c->replica, w, need, -1, c->s->n_slots));
    mg_plan_print(&limits, c->replica, w);
    MG_RETURN(mg_comm_agree(w->all, mg_replica_load(c->replica, &limits)));
    return mg_replica_keep_pack(c->replica, w);
}

static double now_s(void *arg)
{
    (void)arg;
    return mg_clock_s();
}

static int64_t date_s(void *arg)
{
    (void)arg;
    return (int64_t)time(NULL);
}

static mg_status send(void *channel, int rank, mg_run_message *m)
{
    return mg_run_message_send(channel, rank, m);
}

static mg_status open_coordinator(run_call *c)
{
    const mg_run_clock clock = {.now_s = now_s, .date_s = date_s};
    const mg_watchdog *watchdog = mg_world_watchdog(c->w);
    const mg_run_link link = {
        .send = send, .arg = c->channel, .timeout_s = watchdog ? watchdog->deadline_s : 0};

    MG_RETURN(mg_dataset_start_writer(c->d));
    return mg_run_coordinator_open(&c->coordinator, c->d, &clock, &link, c->s, c->w);
}

static mg_status open_makers(run_call *c, const mg_clip_need *need)
{
    MG_RETURN(mg_scheduler_open(&c->scheduler, c->replica));
    if (c->w->rank == 0) MG_RETURN(open_coordinator(c));
    if (c->replica->is_leader)
        MG_RETURN(mg_run_leader_open(&c->leader, c->s, c->replica, c->w, c->channel, c->coordinator,
                                     &c->holder, need));
    return MG_OK;
}

/* After a stop what has come is made durable still; a message that is there stays. */
static mg_status end(run_call *c, mg_status st)
{
    mg_world *w = c->w;
    mg_fault fault = mg_fault_take(st);

    if (st == MG_OK) {
        /* the last shards and all lists may take longer than ranks wait for each other */
        MG_RETURN(
            mg_world_await_first(w, c->coordinator ? mg_run_coordinator_settle(c->coordinator) : MG_OK));
        return mg_comm_agree(w->all, c->coordinator ? mg_run_coordinator_verdict(c->coordinator) : MG_OK);
    }
    if (c->coordinator && st != MG_EBUG) (void)mg_run_coordinator_settle(c->coordinator);
    return mg_fault_raise(&fault);
}

static mg_status go(run_call *c)
{
    mg_world *w = c->w;
    mg_clip_need need;

    MG_RETURN(split(c));
    MG_RETURN(mg_world_await_first(w, open_dataset(c))); /* a pipe, a million files to look through */
    MG_RETURN(mg_comm_bcast(w->all, &c->needs, sizeof c->needs / sizeof(int64_t), MG_I64, 0));
    MG_RETURN(mg_comm_bcast(w->all, &c->holder, sizeof c->holder / sizeof(int64_t), MG_I64, 0));
    MG_RETURN(mg_comm_agree(w->all, mg_machine_open(&c->backend, &c->s->machine, w)));
    const bool with_conditioners = c->needs.with_text || c->needs.with_negative || c->needs.with_melody;
    MG_RETURN(
        mg_comm_agree(w->all, mg_machine_open_beside(&c->beside, &c->s->machine, w, with_conditioners)));
    MG_RETURN(mg_comm_agree(w->all, open_replica(c)));
    MG_RETURN(mg_agree_replica(w, c->replica));
    MG_RETURN(mg_comm_agree(w->all, check_melodies(c)));
    MG_RETURN(mg_comm_agree(w->all, claim_kind(c)));
    MG_RETURN(mg_comm_agree(w->all, check_space(c)));
    MG_RETURN(load(c, &need));
    MG_RETURN(mg_comm_agree(w->all, mg_channel_open(&c->channel, w)));
    MG_RETURN(mg_comm_agree(w->all, open_makers(c, &need)));
    c->begun = true;
    mg_stop_begin_wishes();
    return end(c, mg_run_leader_make(c->leader, c->scheduler));
}

mg_status mg_run(mg_context *context, const mg_run_settings *s)
{
    run_call c = {.s = s, .w = context->world};
    mg_status st;

    if (s->check_only) return mg_comm_agree(c.w->all, check_jobs(s, c.w));
    context->resumable = true;
    st = go(&c);
    mg_run_leader_close(c.leader);
    mg_run_coordinator_close(c.coordinator);
    mg_scheduler_close(c.scheduler);
    mg_channel_close(c.channel);
    mg_replica_close(c.replica);
    mg_machine_close(&c.backend);
    mg_machine_close(&c.beside);
    if (c.begun)
        mg_dataset_close(c.d);
    else
        mg_dataset_abandon(c.d, mg_status_is_stop(st));
    return st;
}
