#include "model_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foreign_folder.h"
#include "lora.h"
#include "model_files_impl.h"
#include "model_folder.h"
#include "text.h"
#include "xp_config.h"

/* Columns that there are positions for where no table says: AudioCraft computes them without end. */
enum { MIN_POSITIONS = 2048 };

static const char audiocraft[] = "AudioCraft";
static const char lm_file[] = "state_dict.bin", codec_file[] = "compression_state_dict.bin";

static bool is_composite(const char *type)
{
    return strncmp(type, "musicgen", strlen("musicgen")) == 0;
}

/* The architecture as the xp.cfg of `source` says it. */
static mg_status read_audiocraft_lm(mg_model_files *m, const mg_checkpoint *source, const char *path)
{
    mg_lm_config *lm = &m->config.lm;
    mg_xp_lm xp;

    m->lm_yaml = mg_checkpoint_xp_config(source);
    MG_RETURN(mg_xp_config_lm(&xp, path, m->lm_yaml));
    *lm = xp.lm;
    lm->d_text = mg_model_width_of(source, "enc_to_dec_proj.weight"); /* xp.cfg names the T5 and no width */
    lm->project_text = true;
    if (xp.melody) MG_RETURN(mg_model_files_set_sound(m, &xp, source, path));
    if (lm->max_positions < MIN_POSITIONS) lm->max_positions = MIN_POSITIONS;
    m->config.generation = xp.generation;
    m->window_s = xp.segment_s;
    snprintf(m->config.model_type, sizeof m->config.model_type, "%s",
             lm->is_style ? "musicgen_style"
             : xp.melody  ? "musicgen_melody"
                          : "musicgen");
    snprintf(m->t5_name, sizeof m->t5_name, "%s", xp.t5_name);
    m->trained_with = m->t5_name;
    m->config.codec.sampling_rate = xp.sampling_rate; /* for open_codec */
    m->config.codec.n_codebooks = xp.n_codebooks;
    return MG_OK;
}

/* The architecture as FOLDER/config.json says it. */
static mg_status read_hf_lm(mg_model_files *m, const char *folder)
{
    mg_config config;

    MG_RETURN(mg_config_load(&config, folder));
    MG_RETURN(mg_path_format(m->lm_folder, "%s", folder));
    m->config.lm = config.lm;
    m->config.generation = config.generation;
    m->trained_with = mg_config_public_t5(&config.t5);
    m->config.codec.sampling_rate = config.codec.sampling_rate; /* for open_codec */
    memcpy(m->config.model_type, config.model_type, sizeof config.model_type);
    return MG_OK;
}

/* What the file or folder `path` holds weights in: a folder of AudioCraft's has two files. */
static mg_status find_weights(char file[MG_PATH_SIZE], const char *path)
{
    MG_RETURN(mg_model_folder_check_cached(path));
    if (!mg_path_is_folder(path) || mg_model_folder_is_hf(path)) return mg_path_format(file, "%s", path);
    MG_RETURN(mg_path_format(file, "%s/%s", path, lm_file));
    if (mg_path_exists(file)) return MG_OK;
    if (mg_model_folder_has_weights(path)) return mg_path_format(file, "%s", path); /* and no config.json */
    MG_RETURN(mg_lora_refuse(path));
    MG_RETURN(mg_foreign_folder_refuse(path));
    return mg_fail(MG_EFAIL, "model: %s: has neither config.json (Hugging Face) nor %s (AudioCraft)", path,
                   lm_file);
}

/* The projections of texts and melodies, and a style encoder, stand outside of the decoder: one that was
 * saved alone takes the base's. */
static mg_status borrow_projections(mg_checkpoint *c, const mg_checkpoint *base)
{
    static const char *const names[] = {"enc_to_dec_proj.weight", "enc_to_dec_proj.bias",
                                        "audio_enc_to_dec_proj.weight", "audio_enc_to_dec_proj.bias"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_find(base, names[i]);
        if (e && !mg_checkpoint_find(c, names[i])) MG_RETURN(mg_checkpoint_borrow(c, e));
    }
    for (size_t i = 0; i < mg_checkpoint_count(base); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(base, i);
        if (strncmp(e->name, "style_encoder.", 14) == 0 && !mg_checkpoint_find(c, e->name))
            MG_RETURN(mg_checkpoint_borrow(c, e));
    }
    return MG_OK;
}

