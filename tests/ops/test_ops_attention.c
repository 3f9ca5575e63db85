/* Attention, bit against bit: a plain copy of the documented order of its operations, one query and one
 * number at a time. Neighbours that the backend takes together, and a query alone, must come out as here. */
#include "ops_test.h"

enum { CHUNK = 256, MOST_E = 128, MOST_LANES = 16, ROWS = 2 };

/* What a level's sums look like. */
typedef struct order {
    int lanes;
    bool fused; /* a product and a sum are one operation */
} order;

/* Keys and values of ROWS sequences, one head. */
typedef struct cache {
    mg_kv kv;
    float *k, *v; /* [ROWS,T,E] the same, widened */
} cache;

/* N tokens over it. */
typedef struct tokens {
    int64_t N;
    float *q, *y, *bias;   /* [N,E], [N,E], [2N-1] or NULL */
    int32_t *row, *n_keys; /* [N] */
} tokens;

static order order_of(mg_cpu_level level)
{
    if (level == MG_CPU_SCALAR) return (order){4, false};
    return (order){level == MG_CPU_AVX2 || level == MG_CPU_NEON ? 8 : 16, true};
}

static float multiply_add(order o, float a, float b, float c)
{
    return o.fused ? fmaf(a, b, c) : a * b + c;
}

