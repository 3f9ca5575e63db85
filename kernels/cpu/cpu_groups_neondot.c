/* Tiles for NEON with dot products: of 4-bit weights. */
#define MG_CPU_FOR_NEON
#define MG_CPU_TILES_OF MG_FORMAT_Q4
#include "cpu_tile_body.h"

mg_cpu_tile *mg_cpu_groups_neondot(mg_format format, int64_t n_strips, int64_t n_rows)
{
    return find_tile(format, n_strips, n_rows);
}
