#include "bench_power.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Twenty samples are a second. From Ampere on the driver tells the mean of the last second: the first samples
 * are of what was before the steps, loading most of all. */
enum { MOST_SAID = 1 << 16, SAMPLES_BEFORE = 20, LEAST_SAMPLES = 5 };

extern char **environ; /* POSIX leaves its declaration to the program */

/* nvidia-smi tells the power of `gpu` twenty times a second until it is ended. */
static void start_sampler(mg_bench_power *p, const char *gpu)
{
    char *const words[] = {(char *)"nvidia-smi",
                           (char *)"-i",
                           (char *)gpu,
                           (char *)"--query-gpu=power.draw",
                           (char *)"--format=csv,noheader,nounits",
                           (char *)"-lms",
                           (char *)"50",
                           NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2];
    pid_t child;

    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
        return; /* a full pipe is its trouble, and we wait for nothing */
    if (posix_spawn_file_actions_init(&actions)) {
        close(pipes[0]), close(pipes[1]);
        return;
    }
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    const bool started = posix_spawnp(&child, words[0], &actions, NULL, words, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (started) {
        p->child = (int)child, p->from_child = pipes[0];
    } else {
        close(pipes[0]);
    }
}

static void end_sampler(mg_bench_power *p)
{
    if (p->child > 0) {
        (void)kill(p->child, SIGTERM);
        (void)waitpid(p->child, NULL, 0);
    }
    p->child = 0;
}

void mg_bench_power_close(mg_bench_power *p)
{
    end_sampler(p);
    if (p->from_child > 0) close(p->from_child);
    p->from_child = 0;
}

/* Mean of what it has said but for the first second, in watts; NaN if that was too little. It is ended. */
static double read_sampler(mg_bench_power *p)
{
    char *said = calloc(1, MOST_SAID + 1);
    double sum = 0;
    int64_t n_samples = 0;
    ssize_t n = 0;

    end_sampler(p);
    for (size_t at = 0; said && p->from_child > 0 && at < MOST_SAID; at += (size_t)n)
        if ((n = read(p->from_child, said + at, MOST_SAID - at)) <= 0) break;
    for (const char *line = said; line && *line;) {
        char *end;
        const double watts = strtod(line, &end);
        if (end > line && *end == '\n' && watts >= 0 && isfinite(watts) && n_samples++ >= SAMPLES_BEFORE)
            sum += watts;
        line = strchr(line, '\n');
        if (line) line++;
    }
    free(said);
    n_samples -= SAMPLES_BEFORE;
    return n_samples >= LEAST_SAMPLES ? sum / (double)n_samples : NAN;
}

void mg_bench_power_begin(mg_bench_power *p, const mg_backend *backend, const mg_world *world)
{
    *p = (mg_bench_power){.backend = backend, .world = world};
    if (backend->ops->space == MG_DEVICE) {
        const mg_machine_gpu *gpu = mg_machine_device(backend);
        if (gpu && !gpu->is_shared) start_sampler(p, gpu->uuid);
    } else if (world->local_rank == 0) {
        mg_rapl_open(&p->rapl, MG_RAPL_ROOT);
    }
}

void mg_bench_power_skip(mg_bench_power *p)
{
    (void)mg_rapl_take(&p->rapl);
}

void mg_bench_power_take(mg_bench_power *p)
{
    p->rapl_joules += mg_rapl_take(&p->rapl);
}

mg_status mg_bench_power_report(mg_bench_power *p, mg_figures *r, int64_t n_steps, double steps_s)
{
    const mg_world *w = p->world;
    const bool is_device = p->backend->ops->space == MG_DEVICE;
    double mine = is_device ? read_sampler(p) * steps_s : w->local_rank == 0 ? p->rapl_joules : 0;
    double sum = 0, *all = calloc((size_t)w->size, sizeof *all);
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size)));
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, 1, MG_F64));
    for (int i = 0; i < w->size; i++) sum += all[i];
    if (isnan(sum)) goto done; /* of one host or device it is not known */
    mg_figures_number(r, "joules_per_step", sum / (double)n_steps, 6);
    mg_figures_text(r, "energy_from", is_device ? "nvidia-smi" : "rapl");
done:
    free(all);
    return st;
}
