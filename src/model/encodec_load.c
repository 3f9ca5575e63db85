/* EnCodec: loading it. Ported from transformers' modeling_encodec.py, EncodecDecoder and EncodecEncoder
 * (4.46).
 *
 *     decoder: code vectors [T,hidden] -> conv -> [T,C] -> LSTM + skip
 *       -> for each ratio r: ELU, transposed conv to r times the rows and half the channels, residual units
 *       -> ELU, conv -> sound [T*hop,1]
 *     encoder: sound [N,1] -> conv -> [N,n_filters]
 *       -> for each ratio r, last first: residual units, ELU, conv to 1/r of the rows and twice the channels
 *       -> LSTM + skip -> ELU, conv -> latents [T,hidden]
 *
 * The layer numbers in the names count the activations too. */
#include <stdio.h>
#include <stdlib.h>

#include "encodec_impl.h"

enum { NAME_SIZE = 96 };

/* Where a half is being loaded: layers one after the other. */
typedef struct place {
    const char *half; /* "encoder" or "decoder" */
    mg_encodec_layer *layer;
    int64_t index; /* of the next layer, in the names */
    mg_weights *w;
} place;

static mg_status load_conv(const place *p, mg_encodec_conv *out, mg_conv geometry, const char *block)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s.layers.%lld%s.conv", p->half, (long long)p->index, block);
    out->conv = geometry;
    return mg_weights_conv(p->w, &out->conv, &out->bias, name);
}

static mg_status load_lstm_layer(const place *p, mg_encodec_lstm *out, int64_t C, int64_t l)
{
    enum { IH, HH, BIAS_IH, BIAS_HH, N_NAMES };
    static const char *const kind[N_NAMES] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    char name[N_NAMES][NAME_SIZE];

    for (int i = 0; i < N_NAMES; i++)
        snprintf(name[i], sizeof name[i], "%s.layers.%lld.lstm.%s_l%lld", p->half, (long long)p->index,
                 kind[i], (long long)l);
    const mg_weights_part ih = {name[IH], 4 * C, C, 0, 4 * C, 0, C},
                          hh = {name[HH], 4 * C, C, 0, 4 * C, 0, C};

    MG_RETURN(mg_weights_matrix(p->w, &out->w_ih, MG_FORMAT_F32, 1, &ih, 1));
    MG_RETURN(mg_weights_matrix(p->w, &out->w_hh, MG_FORMAT_F32, 1, &hh, 1));
    return mg_weights_sum(p->w, &out->bias, name[BIAS_IH], name[BIAS_HH], 4 * C);
}

static mg_status load_lstm(place *p, mg_encodec_lstm *lstm, int64_t n, int64_t C)
{
    for (int64_t l = 0; l < n; l++) MG_RETURN(load_lstm_layer(p, &lstm[l], C, l));
    p->index++;
    return MG_OK;
}

static mg_status load_layer(place *p, mg_encodec_kind kind, mg_act act, mg_conv geometry)
{
    mg_encodec_layer *layer = p->layer++;

    if (act != MG_ACT_NONE) p->index++;
    layer->kind = kind;
    layer->act = act;
    MG_RETURN(load_conv(p, &layer->a, geometry, ""));
    p->index++;
    return MG_OK;
}

static mg_status load_residuals(place *p, const mg_codec_config *c, int64_t C)
{
    int64_t dilation = 1;

    for (int64_t j = 0; j < c->n_residual_layers; j++, dilation *= c->dilation_growth) {
        const mg_conv a = {.c_in = C,
                           .c_out = C / c->compress,
                           .n_taps = c->residual_kernel_size,
                           .stride = 1,
                           .dilation = dilation};
        const mg_conv b = {.c_in = C / c->compress, .c_out = C, .n_taps = 1, .stride = 1, .dilation = 1};
        mg_encodec_layer *layer = p->layer++;
        layer->kind = MG_LAYER_RESIDUAL;
        MG_RETURN(load_conv(p, &layer->a, a, ".block.1"));
        MG_RETURN(load_conv(p, &layer->b, b, ".block.3"));
        p->index++;
    }
    return MG_OK;
}

static mg_conv plain_conv(int64_t c_in, int64_t c_out, int64_t n_taps)
{
    return (mg_conv){.c_in = c_in, .c_out = c_out, .n_taps = n_taps, .stride = 1, .dilation = 1};
}

