/* The codec's half of xp.cfg: an EncodecModel of a SEANet and a residual quantizer, as builders.py of
 * AudioCraft 1.4.0a2 makes it. Its names for what config_codec.c reads in Hugging Face's words. */
#include <stdio.h>
#include <string.h>

#include "xp_config_impl.h"

enum { NAME_SIZE = 4200 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const mg_xp_rule rules[] = {
    {"compression_model", "encodec", true},
    {"encodec.autoencoder", "seanet", true},
    {"encodec.quantizer", "rvq", true},
    {"encodec.channels", "1", true},
    {"encodec.causal", "false", false},
    {"encodec.renormalize", "false", false},
    {"seanet.channels", "1", true},
    {"seanet.causal", "false", false},
    {"seanet.activation", "ELU", false},
    {"seanet.activation_params.alpha", "1.0", false},
    {"seanet.norm", "weight_norm", true},
    {"seanet.true_skip", "true", false},
    {"seanet.disable_norm_outer_blocks", "0", false},
    {"seanet.encoder", "{}", false},
    {"seanet.decoder.final_activation", "null", false},
};

/* seanet.encoder and seanet.decoder override seanet's own keys: these two do not matter to a codec that is
 * not causal. */
static mg_status check_decoder(mg_yaml *y, const char *name)
{
    static const char *const known[] = {"trim_right_ratio", "final_activation", "final_activation_params"};
    const mg_yaml_node *decoder;

    MG_RETURN(mg_yaml_dict(y, "seanet.decoder", &decoder));
    for (const mg_yaml_node *n = decoder ? decoder->child : NULL; n; n = n->next) {
        int i = 0;
        while (i < COUNT(known) && strcmp(n->key, known[i]) != 0) i++;
        if (i == COUNT(known))
            return mg_fail(MG_ECHECKPOINT,
                           "%s: seanet.decoder.%.64s: a decoder that differs from its encoder is "
                           "not supported",
                           name, n->key);
    }
    return MG_OK;
}

static mg_status read_ratios(mg_codec_config *out, mg_yaml *y, const char *name)
{
    const mg_yaml_node *ratios;

    MG_RETURN(mg_yaml_list(y, "seanet.ratios", &ratios));
    if (!ratios || ratios->n_children < 1 || ratios->n_children > MG_MAX_RATIOS)
        return mg_xp_refuse(y, name, "seanet.ratios", "a list of 1 to 8 integers");
    for (const mg_yaml_node *n = ratios->child; n; n = n->next) {
        if (n->kind != MG_YAML_INT)
            return mg_xp_refuse(y, name, "seanet.ratios", "a list of 1 to 8 integers");
        out->ratio[out->n_ratios++] = n->integer;
    }
    return mg_config_codec_hop(out, name, "seanet.ratios");
}

static mg_status read_sizes(mg_codec_config *out, mg_yaml *y, const char *name)
{
    mg_config_field fields[MG_CODEC_FIELDS];
    const int n_fields = mg_config_codec_fields(fields, out, MG_CONFIG_XP);

    MG_RETURN(mg_xp_read_fields(y, name, fields, n_fields));
    out->codebook_dim = out->hidden_size;
    MG_RETURN(mg_config_codec_check(out, name, MG_CONFIG_XP));
    return read_ratios(out, y, name);
}

static mg_status read_padding(mg_codec_config *out, mg_yaml *y, const char *name)
{
    const char *pad_mode;

    MG_RETURN(mg_yaml_string(y, "seanet.pad_mode", &pad_mode));
    out->pad_reflect = !pad_mode || strcmp(pad_mode, "reflect") == 0;
    if (out->pad_reflect || strcmp(pad_mode, "constant") == 0) return MG_OK;
    return mg_xp_refuse(y, name, "seanet.pad_mode", "\"reflect\" or \"constant\"");
}

static mg_status read_codec(mg_codec_config *out, mg_yaml *y, const char *name)
{
    const mg_yaml_node *codec, *lm;

    MG_RETURN(mg_yaml_find(y, "compression_model", &codec));
    MG_RETURN(mg_yaml_find(y, "lm_model", &lm));
    if (!codec && lm)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: describes a language model (lm_model), not a codec: give the codec's own checkpoint, "
            "the language model's holds none",
            name);
    MG_RETURN(mg_xp_check_rules(y, name, rules, COUNT(rules)));
    MG_RETURN(check_decoder(y, name));
    MG_RETURN(read_sizes(out, y, name));
    return read_padding(out, y, name);
}

mg_status mg_xp_config_codec(mg_codec_config *out, const char *name, const char *yaml)
{
    char section[NAME_SIZE];
    mg_yaml *y;

    /* SEANetEncoder's defaults; what must be in the file is 0. */
    *out = (mg_codec_config){.n_channels = 1,
                             .n_residual_layers = 3,
                             .kernel_size = 7,
                             .last_kernel_size = 7,
                             .residual_kernel_size = 3,
                             .dilation_growth = 2,
                             .compress = 2};
    snprintf(section, sizeof section, "%.4096s: xp.cfg", name);
    MG_RETURN(mg_yaml_parse(&y, section, yaml, strlen(yaml)));
    const mg_status st = read_codec(out, y, section);
    mg_yaml_close(y);
    return st;
}
