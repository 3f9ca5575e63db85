/* AudioCraft's xp.cfg: what its builders.get_lm_model and get_compression_model read (version 1.4), and
 * nothing of the training that a converter cannot know. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_text.h"
#include "text.h"

enum { CHROMA_HOP = 4096 /* radix2_exp 14 */ };

/* A string as YAML, between single quotes: a quote doubles. */
static void put_string(mg_text *w, const char *text)
{
    mg_text_format(w, "'");
    for (const char *p = text; *p; p++) mg_text_format(w, *p == '\'' ? "''" : "%c", *p);
    mg_text_format(w, "'\n");
}

static const char *word(bool value)
{
    return value ? "true" : "false";
}

static void put_transformer(mg_text *w, const mg_lm_config *c)
{
    mg_text_format(
        w, "lm_model: transformer_lm\ntransformer_lm:\n  dim: %lld\n  num_heads: %lld\n  num_layers: %lld\n",
        (long long)c->D, (long long)c->H, (long long)c->L);
    if (c->F % c->D == 0)
        mg_text_format(w, "  hidden_scale: %lld\n", (long long)(c->F / c->D));
    else
        mg_text_format(w, "  hidden_scale: %.17g\n", (double)c->F / (double)c->D);
    mg_text_format(w, "  n_q: %lld\n  card: %lld\n", (long long)c->K, (long long)c->V);
    mg_text_format(
        w,
        "  dropout: 0.0\n  emb_lr: null\n  activation: gelu\n  norm_first: true\n  bias_ff: false\n"
        "  bias_attn: false\n  bias_proj: false\n  past_context: null\n  causal: true\n  custom: false\n"
        "  memory_efficient: true\n  attention_as_float32: false\n  layer_scale: null\n"
        "  positional_embedding: sin\n  xpos: false\n  checkpointing: none\n  weight_init: gaussian\n"
        "  depthwise_init: current\n  zero_bias_init: true\n  norm: layer_norm\n  cross_attention: %s\n"
        "  qk_layer_norm: false\n  qk_layer_norm_cross: false\n  attention_dropout: null\n  kv_repeat: 1\n"
        "  two_step_cfg: false\n",
        word(!c->n_chroma));
}

/* Codebook k is delayed by k steps; of a stereo pair both by the same. */
static void put_pattern(mg_text *w, const mg_lm_config *c)
{
    mg_text_format(w, "codebooks_pattern:\n  modeling: delay\n  delay:\n    delays:\n");
    for (int64_t k = 0; k < c->K; k++) mg_text_format(w, "    - %lld\n", (long long)(k / c->n_channels));
    mg_text_format(w, "    flatten_first: 0\n    empty_initial: 0\n");
}

static void put_conditioning(mg_text *w, const mg_config *c, const char *t5_name)
{
    const bool melody = c->lm.n_chroma > 0;

    mg_text_format(w, "attribute_dropout: {}\nfuser:\n  cross_attention_pos_emb: false\n"
                      "  cross_attention_pos_emb_scale: 1\n  sum: []\n");
    mg_text_format(w, melody ? "  prepend:\n  - self_wav\n  - description\n  cross: []\n"
                             : "  prepend: []\n  cross:\n  - description\n");
    mg_text_format(w, "  input_interpolate: []\nconditioners:\n");
    if (melody)
        mg_text_format(
            w,
            "  self_wav:\n    model: chroma_stem\n    chroma_stem:\n      sample_rate: ${sample_rate}\n"
            "      n_chroma: %lld\n      radix2_exp: 14\n      argmax: true\n      match_len_on_eval: false\n"
            "      eval_wavs: null\n      n_eval_wavs: 100\n      cache_path: null\n",
            (long long)c->lm.n_chroma);
    mg_text_format(w, "  description:\n    model: t5\n    t5:\n      name: ");
    put_string(w, t5_name);
    mg_text_format(w, "      finetune: false\n      word_dropout: 0.3\n      normalize_text: false\n");
    mg_text_format(w, "classifier_free_guidance:\n  training_dropout: 0.3\n  inference_coef: %.17g\n",
                   c->generation.has_guidance_scale ? c->generation.guidance_scale : 3.0);
}

/* Frames of melody that AudioCraft makes of a window. */
static int64_t chroma_frames(double window_s, int64_t sampling_rate)
{
    return 1 + (int64_t)(window_s * (double)sampling_rate) / CHROMA_HOP;
}

/* What the source says; for a melody model the nearest that gives its chroma_length. */
static double choose_window(const mg_config *c, double window_s)
{
    const mg_generation_config *g = &c->generation;
    const int64_t rate = c->codec.sampling_rate, n = c->lm.chroma_length;

    if (!(window_s > 0))
        window_s = g->has_max_length ? (double)g->max_length / (double)c->codec.frame_rate : 30;
    if (!c->lm.n_chroma || chroma_frames(window_s, rate) == n) return window_s;
    if (chroma_frames(30, rate) == n) return 30;
    const double tenths = ceil((double)((n - 1) * CHROMA_HOP) / (double)rate * 10) / 10;
    if (tenths > 0 && chroma_frames(tenths, rate) == n) return tenths;
    return ((double)n - 0.5) * CHROMA_HOP / (double)rate;
}

