/* One step of the language model on random weights of the true shape, against the time that reading its bytes
 * takes at the read bandwidth of the same run.
 *
 * The bandwidth of a shared machine moves by up to 2x within seconds. So groups of a few steps alternate with
 * read probes, a step is held against the better of the two probes around it, and the fraction reported is
 * the median over the steps. The steps go on column by column, as in generation. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_power.h"
#include "bench_shapes.h"
#include "bench_split.h"
#include "clock.h"
#include "hash.h"
#include "lm.h"
#include "predict.h"
#include "rng.h"

enum {
    GROUP_STEPS = 5,
    GROUP_STEPS_ON_DEVICE = 20,
    TEXT_TOKENS = 16,
    DEFAULT_STEPS = 60,
    PREFILL_TOKENS = 256,
    PREFILL_RUNS = 3,
    SPLIT_STEPS = 20
};

static const int64_t DEFAULT_COLUMNS = 504; /* of a 10 s clip: 500 frames and the delay */

typedef struct step_bench {
    mg_bench *b;
    mg_lm_config config;
    int64_t n_clips, n_rows, first_position, n_steps, n_warmup, n_groups, n_together, n_tokens, n_frames;
    int64_t n_split; /* steps after the timed ones whose parts are timed */
    mg_bench_block weights, run;
    mg_lm *lm;
    int32_t *cells, *row, *position, *text; /* host, [n_tokens, K], [n_tokens] x 3 */
    float *logits;                          /* [n_rows, K, V] */
    mg_draw *draws;                         /* [n_clips, K] */
    double *step_s, *fraction;              /* [n_steps]: time, and the floor's part of it */
    double *gbps;                           /* [n_groups]: the ceiling around each group of steps */
    mg_bench_power power;                   /* of the timed steps */
} step_bench;

