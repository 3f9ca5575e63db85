/* Where the time of a step goes: the backend's and the group's tables are replaced by ones that time their
 * slots. Host memory only: a device is not done when a slot returns. */
#ifndef MG_BENCH_SPLIT_H
#define MG_BENCH_SPLIT_H

#include "bench.h"

enum mg_bench_part {
    MG_BENCH_PRODUCTS,  /* products with matrices, the norms fused with them included */
    MG_BENCH_ATTENTION, /* attention, and keys and values written */
    MG_BENCH_REDUCE,    /* calls of the group: sums over ranks, and logits gathered */
    MG_BENCH_SAMPLING,  /* guidance and the draw */
    MG_BENCH_N_PARTS
};

/* A call of the group. */
typedef struct mg_bench_call {
    bool gathers; /* else it sums */
    mg_dtype dtype;
    int64_t n;
} mg_bench_call;

typedef struct mg_bench_split {
    mg_ops_iface ops; /* first: a slot finds the split by its table */
    const mg_ops_iface *plain;
    double s[MG_BENCH_N_PARTS]; /* seconds since begin */
    bool records;               /* keep the group's calls in `call` */
    mg_bench_call *call;
    size_t n_calls, capacity;
} mg_bench_split;

typedef struct mg_bench_split_comm {
    mg_comm_iface comm; /* first, too */
    const mg_comm_iface *plain;
    mg_bench_split *split;
} mg_bench_split_comm;

/* Time the slots from now on. Both structs stay until the end. */
void mg_bench_split_begin(mg_bench_split *split, mg_bench_split_comm *of_comm, mg_ops *ops, mg_comm *comm);
void mg_bench_split_end(const mg_bench_split *split, const mg_bench_split_comm *of_comm, mg_ops *ops,
                        mg_comm *comm);
void mg_bench_split_close(mg_bench_split *split);

/* The calls that were recorded, n_runs times with nothing between them: the median time of all of one step.
 * Collective over the group. */
mg_status mg_bench_bare_sums(double *median_s, const mg_bench_split *split, mg_comm *group, int n_runs);

/* The parts of n_steps steps in ms, means over the ranks: of each group its faster half. What disturbs the
 * machine for a moment is left out so, as in a median. `mine`: this rank's parts of each step and the whole
 * step, in seconds; behind them the time of one step's calls alone. A rank that comes late to a sum waits
 * least. So the least time in the group's calls is what the sums cost, and what the others have more is
 * waiting. Collective over the world. */
mg_status mg_bench_report_split(mg_figures *r, const mg_bench_split *split, const double *mine,
                                int64_t n_steps, const mg_world *w);

#endif
