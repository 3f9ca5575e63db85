/* The composite config.json: LM and T5 sections here, the codec's in config_codec.c. Defaults are those of
 * transformers' MusicgenDecoderConfig and T5Config, which hold for every key that a file leaves out. */
#include "config.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_impl.h"
#include "json.h"
#include "utf8.h"

enum { MAX_WIDTH = 1 << 16, MAX_LAYERS = 1024, MAX_VOCAB = 1 << 20 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static mg_status read_feed_forward(mg_t5_config *out, const cJSON *section, const char *name)
{
    const char *kind;
    bool gated;

    MG_RETURN(mg_json_string(section, name, "feed_forward_proj", &kind));
    if (kind && strcmp(kind, "relu") != 0 && strcmp(kind, "gated-gelu") != 0)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: feed_forward_proj: \"%.64s\" is not supported, only \"relu\" and \"gated-gelu\" are", name,
            kind);
    out->gated = out->gelu = kind && strcmp(kind, "gated-gelu") == 0;

    /* Two keys say the same again; transformers lets them win, so they must agree. */
    gated = out->gated;
    MG_RETURN(mg_json_bool(section, name, "is_gated_act", &gated, NULL));
    if (gated != out->gated)
        return mg_fail(MG_ECHECKPOINT, "%s: is_gated_act: contradicts feed_forward_proj \"%s\"", name,
                       kind ? kind : "relu");
    return mg_config_only(section, name, "dense_act_fn", out->gelu ? "gelu_new" : "relu");
}

static mg_status read_t5(mg_t5_config *out, const cJSON *section, const char *name)
{
    *out = (mg_t5_config){.d_model = 512,
                          .d_kv = 64,
                          .d_ff = 2048,
                          .n_layers = 6,
                          .n_heads = 8,
                          .vocab_size = 32128,
                          .n_buckets = 32,
                          .max_distance = 128,
                          .eps = 1e-6};
    const mg_config_field fields[] = {
        {"d_model", &out->d_model, 1, MAX_WIDTH},
        {"d_kv", &out->d_kv, 1, 4096},
        {"d_ff", &out->d_ff, 1, 4 * MAX_WIDTH},
        {"num_layers", &out->n_layers, 1, MAX_LAYERS},
        {"num_heads", &out->n_heads, 1, 4096},
        {"vocab_size", &out->vocab_size, 1, MAX_VOCAB},
        {"relative_attention_num_buckets", &out->n_buckets, 4, 4096},
        {"relative_attention_max_distance", &out->max_distance, 2, MAX_VOCAB},
    };

    MG_RETURN(mg_config_only(section, name, "model_type", "t5"));
    MG_RETURN(mg_config_fields(section, name, fields, COUNT(fields)));
    if (out->n_buckets % 2 != 0 || out->max_distance <= out->n_buckets / 4)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: relative_attention_num_buckets: %lld is not possible with a maximum distance of %lld", name,
            (long long)out->n_buckets, (long long)out->max_distance);
    MG_RETURN(mg_json_double(section, name, "layer_norm_epsilon", &out->eps, NULL));
    if (!(out->eps > 0 && out->eps < 1))
        return mg_fail(MG_ECHECKPOINT, "%s: layer_norm_epsilon: %g is not possible", name, out->eps);
    return read_feed_forward(out, section, name);
}

static mg_status read_lm(mg_lm_config *out, const cJSON *section, const char *name, const char *type)
{
    *out = (mg_lm_config){
        .D = 1024, .L = 24, .H = 16, .F = 4096, .V = 2048, .K = 4, .n_channels = 1, .max_positions = 2048};
    const mg_config_field fields[] = {
        {"hidden_size", &out->D, 4, MAX_WIDTH},
        {"num_hidden_layers", &out->L, 1, MAX_LAYERS},
        {"num_attention_heads", &out->H, 1, 4096},
        {"ffn_dim", &out->F, 1, 4 * MAX_WIDTH},
        {"vocab_size", &out->V, 1, MAX_VOCAB},
        {"num_codebooks", &out->K, 1, MG_MAX_CODEBOOKS},
        {"audio_channels", &out->n_channels, 1, 2},
        {"max_position_embeddings", &out->max_positions, 1, MAX_VOCAB},
    };

    MG_RETURN(mg_config_only(section, name, "model_type", type));
    MG_RETURN(mg_config_fields(section, name, fields, COUNT(fields)));
    MG_RETURN(mg_config_only(section, name, "activation_function", "gelu"));
    if (out->D % out->H != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: num_attention_heads: %lld does not divide hidden_size %lld", name,
                       (long long)out->H, (long long)out->D);
    if (out->D % 2 != 0) /* half sines, half cosines */
        return mg_fail(MG_ECHECKPOINT, "%s: hidden_size: %lld is odd: positions need an even one", name,
                       (long long)out->D);
    if (out->K % out->n_channels != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: num_codebooks: %lld cannot be shared by %lld audio_channels",
                       name, (long long)out->K, (long long)out->n_channels);
    return MG_OK;
}

