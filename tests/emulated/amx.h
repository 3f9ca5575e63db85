/* Of avx512.h: AMX. Eight tiles of a thread, their shapes by LDTILECFG, and the products of Intel's manual
 * (TDPBF16PS, TDPBUSD). What the processor refuses with a fault ends the program here. */
#ifndef MG_EMULATED_AMX_H
#define MG_EMULATED_AMX_H

#include <stdio.h>
#include <stdlib.h>

enum { TILES = 8, TILE_ROWS = 16, TILE_BYTES = 64 };

typedef struct emulated_tile {
    int n_rows, n_bytes; /* of a row */
    union {
        _Alignas(32) uint8_t byte[TILE_ROWS][TILE_BYTES];
        float f32[TILE_ROWS][TILE_BYTES / 4];
        int32_t i32[TILE_ROWS][TILE_BYTES / 4];
    };
} emulated_tile;

static _Thread_local emulated_tile emulated_tiles[TILES];

EMULATED void emulated_require(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "emulated AMX: %s\n", what);
    abort();
}

EMULATED emulated_tile *emulated_tile_of(int t)
{
    emulated_require(t >= 0 && t < TILES && emulated_tiles[t].n_rows > 0, "a tile without a shape");
    return &emulated_tiles[t];
}

static inline __attribute__((unused)) void emulated_loadconfig(const void *config)
{
    const uint8_t *p = config;

    emulated_require(p[0] == 1, "no palette 1");
    for (int i = 1; i < 16; i++) emulated_require(i == 1 || p[i] == 0, "reserved bytes");
    for (int t = 0; t < TILES; t++) {
        uint16_t n_bytes;
        memcpy(&n_bytes, p + 16 + 2 * t, sizeof n_bytes);
        emulated_require(n_bytes <= TILE_BYTES && p[48 + t] <= TILE_ROWS, "a tile that is too large");
        emulated_require((n_bytes > 0) == (p[48 + t] > 0), "a tile of one size");
        memset(&emulated_tiles[t], 0, sizeof emulated_tiles[t]);
        emulated_tiles[t].n_rows = p[48 + t], emulated_tiles[t].n_bytes = n_bytes;
    }
}

static inline __attribute__((unused)) void emulated_loadd(int t, const void *from, size_t stride)
{
    emulated_tile *to = emulated_tile_of(t);

    memset(to->byte, 0, sizeof to->byte);
    for (int r = 0; r < to->n_rows; r++)
        memcpy(to->byte[r], (const char *)from + (size_t)r * stride, (size_t)to->n_bytes);
}

static inline __attribute__((unused)) void emulated_stored(int t, void *to, size_t stride)
{
    const emulated_tile *from = emulated_tile_of(t);

    for (int r = 0; r < from->n_rows; r++)
        memcpy((char *)to + (size_t)r * stride, from->byte[r], (size_t)from->n_bytes);
}

static inline __attribute__((unused)) void emulated_zero(int t)
{
    emulated_tile *to = emulated_tile_of(t);

    memset(to->byte, 0, sizeof to->byte);
}

/* c [M, N] += a [M, K] b [K, N], each entry four bytes. */
EMULATED void emulated_require_product(const emulated_tile *c, const emulated_tile *a, const emulated_tile *b)
{
    emulated_require(c != a && c != b && a != b, "a tile twice in a product");
    emulated_require(c->n_rows == a->n_rows && c->n_bytes == b->n_bytes && a->n_bytes == 4 * b->n_rows,
                     "tiles of a product that do not fit");
}

static inline __attribute__((unused)) void emulated_dpbf16ps(int t, int t_a, int t_b)
{
    emulated_tile *c = emulated_tile_of(t), *a = emulated_tile_of(t_a), *b = emulated_tile_of(t_b);

    emulated_require_product(c, a, b);
    for (int m = 0; m < c->n_rows; m++)
        for (int n = 0; n < TILE_BYTES; n += 32) {
            __m256 even = _mm256_setzero_ps(), odd = even;
            for (int k = 0; k < b->n_rows; k++) {
                const __m256i x = _mm256_set1_epi32(a->i32[m][k]),
                              w = _mm256_loadu_si256((void *)&b->byte[k][n]);
                even = emulated_flushed_fmadd(emulated_even(x), emulated_even(w), even);
                odd = emulated_flushed_fmadd(emulated_odd(x), emulated_odd(w), odd);
            }
            float *to = &c->f32[m][n / 4];
            _mm256_storeu_ps(to, emulated_flushed_add(_mm256_loadu_ps(to), emulated_flushed_add(even, odd)));
        }
}

static inline __attribute__((unused)) void emulated_tile_dpbusd(int t, int t_a, int t_b)
{
    emulated_tile *c = emulated_tile_of(t), *a = emulated_tile_of(t_a), *b = emulated_tile_of(t_b);

    emulated_require_product(c, a, b);
    for (int m = 0; m < c->n_rows; m++)
        for (int k = 0; k < b->n_rows; k++)
            for (int n = 0; n < c->n_bytes; n++)
                c->i32[m][n / 4] = (int32_t)((uint32_t)c->i32[m][n / 4] +
                                             (uint32_t)(a->byte[m][4 * k + n % 4] * (int8_t)b->byte[k][n]));
}

#undef _tile_loadconfig
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#undef _tile_dpbusd
#define _tile_loadconfig emulated_loadconfig
#define _tile_loadd      emulated_loadd
#define _tile_stored     emulated_stored
#define _tile_zero       emulated_zero
#define _tile_dpbf16ps   emulated_dpbf16ps
#define _tile_dpbusd     emulated_tile_dpbusd

#endif
