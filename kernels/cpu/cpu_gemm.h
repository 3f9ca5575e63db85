/* The CPU backend's matrix product, used by every op that is one: linear, LSTM, both convolutions. Inside the
 * backend. */
#ifndef MG_CPU_GEMM_H
#define MG_CPU_GEMM_H

#include "cpu_run.h"

/* y[r*ldy + o] = act(bias[o] + sum over i of x[r*ldx + i] W[o,i]), r < n_rows; added to y if accumulate. bias
 * may be NULL. Rows of x may overlap (ldx < n_in): a convolution over time-major sound is such a product. */
void mg_cpu_gemm(mg_cpu *cpu, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t n_rows,
                 const mg_matrix *w, const float *bias, mg_act act, bool accumulate);

/* Bytes that a row of x takes in the scratch; 0: it does not go there. */
int64_t mg_cpu_gemm_scratch_bytes(const mg_cpu *cpu, const mg_matrix *w);

#endif
