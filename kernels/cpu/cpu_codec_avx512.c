/* The codec's inner loops, compiled for AVX-512. */
#include "cpu_codec_body.h"

const mg_cpu_codec_kernels mg_cpu_codec_avx512 = {.dots = dots, .lstm_cell = lstm_cell};
