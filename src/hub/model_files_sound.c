/* What an AudioCraft model that follows sound has besides: the sizes of a melody's chroma; of MusicGen-Style
 * those of its style encoder, which is in the language model's file, and MERT, which is apart. */
#include <stdio.h>

#include "model_files_impl.h"
#include "model_folder.h"

/* AudioCraft's ChromaExtractor with radix2_exp 14: pitch classes, and samples from one frame to the next. */
enum { DEFAULT_CHROMA = 12, CHROMA_HOP = 4096 };

enum { MERT_RATE = 75 }; /* rows a second, as AudioCraft counts them */

/* What MusicGen-Style's feature extractor is called where AudioCraft loads it from. */
static const char public_mert[] = "m-a-p/MERT-v1-95M";

/* The sizes of a style encoder, of which xp.cfg says a word or less: the tensors of `source` say them. */
static mg_status measure_style(mg_style_config *c, const mg_checkpoint *source, const char *path)
{
    const mg_checkpoint_entry *embed = mg_checkpoint_find(source, "style_encoder.embed.weight");
    const mg_checkpoint_entry *wide =
        mg_checkpoint_find(source, "style_encoder.transformer.layers.0.linear1.weight");
    const mg_checkpoint_entry *code =
        mg_checkpoint_find(source, "style_encoder.rvq.vq.layers.0._codebook.embed");
    char name[80];

    if (!embed || !wide || !code || embed->tensor.n_dims != 2 || wide->tensor.n_dims != 2 ||
        code->tensor.n_dims != 2)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: xp.cfg says that it follows a style, and the style encoder's embed, transformer or "
            "rvq is missing (condition_provider.conditioners.self_wav)",
            path);
    c->D = embed->tensor.dim[0];
    c->F = wide->tensor.dim[0];
    c->codebook_size = code->tensor.dim[0];
    do {
        snprintf(name, sizeof name, "style_encoder.transformer.layers.%lld.linear1.weight",
                 (long long)++c->n_layers);
    } while (mg_checkpoint_find(source, name));
    if (c->D % (2 * c->n_heads) != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: style encoder: %lld heads do not divide its width %lld", path,
                       (long long)c->n_heads, (long long)c->D);
    return MG_OK;
}

mg_status mg_model_files_set_sound(mg_model_files *m, const mg_xp_lm *xp, const mg_checkpoint *source,
                                   const char *path)
{
    const int64_t width = mg_model_width_of(source, "audio_enc_to_dec_proj.weight");
    mg_lm_config *lm = &m->config.lm;

    lm->n_chroma = width ? width : DEFAULT_CHROMA;
    lm->chroma_length = 1 + (int64_t)(xp->segment_s * (double)xp->sampling_rate) / CHROMA_HOP;
    if (!lm->is_style) return MG_OK;
    m->config.style = xp->style;
    MG_RETURN(measure_style(&m->config.style, source, path));
    lm->n_chroma = m->config.style.D;
    lm->chroma_length = 1 + (int64_t)(MG_STYLE_MOST_S * MERT_RATE) / xp->style.ds_factor;
    return MG_OK;
}

mg_status mg_model_files_open_mert(mg_model_files *m, const char *named, int need)
{
    char path[MG_PATH_SIZE], folder[MG_PATH_SIZE], said[8000];

    if (!m->config.lm.is_style) return MG_OK; /* as a codec where none is needed */
    if (!named && !(need & (MG_NEED_STYLE | MG_WANT_STYLE))) return MG_OK;
    if (named) {
        MG_RETURN(mg_hub_find(path, named));
    } else if (mg_hub_find(path, public_mert) != MG_OK) {
        if (!(need & MG_NEED_STYLE)) {
            mg_clear_error();
            return MG_OK;
        }
        snprintf(said, sizeof said, "%s", mg_last_error());
        return mg_fail(MG_EFAIL,
                       "style encoder: %s hears with %s, which is not here (or give --style-encoder): %s",
                       m->lm.path, public_mert, said);
    }
    MG_RETURN(mg_model_folder_check_cached(path));
    MG_RETURN(mg_path_as_folder(folder, path));
    MG_RETURN(mg_config_load_mert(&m->config.style.mert, folder));
    MG_RETURN(mg_model_files_open_part(m, &m->mert, path, mg_model_form_hf));
    const int64_t width = mg_model_width_of(m->lm.checkpoint, "style_encoder.embed.weight");
    if (width != m->config.style.mert.D)
        return mg_fail(MG_ECHECKPOINT, "style encoder: %s: states of width %lld, the model %s reads %lld",
                       path, (long long)m->config.style.mert.D, m->lm.path, (long long)width);
    return MG_OK;
}
