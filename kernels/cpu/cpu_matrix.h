/* Weights in the CPU backend's layout: their size, loading, and where a column stands. */
#ifndef MG_CPU_MATRIX_H
#define MG_CPU_MATRIX_H

#include "cpu_run.h"

size_t mg_cpu_matrix_bytes(const mg_matrix *w);

/* Rows [first_out, first_out + src->n_rows) of w; NaN and Inf among them are added to *n_bad. */
void mg_cpu_matrix_load(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad);

/* The n_cols values of src's one row as fp32. */
void mg_cpu_tensor_load(mg_cpu *cpu, float *dst, const mg_host_matrix *src, int64_t *n_bad);

/* Where column o of w's packed data stands: its panel's first byte, its place in the panel's steps (a step is
 * one i, or a pair for bf16), and the bytes from step to step. */
typedef struct mg_cpu_column {
    char *panel;
    int64_t step_bytes, offset_bytes;
} mg_cpu_column;

mg_cpu_column mg_cpu_matrix_column(const mg_cpu *cpu, const mg_matrix *w, int64_t o);

/* Steps of one slice: n, or half of it rounded up for bf16. */
int64_t mg_cpu_slice_steps(const mg_matrix *w);

#endif
