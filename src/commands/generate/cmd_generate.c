/* mg-dist generate: texts in, sound files out. The option table and the rules between options. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio_file.h"
#include "dataset.h"
#include "foreign_words.h"
#include "generate.h"
#include "log.h"
#include "model_options.h"
#include "path.h"
#include "recipe_keys.h"
#include "recipe_options.h"

#define AT(field) offsetof(mg_generate_settings, field)

/* Keys that may also be given once for each clip. */
#define LIST(heading, type, field, low, high, choices, key, place, record, flags, option, ...) \
    OPTION(heading, MG_OPT_STRINGS, AT(call.given.field), low, high, choices, option, __VA_ARGS__)
#define OPTION_MAKE(...)     VALUE("What to make", __VA_ARGS__)
#define LIST_MAKE(...)       LIST("What to make", __VA_ARGS__)
#define OPTION_FOLLOW(...)   VALUE("What to follow", __VA_ARGS__)
#define LIST_FOLLOW(...)     LIST("What to follow", __VA_ARGS__)
#define OPTION_SAMPLING(...) VALUE("Sampling", __VA_ARGS__)
#define OPTION_OUTPUT(...)   VALUE("Output", __VA_ARGS__)

/* clang-format off */
static const mg_option options[] = {
    MG_MODEL_OPTIONS(mg_generate_settings, call.model),
    {.name = "model-key", .type = MG_OPT_STRING, .offset = AT(call.model_key), .arg = "KEY", .group = "Model",
     .rivals = "model",
     .help = "the model that this key stands for; mg-dist models lists the keys"},
    {.name = "manifest", .type = MG_OPT_STRING, .offset = AT(manifest), .arg = "FILE", .group = "Model",
     .help = "where --model-key looks (default: as mg-dist models --help says)"},
    {.name = "apply-proposed", .type = MG_OPT_FLAG, .offset = AT(apply_proposed), .group = "Model",
     .also = "APPLY_PROPOSED", .help = "accept the proposals for missing tensors that are sure; also APPLY_PROPOSED=1"},

    MG_RECIPE_KEYS_MAKE(OPTION_MAKE, LIST_MAKE, NONE)
    {.name = "max-new-tokens", .type = MG_OPT_INT, .offset = AT(call.n_new_tokens), .arg = "N", .low = 1, .high = 1e8,
     .rivals = "duration|frames", .group = "What to make",
     .help = "length as transformers counts it: N columns of the delay pattern, 3 more than the frames of a MusicGen"},
    {.name = "prompts", .type = MG_OPT_STRING, .is_once = true, .offset = AT(call.prompts_file), .arg = "FILE", .group = "What to make",
     .help = "a clip for every entry of this list: lines of text, JSON lines, a JSON array, CSV or TSV; - is standard input"},
    {.name = "prompts-format", .type = MG_OPT_CHOICE, .offset = AT(call.prompts_how.form), .preset = "auto",
     .choices = MG_JOB_FORM_CHOICES, .group = "What to make", .help = "what the list is; auto looks at its name and its first bytes"},
    {.name = "prompt-column", .type = MG_OPT_STRING, .offset = AT(call.prompts_how.prompt_column), .arg = "NAME",
     .group = "What to make", .help = "the list's column or key that holds the prompt; others but the id's are passed over"},
    {.name = "id-column", .type = MG_OPT_STRING, .offset = AT(call.prompts_how.id_column), .arg = "NAME",
     .group = "What to make", .help = "the list's column or key that names the files"},
    {.name = "prompt-file", .type = MG_OPT_STRINGS, .offset = AT(call.prompt_files), .arg = "FILE",
     .group = "What to make", .help = "a clip for this file: all of it is one text, its first line the title"},
    {.name = "unconditional", .type = MG_OPT_INT, .offset = AT(call.n_unconditional), .arg = "N", .low = 1,
     .high = 1e6, .group = "What to make", .help = "N clips without text, after those with"},

    MG_RECIPE_KEYS_FOLLOW(OPTION_FOLLOW, LIST_FOLLOW, NONE)

    MG_RECIPE_KEYS_SEED(OPTION_SAMPLING, NONE, NONE)
    MG_RECIPE_KEYS_SAMPLING(OPTION_SAMPLING, NONE, NONE)
    MG_DO_SAMPLE_OPTION
    {.name = "two-step-cfg", .type = MG_OPT_FLAG, .offset = AT(two_step_cfg), .group = "Sampling",
     .help = "taken for AudioCraft's sake and without effect: rows of guidance never influence each other here"},

    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(call.out_dir), .arg = "DIR", .preset = "out",
     .group = "Output", .help = "folder for the files, made if need be; - writes one clip's sound to standard output, with "
             "--strategy clip while it is made"},
    {.name = "name", .type = MG_OPT_CHOICE, .offset = AT(call.naming), .choices = MG_NAMING_CHOICES, .group = "Output",
     .help = "call the files 000000, 000001 …, or by title or first words (default: index; title with --prompt-file)"},
    {.name = "start-index", .type = MG_OPT_STRING, .offset = AT(start_index), .arg = "N|next", .preset = "0", .group = "Output",
     .help = "the first of names by number; next is the one behind those in the folder"},
    {.name = "overwrite", .type = MG_OPT_FLAG, .offset = AT(call.overwrite), .group = "Output",
     .help = "replace what is there under the clips' names (default: refuse; the same clip is not made again)"},
    MG_RECIPE_KEYS_OUTPUT(OPTION_OUTPUT, NONE, NONE)
    {.name = "save-codes", .type = MG_OPT_FLAG, .offset = AT(call.save_codes), .group = "Output",
     .help = "also write 000000.codes.npy, int32 [codebooks, frames]"},
    {.name = "codes-only", .type = MG_OPT_FLAG, .offset = AT(call.codes_only), .group = "Output",
     .help = "write the codes and no sound; no codec is needed"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(call.as_json), .group = "Output",
     .help = "print each clip's metadata as a line of JSON with its path, not the path alone"},

    {.name = "batch", .type = MG_OPT_INT, .offset = AT(n_slots), .arg = "N", .low = 1, .high = 1e6,
     .group = "Machine", .help = "clips at once in each group of --tp ranks (default: chosen by memory, at most 8; on a GPU 64)"},
    MG_MACHINE_OPTIONS(mg_generate_settings),
};
/* clang-format on */

