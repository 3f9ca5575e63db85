/* mg-dist plan: which layout of ranks makes so many clips, how long it takes, and the job that does it. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_shapes.h"
#include "cli.h"
#include "dataset.h"
#include "log.h"
#include "machine.h"
#include "model_options.h"
#include "numbers.h"
#include "out_file.h"
#include "plan_fit.h"
#include "planning.h"

#define AT(field) offsetof(mg_planning_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "clips", .letter = 'n', .type = MG_OPT_INT, .offset = AT(n_clips), .arg = "N", .low = 1, .high = 1e12,
     .group = "Work", .help = "clips to make"},
    {.name = "duration", .letter = 'd', .type = MG_OPT_FLOAT, .offset = AT(dur_s), .arg = "SECONDS", .preset = "10",
     .low = 1, .high = 30, .group = "Work", .help = "length of a clip"},
    {.name = "deadline", .alias = "within", .type = MG_OPT_STRING, .offset = AT(deadline), .arg = "TIME", .group = "Work",
     .help = "how long it may take: 8h, 90m, 2d, or until when in local time: 2026-12-04T08:00; "
             "without --nodes this finds the least number of nodes that keeps it"},
    {.name = "shape", .type = MG_OPT_CHOICE, .offset = AT(shape), .preset = "small", .choices = MG_BENCH_SHAPE_WORDS,
     .group = "Work", .rivals = "model", .help = "without a model: the published size to plan for"},
    {.name = "nodes", .type = MG_OPT_INT, .offset = AT(n_nodes), .arg = "N", .low = 1,
     .high = MG_PLANNING_MOST_NODES, .group = "Nodes",
     .help = "nodes of the allocation (default: 1, or as few as keep the --deadline)"},
    {.name = "max-nodes", .type = MG_OPT_INT, .offset = AT(most_nodes), .arg = "N", .low = 1,
     .high = MG_PLANNING_MOST_NODES, .group = "Nodes", .help = "with --deadline and without --nodes: at most so many"},
    {.name = "gpus-per-node", .alias = "ranks-per-node", .type = MG_OPT_INT, .offset = AT(n_per_node), .arg = "N",
     .preset = "1", .low = 1, .high = 1024,
     .group = "Nodes", .help = "GPUs of a node, a rank each; with --gpu cpu ranks of a node"},
    {.name = "gpu", .type = MG_OPT_STRING, .offset = AT(gpu), .arg = "NAME", .preset = "cpu", .group = "Nodes",
     .help = "the device, as h100, a100 or cpu; a wrong name lists those that are known"},
    {.name = "gpu-mem", .type = MG_OPT_SIZE, .offset = AT(memory_bytes), .arg = "BYTES", .group = "Nodes",
     .help = "memory of a GPU, or of each rank of a CPU, like 80G (default: the device's; not checked for cpu)"},
    {.name = "measure", .type = MG_OPT_FLAG, .offset = AT(measure), .group = "Nodes",
     .help = "measure the constants with the ranks that were started, in groups of --tp, instead of taking "
             "them from the table; --gpu cpu only"},
    {.name = "sbatch", .type = MG_OPT_STRING, .offset = AT(sbatch), .arg = "FILE", .group = "Output",
     .help = "write the Slurm job that makes the clips so"},
    {.name = "jobs", .letter = 'j', .type = MG_OPT_STRING, .offset = AT(jobs), .arg = "FILE", .preset = "jobs.jsonl",
     .group = "Output", .help = "the job's --jobs"},
    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out), .arg = "DIR", .preset = "dataset",
     .group = "Output", .help = "the job's --out"},
    {.name = "overwrite", .type = MG_OPT_FLAG, .offset = AT(overwrite), .group = "Output",
     .help = "replace the file of --sbatch"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(json), .group = "Output", .help = "print one JSON object instead of tables"},
    {.name = "tp", .type = MG_OPT_INT, .offset = AT(machine.tp), .arg = "N", .low = 1, .high = 8, .group = "Machine",
     .help = "plan for this many ranks that share one model only (default: all that can be; with --measure 1)"},
    {.name = "dtype", .type = MG_OPT_CHOICE, .offset = AT(machine.dtype), .preset = "auto",
     .choices = MG_DTYPE_WORDS, .same = MG_DTYPE_SAME, .group = "Machine",
     .help = "number format of the language model's matrices; auto is bf16 on a GPU, else what the model holds"},
    {.name = "kv", .type = MG_OPT_CHOICE, .offset = AT(machine.kv), .preset = "auto", .choices = MG_KV_WORDS,
     .group = "Machine",
     .help = "number format of keys and values; auto is that of the matrices, bf16 for int8 and int4; int8 is for the CPU"},
    {.name = "gemm", .type = MG_OPT_CHOICE, .offset = AT(machine.gemm), .preset = "auto", .choices = MG_GEMM_WORDS,
     .group = "Machine", .help = "fast: a GPU's matrices take twice the memory (see generate); its speed is not predicted"},
    {.name = "host-memory", .type = MG_OPT_SIZE, .offset = AT(machine.host_memory), .arg = "BYTES", .group = "Machine",
     .help = "what the ranks of a node may take of its memory, like 4G (default: not checked)"},
    {.name = "device-memory", .type = MG_OPT_SIZE, .offset = AT(machine.device_memory), .arg = "BYTES", .group = "Machine",
     .help = "what may be taken of a GPU's memory, like 8G (default: --gpu-mem, less 0.8 GB for driver and libraries)"},
    {.name = "offload", .type = MG_OPT_STRING, .offset = AT(machine.offload), .arg = "none|auto|layers=N", .preset = "auto",
     .group = "Machine",
     .help = "layers of the language model that stay in the checkpoint's file (with a GPU: in host memory) and come when a "
             "step reaches them: as few as fit, or the last N"},
    {.name = "threads", .type = MG_OPT_INT, .offset = AT(machine.threads), .arg = "N", .low = 1, .high = 1024,
     .group = "Machine", .help = "CPU: threads per rank, a core each (default: without --measure 56)"},
    MG_MODEL_OPTIONS(mg_planning_settings, model),
};
/* clang-format on */

