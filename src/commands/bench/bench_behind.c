/* Steps behind the timed ones: what draws a step's codes, and where its time goes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_kernels.h"
#include "bench_split.h"
#include "bench_step.h"
#include "clock.h"
#include "hash.h"
#include "numbers.h"
#include "rng.h"

enum { SPLIT_STEPS = 20, DRAW_STEPS = 10, DRAW_BLOCKS = 4, KERNEL_RUNS = 20 };

int64_t mg_step_bench_n_behind(const mg_bench *b)
{
    const int64_t n_draws = b->backend.ops->space == MG_DEVICE ? DRAW_BLOCKS * DRAW_STEPS : 0;

    return (b->settings->split ? SPLIT_STEPS + n_draws : 0) + b->settings->kernels;
}

/* The i-th step as a run takes it: each clip's codes are drawn, and the next step reads them. */
static mg_status draw_step(mg_step_bench *s, int64_t i)
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
    return mg_step_bench_feed(s, i, s->draws, n);
}

/* Steps from the i-th on, with the times of their parts where the host computes: [SPLIT_STEPS,
 * parts and the whole]. */
static mg_status split_steps(mg_step_bench *s, mg_bench_split *split, double *times, int64_t i)
{
    mg_bench_split_comm of_comm;
    mg_status st = MG_OK;

    if (!mg_step_bench_on_device(s))
        mg_bench_split_begin(split, &of_comm, s->b->backend.ops, s->b->backend.group);
    for (int64_t j = 0; j < SPLIT_STEPS && st == MG_OK; j++) {
        const double begin_s = mg_clock_s();
        split->records = j == 0;
        memset(split->s, 0, sizeof split->s);
        st = draw_step(s, i + j);
        memcpy(times, split->s, sizeof split->s);
        times[MG_BENCH_N_PARTS] = mg_clock_s() - begin_s;
        times += MG_BENCH_N_PARTS + 1;
    }
    if (!mg_step_bench_on_device(s))
        mg_bench_split_end(split, &of_comm, s->b->backend.ops, s->b->backend.group);
    return st;
}

/* Their parts, and the hash of the codes that the first clip got: the same for any ranks and batch. */
static mg_status measure_split(mg_step_bench *s, int64_t i)
{
    const int64_t n = SPLIT_STEPS, K = s->config.K, end = i + n + 1, n_times = n * (MG_BENCH_N_PARTS + 1);
    double *times = NULL;
    int32_t *codes = NULL;
    char hash[65];
    mg_bench_split split = {0};
    mg_status st = MG_OK;

    codes = calloc((size_t)(K * end), sizeof *codes);
    times = calloc((size_t)n_times + 1, sizeof *times);
    MG_TRY(mg_comm_agree(s->b->world->all, codes && times ? MG_OK : mg_fail(MG_ENOMEM, "bench: codes")));
    MG_TRY(split_steps(s, &split, times, i));
    MG_TRY(mg_lm_get_codes(s->lm, 0, codes, end, 0, end));
    MG_TRY(mg_comm_agree(s->b->world->all, mg_hash_bytes(hash, codes, (size_t)(K * end) * sizeof *codes)));
    hash[16] = '\0'; /* enough to see a difference */
    mg_figures_text(&s->b->report, "codes", hash);
    if (mg_step_bench_on_device(s)) goto done;
    MG_TRY(mg_bench_bare_sums(&times[n_times], &split, s->b->backend.group, SPLIT_STEPS));
    MG_TRY(mg_bench_report_split(&s->b->report, &split, times, n, s->b->world));
done:
    mg_bench_split_close(&split);
    free(codes);
    free(times);
    return st;
}

/* What draws add to a step of a device, whose parts are not timed: blocks of steps without and with them take
 * turns, so that histories that grow longer count for both alike. */
static mg_status measure_draws(mg_step_bench *s, int64_t i)
{
    static const bool with_draws[DRAW_BLOCKS] = {false, true, true, false};
    const int64_t n = mg_smaller(DRAW_STEPS, s->n_steps);
    double sum_s[2] = {0};

    if (!mg_step_bench_on_device(s)) return MG_OK;
    for (int k = 0; k < DRAW_BLOCKS; k++) {
        const double begin_s = mg_clock_s();
        for (int64_t j = 0; j < n; j++, i++)
            MG_RETURN(with_draws[k] ? draw_step(s, i) : mg_step_bench_run(s, i));
        MG_RETURN(mg_step_bench_wait(s));
        sum_s[with_draws[k]] += mg_clock_s() - begin_s;
    }
    mg_figures_number(&s->b->report, "split_sampling_ms",
                      fmax(sum_s[true] - sum_s[false], 0) / (double)(n * DRAW_BLOCKS / 2) * 1e3, 4);
    return MG_OK;
}

/* A step with draws, for bench_kernels.c. */
static mg_status run_any_step(void *arg)
{
    mg_step_bench *s = arg;

    return draw_step(s, s->n_warmup + s->n_steps + s->n_groups + s->n_behind - 1);
}

static mg_status wait_for_any(void *arg)
{
    return mg_step_bench_wait(arg);
}

static mg_status measure_kernels(mg_step_bench *s)
{
    const mg_bench_kernels_step step = {run_any_step, wait_for_any, s};

    return mg_bench_kernels(&s->b->report, s->b->backend.ops, &step, mg_smaller(KERNEL_RUNS, s->n_steps));
}

mg_status mg_step_bench_behind(mg_step_bench *s, int64_t i)
{
    if (s->b->settings->split) MG_RETURN(measure_split(s, i));
    if (s->b->settings->split) MG_RETURN(measure_draws(s, i + SPLIT_STEPS));
    return s->b->settings->kernels ? measure_kernels(s) : MG_OK;
}
