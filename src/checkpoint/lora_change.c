#include "lora_product.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256, AT_ONCE = 4 }; /* columns, whose sums stay in the first-level cache; r */

/* The sums of one row's block, AT_ONCE of r a pass. */
static inline __attribute__((always_inline)) void sum_block(float *sum, const float *c, const float *v,
                                                            int64_t R, int64_t n_cols, int64_t n)
{
    int64_t r = 0;

    memset(sum, 0, BLOCK * sizeof *sum);
    for (; r + AT_ONCE <= R; r += AT_ONCE) {
        const float *a = v + r * n_cols, *b = a + n_cols, *d = b + n_cols, *e = d + n_cols;
        const float x = c[r], y = c[r + 1], z = c[r + 2], u = c[r + 3];
        for (int64_t i = 0; i < n; i++)
            sum[i] = fmaf(u, e[i], fmaf(z, d[i], fmaf(y, b[i], fmaf(x, a[i], sum[i]))));
    }
    for (; r < R; r++)
        for (int64_t i = 0; i < n; i++) sum[i] = fmaf(c[r], v[r * n_cols + i], sum[i]);
}

static inline __attribute__((always_inline)) void add_product(float *w, const float *c, const float *v,
                                                              int64_t n_rows, int64_t R, int64_t n_cols,
                                                              float scale)
{
    float sum[BLOCK];

    for (int64_t first = 0; first < n_cols; first += BLOCK) {
        const int64_t n = n_cols - first < BLOCK ? n_cols - first : BLOCK;
        for (int64_t row = 0; row < n_rows; row++) {
            float *to = w + row * n_cols + first;
            sum_block(sum, c + row * R, v + first, R, n_cols, n);
            for (int64_t i = 0; i < n; i++) to[i] += sum[i] * scale;
        }
    }
}

#if defined(__x86_64__)
/* Without the instruction each fmaf is a call. */
__attribute__((target("avx2,fma"))) static void add_product_fma(float *w, const float *c, const float *v,
                                                                int64_t n_rows, int64_t R, int64_t n_cols,
                                                                float scale)
{
    add_product(w, c, v, n_rows, R, n_cols, scale);
}
#endif

void mg_lora_add_product(float *w, const float *c, const float *v, int64_t n_rows, int64_t R, int64_t n_cols,
                         float scale)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        add_product_fma(w, c, v, n_rows, R, n_cols, scale);
        return;
    }
#endif
    add_product(w, c, v, n_rows, R, n_cols, scale);
}
