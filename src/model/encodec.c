/* EnCodec: what both halves share. Opening surveys or loads the halves that are asked for; of the others the
 * survey only looks whether their tensors are there. */
#include "encodec.h"

#include <stdlib.h>

#include "encodec_impl.h"

static void check_config(const mg_codec_config *c, mg_weights *w)
{
    if (c->n_channels != 1)
        mg_weights_problem(w, "audio_channels: %lld: only mono codecs are supported",
                           (long long)c->n_channels);
    if (c->codebook_dim != c->hidden_size)
        mg_weights_problem(w, "codebook_dim: %lld: must equal hidden_size, %lld", (long long)c->codebook_dim,
                           (long long)c->hidden_size);
    if (c->conv_shortcut)
        mg_weights_problem(w, "use_conv_shortcut: true: residual units with a convolution on the shortcut "
                              "are not supported");
}

static mg_status load_tables(mg_encodec *codec, mg_weights *w)
{
    const mg_codec_config *c = &codec->config;
    const int64_t dim[2] = {c->codebook_size, c->codebook_dim};

    return mg_weights_tensor(w, &codec->tables, "quantizer.layers.%d.codebook.embed", (int)c->n_codebooks, 2,
                             dim);
}

typedef mg_status load_fn(mg_encodec *codec, mg_weights *w);

/* `load`, or, of what is not wanted, only its survey: over an arena that is thrown away. */
static mg_status load_or_expect(mg_encodec *codec, mg_weights *w, load_fn *load, bool is_wanted)
{
    mg_arena *const arena = w->arena, aside = mg_arena_measure("not kept");
    const int64_t n_read_bytes = w->n_read_bytes;
    mg_arena unused = aside;

    if (is_wanted) return load(codec, w);
    if (!mg_arena_is_measuring(arena)) return MG_OK;
    w->arena = &unused;
    const mg_status st = load(codec, w);
    w->arena = arena;
    w->n_read_bytes = n_read_bytes;
    return st;
}

static mg_status open_half(mg_encodec_half *half, const mg_codec_config *config, bool is_there)
{
    half->is_there = is_there;
    half->n_layers = config->n_ratios * (1 + config->n_residual_layers) + 2;
    half->layers = calloc((size_t)half->n_layers, sizeof *half->layers);
    half->lstm = calloc((size_t)config->n_lstm_layers + 1, sizeof *half->lstm);
    if (!half->layers || !half->lstm)
        return mg_fail(MG_ENOMEM, "encodec: no memory for %lld layers", (long long)half->n_layers);
    return MG_OK;
}

mg_status mg_encodec_load(mg_encodec **out, const mg_codec_config *config, int halves, mg_weights *w)
{
    mg_status st = MG_OK;
    mg_encodec *codec = *out;

    if (!codec) {
        codec = *out = calloc(1, sizeof *codec);
        if (!codec) return mg_fail(MG_ENOMEM, "encodec: %zu bytes", sizeof *codec);
        codec->config = *config;
        codec->ops = w->ops;
        codec->C = config->n_filters << config->n_ratios;
        codec->stretch = w->ops->hints.n_stretch_rows;
        codec->block = w->ops->hints.n_lstm_rows;
        codec->codebook = calloc((size_t)config->n_codebooks, sizeof *codec->codebook);
        if (!codec->codebook) MG_TRY(mg_fail(MG_ENOMEM, "encodec: no memory for its codebooks"));
        MG_TRY(open_half(&codec->decoder, config, halves & MG_ENCODEC_DECODER));
        MG_TRY(open_half(&codec->encoder, config, halves & MG_ENCODEC_ENCODER));
    }
    if (mg_arena_is_measuring(w->arena)) check_config(config, w);
    MG_TRY(load_or_expect(codec, w, load_tables, halves));
    MG_TRY(load_or_expect(codec, w, mg_encodec_load_decoder, codec->decoder.is_there));
    MG_TRY(load_or_expect(codec, w, mg_encodec_load_encoder, codec->encoder.is_there));
done:
    if (st != MG_OK) {
        mg_encodec_close(codec);
        *out = NULL;
    }
    return st;
}

void mg_encodec_close(mg_encodec *codec)
{
    if (!codec) return;
    free(codec->decoder.layers);
    free(codec->decoder.lstm);
    free(codec->encoder.layers);
    free(codec->encoder.lstm);
    free(codec->codebook);
    free(codec->stretch_host);
    free(codec->clip);
    free(codec);
}

int64_t mg_encodec_at_once(const mg_encodec *codec)
{
    return codec->n_at_once;
}

void mg_encodec_heed_stop(mg_encodec *codec)
{
    codec->heeds_stop = true;
}

int64_t mg_encodec_frames(const mg_codec_config *config, int64_t N)
{
    return (N + config->hop - 1) / config->hop;
}
