/* The backend that a test runs over: a level of the CPU's. Some programs are built again with MG_TEST_CUDA,
 * over CUDA's, which has one "level" (with MG_TEST_GPU on a real device), or with MG_TEST_FENCED, over the
 * CPU's in a second space (fenced.h). */
#ifndef TEST_BACKEND_H
#define TEST_BACKEND_H

#include <stdlib.h>

#include "comm.h"
#include "cpu.h"
#ifdef MG_TEST_CUDA
#include "mg_cuda.h"
#endif
#ifdef MG_TEST_FENCED
#include "fenced.h"
#endif

static inline mg_status test_backend_open(mg_ops **out, mg_cpu_level level, mg_threads *threads)
{
#ifdef MG_TEST_CUDA
    const mg_cuda_settings settings = {.threads = threads};

    (void)level;
    return mg_cuda_open(out, &settings);
#else
    MG_RETURN(mg_cpu_open(out, level, threads));
#ifdef MG_TEST_FENCED
    *out = fence_open(*out);
#endif
    return MG_OK;
#endif
}

#ifndef MG_TEST_FENCED
/* A group with a table of its own. */
typedef struct test_group {
    mg_comm comm; /* first: mg_comm_close frees it */
    mg_comm_iface table;
} test_group;

static inline void test_group_close_none(mg_comm *c)
{
    (void)c;
}
#endif

/* A group in the memory of `ops`, over `host`, which stays borrowed. Close it with mg_comm_close. */
static inline mg_comm *test_group_open(mg_comm *host, mg_ops *ops)
{
#ifdef MG_TEST_FENCED
    return fence_group_open(host, ops);
#else
    test_group *g = malloc(sizeof *g);

    if (!g) abort();
    g->table = *host->iface; /* the host's own calls: right for a group of one, and on a CPU */
    g->table.close = test_group_close_none;
    g->comm = *host;
    g->comm.iface = &g->table;
    g->comm.space = ops->space;
    return &g->comm;
#endif
}

/* What takes minutes over the CUDA sources on a CPU is cut short there; MG_TEST_LONG runs all of it. */
static inline bool test_cuts(void)
{
#if defined(MG_TEST_CUDA) && !defined(MG_TEST_GPU)
    return getenv("MG_TEST_LONG") == NULL;
#else
    return false;
#endif
}

/* Under a sanitizer a test is ten times slower: it leaves out there what no sanitizer looks at. */
static inline bool test_is_watched(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

/* Whether one case of a kind will do: a sanitizer sees in the next ones what it saw in the first. */
static inline bool test_thins(void)
{
    return test_cuts() || test_is_watched();
}

static inline bool test_is_raced(void) /* by ThreadSanitizer */
{
#ifdef __SANITIZE_THREAD__
    return true;
#else
    return false;
#endif
}

/* Instructions are emulated: of a level that others test as well, it is left to them. */
static inline bool test_is_emulated(void)
{
#ifdef MG_EMULATED_PROCESSOR_H
    return true;
#else
    return false;
#endif
}

/* Under ThreadSanitizer the best one alone: how work is split among threads is the same on all. */
static inline mg_cpu_level test_first_level(void)
{
    return test_is_raced() || test_is_emulated() ? mg_cpu_best_level() : MG_CPU_SCALAR;
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

/* The next level of this machine that has bits of its own, or one past the last. */
static inline mg_cpu_level test_next_level(mg_cpu_level level)
{
    if (level == MG_CPU_SCALAR && mg_cpu_best_level() == MG_CPU_NEON) return MG_CPU_NEON;
    return (mg_cpu_level)(level + 1);
}

/* Run `body` at every level of this machine that has bits of its own; inside, `level` is one. */
#define FOR_LEVELS(level) \
    for (mg_cpu_level level = test_first_level(); level <= test_last_level(); level = test_next_level(level))

#endif