/* A section of the composite file, which must be there. */
static mg_status read_section(const cJSON *root, const char *file, const char *key, const cJSON **section,
                              char name[MG_PATH_SIZE])
{
    snprintf(name, MG_PATH_SIZE, "%.*s: %s", mg_utf8_fit(file, 4000), file, key);
    MG_RETURN(mg_json_object(root, file, key, section));
    return *section ? MG_OK : mg_fail(MG_ECHECKPOINT, "%s: %s: the section is missing", file, key);
}

static mg_status read_model_type(mg_config *out, const cJSON *root, const char *file)
{
    const char *type;

    MG_RETURN(mg_json_string(root, file, "model_type", &type));
    if (!type)
        return mg_fail(MG_ECHECKPOINT, "%s: model_type: missing: \"musicgen\" is what is supported", file);
    if (strcmp(type, "musicgen") != 0 && strcmp(type, "musicgen_melody") != 0)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: model_type: \"%.64s\" is not supported, only \"musicgen\" and \"musicgen_melody\" "
            "are",
            file, type);
    snprintf(out->model_type, sizeof out->model_type, "%s", type);
    return MG_OK;
}

static mg_status read_chroma(mg_lm_config *out, const cJSON *root, const char *file)
{
    const mg_config_field fields[] = {{"num_chroma", &out->n_chroma, 1, 4096},
                                      {"chroma_length", &out->chroma_length, 1, MAX_VOCAB}};

    out->n_chroma = 12;
    out->chroma_length = 235; /* 30 s */
    return mg_config_fields(root, file, fields, 2);
}

static mg_generation_config default_generation(void)
{
    return (mg_generation_config){
        .guidance_scale = 3.0, .top_k = 250, .temperature = 1.0, .do_sample = true, .max_length = 1500};
}

static mg_status read_composite(mg_config *out, const cJSON *root, const char *file)
{
    char name[MG_PATH_SIZE];
    const cJSON *section;
    int64_t d_cross = 0;
    bool has_cross;

    *out = (mg_config){.generation = default_generation()};
    MG_RETURN(read_model_type(out, root, file));
    MG_RETURN(read_section(root, file, "text_encoder", &section, name));
    MG_RETURN(read_t5(&out->t5, section, name));
    MG_RETURN(read_section(root, file, "audio_encoder", &section, name));
    MG_RETURN(mg_config_read_codec(&out->codec, section, name));
    MG_RETURN(read_section(root, file, "decoder", &section, name));
    const bool melody = strcmp(out->model_type, "musicgen_melody") == 0;
    MG_RETURN(read_lm(&out->lm, section, name, melody ? "musicgen_melody_decoder" : "musicgen_decoder"));
    if (melody) MG_RETURN(read_chroma(&out->lm, root, file));

    /* transformers projects only where this key is null; where it is set the widths must be equal. */
    MG_RETURN(mg_json_int(section, name, "cross_attention_hidden_size", &d_cross, &has_cross));
    out->lm.d_text = out->t5.d_model;
    out->lm.project_text = out->lm.d_text != out->lm.D;
    if (has_cross && (out->lm.project_text || d_cross != out->lm.d_text))
        return mg_fail(MG_ECHECKPOINT,
                       "%s: cross_attention_hidden_size: %lld does not go with a text width of %lld and a "
                       "hidden_size of %lld",
                       name, (long long)d_cross, (long long)out->lm.d_text, (long long)out->lm.D);
    return MG_OK;
}

