/* The other parts, each alone: the codec's two halves, the text encoder, the all-reduce. */
#include <stdlib.h>

#include "bench.h"
#include "bench_shapes.h"
#include "clock.h"
#include "encodec.h"
#include "numbers.h"
#include "rng.h"
#include "t5.h"

enum {
    DEFAULT_CODINGS = 3,
    DEFAULT_ENCODES = 20,
    DEFAULT_REDUCES = 1000,
    REDUCES_TOGETHER = 50, /* in a recording */
    WARM_REDUCES = 10,
    MIN_REDUCE_FLOATS = 1024
};

static const int64_t MAX_REDUCE_FLOATS = 256 * 1024; /* 1 MiB: far above any step's */

static int64_t repetitions(const mg_bench *b, int64_t otherwise)
{
    return b->settings->n_steps > 0 ? b->settings->n_steps : otherwise;
}

static void report_ms(mg_figures *r, double *run_s, int64_t n_runs)
{
    mg_figures_int(r, "runs", n_runs);
    mg_figures_number(r, "ms", mg_numbers_median(run_s, n_runs) * 1e3, 3);
    mg_figures_number(r, "ms_min", run_s[0] * 1e3, 3);
}

/* Clips of codes and noise of their own. */
typedef struct codec_clips {
    mg_encodec_codes *codes; /* [n] */
    mg_encodec_pcm *pcm;     /* [n] */
    int32_t *all_codes;
    float *all_pcm;
} codec_clips;

static mg_status open_clips(codec_clips *c, const mg_codec_config *config, int64_t T, int64_t n)
{
    const int64_t K = config->n_codebooks, N = T * config->hop;

    c->codes = calloc((size_t)n, sizeof *c->codes);
    c->pcm = calloc((size_t)n, sizeof *c->pcm);
    c->all_codes = calloc((size_t)(n * K * T), sizeof *c->all_codes);
    c->all_pcm = calloc((size_t)(n * N), sizeof *c->all_pcm);
    if (!c->codes || !c->pcm || !c->all_codes || !c->all_pcm)
        return mg_fail(MG_ENOMEM, "bench: %lld clips of %lld frames", (long long)n, (long long)T);
    for (int64_t i = 0; i < n; i++) {
        c->codes[i] = (mg_encodec_codes){c->all_codes + i * K * T, T, T};
        c->pcm[i] = (mg_encodec_pcm){c->all_pcm + i * N, 1, N};
    }
    for (int64_t i = 0; i < n * K * T; i++)
        c->all_codes[i] = (int32_t)(mg_rng_uniform(1, i, 0) * (double)config->codebook_size);
    for (int64_t i = 0; i < n * N; i++) c->all_pcm[i] = (float)(mg_rng_uniform(1, i, 1) - 0.5);
    return MG_OK;
}

static void close_clips(codec_clips *c)
{
    free(c->codes);
    free(c->pcm);
    free(c->all_codes);
    free(c->all_pcm);
}

/* One way through the codec. */
static mg_status bench_codec(mg_bench *b, int half)
{
    const mg_codec_config config = b->sizes ? b->sizes->codec : mg_bench_codec_config();
    const int64_t T = (int64_t)(b->settings->dur_s * (double)config.frame_rate + 0.5);
    const int64_t n_runs = repetitions(b, DEFAULT_CODINGS), n = b->settings->batch;
    const int64_t n_at_once = n < MG_ENCODEC_MOST_AT_ONCE ? n : MG_ENCODEC_MOST_AT_ONCE;
    mg_status st = MG_OK;
    mg_arena measure = mg_arena_measure("weights"), arena;
    mg_memory_block weights = {0}, run = {0};
    mg_weights w;
    mg_encodec *codec = NULL;
    codec_clips clips = {0};
    double *run_s = calloc((size_t)n_runs, sizeof *run_s);

    mg_weights_init(&w, b->beside.ops, NULL, &measure, "");
    if (!run_s) MG_TRY(mg_fail(MG_ENOMEM, "bench: %lld repetitions", (long long)n_runs));
    MG_TRY(open_clips(&clips, &config, T, n));
    MG_TRY(mg_encodec_load(&codec, &config, half, &w));
    MG_TRY(mg_weights_check_survey(&w));
    MG_TRY(mg_memory_block_open(&weights, &arena, b->beside.ops, &measure));
    w.arena = &arena;
    MG_TRY(mg_encodec_load(&codec, &config, half, &w));
    measure = mg_arena_measure("run");
    MG_TRY(mg_encodec_reserve(codec, &measure, n_at_once));
    MG_TRY(mg_memory_block_open(&run, &arena, b->beside.ops, &measure));
    MG_TRY(mg_encodec_reserve(codec, &arena, n_at_once));
    mg_encodec_heed_stop(codec);

    for (int64_t i = -1; i < n_runs; i++) { /* the first warms up */
        const double begin_s = mg_clock_s();
        MG_TRY(half == MG_ENCODEC_DECODER ? mg_encodec_decode(codec, clips.pcm, clips.codes, n)
                                          : mg_encodec_encode(codec, clips.codes, clips.pcm, n));
        if (i >= 0) run_s[i] = mg_clock_s() - begin_s;
    }
    mg_figures_number(&b->report, "seconds", (double)T / (double)config.frame_rate, 2);
    mg_figures_int(&b->report, "batch", n);
    report_ms(&b->report, run_s, n_runs);
    mg_figures_number(&b->report, "x_real_time",
                      (double)(n * T) / (double)config.frame_rate / mg_numbers_median(run_s, n_runs), 2);
done:
    mg_encodec_close(codec);
    mg_weights_close(&w);
    mg_memory_block_close(&weights);
    mg_memory_block_close(&run);
    close_clips(&clips);
    free(run_s);
    return st;
}

