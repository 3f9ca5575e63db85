/* Weights that are computed from more than one tensor: weight-normalised convolutions, and sums of biases.
 * A convolution is fused row by row on its way to the backend. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "weights_source.h"

enum { NAME_SIZE = 512, FUSE_ROWS = 8 };

mg_status mg_weights_sum(mg_weights *w, mg_tensor *out, const char *name_a, const char *name_b, int64_t n)
{
    mg_status st = MG_OK;
    float *host = NULL;

    *out = mg_tensor_1d(NULL, MG_F32, n);
    MG_RETURN(mg_arena_take(w->arena, &out->data, mg_tensor_bytes(out)));
    if (mg_arena_is_measuring(w->arena)) {
        MG_RETURN(mg_weights_keep(w, NULL, name_a, 1, &n));
        return mg_weights_keep(w, NULL, name_b, 1, &n);
    }
    host = malloc(2 * (size_t)n * sizeof *host);
    if (!host) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(2 * n));
    MG_TRY(mg_weights_host(w, host, name_a, 1, &n));
    MG_TRY(mg_weights_host(w, host + n, name_b, 1, &n));
    for (int64_t i = 0; i < n; i++) host[i] += host[n + i];
    MG_TRY(mg_upload(w->ops, out->data, host, (size_t)n * sizeof *host));
done:
    free(host);
    return st;
}

mg_status mg_weights_stack(mg_weights *w, mg_tensor *out, const char *const *names, int count, int64_t n)
{
    mg_status st = MG_OK;
    float *host = NULL;

    *out = mg_tensor_1d(NULL, MG_F32, count * n);
    MG_RETURN(mg_arena_take(w->arena, &out->data, mg_tensor_bytes(out)));
    host = malloc(mg_tensor_bytes(out));
    if (!host) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(count * n));
    for (int i = 0; i < count; i++) MG_TRY(mg_weights_keep(w, host + i * n, names[i], 1, &n));
    if (!mg_arena_is_measuring(w->arena)) MG_TRY(mg_upload(w->ops, out->data, host, mg_tensor_bytes(out)));
done:
    free(host);
    return st;
}

/* Which of the three dialects the checkpoint speaks for this convolution. */
typedef struct conv_names {
    char g[NAME_SIZE], v[NAME_SIZE]; /* g is "" for a plain weight, which is then v */
} conv_names;

static void find_names(const mg_weights *w, conv_names *names, const char *name)
{
    static const char *const dialect[2][2] = {
        {"weight_g", "weight_v"}, {"parametrizations.weight.original0", "parametrizations.weight.original1"}};

    names->g[0] = '\0';
    snprintf(names->v, sizeof names->v, "%s.weight", name);
    if (!w->checkpoint || mg_weights_has(w, names->v)) return;
    for (int i = 1; i >= 0; i--) { /* the older names are the ones reported missing */
        snprintf(names->g, sizeof names->g, "%s.%s", name, dialect[i][0]);
        snprintf(names->v, sizeof names->v, "%s.%s", name, dialect[i][1]);
        if (mg_weights_has(w, names->g) || mg_weights_has(w, names->v)) return;
    }
}

/* v [n_outer, n_inner] *= g / |v|, each outer index by its own norm. Several sums run side by side, for each
 * must add in order. */
static void fuse(float *v, const float *g, int64_t n_outer, int64_t n_inner)
{
    for (int64_t first = 0; first < n_outer; first += FUSE_ROWS) {
        const int64_t n = n_outer - first < FUSE_ROWS ? n_outer - first : FUSE_ROWS;
        float *row[FUSE_ROWS];
        double sum[FUSE_ROWS] = {0};
        for (int64_t r = 0; r < FUSE_ROWS; r++) row[r] = v + (first + (r < n ? r : 0)) * n_inner;
        for (int64_t i = 0; i < n_inner; i++)
            for (int r = 0; r < FUSE_ROWS; r++) sum[r] += (double)row[r][i] * row[r][i];
        for (int64_t r = 0; r < n; r++) {
            const double scale = sum[r] > 0 ? g[first + r] / sqrt(sum[r]) : 0;
            for (int64_t i = 0; i < n_inner; i++) row[r][i] = (float)(row[r][i] * scale);
        }
    }
}

