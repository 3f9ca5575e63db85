#include "encoder_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stop.h"

enum { STEM_SIZE = 96, NAME_SIZE = STEM_SIZE + 8 };

mg_status mg_encoder_init(mg_encoder_layers *e, const mg_encoder_shape *shape, const mg_ops *ops)
{
    *e = (mg_encoder_layers){.shape = *shape, .ops = ops};
    e->layers = calloc((size_t)shape->n_layers, sizeof *e->layers);
    return e->layers ? MG_OK
                     : mg_fail(MG_ENOMEM, "encoder: no memory for %lld layers", (long long)shape->n_layers);
}

void mg_encoder_reset(mg_encoder_layers *e)
{
    free(e->layers);
    free(e->rows_host);
    *e = (mg_encoder_layers){0};
}

mg_status mg_encoder_load_norm(mg_encoder_norm *norm, mg_weights *w, const char *name, int64_t D)
{
    char full[NAME_SIZE];

    snprintf(full, sizeof full, "%sweight", name);
    MG_RETURN(mg_weights_tensor(w, &norm->gamma, full, 0, 1, &D));
    snprintf(full, sizeof full, "%sbias", name);
    return mg_weights_tensor(w, &norm->beta, full, 0, 1, &D);
}

/* Stacked from `n` of n_out rows each. */
static mg_status load_stacked(mg_encoder_linear *linear, mg_weights *w, const char *const *names, int n,
                              int64_t n_out, int64_t n_in, bool has_bias)
{
    enum { MOST = 3 };
    char weight[MOST][NAME_SIZE], bias[MOST][NAME_SIZE];
    const char *bias_names[MOST];
    mg_weights_part parts[MOST];

    MG_REQUIRE(n <= MOST);
    for (int i = 0; i < n; i++) {
        snprintf(weight[i], NAME_SIZE, "%sweight", names[i]);
        snprintf(bias[i], NAME_SIZE, "%sbias", names[i]);
        bias_names[i] = bias[i];
        parts[i] = (mg_weights_part){weight[i], n_out, n_in, 0, n_out, 0, n_in};
    }
    MG_RETURN(mg_weights_matrix(w, &linear->w, MG_FORMAT_F32, 1, parts, n));
    return has_bias ? mg_weights_stack(w, &linear->bias, bias_names, n, n_out) : MG_OK;
}

mg_status mg_encoder_load_linear(mg_encoder_linear *linear, mg_weights *w, const char *name, int64_t n_out,
                                 int64_t n_in, bool has_bias)
{
    return load_stacked(linear, w, &name, 1, n_out, n_in, has_bias);
}

static mg_status load_layer(mg_encoder_layer *layer, const mg_encoder_shape *s, mg_weights *w, int64_t l)
{
    enum { Q, K, V, O, UP, DOWN, NORM_ATTENTION, NORM_FF, N_NAMES };
    const mg_encoder_names *n = &s->names;
    const char *const own[N_NAMES] = {n->q, n->k, n->v, n->o, n->up, n->down, n->norm_attention, n->norm_ff};
    const int n_qkv = n->k ? 3 : 1;
    const int64_t D = s->D, F = s->F;
    char name[N_NAMES][STEM_SIZE];

    for (int i = 0; i < N_NAMES; i++)
        if (own[i]) snprintf(name[i], STEM_SIZE, "%s.%lld.%s", n->layers, (long long)l, own[i]);
    const char *const qkv[3] = {name[Q], name[K], name[V]};
    MG_RETURN(mg_encoder_load_norm(&layer->norm_attention, w, name[NORM_ATTENTION], D));
    MG_RETURN(load_stacked(&layer->qkv, w, qkv, n_qkv, 3 * D / n_qkv, D, s->has_bias));
    MG_RETURN(mg_encoder_load_linear(&layer->o, w, name[O], D, D, s->has_bias));
    MG_RETURN(mg_encoder_load_norm(&layer->norm_ff, w, name[NORM_FF], D));
    MG_RETURN(mg_encoder_load_linear(&layer->up, w, name[UP], F, D, s->has_bias));
    return mg_encoder_load_linear(&layer->down, w, name[DOWN], D, F, s->has_bias);
}

mg_status mg_encoder_load(mg_encoder_layers *e, mg_weights *w)
{
    for (int64_t l = 0; l < e->shape.n_layers; l++) MG_RETURN(load_layer(&e->layers[l], &e->shape, w, l));
    return MG_OK;
}

