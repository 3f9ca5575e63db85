/* AMX's bf16 tiles for processors without AMX: the same bits, slower, so that what AMX made can be made
 * again. Even and odd elements of 16 steps are summed from zero, each product fused; then their sum is added;
 * denormals are zero, read and written. */
#include <immintrin.h>

#include "cpu_kernels.h"

enum { STEPS = 16 };

/* n <= STEPS steps of one row and one strip. */
static __m512 add_steps(__m512 sum, const char *x, const char *w, int64_t ldw, int64_t n)
{
    __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();

    for (int64_t i = 0; i < n; i++) {
        const __m512i pairs = _mm512_loadu_si512(w + i * ldw);
        const __m512i of_x = _mm512_set1_epi32(*(const int32_t *)(const void *)(x + i * 4));
        const __m512i high = _mm512_set1_epi32((int32_t)0xFFFF0000u);
        even = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(of_x, 16)),
                               _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)), even);
        odd = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(of_x, high)),
                              _mm512_castsi512_ps(_mm512_and_si512(pairs, high)), odd);
    }
    if (n < STEPS) { /* AMX goes on over zeros: a sum of -0 becomes 0 */
        even = _mm512_add_ps(even, _mm512_setzero_ps());
        odd = _mm512_add_ps(odd, _mm512_setzero_ps());
    }
    return _mm512_add_ps(sum, _mm512_add_ps(even, odd));
}

static void run_tile(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n,
                     bool resume, int n_strips, int64_t n_rows)
{
    const unsigned before = _mm_getcsr();

    _mm_setcsr(before | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
    __asm__ volatile("" ::: "memory"); /* the arithmetic stays between the two */
    for (int64_t r = 0; r < n_rows; r++)
        for (int s = 0; s < n_strips; s++) {
            float *to = sum + r * MG_CPU_SUM_WIDTH + s * MG_CPU_STRIP;
            __m512 all = resume ? _mm512_loadu_ps(to) : _mm512_setzero_ps();
            for (int64_t i = 0; i < n; i += STEPS)
                all = add_steps(all, x + r * ldx + i * 4, w + i * ldw + s * MG_CPU_STRIP * 4, ldw,
                                n - i < STEPS ? n - i : STEPS);
            _mm512_storeu_ps(to, all);
        }
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(before);
}

#define TILE(strips)                                                                                         \
    static void tile_##strips(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, \
                              bool resume, const char *next, int64_t next_step, int64_t n_rows)              \
    {                                                                                                        \
        (void)next, (void)next_step;                                                                         \
        run_tile(sum, x, ldx, w, ldw, n, resume, strips, n_rows);                                            \
    }

TILE(1)
TILE(2)
TILE(4)

mg_cpu_tile *mg_cpu_tile_amx_plain(mg_format format, int64_t n_strips, int64_t n_rows)
{
    static mg_cpu_tile *const tiles[3] = {tile_1, tile_2, tile_4};

    (void)format, (void)n_rows; /* bf16 alone, and any rows */
    return tiles[n_strips / 2]; /* strips 1, 2, 4 -> 0, 1, 2 */
}
