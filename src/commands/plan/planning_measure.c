/* The constants of this machine, from a few steps of the model with few and with many clips at once, whose
 * parts are timed (bench step --split), and from the codec and the text encoder alone. All ranks that were
 * started work at once, as they would in a run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_shapes.h"
#include "log.h"
#include "machine.h"
#include "planning.h"

enum { MEASURED_STEPS = 20, WARM_STEPS = 2, STEPS_AROUND = 30, TEXTS = 5, N_ROUNDS = 3 };

static const int64_t batches[] = {1, 4, 16}; /* between and beyond them lines are drawn */
enum { N_BATCHES = sizeof batches / sizeof *batches };
static const double SOUND_S = 2;

/* A part's time of a step, in seconds. */
static double part_of(const mg_figures *r, const char *name)
{
    return fmax(mg_figures_value(r, name) / 1e3, 0);
}

/* What the steps of one batch say. */
typedef struct measured {
    double step_s, products_s, attention_s, reduce_s, sampling_s, rest_s;
} measured;

/* The parts as bench step tells them, of its faster steps, in the measure of its median step, which draws no
 * codes. */
static mg_status measure_steps(measured *out, mg_bench *b, const mg_planning *p, int64_t n_clips)
{
    const int64_t middle = mg_predict_clip_steps(&p->config.lm, p->n_frames) / 2;
    const mg_bench_settings steps = {
        .what = MG_BENCH_STEP,
        .batch = n_clips,
        .n_tokens = p->n_tokens,
        .n_steps = MEASURED_STEPS,
        .n_warmup = WARM_STEPS,
        .position = middle > STEPS_AROUND ? middle - STEPS_AROUND : 0,
        .split = true,
        .no_floor = true,
        .machine = p->settings->machine,
    };

    b->settings = &steps;
    mg_figures_reset(&b->report);
    MG_RETURN(mg_bench_step(b));
    const mg_figures *r = &b->report;
    const double sampling_s = part_of(r, "split_sampling_ms"), step_s = part_of(r, "ms_per_step");
    const double split_s = part_of(r, "split_step_ms") - sampling_s,
                 scale = split_s > 0 ? step_s / split_s : 0;
    *out = (measured){
        .step_s = step_s,
        .products_s = scale * part_of(r, "split_products_ms"),
        .attention_s = scale * part_of(r, "split_attention_ms"),
        .reduce_s = scale * (part_of(r, "split_all_reduce_ms") + part_of(r, "split_waiting_ms")),
        .sampling_s = sampling_s,
        .rest_s = scale * part_of(r, "split_rest_ms"),
    };
    return MG_OK;
}

/* By the formulas of predict.h, solved for the constants: the time of each part of a machine whose constants
 * are one. */
static void solve(mg_predict_machine *m, const mg_planning *p, int64_t tp, const measured all[N_BATCHES])
{
    const mg_predict_machine one = {
        .read_bytes_s = 1, .attend_bytes_s = 1, .launch_s = 1, .draw_s = 1, .reduce_s = 1};
    mg_predict_machine bytes = {.reduce_bytes_s = 1};
    mg_predict_times t[N_BATCHES], sums[N_BATCHES];
    const int64_t middle = mg_predict_clip_steps(&p->config.lm, p->n_frames) / 2;

    for (int i = 0; i < N_BATCHES; i++) {
        const mg_predict_step s = {
            .config = p->config.lm,
            .weights = p->formats.weights,
            .kv = p->formats.kv,
            .tp = tp,
            .n_clips = batches[i],
            .n_rows = 2 * batches[i],
            .n_keys = (double)middle,
            .n_tokens = p->n_tokens,
        };
        mg_predict_step_time(&t[i], &s, &one);
        mg_predict_step_time(&sums[i], &s, &bytes);
        m->rate[i] = (mg_predict_rate){s.n_rows, t[i].part_s[MG_PREDICT_PRODUCTS] / all[i].products_s};
    }
    const int last = N_BATCHES - 1;
    m->n_rates = N_BATCHES;
    m->read_bytes_s = m->rate[0].bytes_s;
    m->attend_bytes_s = t[1].part_s[MG_PREDICT_ATTENTION] / all[1].attention_s;
    m->draw_s = all[1].sampling_s / t[1].part_s[MG_PREDICT_SAMPLING];
    m->launch_s = all[0].rest_s / t[0].part_s[MG_PREDICT_LAUNCHES];
    if (tp == 1) return;
    const double more_s = fmax(all[last].reduce_s - all[0].reduce_s, 0);
    const double byte_s = more_s / (sums[last].part_s[MG_PREDICT_REDUCE] - sums[0].part_s[MG_PREDICT_REDUCE]);
    m->reduce_bytes_s = byte_s > 0 ? 1 / byte_s : 0;
    const double rest_s = fmax(all[0].reduce_s - sums[0].part_s[MG_PREDICT_REDUCE] * byte_s, 0);
    m->reduce_s = rest_s / t[0].part_s[MG_PREDICT_REDUCE];
}

static int by_step(const void *a, const void *b)
{
    const double x = ((const measured *)a)->step_s, y = ((const measured *)b)->step_s;
    return (x > y) - (x < y);
}