static mg_status read_generation(mg_generation_config *out, const cJSON *root, const char *file)
{
    mg_generation_config *g = out;
    int64_t n_new = 0;
    bool has_new;

    *g = default_generation();
    MG_RETURN(mg_json_double(root, file, "guidance_scale", &g->guidance_scale, &g->has_guidance_scale));
    MG_RETURN(mg_json_int(root, file, "top_k", &g->top_k, &g->has_top_k));
    MG_RETURN(mg_json_double(root, file, "top_p", &g->top_p, &g->has_top_p));
    MG_RETURN(mg_json_double(root, file, "temperature", &g->temperature, &g->has_temperature));
    MG_RETURN(mg_json_bool(root, file, "do_sample", &g->do_sample, &g->has_do_sample));
    MG_RETURN(mg_json_double(root, file, "min_p", &g->min_p, &g->has_min_p));
    MG_RETURN(mg_json_int(root, file, "max_length", &g->max_length, &g->has_max_length));
    MG_RETURN(
        mg_json_int(root, file, "max_new_tokens", &n_new, &has_new)); /* wins, and counts no first column */
    if (has_new && n_new > 0) g->max_length = n_new + 1, g->has_max_length = true;
    if (g->top_k < 0)
        return mg_fail(MG_ECHECKPOINT, "%s: top_k: %lld is negative", file, (long long)g->top_k);
    if (!(g->top_p >= 0 && g->top_p <= 1))
        return mg_fail(MG_ECHECKPOINT, "%s: top_p: %g is not within 0 and 1", file, g->top_p);
    if (!(g->min_p >= 0 && g->min_p <= 1))
        return mg_fail(MG_ECHECKPOINT, "%s: min_p: %g is not within 0 and 1", file, g->min_p);
    if (!(g->temperature > 0))
        return mg_fail(MG_ECHECKPOINT, "%s: temperature: %g is not positive", file, g->temperature);
    return MG_OK;
}

mg_status mg_config_load_root(cJSON **root, char path[MG_PATH_SIZE], const char *dir)
{
    *root = NULL;
    MG_RETURN(mg_path_format(path, "%s/config.json", dir));
    return mg_json_load(root, path);
}

mg_status mg_config_parse(mg_config *out, const char *name, const char *text, int64_t text_bytes)
{
    cJSON *root;

    *out = (mg_config){0};
    MG_RETURN(mg_json_parse(&root, name, text, text_bytes));
    const mg_status st = read_composite(out, root, name);
    cJSON_Delete(root);
    return st;
}

mg_status mg_config_parse_generation(mg_generation_config *out, const char *name, const char *text,
                                     int64_t text_bytes)
{
    cJSON *root;

    *out = default_generation();
    MG_RETURN(mg_json_parse(&root, name, text, text_bytes));
    const mg_status st = read_generation(out, root, name);
    cJSON_Delete(root);
    return st;
}

mg_status mg_config_load(mg_config *out, const char *dir)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    cJSON *root = NULL, *generation = NULL;

    *out = (mg_config){0};
    MG_TRY(mg_config_load_root(&root, path, dir));
    MG_TRY(read_composite(out, root, path));
    MG_TRY(mg_path_format(path, "%s/generation_config.json", dir));
    if (!mg_path_exists(path)) goto done;
    MG_TRY(mg_json_load(&generation, path));
    st = read_generation(&out->generation, generation, path);
done:
    cJSON_Delete(root);
    cJSON_Delete(generation);
    return st;
}

mg_status mg_config_read_type(char type[32], const char *dir)
{
    char path[MG_PATH_SIZE];
    const char *value;
    cJSON *root;

    type[0] = '\0';
    MG_RETURN(mg_config_load_root(&root, path, dir));
    const mg_status st = mg_json_string(root, path, "model_type", &value);
    if (st == MG_OK && value) snprintf(type, 32, "%s", value);
    cJSON_Delete(root);
    return st;
}

mg_status mg_config_load_t5(mg_t5_config *out, const char *dir)
{
    char path[MG_PATH_SIZE];
    cJSON *root;

    *out = (mg_t5_config){0};
    MG_RETURN(mg_config_load_root(&root, path, dir));
    const mg_status st = read_t5(out, root, path);
    cJSON_Delete(root);
    return st;
}

mg_status mg_config_load_codec(mg_codec_config *out, const char *dir)
{
    char path[MG_PATH_SIZE];
    cJSON *root;

    *out = (mg_codec_config){0};
    MG_RETURN(mg_config_load_root(&root, path, dir));
    const mg_status st = mg_config_read_codec(out, root, path);
    cJSON_Delete(root);
    return st;
}