/* Halves onto halves, until one is left. */
static float tree(order o, float *lane)
{
    for (int half = o.lanes / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* As vf_exp of cpu_math.h. */
static float exponential(order o, float x)
{
    static const float c[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                              5.0000001201e-1f};
    const float low = -87.3365447f, at = low > x ? low : x;
    const float shifted = multiply_add(o, at, 1.44269504f, 12582912.0f), n = shifted - 12582912.0f;
    const float r = multiply_add(o, n, 2.12194440e-4f, multiply_add(o, n, -0.693359375f, at));
    float p = 1.9875691500e-4f, scale;
    uint32_t bits;

    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3F800000u;
    memcpy(&scale, &bits, sizeof scale);
    for (int i = 0; i < COUNT(c); i++) p = multiply_add(o, p, r, c[i]);
    const float y = multiply_add(o, p * r, r, r) + 1;
    return x < low ? 0 : y * scale;
}

static float score(order o, const float *q, const float *k, int64_t E)
{
    float lane[MOST_LANES] = {0};

    for (int64_t e = 0; e < (E + o.lanes - 1) / o.lanes * o.lanes; e++)
        lane[e % o.lanes] = multiply_add(o, e < E ? q[e] : 0, e < E ? k[e] : 0, lane[e % o.lanes]);
    return tree(o, lane);
}

static const float scale = 0.3f;

/* y [E] of one query over keys k and values v [n_keys,E]; each may have a scale, and a score its bias. */
static void attend_scaled(order o, float *y, const float *q, const float *k, const float *v,
                          const float *k_scale, const float *v_scale, const float *bias, int64_t E,
                          int64_t n_keys)
{
    float p[CHUNK], top = -INFINITY, total = 0;

    for (int64_t e = 0; e < E; e++) y[e] = 0;
    for (int64_t first = 0; first < n_keys; first += CHUNK) {
        const int64_t n = n_keys - first < CHUNK ? n_keys - first : CHUNK;
        float new_top = top, lane[MOST_LANES] = {0};
        for (int64_t j = 0; j < n; j++) {
            p[j] = score(o, q, k + (first + j) * E, E);
            if (k_scale) p[j] *= k_scale[first + j];
            p[j] *= scale;
            if (bias) p[j] = p[j] + bias[first + j];
            new_top = p[j] > new_top ? p[j] : new_top;
        }
        const float shrink = exponential(o, top - new_top);
        for (int64_t j = 0; j < n; j++) {
            p[j] = exponential(o, p[j] - new_top);
            lane[j % o.lanes] += p[j];
            if (v_scale) p[j] *= v_scale[first + j];
        }
        total = total * shrink + tree(o, lane);
        top = new_top;
        for (int64_t e = 0; e < E; e++) {
            y[e] *= shrink;
            for (int64_t j = 0; j < n; j++) y[e] = multiply_add(o, p[j], v[(first + j) * E + e], y[e]);
        }
    }
    for (int64_t e = 0; n_keys > 0 && e < E; e++) y[e] *= 1 / total;
}

static void attend_plainly(order o, float *y, const float *q, const float *k, const float *v,
                           const float *bias, int64_t E, int64_t n_keys)
{
    attend_scaled(o, y, q, k, v, NULL, NULL, bias, E, n_keys);
}

static void store(void *to, mg_dtype dtype, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (dtype == MG_F32) ((float *)to)[i] = x[i];
        if (dtype == MG_BF16) ((uint16_t *)to)[i] = mg_f32_to_bf16(x[i]);
        if (dtype == MG_F16) ((uint16_t *)to)[i] = mg_f32_to_f16(x[i]);
        x[i] = rounded(x[i], dtype);
    }
}

static cache cache_make(mg_dtype dtype, int64_t T, int64_t E)
{
    const int64_t n = ROWS * T * E;
    const size_t bytes = (size_t)n * mg_dtype_bytes(dtype);
    cache c = {{format_of(dtype), false, ROWS, 1, T, E, malloc(bytes), malloc(bytes)},
               random_floats(21, n),
               random_floats(22, n)};

    store(c.kv.k, dtype, c.k, n);
    store(c.kv.v, dtype, c.v, n);
    return c;
}

static void cache_drop(cache *c)
{
    free(c->kv.k), free(c->kv.v), free(c->k), free(c->v);
}

/* Each sequence's half of the tokens, side by side, as in a pass over an audio prompt. */
static tokens tokens_make(int64_t N, int64_t E, bool with_bias)
{
    tokens t = {N,
                random_floats(23, N * E),
                random_floats(24, N * E),
                with_bias ? random_floats(25, 2 * N - 1) : NULL,
                calloc((size_t)N, sizeof(int32_t)),
                calloc((size_t)N, sizeof(int32_t))};

    for (int64_t n = 0; n < N; n++) {
        t.row[n] = (int32_t)(n * ROWS / N);
        t.n_keys[n] = (int32_t)n + 1;
    }
    return t;
}

static void tokens_drop(tokens *t)
{
    free(t->q), free(t->y), free(t->bias), free(t->row), free(t->n_keys);
}

static void attend_all(const mg_ops *ops, tokens *t, const cache *c)
{
    const int64_t N = t->N, E = c->kv.E;
    mg_tensor y = mg_tensor_2d(t->y, MG_F32, N, E), q = mg_tensor_2d(t->q, MG_F32, N, E);
    mg_tensor row = mg_tensor_1d(t->row, MG_I32, N), n_keys = mg_tensor_1d(t->n_keys, MG_I32, N);
    mg_tensor bias = mg_tensor_2d(t->bias, MG_F32, 1, 2 * N - 1);

    memset(t->y, 0xFF, (size_t)(N * E) * sizeof *t->y);
    assert_int_equal(mg_attention(ops, &y, &q, &c->kv, &row, &n_keys, scale, t->bias ? &bias : NULL), MG_OK);
}

/* How many of t->y's tokens differ from the plain order `o`. */
static int64_t count_different(order o, const tokens *t, const cache *c)
{
    const int64_t E = c->kv.E;
    int64_t n_different = 0;
    float y[MOST_E];

    for (int64_t n = 0; n < t->N; n++) {
        const int64_t at = t->row[n] * c->kv.T_max * E;
        attend_plainly(o, y, t->q + n * E, c->k + at, c->v + at, t->bias ? t->bias + t->N - 1 - n : NULL, E,
                       t->n_keys[n]);
        n_different += memcmp(y, t->y + n * E, (size_t)E * sizeof *y) != 0;
    }
    return n_different;
}

/* Three chunks of keys; under a sanitizer, which is slow over the plain copies, two. */
static int64_t n_tokens(void)
{
    return test_is_watched() ? 300 : 600;
}

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};
static const int64_t widths[] = {16, 24, 64, 128};

/* Over 1 … N keys, each one more than its neighbour, on two threads; with a bias in every other case. */
static void test_neighbours(void **state)
{
    const int64_t N = n_tokens();

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(dtypes) * COUNT(widths); i++) {
            cache c = cache_make(dtypes[i % 3], N, widths[i / 3]);
            tokens t = tokens_make(N, widths[i / 3], i % 2);
            attend_all(b.ops, &t, &c);
            assert_int_equal(count_different(order_of(level), &t, &c), 0);
            tokens_drop(&t), cache_drop(&c);
        }
        ops_close(&b);
    }
}

/* The same tokens one at a time. */
static void test_alone(void **state)
{
    const int64_t N = n_tokens();

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        for (int i = 0; i < COUNT(dtypes) * COUNT(widths); i++) {
            const int64_t E = widths[i / 3];
            cache c = cache_make(dtypes[i % 3], N, E);
            tokens t = tokens_make(N, E, false);
            attend_all(b.ops, &t, &c);
            for (int64_t n = 0; n < N; n++) {
                float y[MOST_E];
                tokens one = {1, t.q + n * E, y, NULL, t.row + n, t.n_keys + n};
                attend_all(b.ops, &one, &c);
                assert_memory_equal(y, t.y + n * E, (size_t)E * sizeof *y);
            }
            tokens_drop(&t), cache_drop(&c);
        }
        ops_close(&b);
    }
}

