/* LM and T5; the codec's is tensor_list_codec.c. Names and shapes: docs/MODEL.md. */
#include "tensor_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor_list_impl.h"
#include "text.h"

mg_status mg_tensor_list_add(mg_tensor_list *list)
{
    MG_RETURN(mg_grow(&list->tensor, &list->capacity, (size_t)list->n + 1, sizeof *list->tensor, "tensors"));
    list->tensor[list->n++] = (mg_listed_tensor){.dim = {1, 1, 1, 1}};
    return MG_OK;
}

void mg_tensor_list_close(mg_tensor_list *list)
{
    free(list->tensor);
    *list = (mg_tensor_list){0};
}

/* A tensor of layer or codebook `i`, which takes the place of # in its name. A vector if cols is 0. */
static mg_status add(mg_tensor_list *list, const char *name, int64_t i, int64_t rows, int64_t cols)
{
    const size_t n_before = strcspn(name, "#");

    MG_RETURN(mg_tensor_list_add(list));
    mg_listed_tensor *t = &list->tensor[list->n - 1];
    if (name[n_before])
        snprintf(t->name, sizeof t->name, "%.*s%lld%s", (int)n_before, name, (long long)i,
                 name + n_before + 1);
    else
        snprintf(t->name, sizeof t->name, "%s", name);
    t->n_dims = cols ? 2 : 1;
    t->dim[0] = rows;
    if (cols) t->dim[1] = cols;
    return MG_OK;
}

#define LAYER "decoder.model.decoder.layers.#."

static mg_status add_norm(mg_tensor_list *list, const char *weight, const char *bias, int64_t l, int64_t D)
{
    MG_RETURN(add(list, weight, l, D, 0));
    return add(list, bias, l, D, 0);
}

static mg_status add_layer(mg_tensor_list *list, const mg_lm_config *c, int64_t l)
{
    static const char *const self[] = {LAYER "self_attn.q_proj.weight", LAYER "self_attn.k_proj.weight",
                                       LAYER "self_attn.v_proj.weight", LAYER "self_attn.out_proj.weight"};
    static const char *const cross[] = {
        LAYER "encoder_attn.q_proj.weight", LAYER "encoder_attn.k_proj.weight",
        LAYER "encoder_attn.v_proj.weight", LAYER "encoder_attn.out_proj.weight"};

    for (int i = 0; i < 4; i++) MG_RETURN(add(list, self[i], l, c->D, c->D));
    MG_RETURN(
        add_norm(list, LAYER "self_attn_layer_norm.weight", LAYER "self_attn_layer_norm.bias", l, c->D));
    for (int i = 0; i < 4 && !c->n_chroma; i++) MG_RETURN(add(list, cross[i], l, c->D, c->D));
    if (!c->n_chroma)
        MG_RETURN(add_norm(list, LAYER "encoder_attn_layer_norm.weight", LAYER "encoder_attn_layer_norm.bias",
                           l, c->D));
    MG_RETURN(add(list, LAYER "fc1.weight", l, c->F, c->D));
    MG_RETURN(add(list, LAYER "fc2.weight", l, c->D, c->F));
    return add_norm(list, LAYER "final_layer_norm.weight", LAYER "final_layer_norm.bias", l, c->D);
}

mg_status mg_tensor_list_lm(mg_tensor_list *list, const mg_lm_config *c)
{
    if (c->project_text) {
        MG_RETURN(add(list, "enc_to_dec_proj.weight", 0, c->D, c->d_text));
        MG_RETURN(add(list, "enc_to_dec_proj.bias", 0, c->D, 0));
    }
    if (c->n_chroma) {
        MG_RETURN(add(list, "audio_enc_to_dec_proj.weight", 0, c->D, c->n_chroma));
        MG_RETURN(add(list, "audio_enc_to_dec_proj.bias", 0, c->D, 0));
    }
    for (int64_t k = 0; k < c->K; k++)
        MG_RETURN(add(list, "decoder.model.decoder.embed_tokens.#.weight", k, c->V + 1, c->D));
    MG_RETURN(add(list, "decoder.model.decoder.embed_positions.weights", 0, c->max_positions, c->D));
    list->tensor[list->n - 1].role = MG_ROLE_POSITIONS;
    for (int64_t l = 0; l < c->L; l++) MG_RETURN(add_layer(list, c, l));
    MG_RETURN(add_norm(list, "decoder.model.decoder.layer_norm.weight",
                       "decoder.model.decoder.layer_norm.bias", 0, c->D));
    for (int64_t k = 0; k < c->K; k++) MG_RETURN(add(list, "decoder.lm_heads.#.weight", k, c->V, c->D));
    return MG_OK;
}

#define BLOCK "encoder.block.#.layer."

static mg_status add_t5_block(mg_tensor_list *list, const mg_t5_config *c, int64_t l)
{
    const int64_t D = c->d_model, HE = c->n_heads * c->d_kv, F = c->d_ff;

    MG_RETURN(add(list, BLOCK "0.layer_norm.weight", l, D, 0));
    MG_RETURN(add(list, BLOCK "0.SelfAttention.q.weight", l, HE, D));
    MG_RETURN(add(list, BLOCK "0.SelfAttention.k.weight", l, HE, D));
    MG_RETURN(add(list, BLOCK "0.SelfAttention.v.weight", l, HE, D));
    MG_RETURN(add(list, BLOCK "0.SelfAttention.o.weight", l, D, HE));
    if (l == 0)
        MG_RETURN(
            add(list, BLOCK "0.SelfAttention.relative_attention_bias.weight", l, c->n_buckets, c->n_heads));
    MG_RETURN(add(list, BLOCK "1.layer_norm.weight", l, D, 0));
    if (c->gated) {
        MG_RETURN(add(list, BLOCK "1.DenseReluDense.wi_0.weight", l, F, D));
        MG_RETURN(add(list, BLOCK "1.DenseReluDense.wi_1.weight", l, F, D));
    } else {
        MG_RETURN(add(list, BLOCK "1.DenseReluDense.wi.weight", l, F, D));
    }
    return add(list, BLOCK "1.DenseReluDense.wo.weight", l, D, F);
}

mg_status mg_tensor_list_t5(mg_tensor_list *list, const mg_t5_config *c)
{
    MG_RETURN(add(list, "shared.weight", 0, c->vocab_size, c->d_model));
    for (int64_t l = 0; l < c->n_layers; l++) MG_RETURN(add_t5_block(list, c, l));
    return add(list, "encoder.final_layer_norm.weight", 0, c->d_model, 0);
}