/* Fused rows for whichever thread asks. */
typedef struct conv_rows {
    const mg_checkpoint_entry *g, *v; /* g NULL: v is the weight */
    int64_t n_inner;
    int64_t n_bad_g, n_bad_v;
    int error_g, error_v;
} conv_rows;

static void read_rows(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                      int64_t n_cols)
{
    conv_rows *r = arg;

    (void)first_col, (void)n_cols; /* whole rows, says mg_conv_load */
    for (int64_t row = 0; row < n_rows; row += FUSE_ROWS) {
        const int64_t n = n_rows - row < FUSE_ROWS ? n_rows - row : FUSE_ROWS, first = first_row + row;
        float *v = (float *)dst + row * r->n_inner, g[FUSE_ROWS];
        const int error_v = mg_weights_read(v, r->v, first * r->n_inner, n * r->n_inner, &r->n_bad_v);
        if (error_v) __atomic_store_n(&r->error_v, error_v, __ATOMIC_RELAXED);
        if (!r->g) continue;
        const int error_g = mg_weights_read(g, r->g, first, n, &r->n_bad_g);
        if (error_g) __atomic_store_n(&r->error_g, error_g, __ATOMIC_RELAXED);
        fuse(v, g, n, r->n_inner);
    }
}

static mg_status load_random_conv(mg_weights *w, const mg_conv *c, const conv_names *names,
                                  const int64_t *dim)
{
    const int64_t n_inner = dim[1] * dim[2];
    mg_status st = MG_OK;
    float *host = malloc((size_t)(dim[0] * n_inner) * sizeof *host);

    if (!host) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(dim[0] * n_inner));
    const mg_host_matrix src = {
        .data = host, .dtype = MG_F32, .n_rows = dim[0], .n_cols = n_inner, .row_stride = n_inner};
    MG_TRY(mg_weights_host(w, host, names->v, 3, dim));
    MG_TRY(mg_conv_load(w->ops, c, &src));
done:
    free(host);
    return st;
}

static mg_status load_conv(mg_weights *w, const mg_conv *c, const conv_names *names, const int64_t *dim)
{
    const int64_t g_dim[3] = {dim[0], 1, 1};
    conv_rows rows = {.n_inner = dim[1] * dim[2]};
    const mg_host_matrix src = {
        .dtype = MG_F32, .n_rows = dim[0], .n_cols = rows.n_inner, .read = read_rows, .read_arg = &rows};

    if (!w->checkpoint) return load_random_conv(w, c, names, dim);
    MG_RETURN(mg_weights_find(w, &rows.v, names->v, 3, dim));
    if (names->g[0]) MG_RETURN(mg_weights_find(w, &rows.g, names->g, 3, g_dim));
    MG_RETURN(mg_conv_load(w->ops, c, &src));
    MG_RETURN(mg_checkpoint_check_read(rows.v, rows.error_v));
    MG_RETURN(mg_weights_check(rows.v, rows.n_bad_v));
    mg_weights_consume(w, rows.v, dim[0] * rows.n_inner);
    if (!rows.g) return MG_OK;
    MG_RETURN(mg_checkpoint_check_read(rows.g, rows.error_g));
    MG_RETURN(mg_weights_check(rows.g, rows.n_bad_g));
    mg_weights_consume(w, rows.g, dim[0]);
    return MG_OK;
}

