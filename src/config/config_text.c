/* Hugging Face's JSON; AudioCraft's YAML is config_text_xp.c. */
#include "config_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"

enum { CHROMA_HOP = 4096 }; /* samples from one frame of melody to the next */

static bool is_melody(const mg_config *c)
{
    return c->lm.n_chroma > 0;
}

static const char *torch_name(mg_dtype dtype)
{
    return dtype == MG_F16 ? "float16" : dtype == MG_BF16 ? "bfloat16" : "float32";
}

/* transformers has n = int(1000 * kbps // (frame_rate * 10)) codebooks, and reads as many of them as
 * kbps pays for at log2(codebook_size) bits each: both must be n_codebooks. */
double mg_config_text_bandwidth(const mg_codec_config *codec)
{
    const double bits = log2((double)codec->codebook_size);
    const double tenths =
        (double)(codec->n_codebooks * codec->frame_rate) * (bits > 10 ? bits : 10.0) / 100.0;
    double kbps = ceil(tenths - 1e-9) / 10;

    while (floor(1000 * kbps / (double)(codec->frame_rate * 10)) < (double)codec->n_codebooks) kbps += 0.1;
    if (floor(1000 * kbps / (double)(codec->frame_rate * 10)) > (double)codec->n_codebooks)
        kbps = (double)(codec->n_codebooks * codec->frame_rate * 10 + codec->frame_rate * 5) / 1000;
    return kbps;
}

static void write_t5(mg_json_text *t, const mg_t5_config *c)
{
    mg_json_text_object(t, "text_encoder");
    mg_json_text_string(t, "model_type", "t5");
    mg_json_text_int(t, "d_model", c->d_model);
    mg_json_text_int(t, "d_kv", c->d_kv);
    mg_json_text_int(t, "d_ff", c->d_ff);
    mg_json_text_int(t, "num_layers", c->n_layers);
    mg_json_text_int(t, "num_decoder_layers", c->n_layers);
    mg_json_text_int(t, "num_heads", c->n_heads);
    mg_json_text_int(t, "vocab_size", c->vocab_size);
    mg_json_text_int(t, "relative_attention_num_buckets", c->n_buckets);
    mg_json_text_int(t, "relative_attention_max_distance", c->max_distance);
    mg_json_text_number(t, "layer_norm_epsilon", c->eps);
    mg_json_text_string(t, "feed_forward_proj", c->gated ? "gated-gelu" : "relu");
    mg_json_text_string(t, "dense_act_fn", c->gelu ? "gelu_new" : "relu");
    mg_json_text_bool(t, "is_gated_act", c->gated);
    mg_json_text_bool(t, "is_encoder_decoder", true);
    mg_json_text_bool(t, "use_cache", false);
    mg_json_text_int(t, "pad_token_id", 0);
    mg_json_text_int(t, "eos_token_id", 1);
    mg_json_text_int(t, "decoder_start_token_id", 0);
    mg_json_text_close(t);
}

static void write_codec(mg_json_text *t, const mg_codec_config *c)
{
    mg_json_text_object(t, "audio_encoder");
    mg_json_text_string(t, "model_type", "encodec");
    mg_json_text_array(t, "target_bandwidths");
    mg_json_text_number(t, NULL, mg_config_text_bandwidth(c));
    mg_json_text_close(t);
    mg_json_text_int(t, "sampling_rate", c->sampling_rate);
    mg_json_text_int(t, "audio_channels", c->n_channels);
    mg_json_text_int(t, "num_filters", c->n_filters);
    mg_json_text_int(t, "hidden_size", c->hidden_size);
    mg_json_text_int(t, "codebook_size", c->codebook_size);
    mg_json_text_int(t, "codebook_dim", c->codebook_dim);
    mg_json_text_array(t, "upsampling_ratios");
    for (int64_t i = 0; i < c->n_ratios; i++) mg_json_text_int(t, NULL, c->ratio[i]);
    mg_json_text_close(t);
    mg_json_text_int(t, "num_residual_layers", c->n_residual_layers);
    mg_json_text_int(t, "kernel_size", c->kernel_size);
    mg_json_text_int(t, "last_kernel_size", c->last_kernel_size);
    mg_json_text_int(t, "residual_kernel_size", c->residual_kernel_size);
    mg_json_text_int(t, "dilation_growth_rate", c->dilation_growth);
    mg_json_text_int(t, "compress", c->compress);
    mg_json_text_int(t, "num_lstm_layers", c->n_lstm_layers);
    mg_json_text_string(t, "norm_type", "weight_norm");
    mg_json_text_string(t, "pad_mode", c->pad_reflect ? "reflect" : "constant");
    mg_json_text_number(t, "trim_right_ratio", 1.0);
    mg_json_text_bool(t, "use_causal_conv", false);
    mg_json_text_bool(t, "use_conv_shortcut", c->conv_shortcut);
    mg_json_text_bool(t, "normalize", false);
    mg_json_text_string(t, "chunk_length_s", NULL);
    mg_json_text_string(t, "overlap", NULL);
    mg_json_text_close(t);
}