mg_status mg_bench_decode(mg_bench *b)
{
    return bench_codec(b, MG_ENCODEC_DECODER);
}

/* n clips through the codec together, in ms: once to warm up and once timed. On a CPU the codec takes stretch
 * after short stretch, so of long clips the beginning tells the rest. A device's stretches are long, and a
 * short one does not fill it. */
static mg_status decode_clips(double *ms, const mg_bench *b, const mg_config *sizes, int64_t n)
{
    const mg_bench_settings *settings = b->settings;
    const double most_s = b->beside.ops->space == MG_DEVICE ? settings->dur_s : 2;
    const double dur_s = settings->dur_s < most_s ? settings->dur_s : most_s;
    const mg_bench_settings sounds = {
        .what = MG_BENCH_DECODE, .batch = n * sizes->lm.n_channels, .dur_s = dur_s, .n_steps = 1};
    mg_bench alone = *b;

    alone.settings = &sounds, alone.sizes = sizes, alone.report = (mg_figures){0};
    const mg_status st = mg_bench_decode(&alone);
    *ms = mg_figures_value(&alone.report, "ms") * settings->dur_s / dur_s;
    mg_figures_reset(&alone.report);
    return st;
}

mg_status mg_bench_sounds(mg_bench *b, const mg_lm_config *config, int64_t n_clips)
{
    const mg_world *w = b->world;
    const char *model = b->settings->model;
    const mg_config sizes = {.lm = *config,
                             .codec = b->sizes ? b->sizes->codec
                                      : model  ? mg_bench_model_codec(model)
                                               : mg_bench_codec_config()};
    const int64_t suit = b->beside.ops->hints.n_sequences / config->n_channels;
    const int64_t together = suit < 1 ? 1 : suit < n_clips ? suit : n_clips;
    double mine = 0, *all = calloc((size_t)w->size, sizeof *all);
    int64_t n = 0;
    mg_status st = all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size);

    if (st == MG_OK && w->tp_rank == 0) st = decode_clips(&mine, b, &sizes, together);
    MG_TRY(mg_world_await_all(w, st));
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, 1, MG_F64));
    for (int r = 0; r < w->size; r += w->tp) all[n++] = all[r];
    const double lot_ms = mg_numbers_median(all, n);
    mg_figures_number(&b->report, "decode_first_ms", lot_ms, 3);
    mg_figures_number(&b->report, "decode_batch_ms", lot_ms * (double)n_clips / (double)together, 3);
done:
    free(all);
    return st;
}

mg_status mg_bench_encode(mg_bench *b)
{
    return bench_codec(b, MG_ENCODEC_ENCODER);
}

