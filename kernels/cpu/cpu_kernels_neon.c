/* The inner loops, for NEON: of every aarch64 processor. */
#define MG_CPU_FOR_NEON
#include "cpu_attend_body.h"
#include "cpu_load_body.h"
#include "cpu_quantise_body.h"
#include "cpu_row_body.h"
#include "cpu_tile_body.h"

const mg_cpu_kernels mg_cpu_kernels_neon = MG_CPU_KERNELS;