static void write_decoder(mg_json_text *t, const mg_lm_config *c)
{
    mg_json_text_object(t, "decoder");
    mg_json_text_string(t, "model_type", c->n_chroma ? "musicgen_melody_decoder" : "musicgen_decoder");
    mg_json_text_int(t, "vocab_size", c->V);
    mg_json_text_int(t, "max_position_embeddings", c->max_positions);
    mg_json_text_int(t, "num_hidden_layers", c->L);
    mg_json_text_int(t, "ffn_dim", c->F);
    mg_json_text_int(t, "num_attention_heads", c->H);
    mg_json_text_int(t, "hidden_size", c->D);
    mg_json_text_int(t, "num_codebooks", c->K);
    mg_json_text_int(t, "audio_channels", c->n_channels);
    mg_json_text_string(t, "activation_function", "gelu");
    mg_json_text_bool(t, "scale_embedding", false);
    mg_json_text_bool(t, "use_cache", true);
    mg_json_text_int(t, "pad_token_id", c->V);
    mg_json_text_int(t, "bos_token_id", c->V);
    mg_json_text_string(t, "eos_token_id", NULL);
    mg_json_text_bool(t, "tie_word_embeddings", false);
    mg_json_text_close(t);
}

mg_status mg_config_text(char **out, const mg_config *c, mg_dtype dtype)
{
    mg_json_text t = {0};

    mg_json_text_object(&t, NULL);
    mg_json_text_array(&t, "architectures");
    mg_json_text_string(&t, NULL,
                        is_melody(c) ? "MusicgenMelodyForConditionalGeneration"
                                     : "MusicgenForConditionalGeneration");
    mg_json_text_close(&t);
    mg_json_text_string(&t, "model_type", is_melody(c) ? "musicgen_melody" : "musicgen");
    mg_json_text_bool(&t, "is_encoder_decoder", !is_melody(c));
    if (is_melody(c)) {
        mg_json_text_int(&t, "num_chroma", c->lm.n_chroma);
        mg_json_text_int(&t, "chroma_length", c->lm.chroma_length);
    }
    mg_json_text_string(&t, "torch_dtype", torch_name(dtype));
    write_t5(&t, &c->t5);
    write_codec(&t, &c->codec);
    write_decoder(&t, &c->lm);
    return mg_json_text_end(&t, out);
}

mg_status mg_config_text_generation(char **out, const mg_config *c, double window_s)
{
    const mg_generation_config *g = &c->generation;
    mg_json_text t = {0};

    mg_json_text_object(&t, NULL);
    mg_json_text_int(&t, "bos_token_id", c->lm.V);
    mg_json_text_int(&t, "decoder_start_token_id", c->lm.V);
    mg_json_text_int(&t, "pad_token_id", c->lm.V);
    mg_json_text_bool(&t, "do_sample", g->has_do_sample ? g->do_sample : true);
    mg_json_text_number(&t, "guidance_scale", g->has_guidance_scale ? g->guidance_scale : 3.0);
    const double frames = (window_s > 0 ? window_s : 30.0) * (double)c->codec.frame_rate;
    mg_json_text_int(&t, "max_length", g->has_max_length ? g->max_length : (int64_t)frames);
    if (g->has_top_k) mg_json_text_int(&t, "top_k", g->top_k);
    if (g->has_top_p) mg_json_text_number(&t, "top_p", g->top_p > 0 ? g->top_p : 1.0);
    if (g->has_temperature) mg_json_text_number(&t, "temperature", g->temperature);
    return mg_json_text_end(&t, out);
}

/* chunk_length, seconds, is where transformers cuts a melody: what chroma_length frames take. */
static void write_chroma_extractor(mg_json_text *t, const mg_config *c)
{
    const int64_t rate = c->codec.sampling_rate, n_samples = c->lm.chroma_length * CHROMA_HOP;
    const double window_s = round((double)n_samples / (double)rate * 2) / 2;

    mg_json_text_string(t, "processor_class", "MusicgenMelodyProcessor");
    mg_json_text_string(t, "feature_extractor_type", "MusicgenMelodyFeatureExtractor");
    mg_json_text_int(t, "feature_size", c->lm.n_chroma);
    mg_json_text_int(t, "num_chroma", c->lm.n_chroma);
    mg_json_text_int(t, "sampling_rate", rate);
    mg_json_text_int(t, "n_fft", 4 * CHROMA_HOP);
    mg_json_text_int(t, "hop_length", CHROMA_HOP);
    mg_json_text_number(t, "chunk_length", window_s);
    mg_json_text_number(t, "n_samples", window_s * (double)rate);
    mg_json_text_array(t, "stem_indices"); /* of htdemucs: vocals, other */
    mg_json_text_int(t, NULL, 3);
    mg_json_text_int(t, NULL, 2);
    mg_json_text_close(t);
    mg_json_text_string(t, "padding_side", "right");
    mg_json_text_number(t, "padding_value", 0.0);
    mg_json_text_bool(t, "return_attention_mask", false);
}

mg_status mg_config_text_preprocessor(char **out, const mg_config *c)
{
    mg_json_text t = {0};

    mg_json_text_object(&t, NULL);
    if (is_melody(c)) {
        write_chroma_extractor(&t, c);
        return mg_json_text_end(&t, out);
    }
    mg_json_text_string(&t, "processor_class", "MusicgenProcessor");
    mg_json_text_string(&t, "feature_extractor_type", "EncodecFeatureExtractor");
    mg_json_text_int(&t, "feature_size", c->lm.n_channels);
    mg_json_text_int(&t, "sampling_rate", c->codec.sampling_rate);
    mg_json_text_string(&t, "padding_side", "left");
    mg_json_text_number(&t, "padding_value", 0.0);
    mg_json_text_bool(&t, "return_attention_mask", true);
    mg_json_text_string(&t, "chunk_length_s", NULL);
    mg_json_text_string(&t, "overlap", NULL);
    return mg_json_text_end(&t, out);
}