static mg_status take(mg_arena *run, mg_tensor *t, mg_dtype dtype, int64_t d0, int64_t d1)
{
    *t = d1 ? mg_tensor_2d(NULL, dtype, d0, d1) : mg_tensor_1d(NULL, dtype, d0);
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

mg_status mg_encoder_reserve(mg_encoder_layers *e, mg_arena *run, int64_t S_max)
{
    const mg_encoder_shape *s = &e->shape;
    const int64_t S = S_max, D = s->D;

    MG_REQUIRE(S_max > 0);
    e->S_max = S;
    e->kv =
        (mg_kv){.format = MG_FORMAT_F32, .n_rows = 1, .n_heads = s->n_heads, .T_max = S, .E = D / s->n_heads};
    MG_RETURN(mg_arena_take(run, &e->kv.k, mg_kv_bytes(e->ops, &e->kv)));
    MG_RETURN(mg_arena_take(run, &e->kv.v, mg_kv_bytes(e->ops, &e->kv)));
    MG_RETURN(take(run, &e->zero, MG_I32, S, 0));
    MG_RETURN(take(run, &e->column, MG_I32, S, 0));
    MG_RETURN(take(run, &e->n_keys, MG_I32, S, 0));
    MG_RETURN(take(run, &e->a, MG_F32, S, D));
    MG_RETURN(take(run, &e->qkv, MG_F32, S, 3 * D));
    MG_RETURN(take(run, &e->mixed, MG_F32, S, D));
    MG_RETURN(take(run, &e->ff, MG_F32, S, s->F));
    if (mg_arena_is_measuring(run)) return MG_OK;

    free(e->rows_host);
    e->rows_host = calloc((size_t)S, sizeof *e->rows_host);
    return e->rows_host ? MG_OK : mg_fail(MG_ENOMEM, "encoder: no memory for %lld rows", (long long)S);
}

mg_status mg_encoder_apply(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_encoder_linear *l,
                           mg_act act, bool accumulate)
{
    return mg_linear(ops, y, x, &l->w, l->bias.data ? &l->bias : NULL, act, accumulate);
}

static mg_status upload_geometry(mg_encoder_layers *e, int64_t S)
{
    const size_t bytes = (size_t)S * sizeof(int32_t);
    int32_t *n = e->rows_host;

    for (int64_t s = 0; s < S; s++) n[s] = 0;
    MG_RETURN(mg_upload(e->ops, e->zero.data, n, bytes));
    for (int64_t s = 0; s < S; s++) n[s] = (int32_t)s;
    MG_RETURN(mg_upload(e->ops, e->column.data, n, bytes));
    for (int64_t s = 0; s < S; s++) n[s] = (int32_t)S;
    return mg_upload(e->ops, e->n_keys.data, n, bytes);
}

static mg_status norm_into(const mg_encoder_layers *e, mg_tensor *y, const mg_tensor *x,
                           const mg_encoder_norm *norm)
{
    return mg_layer_norm(e->ops, y, x, &norm->gamma, &norm->beta, (float)e->shape.eps);
}

static mg_status attend(mg_encoder_layers *e, const mg_encoder_layer *layer, mg_tensor *h, const mg_tensor *x)
{
    const int64_t S = h->dim[0], D = e->shape.D;
    const float scale = (float)(1 / sqrt((double)e->kv.E));
    const mg_tensor zero = mg_tensor_rows(&e->zero, 0, S), column = mg_tensor_rows(&e->column, 0, S),
                    n_keys = mg_tensor_rows(&e->n_keys, 0, S);
    mg_tensor qkv = mg_tensor_rows(&e->qkv, 0, S), mixed = mg_tensor_rows(&e->mixed, 0, S);

    MG_RETURN(mg_encoder_apply(e->ops, &qkv, x, &layer->qkv, MG_ACT_NONE, false));
    MG_RETURN(mg_kv_write(e->ops, &e->kv, &qkv, D, &zero, &column));
    MG_RETURN(mg_attention(e->ops, &mixed, &qkv, &e->kv, &zero, &n_keys, scale, NULL));
    return mg_encoder_apply(e->ops, h, &mixed, &layer->o, MG_ACT_NONE, true);
}

static mg_status feed_forward(mg_encoder_layers *e, const mg_encoder_layer *layer, mg_tensor *h,
                              const mg_tensor *x)
{
    mg_tensor ff = mg_tensor_rows(&e->ff, 0, h->dim[0]);

    MG_RETURN(mg_encoder_apply(e->ops, &ff, x, &layer->up, MG_ACT_GELU, false));
    return mg_encoder_apply(e->ops, h, &ff, &layer->down, MG_ACT_NONE, true);
}

static mg_status run_layer(mg_encoder_layers *e, const mg_encoder_layer *layer, mg_tensor *h)
{
    mg_tensor a = mg_tensor_rows(&e->a, 0, h->dim[0]);

    if (e->shape.norm_first) {
        MG_RETURN(norm_into(e, &a, h, &layer->norm_attention));
        MG_RETURN(attend(e, layer, h, &a));
        MG_RETURN(norm_into(e, &a, h, &layer->norm_ff));
        return feed_forward(e, layer, h, &a);
    }
    MG_RETURN(attend(e, layer, h, h));
    MG_RETURN(norm_into(e, h, h, &layer->norm_attention));
    MG_RETURN(feed_forward(e, layer, h, h));
    return norm_into(e, h, h, &layer->norm_ff);
}

mg_status mg_encoder_run(mg_encoder_layers *e, mg_tensor *h)
{
    const int64_t S = h->dim[0];

    MG_REQUIRE(e->rows_host && S > 0 && S <= e->S_max);
    MG_RETURN(upload_geometry(e, S));
    for (int64_t l = 0; l < e->shape.n_layers; l++) {
        MG_RETURN(mg_stop_check());
        MG_RETURN(run_layer(e, &e->layers[l], h));
    }
    return MG_OK;
}
