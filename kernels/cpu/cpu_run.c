#include "cpu_run.h"

/* Multiplications that take as long as other threads to begin: some that spin, or some that sleep. */
enum { FEW = 8192, FEW_FOR_SLEEPERS = 32768 };

void mg_cpu_run(const mg_cpu *cpu, mg_threads_fn *fn, void *arg, int64_t n_units, int64_t work)
{
    const int64_t few = mg_threads_may_spin(cpu->threads) ? FEW : FEW_FOR_SLEEPERS;

    if (n_units > 0 && work < few)
        fn(arg, 0, n_units, 0);
    else
        mg_threads_run(cpu->threads, fn, arg, n_units);
}

void mg_cpu_act(const mg_cpu *cpu, float *y, const float *x, int64_t n, mg_act act)
{
    cpu->kernels->act(y, x, n, act);
}
