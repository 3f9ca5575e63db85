/* A plan for people. */
#include <math.h>
#include <string.h>

#include "plan_fit.h"
#include "planning.h"
#include "text.h"

static const char *const part_words[MG_PREDICT_PARTS] = {
    "products with the matrices",  "reads of attention",
    "sums over the group's ranks", "draws of codes",
    "launches of operations",      "waits for layers from outside"};

void mg_planning_time(mg_text *t, double run_s)
{
    if (run_s >= 2 * 86400)
        mg_text_format(t, "%.1f days", run_s / 86400);
    else if (run_s >= 3600)
        mg_text_format(t, "%.1f h", run_s / 3600);
    else if (run_s >= 120)
        mg_text_format(t, "%.1f min", run_s / 60);
    else
        mg_text_format(t, "%.1f s", run_s);
}

static const double WORTH_SAYING = 1.2; /* of a number format */

static int largest_part(const mg_predict_times *times)
{
    int most = 0;

    for (int i = 1; i < MG_PREDICT_PARTS; i++)
        if (times->part_s[i] > times->part_s[most]) most = i;
    return most;
}

/* The best that fits with another T. */
static const mg_planning_layout *best_other(const mg_planning *p)
{
    const mg_planning_layout *best = NULL, *l = &p->layout[p->chosen];

    for (int i = 0; i < p->n_layouts; i++) {
        const mg_planning_layout *a = &p->layout[i];
        if (a->tp != l->tp && a->fits && (!best || a->run_s < best->run_s)) best = a;
    }
    return best;
}

void mg_planning_why(mg_text *t, const mg_planning *p)
{
    const mg_planning_layout *l = &p->layout[p->chosen], *other = best_other(p);
    const int most = largest_part(&l->times);

    mg_text_format(t, "T = %lld with %lld clip%s at a time ends first: ", (long long)l->tp,
                   (long long)l->n_clips, mg_plural(l->n_clips));
    if (other && other->run_s > l->run_s)
        mg_text_format(t, "the best with T = %lld takes %.2f times as long, and ", (long long)other->tp,
                       other->run_s / l->run_s);
    mg_text_format(t, "most of its step are %s (%.0f %%).", part_words[most],
                   100 * l->times.part_s[most] / l->times.step_s);
    if (p->chosen > 0 && p->layout[0].tp == 1 && !p->layout[0].fits) mg_text_add(t, " T = 1 does not fit.");
    if (l->n_outside > 0)
        mg_text_format(t, " %lld layer%s from outside its memory.", (long long)l->n_outside,
                       l->n_outside == 1 ? " comes" : "s come");
    if (p->unasked < 0 || p->unasked == p->chosen) return;
    const mg_planning_layout *u = &p->layout[p->unasked];
    mg_text_format(t, " Without --%sbatch run takes T = %lld with %lld: %.2f times as long.",
                   p->settings->machine.tp > 0 ? "" : "tp and --", (long long)u->tp, (long long)u->n_clips,
                   u->run_s / l->run_s);
}

static double run_with(const mg_planning *p, mg_format format, const char *device)
{
    mg_planning other = *p;

    other.formats.weights = format;
    if (p->formats.kv != MG_FORMAT_Q8) other.formats.kv = mg_format_of_kv(format);
    if (device && !mg_predict_device_cores(&other.machine, device, format, mg_planning_cores(p->settings)))
        return INFINITY;
    if (device && other.machine.memory_bytes > 0 &&
        other.layout[p->chosen].leader_bytes + other.machine.overhead_bytes > other.machine.memory_bytes)
        return INFINITY;
    return mg_planning_run_s(&other, &other.layout[p->chosen], p->settings->n_nodes);
}

void mg_planning_faster(mg_text *t, const mg_planning *p)
{
    const mg_planning_layout *l = &p->layout[p->chosen];
    const int64_t n = mg_planning_nodes_for(p, l->run_s / 2, MG_PLANNING_MOST_NODES);
    const char *fast = NULL;
    const size_t before = t->n;

    if (n > 0) mg_text_format(t, "%lld nodes instead of %lld", (long long)n, (long long)p->settings->n_nodes);
    for (int i = 0; !mg_planning_is_cpu(p->settings) && (fast = mg_predict_device_name(i)); i++)
        if (run_with(p, p->formats.weights, fast) <= l->run_s / 2) break;
    if (fast) mg_text_format(t, "%s%s instead of %s", t->n > before ? "; or " : "", fast, p->settings->gpu);
    const double by_bf16 = p->formats.weights == MG_FORMAT_F32 && !p->settings->measure
                               ? l->run_s / run_with(p, MG_FORMAT_BF16, p->settings->gpu)
                               : 1;
    if (by_bf16 >= WORTH_SAYING)
        mg_text_format(t, "%s--dtype bf16 is %.1f times as fast", t->n > before ? "; " : "", by_bf16);
    if (t->n == before) mg_text_add(t, "nothing that is known here: the clips are fewer than their places");
    mg_text_add(t, ".");
}

static void print_memory_line(mg_text *t, const char *part, size_t leader, size_t other, bool has_others)
{
    mg_text_format(t, "  %-16s %10.1f", part, (double)leader / 1e6);
    if (has_others) mg_text_format(t, " %10.1f", (double)other / 1e6);
    mg_text_add(t, "\n");
}

