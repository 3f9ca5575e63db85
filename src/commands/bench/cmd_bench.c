/* mg-dist bench: how fast a part runs on this machine, on random weights of the published shapes; how fast a
 * model loads, and what a number format costs it. */
#include <stddef.h>
#include <stdio.h>

#include "bench.h"
#include "bench_shapes.h"
#include "text.h"
#include "version.h"

/* clang-format off */
static const mg_option options[] = {
    {.name = "WHAT", .type = MG_OPT_CHOICE, .is_operand = true, .offset = offsetof(mg_bench_settings, what),
     .choices = "step|decode|encode|t5|allreduce|load|quality", .group = "Operand", .help = "what to measure"},
    {.name = "MODEL", .type = MG_OPT_STRING, .is_operand = true, .is_optional = true,
     .offset = offsetof(mg_bench_settings, model), .group = "Operand",
     .help = "load, quality: the model, a folder or an id; step: take its sizes"},
    {.name = "text-encoder", .type = MG_OPT_STRING, .offset = offsetof(mg_bench_settings, text_encoder),
     .arg = "DIR|FILE|ID", .group = "Measurement", .help = "load, quality: take the text encoder from here instead"},
    {.name = "codec", .type = MG_OPT_STRING, .offset = offsetof(mg_bench_settings, codec), .arg = "DIR|FILE|ID",
     .group = "Measurement",
     .help = "load, quality: take the codec from here instead"},
    {.name = "tokenizer", .type = MG_OPT_STRING, .offset = offsetof(mg_bench_settings, tokenizer),
     .arg = "DIR|FILE|ID", .group = "Measurement", .help = "quality: take the tokenizer from here instead"},
    {.name = "prompts", .type = MG_OPT_STRING, .offset = offsetof(mg_bench_settings, list), .arg = "FILE",
     .group = "Measurement",
     .help = "quality: a list as generate takes it; each line names a sound (audio_prompt) and its text (prompt)"},
    {.name = "shape", .type = MG_OPT_CHOICE, .offset = offsetof(mg_bench_settings, shape), .preset = "small",
     .choices = MG_BENCH_SHAPE_WORDS, .group = "Measurement", .help = "step: size of the language model"},
    {.name = "batch", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, batch), .arg = "N", .preset = "1",
     .low = 1, .high = 1024, .group = "Measurement",
     .help = "step: clips at once, two rows each under guidance; decode, encode: clips of one channel at once"},
    {.name = "no-guidance", .type = MG_OPT_FLAG, .offset = offsetof(mg_bench_settings, no_guidance),
     .group = "Measurement", .help = "step: one row a clip"},
    {.name = "position", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, position), .arg = "N", .low = 0,
     .high = 100000, .group = "Measurement",
     .help = "step: column of the first step (default: so that they lie around the middle of a clip of --seconds)"},
    {.name = "prefill", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, n_prefill), .arg = "N",
     .preset = "0", .low = 0, .high = 100000, .group = "Measurement",
     .help = "step: also feed N columns at once, as an audio prompt of N frames is"},
    {.name = "steps", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, n_steps), .arg = "N", .low = 1,
     .high = 1000000, .group = "Measurement",
     .help = "timed repetitions (default: step 60, decode and encode 3, t5 20, allreduce 1000)"},
    {.name = "warmup", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, n_warmup), .arg = "N", .preset = "5",
     .low = 0, .high = 1000, .group = "Measurement", .help = "step: steps before the timed ones"},
    {.name = "split", .type = MG_OPT_FLAG, .offset = offsetof(mg_bench_settings, split), .group = "Measurement",
     .help = "step: then 20 steps that draw codes, with the times of their parts and a hash of the codes"},
    {.name = "decode", .type = MG_OPT_FLAG, .offset = offsetof(mg_bench_settings, decode), .group = "Measurement",
     .help = "step: then decode clips of --seconds, as many of the batch as a run takes at once, on each group's leader"},
    {.name = "kernels", .type = MG_OPT_FLAG, .offset = offsetof(mg_bench_settings, kernels), .group = "Measurement",
     .help = "step: then each kind of operation alone, all of a step's one behind the other: us and number in a step"},
    {.name = "seconds", .type = MG_OPT_FLOAT, .offset = offsetof(mg_bench_settings, dur_s), .arg = "F",
     .preset = "10", .low = 0.02, .high = 3600, .group = "Measurement",
     .help = "step, decode, encode: length of the clip; quality: at most so much of each sound"},
    {.name = "tokens", .type = MG_OPT_INT, .offset = offsetof(mg_bench_settings, n_tokens), .arg = "N",
     .preset = "16", .low = 1, .high = 4096, .group = "Measurement", .help = "step, t5: length of the text"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = offsetof(mg_bench_settings, json), .group = "Measurement",
     .help = "print one JSON object instead of a table"},
    MG_MACHINE_OPTIONS(mg_bench_settings),
};
/* clang-format on */