mg_status mg_weights_conv(mg_weights *w, mg_conv *c, mg_tensor *bias, const char *name)
{
    const int64_t dim[3] = {c->transposed ? c->c_in : c->c_out, c->transposed ? c->c_out : c->c_in,
                            c->n_taps};
    const int64_t g_dim[3] = {dim[0], 1, 1};
    conv_names names;
    char bias_name[NAME_SIZE];

    find_names(w, &names, name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    MG_RETURN(mg_arena_take(w->arena, &c->data, mg_conv_bytes(w->ops, c)));
    if (mg_arena_is_measuring(w->arena)) {
        MG_RETURN(mg_weights_keep(w, NULL, names.v, 3, dim));
        if (names.g[0]) MG_RETURN(mg_weights_keep(w, NULL, names.g, 3, g_dim));
    } else {
        MG_RETURN(load_conv(w, c, &names, dim));
    }
    return bias ? mg_weights_tensor(w, bias, bias_name, 0, 1, &c->c_out) : MG_OK;
}

/* v [n_rows, n_taps] times g / |v|, each tap by its own norm. */
static void fuse_taps(float *v, const float *g, int64_t n_rows, int64_t n_taps, double *scale)
{
    for (int64_t t = 0; t < n_taps; t++) scale[t] = 0;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t t = 0; t < n_taps; t++) scale[t] += (double)v[r * n_taps + t] * v[r * n_taps + t];
    for (int64_t t = 0; t < n_taps; t++) scale[t] = scale[t] > 0 ? g[t] / sqrt(scale[t]) : 0;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t t = 0; t < n_taps; t++) v[r * n_taps + t] = (float)(v[r * n_taps + t] * scale[t]);
}

/* The whole weight [n_groups * c_out, c_in, n_taps], cut into the groups' own. */
static mg_status load_groups(mg_weights *w, const mg_conv *c, int64_t n_groups, const conv_names *names)
{
    const int64_t T = c->n_taps, n_inner = c->c_in * T, n_rows = n_groups * c->c_out;
    const int64_t dim[3] = {n_rows, c->c_in, T}, g_dim[3] = {1, 1, T};
    mg_status st = MG_OK;
    float *v = malloc((size_t)(n_rows * n_inner + T) * sizeof *v), *g = v ? v + n_rows * n_inner : NULL;
    double *scale = malloc((size_t)T * sizeof *scale);

    if (!v || !scale)
        MG_TRY(mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(n_rows * n_inner)));
    MG_TRY(mg_weights_host(w, v, names->v, 3, dim));
    if (names->g[0]) {
        MG_TRY(mg_weights_host(w, g, names->g, 3, g_dim));
        fuse_taps(v, g, n_rows * c->c_in, T, scale);
    }
    for (int64_t i = 0; i < n_groups; i++) {
        const mg_host_matrix src = {.data = v + i * c->c_out * n_inner,
                                    .dtype = MG_F32,
                                    .n_rows = c->c_out,
                                    .n_cols = n_inner,
                                    .row_stride = n_inner};
        MG_TRY(mg_conv_load(w->ops, &c[i], &src));
    }
done:
    free(v);
    free(scale);
    return st;
}

mg_status mg_weights_conv_groups(mg_weights *w, mg_conv *c, int64_t n_groups, mg_tensor *bias,
                                 const char *name)
{
    const int64_t dim[3] = {n_groups * c->c_out, c->c_in, c->n_taps}, g_dim[3] = {1, 1, c->n_taps};
    conv_names names;
    char bias_name[NAME_SIZE];

    find_names(w, &names, name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    for (int64_t i = 0; i < n_groups; i++)
        MG_RETURN(mg_arena_take(w->arena, &c[i].data, mg_conv_bytes(w->ops, &c[i])));
    if (mg_arena_is_measuring(w->arena)) {
        MG_RETURN(mg_weights_keep(w, NULL, names.v, 3, dim));
        if (names.g[0]) MG_RETURN(mg_weights_keep(w, NULL, names.g, 3, g_dim));
    } else {
        MG_RETURN(load_groups(w, c, n_groups, &names));
    }
    MG_RETURN(mg_weights_tensor(w, bias, bias_name, 0, 1, &dim[0]));
    *bias = mg_tensor_2d(bias->data, MG_F32, n_groups, c->c_out);
    return MG_OK;
}