static void step_close(step_bench *s)
{
    mg_bench_power_close(&s->power);
    mg_lm_close(s->lm);
    mg_bench_block_close(&s->weights);
    mg_bench_block_close(&s->run);
    free(s->cells);
    free(s->row);
    free(s->position);
    free(s->text);
    free(s->logits);
    free(s->draws);
    free(s->step_s);
    free(s->fraction);
    free(s->gbps);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static mg_status open_host(step_bench *s)
{
    const size_t N = (size_t)s->n_tokens, K = (size_t)s->config.K, V = (size_t)s->config.V;

    s->cells = calloc(N * K, sizeof *s->cells);
    s->row = calloc(N, sizeof *s->row);
    s->position = calloc(N, sizeof *s->position);
    s->text = calloc(N, sizeof *s->text);
    s->logits = calloc((size_t)s->n_rows * K * V, sizeof *s->logits);
    s->draws = calloc((size_t)s->n_clips * K, sizeof *s->draws);
    s->step_s = calloc((size_t)s->n_steps, sizeof *s->step_s);
    s->fraction = calloc((size_t)s->n_steps, sizeof *s->fraction);
    s->gbps = calloc((size_t)s->n_groups, sizeof *s->gbps);
    if (!s->cells || !s->row || !s->position || !s->text || !s->logits || !s->draws || !s->step_s ||
        !s->fraction || !s->gbps)
        return mg_fail(MG_ENOMEM, "bench: %zu rows", N);
    for (size_t i = 0; i < N; i++) {
        s->row[i] = (int32_t)i;
        s->text[i] = (int32_t)i; /* read for the rows with text alone, which come first */
    }
    return MG_OK;
}

/* Random texts, and random codes for every slot. */
static mg_status set_inputs(step_bench *s)
{
    const int64_t K = s->config.K, n_states = TEXT_TOKENS * s->config.d_text;
    float *states = calloc((size_t)n_states, sizeof *states);
    int32_t *codes = calloc((size_t)(K * s->n_frames), sizeof *codes);
    mg_status st = MG_OK;

    if (!states || !codes) MG_TRY(mg_fail(MG_ENOMEM, "bench: %lld numbers", (long long)n_states));
    for (int64_t i = 0; i < n_states; i++) states[i] = (float)mg_rng_uniform(1, i, 0) - 0.5F;
    for (int64_t clip = 0; clip < s->n_clips; clip++) {
        for (int64_t i = 0; i < K * s->n_frames; i++)
            codes[i] = (int32_t)(mg_rng_uniform((uint64_t)clip, i, 0) * (double)s->config.V);
        MG_TRY(mg_lm_set_text(s->lm, clip, states, TEXT_TOKENS));
        MG_TRY(mg_lm_put_codes(s->lm, clip, codes, s->n_frames, s->n_frames));
    }
done:
    free(states);
    free(codes);
    return st;
}

/* Weights, then room, each surveyed and then taken. */
static mg_status open_model(step_bench *s)
{
    const mg_bench *b = s->b;
    const int64_t n_frames = larger(
        s->first_position + s->n_warmup + s->n_steps + s->n_groups + s->n_split + 1, b->settings->n_prefill);
    const mg_lm_limits limits = {
        .n_rows = s->n_rows,
        .n_texts = s->n_clips,
        .n_tokens = s->n_tokens,
        .n_logits = s->n_rows,
        .T_max = n_frames,
        .S_max = TEXT_TOKENS,
        .n_slots = s->n_clips,
        .n_frames = n_frames,
    };
    mg_status st = MG_OK;
    mg_arena measure = mg_arena_measure("weights"), arena;
    mg_weights w;

    s->n_frames = n_frames;
    mg_weights_init(&w, b->backend.ops, NULL, &measure, "");
    MG_TRY(mg_lm_load(&s->lm, &s->config, b->backend.formats, b->backend.group, &w));
    MG_TRY(mg_weights_check_survey(&w));
    MG_TRY(mg_bench_block_open(&s->weights, &arena, b->backend.ops, &measure));
    w.arena = &arena;
    MG_TRY(mg_lm_load(&s->lm, &s->config, b->backend.formats, b->backend.group, &w));

    measure = mg_arena_measure("run");
    MG_TRY(mg_lm_reserve(s->lm, &measure, &limits));
    MG_TRY(mg_bench_block_open(&s->run, &arena, b->backend.ops, &measure));
    if (s->n_split > 0) { /* keys of columns that were never fed are zeros: the codes drawn are defined */
        mg_tensor room = mg_tensor_1d(s->run.data, MG_F32, (int64_t)(s->run.bytes / sizeof(float)));
        MG_TRY(mg_zero(b->backend.ops, &room));
    }
    MG_TRY(mg_lm_reserve(s->lm, &arena, &limits));
    MG_TRY(mg_lm_tune(s->lm));
    MG_TRY(set_inputs(s));
done:
    mg_weights_close(&w);
    return st;
}

static bool is_on_device(const step_bench *s)
{
    return s->b->backend.ops->space == MG_DEVICE;
}

/* Wait for all that was asked for. */
static mg_status wait_for_steps(step_bench *s)
{
    int32_t code[MG_MAX_CODEBOOKS];

    return mg_lm_get_codes(s->lm, 0, code, 1, 1);
}

/* The i-th step: one column for each row. */
static mg_status feed_column(step_bench *s, int64_t i, const mg_draw *draws, int64_t n_draws)
{
    const int64_t K = s->config.K;

    for (int64_t n = 0; n < s->n_rows; n++) {
        s->position[n] = (int32_t)(s->first_position + i);
        for (int64_t k = 0; k < K; k++) s->cells[n * K + k] = mg_lm_cell(s->lm, n % s->n_clips, k, i);
    }
    const mg_lm_batch batch = {s->n_rows, s->n_clips, true, s->cells, s->row, s->position, s->text};
    return mg_lm_step(s->lm, &batch, draws, n_draws);
}

/* And its logits, which stay on a device: there a run queues its steps and draws beside them. */
static mg_status run_step(step_bench *s, int64_t i)
{
    MG_RETURN(feed_column(s, i, NULL, 0));
    return is_on_device(s) ? MG_OK : mg_lm_logits(s->lm, s->logits);
}

/* Steps [first, end) of the timed ones, the next of which is the *i-th of all. On a device they are queued
 * and waited for once, as in a run, and each is the mean. */
static mg_status time_steps(step_bench *s, int64_t *i, int64_t first, int64_t end)
{
    const double group_begin_s = mg_clock_s();

    for (int64_t j = first; j < end; j++) {
        const double begin_s = mg_clock_s();
        MG_RETURN(run_step(s, (*i)++));
        s->step_s[j] = mg_clock_s() - begin_s;
    }
    if (!is_on_device(s)) return MG_OK;
    MG_RETURN(wait_for_steps(s));
    const double mean_s = (mg_clock_s() - group_begin_s) / (double)(end - first);
    for (int64_t j = first; j < end; j++) s->step_s[j] = mean_s;
    return MG_OK;
}

/* Columns [0, n_prefill) of all rows, in passes of n_tokens: keys and values are all that is left. Then wait
 * for them. */
static mg_status run_prefill(step_bench *s)
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
    return wait_for_steps(s);
}

