/* The inner loops, compiled for AVX-512 with 8-bit and bf16 products: the same bits as cpu_kernels_avx512.c,
 * sooner. */
#include "cpu_attend_body.h"
#include "cpu_load_body.h"
#include "cpu_quantise_body.h"
#include "cpu_row_body.h"
#include "cpu_tile_body.h"

const mg_cpu_kernels mg_cpu_kernels_avx512bf16 = MG_CPU_KERNELS;
