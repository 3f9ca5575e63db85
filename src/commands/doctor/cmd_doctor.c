/* mg-dist doctor: would a run work here? One verdict a line on stdout, from rank 0. Each check ends by
 * itself: waits for other ranks are short, and a check that fails does not hide those after it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "cpu.h"
#include "doctor.h"
#include "host_memory.h"
#include "model_files.h"
#include "numbers.h"
#include "places.h"
#include "text.h"

extern char **environ; /* POSIX leaves its declaration to the program */

#define AT(field) offsetof(mg_doctor_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "model", .type = MG_OPT_STRING, .offset = AT(model), .arg = "DIR|ID", .group = "Model",
     .help = "also say whether a 30 s clip of this model fits, and what would be chosen"},
    MG_MACHINE_OPTIONS(mg_doctor_settings),
};
/* clang-format on */

/* A check has as long as many waits: a driver's first call, code that it compiles, a library on a file server
 * take a while. */
enum { TIMEOUT_S = 20, CHECK_TIMEOUTS = 15, REDUCE_FLOATS = 2048, N_REDUCES = 200 };

/* What each rank tells of itself. */
typedef struct rank_facts {
    char host[64];
    int64_t available_bytes;
    int32_t n_cores, oversubscribed, level;
    mg_place place;
} rank_facts;

/* One node, or none that is known. */
static bool is_one(const char *nodes)
{
    return !nodes[strspn(nodes, "0123456789")];
}

static mg_status check_ranks(mg_doctor *d)
{
    mg_world *w = d->world;
    mg_status st = MG_OK;
    rank_facts mine = {.available_bytes = mg_host_memory_available(),
                       .n_cores = w->n_cores,
                       .oversubscribed = w->oversubscribed,
                       .level = (int32_t)mg_cpu_best_level()};
    rank_facts *all = calloc((size_t)w->size, sizeof *all);

    mg_machine_stay(&d->settings->machine, w);
    mg_place_find(&mine.place, w);
    snprintf(mine.host, sizeof mine.host, "%s", w->host);
    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "doctor: %d ranks", w->size)));
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    for (int r = 0; r < w->size; r++) {
        mg_doctor_say(d, MG_DOCTOR_FINE, "rank %d: host %s, %d core%s, %s, %.1f GB of memory available", r,
                      all[r].host, all[r].n_cores, all[r].n_cores == 1 ? "" : "s",
                      mg_cpu_level_name((mg_cpu_level)all[r].level), (double)all[r].available_bytes / 1e9);
        if (all[r].place.nodes[0])
            mg_doctor_say(d, MG_DOCTOR_FINE, "rank %d: processors %s, NUMA node%s %s", r, all[r].place.cores,
                          is_one(all[r].place.nodes) ? "" : "s", all[r].place.nodes);
        if (!is_one(all[r].place.nodes))
            mg_doctor_say(d, MG_DOCTOR_NOTE,
                          "rank %d: threads on several NUMA nodes read each other's memory: start a rank for "
                          "each node, or a multiple",
                          r);
        if (all[r].oversubscribed)
            mg_doctor_say(d, MG_DOCTOR_NOTE,
                          "rank %d: more ranks than cores share its host: expect it to be slow", r);
        if (all[r].level != all[0].level)
            mg_doctor_say(d, MG_DOCTOR_NOTE,
                          "rank %d: other instructions than rank 0: all ranks use the lower level", r);
    }
done:
    free(all);
    return st;
}

/* A sum of numbers whose result is known exactly, and the time that it takes. */
static mg_status time_reduce(mg_doctor *d, mg_comm *c)
{
    mg_status st = MG_OK;
    float *x = calloc(REDUCE_FLOATS, sizeof *x);
    double *run_s = calloc(N_REDUCES, sizeof *run_s);
    bool right = true;

    MG_TRY(mg_comm_agree(c, x && run_s ? MG_OK : mg_fail(MG_ENOMEM, "doctor: %d floats", REDUCE_FLOATS)));
    for (int i = 0; i < N_REDUCES; i++) {
        for (int k = 0; k < REDUCE_FLOATS; k++) x[k] = (float)(c->rank + 1) * (float)(k + i);
        const double begin_s = mg_clock_s();
        MG_TRY(mg_comm_all_reduce(c, x, REDUCE_FLOATS));
        run_s[i] = mg_clock_s() - begin_s;
        for (int k = 0; k < REDUCE_FLOATS; k++)
            right = right && x[k] == (float)(c->size * (c->size + 1) / 2) * (float)(k + i);
    }
    mg_doctor_say(d, right ? MG_DOCTOR_FINE : MG_DOCTOR_BAD,
                  "sum of 8 KiB over %d rank%s by %s: %s, median %.1f us", c->size, c->size == 1 ? "" : "s",
                  c->name, right ? "right" : "WRONG", mg_numbers_median(run_s, N_REDUCES) * 1e6);
done:
    free(x);
    free(run_s);
    return st;
}

