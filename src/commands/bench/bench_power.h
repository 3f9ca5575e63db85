/* The energy of the timed steps, where the machine tells it. On a CPU that is RAPL's, of all that the host's
 * processors and memory do meanwhile. On GPUs it is a mean power, times the steps' time. nvidia-smi tells it
 * of each rank's device during the timed steps and the probes between them. */
#ifndef MG_BENCH_POWER_H
#define MG_BENCH_POWER_H

#include "bench.h"
#include "rapl.h"

typedef struct mg_bench_power {
    const mg_backend *backend;
    const mg_world *world;
    mg_rapl rapl;       /* on the first rank of each host */
    double rapl_joules; /* of the groups of steps so far */
    int child;          /* nvidia-smi; 0: none */
    int from_child;     /* what it prints; 0: nothing */
} mg_bench_power;

/* Nothing fails: what is not told stays unknown. */
void mg_bench_power_begin(mg_bench_power *p, const mg_backend *backend, const mg_world *world);

/* Around a group of timed steps. */
void mg_bench_power_skip(mg_bench_power *p);
void mg_bench_power_take(mg_bench_power *p);

/* After the last of n_steps timed ones, which took steps_s together on this rank: joules_per_step of all
 * ranks, and energy_from. Neither is reported if it is unknown. Collective over the world. */
mg_status mg_bench_power_report(mg_bench_power *p, mg_figures *r, int64_t n_steps, double steps_s);

/* For a run that ended before. */
void mg_bench_power_close(mg_bench_power *p);

#endif