/* Weights that say nothing of themselves: `model` names the architecture. */
static mg_status read_lm_of(mg_model_files *m, const char *model)
{
    char file[MG_PATH_SIZE], folder[MG_PATH_SIZE];
    mg_checkpoint *base;

    MG_RETURN(find_weights(file, model));
    MG_RETURN(mg_model_files_open_shared(m, &base, file));
    if (mg_checkpoint_xp_config(base)) {
        MG_RETURN(read_audiocraft_lm(m, base, file));
    } else {
        MG_RETURN(mg_path_as_folder(folder, file));
        MG_RETURN(read_hf_lm(m, folder));
    }
    MG_RETURN(borrow_projections(m->lm.checkpoint, base));
    if (mg_model_width_of(m->lm.checkpoint, "enc_to_dec_proj.weight")) m->config.lm.project_text = true;
    return MG_OK;
}

/* Is there a config.json beside the weights, of a whole model? That of a decoder alone says too little. */
static mg_status has_config(bool *has, const char *folder)
{
    char type[32];

    *has = mg_path_has(folder, "config.json");
    if (!*has) return MG_OK;
    MG_RETURN(mg_config_read_type(type, folder));
    *has = strcmp(type, "musicgen_decoder") != 0 && strcmp(type, "musicgen_melody_decoder") != 0;
    return MG_OK;
}

/* `path`: a folder in either form, or one file; `model`: NULL, or what says what it is if it does not. */
static mg_status open_lm(mg_model_files *m, const char *path, const char *model)
{
    char folder[MG_PATH_SIZE], file[MG_PATH_SIZE];
    bool own;

    MG_RETURN(find_weights(file, path));
    MG_RETURN(mg_model_files_open_part(m, &m->lm, file, mg_model_form_hf));
    const mg_dialect dialect = mg_checkpoint_get_dialect(m->lm.checkpoint);
    if (mg_checkpoint_get_kind(m->lm.checkpoint) == MG_CHECKPOINT_POINTER)
        return mg_fail(MG_ECHECKPOINT, "model: %s: is a codec pointer (to %s), not a language model", file,
                       mg_checkpoint_pointer(m->lm.checkpoint));
    if (dialect == MG_DIALECT_AUDIOCRAFT_CODEC)
        return mg_fail(MG_ECHECKPOINT, "model: %s: is a codec, not a language model", file);
    if (mg_checkpoint_xp_config(m->lm.checkpoint) || dialect == MG_DIALECT_AUDIOCRAFT_LM)
        m->lm.form = audiocraft;
    if (mg_checkpoint_xp_config(m->lm.checkpoint)) return read_audiocraft_lm(m, m->lm.checkpoint, file);
    MG_RETURN(mg_path_as_folder(folder, file));
    MG_RETURN(has_config(&own, folder));
    if (own && dialect != MG_DIALECT_AUDIOCRAFT_LM) return read_hf_lm(m, folder);
    if (model && strcmp(model, path) != 0) return read_lm_of(m, model);
    return mg_fail(
        MG_ECHECKPOINT,
        "%s: weights of a language model that do not say what it is (no xp.cfg, no config.json of a whole "
        "model): give them as --lm, beside --model that names the model they were trained from",
        file);
}

/* A folder, or a file beside its config.json: the part by itself, or a whole MusicGen that it is taken from.
 */
static mg_status open_hf_part(mg_model_files *m, mg_model_part *part, const char *path, const char *prefix,
                              mg_config *composite, bool *whole)
{
    char folder[MG_PATH_SIZE], type[32];

    MG_RETURN(mg_model_folder_check_cached(path));
    MG_RETURN(mg_path_as_folder(folder, path));
    MG_RETURN(mg_config_read_type(type, folder));
    *whole = is_composite(type);
    if (*whole) MG_RETURN(mg_config_load(composite, folder));
    MG_RETURN(mg_model_files_open_part(m, part, path, mg_model_form_hf));
    if (*whole) part->prefix = prefix;
    return MG_OK;
}

static mg_status open_t5(mg_model_files *m, const char *path)
{
    char folder[MG_PATH_SIZE];
    mg_config composite;
    bool whole;

    MG_RETURN(mg_path_as_folder(folder, path));
    MG_RETURN(open_hf_part(m, &m->t5, path, "text_encoder.", &composite, &whole));
    if (whole)
        m->config.t5 = composite.t5;
    else
        MG_RETURN(mg_config_load_t5(&m->config.t5, folder));
    return mg_config_check_t5(&m->config.t5, path, m->trained_with);
}