static void print_memory(mg_text *t, const mg_planning *p)
{
    const int64_t most = mg_plan_most_outside(&p->config.lm, &p->formats);

    for (int i = 0; i < p->n_memories; i++) {
        const mg_replica_bytes *a = &p->memory[i].leader, *b = &p->memory[i].other;
        const bool two = p->memory[i].tp > 1;
        mg_text_format(t, "memory, MB of a rank, T = %lld, one clip at a time\n  %-16s %10s%s\n",
                       (long long)p->memory[i].tp, "", two ? "leader" : "each", two ? "     others" : "");
        print_memory_line(t, "text encoder", mg_replica_bytes_text(a), mg_replica_bytes_text(b), two);
        print_memory_line(t, "model, weights", a->lm_weights, b->lm_weights, two);
        print_memory_line(t, "model, run", a->lm_run, b->lm_run, two);
        print_memory_line(t, "codec", mg_replica_bytes_codec(a), mg_replica_bytes_codec(b), two);
        print_memory_line(t, "host buffers", a->host, b->host, two);
        print_memory_line(t, "sum", mg_replica_bytes_all(a), mg_replica_bytes_all(b), two);
        if (p->config.lm.L < 4 || p->machine.shares_host) continue;
        print_memory_line(t, "half outside", mg_planning_outside_bytes(a, p->config.lm.L / 2),
                          mg_planning_outside_bytes(b, p->config.lm.L / 2), two);
        print_memory_line(t, "layers outside", mg_planning_outside_bytes(a, most),
                          mg_planning_outside_bytes(b, most), two);
    }
}

/* Two digits at least of what is short, too. */
static void print_hours(mg_text *t, double hours)
{
    const int n = hours > 0 && hours < 1 ? 1 - (int)floor(log10(hours)) : 2;

    mg_text_format(t, " %11.*f", n < 9 ? n : 9, hours);
}

static void print_layouts(mg_text *t, const mg_planning *p)
{
    mg_text_format(
        t, "layouts (* ends first, o what run takes by itself)\n  %2s %8s %6s %10s %7s %11s %11s %11s %11s\n",
        "T", "replicas", "batch", "MB a rank", "outside", "ms a step", "clips an h", "node hours", "hours");
    for (int i = 0; i < p->n_layouts; i++) {
        const mg_planning_layout *l = &p->layout[i];
        mg_text_format(t, "%s %2lld %8lld %6lld %10.1f %7lld",
                       i == p->chosen    ? "*"
                       : i == p->unasked ? "o"
                                         : " ",
                       (long long)l->tp, (long long)l->n_replicas, (long long)l->n_clips,
                       l->leader_bytes / 1e6, (long long)l->n_outside);
        if (!l->fits) {
            mg_text_add(t, "  does not fit\n");
            continue;
        }
        mg_text_format(t, " %11.3f %11.1f", l->times.step_s * 1e3, l->clips_h);
        print_hours(t, l->node_h);
        print_hours(t, l->run_s / 3600);
        mg_text_add(t, "\n");
    }
}

static void say_table(mg_text *t, const mg_planning *p)
{
    const long long n = mg_planning_cores(p->settings);

    mg_text_add(t, ", from a table of datasheets: ");
    if (!p->machine.overlaps)
        mg_text_format(t, "%lld core%s a rank%s; --measure measures here", n, mg_plural(n),
                       p->settings->machine.threads > 0 ? "" : " (--threads N: others)");
    else
        mg_text_format(t,
                       "on the one GPU that was held against it steps took %.1f to %.1f times as long; bench "
                       "step tells for yours",
                       MG_PREDICT_LEAST_OFF, MG_PREDICT_MOST_OFF);
}

/* Why so many nodes: one less is too late. */
static void say_least_nodes(mg_text *t, const mg_planning *p)
{
    const int64_t n = p->settings->n_nodes;
    double less_s = INFINITY;

    mg_text_format(t, "\nnodes: %lld %s the least that end%s within %s", (long long)n, n == 1 ? "is" : "are",
                   n == 1 ? "s" : "", p->settings->deadline);
    for (int i = 0; i < p->n_layouts && n > 1; i++)
        if (p->layout[i].fits) less_s = fmin(less_s, mg_planning_run_s(p, &p->layout[i], n - 1));
    if (n > 1) mg_text_format(t, "; %lld take%s ", (long long)(n - 1), n == 2 ? "s" : "");
    if (n > 1) mg_planning_time(t, less_s);
}

void mg_planning_print(mg_text *t, const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;

    mg_text_format(t, "%lld clips of %g s, %lld node%s with %lld rank%s, %s, %s%s\n", (long long)s->n_clips,
                   s->dur_s, (long long)s->n_nodes, mg_plural(s->n_nodes), (long long)s->n_per_node,
                   mg_plural(s->n_per_node), p->machine.name, mg_format_name(p->formats.weights),
                   p->formats.kv == MG_FORMAT_Q8 ? ", kv int8" : "");
    print_memory(t, p);
    print_layouts(t, p);
    if (p->refused[0]) mg_text_format(t, "not possible: %s\n", p->refused);
    if (p->chosen < 0) return;
    mg_text_add(t, "why: ");
    mg_planning_why(t, p);
    if (p->has_least_nodes) say_least_nodes(t, p);
    mg_text_add(t, "\ntime: ");
    mg_planning_time(t, p->layout[p->chosen].run_s);
    mg_text_format(t, ", %.3g node hours", p->layout[p->chosen].node_h);
    if (!p->settings->measure) say_table(t, p);
    mg_text_format(t, "\ndisk: %.4g GB of 16-bit samples, in FLAC less", mg_planning_sound_bytes(p) / 1e9);
    mg_text_add(t, "\ntwice as fast: ");
    mg_planning_faster(t, p);
    mg_text_add(t, "\n");
}
