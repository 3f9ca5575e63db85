/* The job that makes the clips, in the manner of launch/slurm/run.sbatch. */
#include <stddef.h>
#include <string.h>

#include "before_ranks.h" /* of launch/slurm/run.sbatch: cmake/job_functions.cmake */
#include "model_options.h"
#include "planning.h"

/* Of the time limit over the prediction; on GPUs as far as that was off. */
static const double SPARE = 1.5, SPARE_S = 600;

static void add_option(mg_text *t, const char *name, const char *value)
{
    if (!value) return;
    mg_text_format(t, " \\\n    --%s ", name);
    mg_text_quote_shell(t, value);
}

static void add_model(mg_text *t, const mg_planning_settings *s)
{
    static const mg_option options[] = {MG_MODEL_OPTIONS(mg_planning_settings, model)};

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        add_option(t, options[i].name, *(const char *const *)((const char *)s + options[i].offset));
}

static void add_command(mg_text *t, const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    const mg_planning_layout *l = &p->layout[p->chosen];

    mg_text_add(t, "run_dataset srun --mpi=pmix --kill-on-bad-exit=1 "
                   "${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} \"$mg_dist\" run");
    add_model(t, s);
    add_option(t, "jobs", s->jobs);
    add_option(t, "out", s->out);
    mg_text_format(t, " \\\n    --duration %.*g --tp %lld --batch %lld --dtype %s --device %s",
                   mg_double_shown_digits(s->dur_s), s->dur_s, (long long)l->tp, (long long)l->n_clips,
                   mg_format_name(p->formats.weights), mg_planning_is_cpu(s) ? "cpu" : "cuda");
    if (p->n_threads > 0) mg_text_format(t, " --threads %lld", (long long)p->n_threads);
    if (s->machine.kv == MG_MACHINE_KV_INT8) mg_text_add(t, " --kv int8");
    if (s->machine.gemm == MG_MACHINE_GEMM_FAST) mg_text_add(t, " --gemm fast");
    if (s->machine.host_memory > 0)
        mg_text_format(t, " --host-memory %lld", (long long)s->machine.host_memory);
    if (s->machine.device_memory > 0)
        mg_text_format(t, " --device-memory %lld", (long long)s->machine.device_memory);
    if (strcmp(s->machine.offload, "auto") != 0) add_option(t, "offload", s->machine.offload);
    mg_text_add(t, " \"$@\"\n");
}

void mg_planning_sbatch(mg_text *t, const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    const mg_planning_layout *l = &p->layout[p->chosen];
    const double spare = p->machine.overlaps ? MG_PREDICT_MOST_OFF : SPARE;
    const int64_t minutes = (int64_t)((spare * l->run_s + SPARE_S) / 60) + 1;

    mg_text_format(
        t,
        "#!/bin/bash\n"
        "# Written by mg-dist plan: %lld clips of %g s on %s, %lld replica%s of %lld, %lld at a time "
        "in each.\n"
        "# Predicted: ",
        (long long)s->n_clips, s->dur_s, s->gpu, (long long)l->n_replicas, mg_plural(l->n_replicas),
        (long long)l->tp, (long long)l->n_clips);
    mg_planning_time(t, l->run_s);
    mg_text_format(t,
                   ", %.3g node hours; the time limit is %.1f times that and ten minutes.\n"
                   "# Words behind the script's name go to mg-dist run.\n"
                   "#SBATCH --job-name=mg-dist\n"
                   "#SBATCH --nodes=%lld\n"
                   "#SBATCH --ntasks-per-node=%lld\n",
                   l->node_h, spare, (long long)s->n_nodes, (long long)s->n_per_node);
    if (mg_planning_is_cpu(s))
        mg_text_format(t, "#SBATCH --cpus-per-task=%lld\n", (long long)p->n_threads);
    else /* of the node, not of each task: ranks of a group open the memory of each other's GPUs */
        mg_text_format(t, "#SBATCH --gpus-per-node=%lld\n", (long long)s->n_per_node);
    mg_text_format(t, "#SBATCH --time=%lld-%02lld:%02lld:00\n", (long long)(minutes / 1440),
                   (long long)(minutes / 60 % 24), (long long)(minutes % 60));
    mg_text_add(t, "#SBATCH --requeue\n"
                   "#SBATCH --open-mode=append\n"
                   "#SBATCH --output=mg-dist-%j.log\n"
                   "#SBATCH --signal=USR1@300\n");
    mg_text_add(t, before_ranks);
    mg_text_add(
        t, "\n# srun does not take --cpus-per-task by itself; unsaid, ranks share what the site gives\n");
    add_command(t, p);
}
