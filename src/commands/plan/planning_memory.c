/* The program's own memory plan, asked for ranks that are not there. */
#include <stdlib.h>

#include "bench_shapes.h"
#include "clip.h"
#include "cpu.h"
#include "plan.h"
#include "plan_fit.h"
#include "planning.h"
#include "text.h"

/* A rank of a group whose others are not there. Measuring calls none of its functions. */
static mg_comm absent(int rank, int size)
{
    return (mg_comm){.name = "absent", .rank = rank, .size = size};
}

static mg_status open_replica(mg_replica **out, const mg_planning *p, mg_ops *ops, mg_comm *group)
{
    const mg_planning_settings *s = p->settings;
    mg_replica_source source = {
        .model = s->model, .with_text = true, .with_decoder = true, .may_style = true};
    const mg_backend lm = {.ops = ops, .group = group, .formats = p->formats, .as_stored = p->as_stored},
                     beside = {.ops = ops};

    source.model.lora = NULL; /* it has been looked at, and changes no size */
    if (mg_planning_has_model(s)) return mg_replica_open(out, &source, &lm, &beside, group);
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

/* A replica of which only the leader and one other rank are opened: the rest are as the other. */
typedef struct pair {
    mg_comm group[2];
    mg_replica *replica[2];
    int n; /* 1: the group has no other rank */
} pair;

static mg_status open_pair(pair *g, mg_planning *p, mg_ops *ops, int tp)
{
    g->n = tp > 1 ? 2 : 1;
    for (int i = 0; i < g->n; i++) {
        g->group[i] = absent(i, tp);
        MG_RETURN(open_replica(&g->replica[i], p, ops, &g->group[i]));
        p->formats = g->replica[i]->backend.formats;
    }
    return MG_OK;
}

static void close_pair(pair *g)
{
    for (int i = 0; i < 2; i++) mg_replica_close(g->replica[i]);
}

static mg_status measure(mg_replica *r, const mg_planning *p, int64_t n_clips, int64_t n_outside)
{
    mg_clip clip = clip_of(p);
    mg_clip_need need = {0};

    if (r->config.style.excerpt_s > 0) clip.style_dur_s = MG_STYLE_MOST_S; /* a job may ask for it */
    MG_RETURN(mg_clip_need_add(&need, r, &clip));
    mg_replica_limits limits = mg_plan_limits(&need, n_clips);
    limits.n_outside = n_outside;
    return mg_replica_measure(r, &limits);
}

size_t mg_planning_outside_bytes(const mg_replica_bytes *b, int64_t n_outside)
{
    return mg_replica_bytes_all(b) - (size_t)mg_lm_outside_saves(b->lm_layer, n_outside);
}

static int64_t known(double bytes)
{
    return bytes > 0 ? (int64_t)bytes : INT64_MAX;
}

/* Where the rank of this number in a node has its memory, and how much is there. On a CPU --gpu-mem is each
 * rank's own. A device may have none but the host's, as mg-dist's own plan counts it too. */
static void place(mg_plan_demand *d, const mg_planning *p, int rank)
{
    const mg_memory_limits *limits = &p->limits;
    const bool on_device = p->machine.memory_bytes > 0, own = on_device || p->memory_bytes > 0;
    const double left = p->memory_bytes - p->machine.overhead_bytes;
    const int64_t of_host = known((double)limits->host_bytes);
    int64_t of_own = left > 0 ? (int64_t)left : 0;

    if (limits->device_bytes > 0 && limits->device_bytes < of_own) of_own = limits->device_bytes;
    d->shares_host = p->machine.shares_host;
    for (int i = 0; i < MG_DEMANDS; i++) {
        const bool in_own = own && (i != MG_DEMAND_HOST || !on_device);
        d->place[i] = in_own && !d->shares_host ? 1 + rank : 0;
        d->available_bytes[i] = in_own ? of_own : of_host;
        if (d->shares_host) d->available_bytes[i] = of_host < of_own ? of_host : of_own;
    }
}

/* All ranks of a node with this layout: how many layers must be outside, and whether it fits so. */
static void judge(mg_planning_layout *l, const mg_planning *p, const pair *g, mg_plan_demand *all)
{
    const int n = (int)p->settings->n_per_node;

    for (int i = 0; i < n; i++) {
        mg_plan_demand_set(&all[i], &g->replica[i % l->tp > 0]->bytes);
        place(&all[i], p, i);
    }
    l->n_outside =
        mg_plan_choose_outside(all, n, mg_plan_most_outside(&p->config.lm, &p->formats), p->limits.n_outside);
    l->fits = mg_plan_find_misfit(all, n, l->n_outside) < 0;
    const mg_lm_layer_size layer = g->replica[0]->bytes.lm_layer;
    l->outside_bytes = (double)(l->n_outside * (layer.all_bytes - layer.text_bytes));
}

static mg_status measure_layout(mg_planning_layout *l, const mg_planning *p, const pair *g,
                                mg_plan_demand *all)
{
    double *const bytes[] = {&l->leader_bytes, &l->other_bytes};

    for (int i = 0; i < g->n; i++) MG_RETURN(measure(g->replica[i], p, l->n_clips, 0));
    judge(l, p, g, all);
    for (int i = 0; i < g->n; i++) {
        if (l->n_outside > 0) MG_RETURN(measure(g->replica[i], p, l->n_clips, l->n_outside));
        *bytes[i] = (double)mg_replica_bytes_all(&g->replica[i]->bytes);
        if (i == 0) l->weight_bytes = (double)mg_replica_bytes_weights(&g->replica[i]->bytes);
        if (p->machine.memory_bytes > 0) /* copies in the host's memory, which a CPU's plan has not */
            *bytes[i] += (double)(l->n_outside * g->replica[i]->bytes.lm_layer.all_bytes);
    }
    return MG_OK;
}

/* Layouts of groups of tp ranks, and the memory of one clip at a time, part by part. */
static mg_status add_group(mg_planning *p, mg_ops *ops, int tp)
{
    const mg_planning_settings *s = p->settings;
    const int64_t n_replicas = s->n_nodes * s->n_per_node / tp;
    mg_planning_memory *memory = &p->memory[p->n_memories];
    mg_plan_demand *all = calloc((size_t)s->n_per_node, sizeof *all);
    pair g = {0};
    mg_status st = all ? MG_OK : mg_fail(MG_ENOMEM, "plan: %lld ranks", (long long)s->n_per_node);

    if (st == MG_OK) st = open_pair(&g, p, ops, tp);
    for (int64_t n = 1, i = 0; i < MG_PLANNING_BATCHES && st == MG_OK; n *= 2, i++) {
        if (n > 1 && n * n_replicas >= 2 * s->n_clips) continue;
        mg_planning_layout *l = &p->layout[p->n_layouts++];
        *l = (mg_planning_layout){.tp = tp, .n_clips = n};
        st = measure_layout(l, p, &g, all);
    }
    for (int i = 0; i < g.n && st == MG_OK; i++) st = measure(g.replica[i], p, 1, 0);
    if (st == MG_OK) {
        memory->tp = tp;
        memory->leader = g.replica[0]->bytes;
        memory->other = g.n > 1 ? g.replica[1]->bytes : (mg_replica_bytes){0};
        p->n_memories++;
    }
    close_pair(&g);
    free(all);
    return st;
}

static mg_status add_groups(mg_planning *p, mg_ops *ops)
{
    const mg_planning_settings *s = p->settings;
    char reason[160];

    for (int tp = 1; tp <= MG_TP_SLICES; tp *= 2) {
        if (s->machine.tp > 0 && s->machine.tp != tp) continue;
        mg_predict_check_group(reason, &p->config.lm, tp);
        if (!reason[0] && s->n_per_node % tp)
            (void)snprintf(reason, sizeof reason, "T = %d does not divide the %lld rank%s of a node", tp,
                           (long long)s->n_per_node, mg_plural(s->n_per_node));
        if (reason[0] && !p->refused[0]) (void)snprintf(p->refused, sizeof p->refused, "%s", reason);
        if (!reason[0]) MG_RETURN(add_group(p, ops, tp));
    }
    if (p->n_layouts > 0) return MG_OK;
    return mg_fail(MG_EUSAGE, "plan: no layout: %s", p->refused[0] ? p->refused : "--tp is not 1, 2, 4 or 8");
}

/* A backend whose matrices take twice the memory: on a GPU with --gemm fast. */
typedef struct twice {
    mg_ops ops; /* first: its slots find the rest */
    mg_ops_iface table;
    const mg_ops *once;
} twice;

static size_t matrix_twice(const mg_ops *ops, const mg_matrix *w)
{
    return 2 * mg_matrix_bytes(((const twice *)ops)->once, w);
}

static size_t conv_twice(const mg_ops *ops, const mg_conv *c)
{
    return 2 * mg_conv_bytes(((const twice *)ops)->once, c);
}

static void take_twice(twice *t, const mg_ops *once)
{
    t->once = once;
    t->ops = *once;
    t->table = *once->iface;
    t->table.matrix_bytes = matrix_twice;
    t->table.conv_bytes = conv_twice;
    t->ops.iface = &t->table;
}

mg_status mg_planning_measure_memory(mg_planning *p)
{
    const bool is_fast = p->machine.memory_bytes > 0 && p->settings->machine.gemm == MG_MACHINE_GEMM_FAST;
    mg_threads *threads = NULL;
    mg_ops *ops = NULL;
    twice fast;
    mg_status st = MG_OK;

    MG_TRY(mg_threads_open(&threads, 1, 0));
    MG_TRY(mg_cpu_open(&ops, MG_CPU_AUTO, threads));
    if (p->machine.overlaps) ops->hints = mg_hints_of(MG_DEVICE); /* what is measured is not what measures */
    if (is_fast) take_twice(&fast, ops);
    st = add_groups(p, is_fast ? &fast.ops : ops);
done:
    if (ops) mg_ops_close(ops);
    mg_threads_close(threads);
    return st;
}
