/* T5 encoder. Ported from transformers' modeling_t5.py, T5Stack and T5Attention (4.46).
 *
 *     ids [S] -> h [S,D] -> L blocks of (RMS norm, attention, residual; RMS norm, feed-forward, residual)
 *             -> RMS norm -> states [S,D]
 *
 * fp32 throughout: in half precision its feed-forward overflows. No scale on q·k, no absolute positions, no
 * padding: one text at a time. */
#include "t5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct t5_layer {
    mg_tensor attention_norm, ff_norm; /* [D] */
    mg_matrix qkv;                     /* [3HE,D] */
    mg_matrix o;                       /* [D,HE] */
    mg_matrix wi, wi_gate;             /* [F,D]; wi_gate only if gated */
    mg_matrix wo;                      /* [D,F] */
} t5_layer;

struct mg_t5 {
    mg_t5_config config;
    const mg_ops *ops;      /* borrowed */
    mg_tensor embedding;    /* [1,V,D] */
    mg_tensor final_norm;   /* [D] */
    t5_layer *layers;       /* [L] */
    float *bias_table;      /* [n_buckets,H], host: the bias of a length is built from it */
    int64_t S_max;          /* tokens that there is room for */
    float *rel_bias_host;   /* [H,2*S_max-1] */
    int32_t *tokens_host;   /* [S_max] */
    mg_kv kv;               /* one row: a layer's keys and values */
    mg_tensor ids, column;  /* [S_max] int32: token ids; 0 … S-1 */
    mg_tensor zero, n_keys; /* [S_max] int32 */
    mg_tensor rel_bias;     /* [H,2*S_max-1] */
    mg_tensor h, a;         /* [S_max,D] the residual stream; its norm */
    mg_tensor qkv;          /* [S_max,3HE] */
    mg_tensor mixed;        /* [S_max,HE] */
    mg_tensor ff, gate;     /* [S_max,F] */
};

int64_t mg_t5_bucket(int64_t distance, int64_t n_buckets, int64_t max_distance)
{
    const int64_t half = n_buckets / 2, max_exact = half / 2;
    const int64_t side = distance > 0 ? half : 0, n = distance < 0 ? -distance : distance;

    if (n < max_exact) return side + n;
    if (n >= max_distance) return side + half - 1;
    /* fp32, in the reference's order of operations */
    const float ratio = logf((float)n / (float)max_exact) / logf((float)max_distance / (float)max_exact);
    const int64_t far = max_exact + (int64_t)(ratio * (float)(half - max_exact));
    return side + (far < half - 1 ? far : half - 1);
}

static mg_status load_layer(t5_layer *layer, const mg_t5_config *c, mg_weights *w, int64_t l)
{
    const int64_t D = c->d_model, F = c->d_ff, HE = c->n_heads * c->d_kv;
    enum { NORM1, Q, K, V, O, NORM2, WI, WI_GATE, WO, N_NAMES };
    static const char *const suffix[N_NAMES] = {
        [NORM1] = "layer.0.layer_norm",     [Q] = "layer.0.SelfAttention.q",
        [K] = "layer.0.SelfAttention.k",    [V] = "layer.0.SelfAttention.v",
        [O] = "layer.0.SelfAttention.o",    [NORM2] = "layer.1.layer_norm",
        [WI] = "layer.1.DenseReluDense.wi", [WI_GATE] = "layer.1.DenseReluDense.wi_1",
        [WO] = "layer.1.DenseReluDense.wo",
    };
    char name[N_NAMES][96];

    for (int i = 0; i < N_NAMES; i++)
        snprintf(name[i], sizeof name[i], "encoder.block.%lld.%s%s.weight", (long long)l, suffix[i],
                 i == WI && c->gated ? "_0" : "");
    const mg_weights_part qkv[3] = {
        {name[Q], HE, D, 0, HE, 0, D}, {name[K], HE, D, 0, HE, 0, D}, {name[V], HE, D, 0, HE, 0, D}};
    const mg_weights_part o = {name[O], D, HE, 0, D, 0, HE}, wo = {name[WO], D, F, 0, D, 0, F};
    const mg_weights_part wi = {name[WI], F, D, 0, F, 0, D}, gate = {name[WI_GATE], F, D, 0, F, 0, D};

    MG_RETURN(mg_weights_tensor(w, &layer->attention_norm, name[NORM1], 0, 1, &D));
    MG_RETURN(mg_weights_matrix(w, &layer->qkv, MG_FORMAT_F32, 1, qkv, 3));
    MG_RETURN(mg_weights_matrix(w, &layer->o, MG_FORMAT_F32, 1, &o, 1));
    MG_RETURN(mg_weights_tensor(w, &layer->ff_norm, name[NORM2], 0, 1, &D));
    MG_RETURN(mg_weights_matrix(w, &layer->wi, MG_FORMAT_F32, 1, &wi, 1));
    if (c->gated) MG_RETURN(mg_weights_matrix(w, &layer->wi_gate, MG_FORMAT_F32, 1, &gate, 1));
    return mg_weights_matrix(w, &layer->wo, MG_FORMAT_F32, 1, &wo, 1);
}

