/* What a checkpoint's config.json and generation_config.json say, with Hugging Face's class defaults filled
 * in. Field names follow the JSON keys; docs/MODEL.md explains them. */
#ifndef MG_CONFIG_H
#define MG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

enum { MG_MAX_RATIOS = 8, MG_MAX_CODEBOOKS = 16 };

typedef struct mg_t5_config {
    int64_t d_model, d_kv, d_ff, n_layers, n_heads, vocab_size;
    int64_t n_buckets, max_distance; /* relative attention */
    bool gated;                      /* feed_forward_proj "gated-gelu": act(wi_0 x) * (wi_1 x) */
    bool gelu;                       /* gelu_new instead of relu */
    double eps;
} mg_t5_config;

/* MERT: what a style encoder hears an excerpt with (transformers' HubertModel, norms after each half of a
 * layer). */
enum { MG_MAX_MERT_CONVS = 8, MG_MAX_MERT_TAPS = 64 };
typedef struct mg_mert_config {
    int64_t sampling_rate;
    int64_t n_convs, conv_dim[MG_MAX_MERT_CONVS], conv_kernel[MG_MAX_MERT_CONVS],
        conv_stride[MG_MAX_MERT_CONVS];
    int64_t D, n_layers, n_heads, F;
    int64_t n_pos_taps, n_pos_groups; /* of the convolution that knows where a row stands */
    double eps;                       /* of the layer norms */
} mg_mert_config;

/* MusicGen-Style's encoder of an excerpt, of so many seconds (recipe_keys.h); it was trained with 1.5 to 4.5.
 */
#define MG_STYLE_LEAST_S 0.5
#define MG_STYLE_MOST_S  10.0
typedef struct mg_style_config {
    mg_mert_config mert;
    int64_t D, n_layers, n_heads, F;
    int64_t n_codebooks, codebook_size; /* of the quantiser */
    int64_t eval_codebooks;             /* as many of them as are used unless something else is asked for */
    int64_t ds_factor;                  /* every so many rows one is kept */
    double excerpt_s;
    bool batch_norm;
} mg_style_config;

typedef struct mg_lm_config {
    int64_t D, L, H, F;    /* hidden_size, num_hidden_layers, num_attention_heads, ffn_dim */
    int64_t V, K;          /* vocab_size, num_codebooks; the PAD and start token is V */
    int64_t n_channels;    /* audio_channels: 1, or 2 with K interleaved left/right */
    int64_t max_positions; /* max_position_embeddings */
    int64_t d_text;        /* width of the text states */
    bool project_text;     /* enc_to_dec_proj exists: d_text != D, and always in AudioCraft's */
    int64_t n_chroma;      /* melody models: num_chroma, chroma and text stand before the codes;
                              0: text by cross-attention */
    int64_t chroma_length; /* melody models: frames of chroma that stand there; 0 otherwise */
    bool is_style;         /* MusicGen-Style: rows of style, n_chroma wide, at most chroma_length, stand
                              where chroma does */
} mg_lm_config;

typedef struct mg_codec_config {
    int64_t sampling_rate, n_channels, n_filters, hidden_size, codebook_size, codebook_dim;
    int64_t n_ratios, ratio[MG_MAX_RATIOS]; /* upsampling_ratios, decoder order: 8 5 4 4 */
    int64_t n_residual_layers, kernel_size, last_kernel_size, residual_kernel_size;
    int64_t dilation_growth, compress, n_lstm_layers, n_codebooks;
    bool pad_reflect;        /* pad_mode: reflect, else constant */
    bool conv_shortcut;      /* use_conv_shortcut */
    int64_t hop, frame_rate; /* derived: product of ratios; ceil(sampling_rate / hop) */
} mg_codec_config;

/* generation_config.json: what it does not say is AudioCraft's default, and `has_…` is false. */
typedef struct mg_generation_config {
    bool has_guidance_scale, has_top_k, has_top_p, has_temperature, has_do_sample, has_max_length, has_min_p;
    double guidance_scale, top_p, temperature, min_p;
    int64_t top_k, max_length;
    bool do_sample;
} mg_generation_config;

typedef struct mg_config {
    char model_type[32]; /* "musicgen", "musicgen_melody" */
    mg_t5_config t5;
    mg_lm_config lm;
    mg_codec_config codec;
    mg_style_config style; /* if lm.is_style */
    mg_generation_config generation;
} mg_config;

/* Read DIR/config.json and, if it is there, DIR/generation_config.json. Impossible sizes, an unknown
 * model_type or a setting that is not supported are MG_ECHECKPOINT, naming file, key and value. */
mg_status mg_config_load(mg_config *out, const char *dir);

/* "musicgen", "t5", "encodec" …: what DIR/config.json says it is; "" if it does not say. */
mg_status mg_config_read_type(char type[32], const char *dir);

/* The parts kept apart: a stand-alone T5 or EnCodec folder has its config at top level. */
mg_status mg_config_load_t5(mg_t5_config *out, const char *dir);
mg_status mg_config_load_codec(mg_codec_config *out, const char *dir);

/* MERT's folder. What it does otherwise than MERT-v1 is MG_ECHECKPOINT, by key and value. */
mg_status mg_config_load_mert(mg_mert_config *out, const char *dir);

/* The published T5 of these sizes: "t5-base", "google/flan-t5-base"; NULL: none that is known. */
const char *mg_config_public_t5(const mg_t5_config *c);

/* MG_ECHECKPOINT if `c`, of the text encoder at `path`, is a published T5 and `trained_with` names another
 * one: of the same width it would load, and the model would hear noise. */
mg_status mg_config_check_t5(const mg_t5_config *c, const char *path, const char *trained_with);

/* The two files as text, for the loader and the fuzzer. `name` is for messages. */
mg_status mg_config_parse(mg_config *out, const char *name, const char *text, int64_t text_bytes);
mg_status mg_config_parse_generation(mg_generation_config *out, const char *name, const char *text,
                                     int64_t text_bytes);
mg_status mg_config_parse_mert(mg_mert_config *out, const char *name, const char *text, int64_t text_bytes);

#endif
