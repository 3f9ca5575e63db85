/* Loading weights into the CPU backend's layout. */
#ifndef MG_CPU_MATRIX_H
#define MG_CPU_MATRIX_H

#include "cpu_run.h"

/* Rows [first_out, first_out + src->n_rows) of w; NaN and Inf among them are added to *n_bad. */
void mg_cpu_matrix_load(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad);

/* The n_cols values of src's one row as fp32. */
void mg_cpu_tensor_load(mg_cpu *cpu, float *dst, const mg_host_matrix *src, int64_t *n_bad);

#endif