/* Multiplications by matrices: all layers but the last one's, of which keys and values are all that is
 * wanted; no heads, and text attention in rows with a text alone. */
static double prefill_products(const step_bench *s)
{
    const double D = (double)s->config.D, F = (double)s->config.F, L = (double)s->config.L;
    const double plain = (L - 1) * (4 * D * D + 2 * D * F) + 3 * D * D, text = (L - 1) * 2 * D * D;

    return (double)s->b->settings->n_prefill * ((double)s->n_rows * plain + (double)s->n_clips * text);
}

static mg_status measure_prefill(step_bench *s, double step_median_s)
{
    const int64_t n = s->b->settings->n_prefill;
    mg_report *r = &s->b->report;
    double run_s[PREFILL_RUNS];

    if (n == 0) return MG_OK;
    for (int i = 0; i < PREFILL_RUNS; i++) {
        const double begin_s = mg_clock_s();
        MG_RETURN(run_prefill(s));
        run_s[i] = mg_clock_s() - begin_s;
    }
    const double median_s = mg_bench_median(run_s, PREFILL_RUNS);
    mg_report_int(r, "prefill_columns", n);
    mg_report_number(r, "prefill_ms", median_s * 1e3, 1);
    mg_report_number(r, "prefill_gflops", 2 * prefill_products(s) / median_s / 1e9, 1);
    mg_report_number(r, "prefill_in_steps", median_s / step_median_s, 1);
    return MG_OK;
}

/* Of all replicas together. */
static double step_bytes(const step_bench *s, int64_t position)
{
    return s->b->world->n_replicas *
           ((double)mg_predict_weight_bytes(&s->config, s->b->backend.formats.weights) +
            mg_predict_kv_bytes(&s->config, s->b->backend.formats.kv, s->n_rows, (double)(position + 1),
                                s->n_clips, TEXT_TOKENS));
}

static mg_status measure_steps(step_bench *s, mg_bench_reader *reader)
{
    int64_t i = 0, n_done = 0;

    while (i < s->n_warmup) MG_RETURN(run_step(s, i++));
    mg_bench_power_begin(&s->power, &s->b->backend, s->b->world);
    MG_RETURN(mg_bench_reader_probe(reader));
    for (int64_t group = 0; group < s->n_groups; group++) {
        const double before_gbps = reader->gbps;
        const int64_t first = n_done, first_position = s->first_position + i + 1;
        MG_RETURN(run_step(s, i++)); /* not timed: the probe has swept the caches */
        if (is_on_device(s)) MG_RETURN(wait_for_steps(s));
        n_done = first + s->n_together < s->n_steps ? first + s->n_together : s->n_steps;
        mg_bench_power_skip(&s->power);
        MG_RETURN(time_steps(s, &i, first, n_done));
        mg_bench_power_take(&s->power);
        MG_RETURN(mg_bench_reader_probe(reader));
        s->gbps[group] = reader->gbps > before_gbps ? reader->gbps : before_gbps;
        for (int64_t j = first; j < n_done; j++)
            s->fraction[j] =
                step_bytes(s, first_position + j - first) / (s->gbps[group] * 1e9) / s->step_s[j];
    }
    return MG_OK;
}

