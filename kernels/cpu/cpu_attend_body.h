/* Attention of queries over their keys, for one level. Included by cpu_kernels*.c only.
 *
 * Keys go in chunks of a fixed size with a running maximum, so the result depends on the query's own keys and
 * on nothing else. Several queries over the same keys share reading and widening them; each is computed as it
 * would be alone, bit for bit. */
#include <math.h>

#include "cpu_kernels.h"
#include "cpu_sums.h"

enum {
    CHUNK_KEYS = 256,   /* whole vectors */
    AHEAD_BYTES = 2048, /* of a query alone, which waits for memory */
/* Vectors of columns whose sums are in registers: of a query alone, and of each of several. */
#if defined(MG_CPU_FOR_NEON)
    ALONE_VECS = 8,
    SHARED_VECS = 4,
#else
    ALONE_VECS = 4,
    SHARED_VECS = LANES < 16 ? 2 : 4,
#endif
};

VF void fetch_ahead(const char *p, int64_t n_bytes)
{
    for (int64_t b = 0; b < n_bytes; b += 64) __builtin_prefetch(p + AHEAD_BYTES + b);
}

/* Into the second-level cache, for later. */
VF void fetch_later(const char *p, int64_t n_bytes)
{
    for (int64_t b = 0; b < n_bytes; b += 64) __builtin_prefetch(p + b, 0, 2);
}

VF int64_t value_size(const mg_dtype dtype)
{
    return dtype == MG_F32 ? 4 : dtype == MG_I8 ? 1 : 2;
}

/* s[i][j …] = q_i·k_j for as many keys as give SUM_LANES scores of n_queries; only n of them are there, and
 * the others' scores mean nothing. */
VF void score_tile(float (*s)[CHUNK_KEYS], const mg_cpu_query *a, const int n_queries, int64_t first,
                   int64_t j, int64_t n, const int64_t E, const mg_dtype dtype)
{
    const int64_t size = value_size(dtype);
    const int n_keys = SUM_LANES / n_queries;
    const char *k = (const char *)a->k + (first + j) * E * size;
    vs sum[SUM_LANES];
    float lane[SUM_LANES];

    if (n_queries == 1) {
        fetch_ahead(k, n * E * size);
        fetch_later((const char *)a->v + (first + j) * E * size, n * E * size); /* their values */
    }
    UNROLL for (int i = 0; i < SUM_LANES; i++) sum[i] = vs_set(0);
    for (int64_t e = 0; e < E; e += SUM_LANES) {
        vs q[MG_CPU_QUERIES];
        UNROLL for (int i = 0; i < n_queries; i++) q[i] = vs_load_some(a[i].q + e, E - e);
        UNROLL for (int c = 0; c < n_keys; c++)
        {
            const vs key = vs_widen_some(k + ((c < n ? c : 0) * E + e) * size, dtype, E - e);
            UNROLL for (int i = 0; i < n_queries; i++) sum[i * n_keys + c] =
                vs_fma(q[i], key, sum[i * n_keys + c]);
        }
    }
    vs_store(lane, vs_sum_each(sum));
    UNROLL for (int i = 0; i < n_queries; i++)
        memcpy(s[i] + j, lane + i * n_keys, (size_t)n_keys * sizeof *lane);
}

/* s[i][j] = q_i·k_j, j < n */
VF void score_keys(float (*s)[CHUNK_KEYS], const mg_cpu_query *a, const int n_queries, int64_t first,
                   int64_t n, const int64_t E, const mg_dtype dtype)
{
    const int64_t step = SUM_LANES / n_queries;
    int64_t j = 0;

    for (; j + step <= n; j += step) score_tile(s, a, n_queries, first, j, step, E, dtype);
    if (j < n) score_tile(s, a, n_queries, first, j, n - j, E, dtype);
}

/* s[j] = scale s[j] (+ bias[j]), s[j] first times its key's scale if that has one; and -infinity up to whole
 * SUM_LANES. Returns the largest, or top. */
