/* The EnCodec section of a config.json. Defaults are those of transformers' EncodecConfig (the 24 kHz codec),
 * which hold for every key that a file leaves out. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "config_impl.h"
#include "json.h"

static mg_status read_ratios(mg_codec_config *out, const cJSON *section, const char *name)
{
    const cJSON *ratios;

    MG_RETURN(mg_json_array(section, name, "upsampling_ratios", &ratios));
    if (ratios) {
        out->n_ratios = 0;
        for (const cJSON *item = ratios->child; item; item = item->next) {
            char shown[MG_JSON_SHOWN];
            int64_t ratio;
            if (out->n_ratios == MG_MAX_RATIOS)
                return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: more than %d are not supported", name,
                               MG_MAX_RATIOS);
            if (!mg_json_exact_int(item, &ratio)) {
                mg_json_show(shown, item);
                return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: %s: must be an integer", name, shown);
            }
            out->ratio[out->n_ratios++] = ratio;
        }
    }
    if (out->n_ratios == 0) return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: is empty", name);
    return mg_config_codec_hop(out, name, "upsampling_ratios");
}

/* transformers: int(1000 * target_bandwidths[-1] // (frame_rate * 10)). */
static mg_status read_bandwidth(mg_codec_config *out, const cJSON *section, const char *name)
{
    const cJSON *bandwidths;
    double kbps = 24.0;

    MG_RETURN(mg_json_array(section, name, "target_bandwidths", &bandwidths));
    if (bandwidths) {
        const cJSON *last = bandwidths->child;
        while (last && last->next) last = last->next;
        char shown[MG_JSON_SHOWN];
        if (!cJSON_IsNumber(last) || !isfinite(last->valuedouble)) {
            mg_json_show(shown, last);
            return mg_fail(MG_ECHECKPOINT, "%s: target_bandwidths: %s: its last element must be a number",
                           name, shown);
        }
        kbps = last->valuedouble;
    }
    const double n = floor(1000.0 * kbps / (double)(out->frame_rate * 10));
    if (!(n >= 1 && n <= MG_MAX_CODEBOOKS))
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: target_bandwidths: %g kbit/s at %lld frames/s make %.0f codebooks, but 1 to %d are "
            "supported",
            name, kbps, (long long)out->frame_rate, n, MG_MAX_CODEBOOKS);
    out->n_codebooks = (int64_t)n;
    return MG_OK;
}

static mg_status refuse_true(const cJSON *section, const char *name, const char *key, bool value)
{
    MG_RETURN(mg_json_bool(section, name, key, &value, NULL));
    if (value) return mg_fail(MG_ECHECKPOINT, "%s: %s: true is not supported, only false is", name, key);
    return MG_OK;
}

static mg_status read_modes(mg_codec_config *out, const cJSON *section, const char *name)
{
    const char *pad_mode;
    double chunk_s = 0;
    bool chunked;

    MG_RETURN(mg_config_only(section, name, "model_type", "encodec"));
    MG_RETURN(mg_config_only(section, name, "norm_type", "weight_norm"));
    MG_RETURN(refuse_true(section, name, "use_causal_conv", true));
    MG_RETURN(refuse_true(section, name, "normalize", false));
    MG_RETURN(mg_json_double(section, name, "chunk_length_s", &chunk_s, &chunked));
    if (chunked)
        return mg_fail(MG_ECHECKPOINT, "%s: chunk_length_s: %g is not supported, only null is", name,
                       chunk_s);
    out->conv_shortcut = true;
    MG_RETURN(mg_json_bool(section, name, "use_conv_shortcut", &out->conv_shortcut, NULL));
    MG_RETURN(mg_json_string(section, name, "pad_mode", &pad_mode));
    if (pad_mode && strcmp(pad_mode, "reflect") != 0 && strcmp(pad_mode, "constant") != 0)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: pad_mode: \"%.64s\" is not supported, only \"reflect\" and \"constant\" are",
                       name, pad_mode);
    out->pad_reflect = !pad_mode || strcmp(pad_mode, "reflect") == 0;
    return MG_OK;
}

mg_status mg_config_read_codec(mg_codec_config *out, const cJSON *section, const char *name)
{
    *out = (mg_codec_config){.sampling_rate = 24000,
                             .n_channels = 1,
                             .n_filters = 32,
                             .hidden_size = 128,
                             .codebook_size = 1024,
                             .n_ratios = 4,
                             .ratio = {8, 5, 4, 2},
                             .n_residual_layers = 1,
                             .kernel_size = 7,
                             .last_kernel_size = 7,
                             .residual_kernel_size = 3,
                             .dilation_growth = 2,
                             .compress = 2,
                             .n_lstm_layers = 2};
    mg_config_field fields[MG_CODEC_FIELDS];
    const int n_fields = mg_config_codec_fields(fields, out, MG_CONFIG_JSON);

    MG_RETURN(read_modes(out, section, name));
    MG_RETURN(mg_config_fields(section, name, fields, n_fields));
    out->codebook_dim = out->hidden_size;
    MG_RETURN(mg_json_int(section, name, "codebook_dim", &out->codebook_dim, NULL));
    if (out->codebook_dim != out->hidden_size)
        return mg_fail(MG_ECHECKPOINT, "%s: codebook_dim: %lld must equal hidden_size %lld", name,
                       (long long)out->codebook_dim, (long long)out->hidden_size);
    MG_RETURN(mg_config_codec_check(out, name, MG_CONFIG_JSON));
    MG_RETURN(read_ratios(out, section, name));
    return read_bandwidth(out, section, name);
}
