/* mg-dist generate: texts in, sound files out. The option table and the course of a run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "clock.h"
#include "generate.h"
#include "log.h"
#include "out_file.h"
#include "plan.h"
#include "scheduler.h"

#define AT(field) offsetof(mg_generate_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = AT(model), .arg = "DIR|ID", .group = "Model",
     .help = "folder in Hugging Face's or AudioCraft's layout, or the id of a cached model"},
    {.name = "model-key", .type = MG_OPT_STRING, .offset = AT(model_key), .arg = "KEY", .group = "Model",
     .help = "the model that this key stands for; mg-dist models lists the keys"},
    {.name = "lm", .type = MG_OPT_STRING, .offset = AT(lm), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take the language model from here instead"},
    {.name = "text-encoder", .type = MG_OPT_STRING, .offset = AT(text_encoder), .arg = "DIR|FILE|ID",
     .group = "Model", .help = "take the T5 text encoder from here instead"},
    {.name = "codec", .type = MG_OPT_STRING, .offset = AT(codec), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take the EnCodec decoder from here instead"},
    {.name = "tokenizer", .type = MG_OPT_STRING, .offset = AT(tokenizer), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take spiece.model or tokenizer.json from here instead"},
    {.name = "apply-proposed", .type = MG_OPT_FLAG, .offset = AT(apply_proposed), .group = "Model",
     .help = "accept the proposals for missing tensors that are sure; also APPLY_PROPOSED=1"},

    {.name = "prompt", .letter = 'p', .type = MG_OPT_STRINGS, .offset = AT(prompts), .arg = "TEXT",
     .group = "What to make", .help = "a clip that follows this text; \"\" is a clip without text"},
    {.name = "prompts", .type = MG_OPT_STRING, .offset = AT(prompts_file), .arg = "FILE", .group = "What to make",
     .help = "a clip for every line of this file; - is standard input"},
    {.name = "unconditional", .type = MG_OPT_INT, .offset = AT(n_unconditional), .arg = "N", .low = 1,
     .high = 1e6, .group = "What to make", .help = "N clips without text, after those with"},
    {.name = "duration", .letter = 'd', .type = MG_OPT_FLOAT, .offset = AT(dur_s), .arg = "SECONDS", .low = 0,
     .high = 1e6, .group = "What to make", .help = "length of each clip (default: 30)"},
    {.name = "frames", .type = MG_OPT_INT, .offset = AT(n_frames), .arg = "N", .low = 1, .high = 1e8,
     .group = "What to make", .help = "length in codec frames, exactly, instead of --duration"},

    {.name = "seed", .letter = 's', .type = MG_OPT_INT, .offset = AT(seed), .arg = "N", .low = 0,
     .high = 9007199254740991.0, .group = "Sampling",
     .help = "clip i is made with seed N + i (default: one is drawn, printed and recorded)"},
    {.name = "cfg-coef", .alias = "guidance-scale", .type = MG_OPT_FLOAT, .offset = AT(cfg_coef), .arg = "F",
     .preset = "3.0", .low = 0, .high = 1000, .group = "Sampling", .help = "how strongly to follow the text; 1 is off"},
    {.name = "top-k", .type = MG_OPT_INT, .offset = AT(top_k), .arg = "N", .preset = "250", .low = 0, .high = 1e9,
     .group = "Sampling", .help = "draw from the N likeliest codes; 0 is from all"},
    {.name = "top-p", .type = MG_OPT_FLOAT, .offset = AT(top_p), .arg = "F", .preset = "0", .low = 0, .high = 1,
     .group = "Sampling", .help = "draw from the likeliest codes that make up F, instead of --top-k; 0 is off"},
    {.name = "temperature", .type = MG_OPT_FLOAT, .offset = AT(temperature), .arg = "F", .preset = "1.0",
     .low = 0, .high = 1000, .group = "Sampling", .help = "above 1 more surprising, below 1 less; 0 is --greedy"},
    {.name = "greedy", .type = MG_OPT_FLAG, .offset = AT(greedy), .group = "Sampling",
     .help = "always the likeliest code; no randomness"},

    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out_dir), .arg = "DIR", .preset = "out",
     .group = "Output", .help = "folder for 000000.wav, 000000.json, …; made if need be"},
    {.name = "format", .type = MG_OPT_CHOICE, .offset = AT(format), .preset = "wav",
     .choices = MG_FORMAT_CHOICES, .group = "Output", .help = "16-bit integers or 32-bit floats"},
    {.name = "strategy", .type = MG_OPT_CHOICE, .offset = AT(strategy), .preset = "clip",
     .choices = MG_STRATEGY_CHOICES, .group = "Output",
     .help = "what becomes of peaks: cut 1 dB below full scale, or the codec's output untouched"},
    {.name = "save-codes", .type = MG_OPT_FLAG, .offset = AT(save_codes), .group = "Output",
     .help = "also write 000000.codes.npy, int32 [codebooks, frames]"},

    {.name = "batch", .type = MG_OPT_INT, .offset = AT(n_slots), .arg = "N", .low = 1, .high = 1e6,
     .group = "Machine", .help = "clips at once in each group of --tp ranks (default: chosen by memory, at most 8)"},
    MG_MACHINE_OPTIONS(mg_generate_settings),
};
/* clang-format on */

