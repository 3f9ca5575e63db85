/* Weights in 4 bits, rows of x in 8: MG_FORMAT_Q4 of ops.h. A weight is its group's scale times one of 16
 * levels, from -35 to 29, which stand closer near zero, as weights do. Their span of 64 lets four products be
 * summed in 16 bits. Which ones was a search for the least squared error, over groups of normal values and
 * those of the demo model.
 *
 * What is kept of a weight is which level it has; what is multiplied is 35 more than the level, 0 to 64, and
 * x as it is. So a group's sum begins at -35 times the sum of its x, and is exact. */
#ifndef MG_CPU_GROUPS_H
#define MG_CPU_GROUPS_H

#include "cpu_run.h"

enum { MG_CPU_Q4_ZERO = 35 };
extern const uint8_t mg_cpu_q4_levels[16]; /* ascending, each + MG_CPU_Q4_ZERO */

/* mg_cpu_matrix_load for Q4. The source is read once. */
void mg_cpu_load_groups(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad);

/* n values, a row's slice, as steps of MG_CPU_X4_STEP bytes, `room` in all; returns their scale. */
float mg_cpu_group_row(const mg_cpu_kernels *kernels, char *to, int64_t room, const float *x, int64_t n);

#endif