VF float scale_scores(float *s, const mg_cpu_query *a, int64_t first, int64_t n, float top,
                      const mg_dtype dtype)
{
    vs most = vs_set(top);
    float lane[SUM_LANES];

    for (int64_t j = 0; j < n; j += SUM_LANES) {
        vs v = vs_load(s + j);
        if (dtype == MG_I8) v = vs_mul(v, vs_load_some(a->k_scale + first + j, n - j));
        v = vs_mul(v, vs_set(a->scale));
        if (a->bias) v = vs_add(v, vs_load_some(a->bias + first + j, n - j));
        vs_store(s + j, v);
        for (int64_t i = n; i < j + SUM_LANES; i++) s[i] = -INFINITY;
        most = vs_max(vs_load(s + j), most);
    }
    vs_store(lane, most);
    for (int i = 0; i < SUM_LANES; i++) top = lane[i] > top ? lane[i] : top;
    return top;
}

/* p[j] = e^(s[j] - top) in place; returns their sum. */
VF float weigh_keys(float *s, int64_t n, float top)
{
    vs sum = vs_set(0);

    for (int64_t j = 0; j < n; j += SUM_LANES) {
        const vs p = vs_exp(vs_sub(vs_load(s + j), vs_set(top)));
        vs_store(s + j, p);
        sum = vs_add(sum, p);
    }
    return vs_sum(sum);
}

/* p[j] times the scale of its value. */
VF void scale_weights(float *p, const float *scale, int64_t n)
{
    for (int64_t j = 0; j < n; j += LANES) vf_store(p + j, vf_load(p + j) * vf_load_some(scale + j, n - j));
}

/* The values of a query alone come from the second-level cache: memory would rest, and brings keys that are
 * scored later, one for each value. They stand a chunk ahead in the row of this query's keys and the next
 * one's. Eight lanes of 16-bit values are too busy for it (docs/PERFORMANCE.md). */
VF void fetch_keys(const mg_cpu_query *a, int64_t j, int64_t e, int64_t n_bytes, const int64_t E,
                   const mg_dtype dtype)
{
    const int64_t row = E * value_size(dtype), ahead = a->n_keys < CHUNK_KEYS ? a->n_keys : CHUNK_KEYS;
    const int64_t of_next = j + ahead - a->n_keys;
    const char *next = a->next_k ? a->next_k : a->k;

    if (LANES < 16 && dtype != MG_F32) return;
    fetch_later((of_next < 0 ? (const char *)a->k + (j + ahead) * row : next + of_next * row) +
                    e * value_size(dtype),
                n_bytes);
}

/* y_i[e] = shrink_i y_i[e] + sum over j, from <= j < n, of p[i][j] v_j[e] for n_vecs vectors of columns from
 * e on. */
VF void gather_vectors(const mg_cpu_query *a, const int n_queries, float (*p)[CHUNK_KEYS], int64_t first,
                       int64_t from, int64_t n, const float *shrink, int64_t e, const int n_vecs,
                       const int64_t E, const mg_dtype dtype)
{
    const int64_t size = value_size(dtype);
    const char *v = (const char *)a->v + ((first + from) * E + e) * size;
#if defined(MG_CPU_FOR_NEON)
    vf acc[MG_CPU_QUERIES][ALONE_VECS];
#else
    vf acc[MG_CPU_QUERIES][ALONE_VECS], value[ALONE_VECS];
#endif

    UNROLL for (int i = 0; i < n_queries; i++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) acc[i][c] =
            vf_load_some(a[i].y + e + c * LANES, E - e - c * LANES) * vf_set(shrink[i]);
    }
    for (int64_t j = from; j < n; j++, v += E * size) {
#if defined(MG_CPU_FOR_NEON)
        vf value[ALONE_VECS]; /* GCC for aarch64 writes one from outside of the loop to memory each time */
#endif
        if (n_queries == 1) {
            if (j + AHEAD_BYTES / (E * size) < n) fetch_ahead(v, n_vecs * LANES * size);
            fetch_keys(a, first + j, e, n_vecs * LANES * size, E, dtype);
        }
        UNROLL for (int c = 0; c < n_vecs; c++) value[c] =
            vf_widen_some(v + c * LANES * size, dtype, E - e - c * LANES);
        UNROLL for (int i = 0; i < n_queries; i++)
        {
            const vf weight = vf_set(p[i][j]);
            UNROLL for (int c = 0; c < n_vecs; c++) acc[i][c] = vf_fma(weight, value[c], acc[i][c]);
        }
    }
    UNROLL for (int i = 0; i < n_queries; i++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++)
            vf_store_some(a[i].y + e + c * LANES, acc[i][c], E - e - c * LANES);
    }
}

