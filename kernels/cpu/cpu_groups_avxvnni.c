/* Tiles for AVX2 with 8-bit products: of 4-bit weights. */
#define MG_CPU_TILES_OF MG_FORMAT_Q4
#include "cpu_tile_body.h"

mg_cpu_tile *mg_cpu_groups_avxvnni(mg_format format, int64_t n_strips, int64_t n_rows)
{
    return find_tile(format, n_strips, n_rows);
}
