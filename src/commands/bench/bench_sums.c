/* What the calls of a step's group cost: in the steps themselves, and bare, the same calls with nothing
 * between them. */
#include <stdlib.h>

#include "bench.h"
#include "bench_split.h"
#include "clock.h"
#include "numbers.h"

enum { WARM_RUNS = 3 };

/* The calls of one step, in their order, on other data. */
static mg_status run_calls(const mg_bench_split *split, mg_comm *group, void *all, void *mine)
{
    for (size_t i = 0; i < split->n_calls; i++) {
        const mg_bench_call *c = &split->call[i];
        MG_RETURN(c->gathers ? mg_comm_all_gather(group, all, mine, c->n, c->dtype)
                             : mg_comm_all_reduce(group, all, c->n));
    }
    return MG_OK;
}

mg_status mg_bench_bare_sums(double *median_s, const mg_bench_split *split, mg_comm *group, int n_runs)
{
    size_t all_bytes = 1, mine_bytes = 1;
    double *run_s = calloc((size_t)n_runs, sizeof *run_s);
    void *all = NULL, *mine = NULL;
    mg_status st = MG_OK;

    *median_s = 0;
    for (size_t i = 0; i < split->n_calls; i++) {
        const size_t bytes = (size_t)split->call[i].n * mg_dtype_bytes(split->call[i].dtype);
        const size_t room = bytes * (split->call[i].gathers ? (size_t)group->size : 1);
        if (room > all_bytes) all_bytes = room;
        if (bytes > mine_bytes) mine_bytes = bytes;
    }
    all = calloc(1, all_bytes), mine = calloc(1, mine_bytes);
    MG_TRY(mg_comm_agree(group, run_s && all && mine ? MG_OK : mg_fail(MG_ENOMEM, "bench: sums")));
    for (int i = -WARM_RUNS; i < n_runs; i++) {
        MG_TRY(mg_comm_barrier(group));
        const double begin_s = mg_clock_s();
        MG_TRY(run_calls(split, group, all, mine));
        if (i >= 0) run_s[i] = mg_clock_s() - begin_s;
    }
    *median_s = mg_numbers_median(run_s, n_runs);
done:
    free(run_s);
    free(all);
    free(mine);
    return st;
}

enum { WHOLE = MG_BENCH_N_PARTS, N_TIMES };

typedef struct split_sum {
    double part_s[N_TIMES], sums_s, bare_s; /* of a step; sums_s: what sums cost without waiting */
} split_sum;

/* A group's steps, [tp][n_steps][N_TIMES] with a rank's bare_s behind its steps: those of the faster half are
 * added to `sum`, a mean over the ranks. The rank that comes last to a sum waits least. */
static void add_group(split_sum *sum, const double *times, int64_t n_steps, int tp, double *order)
{
    const int64_t row = n_steps * N_TIMES + 1, n_half = (n_steps + 1) / 2;
    double least_bare_s = times[row - 1];

    for (int64_t i = 0; i < n_steps; i++) {
        order[i] = 0;
        for (int r = 0; r < tp; r++) order[i] += times[r * row + i * N_TIMES + WHOLE];
        order[n_steps + i] = order[i];
    }
    mg_numbers_sort(order + n_steps, n_steps);
    const double last = order[n_steps + n_half - 1];
    double n_taken = 0, of_rank[8] = {0};
    for (int64_t i = 0; i < n_steps; i++) n_taken += order[i] <= last;
    for (int r = 0; r < tp; r++) {
        for (int64_t i = 0; i < n_steps; i++) {
            const double *t = times + r * row + i * N_TIMES;
            if (order[i] > last) continue;
            for (int k = 0; k < N_TIMES; k++) sum->part_s[k] += t[k] / n_taken / tp;
            of_rank[r] += t[MG_BENCH_REDUCE] / n_taken;
        }
        if (times[r * row + row - 1] < least_bare_s) least_bare_s = times[r * row + row - 1];
    }
    double least_s = of_rank[0];
    for (int r = 1; r < tp; r++)
        if (of_rank[r] < least_s) least_s = of_rank[r];
    sum->sums_s += least_s, sum->bare_s += least_bare_s;
}

static void report_sum(mg_figures *r, const mg_bench_split *split, const split_sum *s, double n_groups)
{
    const double in_ms = 1e3 / n_groups;
    double rest_s = s->part_s[WHOLE], sum_bytes = 0;

    for (int i = 0; i < MG_BENCH_N_PARTS; i++) rest_s -= s->part_s[i];
    mg_figures_number(r, "split_step_ms", s->part_s[WHOLE] * in_ms, 4);
    mg_figures_number(r, "split_products_ms", s->part_s[MG_BENCH_PRODUCTS] * in_ms, 4);
    mg_figures_number(r, "split_attention_ms", s->part_s[MG_BENCH_ATTENTION] * in_ms, 4);
    mg_figures_number(r, "split_all_reduce_ms", s->sums_s * in_ms, 4);
    mg_figures_number(r, "split_waiting_ms", (s->part_s[MG_BENCH_REDUCE] - s->sums_s) * in_ms, 4);
    mg_figures_number(r, "split_sampling_ms", s->part_s[MG_BENCH_SAMPLING] * in_ms, 4);
    mg_figures_number(r, "split_rest_ms", rest_s * in_ms, 4);
    if (split->n_calls == 0) return;
    for (size_t i = 0; i < split->n_calls; i++)
        sum_bytes += (double)split->call[i].n * (double)mg_dtype_bytes(split->call[i].dtype);
    mg_figures_int(r, "sums_per_step", (int64_t)split->n_calls);
    mg_figures_number(r, "sum_bytes_per_step", sum_bytes, 0);
    mg_figures_number(r, "bare_all_reduce_ms", s->bare_s * in_ms, 4);
}

mg_status mg_bench_report_split(mg_figures *r, const mg_bench_split *split, const double *mine,
                                int64_t n_steps, const mg_world *w)
{
    const int64_t row = n_steps * N_TIMES + 1;
    double *all = calloc((size_t)(w->size * row), sizeof *all);
    double *order = calloc((size_t)(2 * n_steps), sizeof *order);
    split_sum sum = {0};
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all && order ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size)));
    MG_TRY(mg_comm_all_gather(w->all, all, mine, row, MG_F64));
    for (int i = 0; i < w->size; i += w->tp) add_group(&sum, all + i * row, n_steps, w->tp, order);
    report_sum(r, split, &sum, w->n_replicas);
done:
    free(all);
    free(order);
    return st;
}
