/* mg-dist bench scaling: how the time of a step changes with ranks, groups and batch. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_shapes.h"
#include "cli.h"
#include "log.h"
#include "out_file.h"
#include "path.h"
#include "scaling.h"

#define AT(field) offsetof(mg_scaling_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "np", .type = MG_OPT_STRING, .offset = AT(np), .arg = "LIST", .preset = "1,2,4", .group = "Grid", .help = "ranks in all"},
    {.name = "tp", .type = MG_OPT_STRING, .offset = AT(tp), .arg = "LIST", .preset = "1,2,4", .group = "Grid",
     .help = "ranks of a group (T); np / T replicas work at once"},
    {.name = "batch", .type = MG_OPT_STRING, .offset = AT(batch), .arg = "LIST", .preset = "1,8", .group = "Grid",
     .help = "clips at once of each replica"},
    {.name = "strong", .type = MG_OPT_FLAG, .offset = AT(strong), .group = "Grid", 
     .help = "of the grid only: the least batch on one replica, T grows; the work is the same at every point"},
    {.name = "weak", .type = MG_OPT_FLAG, .offset = AT(weak), .group = "Grid",
     .help = "of the grid only: the least batch; the work grows with the replicas, and each has the same"},
    {.name = "batch-sweep", .type = MG_OPT_FLAG, .offset = AT(batch_sweep), .group = "Grid",
     .help = "of the grid only: one replica, all batches; without these three the whole grid is measured"},
    {.name = "shape", .type = MG_OPT_CHOICE, .offset = AT(shape), .preset = "small", .choices = MG_BENCH_SHAPE_WORDS,
     .group = "Measurement", .rivals = "model", .help = "size of the language model, on random weights"},
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = AT(model), .arg = "DIR|ID", .group = "Measurement",
     .rivals = "shape", .help = "take the sizes of this model instead; its weights are not read"},
    {.name = "duration", .letter = 'd', .type = MG_OPT_FLOAT, .offset = AT(dur_s), .arg = "SECONDS", .preset = "10", .low = 1, .high = 30,
     .group = "Measurement", .help = "length of a clip: the steps are those around its middle"},
    {.name = "repeats", .type = MG_OPT_INT, .offset = AT(n_repeats), .arg = "N", .preset = "3", .low = 1, .high = 1000,
     .group = "Measurement",
     .help = "times that each point is measured, going round the whole grid"},
    {.name = "steps", .type = MG_OPT_INT, .offset = AT(n_steps), .arg = "N", .preset = "60", .low = 1, .high = 1000, .group = "Measurement",
     .help = "timed steps of a repeat"},
    {.name = "warmup", .type = MG_OPT_INT, .offset = AT(n_warmup), .arg = "N", .preset = "5", .low = 0, .high = 100, .group = "Measurement",
     .help = "steps before them"},
    {.name = "bench-args", .type = MG_OPT_STRING, .offset = AT(bench_args), .arg = "WORDS", .group = "Measurement",
     .help = "more options for every mg-dist bench step: --bench-args=\"--dtype bf16\""},
    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out), .arg = "DIR", .preset = "scaling", .group = "Output",
     .help = "folder of results.jsonl and results.csv; what is there already is not measured again"},
    {.name = "mixed", .type = MG_OPT_CHOICE, .offset = AT(mixed), .preset = "no", .choices = "no|ok", .group = "Output",
     .help = "may the folder hold results of another version of the program, or of another machine?"},
    {.name = "retry-failed", .type = MG_OPT_FLAG, .offset = AT(retry_failed), .group = "Output",
     .help = "try points again that failed in an earlier call"},
    {.name = "dry-run", .type = MG_OPT_FLAG, .offset = AT(dry_run), .group = "Output", .help = "print the commands and do nothing"},
    {.name = "launcher", .type = MG_OPT_STRING, .offset = AT(launcher), .arg = "PROGRAM", .preset = "mpirun", .group = "Ranks",
     .help = "what starts the ranks: PROGRAM -n N …; srun inside an allocation"},
    {.name = "launcher-args", .type = MG_OPT_STRING, .offset = AT(launcher_args), .arg = "WORDS", .group = "Ranks",
     .help = "more words for it: --launcher-args=\"--map-by ppr:4:node\" (mpirun: --bind-to none, unless they say how to bind)"},
    {.name = "hostfile", .type = MG_OPT_STRING, .offset = AT(hostfile), .arg = "FILE",
     .group = "Ranks", .help = "the launcher's list of hosts"},
    {.name = "limit", .type = MG_OPT_FLOAT, .offset = AT(limit_s), .arg = "SECONDS", .preset = "600", .low = 1, .high = 86400,
     .group = "Ranks",
     .help = "a repeat that takes longer is ended, and has failed"},
};
/* clang-format on */