static mg_status open_hf_codec(mg_model_files *m, mg_codec_config *config, const char *path)
{
    char folder[MG_PATH_SIZE];
    mg_config composite;
    bool whole;

    MG_RETURN(mg_path_as_folder(folder, path));
    MG_RETURN(open_hf_part(m, &m->codec, path, "audio_encoder.", &composite, &whole));
    if (!whole) return mg_config_load_codec(config, folder);
    *config = composite.codec;
    return MG_OK;
}

/* AudioCraft's pointer {'pretrained': NAME} stands for the codec of that name, a path or an id. */
static mg_status follow_pointer(mg_model_files *m, mg_codec_config *config, const char *file)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(m->pointer, "%s", mg_checkpoint_pointer(m->codec.checkpoint)));
    if (strncmp(m->pointer, "dac_", 4) == 0)
        return mg_fail(MG_ECHECKPOINT,
                       "codec: %s: points to %s: only EnCodec is supported: use another model", file,
                       m->pointer);
    if (mg_hub_find(path, m->pointer) != MG_OK) {
        char said[8000];
        snprintf(said, sizeof said, "%s", mg_last_error());
        return mg_fail(MG_EFAIL, "codec: %s points to %s, which is not here (or give --codec): %s", file,
                       m->pointer, said);
    }
    return open_hf_codec(m, config, path);
}

static mg_status open_codec_config(mg_model_files *m, mg_codec_config *config, const char *path)
{
    char file[MG_PATH_SIZE];

    if (mg_path_is_folder(path)) {
        if (mg_model_folder_is_hf(path)) return open_hf_codec(m, config, path);
        MG_RETURN(mg_path_format(file, "%s/%s", path, codec_file));
        if (!mg_path_exists(file))
            return mg_fail(MG_EFAIL, "codec: %s: has neither config.json (Hugging Face) nor %s (AudioCraft)",
                           path, codec_file);
        path = file;
    }
    MG_RETURN(mg_model_files_open_part(m, &m->codec, path, audiocraft));
    if (mg_checkpoint_get_kind(m->codec.checkpoint) == MG_CHECKPOINT_POINTER)
        return follow_pointer(m, config, path);
    if (mg_checkpoint_get_dialect(m->codec.checkpoint) == MG_DIALECT_AUDIOCRAFT_LM)
        return mg_fail(MG_ECHECKPOINT, "codec: %s: is a language model, not a codec", path);
    const char *yaml = mg_checkpoint_xp_config(m->codec.checkpoint);
    if (yaml) return mg_xp_config_codec(config, path, yaml);
    return open_hf_codec(m, config, path);
}

/* The language model's own idea of its codec, which only AudioCraft's has, against the codec. Of a codec with
 * more codebooks than the model writes the first ones are used. */
static mg_status open_codec(mg_model_files *m, const char *path)
{
    const int64_t rate = m->config.codec.sampling_rate, n_codebooks = m->config.codec.n_codebooks;
    const int64_t n_written = m->config.lm.K ? m->config.lm.K / m->config.lm.n_channels : 0;
    mg_codec_config config;

    MG_RETURN(open_codec_config(m, &config, path));
    m->config.codec = config;
    if (rate && rate != config.sampling_rate)
        return mg_fail(MG_ECHECKPOINT,
                       "codec: %s: makes sound of %lld Hz, the language model %s was made for %lld",
                       m->codec.path, (long long)config.sampling_rate, m->lm.path, (long long)rate);
    if (n_codebooks > config.n_codebooks)
        return mg_fail(MG_ECHECKPOINT, "codec: %s: has %lld codebooks, the language model %s asks for %lld",
                       m->codec.path, (long long)config.n_codebooks, m->lm.path, (long long)n_codebooks);
    if (n_codebooks) m->config.codec.n_codebooks = n_codebooks;
    if (n_written && n_written < m->config.codec.n_codebooks) m->config.codec.n_codebooks = n_written;
    return MG_OK;
}