static mg_status bad_device(const char *name)
{
    mg_text t = {0};

    if (mg_predict_is_too_old(name))
        return mg_fail(MG_EUSAGE,
                       "option --gpu: %s: too old: compute capability 8.0 is the least that mg-dist runs on "
                       "(a100, a10, rtx3090 and later)",
                       name);
    mg_text_format(&t, "option --gpu: \"%s\": no such device; known are", name);
    for (int i = 0; mg_predict_device_name(i); i++) mg_text_format(&t, " %s", mg_predict_device_name(i));
    const mg_status st = mg_text_fail(&t, MG_EUSAGE);
    mg_text_reset(&t);
    return st;
}

/* Seconds from now to "2026-12-04T08:00" of the local time. NaN: no such time. */
static double until(const char *text)
{
    struct tm clock = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M", &clock);

    if (end && *end == ':') end = strptime(end, ":%S", &clock);
    const struct tm asked = clock;
    const time_t then = end && !*end ? mktime(&clock) : (time_t)-1;
    if (then == (time_t)-1 || clock.tm_mday != asked.tm_mday) return NAN; /* no 31st of February */
    return difftime(then, time(NULL));
}

/* "8h", or a time of the clock. NaN: no such time. */
static double parse_time(const char *text)
{
    static const char units[] = "smhd";
    static const double unit_s[] = {1, 60, 3600, 86400};
    char *end;
    const double v = strtod(text, &end);
    const char *unit = *end && !end[1] ? strchr(units, *end) : NULL;

    if (strchr(text, 'T')) return until(text);
    return end != text && unit && v > 0 && isfinite(v) ? v * unit_s[unit - units] : NAN;
}

/* What run would refuse too, and what says the same in two ways. */
static mg_status check_memory(const mg_planning_settings *s, bool is_cpu)
{
    mg_lm_formats formats;
    mg_memory_limits limits;

    MG_RETURN(mg_machine_formats(&formats, &s->machine, is_cpu ? MG_HOST : MG_DEVICE));
    MG_RETURN(mg_machine_limits(&limits, &s->machine));
    if (is_cpu && s->machine.device_memory > 0)
        return mg_fail(MG_EUSAGE, "option --device-memory: is of a GPU; give --gpu, or --host-memory");
    if (is_cpu && s->memory_bytes > 0 && s->machine.host_memory > 0)
        return mg_fail(MG_EUSAGE, "options --gpu-mem and --host-memory: both limit a CPU's ranks; give one");
    return MG_OK;
}

