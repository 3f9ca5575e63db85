/* EnCodec's decoder: loading it. Ported from transformers' modeling_encodec.py, EncodecDecoder (4.46).
 *
 *     codes [K,T] -> sum of code vectors [T,hidden] -> conv -> [T,C] -> LSTM + skip
 *       -> for each ratio r: ELU, transposed conv to r times the rows and half the channels, residual units
 *       -> ELU, conv -> sound [T*hop,1]
 *
 * The layer numbers in the names count the activations too. */
#include "encodec.h"

#include <stdio.h>
#include <stdlib.h>

#include "encodec_parts.h"

/* Half a second: long enough for the weights of the first products, short enough for the cache. */
enum { STRETCH = 25, NAME_SIZE = 96 };

static int64_t count_layers(const mg_codec_config *config)
{
    return config->n_ratios * (1 + config->n_residual_layers) + 1;
}

static void check_config(const mg_codec_config *c, mg_weights *w)
{
    if (c->n_channels != 1)
        mg_weights_problem(w, "audio_channels: %lld: only mono codecs are supported",
                           (long long)c->n_channels);
    if (c->codebook_dim != c->hidden_size)
        mg_weights_problem(w, "codebook_dim: %lld: must equal hidden_size, %lld", (long long)c->codebook_dim,
                           (long long)c->hidden_size);
    if (c->conv_shortcut)
        mg_weights_problem(w, "use_conv_shortcut: true: residual units with a convolution on the shortcut "
                              "are not supported");
}

static mg_status load_conv(mg_encodec_conv *out, mg_weights *w, mg_conv geometry, const char *format,
                           int64_t index)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, format, (long long)index);
    out->conv = geometry;
    return mg_weights_conv(w, &out->conv, &out->bias, name);
}

static mg_status load_lstm(mg_encodec_lstm *out, mg_weights *w, int64_t C, int64_t l)
{
    enum { IH, HH, BIAS_IH, BIAS_HH, N_NAMES };
    static const char *const format[N_NAMES] = {
        [IH] = "decoder.layers.1.lstm.weight_ih_l%lld",
        [HH] = "decoder.layers.1.lstm.weight_hh_l%lld",
        [BIAS_IH] = "decoder.layers.1.lstm.bias_ih_l%lld",
        [BIAS_HH] = "decoder.layers.1.lstm.bias_hh_l%lld",
    };
    char name[N_NAMES][NAME_SIZE];

    for (int i = 0; i < N_NAMES; i++) snprintf(name[i], sizeof name[i], format[i], (long long)l);
    const mg_weights_part ih = {name[IH], 4 * C, C, 0, 4 * C, 0, C},
                          hh = {name[HH], 4 * C, C, 0, 4 * C, 0, C};

    MG_RETURN(mg_weights_matrix(w, &out->w_ih, MG_F32, 1, &ih, 1));
    MG_RETURN(mg_weights_matrix(w, &out->w_hh, MG_F32, 1, &hh, 1));
    return mg_weights_sum(w, &out->bias, name[BIAS_IH], name[BIAS_HH], 4 * C);
}

static mg_status load_residual(mg_encodec_layer *layer, const mg_codec_config *c, mg_weights *w, int64_t C,
                               int64_t dilation, int64_t index)
{
    const mg_conv a = {.c_in = C,
                       .c_out = C / c->compress,
                       .n_taps = c->residual_kernel_size,
                       .stride = 1,
                       .dilation = dilation};
    const mg_conv b = {.c_in = C / c->compress, .c_out = C, .n_taps = 1, .stride = 1, .dilation = 1};

    layer->kind = MG_LAYER_RESIDUAL;
    MG_RETURN(load_conv(&layer->a, w, a, "decoder.layers.%lld.block.1.conv", index));
    return load_conv(&layer->b, w, b, "decoder.layers.%lld.block.3.conv", index);
}

static mg_status load_layers(mg_encodec *codec, mg_weights *w)
{
    const mg_codec_config *c = &codec->config;
    mg_encodec_layer *layer = codec->layers;
    int64_t C = codec->C, rate = 1, index = 2; /* 0 the first convolution, 1 the LSTM */

    for (int64_t i = 0; i < c->n_ratios; i++) {
        const int64_t r = c->ratio[i];
        const mg_conv up = {
            .transposed = true, .c_in = C, .c_out = C / 2, .n_taps = 2 * r, .stride = r, .dilation = 1};
        layer->kind = MG_LAYER_UP;
        layer->rate_in = rate;
        layer->rate_out = rate *= r;
        index++; /* ELU */
        MG_RETURN(load_conv(&layer++->a, w, up, "decoder.layers.%lld.conv", index++));
        C /= 2;
        for (int64_t j = 0, dilation = 1; j < c->n_residual_layers; j++, dilation *= c->dilation_growth) {
            layer->rate_in = layer->rate_out = rate;
            MG_RETURN(load_residual(layer++, c, w, C, dilation, index++));
        }
    }
    const mg_conv last = {.c_in = C, .c_out = 1, .n_taps = c->last_kernel_size, .stride = 1, .dilation = 1};
    layer->kind = MG_LAYER_LAST;
    layer->rate_in = layer->rate_out = rate;
    return load_conv(&layer->a, w, last, "decoder.layers.%lld.conv", index + 1);
}

static mg_status load_all(mg_encodec *codec, mg_weights *w)
{
    const mg_codec_config *c = &codec->config;
    const int64_t table_dim[2] = {c->codebook_size, c->codebook_dim};
    const mg_conv first = {
        .c_in = c->hidden_size, .c_out = codec->C, .n_taps = c->kernel_size, .stride = 1, .dilation = 1};

    if (mg_arena_is_measuring(w->arena)) check_config(c, w);
    MG_RETURN(mg_weights_tensor(w, &codec->tables, "quantizer.layers.%d.codebook.embed", (int)c->n_codebooks,
                                2, table_dim));
    MG_RETURN(load_conv(&codec->first, w, first, "decoder.layers.%lld.conv", 0));
    for (int64_t l = 0; l < c->n_lstm_layers; l++) MG_RETURN(load_lstm(&codec->lstm[l], w, codec->C, l));
    return load_layers(codec, w);
}

mg_status mg_encodec_load(mg_encodec **out, const mg_codec_config *config, mg_weights *w)
{
    mg_status st = MG_OK;
    mg_encodec *codec = *out;

    if (!codec) {
        codec = *out = calloc(1, sizeof *codec);
        if (!codec) return mg_fail(MG_ENOMEM, "encodec: %zu bytes", sizeof *codec);
        codec->config = *config;
        codec->ops = w->ops;
        codec->C = config->n_filters << config->n_ratios;
        codec->stretch = STRETCH;
        codec->n_layers = count_layers(config);
        codec->layers = calloc((size_t)codec->n_layers, sizeof *codec->layers);
        codec->lstm = calloc((size_t)config->n_lstm_layers, sizeof *codec->lstm);
        if (!codec->layers || !codec->lstm)
            MG_TRY(mg_fail(MG_ENOMEM, "encodec: no memory for %lld layers", (long long)codec->n_layers));
    }
    MG_TRY(load_all(codec, w));
done:
    if (st != MG_OK) {
        mg_encodec_close(codec);
        *out = NULL;
    }
    return st;
}

void mg_encodec_close(mg_encodec *codec)
{
    if (!codec) return;
    free(codec->layers);
    free(codec->lstm);
    free(codec->ids_host);
    free(codec->zero_host);
    free(codec);
}