/* Counts of keys that stay, fall, jump and are zero, across the end of a chunk too. */
static void test_uneven(void **state)
{
    enum { N = 90, T = 300 };
    static const int32_t counts[] = {254, 255, 256, 257, 258, 259, 7, 7, 7, 7, 0, 0, 0, 0, 0, 1,
                                     2,   3,   4,   300, 299, 298, 1, 5, 2, 6, 3, 3, 4, 6, 9};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        for (int i = 0; i < COUNT(dtypes); i++) {
            cache c = cache_make(dtypes[i], T, 64);
            for (int start = 0; start < MOST_LANES; start++) {
                tokens t = tokens_make(N, 64, false);
                for (int n = 0; n < N; n++) t.n_keys[n] = counts[(start + n) % COUNT(counts)];
                attend_all(b.ops, &t, &c);
                assert_int_equal(count_different(order_of(level), &t, &c), 0);
                tokens_drop(&t);
            }
            cache_drop(&c);
        }
        ops_close(&b);
    }
}

/* A key that is not a number reaches the tokens that see it, and not their neighbours that do not. */
static void test_later_keys_stay_out(void **state)
{
    enum { N = 8, E = 64, BAD = 260, T = BAD + N };

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        cache c = cache_make(MG_F32, T, E);
        tokens t = tokens_make(N, E, false);
        for (int n = 0; n < N; n++) t.row[n] = 0, t.n_keys[n] = BAD - N / 2 + 1 + n;
        attend_all(b.ops, &t, &c);
        float *clean = t.y;
        t.y = random_floats(1, N * E);
        ((float *)c.kv.k)[BAD * E] = NAN, ((float *)c.kv.v)[BAD * E] = NAN;
        attend_all(b.ops, &t, &c);
        assert_memory_equal(t.y, clean, N / 2 * E * sizeof *clean);
        for (int i = N / 2 * E; i < N * E; i++) assert_true(isnan(t.y[i]));
        free(clean), tokens_drop(&t), cache_drop(&c), ops_close(&b);
    }
}

/* The sibling that must fail: sums of another level's width are other bits. */
static void test_order_is_noticed(void **state)
{
    enum { N = 40 };
    cache c = cache_make(MG_F32, N, 64);

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        tokens t = tokens_make(N, 64, false);
        order other = order_of(level);
        other.lanes = other.lanes == 8 ? 16 : 8;
        attend_all(b.ops, &t, &c);
        assert_int_equal(count_different(order_of(level), &t, &c), 0);
        assert_true(count_different(other, &t, &c) > N / 2);
        t.y[5 * 64 + 3] = nextafterf(t.y[5 * 64 + 3], 9);
        assert_int_equal(count_different(order_of(level), &t, &c), 1);
        tokens_drop(&t), ops_close(&b);
    }
    cache_drop(&c);
}

/* x [E] as 8 bits with a scale keep it, as numbers without their scale; returns that. */
static float quantised(float *out, const float *x, int64_t E)
{
    float most = 0;

    for (int64_t e = 0; e < E; e++) most = fabsf(x[e]) > most ? fabsf(x[e]) : most;
    const float per_unit = most >= 1e-30f ? 127.0f / most : 0;
    for (int64_t e = 0; e < E; e++) out[e] = nearbyintf(x[e] * per_unit);
    return per_unit > 0 ? most / 127.0f : 0;
}

/* 8-bit caches, through mg_kv_write: bit against bit, neighbours and alone, whatever the widths; one key is
 * zeros. And near what fp32 caches give: what 8 bits cost is small, and not nothing. */
