/* The job that makes the clips, in the manner of launch/slurm/run.sbatch. */
#include <string.h>

#include "planning.h"

/* Of the time limit over the prediction; on GPUs as far as that was off. */
static const double SPARE = 1.5, SPARE_S = 600;

/* A word as a shell takes it. */
static void add_word(mg_text *t, const char *word)
{
    mg_text_add(t, "'");
    for (; *word; word++) {
        if (*word == '\'')
            mg_text_add(t, "'\\''");
        else
            mg_text_add_bytes(t, word, 1);
    }
    mg_text_add(t, "'");
}

static void add_option(mg_text *t, const char *name, const char *value)
{
    if (!value) return;
    mg_text_format(t, " \\\n    --%s ", name);
    add_word(t, value);
}

static void add_command(mg_text *t, const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    const mg_planning_layout *l = &p->layout[p->chosen];

    mg_text_add(t, "srun --mpi=pmix --kill-on-bad-exit=1 "
                   "${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} \"$mg_dist\" run");
    add_option(t, "model", s->model.model);
    add_option(t, "lm", s->model.lm);
    add_option(t, "lora", s->model.lora);
    add_option(t, "text-encoder", s->model.text_encoder);
    add_option(t, "codec", s->model.codec);
    add_option(t, "tokenizer", s->model.tokenizer);
    add_option(t, "jobs", s->jobs);
    mg_text_format(t, " \\\n    --out \"$out\" --duration %g --tp %lld --batch %lld --dtype %s --device %s",
                   s->dur_s, (long long)l->tp, (long long)l->n_clips, mg_format_name(p->formats.weights),
                   strcmp(s->gpu, "cpu") == 0 ? "cpu" : "cuda");
    if (s->machine.threads > 0) mg_text_format(t, " --threads %lld", (long long)s->machine.threads);
    if (s->machine.kv == MG_MACHINE_KV_INT8) mg_text_add(t, " --kv int8");
    if (s->machine.gemm == MG_MACHINE_GEMM_FAST) mg_text_add(t, " --gemm fast");
    if (s->machine.host_memory > 0)
        mg_text_format(t, " --host-memory %lld", (long long)s->machine.host_memory);
    if (s->machine.device_memory > 0)
        mg_text_format(t, " --device-memory %lld", (long long)s->machine.device_memory);
    if (strcmp(s->machine.offload, "auto") != 0) add_option(t, "offload", s->machine.offload);
    mg_text_add(t, " \"$@\" &\n");
}