/* What is known of a point: the last line that is not OK, else NULL. */
static const mg_scaling_result *find_trouble(const mg_scaling_sweep *w, const mg_scaling_point *p)
{
    for (int64_t repeat = 0; repeat <= w->settings->n_repeats; repeat++) {
        const mg_scaling_result *a = mg_scaling_find(&w->results, p, repeat);
        if (a && a->status != MG_SCALING_OK) return a;
    }
    return NULL;
}

static void say(const mg_scaling_outcome *o, const char *name, int64_t repeat, const mg_scaling_sweep *w)
{
    const mg_scaling_result *a = &w->results.item[w->results.n - 1];

    if (o->status == MG_SCALING_OK)
        mg_log_info("%s: repeat %" PRId64 " of %" PRId64 ": %.3f ms a step, %.2f times real time", name,
                    repeat, w->settings->n_repeats, a->step_ms, a->x_real_time);
    else
        mg_log_warn("%s: %s: %s", name, mg_scaling_status_name[o->status], o->reason);
}

static mg_status measure(mg_scaling_sweep *w, const mg_scaling_point *p, int64_t repeat)
{
    mg_scaling_command command = {0};
    mg_scaling_outcome o = {0};
    char name[64], file[96];
    mg_status st = MG_OK;

    (void)snprintf(file, sizeof file, "%s-%" PRId64, mg_scaling_point_name(name, p), repeat);
    MG_TRY(mg_scaling_command_make(&command, w->settings, p));
    MG_TRY(mg_scaling_run_child(&o, w->settings, &command, file));
    MG_TRY(mg_scaling_keep(w, p, repeat, &o, &command));
    say(&o, name, repeat, w);
    const bool fails_again = o.gpu[0] && strcmp(o.gpu, w->gpu) == 0;
    memcpy(w->gpu, o.gpu, sizeof w->gpu);
    if (o.has_lost || fails_again)
        MG_TRY(mg_fail(MG_ECOMM,
                       "scaling: %s: a node or a GPU was lost, which other points need: what is measured "
                       "is kept, and the same command goes on without this point",
                       name));
done:
    mg_scaling_command_close(&command);
    free(o.json);
    return st;
}

/* Round the grid, once a repeat: what disturbs the machine for a while is spread over the points. Every
 * second time backwards, so that a machine that grows warmer or busier is fair to the first and the last. */
static mg_status go_round(mg_scaling_sweep *w, int64_t repeat, bool *tried)
{
    for (size_t k = 0; k < w->grid.n; k++) {
        const size_t i = repeat % 2 ? k : w->grid.n - 1 - k;
        const mg_scaling_cell *c = &w->grid.cell[i];
        if (c->reason[0]) {
            mg_scaling_outcome o = {.status = MG_SCALING_SKIPPED};
            (void)snprintf(o.reason, sizeof o.reason, "%s", c->reason);
            if (!mg_scaling_find(&w->results, &c->point, 0))
                MG_RETURN(mg_scaling_keep(w, &c->point, 0, &o, NULL));
            continue;
        }
        const mg_scaling_result *old = mg_scaling_find(&w->results, &c->point, repeat);
        const mg_scaling_result *trouble = find_trouble(w, &c->point);
        const bool again = w->settings->retry_failed && !tried[i] && trouble == old && old;
        if (again ? trouble->status == MG_SCALING_SKIPPED : old || trouble) continue;
        tried[i] = again;
        MG_RETURN(measure(w, &c->point, repeat));
    }
    return MG_OK;
}

static mg_status finish(const mg_scaling_sweep *w, mg_status st)
{
    char path[MG_PATH_SIZE], name[64];
    const mg_scaling_result *failed = NULL;
    size_t n_ok = 0, n_skipped = 0, n_failed = 0;
    mg_text t = {0};
    mg_status written = mg_path_format(path, "%s/results.csv", w->settings->out);

    mg_scaling_csv(&t, &w->results);
    if (written == MG_OK) written = mg_text_check(&t, "table");
    if (written == MG_OK) written = mg_out_file_put(path, t.data, t.n);
    mg_text_reset(&t);
    if (st != MG_OK || written != MG_OK) return st != MG_OK ? st : written;
    for (size_t i = 0; i < w->grid.n; i++) {
        const mg_scaling_result *a = find_trouble(w, &w->grid.cell[i].point);
        n_ok += !a;
        n_skipped += a && a->status == MG_SCALING_SKIPPED;
        n_failed += a && a->status == MG_SCALING_FAILED;
        if (a && a->status == MG_SCALING_FAILED) failed = a;
    }
    mg_log_info("scaling: %s: %zu points measured, %zu skipped, %zu failed; mg-dist report %s makes a page",
                path, n_ok, n_skipped, n_failed, w->settings->out);
    return !failed
               ? MG_OK
               : mg_fail(n_ok ? MG_EPARTIAL : MG_EFAIL, "scaling: %zu of %zu points failed; %s: %s", n_failed,
                         w->grid.n, mg_scaling_point_name(name, &failed->point), failed->reason);
}

