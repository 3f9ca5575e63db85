/* The CPU backend's matrix product, used by every op that is one: linear, LSTM, both convolutions. Inside the
 * backend. */
#ifndef MG_CPU_GEMM_H
#define MG_CPU_GEMM_H

#include "cpu_kernels.h"

typedef struct mg_cpu {
    mg_cpu_level level; /* never AUTO */
    const mg_cpu_kernels *kernels;
    mg_threads *threads; /* borrowed */
    void *scratch;       /* rounded rows of x for bf16; sized once, in cpu_backend.c */
    size_t scratch_bytes;
} mg_cpu;

/* y[r*ldy + o] = act(bias[o] + sum over i of x[r*ldx + i] W[o,i]), r < n_rows; added to y if accumulate. bias
 * may be NULL. Rows of x may overlap (ldx < n_in): a convolution over time-major sound is such a product. */
void mg_cpu_gemm(mg_cpu *cpu, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t n_rows,
                 const mg_matrix *w, const float *bias, mg_act act, bool accumulate);

size_t mg_cpu_matrix_bytes(mg_dtype dtype, int64_t n_out, int64_t n_in);

/* Rows [first_out, first_out + src->n_rows) of w; NaN and Inf among them are added to *n_bad. */
void mg_cpu_matrix_load(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad);

/* The n_cols values of src's one row as fp32. */
void mg_cpu_tensor_load(mg_cpu *cpu, float *dst, const mg_host_matrix *src, int64_t *n_bad);

/* y[i] = act(x[i]), i < n; may be in place. On the calling thread. */
void mg_cpu_act(const mg_cpu *cpu, float *y, const float *x, int64_t n, mg_act act);

/* Where column o of w's packed data stands: its panel's first byte, its place in the panel's steps (a step is
 * one i, or a pair for bf16), and the bytes from step to step. */
typedef struct mg_cpu_column {
    char *panel;
    int64_t step_bytes, offset_bytes;
} mg_cpu_column;

mg_cpu_column mg_cpu_matrix_column(const mg_cpu *cpu, const mg_matrix *w, int64_t o);

/* Steps of one slice: n, or half of it rounded up for bf16. */
int64_t mg_cpu_slice_steps(const mg_matrix *w);

/* Run `fn` over units on the threads, or here if `work`, about the multiplications in it, is not worth waking
 * them.
 */
void mg_cpu_run(const mg_cpu *cpu, mg_threads_fn *fn, void *arg, int64_t n_units, int64_t work);

#endif