static mg_status load_all(mg_t5 *t5, mg_weights *w)
{
    const mg_t5_config *c = &t5->config;
    static const char bias[] = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    const int64_t embedding_dim[2] = {c->vocab_size, c->d_model}, bias_dim[2] = {c->n_buckets, c->n_heads};
    const char *embedding = "shared.weight";

    if (!mg_weights_has(w, embedding) && mg_weights_has(w, "encoder.embed_tokens.weight"))
        embedding = "encoder.embed_tokens.weight";
    MG_RETURN(mg_weights_tensor(w, &t5->embedding, embedding, 0, 2, embedding_dim));
    t5->embedding = mg_tensor_3d(t5->embedding.data, MG_F32, 1, c->vocab_size, c->d_model);
    MG_RETURN(mg_weights_keep(w, t5->bias_table, bias, 2, bias_dim));
    for (int64_t l = 0; l < c->n_layers; l++) MG_RETURN(load_layer(&t5->layers[l], c, w, l));
    return mg_weights_tensor(w, &t5->final_norm, "encoder.final_layer_norm.weight", 0, 1, &c->d_model);
}

mg_status mg_t5_load(mg_t5 **out, const mg_t5_config *config, mg_weights *w)
{
    mg_status st = MG_OK;
    mg_t5 *t5 = *out;

    if (!t5) {
        t5 = *out = calloc(1, sizeof *t5);
        if (!t5) return mg_fail(MG_ENOMEM, "t5: %zu bytes", sizeof *t5);
        t5->config = *config;
        t5->ops = w->ops;
        t5->layers = calloc((size_t)config->n_layers, sizeof *t5->layers);
        t5->bias_table = calloc((size_t)(config->n_buckets * config->n_heads), sizeof *t5->bias_table);
        if (!t5->layers || !t5->bias_table)
            MG_TRY(mg_fail(MG_ENOMEM, "t5: no memory for %lld layers", (long long)config->n_layers));
    }
    MG_TRY(load_all(t5, w));
done:
    if (st != MG_OK) {
        mg_t5_close(t5);
        *out = NULL;
    }
    return st;
}

void mg_t5_close(mg_t5 *t5)
{
    if (!t5) return;
    free(t5->layers);
    free(t5->bias_table);
    free(t5->rel_bias_host);
    free(t5->tokens_host);
    free(t5);
}

