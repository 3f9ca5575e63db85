/* The codec's inner loops, for NEON. */
#define MG_CPU_FOR_NEON
#include "cpu_codec_body.h"

const mg_cpu_codec_kernels mg_cpu_codec_neon = {.dots = dots, .lstm_cell = lstm_cell};
