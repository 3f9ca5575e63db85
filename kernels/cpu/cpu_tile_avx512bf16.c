/* Tiles for AVX-512 with bf16 products. */
#define MG_CPU_TILES_OF MG_FORMAT_BF16
#include "cpu_tile_body.h"

mg_cpu_tile *mg_cpu_tile_avx512bf16(mg_format format, int64_t n_strips, int64_t n_rows)
{
    return find_tile(format, n_strips, n_rows);
}
