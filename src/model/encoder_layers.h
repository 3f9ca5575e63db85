/* Layers of a transformer that sees one whole sequence at once, without a mask: MERT's and the style
 * encoder's. fp32. They differ in where the norms stand, in biases, and in their names. */
#ifndef MG_ENCODER_LAYERS_H
#define MG_ENCODER_LAYERS_H

#include "weights.h"

/* A name without the "weight" or "bias" at its end. */
typedef struct mg_encoder_names {
    const char *layers;    /* in whole, before a layer's number */
    const char *q, *k, *v; /* k, v NULL: q is all three, stacked */
    const char *o, *up, *down, *norm_attention, *norm_ff;
} mg_encoder_names;

typedef struct mg_encoder_shape {
    int64_t D, n_layers, n_heads, F;
    double eps;
    bool norm_first; /* before each half of a layer, else behind the sum */
    bool has_bias;
    mg_encoder_names names;
} mg_encoder_shape;

typedef struct mg_encoder_linear {
    mg_matrix w;
    mg_tensor bias; /* data NULL: none */
} mg_encoder_linear;

typedef struct mg_encoder_norm {
    mg_tensor gamma, beta;
} mg_encoder_norm;

typedef struct mg_encoder_layer {
    mg_encoder_linear qkv, o, up, down;
    mg_encoder_norm norm_attention, norm_ff;
} mg_encoder_layer;

typedef struct mg_encoder_layers {
    mg_encoder_shape shape;
    const mg_ops *ops;              /* borrowed */
    mg_encoder_layer *layers;       /* [n_layers] */
    int64_t S_max;                  /* rows that there is room for */
    int32_t *rows_host;             /* [S_max] */
    mg_kv kv;                       /* one row: a layer's keys and values */
    mg_tensor zero, column, n_keys; /* [S_max] int32: row 0; 0 … S-1; S */
    mg_tensor a, qkv, mixed, ff;    /* [S_max, D], [S_max, 3D], [S_max, D], [S_max, F] */
} mg_encoder_layers;

mg_status mg_encoder_init(mg_encoder_layers *e, const mg_encoder_shape *shape, const mg_ops *ops);

/* Legal on a zeroed struct. */
void mg_encoder_reset(mg_encoder_layers *e);

/* Survey or load. */
mg_status mg_encoder_load(mg_encoder_layers *e, mg_weights *w);
mg_status mg_encoder_load_norm(mg_encoder_norm *norm, mg_weights *w, const char *name, int64_t D);
mg_status mg_encoder_load_linear(mg_encoder_linear *linear, mg_weights *w, const char *name, int64_t n_out,
                                 int64_t n_in, bool has_bias);

/* Take room for sequences of up to S_max rows. */
mg_status mg_encoder_reserve(mg_encoder_layers *e, mg_arena *run, int64_t S_max);

/* h [S,D], 1 … S_max rows, through all layers, in place. MG_ESTOPPED if a signal asked for it. */
mg_status mg_encoder_run(mg_encoder_layers *e, mg_tensor *h);

/* y = act(x W^T + bias), or y += that. */
mg_status mg_encoder_apply(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_encoder_linear *l,
                           mg_act act, bool accumulate);

#endif
