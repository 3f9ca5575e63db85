/* Weights that are computed from more than one tensor: weight-normalised convolutions, and sums of biases.
 * They are small (EnCodec), so whole tensors pass through host memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "weights_source.h"

enum { NAME_SIZE = 512 };

mg_status mg_weights_sum(mg_weights *w, mg_tensor *out, const char *name_a, const char *name_b, int64_t n)
{
    const mg_checkpoint_entry *e;
    mg_status st = MG_OK;
    float *host = NULL;

    *out = mg_tensor_1d(NULL, MG_F32, n);
    MG_RETURN(mg_arena_take(w->arena, &out->data, mg_tensor_bytes(out)));
    if (mg_arena_is_measuring(w->arena)) {
        MG_RETURN(mg_weights_find(w, &e, name_a, 1, &n));
        mg_weights_consume(w, e, 0, n);
        MG_RETURN(mg_weights_find(w, &e, name_b, 1, &n));
        mg_weights_consume(w, e, 0, n);
        return MG_OK;
    }
    host = malloc(2 * (size_t)n * sizeof *host);
    if (!host) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(2 * n));
    MG_TRY(mg_weights_host(w, host, name_a, 1, &n));
    MG_TRY(mg_weights_host(w, host + n, name_b, 1, &n));
    for (int64_t i = 0; i < n; i++) host[i] += host[n + i];
    MG_TRY(w->ops->upload(w->ops->ctx, out->data, host, (size_t)n * sizeof *host));
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

/* v [n_outer, n_inner] *= g / |v|, each outer index by its own norm. */
static void fuse(float *v, const float *g, int64_t n_outer, int64_t n_inner)
{
    for (int64_t o = 0; o < n_outer; o++) {
        float *row = v + o * n_inner;
        double sum = 0;
        for (int64_t i = 0; i < n_inner; i++) sum += (double)row[i] * row[i];
        const double scale = sum > 0 ? g[o] / sqrt(sum) : 0;
        for (int64_t i = 0; i < n_inner; i++) row[i] = (float)(row[i] * scale);
    }
}

static mg_status load_conv(mg_weights *w, const mg_conv *c, const conv_names *names, const int64_t *dim)
{
    const int64_t n_inner = dim[1] * dim[2], n = dim[0] * n_inner;
    const int64_t g_dim[3] = {dim[0], 1, 1};
    mg_status st = MG_OK;
    float *host = malloc((size_t)(n + dim[0]) * sizeof *host);

    if (!host) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)(n + dim[0]));
    MG_TRY(mg_weights_host(w, host, names->v, 3, dim));
    if (names->g[0]) {
        MG_TRY(mg_weights_host(w, host + n, names->g, 3, g_dim));
        fuse(host, host + n, dim[0], n_inner);
    }
    MG_TRY(mg_conv_load(w->ops, c, host));
done:
    free(host);
    return st;
}

mg_status mg_weights_conv(mg_weights *w, mg_conv *c, mg_tensor *bias, const char *name)
{
    const int64_t dim[3] = {c->transposed ? c->c_in : c->c_out, c->transposed ? c->c_out : c->c_in,
                            c->n_taps};
    const int64_t g_dim[3] = {dim[0], 1, 1};
    const mg_checkpoint_entry *e;
    conv_names names;
    char bias_name[NAME_SIZE];

    find_names(w, &names, name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    MG_RETURN(mg_arena_take(w->arena, &c->data, mg_conv_bytes(w->ops, c)));
    if (mg_arena_is_measuring(w->arena)) {
        MG_RETURN(mg_weights_find(w, &e, names.v, 3, dim));
        mg_weights_consume(w, e, 0, dim[0] * dim[1] * dim[2]);
        if (names.g[0]) {
            MG_RETURN(mg_weights_find(w, &e, names.g, 3, g_dim));
            mg_weights_consume(w, e, 0, dim[0]);
        }
    } else {
        MG_RETURN(load_conv(w, c, &names, dim));
    }
    return mg_weights_tensor(w, bias, bias_name, 0, 1, &c->c_out);
}
