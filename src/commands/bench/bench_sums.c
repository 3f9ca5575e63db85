/* What the calls of a step's group cost: in the steps themselves, and bare, the same calls with nothing
 * between them. */
#include <stdlib.h>

#include "bench.h"
#include "bench_split.h"
#include "clock.h"

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
    *median_s = mg_bench_median(run_s, n_runs);
done:
    free(run_s);
    free(all);
    free(mine);
    return st;
}

/* The mean over groups of the least of each group's ranks: one that comes late to a sum waits least. */
static double least_of_groups(const double *all, int n_each, int i_value, const mg_world *w)
{
    double sum = 0;

    for (int i = 0; i < w->size; i += w->tp) {
        double least = all[i * n_each + i_value];
        for (int j = i; j < i + w->tp; j++)
            if (all[j * n_each + i_value] < least) least = all[j * n_each + i_value];
        sum += least / w->n_replicas;
    }
    return sum;
}

mg_status mg_bench_report_split(mg_report *r, const mg_bench_split *split, const mg_bench_split_times *mine,
                                int64_t n_steps, const mg_world *w)
{
    enum { N = MG_BENCH_N_PARTS + 2, WHOLE = MG_BENCH_N_PARTS, BARE };
    double row[N], mean[N] = {0}, *all = calloc((size_t)w->size * N, sizeof *all), sum_bytes = 0;
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size)));
    for (int i = 0; i < MG_BENCH_N_PARTS; i++) row[i] = split->s[i];
    row[WHOLE] = mine->whole_s, row[BARE] = mine->bare_s;
    MG_TRY(mg_comm_all_gather(w->all, all, row, N, MG_F64));
    for (int i = 0; i < w->size * N; i++) mean[i % N] += all[i] / w->size;
    const double sums_s = least_of_groups(all, N, MG_BENCH_REDUCE, w), in_ms = 1e3 / (double)n_steps;
    mg_report_number(r, "split_step_ms", mean[WHOLE] * in_ms, 4);
    mg_report_number(r, "split_products_ms", mean[MG_BENCH_PRODUCTS] * in_ms, 4);
    mg_report_number(r, "split_attention_ms", mean[MG_BENCH_ATTENTION] * in_ms, 4);
    mg_report_number(r, "split_all_reduce_ms", sums_s * in_ms, 4);
    mg_report_number(r, "split_waiting_ms", (mean[MG_BENCH_REDUCE] - sums_s) * in_ms, 4);
    mg_report_number(r, "split_sampling_ms", mean[MG_BENCH_SAMPLING] * in_ms, 4);
    for (int i = 0; i < MG_BENCH_N_PARTS; i++) mean[WHOLE] -= mean[i];
    mg_report_number(r, "split_rest_ms", mean[WHOLE] * in_ms, 4);
    if (split->n_calls > 0) {
        for (size_t i = 0; i < split->n_calls; i++)
            sum_bytes += (double)split->call[i].n * (double)mg_dtype_bytes(split->call[i].dtype);
        mg_report_int(r, "sums_per_step", (int64_t)split->n_calls);
        mg_report_number(r, "sum_bytes_per_step", sum_bytes, 0);
        mg_report_number(r, "bare_all_reduce_ms", least_of_groups(all, N, BARE, w) * 1e3, 4);
    }
done:
    free(all);
    return st;
}
