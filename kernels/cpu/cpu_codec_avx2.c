/* The codec's inner loops, compiled for AVX2. */
#include "cpu_codec_body.h"

const mg_cpu_codec_kernels mg_cpu_codec_avx2 = {.dots = dots, .lstm_cell = lstm_cell};
