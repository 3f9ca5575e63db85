/* Where the time of a step goes, also where the host cannot see it. Each kind of operation runs alone:
 * products of one shape, attention over caches of one size, the draws. All of its calls in a step follow each
 * other, on a device recorded as there. Their sum is not quite the step: what overlaps there with its
 * neighbours overlaps here with its like. And a matrix of which there is one, as the heads', comes from the
 * cache here. */
#ifndef MG_BENCH_KERNELS_H
#define MG_BENCH_KERNELS_H

#include "bench.h"

/* Runs a step; waits for all that was asked for. */
typedef struct mg_bench_kernels_step {
    mg_status (*run)(void *arg);
    mg_status (*wait)(void *arg);
    void *arg;
} mg_bench_kernels_step;

/* For each kind NAME "us_NAME", the time of one call, and "n_NAME", its calls in a step, by n_runs rounds of
 * all of a step's. What the calls compute is lost. Collective over the group. */
mg_status mg_bench_kernels(mg_figures *r, mg_ops *ops, const mg_bench_kernels_step *step, int64_t n_runs);

#endif
