/* Tolerances of the op tests: the largest error allowed, in the measure named beside it, and the largest one
 * observed over all levels (AVX-512, AVX2, plain). Every test prints the percentage it used. */
#ifndef TOL_H
#define TOL_H

#include <stdio.h>

/* |error| / sum |x w|, against a sum in fp64 of the same rounded operands; 2.2e-7 observed */
#define TOL_GEMM 1e-6
/* |error| / max(1, |x|), activations against the C library in fp64; 1.2e-7 observed (gelu tanh) */
#define TOL_ACT 3e-7
/* |error| / (1 + |y|), norms against fp64; 5.4e-7 observed (plain, D 1024) */
#define TOL_NORM 2e-6
/* |error| / max |v| of a unit-variance cache, attention against fp64 over the same rounded cache; 3.5e-7
 * observed */
#define TOL_ATTENTION 1e-6
/* |error|, an LSTM's output against fp64; 1.3e-6 observed (plain) */
#define TOL_LSTM 3e-6
/* |error| / (1 + |y|), against PyTorch's own fp32 results; 1.9e-6 observed (attention with bias) */
#define TOL_TORCH 4e-6
/* the same where x is rounded to fp16 and PyTorch's is not; 4.7e-4 observed */
#define TOL_TORCH_F16 1e-3

/* Returns whether `worst` is within `limit`, and says how much of it was used. */
static inline int tol_within(const char *what, double worst, double limit)
{
    printf("    %-40s %9.2e  %5.1f %% of tolerance used\n", what, worst, 100 * worst / limit);
    return worst <= limit;
}

#endif