static void test_8_bits(void **state)
{
    enum { N = 300 };

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int i = 0; i < COUNT(widths); i++) {
            const int64_t E = widths[i];
            mg_kv kv = {MG_FORMAT_Q8, false, 1, 1, N, E, NULL, NULL};
            const size_t bytes = mg_kv_bytes(b.ops, &kv);
            float *x = random_floats(31, N * 3 * E), *k = calloc(N * 128, 4), *v = calloc(N * 128, 4);
            float k_scale[N], v_scale[N], y[MOST_E], exact[MOST_E];
            double squares = 0, error = 0;
            tokens t = tokens_make(N, E, false);
            assert_true(bytes >= (size_t)(N * (E + 4)) && bytes < (size_t)(N * (E + 4)) + 64);
            kv.k = aligned_alloc(64, (bytes + 63) / 64 * 64),
            kv.v = aligned_alloc(64, (bytes + 63) / 64 * 64);
            memset(x + 7 * 3 * E + E, 0, (size_t)E * sizeof *x);
            for (int n = 0; n < N; n++) t.row[n] = 0;
            for (int n = 0; n < N; n++) {
                memcpy(t.q + n * E, x + n * 3 * E, (size_t)E * sizeof *x);
                k_scale[n] = quantised(k + n * E, x + n * 3 * E + E, E);
                v_scale[n] = quantised(v + n * E, x + n * 3 * E + 2 * E, E);
            }
            int32_t *pos = calloc(N, sizeof *pos);
            for (int n = 0; n < N; n++) pos[n] = n;
            mg_tensor xs = mg_tensor_2d(x, MG_F32, N, 3 * E);
            const mg_tensor row = mg_tensor_1d(t.row, MG_I32, N), at = mg_tensor_1d(pos, MG_I32, N);
            assert_int_equal(mg_kv_write(b.ops, &kv, &xs, E, &row, &at), MG_OK);
            const cache c = {kv, NULL, NULL};
            attend_all(b.ops, &t, &c);
            for (int n = 0; n < N; n++) {
                attend_scaled(order_of(level), y, t.q + n * E, k, v, k_scale, v_scale, NULL, E, n + 1);
                assert_memory_equal(y, t.y + n * E, (size_t)E * sizeof *y);
                float one_y[MOST_E];
                tokens one = {1, t.q + n * E, one_y, NULL, t.row + n, t.n_keys + n};
                attend_all(b.ops, &one, &c);
                assert_memory_equal(one_y, y, (size_t)E * sizeof *y);
            }
            for (int n = 0; n < N; n++)
                for (int64_t e = 0; e < E; e++) {
                    k[n * E + e] = x[n * 3 * E + E + e];
                    v[n * E + e] = x[n * 3 * E + 2 * E + e];
                }
            for (int n = 0; n < N; n++) {
                attend_plainly(order_of(level), exact, t.q + n * E, k, v, NULL, E, n + 1);
                for (int64_t e = 0; e < E; e++) {
                    const double d = t.y[n * E + e] - exact[e];
                    error += d * d, squares += exact[e] * exact[e];
                }
            }
            assert_true(error > 0 && error < 4e-4 * squares);
            free(x), free(k), free(v), free(pos), free(kv.k), free(kv.v), tokens_drop(&t);
        }
        ops_close(&b);
    }
}

/* A byte has no NaN: a key or a value that holds one, or an infinite number, makes those NaN that attend to
 * it, and nobody else. */
static void test_8_bits_of_no_numbers(void **state)
{
    enum { N = 4, E = 64, BAD = 2 };
    static const float bad[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        for (int i = 0; i < 2 * COUNT(bad); i++) { /* in the key, in the value */
            mg_kv kv = {MG_FORMAT_Q8, false, 1, 1, N, E, NULL, NULL};
            const size_t bytes = (mg_kv_bytes(b.ops, &kv) + 63) / 64 * 64;
            float *x = random_floats(41, N * 3 * E);
            int32_t pos[N] = {0, 1, 2, 3};
            tokens t = tokens_make(N, E, false);
            kv.k = aligned_alloc(64, bytes), kv.v = aligned_alloc(64, bytes);
            x[BAD * 3 * E + (i % 2 ? 2 : 1) * E + 5] = bad[i / 2];
            for (int n = 0; n < N; n++) t.row[n] = 0;
            mg_tensor xs = mg_tensor_2d(x, MG_F32, N, 3 * E);
            const mg_tensor row = mg_tensor_1d(t.row, MG_I32, N), at = mg_tensor_1d(pos, MG_I32, N);
            assert_int_equal(mg_kv_write(b.ops, &kv, &xs, E, &row, &at), MG_OK);
            const cache c = {kv, NULL, NULL};
            attend_all(b.ops, &t, &c);
            for (int64_t e = 0; e < N * E; e++) assert_int_equal(isnan(t.y[e]) != 0, e >= BAD * E);
            free(x), free(kv.k), free(kv.v), tokens_drop(&t);
        }
        ops_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_later_keys_stay_out),
        cmocka_unit_test(test_order_is_noticed),
        cmocka_unit_test(test_8_bits),
        cmocka_unit_test(test_8_bits_of_no_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