mg_status mg_bench_t5(mg_bench *b)
{
    const mg_t5_config config = b->sizes ? b->sizes->t5 : mg_bench_t5_config();
    const int64_t S = b->settings->n_tokens, n_runs = repetitions(b, DEFAULT_ENCODES);
    mg_ops *ops = mg_backend_text_ops(&b->beside);
    mg_status st = MG_OK;
    mg_arena measure = mg_arena_measure("weights"), arena;
    mg_memory_block weights = {0}, run = {0};
    mg_weights w;
    mg_t5 *t5 = NULL;
    float *states = calloc((size_t)(S * config.d_model), sizeof *states);
    int32_t *ids = calloc((size_t)S, sizeof *ids);
    double *run_s = calloc((size_t)n_runs, sizeof *run_s);

    mg_weights_init(&w, ops, NULL, &measure, "");
    if (!states || !ids || !run_s) MG_TRY(mg_fail(MG_ENOMEM, "bench: %lld tokens", (long long)S));
    for (int64_t i = 0; i < S; i++) ids[i] = (int32_t)(mg_rng_uniform(1, i, 0) * (double)config.vocab_size);
    MG_TRY(mg_t5_load(&t5, &config, &w));
    MG_TRY(mg_weights_check_survey(&w));
    MG_TRY(mg_memory_block_open(&weights, &arena, ops, &measure));
    w.arena = &arena;
    MG_TRY(mg_t5_load(&t5, &config, &w));
    measure = mg_arena_measure("run");
    MG_TRY(mg_t5_reserve(t5, &measure, S));
    MG_TRY(mg_memory_block_open(&run, &arena, ops, &measure));
    MG_TRY(mg_t5_reserve(t5, &arena, S));

    for (int64_t i = -3; i < n_runs; i++) { /* the first three warm up */
        const double begin_s = mg_clock_s();
        MG_TRY(mg_t5_encode(t5, states, ids, S));
        if (i >= 0) run_s[i] = mg_clock_s() - begin_s;
    }
    mg_figures_int(&b->report, "tokens", S);
    report_ms(&b->report, run_s, n_runs);
done:
    mg_t5_close(t5);
    mg_weights_close(&w);
    mg_memory_block_close(&weights);
    mg_memory_block_close(&run);
    free(states);
    free(ids);
    free(run_s);
    return st;
}

/* On a device: recorded, as a step's sums are, and waited for once; each is the mean. */
static mg_status time_recorded(double *run_s, int64_t n_runs, const mg_backend *b, void *x, int64_t n)
{
    const double begin_s = mg_clock_s();
    int64_t n_sums = 0;
    float first;

    for (; n_sums < n_runs; n_sums += REDUCES_TOGETHER) {
        bool replay = false;
        MG_RETURN(mg_step_begin(b->ops, (uint64_t)n, &replay));
        for (int i = 0; i < REDUCES_TOGETHER && !replay; i++) MG_RETURN(mg_comm_all_reduce(b->group, x, n));
        MG_RETURN(mg_step_end(b->ops));
    }
    MG_RETURN(mg_download(b->ops, &first, x, sizeof first));
    const double mean_s = (mg_clock_s() - begin_s) / (double)n_sums;
    for (int64_t i = 0; i < n_runs; i++) run_s[i] = mean_s;
    return MG_OK;
}

/* n_runs sums of n floats in the backend's memory, in seconds each, in order. */
static mg_status time_reduces(double *run_s, int64_t n_runs, const mg_backend *b, void *x, int64_t n)
{
    if (b->ops->space == MG_DEVICE) return time_recorded(run_s, n_runs, b, x, n);
    for (int64_t i = 0; i < n_runs; i++) {
        const double begin_s = mg_clock_s();
        MG_RETURN(mg_comm_all_reduce(b->group, x, n));
        run_s[i] = mg_clock_s() - begin_s;
    }
    return MG_OK;
}

mg_status mg_bench_allreduce(mg_bench *b)
{
    const int64_t n_runs = repetitions(b, DEFAULT_REDUCES);
    const size_t x_bytes = (size_t)MAX_REDUCE_FLOATS * sizeof(float);
    const mg_ops *ops = b->backend.ops;
    void *x = NULL;
    double *run_s = calloc((size_t)n_runs, sizeof *run_s);
    mg_status st = run_s ? MG_OK : mg_fail(MG_ENOMEM, "bench: %lld repetitions", (long long)n_runs);

    if (st == MG_OK) st = mg_ops_alloc(ops, &x, x_bytes);
    mg_tensor all = mg_tensor_1d(x, MG_F32, MAX_REDUCE_FLOATS);
    if (st == MG_OK) st = mg_zero(ops, &all);
    MG_TRY(mg_comm_agree(b->comm, st));
    mg_figures_text(&b->report, "comm", b->backend.group->name);
    mg_figures_int(&b->report, "runs", n_runs);
    for (int64_t n = MIN_REDUCE_FLOATS; n <= MAX_REDUCE_FLOATS; n *= 2) {
        char name[32];
        MG_TRY(time_reduces(run_s, n_runs < WARM_REDUCES ? n_runs : WARM_REDUCES, &b->backend, x, n));
        MG_TRY(time_reduces(run_s, n_runs, &b->backend, x, n));
        (void)snprintf(name, sizeof name, "us_%lld_bytes", (long long)(n * 4));
        mg_figures_number(&b->report, name, mg_numbers_median(run_s, n_runs) * 1e6, 2);
    }
done:
    mg_step_forget(ops);
    mg_ops_release(ops, x, x_bytes);
    free(run_s);
    return st;
}