/* Sounds that leaders decode one at a time, and as many at once as suit: what a lot costs, and each in it. */
static mg_status measure_codec(mg_predict_machine *m, const mg_planning *p, mg_bench *b)
{
    const mg_bench_settings sound = {.dur_s = SOUND_S};
    const int64_t n_channels = p->config.lm.n_channels, n = b->beside.ops->hints.n_sequences / n_channels;
    double one_s, lot_s = 0;

    b->settings = &sound;
    mg_figures_reset(&b->report);
    MG_RETURN(mg_bench_sounds(b, &p->config.lm, 1));
    one_s = part_of(&b->report, "decode_first_ms") / SOUND_S;
    mg_figures_reset(&b->report);
    if (n > 1) MG_RETURN(mg_bench_sounds(b, &p->config.lm, n));
    if (n > 1) lot_s = part_of(&b->report, "decode_first_ms") / SOUND_S;
    const double each_s = n > 1 ? fmax(lot_s - one_s, 0) / (double)(n - 1) : one_s;
    m->n_decoded = b->beside.ops->hints.n_sequences;
    m->decode_sound_s = each_s / (double)n_channels;
    m->decode_lot_s = fmax(one_s - each_s, 0);
    return MG_OK;
}

static mg_status measure_text(mg_predict_machine *m, const mg_planning *p, mg_bench *b)
{
    const mg_bench_settings text = {.what = MG_BENCH_T5, .n_tokens = p->n_tokens, .n_steps = TEXTS};

    b->settings = &text;
    mg_figures_reset(&b->report);
    MG_RETURN(mg_bench_t5(b));
    m->text_s = part_of(&b->report, "ms");
    return MG_OK;
}

static mg_status measure(mg_planning *p, mg_bench *b, int64_t tp)
{
    measured all[N_BATCHES], round[N_BATCHES][N_ROUNDS];

    if (p->config.lm.n_chroma > 0)
        return mg_fail(MG_EUSAGE,
                       "option --measure: %s: a melody model: its steps have a prefix; give --shape",
                       p->settings->model.lm ? p->settings->model.lm : p->settings->model.model);
    for (int i = 0; i < N_ROUNDS * N_BATCHES; i++)
        MG_RETURN(measure_steps(&round[i % N_BATCHES][i / N_BATCHES], b, p, batches[i % N_BATCHES]));
    for (int i = 0; i < N_BATCHES; i++) {
        qsort(round[i], N_ROUNDS, sizeof round[i][0], by_step);
        all[i] = round[i][N_ROUNDS / 2];
        if (!(all[i].products_s > 0 && all[i].attention_s > 0))
            return mg_fail(MG_EFAIL, "plan: the clock says that a step of %lld clips takes no time",
                           (long long)batches[i]);
    }
    solve(&p->machine, p, tp, all);
    return measure_text(&p->machine, p, b);
}

/* What is measured so says little, and another time something else. */
static void warn_of_crowd(const mg_world *w, int64_t n_threads)
{
    if (w->rank > 0 || (!w->oversubscribed && n_threads <= w->n_cores)) return;
    mg_log_warn("plan: more ranks and threads than processors: the constants that are measured so may be off "
                "by a factor of 2; start fewer, or give fewer --threads");
}

/* Ranks of a node share its memory and its processors: constants hold for as many as were measured. */
static mg_status check_ranks(const mg_planning_settings *s, const mg_world *w)
{
    if (w->local_size == s->n_per_node) return MG_OK;
    return mg_fail(
        MG_EUSAGE,
        "option --measure: %d rank%s of %s measure%s, and --ranks-per-node is %lld; start as many ranks "
        "on a node as are planned for there",
        w->local_size, mg_plural(w->local_size), w->host, w->local_size == 1 ? "s" : "",
        (long long)s->n_per_node);
}

mg_status mg_planning_measure_machine(mg_planning *p, mg_world *w)
{
    mg_machine machine = p->settings->machine;
    mg_bench b = {.world = w, .sizes = &p->config};
    mg_status st = MG_OK;

    machine.device = MG_MACHINE_CPU;
    MG_TRY(mg_world_split(w, (int)machine.tp));
    warn_of_crowd(w, machine.threads);
    b.comm = w->group;
    MG_TRY(mg_comm_agree(w->all, check_ranks(p->settings, w)));
    MG_TRY(mg_comm_agree(w->all, mg_machine_open(&b.backend, &machine, w)));
    MG_TRY(mg_comm_agree(w->all, mg_machine_open_beside(&b.beside, &machine, w, true)));
    b.backend.formats = p->formats;
    p->n_threads = mg_threads_count(b.backend.threads);
    mg_log_info("plan: measuring %d rank%s in groups of %d", w->size, mg_plural(w->size), w->tp);
    (void)snprintf(p->machine.name, sizeof p->machine.name, "measured on %.48s", w->host);
    MG_TRY(mg_comm_agree(w->all, measure(p, &b, w->tp)));
    MG_TRY(measure_codec(&p->machine, p, &b));
done:
    mg_figures_reset(&b.report);
    mg_machine_close(&b.backend);
    mg_machine_close(&b.beside);
    return st;
}