/* As many vectors of columns at once as the registers hold. */
VF void gather_values(const mg_cpu_query *a, const int n_queries, float (*p)[CHUNK_KEYS], int64_t first,
                      int64_t from, int64_t n, const float *shrink, const int64_t E, const mg_dtype dtype)
{
    const int n_vecs = n_queries > 1 ? SHARED_VECS : ALONE_VECS;
    int64_t e = 0;

    for (; e + n_vecs * LANES <= E; e += n_vecs * LANES)
        gather_vectors(a, n_queries, p, first, from, n, shrink, e, n_vecs, E, dtype);
    for (; e < E; e += LANES) gather_vectors(a, n_queries, p, first, from, n, shrink, e, 1, E, dtype);
}

/* Where a query has run out of keys before the others, its part of a chunk changes nothing: it shrinks by 1
 * and adds 0 to a total that is not. */
VF void attend_as(const mg_cpu_query *a, const int n_queries, const int64_t E, const mg_dtype dtype)
{
    static const float one = 1;
    float s[MG_CPU_QUERIES][CHUNK_KEYS], top[MG_CPU_QUERIES], total[MG_CPU_QUERIES] = {0};
    float shrink[MG_CPU_QUERIES];
    int64_t most = 0, n[MG_CPU_QUERIES];

    for (int i = 0; i < n_queries; i++) {
        memset(a[i].y, 0, (size_t)E * sizeof(float));
        top[i] = -INFINITY;
        if (a[i].n_keys > most) most = a[i].n_keys;
    }
    for (int64_t first = 0; first < most; first += CHUNK_KEYS) {
        const int64_t left = most - first;
        int64_t shared = CHUNK_KEYS;
        score_keys(s, a, n_queries, first, left < CHUNK_KEYS ? left : CHUNK_KEYS, E, dtype);
        for (int i = 0; i < n_queries; i++) {
            n[i] = a[i].n_keys - first;
            n[i] = n[i] < 0 ? 0 : n[i] < CHUNK_KEYS ? n[i] : CHUNK_KEYS;
            if (n[i] < shared) shared = n[i];
            const float new_top = scale_scores(s[i], &a[i], first, n[i], top[i], dtype);
            shrink[i] = vf_exp(vf_set(top[i] - new_top))[0];
            total[i] = total[i] * shrink[i] + weigh_keys(s[i], n[i], new_top);
            if (dtype == MG_I8) scale_weights(s[i], a[i].v_scale + first, n[i]);
            top[i] = new_top;
        }
        gather_values(a, n_queries, s, first, 0, shared, shrink, E, dtype);
        for (int i = 0; i < n_queries; i++)
            if (n[i] > shared) gather_values(&a[i], 1, &s[i], first, shared, n[i], &one, E, dtype);
    }
    for (int i = 0; i < n_queries; i++)
        for (int64_t e = 0; a[i].n_keys > 0 && e < E; e += LANES)
            vf_store_some(a[i].y + e, vf_load_some(a[i].y + e, E - e) * vf_set(1 / total[i]), E - e);
}

/* MusicGen's and T5's heads are 64 wide: a copy for that width alone. */
VF void attend_wide(const mg_cpu_query *a, const int n_queries, const mg_dtype dtype)
{
    if (a->E == 64)
        attend_as(a, n_queries, 64, dtype);
    else
        attend_as(a, n_queries, a->E, dtype);
}

VF void attend_by(const mg_cpu_query *a, const int n_queries)
{
    switch (a->dtype) {
    case MG_F32: attend_wide(a, n_queries, MG_F32); break;
    case MG_BF16: attend_wide(a, n_queries, MG_BF16); break;
    case MG_I8: attend_wide(a, n_queries, MG_I8); break;
    default: attend_wide(a, n_queries, MG_F16); break;
    }
}

static void attend(const mg_cpu_query *a, int64_t n)
{
    if (n == 1)
        attend_by(a, 1);
    else
        attend_by(a, MG_CPU_QUERIES);
}
