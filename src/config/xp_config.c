/* The language model's half of xp.cfg, and the rules that both halves are checked by. Defaults are those of
 * audiocraft/models/builders.py and the classes it builds (1.4.0a2). */
#include "xp_config.h"

#include <stdio.h>
#include <string.h>

#include "xp_config_impl.h"

enum { MAX_WIDTH = 1 << 16, MAX_LAYERS = 1024, MAX_VOCAB = 1 << 20, MAX_WINDOW_S = 3600, NAME_SIZE = 4200 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* The other models that AudioCraft plays, by what one key of theirs says; "": none of them. */
static const char *kind_of(const mg_yaml_node *n)
{
    static const struct {
        const char *value, *said;
    } kinds[] = {
        {"transformer_lm_magnet", ": this is MAGNeT; take a MusicGen or an AudioGen"},
        {"flow_matching", ": this is JASCO; take a MusicGen or an AudioGen"},
    };

    for (int i = 0; n && n->kind == MG_YAML_STRING && i < COUNT(kinds); i++)
        if (strcmp(n->text, kinds[i].value) == 0) return kinds[i].said;
    return "";
}

mg_status mg_xp_refuse(mg_yaml *y, const char *name, const char *path, const char *supported)
{
    const mg_yaml_node *n;
    char text[80];

    MG_RETURN(mg_yaml_find(y, path, &n));
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %s is not supported, only %s is%s", name, path,
                   mg_yaml_describe(n, text, sizeof text), supported, kind_of(n));
}

/* Is `n` what `only` says? Numbers are compared as numbers: 1 and 1.0 are the same. */
static bool is_value(const mg_yaml_node *n, const char *only)
{
    double number = 0;
    char end;

    switch (n->kind) {
    case MG_YAML_NULL: return strcmp(only, "null") == 0 || strcmp(only, "{}") == 0;
    case MG_YAML_BOOL: return strcmp(only, n->boolean ? "true" : "false") == 0;
    case MG_YAML_INT:
    case MG_YAML_FLOAT: return sscanf(only, "%lf%c", &number, &end) == 1 && number == n->number;
    case MG_YAML_STRING: return strcmp(only, n->text) == 0;
    default: return strcmp(only, "{}") == 0 && !n->child;
    }
}

mg_status mg_xp_check_rules(mg_yaml *y, const char *name, const mg_xp_rule *rules, int n_rules)
{
    for (int i = 0; i < n_rules; i++) {
        const mg_xp_rule *r = &rules[i];
        const mg_yaml_node *n;
        MG_RETURN(mg_yaml_find(y, r->path, &n));
        if (n ? is_value(n, r->only) : !r->required) continue;
        return mg_xp_refuse(y, name, r->path, strcmp(r->only, "{}") == 0 ? "an empty one" : r->only);
    }
    return MG_OK;
}

mg_status mg_xp_read_fields(mg_yaml *y, const char *name, const mg_config_field *fields, int n_fields)
{
    for (int i = 0; i < n_fields; i++) {
        const mg_config_field *f = &fields[i];
        bool found;
        MG_RETURN(mg_yaml_int(y, f->key, f->out, &found));
        if (!found && *f->out == 0) return mg_fail(MG_ECHECKPOINT, "%s: %s: missing", name, f->key);
        MG_RETURN(mg_config_field_check(f, name));
    }
    return MG_OK;
}

/* What must be so for the model to be the one that src/model computes. */
static const mg_xp_rule lm_rules[] = {
    {"transformer_lm.norm_first", "true", true},
    {"transformer_lm.bias_ff", "false", true},
    {"transformer_lm.bias_attn", "false", true},
    {"transformer_lm.bias_proj", "false", true},
    {"transformer_lm.positional_embedding", "sin", false},
    {"transformer_lm.activation", "gelu", true},
    {"transformer_lm.norm", "layer_norm", false},
    {"transformer_lm.causal", "true", true},
    {"transformer_lm.xpos", "false", false},
    {"transformer_lm.layer_scale", "null", false},
    {"transformer_lm.past_context", "null", false},
    {"transformer_lm.qk_layer_norm", "false", false},
    {"transformer_lm.qk_layer_norm_cross", "false", false},
    {"transformer_lm.kv_repeat", "1", false},
    {"codebooks_pattern.modeling", "delay", true},
    {"codebooks_pattern.delay.flatten_first", "0", false},
    {"codebooks_pattern.delay.empty_initial", "0", false},
    {"fuser.sum", "{}", false},
    {"fuser.input_interpolate", "{}", false},
    {"fuser.cross_attention_pos_emb", "false", false},
    {"conditioners.description.model", "t5", true},
    {"conditioners.description.t5.finetune", "false", false},
    {"conditioners.description.t5.normalize_text", "false", false},
    {"interleave_stereo_codebooks.per_timestep", "false", false},
};

