/* Embedding, norms, cache and attention: against fp64, and bit against bit on any number of threads and in
 * any company. */
#include "ops_test.h"

static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16};

static void test_embed(void **state)
{
    enum { N = 9, K = 4, V = 11, D = 37, P = 5 };
    float *tables = random_floats(1, K * V * D), *positions = random_floats(2, P * D),
          *x = random_floats(3, N * D);
    int32_t ids[N * K], pos[N];

    (void)state;
    for (int i = 0; i < N * K; i++) ids[i] = i * 7 % V;
    for (int i = 0; i < N; i++) pos[i] = i * 3 % P;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), tt = mg_tensor_3d(tables, MG_F32, K, V, D);
        mg_tensor ti = mg_tensor_2d(ids, MG_I32, N, K), tp = mg_tensor_2d(positions, MG_F32, P, D);
        mg_tensor tn = mg_tensor_1d(pos, MG_I32, N);
        for (int with = 0; with < 2; with++) {
            assert_int_equal(mg_embed(b.ops, &tx, &tt, &ti, with ? &tp : NULL, with ? &tn : NULL), MG_OK);
            for (int i = 0; i < N * D; i++) {
                float sum = 0;
                for (int k = 0; k < K; k++) sum += tables[(k * V + ids[i / D * K + k]) * D + i % D];
                if (with) sum += positions[pos[i / D] * D + i % D];
                assert_true(x[i] == sum);
            }
        }
        ids[5] = V;
        assert_int_equal(mg_embed(b.ops, &tx, &tt, &ti, NULL, NULL), MG_EBUG);
        ids[5] = -1;
        assert_int_equal(mg_embed(b.ops, &tx, &tt, &ti, NULL, NULL), MG_EBUG);
        ids[5] = 5 * 7 % V, pos[2] = P;
        assert_int_equal(mg_embed(b.ops, &tx, &tt, &ti, &tp, &tn), MG_EBUG);
        pos[2] = 2 * 3 % P;
        ops_close(&b);
    }
    free(tables), free(positions), free(x);
}

static void exact_norm(double *y, const float *x, const float *gamma, const float *beta, int64_t D,
                       double eps)
{
    double mean = 0, square = 0;

    for (int64_t d = 0; beta && d < D; d++) mean += x[d] / (double)D;
    for (int64_t d = 0; d < D; d++) square += (x[d] - mean) * (x[d] - mean) / (double)D;
    for (int64_t d = 0; d < D; d++)
        y[d] = (x[d] - mean) / sqrt(square + eps) * gamma[d] + (beta ? (double)beta[d] : 0);
}

enum { WIDEST = 1031 };

static double norm_error(const mg_ops *ops, int64_t D, bool with_beta)
{
    enum { N = 3 };
    float *x = random_floats(1, N * D), *gamma = random_floats(2, D), *beta = random_floats(3, D);
    float *y = random_floats(4, N * D);
    double exact[WIDEST], worst = 0;
    mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, D);
    mg_tensor tg = mg_tensor_1d(gamma, MG_F32, D), tb = mg_tensor_1d(beta, MG_F32, D);

    for (int64_t i = 0; i < N * D; i++) x[i] = 3 * x[i] + 5; /* a mean that a one-pass variance would lose */
    for (int64_t n = 0; n < N; n++) {
        if (with_beta)
            assert_int_equal(mg_layer_norm(ops, &ty, &tx, &tg, &tb, 1e-5f), MG_OK);
        else
            assert_int_equal(mg_rms_norm(ops, &ty, &tx, &tg, 1e-6f), MG_OK);
        exact_norm(exact, x + n * D, gamma, with_beta ? beta : NULL, D, with_beta ? 1e-5f : 1e-6f);
        for (int64_t d = 0; d < D; d++)
            worst = fmax(worst, fabs(y[n * D + d] - exact[d]) / (1 + fabs(exact[d])));
    }
    mg_tensor in_place = tx;
    if (with_beta)
        assert_int_equal(mg_layer_norm(ops, &in_place, &tx, &tg, &tb, 1e-5f), MG_OK);
    else
        assert_int_equal(mg_rms_norm(ops, &in_place, &tx, &tg, 1e-6f), MG_OK);
    assert_memory_equal(x, y, (size_t)(N * D) * sizeof *x);
    free(x), free(gamma), free(beta), free(y);
    return worst;
}

