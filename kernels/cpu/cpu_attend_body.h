/* Attention of one query over its keys, for one level. Included by cpu_kernels*.c only.
 *
 * Keys go in chunks of a fixed size with a running maximum, so the result depends on the query's own keys and
 * on nothing else. */
#include <math.h>

#include "cpu_kernels.h"
#include "cpu_math.h"

enum { CHUNK_KEYS = 256 };

/* s[j] = scale q k_j (+ bias[j]) */
VF void score_keys(float *s, const mg_cpu_query *a, int64_t first, int64_t n, const int64_t E,
                   const mg_dtype dtype)
{
    const int64_t key_bytes = E * (dtype == MG_F32 ? 4 : 2), size = key_bytes / E;

    for (int64_t j = 0; j < n; j++) {
        const char *k = (const char *)a->k + (first + j) * key_bytes;
        vf sum = vf_set(0);
        for (int64_t e = 0; e < E; e += LANES)
            sum = vf_fma(vf_load_some(a->q + e, E - e), vf_widen_some(k + e * size, dtype, E - e), sum);
        s[j] = vf_sum(sum);
    }
    for (int64_t j = 0; j < n; j += LANES) {
        vf v = vf_load_some(s + j, n - j) * vf_set(a->scale);
        if (a->bias) v = v + vf_load_some(a->bias + first + j, n - j);
        vf_store_some(s + j, v, n - j);
    }
}

/* p[j] = e^(s[j] - top) in place; returns their sum. */
VF float weigh_keys(float *s, int64_t n, float top)
{
    vf sum = vf_set(0);

    for (int64_t j = 0; j < n; j += LANES) {
        const vf p = vf_keep(vf_exp(vf_load_some(s + j, n - j) - vf_set(top)), n - j);
        vf_store_some(s + j, p, n - j);
        sum = sum + p;
    }
    return vf_sum(sum);
}

/* y[e] = shrink y[e] + sum over j of p[j] v_j[e] for n_vecs vectors of columns from e on. */
VF void gather_values(const mg_cpu_query *a, const float *p, int64_t first, int64_t n, float shrink,
                      int64_t e, const int n_vecs, const int64_t E, const mg_dtype dtype)
{
    const int64_t size = dtype == MG_F32 ? 4 : 2;
    const char *v = (const char *)a->v + (first * E + e) * size;
    vf acc[4];

    for (int c = 0; c < n_vecs; c++)
        acc[c] = vf_load_some(a->y + e + c * LANES, E - e - c * LANES) * vf_set(shrink);
    for (int64_t j = 0; j < n; j++, v += E * size) {
        const vf weight = vf_set(p[j]);
        for (int c = 0; c < n_vecs; c++)
            acc[c] = vf_fma(weight, vf_widen_some(v + c * LANES * size, dtype, E - e - c * LANES), acc[c]);
    }
    for (int c = 0; c < n_vecs; c++) vf_store_some(a->y + e + c * LANES, acc[c], E - e - c * LANES);
}

VF void attend_as(const mg_cpu_query *a, const int64_t E, const mg_dtype dtype)
{
    float s[CHUNK_KEYS], top = -INFINITY, total = 0;

    memset(a->y, 0, (size_t)E * sizeof *a->y);
    for (int64_t first = 0; first < a->n_keys; first += CHUNK_KEYS) {
        const int64_t n = a->n_keys - first < CHUNK_KEYS ? a->n_keys - first : CHUNK_KEYS;
        float new_top = top;
        score_keys(s, a, first, n, E, dtype);
        for (int64_t j = 0; j < n; j++) new_top = s[j] > new_top ? s[j] : new_top;
        const float shrink = vf_exp(vf_set(top - new_top))[0];
        total = total * shrink + weigh_keys(s, n, new_top);
        top = new_top;
        int64_t e = 0;
        for (; e + 4 * LANES <= E; e += 4 * LANES) gather_values(a, s, first, n, shrink, e, 4, E, dtype);
        for (; e < E; e += LANES) gather_values(a, s, first, n, shrink, e, 1, E, dtype);
    }
    for (int64_t e = 0; a->n_keys > 0 && e < E; e += LANES)
        vf_store_some(a->y + e, vf_load_some(a->y + e, E - e) * vf_set(1 / total), E - e);
}

/* MusicGen's and T5's heads are 64 wide: a copy for that width alone. */
static void attend(const mg_cpu_query *a)
{
    if (a->E == 64 && a->dtype == MG_F32)
        attend_as(a, 64, MG_F32);
    else if (a->E == 64 && a->dtype == MG_BF16)
        attend_as(a, 64, MG_BF16);
    else if (a->E == 64)
        attend_as(a, 64, MG_F16);
    else if (a->dtype == MG_F32)
        attend_as(a, a->E, MG_F32);
    else if (a->dtype == MG_BF16)
        attend_as(a, a->E, MG_BF16);
    else
        attend_as(a, a->E, MG_F16);
}
