/* Element by element, so that vectorising and cutting into blocks never change a bit. */
#include "reduce_tree.h"

#include <string.h>

enum { BLOCK = 512 }; /* floats: one level of the tree keeps 2 KiB on the stack */

static void sum_2(float *restrict y, const float *restrict a, const float *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void sum_4(float *restrict y, const float *restrict a, const float *restrict b,
                  const float *restrict c, const float *restrict d, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (a[i] + b[i]) + (c[i] + d[i]);
}

/* Elements [at, at+n) of the parts; n <= BLOCK. */
static void sum_block(float *y, const float *const *parts, int n_parts, int64_t at, int64_t n)
{
    if (n_parts == 4) {
        sum_4(y, parts[0] + at, parts[1] + at, parts[2] + at, parts[3] + at, n);
        return;
    }
    float right[BLOCK];
    sum_block(y, parts, n_parts / 2, at, n);
    sum_block(right, parts + n_parts / 2, n_parts / 2, at, n);
    for (int64_t i = 0; i < n; i++) y[i] += right[i];
}

void mg_tree_sum(float *y, const float *const *parts, int n_parts, int64_t n)
{
    if (n_parts == 1) {
        memcpy(y, parts[0], (size_t)n * sizeof *y);
    } else if (n_parts == 2) {
        sum_2(y, parts[0], parts[1], n);
    } else {
        for (int64_t at = 0; at < n; at += BLOCK)
            sum_block(y + at, parts, n_parts, at, n - at < BLOCK ? n - at : BLOCK);
    }
}
