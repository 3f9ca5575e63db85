/* The codec's inner loops, once for each level of instructions. Inside the backend. */
#ifndef MG_CPU_CODEC_KERNELS_H
#define MG_CPU_CODEC_KERNELS_H

#include "cpu.h"

/* A convolution to a few channels as dot products: output o of row n is the sum over runs of
 * x[n*row_stride + run*run_stride + i] w[o, run, i], i < run_count. */
typedef struct mg_cpu_dots {
    const float *w;    /* [c_out, n_runs, run_count] */
    const float *bias; /* [c_out], or NULL */
    int64_t c_out, n_runs, run_count;
    int64_t run_stride, row_stride; /* floats */
    bool accumulate;
} mg_cpu_dots;

typedef struct mg_cpu_codec_kernels {
    void (*dots)(float *y, const float *x, int64_t n_rows, const mg_cpu_dots *d); /* y [n_rows, c_out] */
    void (*lstm_cell)(float *h, float *c, const float *gates, int64_t C);         /* gates [4C]: i,f,g,o */
} mg_cpu_codec_kernels;

extern const mg_cpu_codec_kernels mg_cpu_codec_plain, mg_cpu_codec_avx2, mg_cpu_codec_avx512,
    mg_cpu_codec_neon;

const mg_cpu_codec_kernels *mg_cpu_codec_at(mg_cpu_level level);

#endif
