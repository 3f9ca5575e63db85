/* The codec's inner loops, compiled for any machine, and the table of all levels. */
#include "cpu_codec_kernels.h"

#include "cpu_codec_body.h"

const mg_cpu_codec_kernels mg_cpu_codec_plain = {.dots = dots, .lstm_cell = lstm_cell};

const mg_cpu_codec_kernels *mg_cpu_codec_at(mg_cpu_level level)
{
#if defined(__x86_64__)
    if (level >= MG_CPU_AVX512) return &mg_cpu_codec_avx512;
    if (level == MG_CPU_AVX2) return &mg_cpu_codec_avx2;
#elif defined(__aarch64__)
    if (level == MG_CPU_NEON) return &mg_cpu_codec_neon;
#else
    (void)level; /* there is but one */
#endif
    return &mg_cpu_codec_plain;
}
