/* One step of the language model on random weights of the true shape, against the time that reading its bytes
 * takes at the read bandwidth of the same run.
 *
 * The bandwidth of a shared machine moves by up to 1.6x within a second. So two steps at a time alternate
 * with read probes, a step is held against the mean of the two probes around it, and the fraction reported is
 * the median over the steps. The best of the probes would not do: a step cannot choose its moment, and would
 * be held against another one's. The steps go on column by column, as in generation. */
#include <math.h>
#include <stdlib.h>

#include "bench_shapes.h"
#include "bench_step.h"
#include "clock.h"
#include "numbers.h"
#include "predict.h"
#include "scaling_results.h"

enum {
    GROUP_STEPS = 2,
    GROUP_STEPS_ON_DEVICE = 20,
    DEFAULT_STEPS = 60,
    PREFILL_TOKENS = 256,
    PREFILL_RUNS = 3
};

static const double WINDOW_S = 30; /* longer clips are made of windows */

/* Of a clip, or of a window of it: the frames and the delay. */
static int64_t clip_columns(const mg_step_bench *s)
{
    const double dur_s = fmin(s->b->settings->dur_s, WINDOW_S);

    return mg_predict_clip_steps(&s->config, llround(dur_s * MG_SCALING_FRAME_RATE));
}

/* Steps [first, end) of the timed ones, the next of which is the *i-th of all. On a device they are queued
 * and waited for once, as in a run, and each is the mean. */
static mg_status time_steps(mg_step_bench *s, int64_t *i, int64_t first, int64_t end)
{
    const double group_begin_s = mg_clock_s();

    for (int64_t j = first; j < end; j++) {
        const double begin_s = mg_clock_s();
        MG_RETURN(mg_step_bench_run(s, (*i)++));
        s->step_s[j] = mg_clock_s() - begin_s;
    }
    if (!mg_step_bench_on_device(s)) return MG_OK;
    MG_RETURN(mg_step_bench_wait(s));
    const double mean_s = (mg_clock_s() - group_begin_s) / (double)(end - first);
    for (int64_t j = first; j < end; j++) s->step_s[j] = mean_s;
    return MG_OK;
}

/* Columns [0, n_prefill) of all rows, in passes of n_tokens: keys and values are all that is left. Then wait
 * for them. */
static mg_status run_prefill(mg_step_bench *s)
{
    const int64_t K = s->config.K, n_columns = s->n_tokens / s->n_rows;

    for (int64_t first = 0; first < s->b->settings->n_prefill; first += n_columns) {
        const int64_t left = s->b->settings->n_prefill - first, n = left < n_columns ? left : n_columns;
        for (int64_t i = 0; i < n * s->n_rows; i++) {
            s->row[i] = (int32_t)(i / n);
            s->text[i] = s->row[i];
            s->position[i] = (int32_t)(first + i % n);
            for (int64_t k = 0; k < K; k++) s->cells[i * K + k] = mg_lm_cell(s->lm, 0, k, first + i % n);
        }
        const mg_lm_batch batch = {n * s->n_rows, n * s->n_clips, false,  s->cells,
                                   s->row,        s->position,    s->text};
        MG_RETURN(mg_lm_step(s->lm, &batch, NULL, 0));
    }
    return mg_step_bench_wait(s);
}

/* Multiplications by matrices, of all replicas: all layers but the last one's, of which keys and values are
 * all that is wanted; no heads, and text attention in rows with a text alone. */
static double prefill_products(const mg_step_bench *s)
{
    const double D = (double)s->config.D, F = (double)s->config.F, L = (double)s->config.L;
    const double plain = (L - 1) * (4 * D * D + 2 * D * F) + 3 * D * D, text = (L - 1) * 2 * D * D;

    return s->b->world->n_replicas * (double)s->b->settings->n_prefill *
           ((double)s->n_rows * plain + (double)s->n_clips * text);
}

static mg_status measure_prefill(mg_step_bench *s, double step_median_s)
{
    const int64_t n = s->b->settings->n_prefill;
    mg_figures *r = &s->b->report;
    double run_s[PREFILL_RUNS];

    if (n == 0) return MG_OK;
    for (int i = 0; i < PREFILL_RUNS; i++) {
        const double begin_s = mg_clock_s();
        MG_RETURN(run_prefill(s));
        run_s[i] = mg_clock_s() - begin_s;
    }
    const double median_s = mg_numbers_median(run_s, PREFILL_RUNS);
    mg_figures_int(r, "prefill_columns", n);
    mg_figures_number(r, "prefill_ms", median_s * 1e3, 1);
    mg_figures_number(r, "prefill_gflops", 2 * prefill_products(s) / median_s / 1e9, 1);
    mg_figures_number(r, "prefill_in_steps", median_s / step_median_s, 1);
    return MG_OK;
}

