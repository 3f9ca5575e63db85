/* A text for cross-attention: its projection, and each layer's keys and values of it. */
#include "lm_impl.h"

mg_status mg_lm_run_projection(mg_lm *lm, mg_tensor *projected, const float *states_host, int64_t S)
{
    MG_REQUIRE(S > 0 && S <= lm->limits.S_max && lm->inputs_host);
    const mg_tensor states = mg_tensor_rows(&lm->states, 0, S);

    MG_RETURN(mg_upload(lm->ops, states.data, states_host, mg_tensor_bytes(&states)));
    *projected = states;
    if (!lm->config.project_text) return MG_OK;
    *projected = mg_tensor_rows(&lm->projected, 0, S);
    return mg_linear(lm->ops, projected, &states, &lm->project, &lm->project_bias, MG_ACT_NONE, false);
}

/* Layer l's keys and values of a text. */
static mg_status set_layer(mg_lm *lm, int64_t l, const mg_lm_layer *layer, const mg_tensor *projected,
                           const mg_tensor *row, const mg_tensor *position)
{
    mg_tensor text_kv = mg_tensor_rows(&lm->text_kv, 0, projected->dim[0]);

    MG_RETURN(mg_linear(lm->ops, &text_kv, projected, &layer->cross_kv, NULL, MG_ACT_NONE, false));
    return mg_kv_write(lm->ops, &lm->caches[l].cross, &text_kv, 0, row, position);
}

mg_status mg_lm_set_text(mg_lm *lm, int64_t text, const float *states_host, int64_t S)
{
    const mg_lm_layer *layer;
    mg_tensor projected;

    MG_REQUIRE(text >= 0 && text < lm->limits.n_texts && lm->n_text_tokens && !lm->config.n_chroma);
    MG_RETURN(mg_lm_run_projection(lm, &projected, states_host, S));
    for (int64_t s = 0; s < S; s++) {
        lm->in_host.row[s] = (int32_t)text;
        lm->in_host.position[s] = (int32_t)s;
    }
    MG_RETURN(mg_lm_upload_inputs(lm));
    const mg_tensor row = mg_tensor_1d(lm->in.row, MG_I32, S),
                    position = mg_tensor_1d(lm->in.position, MG_I32, S);
    for (int64_t l = 0; l < lm->config.L; l++) {
        layer = &lm->layers[l];
        if (l >= lm->config.L - lm->n_outside) MG_RETURN(mg_lm_stream_get_text(lm->stream, l, &layer));
        MG_RETURN(set_layer(lm, l, layer, &projected, &row, &position));
    }
    lm->n_text_tokens[text] = (int32_t)S;
    return MG_OK;
}