mg_status mg_config_text_xp_lm(char **out, const mg_config *c, const char *t5_name, double window_s)
{
    const mg_generation_config *g = &c->generation;
    const double scale = (double)c->lm.F / (double)c->lm.D;
    mg_text w = {0};

    *out = NULL;
    if ((int64_t)(scale * (double)c->lm.D) != c->lm.F)
        return mg_fail(MG_ECHECKPOINT,
                       "xp.cfg: a feed-forward width of %lld is no multiple of the width %lld, which "
                       "AudioCraft's hidden_scale needs",
                       (long long)c->lm.F, (long long)c->lm.D);
    mg_text_format(&w, "device: cpu\ndtype: float32\nsolver: musicgen\nsample_rate: %lld\nchannels: %lld\n",
                   (long long)c->codec.sampling_rate, (long long)c->lm.n_channels);
    mg_text_format(
        &w,
        "compression_model_checkpoint: //pretrained/facebook/encodec_32khz\ncompression_model_n_q: null\n");
    mg_text_format(&w, "interleave_stereo_codebooks:\n  use: %s\n  per_timestep: false\n",
                   word(c->lm.n_channels == 2));
    mg_text_format(&w, "tokens:\n  padding_with_special_token: false\n");
    mg_text_format(&w, "dataset:\n  segment_duration: %.17g\n", choose_window(c, window_s));
    mg_text_format(
        &w, "generate:\n  lm:\n    use_sampling: %s\n    temp: %.17g\n    top_k: %lld\n    top_p: %.17g\n",
        word(!g->has_do_sample || g->do_sample), g->has_temperature ? g->temperature : 1.0,
        g->has_top_k ? (long long)g->top_k : 250LL, g->has_top_p ? g->top_p : 0.0);
    put_conditioning(&w, c, t5_name);
    put_pattern(&w, &c->lm);
    put_transformer(&w, &c->lm);
    return mg_text_end(&w, out, "xp.cfg");
}

mg_status mg_config_text_xp_codec(char **out, const mg_config *config)
{
    const mg_codec_config *c = &config->codec;
    const long long rate = c->sampling_rate, channels = c->n_channels;
    mg_text w = {0};

    *out = NULL;
    mg_text_format(&w,
                   "device: cpu\ndtype: float32\nsolver: compression\nsample_rate: %lld\nchannels: %lld\n",
                   rate, channels);
    mg_text_format(&w,
                   "compression_model: encodec\nencodec:\n  autoencoder: seanet\n  quantizer: rvq\n"
                   "  sample_rate: %lld\n  channels: %lld\n  causal: false\n  renormalize: false\n",
                   rate, channels);
    mg_text_format(&w,
                   "seanet:\n  dimension: %lld\n  channels: %lld\n  causal: false\n  n_filters: %lld\n"
                   "  n_residual_layers: %lld\n  ratios:\n",
                   (long long)c->hidden_size, channels, (long long)c->n_filters,
                   (long long)c->n_residual_layers);
    for (int64_t i = 0; i < c->n_ratios; i++) mg_text_format(&w, "  - %lld\n", (long long)c->ratio[i]);
    mg_text_format(
        &w,
        "  activation: ELU\n  activation_params:\n    alpha: 1.0\n  norm: weight_norm\n  norm_params: {}\n"
        "  kernel_size: %lld\n  residual_kernel_size: %lld\n  last_kernel_size: %lld\n  dilation_base: "
        "%lld\n",
        (long long)c->kernel_size, (long long)c->residual_kernel_size, (long long)c->last_kernel_size,
        (long long)c->dilation_growth);
    mg_text_format(
        &w,
        "  pad_mode: %s\n  true_skip: %s\n  compress: %lld\n  lstm: %lld\n  disable_norm_outer_blocks: 0\n"
        "  decoder:\n    trim_right_ratio: 1.0\n    final_activation: null\n    final_activation_params: "
        "null\n"
        "  encoder: {}\n",
        c->pad_reflect ? "reflect" : "constant", word(!c->conv_shortcut), (long long)c->compress,
        (long long)c->n_lstm_layers);
    mg_text_format(&w,
                   "rvq:\n  n_q: %lld\n  q_dropout: false\n  bins: %lld\n  decay: 0.99\n  kmeans_init: true\n"
                   "  kmeans_iters: 50\n  threshold_ema_dead_code: 2\n  orthogonal_reg_weight: 0.0\n"
                   "  orthogonal_reg_active_codes_only: false\nno_quant: {}\n",
                   (long long)c->n_codebooks, (long long)c->codebook_size);
    return mg_text_end(&w, out, "xp.cfg");
}
