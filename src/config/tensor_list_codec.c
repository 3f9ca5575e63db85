/* EnCodec: SEANet's encoder and decoder layer by layer, and the codebooks, as transformers'
 * EncodecEncoder and EncodecDecoder number them. */
#include <stdio.h>

#include "tensor_list_impl.h"

/* A convolution's bias, weight_g and weight_v. `half` is "encoder" or "decoder", `place` what stands behind
 * the layer's number: "" or ".block.1". Weights are [c_out,c_in,taps]; of a transposed one,
 * [c_in,c_out,taps]. */
typedef struct conv {
    const char *half, *place;
    int64_t i_layer, c_in, c_out, n_taps;
    bool transposed;
} conv;

static mg_status add_conv_tensor(mg_tensor_list *list, const conv *c, const char *kind)
{
    mg_listed_tensor *t;

    MG_RETURN(mg_tensor_list_add(list));
    t = &list->tensor[list->n - 1];
    snprintf(t->name, sizeof t->name, "%s.layers.%lld%s.conv.%s", c->half, (long long)c->i_layer, c->place,
             kind);
    t->transposed = c->transposed;
    return MG_OK;
}

static mg_status add_conv(mg_tensor_list *list, conv c)
{
    const int64_t rows = c.transposed ? c.c_in : c.c_out, cols = c.transposed ? c.c_out : c.c_in;
    mg_listed_tensor *t;

    MG_RETURN(add_conv_tensor(list, &c, "bias"));
    t = &list->tensor[list->n - 1];
    t->n_dims = 1;
    t->dim[0] = c.c_out;
    MG_RETURN(add_conv_tensor(list, &c, "weight_g"));
    t = &list->tensor[list->n - 1];
    t->role = MG_ROLE_NORM_G;
    t->n_dims = 3;
    t->dim[0] = rows;
    MG_RETURN(add_conv_tensor(list, &c, "weight_v"));
    t = &list->tensor[list->n - 1];
    t->role = MG_ROLE_NORM_V;
    t->n_dims = 3;
    t->dim[0] = rows;
    t->dim[1] = cols;
    t->dim[2] = c.n_taps;
    return MG_OK;
}

static mg_status add_lstm(mg_tensor_list *list, const char *half, int64_t i_layer, int64_t C, int64_t n)
{
    static const char *const kinds[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    mg_listed_tensor *t;

    for (int64_t l = 0; l < n; l++) {
        for (int k = 0; k < 4; k++) {
            MG_RETURN(mg_tensor_list_add(list));
            t = &list->tensor[list->n - 1];
            snprintf(t->name, sizeof t->name, "%s.layers.%lld.lstm.%s_l%lld", half, (long long)i_layer,
                     kinds[k], (long long)l);
            t->n_dims = k < 2 ? 2 : 1;
            t->dim[0] = 4 * C;
            if (k < 2) t->dim[1] = C;
        }
    }
    return MG_OK;
}

static mg_status add_residuals(mg_tensor_list *list, const mg_codec_config *c, const char *half, int64_t *i,
                               int64_t C)
{
    const int64_t hidden = C / c->compress;

    for (int64_t r = 0; r < c->n_residual_layers; r++) {
        const int64_t at = (*i)++;
        MG_RETURN(add_conv(list, (conv){half, ".block.1", at, C, hidden, c->residual_kernel_size, false}));
        MG_RETURN(add_conv(list, (conv){half, ".block.3", at, hidden, C, 1, false}));
        if (c->conv_shortcut) MG_RETURN(add_conv(list, (conv){half, ".shortcut", at, C, C, 1, false}));
    }
    return MG_OK;
}

/* Every activation takes a number too. */
static mg_status add_encoder(mg_tensor_list *list, const mg_codec_config *c)
{
    static const char half[] = "encoder";
    int64_t C = c->n_filters, i = 0;

    MG_RETURN(add_conv(list, (conv){half, "", i++, c->n_channels, C, c->kernel_size, false}));
    for (int64_t r = c->n_ratios; r-- > 0; C *= 2) {
        MG_RETURN(add_residuals(list, c, half, &i, C));
        i++;
        MG_RETURN(add_conv(list, (conv){half, "", i++, C, 2 * C, 2 * c->ratio[r], false}));
    }
    MG_RETURN(add_lstm(list, half, i++, C, c->n_lstm_layers));
    i++;
    return add_conv(list, (conv){half, "", i, C, c->hidden_size, c->last_kernel_size, false});
}

static mg_status add_decoder(mg_tensor_list *list, const mg_codec_config *c)
{
    static const char half[] = "decoder";
    int64_t C = c->n_filters << c->n_ratios, i = 0;

    MG_RETURN(add_conv(list, (conv){half, "", i++, c->hidden_size, C, c->kernel_size, false}));
    MG_RETURN(add_lstm(list, half, i++, C, c->n_lstm_layers));
    for (int64_t r = 0; r < c->n_ratios; r++, C /= 2) {
        i++;
        MG_RETURN(add_conv(list, (conv){half, "", i++, C, C / 2, 2 * c->ratio[r], true}));
        MG_RETURN(add_residuals(list, c, half, &i, C / 2));
    }
    i++;
    return add_conv(list, (conv){half, "", i, C, c->n_channels, c->last_kernel_size, false});
}

static mg_status add_codebook(mg_tensor_list *list, const mg_codec_config *c, int64_t k)
{
    static const struct {
        const char *name;
        mg_tensor_role role;
    } tensors[] = {{"embed", MG_ROLE_PLAIN},
                   {"embed_avg", MG_ROLE_EMBED_AVG},
                   {"cluster_size", MG_ROLE_CLUSTER_SIZE},
                   {"inited", MG_ROLE_INITED}};
    mg_listed_tensor *t;

    for (int i = 0; i < 4; i++) {
        MG_RETURN(mg_tensor_list_add(list));
        t = &list->tensor[list->n - 1];
        snprintf(t->name, sizeof t->name, "quantizer.layers.%lld.codebook.%s", (long long)k, tensors[i].name);
        t->role = tensors[i].role;
        t->n_dims = i < 2 ? 2 : 1;
        t->dim[0] = t->role == MG_ROLE_INITED ? 1 : c->codebook_size;
        if (i < 2) t->dim[1] = c->codebook_dim;
    }
    return MG_OK;
}

mg_status mg_tensor_list_codec(mg_tensor_list *list, const mg_codec_config *c)
{
    MG_RETURN(add_encoder(list, c));
    MG_RETURN(add_decoder(list, c));
    for (int64_t k = 0; k < c->n_codebooks; k++) MG_RETURN(add_codebook(list, c, k));
    return MG_OK;
}
