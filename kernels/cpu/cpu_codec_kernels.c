/* The codec's inner loops, compiled for any machine, and the table of all levels. */
#include "cpu_codec_kernels.h"

#include "cpu_codec_body.h"

const mg_cpu_codec_kernels mg_cpu_codec_plain = {.dots = dots, .lstm_cell = lstm_cell};

const mg_cpu_codec_kernels *mg_cpu_codec_at(mg_cpu_level level)
{
    if (level >= MG_CPU_AVX512) return &mg_cpu_codec_avx512;
    return level == MG_CPU_AVX2 ? &mg_cpu_codec_avx2 : &mg_cpu_codec_plain;
}