static mg_status print_commands(const mg_scaling_sweep *w)
{
    mg_text t = {0};
    mg_status st = MG_OK;

    for (size_t i = 0; i < w->grid.n && st == MG_OK; i++) {
        const mg_scaling_cell *c = &w->grid.cell[i];
        mg_scaling_command command = {0};
        char name[64];
        if (c->reason[0]) {
            mg_text_format(&t, "# %s: skipped: %s\n", mg_scaling_point_name(name, &c->point), c->reason);
            continue;
        }
        st = mg_scaling_command_make(&command, w->settings, &c->point);
        mg_scaling_command_text(&t, &command);
        mg_text_add(&t, "\n");
        mg_scaling_command_close(&command);
    }
    if (st == MG_OK && t.data) (void)fputs(t.data, stdout);
    mg_text_reset(&t);
    return st;
}

/* A child would take the launcher's words to us for its own. */
static mg_status check_alone(const mg_world *world)
{
    const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"};
    bool is_launched = world->size > 1;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) is_launched = is_launched || getenv(names[i]);
    return is_launched
               ? mg_fail(MG_EUSAGE, "bench scaling: starts the ranks itself; start it without a launcher")
               : MG_OK;
}

static mg_status work(mg_scaling_sweep *w, mg_context *context)
{
    const mg_scaling_settings *s = w->settings;
    mg_lm_config config = mg_bench_lm_config(s->shape);
    bool *tried = NULL;
    mg_status st = MG_OK;

    MG_TRY(check_alone(context->world));
    if (s->model) MG_TRY(mg_bench_model_config(&config, s->model));
    MG_TRY(mg_scaling_grid_make(&w->grid, s, &config));
    if (s->dry_run) return print_commands(w);
    MG_TRY(mg_scaling_check_launcher(s, &w->grid));
    MG_TRY(mg_scaling_open(w));
    tried = calloc(w->grid.n, sizeof *tried);
    if (!tried) MG_TRY(mg_fail(MG_ENOMEM, "grid: %zu points", w->grid.n));
    context->resumable = true;
    for (int64_t repeat = 1; repeat <= s->n_repeats && st == MG_OK; repeat++) st = go_round(w, repeat, tried);
    st = finish(w, st);
done:
    free(tried);
    return st;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_scaling_sweep w = {.settings = settings, .fd = -1};
    const mg_status st = context->world->rank == 0 ? work(&w, context) : MG_OK;

    if (w.fd >= 0) close(w.fd);
    mg_scaling_grid_close(&w.grid);
    mg_scaling_close(&w.results);
    free(w.common);
    return mg_world_await_first(context->world, st);
}

const mg_command mg_cmd_bench_scaling = {
    .name = "bench-scaling",
    .meant_by = "scaling|sweep",
    .summary = "measure steps over a grid of ranks, groups and batches",
    .usage = "--np LIST --tp LIST --batch LIST [--shape S|--model DIR] [--out DIR]",
    .details =
        "May be written in two words: mg-dist bench scaling.\n"
        "\n"
        "Each repeat of each point is a process of its own under the launcher: mg-dist bench step --split. "
        "A\n"
        "point that cannot be (T does not divide the ranks or the heads; it does not fit) is skipped with "
        "the\n"
        "reason; one that crashes or hangs has failed, and the sweep goes on. The same command goes on "
        "after\n"
        "an interruption. The codes' hash is the same at every point. mg-dist report DIR makes a page.\n"
        "\n"
        "  mg-dist bench scaling --np 1,2,4 --tp 1,2 --batch 1,8 --shape small --out scaling\n"
        "  mg-dist bench scaling --np 8,16 --tp 1,2,4,8 --launcher srun --launcher-args='--mpi=pmix'",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_scaling_settings),
    .is_single = true,
    .run = run,
};