/* The i-th step as a run takes it: each clip's codes are drawn, and the next step reads them. */
static mg_status draw_step(step_bench *s, int64_t i)
{
    const int64_t K = s->config.K, n = s->n_clips * K;

    for (int64_t j = 0; j < n; j++) {
        const int64_t clip = j / K, k = j % K;
        s->draws[j] = (mg_draw){
            .token = {(int32_t)clip, (int32_t)(s->n_rows > s->n_clips ? s->n_clips + clip : clip)},
            .n_roles = s->n_rows > s->n_clips ? 2 : 1,
            .k = (int32_t)k,
            .cell = mg_lm_cell(s->lm, clip, k, i + 1),
            .coef = 3,
            .how = {.top_k = 250, .temperature = 1},
            .uniform = mg_rng_uniform((uint64_t)clip, i, (int)k),
        };
    }
    return feed_column(s, i, s->draws, n);
}

/* n_split steps from the i-th on, with the times of their parts where the host computes: [n_split, parts and
 * the whole]. */
static mg_status split_steps(step_bench *s, mg_bench_split *split, double *times, int64_t i)
{
    mg_bench_split_comm of_comm;
    mg_status st = MG_OK;

    if (!is_on_device(s)) mg_bench_split_begin(split, &of_comm, s->b->backend.ops, s->b->backend.group);
    for (int64_t j = 0; j < s->n_split && st == MG_OK; j++) {
        const double begin_s = mg_clock_s();
        split->records = j == 0;
        memset(split->s, 0, sizeof split->s);
        st = draw_step(s, i + j);
        memcpy(times, split->s, sizeof split->s);
        times[MG_BENCH_N_PARTS] = mg_clock_s() - begin_s;
        times += MG_BENCH_N_PARTS + 1;
    }
    if (!is_on_device(s)) mg_bench_split_end(split, &of_comm, s->b->backend.ops, s->b->backend.group);
    return st;
}

/* Their parts, and the hash of the codes that the first clip got: the same for any ranks and batch. */
static mg_status measure_split(step_bench *s, int64_t i)
{
    const int64_t n = s->n_split, K = s->config.K, end = i + n + 1, n_times = n * (MG_BENCH_N_PARTS + 1);
    double *times = NULL;
    int32_t *codes = NULL;
    char hash[65];
    mg_bench_split split = {0};
    mg_status st = MG_OK;

    if (n == 0) return MG_OK;
    codes = calloc((size_t)(K * end), sizeof *codes);
    times = calloc((size_t)n_times + 1, sizeof *times);
    MG_TRY(mg_comm_agree(s->b->world->all, codes && times ? MG_OK : mg_fail(MG_ENOMEM, "bench: codes")));
    MG_TRY(split_steps(s, &split, times, i));
    MG_TRY(mg_lm_get_codes(s->lm, 0, codes, end, end));
    MG_TRY(mg_comm_agree(s->b->world->all, mg_hash_bytes(hash, codes, (size_t)(K * end) * sizeof *codes)));
    hash[16] = '\0'; /* enough to see a difference */
    mg_report_text(&s->b->report, "codes", hash);
    if (is_on_device(s)) goto done;
    MG_TRY(mg_bench_bare_sums(&times[n_times], &split, s->b->backend.group, SPLIT_STEPS));
    MG_TRY(mg_bench_report_split(&s->b->report, &split, times, n, s->b->world));
done:
    mg_bench_split_close(&split);
    free(codes);
    free(times);
    return st;
}