static const char *const what_names[] = {"step", "decode", "encode", "t5", "allreduce", "load", "quality"};

enum { ON_STEP = 1 << MG_BENCH_STEP, ON_DECODE = 1 << MG_BENCH_DECODE, ON_ENCODE = 1 << MG_BENCH_ENCODE };
enum { ON_T5 = 1 << MG_BENCH_T5, ON_ALLREDUCE = 1 << MG_BENCH_ALLREDUCE, ON_LOAD = 1 << MG_BENCH_LOAD };
enum { ON_QUALITY = 1 << MG_BENCH_QUALITY };

/* What only some measurements look at. */
static const struct {
    const char *options;
    int of;
} effects[] = {
    {"shape|no-guidance|position|prefill|warmup|split|decode|kernels", ON_STEP},
    {"batch", ON_STEP | ON_DECODE | ON_ENCODE},
    {"steps", ON_STEP | ON_DECODE | ON_ENCODE | ON_T5 | ON_ALLREDUCE},
    {"seconds", ON_STEP | ON_DECODE | ON_ENCODE | ON_QUALITY},
    {"tokens", ON_STEP | ON_T5},
    {"dtype|kv", ON_STEP | ON_LOAD | ON_QUALITY},
    {"text-encoder|codec|pack-cache", ON_LOAD | ON_QUALITY},
    {"tokenizer|prompts|host-memory|device-memory|memory-margin|offload", ON_QUALITY},
    {"gemm", ON_STEP | ON_DECODE | ON_ENCODE | ON_T5 | ON_LOAD | ON_QUALITY},
};

static mg_status check_idle(const mg_cli *cli, const mg_bench_settings *s)
{
    char why[64];
    mg_text idle = {0};

    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
        if (!(effects[i].of >> s->what & 1))
            mg_text_format(&idle, "%s%s", idle.n ? "|" : "", effects[i].options);
    (void)snprintf(why, sizeof why, "on bench %s; leave it out", what_names[s->what]);
    mg_status st = mg_text_check(&idle, "options");
    if (st == MG_OK) st = mg_cli_refuse_idle(cli, idle.data, why);
    mg_text_reset(&idle);
    if (st != MG_OK || s->what != MG_BENCH_STEP) return st;
    if (s->model)
        MG_RETURN(mg_cli_refuse_idle(cli, "shape", "beside MODEL, whose sizes are taken; give one"));
    return s->position < 0 || s->decode
               ? MG_OK
               : mg_cli_refuse_idle(cli, "seconds", "beside --position; give one, or --decode");
}

static mg_status measure(mg_bench *b)
{
    switch (b->settings->what) {
    case MG_BENCH_STEP: return mg_bench_step(b);
    case MG_BENCH_DECODE: return mg_bench_decode(b);
    case MG_BENCH_ENCODE: return mg_bench_encode(b);
    case MG_BENCH_T5: return mg_bench_t5(b);
    case MG_BENCH_LOAD: return mg_bench_load(b);
    case MG_BENCH_QUALITY: return mg_bench_quality(b);
    default: return mg_bench_allreduce(b);
    }
}