static const mg_xp_rule melody_rules[] = {
    {"conditioners.self_wav.chroma_stem.radix2_exp", "14", true},
    {"conditioners.self_wav.chroma_stem.argmax", "true", true},
};

static const mg_xp_rule style_rules[] = {
    {"conditioners.self_wav.style.model_name", "mert", true},
};

static mg_status read_kind(mg_yaml *y, const char *name)
{
    const mg_yaml_node *lm, *codec;

    MG_RETURN(mg_yaml_find(y, "lm_model", &lm));
    MG_RETURN(mg_yaml_find(y, "compression_model", &codec));
    if (!lm && codec)
        return mg_fail(MG_ECHECKPOINT, "%s: describes a codec (compression_model), not a language model",
                       name);
    return lm && is_value(lm, "transformer_lm") ? MG_OK : mg_xp_refuse(y, name, "lm_model", "transformer_lm");
}

static mg_status read_sizes(mg_xp_lm *out, mg_yaml *y, const char *name)
{
    mg_lm_config *lm = &out->lm;
    double hidden_scale = 4;
    bool stereo = false;
    const mg_config_field fields[] = {
        {"transformer_lm.dim", &lm->D, 4, MAX_WIDTH},
        {"transformer_lm.num_layers", &lm->L, 1, MAX_LAYERS},
        {"transformer_lm.num_heads", &lm->H, 1, 4096},
        {"transformer_lm.card", &lm->V, 1, MAX_VOCAB},
        {"transformer_lm.n_q", &lm->K, 1, MG_MAX_CODEBOOKS},
        {"sample_rate", &out->sampling_rate, 1000, 1000000},
    };

    MG_RETURN(mg_xp_read_fields(y, name, fields, COUNT(fields)));
    if (lm->D % lm->H != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: transformer_lm.num_heads: %lld does not divide dim %lld", name,
                       (long long)lm->H, (long long)lm->D);
    if (lm->D % 2 != 0) /* half cosines, half sines */
        return mg_fail(MG_ECHECKPOINT, "%s: transformer_lm.dim: %lld is odd: positions need an even one",
                       name, (long long)lm->D);
    MG_RETURN(mg_yaml_double(y, "transformer_lm.hidden_scale", &hidden_scale, NULL));
    if (!(hidden_scale * (double)lm->D >= 1 && hidden_scale * (double)lm->D <= 4.0 * MAX_WIDTH))
        return mg_fail(MG_ECHECKPOINT, "%s: transformer_lm.hidden_scale: %g is not possible with dim %lld",
                       name, hidden_scale, (long long)lm->D);
    lm->F = (int64_t)(hidden_scale * (double)lm->D);

    MG_RETURN(mg_yaml_bool(y, "interleave_stereo_codebooks.use", &stereo, NULL));
    lm->n_channels = stereo ? 2 : 1;
    if (stereo && lm->K % 2 != 0)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: transformer_lm.n_q: %lld cannot be shared by two channels "
                       "(interleave_stereo_codebooks.use)",
                       name, (long long)lm->K);
    return MG_OK;
}

/* Codebook k is delayed by k steps; of a stereo model's, the two of one k by the same. */
static mg_status check_delays(const mg_lm_config *lm, mg_yaml *y, const char *name)
{
    const char *path = "codebooks_pattern.delay.delays";
    const mg_yaml_node *delays;
    int64_t k = 0;

    MG_RETURN(mg_yaml_list(y, path, &delays));
    if (!delays && lm->n_channels == 1) return MG_OK; /* AudioCraft's default is 0, 1, 2 … */
    for (const mg_yaml_node *d = delays ? delays->child : NULL; d; d = d->next, k++)
        if (d->kind != MG_YAML_INT || d->integer != k / lm->n_channels) break;
    if (delays && delays->n_children == (size_t)lm->K && k == lm->K) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: %s: only %s, one for each of the %lld codebooks, is supported", name,
                   path, lm->n_channels == 1 ? "0, 1, 2 …" : "0, 0, 1, 1 …", (long long)lm->K);
}

