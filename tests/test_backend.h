/* The backend that a test runs over: a level of the CPU's, or, in the programs that are built a second time
 * with MG_TEST_CUDA, CUDA's, which has one "level". */
#ifndef TEST_BACKEND_H
#define TEST_BACKEND_H

#include "cpu.h"
#ifdef MG_TEST_CUDA
#include "mg_cuda.h"
#endif

static inline mg_status test_backend_open(mg_ops **out, mg_cpu_level level, mg_threads *threads)
{
#ifdef MG_TEST_CUDA
    const mg_cuda_settings settings = {.threads = threads};

    (void)level;
    return mg_cuda_open(out, &settings);
#else
    return mg_cpu_open(out, level, threads);
#endif
}

static inline mg_cpu_level test_last_level(void)
{
#ifdef MG_TEST_CUDA
    return MG_CPU_SCALAR;
#else
    return mg_cpu_best_level();
#endif
}

/* What a product makes of its rows x before it multiplies them (ops.h, mg_matrix). */
static inline mg_dtype test_rows_dtype(mg_dtype weights)
{
#ifdef MG_TEST_CUDA
    return weights;
#else
    return weights == MG_BF16 ? MG_BF16 : MG_F32;
#endif
}

/* Whether the backend computes on the host's threads. */
static inline bool test_has_threads(void)
{
#ifdef MG_TEST_CUDA
    return false;
#else
    return true;
#endif
}

/* Run `body` at every level this machine has; inside, `level` is one. */
#define FOR_LEVELS(level) \
    for (mg_cpu_level level = MG_CPU_SCALAR; level <= test_last_level(); level = (mg_cpu_level)(level + 1))

#endif