static mg_status report_step(step_bench *s)
{
    const mg_bench *b = s->b;
    mg_report *r = &s->b->report;
    const int64_t mid = s->first_position + s->n_warmup + (s->n_steps + s->n_groups) / 2;
    const double weight_bytes = (double)mg_predict_weight_bytes(&s->config, b->backend.formats.weights);
    const int64_t n_all = s->n_steps * b->world->size;
    double sum_s = 0, *all_s = calloc((size_t)n_all, sizeof *all_s);
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(b->world->all, all_s ? MG_OK : mg_fail(MG_ENOMEM, "bench: steps")));
    MG_TRY(mg_comm_all_gather(b->world->all, all_s, s->step_s, s->n_steps, MG_F64));
    for (int64_t i = 0; i < s->n_steps; i++) sum_s += s->step_s[i];
    const double mid_bytes = step_bytes(s, mid), median_s = mg_bench_median(all_s, n_all);
    const double read_gbps = mg_bench_median(s->gbps, s->n_groups);

    mg_report_text(r, "shape",
                   b->settings->model ? b->settings->model : mg_bench_shape_name(b->settings->shape));
    mg_report_text(r, "dtype", mg_format_name(b->backend.formats.weights));
    mg_report_text(r, "kv", mg_format_name(b->backend.formats.kv));
    mg_report_int(r, "layers", s->config.L);
    mg_report_int(r, "width", s->config.D);
    mg_report_int(r, "feed_forward", s->config.F);
    mg_report_int(r, "codebooks", s->config.K);
    mg_report_int(r, "entries", s->config.V);
    mg_report_int(r, "text_tokens", TEXT_TOKENS);
    mg_report_int(r, "batch", s->n_clips);
    mg_report_int(r, "rows", s->n_rows);
    mg_report_int(r, "position", mid);
    mg_report_int(r, "steps", s->n_steps);
    mg_report_number(r, "ms_per_step", median_s * 1e3, 3);
    mg_report_number(r, "ms_per_step_min", all_s[0] * 1e3, 3);
    mg_report_number(r, "ms_per_step_p95", all_s[n_all * 95 / 100] * 1e3, 3);
    mg_report_number(r, "bytes_per_step", mid_bytes, 0);
    mg_report_number(r, "weight_bytes", weight_bytes, 0);
    mg_report_number(r, "kv_bytes", mid_bytes / b->world->n_replicas - weight_bytes, 0);
    mg_report_number(r, "gbps", mid_bytes / median_s / 1e9, 2);
    mg_report_number(r, "read_gbps", read_gbps, 2);
    mg_report_number(r, "read_gbps_min", s->gbps[0], 2);
    mg_report_number(r, "read_gbps_max", s->gbps[s->n_groups - 1], 2);
    mg_report_number(r, "floor_ms", mid_bytes / read_gbps / 1e6, 3);
    mg_report_number(r, "fraction_of_floor", mg_bench_median(s->fraction, s->n_steps), 3);
    mg_report_number(r, "x_real_time", (double)(s->n_clips * b->world->n_replicas) / (50.0 * median_s), 2);
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
    const int64_t n_split = settings->split ? SPLIT_STEPS : 0;
    const int64_t total = settings->n_warmup + n_steps + n_groups + n_split;
    mg_status st = MG_OK;
    mg_bench_reader reader = {0};
    step_bench s = {
        .b = b,
        .config = mg_bench_lm_config(settings->shape),
        .n_clips = settings->batch,
        .n_rows = settings->batch * (settings->no_guidance ? 1 : 2),
        .n_steps = n_steps,
        .n_warmup = settings->n_warmup,
        .n_groups = n_groups,
        .n_together = n_together,
        .n_split = n_split,
    };

    if (settings->model)
        MG_TRY(mg_comm_agree(b->world->all, mg_bench_model_config(&s.config, settings->model)));
    s.n_tokens = settings->n_prefill > 0 ? larger(PREFILL_TOKENS, s.n_rows) : s.n_rows;

    /* by default the timed steps lie around the middle of a 10 s clip */
    s.first_position = settings->position;
    if (s.first_position < 0) s.first_position = total < DEFAULT_COLUMNS ? (DEFAULT_COLUMNS - total) / 2 : 0;
    if (s.first_position + total > s.config.max_positions)
        MG_TRY(mg_fail(MG_EUSAGE, "--position: %lld: with %lld steps it passes the table of %lld positions",
                       (long long)s.first_position, (long long)total, (long long)s.config.max_positions));
    st = open_host(&s);
    if (st == MG_OK) st = open_model(&s);
    if (st == MG_OK) st = mg_bench_reader_open(&reader, &b->backend, b->world->all);
    MG_TRY(mg_comm_agree(b->world->all, st));
    MG_TRY(measure_steps(&s, &reader));
    MG_TRY(report_step(&s));
    MG_TRY(measure_split(&s, settings->n_warmup + n_steps + n_groups));
    if (settings->decode) MG_TRY(mg_bench_sounds(b, &s.config, s.n_clips));
    MG_TRY(measure_prefill(&s, mg_bench_median(s.step_s, n_steps)));
done:
    mg_bench_reader_close(&reader);
    step_close(&s);
    return st;
}
