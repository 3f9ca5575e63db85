/* mg-dist run: a list of jobs in, a dataset out. The option table and the rules between options. */
#include <string.h>

#include "foreign_words.h"
#include "model_options.h"
#include "recipe_keys.h"
#include "recipe_options.h"
#include "run.h"

#define AT(field) offsetof(mg_run_settings, field)

#define OPTION_SAMPLING(...) VALUE("Sampling", __VA_ARGS__)

/* clang-format off */
static const mg_option options[] = {
    MG_MODEL_OPTIONS(mg_run_settings, call.model),
    {.name = "model-key", .type = MG_OPT_STRING, .offset = AT(call.model_key), .arg = "KEY", .group = "Model", .rivals = "model",
     .help = "the model that this key stands for; mg-dist models lists the keys"},
    {.name = "manifest", .type = MG_OPT_STRING, .offset = AT(manifest), .arg = "FILE", .group = "Model",
     .help = "where --model-key looks (default: as mg-dist models --help says)"},
    {.name = "apply-proposed", .type = MG_OPT_FLAG, .offset = AT(apply_proposed), .group = "Model",
     .also = "APPLY_PROPOSED", .help = "accept the proposals for missing tensors that are sure; also APPLY_PROPOSED=1"},

    {.name = "jobs", .letter = 'j', .alias = "prompts", .type = MG_OPT_STRING, .is_once = true, .offset = AT(jobs), .arg = "FILE",
     .group = "Jobs", .help = "JSON lines, a JSON array, CSV, TSV or plain text, packed by gzip or not; - is standard input"},
    {.name = "jobs-format", .alias = "prompts-format", .type = MG_OPT_CHOICE, .offset = AT(how.form), .preset = "auto",
     .choices = MG_JOB_FORM_CHOICES, .group = "Jobs", .help = "what the jobs are; auto looks at the file's name and its first bytes"},
    {.name = "prompt-column", .type = MG_OPT_STRING, .offset = AT(how.prompt_column), .arg = "NAME", .group = "Jobs",
     .help = "the column or key that holds the prompt; others but the id's are passed over"},
    {.name = "id-column", .type = MG_OPT_STRING, .offset = AT(how.id_column), .arg = "NAME", .group = "Jobs",
     .help = "the column or key that names the clips"},
    {.name = "n", .letter = 'n', .type = MG_OPT_INT, .offset = AT(n_per_job), .arg = "N", .preset = "1", .low = 1, .high = 1e6,
     .group = "Jobs", .help = "clips for each job that does not say"},
    {.name = "duration", .letter = 'd', .type = MG_OPT_FLOAT, .offset = AT(call.all.dur_s), .arg = "SECONDS", .low = 1e-3, .high = 1e6,
     .group = "Jobs", .help = "length of clips whose job does not say (default: 30, or 10 with AudioGen)"},
    {.name = "shard", .type = MG_OPT_STRING, .offset = AT(part), .arg = "I/N", .group = "Jobs",
     .help = "only every N-th clip, from the I-th on (from 0); in a Slurm array taken from it"},
    {.name = "jobs-changed", .type = MG_OPT_CHOICE, .offset = AT(jobs_changed), .preset = "refuse", .choices = MG_JOBS_CHANGED_CHOICES,
     .group = "Jobs", .help = "another job file or --n than before: ok adds new jobs and keeps clips that are done; again "
                               "makes those again whose job asks for something else now"},
    {.name = "check", .type = MG_OPT_FLAG, .offset = AT(check_only), .group = "Jobs",
     .help = "say all that is wrong with the jobs, and make nothing"},

    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out), .arg = "DIR", .preset = "dataset", .group = "Output",
     .help = "the dataset's folder, new or to go on with"},
    {.name = "layout", .type = MG_OPT_CHOICE, .offset = AT(layout), .preset = "audiofolder", .choices = MG_LAYOUT_CHOICES,
     .same = "hf=audiofolder|folder=audiofolder|wds=webdataset|tar=webdataset",
     .group = "Output", .help = "a file for each clip, tar shards, or what AudioCraft trains on"},
    {.name = "name", .type = MG_OPT_STRING, .offset = AT(name), .arg = "NAME", .preset = "music", .group = "Output",
     .help = "of the dataset: on its card, and before the number of a shard"},
    {.name = "shard-clips", .type = MG_OPT_INT, .offset = AT(shard_clips), .arg = "N", .preset = "10000", .low = 1, .high = 1e9,
     .group = "Output", .help = "webdataset: most clips in a shard"},
    {.name = "shard-size", .type = MG_OPT_SIZE, .offset = AT(shard_bytes), .arg = "SIZE", .preset = "1GB", .low = 1, .high = 1e6,
     .in_mb = true, .group = "Output", .help = "webdataset: largest shard, such as 1GB or 500MB; a number alone is MB"},
    {.name = "resume", .type = MG_OPT_CHOICE, .offset = AT(resume), .preset = "auto", .choices = MG_RESUME_CHOICES, .group = "Output",
     .help = "go on with a dataset that is there; never refuses one, only demands one"},
    {.name = "format", .type = MG_OPT_CHOICE, .offset = AT(call.all.format), .preset = "flac", .choices = MG_AUDIO_FORMAT_CHOICES,
     .group = "Output", .help = "of the sound files"},
    {.name = "strategy", .type = MG_OPT_CHOICE, .offset = AT(call.all.strategy), .preset = "peak", .choices = MG_STRATEGY_CHOICES,
     .group = "Output", .help = "the level: by its peak, loudness or rms; clip cuts peaks only; none leaves it"},
    {.name = "peak-headroom", .type = MG_OPT_FLOAT, .offset = AT(call.all.peak_headroom_db), .arg = "DB", .preset = "1", .low = 0,
     .high = 100, .group = "Output", .help = "peak, clip: the highest peak stands this far below full scale"},
    {.name = "rms-headroom", .type = MG_OPT_FLOAT, .offset = AT(call.all.rms_headroom_db), .arg = "DB", .preset = "18", .low = 0,
     .high = 100, .group = "Output", .help = "rms: so far below full scale"},
    {.name = "loudness-headroom", .type = MG_OPT_FLOAT, .offset = AT(call.all.loudness_headroom_db), .arg = "DB", .preset = "14",
     .low = 0, .high = 100, .group = "Output", .help = "loudness: 14 is -14 LUFS"},
    {.name = "sample-rate", .type = MG_OPT_INT, .offset = AT(call.all.rate_hz), .arg = "HZ", .low = 1000, .high = 384000,
     .group = "Output", .help = "resample the sound (default: the codec's rate)"},
    {.name = "bitrate", .type = MG_OPT_INT, .offset = AT(call.all.bitrate_kbps), .arg = "KBIT", .low = 6, .high = 512, .group = "Output",
     .help = "mp3, opus: kilobits a second, all channels (default: mp3 320, opus 96 a channel)"},
    {.name = "quality", .type = MG_OPT_FLOAT, .offset = AT(call.all.quality), .arg = "F", .low = 0, .high = 10, .group = "Output",
     .help = "ogg, mp3: a variable rate, 0 to 10, 10 is best (default: ogg 4; mp3 is constant)"},

    {.name = "gate", .type = MG_OPT_CHOICE, .offset = AT(gate), .preset = "off", .choices = MG_GATE_CHOICES, .group = "Gate",
     .help = "look whether a clip went wrong: warn keeps it and says so, retry makes it again with another seed"},
    {.name = "gate-retries", .type = MG_OPT_INT, .offset = AT(gate_retries), .arg = "N", .preset = "3", .low = 0, .high = 1000,
     .group = "Gate", .help = "how often a clip is made again before it has failed"},
    {.name = "gate-silence", .type = MG_OPT_FLOAT, .offset = AT(limits.silence), .arg = "SHARE", .preset = "0.8", .low = 0, .high = 1,
     .group = "Gate", .help = "most of a clip that may be silent; 1 allows all, here and below"},
    {.name = "gate-silence-level", .type = MG_OPT_FLOAT, .offset = AT(limits.silence_db), .arg = "DB", .preset = "-60", .low = -200,
     .high = 0, .group = "Gate", .help = "silent is what is below this level before --strategy sets it"},
    {.name = "gate-clipping", .type = MG_OPT_FLOAT, .offset = AT(limits.clipping), .arg = "SHARE", .preset = "0.01", .low = 0, .high = 1,
     .group = "Gate", .help = "most samples that --strategy or the format may cut off"},
    {.name = "gate-dc", .type = MG_OPT_FLOAT, .offset = AT(limits.dc), .arg = "RATIO", .preset = "0.25", .low = 0, .high = 1,
     .group = "Gate", .help = "most offset that a channel may have, over its rms"},
    {.name = "gate-dead-channel", .type = MG_OPT_FLOAT, .offset = AT(limits.dead_channel_db), .arg = "DB", .preset = "60", .low = 0,
     .high = 200, .group = "Gate", .help = "most that a channel may be below the other one; 200 allows all"},
    {.name = "gate-repeat", .type = MG_OPT_FLOAT, .offset = AT(limits.repeat), .arg = "SHARE", .preset = "0.5", .low = 0, .high = 1,
     .group = "Gate", .help = "most of a clip that may be one code on and on"},
    {.name = "gate-loop", .type = MG_OPT_FLOAT, .offset = AT(limits.loop), .arg = "SHARE", .preset = "0.7", .low = 0, .high = 1,
     .group = "Gate", .help = "most of a clip that may be the same codes over and over"},

    {.name = "max-failures", .type = MG_OPT_INT, .offset = AT(max_failures), .arg = "N", .low = 0, .high = 1e9, .group = "Course",
     .help = "end the run when more clips have failed (default: never)"},
    {.name = "retries", .type = MG_OPT_INT, .offset = AT(retries), .arg = "N", .preset = "2", .low = 0, .high = 1000, .group = "Course",
     .help = "how often a clip is made again whose file could not be written"},
    {.name = "stop-before", .type = MG_OPT_FLOAT, .offset = AT(stop_before_s), .arg = "SECONDS", .preset = "120", .low = 0, .high = 1e6,
     .group = "Course", .help = "begin no clip so long before SLURM_JOB_END_TIME"},
    {.name = "log-every", .type = MG_OPT_FLOAT, .offset = AT(log_every_s), .arg = "SECONDS", .preset = "10", .low = 0.1, .high = 1e6,
     .group = "Course", .help = "how often the log has a line on how it goes"},
    {.name = "metrics", .type = MG_OPT_STRING, .offset = AT(metrics), .arg = "FILE", .group = "Course",
     .help = "how it goes, in Prometheus' text format, written whole every second"},

    {.name = "seed", .letter = 's', .type = MG_OPT_INT, .offset = AT(call.all.seed), .arg = "N", .low = 0,
     .high = 9007199254740991.0, .group = "Sampling",
     .help = "of the dataset: each clip's seed follows from it and the clip's id (default: one is drawn and kept)"},
    MG_RECIPE_KEYS_SAMPLING(OPTION_SAMPLING, NONE, NONE)
    MG_DO_SAMPLE_OPTION

    {.name = "batch", .type = MG_OPT_INT, .offset = AT(n_slots), .arg = "N", .low = 1, .high = 1e6, .group = "Machine",
     .help = "clips at once in each group of --tp ranks (default: chosen by memory, at most 8; on a GPU 64)"},
    MG_MACHINE_OPTIONS(mg_run_settings),
};
/* clang-format on */

