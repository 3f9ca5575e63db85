/* The CPU backend: plain C, AVX2 and AVX-512 paths behind one mg_ops, chosen when it is opened. */
#ifndef MG_CPU_H
#define MG_CPU_H

#include "ops.h"
#include "threads.h"

typedef enum mg_cpu_level { MG_CPU_AUTO, MG_CPU_SCALAR, MG_CPU_AVX2, MG_CPU_AVX512 } mg_cpu_level;

/* Open the backend. `threads` is borrowed until close. Close with mg_ops_close.
 * MG_EFIT if this machine has not the instructions of `level`. Results are bit-equal within one level only.
 */
mg_status mg_cpu_open(mg_ops **out, mg_cpu_level level, mg_threads *threads);

/* The best level of this machine. AVX512 here means F, BW, DQ, VL and BF16. */
mg_cpu_level mg_cpu_best_level(void);
const char *mg_cpu_level_name(mg_cpu_level level);

#endif