/* Is the list at `path` the words of `wanted`, which a space separates? Absent is empty. */
static mg_status list_is(bool *same, mg_yaml *y, const char *path, const char *wanted)
{
    const mg_yaml_node *list;

    MG_RETURN(mg_yaml_list(y, path, &list));
    *same = true;
    for (const mg_yaml_node *n = list ? list->child : NULL; n; n = n->next) {
        const size_t n_word = strcspn(wanted, " ");
        *same = *same && n_word && n->text && strlen(n->text) == n_word && !memcmp(n->text, wanted, n_word);
        wanted += n_word + (wanted[n_word] == ' ');
    }
    *same = *same && !*wanted;
    return MG_OK;
}

static mg_status check_fuser(bool melody, mg_yaml *y, const char *name)
{
    const char *cross = melody ? "" : "description", *prepend = melody ? "self_wav description" : "";
    bool same;

    MG_RETURN(list_is(&same, y, "fuser.cross", cross));
    if (!same) return mg_xp_refuse(y, name, "fuser.cross", melody ? "an empty list" : "[description]");
    MG_RETURN(list_is(&same, y, "fuser.prepend", prepend));
    if (!same)
        return mg_xp_refuse(y, name, "fuser.prepend", melody ? "[self_wav, description]" : "an empty list");
    return MG_OK;
}

/* AudioCraft's transformer_scale, of the style encoder. */
static mg_status read_style_heads(int64_t *n_heads, mg_yaml *y, const char *name)
{
    static const char key[] = "conditioners.self_wav.style.transformer_scale";
    const char *scale;

    MG_RETURN(mg_yaml_string(y, key, &scale));
    if (!scale || strcmp(scale, "default") == 0 || strcmp(scale, "xsmall") == 0)
        *n_heads = 8;
    else if (strcmp(scale, "large") == 0)
        *n_heads = 16;
    else
        return mg_xp_refuse(y, name, key, "xsmall, default or large");
    return MG_OK;
}

static mg_status read_style(mg_style_config *c, mg_yaml *y, const char *name)
{
    const mg_config_field fields[] = {
        {"conditioners.self_wav.style.ds_factor", &c->ds_factor, 1, 1000},
        {"conditioners.self_wav.style.n_q_out", &c->n_codebooks, 1, MG_MAX_CODEBOOKS},
        {"conditioners.self_wav.style.eval_q", &c->eval_codebooks, 1, MG_MAX_CODEBOOKS},
    };

    *c = (mg_style_config){
        .n_codebooks = 6, .eval_codebooks = 3, .ds_factor = 15, .excerpt_s = 3, .batch_norm = true};
    MG_RETURN(mg_xp_check_rules(y, name, style_rules, COUNT(style_rules)));
    MG_RETURN(mg_xp_read_fields(y, name, fields, COUNT(fields)));
    if (c->eval_codebooks > c->n_codebooks) return mg_xp_refuse(y, name, fields[2].key, "at most n_q_out");
    MG_RETURN(mg_yaml_double(y, "conditioners.self_wav.style.length", &c->excerpt_s, NULL));
    if (!(c->excerpt_s >= MG_STYLE_LEAST_S && c->excerpt_s <= MG_STYLE_MOST_S))
        return mg_xp_refuse(y, name, "conditioners.self_wav.style.length", "0.5 to 10 seconds");
    MG_RETURN(mg_yaml_bool(y, "conditioners.self_wav.style.batch_norm", &c->batch_norm, NULL));
    return read_style_heads(&c->n_heads, y, name);
}

/* The model's own sound: a melody's chroma or a style. */
static mg_status read_self_wav(mg_xp_lm *out, mg_yaml *y, const char *name)
{
    const mg_config_field n_chroma = {"conditioners.self_wav.chroma_stem.n_chroma", &out->lm.n_chroma, 1,
                                      4096};
    const mg_yaml_node *model;

    MG_RETURN(mg_yaml_find(y, "conditioners.self_wav.model", &model));
    out->lm.is_style = model && is_value(model, "style");
    if (out->lm.is_style) return read_style(&out->style, y, name);
    if (!model || !is_value(model, "chroma_stem"))
        return mg_xp_refuse(y, name, "conditioners.self_wav.model", "chroma_stem or style");
    MG_RETURN(mg_xp_check_rules(y, name, melody_rules, COUNT(melody_rules)));
    return mg_xp_read_fields(y, name, &n_chroma, 1);
}