mg_status mg_encodec_load_decoder(mg_encodec *codec, mg_weights *w)
{
    const mg_codec_config *c = &codec->config;
    mg_encodec_half *half = &codec->decoder;
    place p = {.half = "decoder", .layer = half->layers, .w = w};
    int64_t C = codec->C;

    MG_RETURN(load_layer(&p, MG_LAYER_CONV, MG_ACT_NONE, plain_conv(c->hidden_size, C, c->kernel_size)));
    half->n_before = p.layer - half->layers;
    MG_RETURN(load_lstm(&p, half->lstm, c->n_lstm_layers, C));
    for (int64_t i = 0; i < c->n_ratios; i++, C /= 2) {
        mg_conv up = plain_conv(C, C / 2, 2 * c->ratio[i]);
        up.transposed = true;
        up.stride = c->ratio[i];
        MG_RETURN(load_layer(&p, MG_LAYER_UP, MG_ACT_ELU, up));
        MG_RETURN(load_residuals(&p, c, C / 2));
    }
    return load_layer(&p, MG_LAYER_CONV, MG_ACT_ELU, plain_conv(C, 1, c->last_kernel_size));
}

/* The tables as matrices, and the square of each code vector's length, from the tables that are loaded. */
static mg_status load_codebooks(mg_encodec *codec, mg_weights *w)
{
    const int64_t K = codec->config.n_codebooks, V = codec->config.codebook_size,
                  D = codec->config.hidden_size;
    const size_t table_bytes = (size_t)(V * D) * sizeof(float), norm_bytes = (size_t)V * sizeof(float);
    mg_status st = MG_OK;
    float *table = NULL;
    int64_t n_bad = 0;

    codec->norms = mg_tensor_2d(NULL, MG_F32, K, V);
    MG_RETURN(mg_arena_take(w->arena, &codec->norms.data, mg_tensor_bytes(&codec->norms)));
    for (int64_t k = 0; k < K; k++) {
        mg_matrix *m = &codec->codebook[k];
        *m = (mg_matrix){.format = MG_FORMAT_F32, .n_out = V, .n_in = D, .n_slices = 1};
        MG_RETURN(mg_arena_take(w->arena, &m->data, mg_matrix_bytes(w->ops, m)));
    }
    if (mg_arena_is_measuring(w->arena)) return MG_OK;

    table = malloc(table_bytes + norm_bytes);
    if (!table) return mg_fail(MG_ENOMEM, "encodec: %zu bytes", table_bytes + norm_bytes);
    float *norm = table + V * D;
    for (int64_t k = 0; k < K; k++) {
        const mg_host_matrix rows = {
            .data = table, .dtype = MG_F32, .n_rows = V, .n_cols = D, .row_stride = D};
        const mg_tensor from = mg_tensor_rows(&codec->tables, k, 1), to = mg_tensor_rows(&codec->norms, k, 1);
        MG_TRY(mg_download(w->ops, table, from.data, table_bytes));
        for (int64_t v = 0; v < V; v++) {
            double sum = 0;
            for (int64_t i = 0; i < D; i++) sum += (double)table[v * D + i] * (double)table[v * D + i];
            norm[v] = (float)sum;
        }
        MG_TRY(mg_upload(w->ops, to.data, norm, norm_bytes));
        MG_TRY(mg_matrix_load(w->ops, &codec->codebook[k], 0, &rows, &n_bad));
    }
done:
    free(table);
    return st;
}

mg_status mg_encodec_load_encoder(mg_encodec *codec, mg_weights *w)
{
    const mg_codec_config *c = &codec->config;
    mg_encodec_half *half = &codec->encoder;
    place p = {.half = "encoder", .layer = half->layers, .w = w};
    int64_t C = c->n_filters;

    MG_RETURN(load_layer(&p, MG_LAYER_CONV, MG_ACT_NONE, plain_conv(1, C, c->kernel_size)));
    for (int64_t i = c->n_ratios - 1; i >= 0; i--, C *= 2) {
        mg_conv down = plain_conv(C, 2 * C, 2 * c->ratio[i]);
        down.stride = c->ratio[i];
        MG_RETURN(load_residuals(&p, c, C));
        MG_RETURN(load_layer(&p, MG_LAYER_CONV, MG_ACT_ELU, down));
    }
    half->n_before = p.layer - half->layers;
    MG_RETURN(load_lstm(&p, half->lstm, c->n_lstm_layers, C));
    MG_RETURN(load_layer(&p, MG_LAYER_CONV, MG_ACT_ELU, plain_conv(C, c->hidden_size, c->last_kernel_size)));
    return load_codebooks(codec, w);
}