static const mg_foreign_word foreign[] = {
    {"prompt", "a dataset is made of a list: give --jobs FILE"},
    {"array|job-array|part", "give --shard I/N"},
    {"limit|max-clips|max-samples|max-jobs", "a run makes all jobs; give a shorter list"},
    {"num-workers|workers|nprocs",
     "ranks are started by mpirun -np N mg-dist …; threads of a rank are --threads N"},
    {"dry-run|validate", "give --check"},
    {"split", "a dataset has one split, train"},
    {"save-codes|codes-only", "a dataset is of sounds; mg-dist encode makes codes of them"},
    {"overwrite|force", "a dataset is gone on with, not replaced; give another --out"},
    {0}};

static mg_status check_name(const char *name)
{
    if (mg_dataset_name_fits(name)) return MG_OK;
    return mg_fail(
        MG_EUSAGE,
        "option --name: %s: names files: at most 200 bytes, no '.' in front, and none of / \\ : ; # "
        "* ? \" [ ] { }",
        name);
}

static mg_status check(const void *settings)
{
    const mg_run_settings *s = settings;
    mg_dataset_call call;

    if (!s->jobs && (s->check_only || s->resume == MG_RESUME_NEVER))
        return mg_fail(MG_EUSAGE, "option --jobs: missing; name a file of jobs");
    if (!s->check_only && !s->call.model.model && !s->call.model_key && !s->call.model.lm)
        return mg_fail(MG_EUSAGE,
                       "option --model: missing; give a checkpoint folder, models/mg-demo for one");
    if (s->call.model.model && s->call.model_key)
        return mg_fail(MG_EUSAGE, "options --model and --model-key: both say which model; give one");
    if (strcmp(s->out, "-") == 0)
        return mg_fail(MG_EUSAGE, "option --out: -: a dataset is a folder; one clip's sound goes to standard "
                                  "output with mg-dist generate");
    MG_RETURN(check_name(s->name));
    MG_RETURN(mg_check_do_sample(&s->call.all, s->do_sample));
    const int64_t tp = s->machine.tp;
    if (tp > 0 && tp != 1 && tp != 2 && tp != 4 && tp != 8)
        return mg_fail(MG_EUSAGE, "option --tp: %lld: must be one of 1, 2, 4, 8", (long long)tp);
    return mg_run_describe(&call, s);
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_run_settings s = *(const mg_run_settings *)settings;

    s.call.naming = -1;
    s.call.n_unconditional = -1;
    mg_recipe_see(&s.call.all);
    for (int i = 0; i < mg_recipe_n_keys; i++) /* for the jobs to say: run has no such options, and holds 0 */
        if (mg_recipe_keys[i].flags & MG_KEY_WITH_MELODY) mg_recipe_unsay(&s.call.all, &mg_recipe_keys[i]);
    mg_say_do_sample(&s.call.all, s.do_sample);
    return mg_run(context, &s);
}

static const char details[] =
    "A clip counts when its file is durable and it is recorded; after any interruption the same command goes "
    "on.\n"
    "Each clip's seed follows from --seed and the clip's id, not from its place; --seed is drawn and kept if "
    "not given.\n"
    "Ctrl-C, SIGTERM and SIGUSR1 end a run in good order, with exit code 75: run it again.\n"
    "\n"
    "  mpirun -np 8 mg-dist run --model DIR --jobs captions.jsonl --out dataset\n"
    "  mg-dist run --model DIR --jobs musiccaps.csv --layout webdataset --out shards\n"
    "  mg-dist run --jobs captions.csv --check\n"
    "\n"
    "docs/DATASETS.md goes through it all.";

const mg_command mg_cmd_run = {
    .name = "run",
    .meant_by = "batch|dataset|start",
    .summary = "make a dataset from a list of jobs, and go on after any interruption",
    .usage = "--model DIR|ID --jobs FILE [options]",
    .details = details,
    .options = options,
    .foreign = {mg_foreign_words, foreign},
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_run_settings),
    .check = check,
    .run = run,
};