/* In `model`, a whole MusicGen of Hugging Face's, or AudioCraft's second file beside the first. */
static mg_status find_codec(char path[MG_PATH_SIZE], const char *model)
{
    char folder[MG_PATH_SIZE];

    path[0] = '\0';
    if (!model) return MG_OK;
    MG_RETURN(mg_path_as_folder(folder, model));
    if (mg_model_folder_is_hf(folder)) return mg_path_format(path, "%s", model);
    if (mg_path_has(folder, codec_file)) return mg_path_format(path, "%s/%s", folder, codec_file);
    return MG_OK;
}

/* The text encoder is in `model` if that is a whole MusicGen of Hugging Face's; else AudioCraft's config
 * names it. */
static mg_status find_t5(const mg_model_files *m, char path[MG_PATH_SIZE], const char *model, bool needed)
{
    char folder[MG_PATH_SIZE];

    path[0] = '\0';
    if (model) {
        MG_RETURN(mg_path_as_folder(folder, model));
        if (mg_model_folder_is_hf(folder)) return mg_path_format(path, "%s", model);
    }
    if (!*m->t5_name || !needed) return MG_OK;
    if (mg_hub_find(path, m->t5_name) == MG_OK) return MG_OK;
    char said[8000];
    snprintf(said, sizeof said, "%s", mg_last_error());
    return mg_fail(MG_EFAIL, "text encoder: %s asks for %s, which is not here (or give --text-encoder): %s",
                   m->lm.path, m->t5_name, said);
}

static bool has_tokenizer(const char *folder)
{
    return mg_path_has(folder, "spiece.model") || mg_path_has(folder, "tokenizer.json");
}

/* As named, else beside the text encoder, else in `model`. */
static mg_status find_tokenizer(mg_model_files *m, const char *model, const char *named, bool needed)
{
    const char *const places[] = {m->t5.path, model};
    char folder[MG_PATH_SIZE];

    m->tokenizer[0] = '\0';
    if (named) return mg_hub_find(m->tokenizer, named);
    for (int i = 0; i < 2; i++) {
        if (!places[i] || !*places[i]) continue;
        MG_RETURN(mg_path_as_folder(folder, places[i]));
        if (has_tokenizer(folder)) return mg_path_format(m->tokenizer, "%s", folder);
    }
    if (!needed) return MG_OK;
    return mg_fail(MG_EFAIL,
                   "tokenizer: %s: no tokenizer: it holds neither spiece.model nor tokenizer.json; give "
                   "--tokenizer DIR",
                   *m->t5.path ? m->t5.path
                   : model     ? model
                               : m->lm.path);
}

/* A path or an id of the request; NULL stays NULL. */
static mg_status resolve(const char **out, char path[MG_PATH_SIZE], const char *named)
{
    *out = NULL;
    if (!named) return MG_OK;
    MG_RETURN(mg_hub_find(path, named));
    *out = path;
    return MG_OK;
}

static mg_status missing_part(const char *part, const char *model, const char *option)
{
    return mg_fail(MG_EFAIL, "%s: %s holds none; give %s", part, model ? model : "the call", option);
}

static mg_status merge_lora(mg_model_files *m, const char *path)
{
    MG_REQUIRE(m->n_opened < MG_MODEL_MAX_FILES);
    MG_RETURN(mg_path_format(m->opened_path[m->n_opened], "%s", path));
    MG_RETURN(mg_lora_merge(m->lm.checkpoint, path, &m->opened[m->n_opened]));
    m->n_opened++;
    return mg_path_as_folder(m->lora_folder, path);
}

static mg_status open_parts(mg_model_files *m, const mg_model_request *request, int need)
{
    char model_path[MG_PATH_SIZE], lm_path[MG_PATH_SIZE], t5_path[MG_PATH_SIZE], codec_path[MG_PATH_SIZE];
    char lora_path[MG_PATH_SIZE];
    const char *model, *lm, *t5, *codec, *lora;

    MG_RETURN(resolve(&model, model_path, request->model));
    MG_RETURN(resolve(&lm, lm_path, request->lm));
    MG_RETURN(resolve(&lora, lora_path, request->lora));
    MG_RETURN(resolve(&t5, t5_path, request->text_encoder));
    MG_RETURN(resolve(&codec, codec_path, request->codec));
    if (!lm) lm = model;
    if (lm && (request->lm || need & MG_NEED_LM)) MG_RETURN(open_lm(m, lm, model));
    if (!lm && need & MG_NEED_LM) return missing_part("language model", NULL, "--model or --lm");
    if (!model) model = lm;
    if (lora && m->lm.checkpoint) MG_RETURN(merge_lora(m, lora));

    if (!t5) {
        MG_RETURN(find_t5(m, t5_path, model, need & MG_NEED_T5));
        if (*t5_path) t5 = t5_path;
    }
    if (t5) MG_RETURN(open_t5(m, t5));
    if (!t5 && need & MG_NEED_T5) return missing_part("text encoder", model, "--text-encoder");
    if (!codec) {
        MG_RETURN(find_codec(codec_path, model));
        if (*codec_path) codec = codec_path;
    }
    if (codec) MG_RETURN(open_codec(m, codec));
    if (!codec && need & MG_NEED_CODEC) return missing_part("codec", model, "--codec");
    if (lm) MG_RETURN(mg_model_files_open_mert(m, request->style_encoder, need));
    return find_tokenizer(m, model, request->tokenizer, need & MG_NEED_TOKENIZER);
}