static mg_status check(const void *settings)
{
    const mg_generate_settings *s = settings;
    const int64_t tp = s->machine.tp;

    if (!s->model && !s->model_key && !s->lm)
        return mg_fail(MG_EUSAGE,
                       "option --model: missing; give a checkpoint folder, models/mg-demo for one");
    if (s->model && s->model_key)
        return mg_fail(MG_EUSAGE, "options --model and --model-key: both say which model; give one");
    if (s->prompts.n == 0 && !s->prompts_file && s->n_unconditional < 0)
        return mg_fail(MG_EUSAGE, "nothing to make; give --prompt TEXT, --prompts FILE or --unconditional N");
    if (!isnan(s->dur_s) && s->n_frames > 0)
        return mg_fail(MG_EUSAGE, "options --duration and --frames: both say how long; give one");
    if (!isnan(s->dur_s) && s->dur_s <= 0)
        return mg_fail(MG_EUSAGE, "option --duration: %g: must be more than 0 seconds", s->dur_s);
    if (tp > 0 && tp != 1 && tp != 2 && tp != 4 && tp != 8)
        return mg_fail(MG_EUSAGE, "option --tp: %lld: must be one of 1, 2, 4, 8", (long long)tp);
    return MG_OK;
}

/* Say where the checkpoint's own defaults differ from what is used. */
static void print_other_defaults(const char *file, const mg_generation_config *g,
                                 const mg_generate_settings *s)
{
    char text[256];
    int n = 0;

    if (g->has_guidance_scale && g->guidance_scale != s->cfg_coef)
        n += snprintf(text + n, sizeof text - (size_t)n, "guidance_scale %g, used is %g; ", g->guidance_scale,
                      s->cfg_coef);
    if (g->has_top_k && g->top_k != s->top_k)
        n += snprintf(text + n, sizeof text - (size_t)n, "top_k %lld, used is %lld; ", (long long)g->top_k,
                      (long long)s->top_k);
    if (g->has_top_p && g->top_p != s->top_p && !(g->top_p >= 1 && s->top_p == 0)) /* both are off */
        n += snprintf(text + n, sizeof text - (size_t)n, "top_p %g, used is %g; ", g->top_p, s->top_p);
    if (g->has_temperature && g->temperature != s->temperature)
        n += snprintf(text + n, sizeof text - (size_t)n, "temperature %g, used is %g; ", g->temperature,
                      s->temperature);
    if (g->has_do_sample && g->do_sample == s->greedy)
        n += snprintf(text + n, sizeof text - (size_t)n, "do_sample %s, used is %s; ",
                      g->do_sample ? "true" : "false", s->greedy ? "--greedy" : "sampling");
    if (n > 2) mg_log_info("generate: %s says %.*s", file, n - 2, text);
}

static void print_request(const mg_clip_list *list, const mg_generate_settings *s, const mg_replica *r)
{
    const int64_t T = list->clip[0].T;
    char how[96] = "greedy";

    if (!s->greedy && s->top_p > 0)
        snprintf(how, sizeof how, "top-p %g, temperature %g", s->top_p, s->temperature);
    else if (!s->greedy)
        snprintf(how, sizeof how, "top-k %lld, temperature %g", (long long)s->top_k, s->temperature);
    mg_log_info("generate: %lld clip%s of %g s (%lld frames), cfg-coef %g, %s, seed %llu", (long long)list->n,
                list->n == 1 ? "" : "s", (double)T / (double)r->config.codec.frame_rate, (long long)T,
                s->cfg_coef, how, (unsigned long long)list->seed);
    if (r->files->window_s > 0 && (double)T / (double)r->config.codec.frame_rate > r->files->window_s)
        mg_log_info("generate: the model was trained on %g s at a time; what lies beyond may wander",
                    r->files->window_s);
    print_other_defaults(mg_checkpoint_xp_config(r->files->lm.checkpoint) ? "xp.cfg"
                                                                          : "generation_config.json",
                         &r->config.generation, s);
}