static mg_status read_conditioners(mg_xp_lm *out, mg_yaml *y, const char *name)
{
    const mg_yaml_node *all;
    const char *t5_name;

    MG_RETURN(mg_yaml_dict(y, "conditioners", &all));
    for (const mg_yaml_node *c = all ? all->child : NULL; c; c = c->next) {
        if (strcmp(c->key, "self_wav") == 0)
            out->melody = true;
        else if (strcmp(c->key, "description") != 0 && strcmp(c->key, "args") != 0)
            return mg_fail(MG_ECHECKPOINT,
                           "%s: conditioners.%.64s: is not supported, only description and self_wav are",
                           name, c->key);
    }
    MG_RETURN(mg_yaml_string(y, "conditioners.description.t5.name", &t5_name));
    if (!t5_name || !*t5_name || strlen(t5_name) >= sizeof out->t5_name)
        return mg_xp_refuse(y, name, "conditioners.description.t5.name",
                            "the name of a T5, such as t5-base,");
    strcpy(out->t5_name, t5_name);
    if (out->melody) MG_RETURN(read_self_wav(out, y, name));
    return check_fuser(out->melody, y, name);
}

static mg_status read_generation(mg_xp_lm *out, mg_yaml *y, const char *name)
{
    mg_generation_config *g = &out->generation;
    bool has_window;

    *g = (mg_generation_config){
        .guidance_scale = 3.0, .top_k = 250, .temperature = 1.0, .do_sample = true, .max_length = 1500};
    MG_RETURN(mg_yaml_double(y, "classifier_free_guidance.inference_coef", &g->guidance_scale,
                             &g->has_guidance_scale));
    out->guidance_scale = g->guidance_scale;
    MG_RETURN(mg_yaml_bool(y, "generate.lm.use_sampling", &g->do_sample, &g->has_do_sample));
    MG_RETURN(mg_yaml_double(y, "generate.lm.temp", &g->temperature, &g->has_temperature));
    MG_RETURN(mg_yaml_int(y, "generate.lm.top_k", &g->top_k, &g->has_top_k));
    MG_RETURN(mg_yaml_double(y, "generate.lm.top_p", &g->top_p, &g->has_top_p));
    if (!(g->temperature > 0)) return mg_xp_refuse(y, name, "generate.lm.temp", "a positive number");
    if (g->top_k < 0) return mg_xp_refuse(y, name, "generate.lm.top_k", "0 or more");
    if (!(g->top_p >= 0 && g->top_p <= 1)) return mg_xp_refuse(y, name, "generate.lm.top_p", "0 to 1");

    MG_RETURN(mg_yaml_double(y, "dataset.segment_duration", &out->segment_s, &has_window));
    if (!has_window || !(out->segment_s > 0 && out->segment_s <= MAX_WINDOW_S))
        return mg_xp_refuse(y, name, "dataset.segment_duration", "a number of seconds up to 3600");
    return MG_OK;
}

static mg_status read_n_codebooks(mg_xp_lm *out, mg_yaml *y, const char *name)
{
    MG_RETURN(mg_yaml_int(y, "compression_model_n_q", &out->n_codebooks, NULL));
    if (out->n_codebooks < 0 || out->n_codebooks > MG_MAX_CODEBOOKS)
        return mg_xp_refuse(y, name, "compression_model_n_q", "null or a number of codebooks up to 16");
    return MG_OK;
}

mg_status mg_xp_config_lm(mg_xp_lm *out, const char *name, const char *yaml)
{
    mg_status st = MG_OK;
    char section[NAME_SIZE];
    mg_yaml *y = NULL;

    *out = (mg_xp_lm){.lm = {.project_text = true}};
    snprintf(section, sizeof section, "%.4096s: xp.cfg", name);
    MG_TRY(mg_yaml_parse(&y, section, yaml, strlen(yaml)));
    MG_TRY(read_kind(y, section));
    MG_TRY(mg_xp_check_rules(y, section, lm_rules, COUNT(lm_rules)));
    MG_TRY(read_sizes(out, y, section));
    MG_TRY(check_delays(&out->lm, y, section));
    MG_TRY(read_conditioners(out, y, section));
    MG_TRY(read_n_codebooks(out, y, section));
    MG_TRY(read_generation(out, y, section));
done:
    mg_yaml_close(y);
    return st;
}
