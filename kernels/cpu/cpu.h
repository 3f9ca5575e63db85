/* The CPU backend: plain C, AVX2, AVX-512 and NEON paths behind one mg_ops, chosen when it is opened. */
#ifndef MG_CPU_H
#define MG_CPU_H

#include "ops.h"
#include "threads.h"

typedef enum mg_cpu_level {
    MG_CPU_AUTO,
    MG_CPU_SCALAR,
    MG_CPU_AVX2,
    MG_CPU_AVX512, /* F, BW, DQ and VL */
    MG_CPU_AMX,    /* avx512, with bf16's products in AMX's order; without AMX they are slow */
    MG_CPU_NEON    /* of aarch64, with the bits of avx2: where one of the two is, both can be had */
} mg_cpu_level;

#define MG_CPU_LEVEL_WORDS "auto|scalar|avx2|avx512|amx|neon"

/* Open the backend. `threads` is borrowed until close. Close with mg_ops_close.
 * MG_EFIT if this machine has not the instructions of `level`. Results are bit-equal within one level only,
 * but for avx2 and neon. */
mg_status mg_cpu_open(mg_ops **out, mg_cpu_level level, mg_threads *threads);

/* The fastest level of this machine, and whether it has another one. */
mg_cpu_level mg_cpu_best_level(void);
bool mg_cpu_has_level(mg_cpu_level level);
const char *mg_cpu_level_name(mg_cpu_level level);

#endif