static void print_summary(const mg_scheduler *s, const mg_clip_list *list, const mg_replica *r,
                          double begin_s)
{
    const double music_s = (double)(list->n * list->clip[0].T) / (double)r->config.codec.frame_rate;
    const double all_s = mg_clock_s() - begin_s;
    const int64_t n_steps = mg_scheduler_n_steps(s);

    mg_log_info("generate: %.1f s of music in %.1f s; %lld steps of %.2f ms", music_s, all_s,
                (long long)n_steps, n_steps ? mg_scheduler_step_s(s) * 1000 / (double)n_steps : 0.0);
}

/* This replica's clips through its scheduler, and everybody's account. */
static mg_status make_clips(mg_replica *r, const mg_clip_list *list, const mg_generate_settings *settings,
                            const mg_world *w)
{
    mg_status st = MG_OK;
    mg_scheduler *scheduler = NULL;
    mg_generate_output output = {0};
    const mg_clip **mine = calloc((size_t)list->n, sizeof *mine);
    const double begin_s = mg_clock_s();
    int64_t n_mine = 0;

    if (!mine) st = mg_fail(MG_ENOMEM, "clips: %lld", (long long)list->n);
    for (int64_t i = 0; mine && i < list->n; i++)
        if (mg_plan_is_mine(w, &list->clip[i])) mine[n_mine++] = &list->clip[i];
    if (st == MG_OK) st = mg_scheduler_open(&scheduler, r);
    if (st == MG_OK) st = mg_generate_output_open(&output, settings, list, r, w);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_scheduler_run(scheduler, mine, n_mine, mg_generate_output_take, &output));
    st = mg_generate_output_conclude(&output);
    if (st == MG_OK || st == MG_EPARTIAL) print_summary(scheduler, list, r, begin_s);
done:
    mg_generate_output_close(&output);
    mg_scheduler_close(scheduler);
    free(mine);
    return st;
}

/* What the options say of the model; `key_path` is room for what --model-key leads to. */
static mg_status describe_source(mg_replica_source *source, char key_path[MG_PATH_SIZE],
                                 const mg_generate_settings *s)
{
    const char *apply = getenv("APPLY_PROPOSED");

    *source = (mg_replica_source){
        .model = {s->model, s->lm, s->text_encoder, s->codec, s->tokenizer},
        .apply_proposed = s->apply_proposed || (apply && strcmp(apply, "1") == 0),
    };
    if (!s->model_key) return MG_OK;
    source->model.model = key_path;
    return mg_hub_find_key(key_path, s->model_key);
}

static mg_status run(mg_context *context, const void *settings)
{
    const mg_generate_settings *s = settings;
    mg_world *w = context->world;
    mg_status st = MG_OK;
    mg_backend backend = {0};
    mg_clip_list list = {0};
    mg_replica *replica = NULL;
    mg_replica_source source;
    mg_replica_limits limits;
    char key_path[MG_PATH_SIZE];

    MG_TRY(mg_world_split(w, s->machine.tp > 0 ? (int)s->machine.tp : w->size));
    MG_TRY(mg_clip_list_open(&list, s, w));
    MG_TRY(mg_comm_agree(w->all, mg_backend_open(&backend, &s->machine, w)));
    MG_TRY(mg_comm_agree(w->all, describe_source(&source, key_path, s)));
    source.dtype = backend.dtype;
    source.with_text = source.with_tokenizer = mg_clip_list_has_text(&list);
    MG_TRY(mg_comm_agree(w->all, mg_replica_open(&replica, &source, backend.ops, backend.threads, w->group)));
    MG_TRY(mg_comm_agree(w->all, mg_clip_list_fill(&list, s, replica->files)));
    MG_TRY(mg_comm_agree(w->all, w->tp_rank == 0 ? mg_out_dir_open(s->out_dir) : MG_OK));
    print_request(&list, s, replica);
    MG_TRY(mg_plan_make(&limits, replica, w, list.clip, list.n, s->n_slots));
    mg_plan_print(&limits, replica, w);
    MG_TRY(mg_comm_agree(w->all, mg_replica_load(replica, &limits)));
    st = make_clips(replica, &list, s, w);
done:
    mg_replica_close(replica);
    mg_clip_list_close(&list);
    mg_backend_close(&backend);
    return st;
}

static const char details[] =
    "The same model, prompt, seed and --cpu-level give the same bytes, whatever the number of ranks, --tp, "
    "--batch\n"
    "and --threads. Paths of finished clips go to stdout, everything else to stderr.\n"
    "\n"
    "  mg-dist generate --model models/mg-demo --prompt \"slow sad piano\" --duration 8 --seed 7 --out out\n"
    "  mpirun -np 4 mg-dist generate --model DIR --prompts list.txt --out out";

const mg_command mg_cmd_generate = {
    .name = "generate",
    .summary = "make sound files from texts",
    .usage = "--model DIR|ID --prompt TEXT [options]",
    .details = details,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_generate_settings),
    .check = check,
    .run = run,
};
