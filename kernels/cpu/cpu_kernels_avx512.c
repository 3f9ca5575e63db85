/* The inner loops, compiled for AVX-512 without bf16 instructions: any such processor since Skylake. */
#include "cpu_attend_body.h"
#include "cpu_load_body.h"
#include "cpu_quantise_body.h"
#include "cpu_row_body.h"
#include "cpu_tile_body.h"

const mg_cpu_kernels mg_cpu_kernels_avx512 = MG_CPU_KERNELS;