static mg_status check(const void *settings)
{
    const mg_planning_settings *s = settings;
    mg_predict_machine m;
    const bool is_cpu = mg_planning_is_cpu(s);

    if (s->n_clips < 1) return mg_fail(MG_EUSAGE, "plan: option --clips: missing; it says how many to make");
    if (!mg_predict_device(&m, s->gpu, MG_FORMAT_BF16)) return bad_device(s->gpu);
    const double deadline_s = s->deadline ? parse_time(s->deadline) : INFINITY;
    if (isnan(deadline_s))
        return mg_fail(MG_EUSAGE,
                       "option --deadline: \"%s\": not a time as 8h, 90m or 2d, nor as 2026-12-04T08:00",
                       s->deadline);
    if (deadline_s <= 0) return mg_fail(MG_EUSAGE, "option --deadline: %s: is past", s->deadline);
    if (s->measure && !is_cpu)
        return mg_fail(MG_EUSAGE, "option --measure: measures ranks of a CPU; leave it or --gpu %s out",
                       s->gpu);
    MG_RETURN(check_memory(s, is_cpu));
    if (s->sbatch && !mg_planning_has_model(s))
        return mg_fail(MG_EUSAGE, "option --sbatch: the job needs --model; --shape has no weights");
    if (s->sbatch) MG_RETURN(mg_dataset_check_file_outside(s->sbatch));
    if (s->sbatch)
        MG_RETURN(mg_out_check_free(s->sbatch, s->overwrite, "give --overwrite or another --sbatch"));
    if (s->sbatch && is_cpu && s->machine.threads <= 0 && !s->measure)
        return mg_fail(MG_EUSAGE,
                       "option --sbatch: the job needs the cores of a rank; give --threads N (the table's "
                       "cpu has 56), or --measure on a node of its kind");
    return MG_OK;
}

/* Options that would be passed over without a word. */
static mg_status check_idle(const mg_cli *cli, const mg_planning_settings *s)
{
    if (mg_planning_has_model(s))
        MG_RETURN(
            mg_cli_refuse_idle(cli, "shape", "beside --model or --lm, whose sizes are taken; give one"));
    else
        MG_RETURN(mg_cli_refuse_idle(cli, MG_MODEL_OPTION_NAMES,
                                     "without a model, for --shape has no parts; give --model too"));
    if (mg_planning_is_cpu(s))
        MG_RETURN(
            mg_cli_refuse_idle(cli, "gemm", "on a CPU, which is always exact; give --gpu, or leave it out"));
    if (!s->deadline || s->n_nodes > 0)
        MG_RETURN(mg_cli_refuse_idle(
            cli, "max-nodes", "but with --deadline and without --nodes; change these, or leave it out"));
    return s->sbatch ? MG_OK
                     : mg_cli_refuse_idle(cli, "jobs|out|overwrite",
                                          "without --sbatch, the job that they are for; give that too");
}