/* Of all replicas together. */
static double step_bytes(const mg_step_bench *s, int64_t position)
{
    return s->b->world->n_replicas *
           ((double)mg_predict_weight_bytes(&s->config, s->b->backend.formats.weights) +
            mg_predict_kv_bytes(&s->config, s->b->backend.formats.kv, s->n_rows, (double)(position + 1),
                                s->n_clips, s->b->settings->n_tokens));
}

/* `reader` NULL: nothing is read between the steps. */
static mg_status measure_steps(mg_step_bench *s, mg_bench_reader *reader)
{
    int64_t i = 0, n_done = 0;

    while (i < s->n_warmup) MG_RETURN(mg_step_bench_run(s, i++));
    mg_bench_power_begin(&s->power, &s->b->backend, s->b->world);
    if (reader) MG_RETURN(mg_bench_reader_probe(reader));
    for (int64_t group = 0; group < s->n_groups; group++) {
        const double before_gbps = reader ? reader->gbps : 0;
        const int64_t first = n_done, first_position = s->first_position + i + 1;
        MG_RETURN(mg_step_bench_run(s, i++)); /* not timed: the probe has swept the caches */
        if (mg_step_bench_on_device(s)) MG_RETURN(mg_step_bench_wait(s));
        n_done = first + s->n_together < s->n_steps ? first + s->n_together : s->n_steps;
        mg_bench_power_skip(&s->power);
        MG_RETURN(time_steps(s, &i, first, n_done));
        mg_bench_power_take(&s->power);
        if (!reader) continue;
        MG_RETURN(mg_bench_reader_probe(reader));
        s->gbps[group] = (before_gbps + reader->gbps) / 2;
        for (int64_t j = first; j < n_done; j++)
            s->fraction[j] =
                step_bytes(s, first_position + j - first) / (s->gbps[group] * 1e9) / s->step_s[j];
    }
    return MG_OK;
}

static void report_floor(mg_step_bench *s, double step_bytes_mid)
{
    mg_figures *r = &s->b->report;
    const double read_gbps = mg_numbers_median(s->gbps, s->n_groups);

    mg_figures_number(r, "read_gbps", read_gbps, 2);
    mg_figures_number(r, "read_gbps_min", s->gbps[0], 2);
    mg_figures_number(r, "read_gbps_max", s->gbps[s->n_groups - 1], 2);
    mg_figures_number(r, "floor_ms", step_bytes_mid / read_gbps / 1e6, 3);
    mg_figures_number(r, "fraction_of_floor", mg_numbers_median(s->fraction, s->n_steps), 3);
}