/* Enough for the longest window and the delays; a stored table's length stands as it is. */
static void extend_positions(mg_model_files *m)
{
    mg_lm_config *lm = &m->config.lm;
    const int64_t window = (int64_t)(m->window_s * (double)m->config.codec.frame_rate) + lm->K + 1;

    if (m->lm_yaml && lm->max_positions < window) lm->max_positions = window;
}

mg_status mg_model_files_open(mg_model_files **out, const mg_model_request *request, int need)
{
    mg_status st = MG_OK;
    mg_model_files *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m) return mg_fail(MG_ENOMEM, "model: %zu bytes", sizeof *m);
    MG_TRY(open_parts(m, request, need));
    extend_positions(m);
    *out = m;
done:
    if (st != MG_OK) mg_model_files_close(m);
    return st;
}

void mg_model_files_close(mg_model_files *m)
{
    if (!m) return;
    for (int i = 0; i < m->n_opened; i++) mg_checkpoint_close(m->opened[i]);
    free(m);
}

mg_status mg_model_files_check(const mg_model_files *m)
{
    for (int i = 0; i < m->n_opened; i++) MG_RETURN(mg_checkpoint_check_files(m->opened[i]));
    return MG_OK;
}

mg_weights_use mg_model_files_use(const mg_model_files *m, const mg_checkpoint *c)
{
    if (c == m->lm.checkpoint || c == m->codec.checkpoint) return MG_USED_BY_ALL;
    return c == m->t5.checkpoint     ? MG_USED_BY_TEXTS
           : c == m->mert.checkpoint ? MG_USED_BY_STYLES
                                     : MG_USED_BY_ALL;
}

void mg_model_part_count(int64_t n[MG_DTYPES], const mg_model_part *part)
{
    static const char style[] = "style_encoder."; /* in the language model's file, and no part of its own */

    for (size_t i = 0; i < MG_DTYPES; i++) n[i] = 0;
    for (size_t i = 0; part->checkpoint && i < mg_checkpoint_count(part->checkpoint); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(part->checkpoint, i);
        if (mg_key_map_is_of_part(e->name, part->prefix) && !mg_key_map_is_ignorable(e->name) &&
            strncmp(e->name, style, strlen(style)) != 0)
            n[e->tensor.dtype] += mg_tensor_count(&e->tensor);
    }
}

/* A weight in fp64, which PyTorch would round and this program does not; NULL: there is none. */
static const char *find_wide(const mg_checkpoint *c)
{
    for (size_t i = 0; i < mg_checkpoint_count(c); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, i);
        if (e->tensor.dtype == MG_F64 && mg_text_ends_with(e->name, ".weight")) return e->source;
    }
    return NULL;
}

mg_status mg_model_files_check_tensors(const mg_model_files *m)
{
    for (int i = 0; i < m->n_opened; i++) {
        const char *packing = mg_checkpoint_packing(m->opened[i]);
        const char *wide = find_wide(m->opened[i]);
        if (wide)
            return mg_fail(MG_ECHECKPOINT,
                           "%s: %s is in fp64, and only fp32, fp16 and bf16 are taken: save each tensor with "
                           "float() in Python",
                           m->opened_path[i], wide);
        if (!packing) MG_RETURN(mg_checkpoint_check_twins(m->opened[i]));
        if (!packing) continue;
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: is quantised (%s), and only fp32, fp16 and bf16 are taken: use the model that it was made "
            "from (--dtype int8 quantises here), or dequantize() it in Python and save it again",
            m->opened_path[i], packing);
    }
    return MG_OK;
}