static mg_status take(mg_arena *run, mg_tensor *t, mg_dtype dtype, int64_t d0, int64_t d1)
{
    *t = d1 ? mg_tensor_2d(NULL, dtype, d0, d1) : mg_tensor_1d(NULL, dtype, d0);
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

mg_status mg_t5_reserve(mg_t5 *t5, mg_arena *run, int64_t S_max)
{
    const mg_t5_config *c = &t5->config;
    const int64_t H = c->n_heads, HE = H * c->d_kv, S = S_max;

    MG_REQUIRE(S_max > 0);
    t5->S_max = S;
    t5->kv = (mg_kv){.format = MG_FORMAT_F32, .n_rows = 1, .n_heads = H, .T_max = S, .E = c->d_kv};
    MG_RETURN(mg_arena_take(run, &t5->kv.k, mg_kv_bytes(t5->ops, &t5->kv)));
    MG_RETURN(mg_arena_take(run, &t5->kv.v, mg_kv_bytes(t5->ops, &t5->kv)));
    MG_RETURN(take(run, &t5->ids, MG_I32, S, 0));
    MG_RETURN(take(run, &t5->column, MG_I32, S, 0));
    MG_RETURN(take(run, &t5->zero, MG_I32, S, 0));
    MG_RETURN(take(run, &t5->n_keys, MG_I32, S, 0));
    MG_RETURN(take(run, &t5->rel_bias, MG_F32, H, 2 * S - 1));
    MG_RETURN(take(run, &t5->h, MG_F32, S, c->d_model));
    MG_RETURN(take(run, &t5->a, MG_F32, S, c->d_model));
    MG_RETURN(take(run, &t5->qkv, MG_F32, S, 3 * HE));
    MG_RETURN(take(run, &t5->mixed, MG_F32, S, HE));
    MG_RETURN(take(run, &t5->ff, MG_F32, S, c->d_ff));
    if (c->gated) MG_RETURN(take(run, &t5->gate, MG_F32, S, c->d_ff));
    if (mg_arena_is_measuring(run)) return MG_OK;

    free(t5->rel_bias_host);
    free(t5->tokens_host);
    t5->rel_bias_host = calloc((size_t)(H * (2 * S - 1)), sizeof *t5->rel_bias_host);
    t5->tokens_host = calloc((size_t)S, sizeof *t5->tokens_host);
    if (!t5->rel_bias_host || !t5->tokens_host)
        return mg_fail(MG_ENOMEM, "t5: no memory for texts of %lld tokens", (long long)S);
    return MG_OK;
}

static mg_status upload(const mg_t5 *t5, const mg_tensor *t, const void *host, int64_t n)
{
    return mg_upload(t5->ops, t->data, host, (size_t)n * mg_dtype_bytes(t->dtype));
}

/* What depends on the length alone: rows, columns, key counts, and the bias of every distance. */
static mg_status upload_geometry(mg_t5 *t5, int64_t S)
{
    const mg_t5_config *c = &t5->config;
    const int64_t H = c->n_heads, n_distances = 2 * S - 1;
    int32_t *n = t5->tokens_host;

    for (int64_t s = 0; s < S; s++) n[s] = 0;
    MG_RETURN(upload(t5, &t5->zero, n, S));
    for (int64_t s = 0; s < S; s++) n[s] = (int32_t)s;
    MG_RETURN(upload(t5, &t5->column, n, S));
    for (int64_t s = 0; s < S; s++) n[s] = (int32_t)S;
    MG_RETURN(upload(t5, &t5->n_keys, n, S));
    for (int64_t i = 0; i < n_distances; i++) {
        const int64_t bucket = mg_t5_bucket(i - (S - 1), c->n_buckets, c->max_distance);
        for (int64_t h = 0; h < H; h++)
            t5->rel_bias_host[h * n_distances + i] = t5->bias_table[bucket * H + h];
    }
    return upload(t5, &t5->rel_bias, t5->rel_bias_host, H * n_distances);
}

static mg_status encode_layer(mg_t5 *t5, const t5_layer *layer, int64_t S)
{
    const mg_ops *ops = t5->ops;
    const mg_t5_config *c = &t5->config;
    const int64_t HE = c->n_heads * c->d_kv;
    const mg_act act = c->gelu ? MG_ACT_GELU_TANH : MG_ACT_RELU;
    const mg_tensor zero = mg_tensor_rows(&t5->zero, 0, S), column = mg_tensor_rows(&t5->column, 0, S);
    const mg_tensor n_keys = mg_tensor_rows(&t5->n_keys, 0, S);
    const mg_tensor rel_bias = mg_tensor_2d(t5->rel_bias.data, MG_F32, c->n_heads, 2 * S - 1);
    mg_tensor h = mg_tensor_rows(&t5->h, 0, S), a = mg_tensor_rows(&t5->a, 0, S);
    mg_tensor qkv = mg_tensor_rows(&t5->qkv, 0, S), mixed = mg_tensor_rows(&t5->mixed, 0, S);
    mg_tensor ff = mg_tensor_rows(&t5->ff, 0, S);

    MG_RETURN(mg_rms_norm(ops, &a, &h, &layer->attention_norm, (float)c->eps));
    MG_RETURN(mg_linear(ops, &qkv, &a, &layer->qkv, NULL, MG_ACT_NONE, false));
    MG_RETURN(mg_kv_write(ops, &t5->kv, &qkv, HE, &zero, &column));
    MG_RETURN(mg_attention(ops, &mixed, &qkv, &t5->kv, &zero, &n_keys, 1.0f, &rel_bias));
    MG_RETURN(mg_linear(ops, &h, &mixed, &layer->o, NULL, MG_ACT_NONE, true));

    MG_RETURN(mg_rms_norm(ops, &a, &h, &layer->ff_norm, (float)c->eps));
    MG_RETURN(mg_linear(ops, &ff, &a, &layer->wi, NULL, act, false));
    if (c->gated) {
        mg_tensor gate = mg_tensor_rows(&t5->gate, 0, S);
        MG_RETURN(mg_linear(ops, &gate, &a, &layer->wi_gate, NULL, MG_ACT_NONE, false));
        MG_RETURN(mg_mul(ops, &ff, &gate));
    }
    return mg_linear(ops, &h, &ff, &layer->wo, NULL, MG_ACT_NONE, true);
}

mg_status mg_t5_encode(mg_t5 *t5, float *states_host, const int32_t *ids, int64_t S)
{
    const mg_t5_config *c = &t5->config;

    MG_REQUIRE(S > 0 && S <= t5->S_max && t5->rel_bias_host);
    for (int64_t s = 0; s < S; s++)
        if (ids[s] < 0 || ids[s] >= c->vocab_size)
            return mg_fail(MG_ECHECKPOINT,
                           "t5: token id %d: the text encoder knows %lld; is this its tokenizer?", ids[s],
                           (long long)c->vocab_size);
    MG_RETURN(upload_geometry(t5, S));
    MG_RETURN(upload(t5, &t5->ids, ids, S));

    const mg_tensor tokens = mg_tensor_2d(t5->ids.data, MG_I32, S, 1);
    mg_tensor h = mg_tensor_rows(&t5->h, 0, S), a = mg_tensor_rows(&t5->a, 0, S);
    MG_RETURN(mg_embed(t5->ops, &h, &t5->embedding, &tokens, NULL, NULL));
    for (int64_t l = 0; l < c->n_layers; l++) MG_RETURN(encode_layer(t5, &t5->layers[l], S));
    MG_RETURN(mg_rms_norm(t5->ops, &a, &h, &t5->final_norm, (float)c->eps));
    return mg_download(t5->ops, states_host, a.data, mg_tensor_bytes(&a));
}
