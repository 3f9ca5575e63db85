/* Where things stand in a packed matrix (cpu_kernels.h), and how a loader gets at its source. */
#ifndef MG_CPU_LAYOUT_H
#define MG_CPU_LAYOUT_H

#include "cpu_run.h"

size_t mg_cpu_matrix_bytes(const mg_matrix *w);

/* The place of column o in w's packed data: its panel's first byte, its offset in each step of the panel, and
 * the bytes from step to step. A step is one i; a pair of i for bf16, four for Q8, two
 * groups for Q4. */
typedef struct mg_cpu_column {
    char *panel;
    int64_t step_bytes, offset_bytes;
} mg_cpu_column;

mg_cpu_column mg_cpu_matrix_column(const mg_cpu *cpu, const mg_matrix *w, int64_t o);

int64_t mg_cpu_strip_bytes(mg_format format); /* of a step of 16 columns */

/* Steps of one slice: n, half of it rounded up for bf16, a quarter for Q8, a 64th for Q4. */
int64_t mg_cpu_slice_steps(const mg_matrix *w);

/* Columns [first_col, first_col + n_cols) of the source's rows from first_row on, in memory. */
typedef struct mg_cpu_piece {
    const char *data;
    int64_t row_bytes, first_row, first_col, n_cols;
} mg_cpu_piece;

/* Where they are, or read into this thread's room, which has mg_cpu_room_bytes. */
mg_cpu_piece mg_cpu_fetch(const mg_cpu *cpu, const mg_host_matrix *src, int64_t first_row, int64_t n_rows,
                          int64_t col, int64_t n_cols, int i_thread);
size_t mg_cpu_room_bytes(const mg_cpu *cpu);
char *mg_cpu_room(const mg_cpu *cpu, int i_thread);

/* Q8: scales and offsets of slice s, [n_out rounded up to 16] each; they stand behind the panels. */
float *mg_cpu_scales(const mg_matrix *w, int s);
int32_t *mg_cpu_offsets(const mg_matrix *w, int s);

#endif