static void test_norms(void **state)
{
    static const int64_t widths[] = {1, 2, 7, 16, 63, 64, 65, 100, 768, 1024, WIDEST};

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int with_beta = 0; with_beta < 2; with_beta++) {
            double worst = 0;
            char what[64];
            for (int i = 0; i < COUNT(widths); i++)
                worst = fmax(worst, norm_error(b.ops, widths[i], with_beta));
            snprintf(what, sizeof what, "%s %s", b.ops->name, with_beta ? "layer_norm" : "rms_norm");
            assert_true(tol_within(what, worst, TOL_NORM));
        }
        ops_close(&b);
    }
}

static void test_pointwise(void **state)
{
    enum { N = 150, D = 1031 }; /* enough for more than one thread, and a rest */
    float *x = random_floats(1, N * D), *y = random_floats(2, N * D), *old = random_floats(2, N * D);

    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        mg_tensor tx = mg_tensor_2d(x, MG_F32, N, D), ty = mg_tensor_2d(y, MG_F32, N, D);
        memcpy(y, old, sizeof *y * N * D);
        assert_int_equal(mg_add(b.ops, &ty, &tx), MG_OK);
        for (int i = 0; i < N * D; i++) assert_true(y[i] == old[i] + x[i]);
        memcpy(y, old, sizeof *y * N * D);
        assert_int_equal(mg_mul(b.ops, &ty, &tx), MG_OK);
        for (int i = 0; i < N * D; i++) assert_true(y[i] == old[i] * x[i]);
        ops_close(&b);
    }
    free(x), free(y), free(old);
}

/* A cache [ROWS, H, T_max, E] filled through mg_kv_write with the random rows of `source`. */
typedef struct cache {
    mg_kv kv;
    int64_t n_keys;
    float *source; /* [rows * T_max, 3 + 2HE] */
} cache;

enum { KV_ROWS = 2, FIRST_COL = 3 };

static cache cache_make(const mg_ops *ops, mg_dtype dtype, int64_t H, int64_t E, int64_t T_max)
{
    const int64_t N = KV_ROWS * T_max, W = FIRST_COL + 2 * H * E;
    const size_t bytes = (size_t)(KV_ROWS * H * T_max * E) * mg_dtype_bytes(dtype);
    cache c = {{format_of(dtype), false, KV_ROWS, H, T_max, E, malloc(bytes), malloc(bytes)},
               T_max,
               random_floats(7, N * W)};
    int32_t *row = calloc((size_t)N, sizeof *row), *pos = calloc((size_t)N, sizeof *pos);
    mg_tensor tx = mg_tensor_2d(c.source, MG_F32, N, W), tr = mg_tensor_1d(row, MG_I32, N);
    mg_tensor tp = mg_tensor_1d(pos, MG_I32, N);

    for (int64_t n = 0; n < N; n++) row[n] = (int32_t)(n % KV_ROWS), pos[n] = (int32_t)(n / KV_ROWS);
    assert_int_equal(mg_kv_write(ops, &c.kv, &tx, FIRST_COL, &tr, &tp), MG_OK);
    pos[0] = (int32_t)T_max;
    assert_int_equal(mg_kv_write(ops, &c.kv, &tx, FIRST_COL, &tr, &tp), MG_EBUG);
    pos[0] = 0, row[0] = KV_ROWS;
    assert_int_equal(mg_kv_write(ops, &c.kv, &tx, FIRST_COL, &tr, &tp), MG_EBUG);
    free(row), free(pos);
    return c;
}

static void cache_drop(cache *c)
{
    free(c->kv.k), free(c->kv.v), free(c->source);
}

/* Column e of key (which 0) or value (1) j, as stored. */
static double stored(const cache *c, int which, int64_t row, int64_t h, int64_t j, int64_t e)
{
    const int64_t HE = c->kv.n_heads * c->kv.E, W = FIRST_COL + 2 * HE;

    return rounded(c->source[(j * KV_ROWS + row) * W + FIRST_COL + which * HE + h * c->kv.E + e],
                   mg_format_dtype(c->kv.format));
}

