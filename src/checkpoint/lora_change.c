#include "lora_change.h"

#include <math.h>
#include <string.h>

#include "numbers.h"

/* A block is ROWS x COLS values, whose sums stay in the first-level cache with DEPTH of each factor. */
enum { ROWS = 32, COLS = 128, DEPTH = 16, AT_ONCE = 4 };

typedef struct block {
    float sum[ROWS][COLS], c[ROWS][DEPTH], v[DEPTH][COLS];
} block;

/* A rectangle of the tensor, one row behind the other at `data`. */
typedef struct rectangle {
    char *data;
    mg_dtype dtype;
    int64_t row, n_rows, col, n_cols;
} rectangle;

/* AT_ONCE of the depth a pass over each row's sums. */
static inline __attribute__((always_inline)) void sum_depth(block *k, int64_t n_rows, int64_t n_cols,
                                                            int64_t depth)
{
    for (int64_t row = 0; row < n_rows; row++) {
        float *restrict sum = k->sum[row];
        const float *c = k->c[row];
        int64_t r = 0;
        for (; r + AT_ONCE <= depth; r += AT_ONCE) {
            const float *a = k->v[r], *b = k->v[r + 1], *d = k->v[r + 2], *e = k->v[r + 3];
            const float x = c[r], y = c[r + 1], z = c[r + 2], u = c[r + 3];
            for (int64_t i = 0; i < n_cols; i++)
                sum[i] = fmaf(u, e[i], fmaf(z, d[i], fmaf(y, b[i], fmaf(x, a[i], sum[i]))));
        }
        for (; r < depth; r++)
            for (int64_t i = 0; i < n_cols; i++) sum[i] = fmaf(c[r], k->v[r][i], sum[i]);
    }
}

#if defined(__x86_64__)
/* Without the instruction each fmaf is a call. */
__attribute__((target("avx2,fma"))) static void sum_depth_fma(block *k, int64_t n_rows, int64_t n_cols,
                                                              int64_t depth)
{
    sum_depth(k, n_rows, n_cols, depth);
}
#endif

static void sum_some(block *k, int64_t n_rows, int64_t n_cols, int64_t depth)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        sum_depth_fma(k, n_rows, n_cols, depth);
        return;
    }
#endif
    sum_depth(k, n_rows, n_cols, depth);
}

/* n values of t as fp32, `step` elements from one to the next. */
static void take(float *to, const mg_tensor *t, int64_t first, int64_t step, int64_t n)
{
    if (step == 1)
        (void)mg_tensor_read(to, MG_F32, t, first, n, NULL); /* the types were looked at, here and below */
    else
        for (int64_t i = 0; i < n; i++) (void)mg_tensor_read(to + i, MG_F32, t, first + i * step, 1, NULL);
}

/* The product of the factors' rows and columns, c v. Of an embedding c is A transposed, v is B transposed. */
static void multiply(block *k, const mg_lora_change *x, int64_t row, int64_t n_rows, int64_t col,
                     int64_t n_cols)
{
    const int64_t R = x->a.dim[0], n_in = x->a.dim[1];

    memset(k->sum, 0, (size_t)n_rows * sizeof k->sum[0]);
    for (int64_t r = 0, n; r < R; r += n) {
        n = mg_smaller(R - r, DEPTH);
        for (int64_t i = 0; i < n_rows; i++)
            if (x->is_embedding)
                take(k->c[i], &x->a, r * n_in + row + i, n_in, n);
            else
                take(k->c[i], &x->b, (row + i) * R + r, 1, n);
        for (int64_t i = 0; i < n; i++)
            if (x->is_embedding)
                take(k->v[i], &x->b, col * R + r + i, R, n_cols);
            else
                take(k->v[i], &x->a, (r + i) * n_in + col, 1, n_cols);
        sum_some(k, n_rows, n_cols, n);
    }
}

static void add_row(char *data, mg_dtype dtype, const float *sum, float scale, int64_t n,
                    int64_t *n_overflows)
{
    float w[COLS];
    const mg_tensor stored = mg_tensor_1d(data, dtype, n), added = mg_tensor_1d(w, MG_F32, n);

    (void)mg_tensor_read(w, MG_F32, &stored, 0, n, NULL);
    for (int64_t i = 0; i < n; i++) w[i] += sum[i] * scale;
    (void)mg_tensor_read(data, dtype, &added, 0, n, n_overflows);
}

static void add_rectangle(const mg_lora_change *x, const rectangle *q, int64_t *n_overflows)
{
    const int64_t size = (int64_t)mg_dtype_bytes(q->dtype);
    block k;

    for (int64_t row = 0; row < q->n_rows; row += ROWS)
        for (int64_t col = 0; col < q->n_cols; col += COLS) {
            const int64_t n_rows = mg_smaller(ROWS, q->n_rows - row), n = mg_smaller(COLS, q->n_cols - col);
            multiply(&k, x, q->row + row, n_rows, q->col + col, n);
            for (int64_t i = 0; i < n_rows; i++)
                add_row(q->data + ((row + i) * q->n_cols + col) * size, q->dtype, k.sum[i], x->scale, n,
                        n_overflows);
        }
}

/* Elements [first, first+n): the rest of a row, whole rows, and the beginning of one. */
static void add_run(const mg_lora_change *x, char *data, const mg_tensor *t, int64_t first, int64_t n,
                    int64_t *n_overflows)
{
    const int64_t width = t->dim[1], size = (int64_t)mg_dtype_bytes(t->dtype);

    for (int64_t done = 0; done < n;) {
        const int64_t at = first + done, left = n - done, col = at % width;
        rectangle q = {data + done * size, t->dtype, at / width, 1, col, mg_smaller(left, width - col)};
        if (q.n_cols == width) q.n_rows = left / width;
        add_rectangle(x, &q, n_overflows);
        done += q.n_rows * q.n_cols;
    }
}

static void add_product(const mg_lora_change *x, char *data, const mg_tensor *t, const mg_tensor_part *p,
                        int64_t *n_overflows)
{
    const int64_t width = t->dim[1], size = (int64_t)mg_dtype_bytes(t->dtype), col = p->first % width;

    if (p->n_cols == p->stride) {
        add_run(x, data, t, p->first, p->n_rows * p->n_cols, n_overflows);
        return;
    }
    if (p->stride == width && col + p->n_cols <= width) {
        const rectangle q = {data, t->dtype, p->first / width, p->n_rows, col, p->n_cols};
        add_rectangle(x, &q, n_overflows);
        return;
    }
    for (int64_t i = 0; i < p->n_rows; i++)
        add_run(x, data + i * p->n_cols * size, t, p->first + i * p->stride, p->n_cols, n_overflows);
}

static void put_whole(const mg_lora_change *x, char *data, const mg_tensor *t, const mg_tensor_part *p,
                      int64_t *n_overflows)
{
    const int64_t row_bytes = p->n_cols * (int64_t)mg_dtype_bytes(t->dtype);

    for (int64_t i = 0; i < p->n_rows; i++)
        (void)mg_tensor_read(data + i * row_bytes, t->dtype, &x->whole, p->first + i * p->stride, p->n_cols,
                             n_overflows);
}

void mg_lora_change_apply(const mg_lora_change *change, void *dst, const mg_tensor *t,
                          const mg_tensor_part *part, int64_t *n_overflows)
{
    if (part->n_rows * part->n_cols == 0) return;
    if (change->before) mg_lora_change_apply(change->before, dst, t, part, n_overflows);
    if (change->is_whole)
        put_whole(change, dst, t, part, n_overflows);
    else
        add_product(change, dst, t, part, n_overflows);
}
