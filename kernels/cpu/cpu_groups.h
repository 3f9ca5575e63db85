/* Weights in 4 bits, rows of x in 8: MG_FORMAT_Q4 of ops.h. Weights are kept as 0 … 15, which is 8 more than
 * they are, and x as it is; so a group's sum begins at -8 times the sum of its x, and is exact. */
#ifndef MG_CPU_GROUPS_H
#define MG_CPU_GROUPS_H

#include "cpu_run.h"

/* mg_cpu_matrix_load for Q4. The source is read once. */
void mg_cpu_load_groups(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad);

/* n values, a row's slice, as steps of MG_CPU_X4_STEP bytes, `room` in all; returns their scale. */
float mg_cpu_group_row(const mg_cpu_kernels *kernels, char *to, int64_t room, const float *x, int64_t n);

#endif