/* The largest group that the ranks can form, each on one host, and over which the model can be split: so most
 * is tried. What is wrong with the model is said later. */
static mg_status split(mg_world *w, const mg_doctor_settings *s)
{
    const mg_model_request request = {.model = s->model};
    mg_model_files *files = NULL;
    int32_t tp = s->machine.tp > 0 ? (int32_t)s->machine.tp : mg_world_largest_group(w);

    if (w->rank == 0 && s->model && s->machine.tp <= 0 && tp > 1) {
        const mg_status st = mg_model_files_open(&files, &request, MG_NEED_LM);
        while (st == MG_OK && files->config.lm.H % tp) tp /= 2;
        mg_model_files_close(files);
        mg_clear_error();
    }
    MG_RETURN(mg_world_await_first(w, MG_OK)); /* a file server may be slow */
    MG_RETURN(mg_comm_bcast(w->all, &tp, 1, MG_I32, 0));
    return mg_world_split(w, tp);
}

/* A finding, a verdict for each of its lines, unless ranks are lost: then nothing that follows can be said.
 */
static mg_status finding(mg_doctor *d, mg_status st)
{
    char text[4096], *rest;

    if (st == MG_OK || st == MG_ECOMM || st == MG_ESTOPPED) return st;
    d->n_bad++; /* also where another rank says it */
    snprintf(text, sizeof text, "%s", mg_last_error());
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        mg_doctor_say(d, MG_DOCTOR_BAD, "%s", line);
    mg_clear_error();
    d->world->all->agreed = MG_OK;
    return MG_OK;
}

/* What changes how CUDA, NCCL and this program behave, and is easily forgotten. */
static void say_environment(mg_doctor *d)
{
    static const char *const prefixes[] = {"MGDIST_", "CUDA_", "NCCL_"};
    mg_text t = {0};

    for (char **v = environ; *v; v++)
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
            if (strncmp(*v, prefixes[i], strlen(prefixes[i])) == 0) mg_text_format(&t, " %s", *v);
    if (t.n) mg_doctor_say(d, MG_DOCTOR_FINE, "environment:%s", t.data);
    mg_text_reset(&t);
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_world *w = context->world;
    mg_doctor d = {.world = w, .settings = settings};
    mg_status st = MG_OK;

    const double wait_s = isnan(context->comm_timeout_s) ? TIMEOUT_S : context->comm_timeout_s;
    mg_world_set_timeout(w, wait_s);
    mg_doctor_limit_begin(w->rank, CHECK_TIMEOUTS * wait_s);
    mg_doctor_say(&d, MG_DOCTOR_FINE, "mg-dist %s, %d rank%s%s", MG_VERSION, w->size, w->size == 1 ? "" : "s",
                  w->size == 1 ? " (start it under mpirun to check more)" : "");
    say_environment(&d);
    MG_TRY(check_ranks(&d));
    MG_TRY(split(w, d.settings));
    if (w->group->size > 1) MG_TRY(time_reduce(&d, w->group));
    mg_doctor_limit_next("looking for GPUs");
    MG_TRY(finding(&d, mg_doctor_check_gpu(&d)));
    mg_doctor_limit_next("computing and summing");
    if (!d.has_no_gpu) MG_TRY(finding(&d, mg_doctor_check_machine(&d)));
    mg_doctor_limit_next("the model's plan");
    if (d.settings->model && d.backend.ops && d.beside.ops) MG_TRY(finding(&d, mg_doctor_check_model(&d)));
    mg_doctor_limit_next("copies between GPUs");
    mg_doctor_try_peers(&d);
    mg_clear_error(); /* every finding has been said */
    st = mg_comm_agree(w->all, d.n_bad > 0 ? MG_EFIT : MG_OK);
    if (w->rank == 0 && (st == MG_OK || st == MG_EFIT))
        mg_doctor_say(&d, st == MG_OK ? MG_DOCTOR_FINE : MG_DOCTOR_BAD, "%s",
                      st == MG_OK ? "a run would work" : "a run would not work as asked: see above");
    if (d.is_stuck) _exit(mg_exit_code(st)); /* what is to be closed would wait for its device */
done:
    mg_doctor_close(&d);
    mg_doctor_limit_end();
    return st;
}

const mg_command mg_cmd_doctor = {
    .name = "doctor",
    .meant_by = "check|env|diagnose",
    .summary = "Would a run work here? One verdict a line; exit 0 only if it would",
    .usage = "[options]",
    .details =
        "Looks at ranks, memory, processors and GPUs, sums over the ranks, compares the GPU with the "
        "CPU, and\n"
        "says with --model what would be chosen. It ends by itself, also where ranks are stuck or a\n"
        "driver hangs: a wait for ranks after --comm-timeout (here 20 s), a check after 15 times that.\n\n"
        "  mg-dist doctor\n"
        "  mpirun -np 4 mg-dist doctor --model facebook/musicgen-large\n",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_doctor_settings),
    .run = run,
};