/* Behind the start of the ranks: as in launch/slurm/run.sbatch, which says why. */
static const char end[] =
    "step=$!\n"
    "trap 'kill -USR1 $step' USR1 TERM\n"
    "[ -z \"$told\" ] || { sleep 1; kill -USR1 $step; } # srun is there then\n"
    "wait $step\n"
    "code=$?\n"
    "while kill -0 $step 2>/dev/null; do wait $step; code=$?; done\n"
    "\n"
    "lost='' said=''\n"
    "if [[ $code =~ ^(6|13[4-79])$ ]] && [ \"${SLURM_JOB_NUM_NODES:-1}\" -gt 1 ]; then\n"
    "    nodes=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | paste -sd,)\n"
    "    [ ! -f /dev/stderr ] || said=$(tail -c \"+$((from + 1))\" /dev/stderr | grep -E 'error: .*(has said "
    "nothing|waited )')\n"
    "    for node in ${nodes//,/ }; do case $said in *\"host $node\"[.,\\)]*) lost=$lost${lost:+,}$node ;; "
    "esac; done\n"
    "    [ \"$lost\" ] || for node in ${nodes//,/ }; do\n"
    "        timeout 60 srun --overlap --mpi=none --nodes=1 --ntasks=1 --nodelist=\"$node\" true >/dev/null "
    "2>&1 || lost=$lost${lost:+,}$node\n"
    "    done\n"
    "    [ \"$lost\" != \"$nodes\" ] || lost=\n"
    "    echo \"mg-dist: lost, with code $code: ${lost:-a rank; which node it was cannot be told}\" >&2\n"
    "fi\n"
    "\n"
    "leave_out() {\n"
    "    local is all others\n"
    "    is=$(scontrol show job \"$SLURM_JOB_ID\")\n"
    "    all=$(sed -n 's/.* ExcNodeList=\\([^(].*\\)/\\1,/p' <<<\"$is\")$lost\n"
    "    others=$(sinfo -h -N -p \"$SLURM_JOB_PARTITION\" -t idle,alloc,mix,comp -o %N | sort -u | grep "
    "-cvxFf <(scontrol show hostnames \"$all\"))\n"
    "    [[ $is = *' ReqNodeList=(null)'*' Features=(null)'* && $is != *Reservation=* && $others -ge "
    "$SLURM_JOB_NUM_NODES ]] &&\n"
    "        scontrol update JobId=\"$job\" ExcNodeList=\"$all\" && echo \"mg-dist: the next starts are "
    "without $lost\" >&2\n"
    "}\n"
    "\n"
    "note=mg-dist-$SLURM_JOB_ID.starts # how many clips there were, and how many starts in a row made none\n"
    "read -r had idle 2>/dev/null <\"$note\" || had=0 idle=0\n"
    "case $had$idle in *[!0-9]*) had=0 idle=0 ;; esac # the folder may be others' too, and bash runs what "
    "stands in a sum\n"
    "has=$(grep -o '\"done\":[^0-9]*[0-9]*' \"$out/.mg-dist/status.json\" 2>/dev/null | head -n 1 | tr -dc "
    "0-9)\n"
    "if [ \"${has:-0}\" -gt \"$had\" ]; then idle=0; else idle=$((idle + 1)); fi\n"
    "case $code in\n"
    "6 | 75 | 130 | 13[4-9] | 143)\n"
    "    if [ $idle -lt 3 ] && { echo \"${has:-0} $idle\" >\"$note\" || [ \"${SLURM_RESTART_COUNT:-0}\" -lt "
    "3 ]; }; then\n"
    "        trap '' TERM # which this script gets now, with some seconds to end\n"
    "        scontrol requeue Incomplete \"$job\" || exit $code # Incomplete: what scancel has ended stays "
    "ended\n"
    "        [ -z \"$lost\" ] || leave_out\n"
    "        case $code in 6 | 13[4-79]) [ $idle = 0 ] || scontrol update JobId=\"$job\" "
    "StartTime=now+$((idle * 120)) ;; esac\n"
    "        exit $code\n"
    "    fi\n"
    "    echo \"mg-dist: three starts in a row made no clip, the last ended with $code: give a longer --time "
    "if they were\" \\\n"
    "        \"stopped while loading; leave out ${lost:-a node that fails} by --exclude\" >&2\n"
    "    ;;\n"
    "esac\n"
    "rm -f \"$note\"\n"
    "exit $code\n";

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
        "# Predicted: %.1f h, %.1f node hours; the time limit is %.1f times that and ten minutes.\n"
        "# Words behind the script's name go to mg-dist run.\n"
        "#SBATCH --job-name=mg-dist\n"
        "#SBATCH --nodes=%lld\n"
        "#SBATCH --ntasks-per-node=%lld\n",
        (long long)s->n_clips, s->dur_s, s->gpu, (long long)l->n_replicas, l->n_replicas == 1 ? "" : "s",
        (long long)l->tp, (long long)l->n_clips, l->run_s / 3600, l->node_h, spare, (long long)s->n_nodes,
        (long long)s->n_per_node);
    if (strcmp(s->gpu, "cpu") == 0)
        mg_text_format(t, "#SBATCH --cpus-per-task=%lld\n",
                       (long long)(s->machine.threads > 0 ? s->machine.threads : 1));
    else /* of the node, not of each task: ranks of a group open the memory of each other's GPUs */
        mg_text_format(t, "#SBATCH --gpus-per-node=%lld\n", (long long)s->n_per_node);
    mg_text_format(t, "#SBATCH --time=%lld-%02lld:%02lld:00\n", (long long)(minutes / 1440),
                   (long long)(minutes / 60 % 24), (long long)(minutes % 60));
    mg_text_add(t, "#SBATCH --requeue\n"
                   "#SBATCH --open-mode=append\n"
                   "#SBATCH --output=mg-dist-%j.log\n"
                   "#SBATCH --signal=USR1@300\n"
                   "\n"
                   "mg_dist=${MG_DIST:-mg-dist} # the program; the same path on every node\n"
                   "job=$SLURM_JOB_ID\n"
                   "out=");
    add_word(t, s->out);
    mg_text_add(t,
                "\n"
                "for word; do # or another one behind the script's name\n"
                "    case ${last-} in --out | -o) out=$word ;; esac\n"
                "    case $word in --out=* | -o=*) out=${word#*=} ;; esac\n"
                "    last=$word\n"
                "done\n"
                "\n"
                "from=$(stat -Lc %s /dev/stderr) # in the log; what is said of this start stands behind\n"
                "# Each start counts its steps from 0, and PMIx cannot have the number of a step that was "
                "killed on a node before.\n"
                "told=''\n"
                "trap 'told=1' USR1 TERM # before the ranks are there\n"
                "for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} && i < 50 && !told; i++)); do\n"
                "    timeout 60 srun --mpi=none --nodes=1 --ntasks=1 true 2>/dev/null\n"
                "done\n"
                "# srun does not take --cpus-per-task by itself; unsaid, ranks share what the site gives\n");
    add_command(t, p);
    mg_text_add(t, end);
}
