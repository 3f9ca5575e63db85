/* The EnCodec section of a config.json. Defaults are those of transformers' EncodecConfig (the 24 kHz codec),
 * which hold for every key that a file leaves out. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "config_impl.h"
#include "json.h"

enum { MAX_HOP = 1 << 16, MAX_DILATION = 1 << 12 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static mg_status read_ratios(mg_codec_config *out, const cJSON *section, const char *name)
{
    const cJSON *ratios;

    MG_RETURN(mg_json_array(section, name, "upsampling_ratios", &ratios));
    if (ratios) {
        out->n_ratios = 0;
        for (const cJSON *item = ratios->child; item; item = item->next) {
            int64_t ratio;
            if (out->n_ratios == MG_MAX_RATIOS)
                return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: more than %d are not supported", name,
                               MG_MAX_RATIOS);
            if (!mg_json_exact_int(item, &ratio) || ratio < 1 || ratio > MAX_HOP)
                return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: must be integers of 1 to %d", name,
                               MAX_HOP);
            out->ratio[out->n_ratios++] = ratio;
        }
    }
    if (out->n_ratios == 0) return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: is empty", name);
    out->hop = 1;
    for (int64_t i = 0; i < out->n_ratios; i++) {
        out->hop *= out->ratio[i];
        if (out->hop > MAX_HOP)
            return mg_fail(MG_ECHECKPOINT, "%s: upsampling_ratios: their product is over %d", name, MAX_HOP);
    }
    out->frame_rate = (out->sampling_rate + out->hop - 1) / out->hop;
    return MG_OK;
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
        if (!cJSON_IsNumber(last) || !isfinite(last->valuedouble))
            return mg_fail(MG_ECHECKPOINT, "%s: target_bandwidths: its last element must be a number", name);
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
    const mg_config_field fields[] = {
        {"sampling_rate", &out->sampling_rate, 1000, 1000000},
        {"audio_channels", &out->n_channels, 1, 1},
        {"num_filters", &out->n_filters, 1, 1024},
        {"hidden_size", &out->hidden_size, 1, 1 << 16},
        {"codebook_size", &out->codebook_size, 1, 1 << 20},
        {"num_residual_layers", &out->n_residual_layers, 1, 16},
        {"kernel_size", &out->kernel_size, 1, 1023},
        {"last_kernel_size", &out->last_kernel_size, 1, 1023},
        {"residual_kernel_size", &out->residual_kernel_size, 1, 1023},
        {"dilation_growth_rate", &out->dilation_growth, 1, 16},
        {"compress", &out->compress, 1, 1024},
        {"num_lstm_layers", &out->n_lstm_layers, 1, 16},
    };
    MG_RETURN(read_modes(out, section, name));
    MG_RETURN(mg_config_fields(section, name, fields, COUNT(fields)));
    out->codebook_dim = out->hidden_size;
    MG_RETURN(mg_json_int(section, name, "codebook_dim", &out->codebook_dim, NULL));
    if (out->codebook_dim != out->hidden_size)
        return mg_fail(MG_ECHECKPOINT, "%s: codebook_dim: %lld must equal hidden_size %lld", name,
                       (long long)out->codebook_dim, (long long)out->hidden_size);
    if (out->n_filters % out->compress != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: compress: %lld does not divide num_filters %lld", name,
                       (long long)out->compress, (long long)out->n_filters);
    const double dilation = pow((double)out->dilation_growth, (double)(out->n_residual_layers - 1));
    if (dilation > MAX_DILATION)
        return mg_fail(MG_ECHECKPOINT, "%s: dilation_growth_rate: %lld over %lld layers dilates beyond %d",
                       name, (long long)out->dilation_growth, (long long)out->n_residual_layers,
                       MAX_DILATION);
    MG_RETURN(read_ratios(out, section, name));
    return read_bandwidth(out, section, name);
}
