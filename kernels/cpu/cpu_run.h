/* The CPU backend's state, and how its ops use the threads. Below every other file of the backend. */
#ifndef MG_CPU_RUN_H
#define MG_CPU_RUN_H

#include "cpu_kernels.h"

typedef struct mg_cpu {
    mg_cpu_level level; /* that computes, never AUTO: of avx2 and neon the one of this processor */
    const mg_cpu_kernels *kernels;
    mg_threads *threads; /* borrowed */
    void *scratch;       /* rounded rows of x for bf16, samplers; sized once, in cpu_backend.c */
    size_t scratch_bytes;
} mg_cpu;

/* Run `fn` over units on the threads. If `work`, about the multiplications in it, is small, the calling
 * thread does it alone. */
void mg_cpu_run(const mg_cpu *cpu, mg_threads_fn *fn, void *arg, int64_t n_units, int64_t work);

/* y[i] = act(x[i]), i < n; may be in place. On the calling thread. */
void mg_cpu_act(const mg_cpu *cpu, float *y, const float *x, int64_t n, mg_act act);

#endif