/* What is to be planned for, and the table's machine. */
static mg_status describe(mg_planning *p)
{
    enum { TEXT_TOKENS = 16 };
    const mg_planning_settings *s = p->settings;
    const bool is_cpu = mg_planning_is_cpu(s);
    mg_model_files *files = NULL;

    p->as_stored = mg_planning_has_model(s) && s->machine.dtype == MG_MACHINE_DTYPE_AUTO && is_cpu;
    MG_RETURN(mg_machine_formats(&p->formats, &s->machine, is_cpu ? MG_HOST : MG_DEVICE));
    MG_RETURN(mg_machine_limits(&p->limits, &s->machine));
    p->config.lm = mg_bench_lm_config(s->shape);
    p->config.t5 = mg_bench_t5_config();
    p->config.codec = mg_bench_codec_config();
    if (mg_planning_has_model(s)) {
        MG_RETURN(mg_model_files_open(&files, &s->model, MG_NEED_LM | MG_NEED_T5 | MG_NEED_CODEC));
        p->config = files->config;
        mg_model_files_close(files);
    }
    p->n_tokens = TEXT_TOKENS;
    p->n_frames = llround(s->dur_s * (double)p->config.codec.frame_rate);
    p->deadline_s = s->deadline ? parse_time(s->deadline) : 0;
    if (!mg_predict_device_cores(&p->machine, s->gpu, p->formats.weights, mg_planning_cores(s)))
        return bad_device(s->gpu);
    MG_RETURN(mg_plan_check_outside(&p->config.lm, &p->formats, p->limits.n_outside));
    p->memory_bytes = s->memory_bytes > 0 ? (double)s->memory_bytes : p->machine.memory_bytes;
    return MG_OK;
}

static mg_status check_fit(const mg_planning *p)
{
    const mg_planning_layout *l = NULL;
    const bool is_cpu = p->machine.memory_bytes <= 0, of_node = is_cpu && p->limits.host_bytes > 0;
    const double device_bytes = (double)p->limits.device_bytes;
    double there = of_node                                              ? (double)p->limits.host_bytes
                   : device_bytes > 0 && device_bytes < p->memory_bytes ? device_bytes
                                                                        : p->memory_bytes;

    if (p->chosen >= 0) return MG_OK;
    if (p->machine.shares_host && p->limits.host_bytes > 0) there = fmin(there, (double)p->limits.host_bytes);
    for (int i = 0; i < p->n_layouts; i++)
        if (p->layout[i].n_clips == 1 && (!l || p->layout[i].leader_bytes < l->leader_bytes))
            l = &p->layout[i];
    return mg_fail(
        MG_EFIT,
        "plan: no layout fits: T = %lld with one clip needs %.1f GB a rank, and %.1f GB are there%s; "
        "take %s, or a larger %s",
        (long long)l->tp, (l->leader_bytes + p->machine.overhead_bytes) / 1e9, there / 1e9,
        of_node ? " for all ranks of a node" : "",
        of_node                  ? "fewer ranks a node, --dtype int8"
        : is_cpu                 ? "more ranks a node, --dtype int8"
        : p->machine.shares_host ? "a shorter --duration"
                                 : "more GPUs a node, --offload auto",
        is_cpu ? "machine" : "device");
}

static mg_status check_deadline(const mg_planning *p)
{
    const int64_t n_now = p->settings->n_nodes,
                  most = mg_smaller(MG_PLANNING_MOST_NODES, p->settings->n_clips);
    if (p->deadline_s <= 0 || p->layout[p->chosen].run_s <= p->deadline_s) return MG_OK;
    const int64_t n = mg_planning_nodes_for(p, p->deadline_s, most);
    mg_text t = {0};
    mg_text_format(&t, "option --deadline: %s: the run takes ", p->settings->deadline);
    mg_planning_time(&t, p->layout[p->chosen].run_s);
    mg_text_format(&t, " on %lld node%s%s; ", (long long)n_now, mg_plural(n_now),
                   n_now == p->settings->most_nodes ? ", all that --max-nodes allows" : "");
    if (n > 0)
        mg_text_format(&t, "%lld nodes would do", (long long)n);
    else if (most < p->settings->n_clips)
        mg_text_format(&t, "no number of nodes up to %lld ends it in time; give fewer --clips",
                       (long long)most);
    else
        mg_text_format(&t,
                       "no number of nodes ends it in time, for one round of clips takes longer; give a "
                       "smaller --duration%s",
                       p->machine.memory_bytes > 0 ? "" : ", or --dtype int8");
    const mg_status st = mg_text_fail(&t, MG_EUSAGE);
    mg_text_reset(&t);
    return st;
}

/* Without --nodes: one, or as few as keep the deadline. Where none do, the most that may be taken tell more
 * than one, unless no number would do. */
