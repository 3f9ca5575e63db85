/* What stands before the columns in a melody model: the melody's chroma, projected and repeated or cut to
 * chroma_length, or the projected rows of a style, then the projected text. Ported from transformers'
 * modeling_musicgen_melody.py, MusicgenMelodyForConditionalGeneration.forward (4.46) and AudioCraft's
 * ConditionFuser ("prepend").
 *
 * All of it is attended like any column, rows of zeros too, and has positions from 0 on. So the length of the
 * text moves the columns: a clip's sequences must have the same S, and no neighbour a say in it. */
#include <string.h>

#include "lm_impl.h"

/* Rows of sound: chroma has always as many. */
static int64_t count_sound(const mg_lm_config *config, int64_t n_style)
{
    return config->is_style ? n_style : config->chroma_length;
}

int64_t mg_lm_prefix_length(const mg_lm_config *config, int64_t n_style, int64_t S)
{
    return config->n_chroma ? count_sound(config, n_style) + S : 0;
}

/* The projection of n rows of `onehot`, which are in onehot_host. */
static mg_status project_sound(mg_lm *lm, int64_t n)
{
    const mg_tensor from = mg_tensor_rows(&lm->onehot, 0, n);
    mg_tensor to = mg_tensor_rows(&lm->prefix, 0, n);

    MG_RETURN(mg_upload(lm->ops, from.data, lm->onehot_host, mg_tensor_bytes(&from)));
    return mg_linear(lm->ops, &to, &from, &lm->chroma, &lm->chroma_bias, MG_ACT_NONE, false);
}

/* The projection of a frame is the projection of its one-hot row. */
static mg_status project_melody(mg_lm *lm, const mg_lm_prefix *p)
{
    const mg_lm_config *c = &lm->config;
    float *host = lm->onehot_host;

    for (int64_t i = 0; i < c->chroma_length * c->n_chroma; i++) host[i] = 0;
    for (int64_t f = 0; f < c->chroma_length; f++) {
        const int64_t bin = p->bins ? p->bins[f % p->n_bins] : 0;
        MG_REQUIRE(bin >= 0 && bin < c->n_chroma);
        host[f * c->n_chroma + bin] = 1;
    }
    return project_sound(lm, c->chroma_length);
}

/* Without a style the rows themselves are zeros, not what they are projected from: AudioCraft masks them. */
static mg_status project_style(mg_lm *lm, const mg_lm_prefix *p)
{
    mg_tensor rows = mg_tensor_rows(&lm->prefix, 0, p->n_style);

    if (!p->style) return mg_zero(lm->ops, &rows);
    memcpy(lm->onehot_host, p->style, (size_t)(p->n_style * lm->config.n_chroma) * sizeof *p->style);
    return project_sound(lm, p->n_style);
}

/* The S rows behind `first`: the text's, then zeros. */
static mg_status project_text(mg_lm *lm, const mg_lm_prefix *p, int64_t first)
{
    const int64_t n = p->text ? p->n_states : 0;
    mg_tensor text = mg_tensor_rows(&lm->prefix, first, n),
              rest = mg_tensor_rows(&lm->prefix, first + n, p->S - n), projected;

    if (n > 0) {
        MG_RETURN(mg_lm_run_projection(lm, &projected, p->text, n));
        MG_RETURN(mg_copy(lm->ops, &text, &projected));
    }
    return n < p->S ? mg_zero(lm->ops, &rest) : MG_OK;
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

mg_status mg_lm_set_prefix(mg_lm *lm, int64_t row, const mg_lm_prefix *p)
{
    const mg_lm_config *c = &lm->config;
    const int64_t n_sound = count_sound(c, p->n_style), P = n_sound + p->S;

    MG_REQUIRE(lm->onehot_host && c->n_chroma && row >= 0 && row < lm->limits.n_rows);
    MG_REQUIRE(p->S > 0 && p->S <= lm->limits.S_max && P <= lm->limits.T_max);
    MG_REQUIRE((!p->bins || p->n_bins > 0) && p->n_states >= 0 && p->n_states <= p->S);
    MG_REQUIRE(n_sound > 0 && n_sound <= c->chroma_length);
    MG_RETURN(c->is_style ? project_style(lm, p) : project_melody(lm, p));
    MG_RETURN(project_text(lm, p, n_sound));
    for (int64_t first = 0; first < P; first += lm->limits.n_tokens) {
        const int64_t left = P - first;
        MG_RETURN(run_rows(lm, row, first, left < lm->limits.n_tokens ? left : lm->limits.n_tokens));
    }
    return MG_OK;
}