static mg_status check(const void *settings)
{
    const mg_bench_settings *s = settings;

    const bool takes_model = s->what == MG_BENCH_LOAD || s->what == MG_BENCH_QUALITY;
    const bool may_take_model = takes_model || s->what == MG_BENCH_STEP;

    if (takes_model && !s->model)
        return mg_fail(MG_EUSAGE, "bench %s: MODEL: missing; write: bench %s DIR", what_names[s->what],
                       what_names[s->what]);
    if (s->what == MG_BENCH_QUALITY && !s->list)
        return mg_fail(MG_EUSAGE, "bench quality: option --prompts: missing; it names the list of sounds");
    if (!may_take_model && s->model)
        return mg_fail(MG_EUSAGE, "bench %s: \"%s\": a word too many", what_names[s->what], s->model);
    return MG_OK;
}

/* Every rank finds the same: the agreement keeps one message. */
static mg_status check_ranks(const mg_bench_settings *settings, const mg_world *world, int64_t tp)
{
    const bool alone = settings->what == MG_BENCH_DECODE || settings->what == MG_BENCH_ENCODE ||
                       settings->what == MG_BENCH_T5;

    if (settings->what == MG_BENCH_STEP) return MG_OK; /* mg_world_split judges */
    if (tp != world->size)
        return mg_fail(MG_EUSAGE, "option --tp: %lld: bench runs one group of all %d ranks", (long long)tp,
                       world->size);
    if (alone && world->size > 1)
        return mg_fail(MG_EUSAGE, "bench %s: %d ranks: this part runs on one rank; start it without mpirun",
                       what_names[settings->what], world->size);
    return MG_OK;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_world *world = context->world;
    mg_bench b = {.settings = settings};
    const int64_t tp = b.settings->machine.tp > 0 ? b.settings->machine.tp : world->size;
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(world->all, check_idle(context->cli, settings)));
    MG_TRY(mg_comm_agree(world->all, check_ranks(settings, world, tp)));
    MG_TRY(mg_world_split(world, (int)tp));
    b.world = world;
    b.comm = world->group;
    MG_TRY(mg_comm_agree(world->all, mg_machine_open(&b.backend, &b.settings->machine, world)));
    MG_TRY(mg_comm_agree(world->all, mg_machine_open_beside(&b.beside, &b.settings->machine, world, true)));
    mg_figures_text(&b.report, "what", what_names[b.settings->what]);
    mg_figures_text(&b.report, "backend", b.backend.ops->name);
    mg_figures_int(&b.report, "threads", mg_threads_count(b.backend.threads));
    mg_figures_int(&b.report, "tp", tp);
    mg_figures_int(&b.report, "replicas", world->n_replicas);
    mg_figures_text(&b.report, "host", world->host);
    mg_figures_text(&b.report, "version", mg_version());
    MG_TRY(measure(&b));
    if (world->rank == 0) st = mg_figures_print(&b.report, stdout, b.settings->json);
done:
    mg_figures_reset(&b.report);
    mg_machine_close(&b.backend);
    mg_machine_close(&b.beside);
    return st;
}

const mg_command mg_cmd_bench = {
    .name = "bench",
    .summary = "measure the parts on this machine",
    .usage = "WHAT [MODEL] [options]",
    .details =
        "All but load and quality run on random weights of the published shapes.\n"
        "bench quality feeds a model known sounds with their texts, and prints its loss (the mean negative\n"
        "logarithm of the right code's probability) in fp32 and in each other format, how often the right\n"
        "code was the likeliest, the change against fp32 and its standard error over the sounds.\n"
        "bench step reads the machine's bandwidth in the same run: fraction_of_floor is the time that\n"
        "reading the step's bytes takes at that bandwidth, divided by the step's time.\n"
        "Under mpirun all ranks are one tensor-parallel group; decode and t5 run on one rank. bench step "
        "with a\n"
        "smaller --tp runs several replicas at once, and its figures are of all of them.\n"
        "bench scaling (a command of its own) runs bench step over a grid of ranks, groups and batches.",
    .options = options,
    .n_options = (int)(sizeof options / sizeof options[0]),
    .settings_bytes = sizeof(mg_bench_settings),
    .check = check,
    .run = run,
};