static mg_status report_step(mg_step_bench *s)
{
    const mg_bench *b = s->b;
    mg_figures *r = &s->b->report;
    const int64_t mid = s->first_position + s->n_warmup + (s->n_steps + s->n_groups) / 2;
    const double weight_bytes = (double)mg_predict_weight_bytes(&s->config, b->backend.formats.weights);
    const int64_t n_all = s->n_steps * b->world->size;
    double sum_s = 0, *all_s = calloc((size_t)n_all, sizeof *all_s);
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(b->world->all, all_s ? MG_OK : mg_fail(MG_ENOMEM, "bench: steps")));
    MG_TRY(mg_comm_all_gather(b->world->all, all_s, s->step_s, s->n_steps, MG_F64));
    for (int64_t i = 0; i < s->n_steps; i++) sum_s += s->step_s[i];
    const double rate = mg_scaling_rate(all_s, s->n_steps, b->world->size, b->world->tp);
    const double mid_bytes = step_bytes(s, mid), median_s = mg_numbers_median(all_s, n_all);

    mg_figures_text(r, "shape",
                    b->settings->model ? b->settings->model : mg_bench_shape_name(b->settings->shape));
    mg_figures_text(r, "dtype", mg_format_name(b->backend.formats.weights));
    mg_figures_text(r, "kv", mg_format_name(b->backend.formats.kv));
    mg_figures_int(r, "layers", s->config.L);
    mg_figures_int(r, "width", s->config.D);
    mg_figures_int(r, "feed_forward", s->config.F);
    mg_figures_int(r, "codebooks", s->config.K);
    mg_figures_int(r, "entries", s->config.V);
    mg_figures_int(r, "text_tokens", s->b->settings->n_tokens);
    mg_figures_int(r, "batch", s->n_clips);
    mg_figures_int(r, "rows", s->n_rows);
    mg_figures_int(r, "position", mid);
    mg_figures_int(r, "steps", s->n_steps);
    mg_figures_number(r, "ms_per_step", median_s * 1e3, 3);
    mg_figures_number(r, "ms_per_step_min", all_s[0] * 1e3, 3);
    mg_figures_number(r, "ms_per_step_p95", all_s[(n_all * 95 + 99) / 100 - 1] * 1e3, 3);
    mg_figures_number(r, "bytes_per_step", mid_bytes, 0);
    mg_figures_number(r, "weight_bytes", weight_bytes, 0);
    mg_figures_number(r, "kv_bytes", mid_bytes / b->world->n_replicas - weight_bytes, 0);
    mg_figures_number(r, "gbps", mid_bytes / median_s / 1e9, 2);
    if (!b->settings->no_floor) report_floor(s, mid_bytes);
    mg_figures_number(r, "x_real_time", (double)s->n_clips * rate / MG_SCALING_FRAME_RATE, 6);
    MG_TRY(mg_bench_power_report(&s->power, r, s->n_steps, sum_s));
    MG_TRY(mg_bench_report_places(b, r));
done:
    free(all_s);
    return st;
}

mg_status mg_bench_step(mg_bench *b)
{
    const mg_bench_settings *settings = b->settings;
    const int64_t n_steps = settings->n_steps > 0 ? settings->n_steps : DEFAULT_STEPS;
    const int64_t n_together = b->backend.ops->space == MG_HOST ? GROUP_STEPS : GROUP_STEPS_ON_DEVICE;
    const int64_t n_groups = (n_steps + n_together - 1) / n_together;
    const int64_t around = settings->n_warmup + n_steps + n_groups, n_behind = mg_step_bench_n_behind(b);
    mg_status st = MG_OK;
    mg_bench_reader reader = {0};
    mg_step_bench s = {
        .b = b,
        .config = b->sizes ? b->sizes->lm : mg_bench_lm_config(settings->shape),
        .n_clips = settings->batch,
        .n_rows = settings->batch * (settings->no_guidance ? 1 : 2),
        .n_steps = n_steps,
        .n_warmup = settings->n_warmup,
        .n_groups = n_groups,
        .n_together = n_together,
        .n_behind = n_behind,
    };

    if (settings->model)
        MG_TRY(mg_comm_agree(b->world->all, mg_bench_model_config(&s.config, settings->model)));
    s.n_tokens = settings->n_prefill > 0 ? mg_larger(PREFILL_TOKENS, s.n_rows) : s.n_rows;

    s.first_position = settings->position;
    if (s.first_position < 0) s.first_position = mg_larger(clip_columns(&s) - around, 0) / 2;
    if (s.first_position + around + n_behind > s.config.max_positions)
        MG_TRY(mg_fail(MG_EUSAGE, "--position: %lld: with %lld steps it passes the table of %lld positions",
                       (long long)s.first_position, (long long)(around + n_behind),
                       (long long)s.config.max_positions));
    if (settings->n_prefill > s.config.max_positions)
        MG_TRY(mg_fail(MG_EUSAGE, "--prefill: %lld: passes the table of %lld positions",
                       (long long)settings->n_prefill, (long long)s.config.max_positions));
    MG_TRY(mg_comm_agree(b->world->all, mg_step_bench_open(&s)));
    if (!settings->no_floor)
        st = mg_bench_reader_open(&reader, &b->backend, b->world->all, step_bytes(&s, s.first_position));
    MG_TRY(mg_comm_agree(b->world->all, st));
    MG_TRY(measure_steps(&s, settings->no_floor ? NULL : &reader));
    MG_TRY(report_step(&s));
    MG_TRY(mg_step_bench_behind(&s, around));
    if (settings->decode) MG_TRY(mg_bench_sounds(b, &s.config, s.n_clips));
    MG_TRY(measure_prefill(&s, mg_numbers_median(s.step_s, n_steps)));
done:
    mg_bench_reader_close(&reader);
    mg_step_bench_close(&s);
    return st;
}
