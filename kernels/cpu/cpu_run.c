#include "cpu_run.h"

enum { RUN_HERE = 8192 }; /* multiplications: a microsecond or two, what threads that spin take to begin */

void mg_cpu_run(const mg_cpu *cpu, mg_threads_fn *fn, void *arg, int64_t n_units, int64_t work)
{
    if (n_units > 0 && work < RUN_HERE)
        fn(arg, 0, n_units, 0);
    else
        mg_threads_run(cpu->threads, fn, arg, n_units);
}

void mg_cpu_act(const mg_cpu *cpu, float *y, const float *x, int64_t n, mg_act act)
{
    cpu->kernels->act(y, x, n, act);
}