static const mg_foreign_word foreign[] = {
    {"shard|array|jobs", "is of mg-dist run; here give --prompts FILE"},
    {"keep-prompt", "the clip begins with the audio prompt; leave it out, or give --drop-prompt false"},
    {0}};

/* What only goes with something else. A file of JSON lines may bring it. */
static mg_status check_pairs(const mg_generate_settings *s)
{
    const mg_call *call = &s->call;
    const mg_recipe *all = &call->all;
    const bool from_file = call->prompts_file != NULL;

    if (!call->given.audio_prompt.n && !from_file && (!isnan(all->prompt_dur_s) || all->drop_prompt))
        return mg_fail(MG_EUSAGE, "option --%s: there is no --audio-prompt",
                       all->drop_prompt ? "drop-prompt" : "prompt-duration");
    if (!call->given.melody.n && !from_file && !isnan(all->cfg_coef_beta))
        return mg_fail(MG_EUSAGE,
                       "option --cfg-coef-beta: weighs the text against a melody, and there is no --melody");
    if (!call->given.melody.n && !from_file &&
        (all->style_n_codebooks > 0 || !isnan(all->style_dur_s) || !isnan(all->style_start_s)))
        return mg_fail(MG_EUSAGE, "option --style-%s: there is no --style",
                       all->style_n_codebooks > 0 ? "codebooks"
                       : !isnan(all->style_dur_s) ? "duration"
                                                  : "start");
    if (all->loudness_compressor && all->strategy != MG_STRATEGY_LOUDNESS)
        return mg_fail(MG_EUSAGE, "option --loudness-compressor: goes with --strategy loudness");
    if (mg_call_is_to_stdout(call) && call->as_json)
        return mg_fail(MG_EUSAGE,
                       "option --json: prints the metadata beside the files, and --out - has none");
    if (mg_call_is_to_stdout(call) && (call->save_codes || call->codes_only))
        return mg_fail(MG_EUSAGE, "option --out: -: standard output takes the sound alone; leave out --%s",
                       call->codes_only ? "codes-only" : "save-codes");
    if (!isnan(all->dur_s) && all->n_frames > 0)
        return mg_fail(MG_EUSAGE, "options --duration and --frames: both say how long; give one");
    if (call->n_new_tokens > 0 && (!isnan(all->dur_s) || all->n_frames > 0))
        return mg_fail(MG_EUSAGE, "options --max-new-tokens and --%s: both say how long; give one",
                       isnan(all->dur_s) ? "frames" : "duration");
    if (!call->given.melody.n && !from_file && all->melody_is_stem)
        return mg_fail(MG_EUSAGE, "option --melody-stem: there is no --melody");
    if (all->stride_s >= all->window_s)
        return mg_fail(MG_EUSAGE, "option --extend-stride: %g: must be shorter than the window, %g s",
                       all->stride_s, all->window_s);
    return MG_OK;
}

