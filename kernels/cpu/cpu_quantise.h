/* Weights in 8 bits: w = scale q, q in -127 … 127, a scale for each output and slice. A row of x is quantised
 * the same way, to bytes 1 … 255 (cpu_kernels.h), so a product is an exact int32 sum. What 128 has added to
 * it is taken off, offset[o] = 128 * the sum of q, and one multiplication by both scales gives fp32. Tiles
 * that take x from its zero need no offset. */
#ifndef MG_CPU_QUANTISE_H
#define MG_CPU_QUANTISE_H

#include "cpu_run.h"

/* mg_cpu_matrix_load for Q8. The source is read twice: for its largest values, then for all of them. */
void mg_cpu_quantise(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                     int64_t *n_bad);

#endif