static void find_nodes(mg_planning *p, mg_planning_settings *s)
{
    const int64_t most = s->most_nodes > 0 ? s->most_nodes : MG_PLANNING_MOST_NODES;
    const int64_t n = p->deadline_s > 0 ? mg_planning_nodes_for(p, p->deadline_s, most) : 0;

    p->has_least_nodes = n > 0;
    s->n_nodes = n > 0 ? n : 1;
    if (n == 0 && p->deadline_s > 0 && mg_planning_nodes_for(p, p->deadline_s, MG_PLANNING_MOST_NODES) > 0)
        s->n_nodes = most;
}

/* Rank 0's: print, check, write. */
static mg_status conclude(const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    mg_text t = {0}, job = {0};
    mg_status st = MG_OK;

    if (s->json)
        MG_TRY(mg_planning_print_json(&t, p));
    else
        mg_planning_print(&t, p);
    MG_TRY(mg_text_check(&t, "plan"));
    (void)fputs(t.data, stdout);
    (void)fflush(stdout);
    MG_TRY(check_fit(p));
    MG_TRY(check_deadline(p));
    if (!s->sbatch) goto done;
    mg_planning_sbatch(&job, p);
    MG_TRY(mg_text_check(&job, "job"));
    MG_TRY(mg_out_file_put(s->sbatch, job.data, job.n));
    mg_log_info("plan: %s: start it with: sbatch %s", s->sbatch, s->sbatch);
done:
    mg_text_reset(&t);
    mg_text_reset(&job);
    return st;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_planning_settings s = *(const mg_planning_settings *)settings;
    mg_world *w = context->world;
    mg_planning *p = calloc(1, sizeof *p);
    mg_status st = p ? MG_OK : mg_fail(MG_ENOMEM, "plan: %zu bytes", sizeof *p);

    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_agree(w->all, check_idle(context->cli, &s)));
    const bool is_open = s.n_nodes < 1;
    if (is_open) s.n_nodes = 1; /* till the layouts are known */
    s.machine.cpu_share = NAN;
    if (s.measure && s.machine.tp <= 0) s.machine.tp = 1;
    p->settings = &s;
    p->n_threads = s.machine.threads > 0 ? s.machine.threads : 0;
    MG_TRY(mg_comm_agree(w->all, describe(p)));
    MG_TRY(mg_comm_agree(w->all, mg_planning_measure_memory(p)));
    if (s.measure) MG_TRY(mg_planning_measure_machine(p, w));
    if (is_open) find_nodes(p, &s);
    mg_planning_choose(p);
    st = mg_comm_agree(w->all, w->rank == 0 ? conclude(p) : MG_OK);
done:
    free(p);
    return st;
}

static const mg_foreign_word foreign[] = {{"time|hours|time-limit", "give --deadline TIME"},
                                          {"n-clips|num-clips", "give --clips N"},
                                          {"gpus|num-gpus|n-gpus", "give --gpus-per-node N and --nodes N"},
                                          {0}};

const mg_command mg_cmd_plan = {
    .name = "plan",
    .summary = "predict how long many clips take on some nodes, and choose the layout of ranks",
    .usage = "--clips N [--model M|--shape S] [--nodes N] [--gpus-per-node N] [--gpu NAME] [options]",
    .details =
        "Prints the memory of each part and rank (the program's own plan), every layout of T ranks a group\n"
        "and batch with its predicted step and run, the one that ends first and why, and what would make it\n"
        "twice as fast. Without --measure the constants are from a table of devices: datasheets, and\n"
        "assumed parts of their peaks (docs/PERFORMANCE.md). With --deadline and without --nodes it finds\n"
        "the least number of nodes. A deadline that cannot be kept is an error that says what would.\n"
        "\n"
        "  mg-dist plan --shape large --nodes 2 --gpus-per-node 4 --gpu h100 --clips 50000\n"
        "  mg-dist plan --shape large --gpus-per-node 4 --gpu h100 --clips 50000 --within 60h --max-nodes "
        "64\n"
        "  mpirun -n 4 mg-dist plan --model M --ranks-per-node 4 --clips 100 --measure --tp 2",
    .options = options,
    .foreign = {foreign},
    .n_options = (int)(sizeof options / sizeof *options),
    .settings_bytes = sizeof(mg_planning_settings),
    .check = check,
    .run = run,
};