/* People who want one file give its name; a folder of that name would surprise them. */
static mg_status check_out(const char *out)
{
    /* The first rank writes the sound. Open MPI's mpirun gives its ranks a terminal whatever its own output
     * is. */
    if (strcmp(out, "-") == 0 && mg_world_launched_rank() == 0 && isatty(STDOUT_FILENO) &&
        !getenv("OMPI_COMM_WORLD_RANK"))
        return mg_fail(MG_EUSAGE,
                       "option --out: -: standard output is a terminal; give what takes the sound: | aplay, "
                       "or >clip.wav");
    if (strcmp(out, "-") == 0) return MG_OK;
    MG_RETURN(mg_dataset_check_outside(out, false));
    if (!mg_audio_is_name(out) || mg_path_is_folder(out)) return MG_OK;
    return mg_fail(MG_EUSAGE, "option --out: %s: names a folder; one file of this name is --out - >%s", out,
                   out);
}

/* "next", or a number. */
static mg_status read_start(int64_t *out, const char *text)
{
    char *end;

    *out = MG_START_NEXT;
    if (strcmp(text, "next") == 0) return MG_OK;
    *out = strtoll(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && *out <= 1000000000) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "option --start-index: \"%.80s\": must be next, or a whole number from 0 to 1000000000",
                   text);
}

static mg_status check(const void *settings)
{
    int64_t start;
    const mg_generate_settings *s = settings;
    const mg_call *call = &s->call;
    const int64_t tp = s->machine.tp;

    if (!call->model.model && !call->model_key && !call->model.lm)
        return mg_fail(MG_EUSAGE,
                       "option --model: missing; give a checkpoint folder, models/mg-demo for one");
    if (call->model.model && call->model_key)
        return mg_fail(MG_EUSAGE, "options --model and --model-key: both say which model; give one");
    if (call->given.prompt.n == 0 && !call->prompts_file && call->prompt_files.n == 0 &&
        call->n_unconditional < 0 && call->given.audio_prompt.n == 0 && call->given.melody.n == 0 &&
        call->given.text_states.n == 0)
        return mg_fail(MG_EUSAGE, "nothing to make; give --prompt TEXT, --prompts FILE or --unconditional N");
    MG_RETURN(check_pairs(s));
    MG_RETURN(mg_check_do_sample(&call->all, s->do_sample));
    MG_RETURN(check_out(call->out_dir));
    MG_RETURN(read_start(&start, s->start_index));
    if (tp > 0 && tp != 1 && tp != 2 && tp != 4 && tp != 8)
        return mg_fail(MG_EUSAGE, "option --tp: %lld: must be one of 1, 2, 4, 8", (long long)tp);
    return MG_OK;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_generate_settings s = *(const mg_generate_settings *)settings;

    /* mpirun of Open MPI 5 lets pieces of a rank's standard output fall into its stderr, if it has any. */
    if (mg_call_is_to_stdout(&s.call) && context->world->size > 1)
        mg_log_init(MG_LOG_QUIET, context->world->rank, context->world->host);
    mg_recipe_see(&s.call.all);
    mg_say_do_sample(&s.call.all, s.do_sample);
    MG_RETURN(read_start(&s.call.start_index, s.start_index));
    return mg_generate_run(context, &s);
}

static const char details[] =
    "The same model, prompt, seed and --cpu-level give the same bytes, whatever the number of ranks, --tp, "
    "--batch\n"
    "and --threads. Paths of finished clips go to stdout, everything else to stderr.\n"
    "\n"
    "  mg-dist generate --model models/mg-demo --prompt \"slow sad piano\" --duration 8 --seed 7 --out out\n"
    "  mg-dist generate --model DIR --prompt \"a cheerful waltz\" --audio-prompt intro.wav --duration 20\n"
    "  mg-dist generate --model DIR --prompt \"techno\" --duration 8 --out - | aplay\n"
    "  mpirun -np 4 mg-dist generate --model DIR --prompts list.txt --out out\n"
    "\n"
    "docs/GENERATE.md goes through it all, the keys of JSON lines included.";

const mg_command mg_cmd_generate = {
    .name = "generate",
    .meant_by = "gen|create|make|infer|inference|predict|sample",
    .summary = "make sound files from texts",
    .usage = "--model DIR|ID --prompt TEXT [options]",
    .details = details,
    .options = options,
    .foreign = {mg_foreign_words, foreign},
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_generate_settings),
    .check = check,
    .run = run,
};

void mg_generate_settings_init(mg_generate_settings *settings)
{
    mg_cli_preset(&mg_cmd_generate, settings);
    mg_recipe_see(&settings->call.all);
}
