/* The program's own memory plan, asked for ranks that are not there. */
#include "bench_shapes.h"
#include "clip.h"
#include "cpu.h"
#include "plan.h"
#include "planning.h"

/* A rank of a group whose others are not there. Measuring calls none of its functions. */
static mg_comm absent(int rank, int size)
{
    return (mg_comm){.name = "absent", .rank = rank, .size = size};
}

static mg_status open_replica(mg_replica **out, const mg_planning *p, mg_ops *ops, mg_comm *group)
{
    const mg_planning_settings *s = p->settings;
    const mg_replica_source source = {.model = s->model, .with_text = true, .with_decoder = true};
    const mg_backend lm = {.ops = ops, .group = group, .formats = p->formats, .as_stored = p->as_stored},
                     beside = {.ops = ops};

    if (s->model.model) return mg_replica_open(out, &source, &lm, &beside, group);
    return mg_replica_open_shape(out, &source, &p->config, &lm, &beside, group);
}

static mg_clip clip_of(const mg_planning *p)
{
    return (mg_clip){.terms = {.T = p->n_frames,
                               .T_window = p->n_frames,
                               .S = p->n_tokens,
                               .with_melody = p->config.lm.n_chroma > 0,
                               .guidance = 3,
                               .guidance_beta = NAN}};
}

/* What this rank needs with n clips at once; 0 where they do not go together. */
static mg_status measure(double *bytes, const mg_planning *p, mg_replica *r, int64_t n)
{
    const mg_clip clip = clip_of(p);
    mg_clip_need need = {0};

    MG_RETURN(mg_clip_need_add(&need, r, &clip));
    const mg_replica_limits limits = mg_plan_limits(&need, n);
    MG_RETURN(mg_replica_measure(r, &limits));
    *bytes = (double)mg_replica_bytes_all(&r->bytes);
    return MG_OK;
}

/* One rank of a group of tp: all batches, the table's last. */
static mg_status measure_rank(mg_planning *p, mg_ops *ops, int rank, int tp, int first)
{
    mg_comm group = absent(rank, tp);
    mg_replica *r = NULL;
    mg_status st = MG_OK;
    double bytes;

    MG_TRY(open_replica(&r, p, ops, &group));
    p->formats = r->backend.formats;
    for (int i = first; i < p->n_layouts; i++) {
        mg_planning_layout *l = &p->layout[i];
        MG_TRY(measure(rank == 0 ? &l->leader_bytes : &l->other_bytes, p, r, l->n_clips));
    }
    MG_TRY(measure(&bytes, p, r, 1));
    if (rank == 0)
        p->memory[p->n_memories].leader = r->bytes;
    else
        p->memory[p->n_memories].other = r->bytes;
done:
    mg_replica_close(r);
    return st;
}

static void judge(mg_planning *p, int first)
{
    for (int i = first; i < p->n_layouts; i++) {
        mg_planning_layout *l = &p->layout[i];
        const double most = l->leader_bytes > l->other_bytes ? l->leader_bytes : l->other_bytes;
        l->fits = p->memory_bytes <= 0 || most + p->machine.overhead_bytes <= p->memory_bytes;
    }
}

static mg_status add_group(mg_planning *p, mg_ops *ops, int tp)
{
    const mg_planning_settings *s = p->settings;
    const int first = p->n_layouts;
    const int64_t n_replicas = s->n_nodes * s->n_per_node / tp;

    for (int64_t n = 1, i = 0; i < MG_PLANNING_BATCHES; n *= 2, i++)
        if (n == 1 || n * n_replicas < 2 * s->n_clips)
            p->layout[p->n_layouts++] =
                (mg_planning_layout){.tp = tp, .n_replicas = n_replicas, .n_clips = n};
    p->memory[p->n_memories].tp = tp;
    MG_RETURN(measure_rank(p, ops, 0, tp, first));
    if (tp > 1) MG_RETURN(measure_rank(p, ops, 1, tp, first));
    judge(p, first);
    p->n_memories++;
    return MG_OK;
}

static mg_status add_groups(mg_planning *p, mg_ops *ops)
{
    const mg_planning_settings *s = p->settings;
    char reason[160];

    for (int tp = 1; tp <= MG_TP_SLICES; tp *= 2) {
        if (s->machine.tp > 0 && s->machine.tp != tp) continue;
        mg_predict_check_group(reason, &p->config.lm, tp);
        if (!reason[0] && s->n_per_node % tp)
            (void)snprintf(reason, sizeof reason, "T = %d does not divide the %lld ranks of a node", tp,
                           (long long)s->n_per_node);
        if (reason[0] && !p->refused[0]) (void)snprintf(p->refused, sizeof p->refused, "%s", reason);
        if (!reason[0]) MG_RETURN(add_group(p, ops, tp));
    }
    if (p->n_layouts > 0) return MG_OK;
    return mg_fail(MG_EUSAGE, "plan: no layout: %s", p->refused[0] ? p->refused : "--tp is not 1, 2, 4 or 8");
}

mg_status mg_planning_measure_memory(mg_planning *p)
{
    mg_threads *threads = NULL;
    mg_ops *ops = NULL;
    mg_status st = MG_OK;

    MG_TRY(mg_threads_open(&threads, 1, 0));
    MG_TRY(mg_cpu_open(&ops, MG_CPU_AUTO, threads));
    st = add_groups(p, ops);
done:
    if (ops) mg_ops_close(ops);
    mg_threads_close(threads);
    return st;
}