static void exact_attention(double *y, const float *q, const cache *c, int64_t row, int64_t h, int64_t n_keys,
                            double scale, const float *bias)
{
    const int64_t E = c->kv.E;
    double *p = calloc((size_t)n_keys + 1, sizeof *p), top = -1e300, total = 0;

    for (int64_t j = 0; j < n_keys; j++) {
        for (int64_t e = 0; e < E; e++) p[j] += q[e] * stored(c, 0, row, h, j, e);
        p[j] = p[j] * scale + (bias ? (double)bias[j] : 0);
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < n_keys; j++) total += p[j] = exp(p[j] - top);
    for (int64_t e = 0; e < E; e++) {
        y[e] = 0;
        for (int64_t j = 0; j < n_keys; j++) y[e] += p[j] / total * stored(c, 1, row, h, j, e);
    }
    free(p);
}

typedef struct attend_case {
    int64_t H, E, T_max, N; /* N tokens with n_keys spread over 0 … T_max */
    bool rel_bias;
} attend_case;

static const attend_case attend_cases[] = {
    {2, 16, 9, 9, true},     {3, 64, 40, 7, false}, {1, 64, 700, 4, false}, {2, 128, 300, 3, false},
    {2, 32, 33, 33, true},   {3, 7, 20, 5, false},  {1, 65, 257, 3, false}, {2, 80, 513, 2, false},
    {1, 16, 2400, 2, false}, /* more chunks than are put together at once */
    {3, 64, 600, 41, false}, /* many (token, head) pairs, of one to three chunks */
};

/* The tokens of a case: q, rows, n_keys, bias, and y [N,HE]. */
typedef struct tokens {
    float *x, *y, *bias;
    int32_t *row, *n_keys;
    int64_t W, D;
} tokens;

static tokens tokens_make(const attend_case *a)
{
    const int64_t D = a->H * a->E, W = D + 5;
    tokens t = {random_floats(11, a->N * W),
                random_floats(12, a->N * D),
                a->rel_bias ? random_floats(13, a->H * (2 * a->N - 1)) : NULL,
                calloc((size_t)a->N, sizeof *t.row),
                calloc((size_t)a->N, sizeof *t.n_keys),
                W,
                D};

    for (int64_t n = 0; n < a->N; n++) {
        t.row[n] = (int32_t)(n % KV_ROWS);
        t.n_keys[n] = (int32_t)(a->rel_bias ? a->N : n * a->T_max / (a->N - 1));
    }
    return t;
}

static void tokens_drop(tokens *t)
{
    free(t->x), free(t->y), free(t->bias), free(t->row), free(t->n_keys);
}

/* Tokens [first, first + n) of t, into y. */
static mg_status attend(const mg_ops *ops, const tokens *t, const cache *c, int64_t first, int64_t n,
                        float *y)
{
    mg_tensor ty = mg_tensor_2d(y, MG_F32, n, t->D), tx = mg_tensor_2d(t->x + first * t->W, MG_F32, n, t->W);
    mg_tensor tr = mg_tensor_1d(t->row + first, MG_I32, n), tk = mg_tensor_1d(t->n_keys + first, MG_I32, n);
    mg_tensor tb = mg_tensor_2d(t->bias, MG_F32, c->kv.n_heads, 2 * n - 1);

    return mg_attention(ops, &ty, &tx, &c->kv, &tr, &tk, 0.3f, t->bias ? &tb : NULL);
}

static double attend_error(const tokens *t, const cache *c, const attend_case *a)
{
    double *exact = calloc((size_t)a->E, sizeof *exact), worst = 0;

    for (int64_t n = 0; n < a->N; n++) {
        for (int64_t h = 0; h < a->H; h++) {
            const float *bias = t->bias ? t->bias + h * (2 * a->N - 1) + a->N - 1 - n : NULL;
            exact_attention(exact, t->x + n * t->W + h * a->E, c, t->row[n], h, t->n_keys[n], 0.3f, bias);
            for (int64_t e = 0; e < a->E; e++)
                worst = fmax(worst, fabs(t->y[n * t->D + h * a->E + e] - exact[e]) / 3.5);
        }
    }
    free(exact);
    return worst;
}

