#include "config_field.h"

#include <stddef.h>

enum { MAX_HOP = 1 << 16, MAX_DILATION = 1 << 12 };

typedef struct codec_field {
    const char *key[2]; /* by dialect; NULL: not a plain integer there */
    size_t offset;
    int64_t low, high;
} codec_field;

#define AT(field) offsetof(mg_codec_config, field)

static const codec_field codec_fields[] = {
    {{"sampling_rate", "encodec.sample_rate"}, AT(sampling_rate), 1000, 1000000},
    {{"audio_channels", NULL}, AT(n_channels), 1, 1},
    {{"num_filters", "seanet.n_filters"}, AT(n_filters), 1, 1024},
    {{"hidden_size", "seanet.dimension"}, AT(hidden_size), 1, 1 << 16},
    {{"codebook_size", "rvq.bins"}, AT(codebook_size), 1, 1 << 20},
    {{"num_residual_layers", "seanet.n_residual_layers"}, AT(n_residual_layers), 1, 16},
    {{"kernel_size", "seanet.kernel_size"}, AT(kernel_size), 1, 1023},
    {{"last_kernel_size", "seanet.last_kernel_size"}, AT(last_kernel_size), 1, 1023},
    {{"residual_kernel_size", "seanet.residual_kernel_size"}, AT(residual_kernel_size), 1, 1023},
    {{"dilation_growth_rate", "seanet.dilation_base"}, AT(dilation_growth), 1, 16},
    {{"compress", "seanet.compress"}, AT(compress), 1, 1024},
    {{"num_lstm_layers", "seanet.lstm"}, AT(n_lstm_layers), 1, 16},
    {{NULL, "rvq.n_q"}, AT(n_codebooks), 1, MG_MAX_CODEBOOKS},
};

mg_status mg_config_field_check(const mg_config_field *f, const char *name)
{
    if (*f->out >= f->low && *f->out <= f->high) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %lld is not possible: it must be %lld to %lld", name, f->key,
                   (long long)*f->out, (long long)f->low, (long long)f->high);
}

int mg_config_codec_fields(mg_config_field fields[MG_CODEC_FIELDS], mg_codec_config *c,
                           mg_config_dialect dialect)
{
    int n = 0;

    for (size_t i = 0; i < sizeof codec_fields / sizeof *codec_fields && n < MG_CODEC_FIELDS; i++) {
        const codec_field *f = &codec_fields[i];
        if (!f->key[dialect]) continue;
        fields[n++] = (mg_config_field){f->key[dialect], (int64_t *)((char *)c + f->offset), f->low, f->high};
    }
    return n;
}

mg_status mg_config_codec_check(const mg_codec_config *c, const char *name, mg_config_dialect dialect)
{
    const bool xp = dialect == MG_CONFIG_XP;
    int64_t dilation = 1;

    if (c->n_filters % c->compress != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %lld does not divide %s %lld", name,
                       xp ? "seanet.compress" : "compress", (long long)c->compress,
                       xp ? "n_filters" : "num_filters", (long long)c->n_filters);
    for (int64_t i = 1; i < c->n_residual_layers && dilation <= MAX_DILATION; i++)
        dilation *= c->dilation_growth;
    if (dilation > MAX_DILATION)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %lld over %lld layers dilates beyond %d", name,
                       xp ? "seanet.dilation_base" : "dilation_growth_rate", (long long)c->dilation_growth,
                       (long long)c->n_residual_layers, MAX_DILATION);
    return MG_OK;
}

mg_status mg_config_codec_hop(mg_codec_config *c, const char *name, const char *key)
{
    c->hop = 1;
    for (int64_t i = 0; i < c->n_ratios; i++) {
        if (c->ratio[i] < 1 || c->ratio[i] > MAX_HOP)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: %lld: must be integers of 1 to %d", name, key,
                           (long long)c->ratio[i], MAX_HOP);
        c->hop *= c->ratio[i];
        if (c->hop > MAX_HOP)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: their product is over %d", name, key, MAX_HOP);
    }
    c->frame_rate = (c->sampling_rate + c->hop - 1) / c->hop;
    return MG_OK;
}
