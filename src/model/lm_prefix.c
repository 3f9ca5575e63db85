/* What stands before the columns in a melody model: the melody's chroma, projected and repeated or cut to
 * chroma_length, then the projected text. Ported from transformers' modeling_musicgen_melody.py,
 * MusicgenMelodyForConditionalGeneration.forward (4.46) and AudioCraft's ConditionFuser ("prepend").
 *
 * All of it is attended like any column, rows of zeros too, and has positions from 0 on. So the length of the
 * text moves the columns: a clip's sequences must have the same S, and no neighbour a say in it. */
#include "lm_impl.h"

int64_t mg_lm_prefix_length(const mg_lm_config *config, int64_t S)
{
    return config->n_chroma ? config->chroma_length + S : 0;
}

/* Rows [0, chroma_length) of the prefix. The projection of a frame is the projection of its one-hot row. */
static mg_status project_melody(mg_lm *lm, const int32_t *bins, int64_t n_bins)
{
    const mg_lm_config *c = &lm->config;
    mg_tensor to = mg_tensor_rows(&lm->prefix, 0, c->chroma_length);
    float *host = lm->onehot_host;

    for (int64_t i = 0; i < c->chroma_length * c->n_chroma; i++) host[i] = 0;
    for (int64_t f = 0; f < c->chroma_length; f++) {
        const int64_t bin = bins ? bins[f % n_bins] : 0;
        MG_REQUIRE(bin >= 0 && bin < c->n_chroma);
        host[f * c->n_chroma + bin] = 1;
    }
    MG_RETURN(mg_upload(lm->ops, lm->onehot.data, host, mg_tensor_bytes(&lm->onehot)));
    return mg_linear(lm->ops, &to, &lm->onehot, &lm->chroma, &lm->chroma_bias, MG_ACT_NONE, false);
}

/* The S rows behind it: the text's, then zeros. */
static mg_status project_text(mg_lm *lm, const float *states_host, int64_t n_states, int64_t S)
{
    const int64_t first = lm->config.chroma_length;
    mg_tensor text = mg_tensor_rows(&lm->prefix, first, n_states),
              rest = mg_tensor_rows(&lm->prefix, first + n_states, S - n_states), projected;

    if (n_states > 0) {
        MG_RETURN(mg_lm_run_projection(lm, &projected, states_host, n_states));
        MG_RETURN(mg_copy(lm->ops, &text, &projected));
    }
    return n_states < S ? mg_zero(lm->ops, &rest) : MG_OK;
}

/* Rows [first, first + N) of the prefix through the layers. */
static mg_status run_rows(mg_lm *lm, int64_t row, int64_t first, int64_t N)
{
    const mg_tensor table = mg_tensor_3d(lm->prefix.data, MG_F32, 1, lm->prefix.dim[0], lm->config.D);
    const mg_tensor ids = mg_tensor_2d(lm->in.position, MG_I32, N, 1); /* row p of the table at position p */
    const mg_tensor position = mg_tensor_1d(lm->in.position, MG_I32, N);
    mg_tensor x = mg_tensor_rows(&lm->x, 0, N);

    for (int64_t n = 0; n < N; n++) {
        lm->in_host.row[n] = (int32_t)row;
        lm->in_host.position[n] = (int32_t)(first + n);
        lm->in_host.n_keys[n] = (int32_t)(first + n + 1);
    }
    MG_RETURN(mg_lm_upload_inputs(lm));
    MG_RETURN(mg_embed(lm->ops, &x, &table, &ids, &lm->positions, &position));
    return mg_lm_run_layers(lm, &x, 0, false);
}

mg_status mg_lm_set_prefix(mg_lm *lm, int64_t row, const int32_t *bins, int64_t n_bins,
                           const float *states_host, int64_t n_states, int64_t S)
{
    const int64_t P = mg_lm_prefix_length(&lm->config, S);

    MG_REQUIRE(lm->onehot_host && lm->config.n_chroma && row >= 0 && row < lm->limits.n_rows);
    MG_REQUIRE(S > 0 && S <= lm->limits.S_max && P <= lm->limits.T_max);
    MG_REQUIRE((!bins || n_bins > 0) && n_states >= 0 && n_states <= S);
    MG_RETURN(project_melody(lm, bins, n_bins));
    MG_RETURN(project_text(lm, states_host, states_host ? n_states : 0, S));
    for (int64_t first = 0; first < P; first += lm->limits.n_tokens) {
        const int64_t left = P - first;
        MG_RETURN(run_rows(lm, row, first, left < lm->limits.n_tokens ? left : lm->limits.n_tokens));
    }
    return MG_OK;
}