static void test_attention(void **state)
{
    (void)state;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        for (int d = 0; d < COUNT(dtypes); d++) {
            double worst = 0;
            char what[64];
            for (int i = 0; i < COUNT(attend_cases); i++) {
                const attend_case *a = &attend_cases[i];
                cache c = cache_make(b.ops, dtypes[d], a->H, a->E, a->T_max);
                tokens t = tokens_make(a);
                assert_int_equal(attend(b.ops, &t, &c, 0, a->N, t.y), MG_OK);
                worst = fmax(worst, attend_error(&t, &c, a));
                if (!a->rel_bias) {
                    for (int64_t e = 0; e < t.D; e++) assert_true(t.y[e] == 0); /* n_keys[0] = 0 */
                }
                t.y[t.D + 1] += 0.001f;
                assert_true(attend_error(&t, &c, a) > TOL_ATTENTION);
                tokens_drop(&t), cache_drop(&c);
            }
            snprintf(what, sizeof what, "%s attention %s", b.ops->name, mg_dtype_name(dtypes[d]));
            assert_true(tol_within(what, worst, TOL_ATTENTION));
        }
        ops_close(&b);
    }
}

/* A token alone, and among the others on 1, 2 and 4 threads. */
static void test_attention_alone(void **state)
{
    (void)state;
    FOR_LEVELS(level)
    {
        for (int i = 0; i < COUNT(attend_cases) * COUNT(dtypes); i++) {
            const attend_case *a = &attend_cases[i / 3];
            bench_ops one = ops_open(level, 1);
            cache c = cache_make(one.ops, dtypes[i % 3], a->H, a->E, a->T_max);
            tokens t = tokens_make(a);
            float *together = random_floats(1, a->N * t.D);
            c.kv.settled = true; /* nobody writes into it: it may be read early */
            for (int64_t n = 0; n < a->N && !a->rel_bias; n++)
                assert_int_equal(attend(one.ops, &t, &c, n, 1, t.y + n * t.D), MG_OK);
            if (a->rel_bias) assert_int_equal(attend(one.ops, &t, &c, 0, a->N, t.y), MG_OK);
            for (int n_threads = 1; n_threads <= 4; n_threads *= 2) {
                bench_ops b = ops_open(level, n_threads);
                c.kv.settled = n_threads == 1;
                assert_int_equal(attend(b.ops, &t, &c, 0, a->N, together), MG_OK);
                assert_memory_equal(together, t.y, (size_t)(a->N * t.D) * sizeof *t.y);
                ops_close(&b);
            }
            free(together);
            tokens_drop(&t), cache_drop(&c), ops_close(&one);
        }
    }
}

/* Scores far apart, and all equal. */
static void test_attention_extremes(void **state)
{
    enum { J = 300, E = 16 };
    float *k = calloc(J * E, sizeof *k), *v = random_floats(1, J * E), q[E], y[E];
    int32_t row = 0, n_keys = J;

    (void)state;
    for (int e = 0; e < E; e++) q[e] = 100;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        const mg_kv kv = {MG_FORMAT_F32, false, 1, 1, J, E, k, v};
        mg_tensor ty = mg_tensor_2d(y, MG_F32, 1, E), tx = mg_tensor_2d(q, MG_F32, 1, E);
        mg_tensor tr = mg_tensor_1d(&row, MG_I32, 1), tk = mg_tensor_1d(&n_keys, MG_I32, 1);
        for (int peak = 0; peak < J; peak += 299) {
            for (int e = 0; e < E; e++) k[peak * E + e] = 1000;
            assert_int_equal(mg_attention(b.ops, &ty, &tx, &kv, &tr, &tk, 1, NULL), MG_OK);
            assert_memory_equal(y, v + peak * E, sizeof y);
            for (int e = 0; e < E; e++) k[peak * E + e] = 0;
        }
        assert_int_equal(mg_attention(b.ops, &ty, &tx, &kv, &tr, &tk, 1, NULL), MG_OK);
        for (int e = 0; e < E; e++) {
            double mean = 0;
            for (int j = 0; j < J; j++) mean += v[j * E + e] / (double)J;
            assert_true(fabs(y[e] - mean) < 1e-6);
        }
        ops_close(&b);
    }
    free(k), free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),           cmocka_unit_test(test_norms),
        cmocka_unit_test(test_pointwise),       cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_alone), cmocka_unit_test(test_attention_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
