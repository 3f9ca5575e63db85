/* xp.cfg of the exports that AudioCraft itself wrote, as it is and with one setting changed. */
#include "io_fixture.h"

#include "torch_file.h"
#include "xp_config.h"

#define LM    "state_dict.bin"
#define CODEC "compression_state_dict.bin"

/* The text under xp.cfg of a golden checkpoint's file. */
static char *xp_of(const char *model, const char *file)
{
    char path[512];
    mg_torch_file *f;

    snprintf(path, sizeof path, "%s/checkpoints/%s/%s", MG_GOLDEN_DIR, model, file);
    expect_ok(mg_torch_file_open(&f, path));
    const mg_pickle_value *v = mg_pickle_get(mg_torch_file_root(f), "xp.cfg");
    assert_true(v && v->kind == MG_PICKLE_STRING);
    char *text = strdup(v->text.data);
    mg_torch_file_close(f);
    assert_non_null(text);
    return text;
}

static void the_language_model_is_read(void **state)
{
    char *yaml = xp_of("ac-mono", LM);
    mg_xp_lm xp;

    (void)state;
    assert_non_null(yaml);
    expect_ok(mg_xp_config_lm(&xp, "state_dict.bin", yaml));
    assert_true(xp.lm.D == 128 && xp.lm.L == 2 && xp.lm.H == 8 && xp.lm.F == 256);
    assert_true(xp.lm.V == 64 && xp.lm.K == 4 && xp.lm.n_channels == 1 && xp.lm.n_chroma == 0);
    assert_true(xp.lm.project_text && !xp.melody && xp.n_codebooks == 0 && xp.sampling_rate == 32000);
    assert_string_equal(xp.t5_name, "t5-base");
    assert_true(xp.segment_s == 30 && xp.guidance_scale == 3.0);
    assert_true(xp.generation.has_top_k && xp.generation.top_k == 250 && xp.generation.top_p == 0);
    assert_true(xp.generation.do_sample && xp.generation.temperature == 1.0);
    free(yaml);
}

static void the_codec_is_read(void **state)
{
    char *yaml = xp_of("ac-mono", CODEC);
    mg_codec_config c;

    (void)state;
    assert_non_null(yaml);
    expect_ok(mg_xp_config_codec(&c, "compression_state_dict.bin", yaml));
    assert_true(c.sampling_rate == 32000 && c.n_channels == 1 && c.n_filters == 4 && c.hidden_size == 32);
    assert_true(c.codebook_dim == 32 && c.codebook_size == 64 && c.n_codebooks == 4 && c.n_lstm_layers == 2);
    assert_true(c.n_ratios == 4 && c.ratio[0] == 8 && c.ratio[1] == 5 && c.ratio[2] == 4 && c.ratio[3] == 4);
    assert_true(c.hop == 640 && c.frame_rate == 50 && !c.pad_reflect && !c.conv_shortcut);
    assert_true(c.n_residual_layers == 1 && c.kernel_size == 7 && c.last_kernel_size == 7);
    assert_true(c.residual_kernel_size == 3 && c.dilation_growth == 2 && c.compress == 2);
    free(yaml);
}

static void other_models_are_read(void **state)
{
    char *stereo = xp_of("ac-stereo", LM);
    char *melody = xp_of("ac-melody", LM);
    char *style = xp_of("ac-style", LM);
    char *audiogen = xp_of("ac-audiogen", LM);
    char *codec = xp_of("ac-audiogen", CODEC);
    mg_codec_config c;
    mg_xp_lm xp;

    (void)state;
    expect_ok(mg_xp_config_lm(&xp, "ac-stereo", stereo));
    assert_true(xp.lm.n_channels == 2 && xp.lm.K == 8);
    expect_ok(mg_xp_config_lm(&xp, "ac-melody", melody));
    assert_true(xp.melody && xp.lm.n_chroma == 12);
    assert_false(xp.lm.is_style);
    expect_ok(mg_xp_config_lm(&xp, "ac-style", style));
    assert_true(xp.melody && xp.lm.is_style && xp.style.n_heads == 8 && xp.style.batch_norm);
    assert_true(xp.style.n_codebooks == 6 && xp.style.eval_codebooks == 3);
    assert_true(xp.style.ds_factor == 15 && xp.style.excerpt_s == 3);
    expect_ok(mg_xp_config_lm(&xp, "ac-audiogen", audiogen));
    assert_true(xp.sampling_rate == 16000 && xp.segment_s == 10);
    assert_string_equal(xp.t5_name, "t5-large");
    expect_ok(mg_xp_config_codec(&c, "ac-audiogen", codec));
    assert_true(c.sampling_rate == 16000 && c.hop == 320 && c.ratio[3] == 2 && c.frame_rate == 50);
    free(stereo), free(melody), free(style), free(audiogen), free(codec);
}

/* A line of the text in the section that `section` begins (NULL: anywhere) replaced; the caller frees it. */
static char *edited(const char *yaml, const char *section, const char *from, const char *to)
{
    const char *at = section ? strstr(yaml, section) : yaml;
    const size_t size = strlen(yaml) + strlen(to) + 1;
    char *out = malloc(size);

    at = at ? strstr(at, from) : NULL;
    if (!at || !out) fail_msg("no \"%s\" behind \"%s\"", from, section ? section : "");
    snprintf(out, size, "%.*s%s%s", (int)(at - yaml), yaml, to, at + strlen(from));
    return out;
}

typedef struct edit_case {
    const char *section, *from, *to;
    const char *message; /* NULL: it is accepted */
} edit_case;

static const edit_case lm_cases[] = {
    {NULL, "norm_first: true", "norm_first: false",
     "FILE: xp.cfg: transformer_lm.norm_first: false is not supported, only true is"},
    {NULL, "  norm_first: true\n", "", "transformer_lm.norm_first: missing is not supported"},
    {NULL, "bias_ff: false", "bias_ff: true", "transformer_lm.bias_ff: true"},
    {NULL, "bias_attn: false", "bias_attn: true", "transformer_lm.bias_attn: true"},
    {NULL, "bias_proj: false", "bias_proj: true", "transformer_lm.bias_proj: true"},
    {NULL, "positional_embedding: sin", "positional_embedding: rope",
     "transformer_lm.positional_embedding: \"rope\" is not supported, only sin is"},
    {NULL, "layer_scale: null", "layer_scale: 1e-4", "transformer_lm.layer_scale: 1e-4"},
    {NULL, "qk_layer_norm: false", "qk_layer_norm: true", "transformer_lm.qk_layer_norm: true"},
    {NULL, "qk_layer_norm_cross: false", "qk_layer_norm_cross: true", "transformer_lm.qk_layer_norm_cross"},
    {NULL, "kv_repeat: 1", "kv_repeat: 2", "transformer_lm.kv_repeat: 2"},
    {NULL, "past_context: null", "past_context: 100", "transformer_lm.past_context: 100"},
    {NULL, "norm: layer_norm", "norm: rms_norm", "transformer_lm.norm: \"rms_norm\""},
    {NULL, "xpos: false", "xpos: true", "transformer_lm.xpos: true"},
    {NULL, "activation: gelu", "activation: relu", "transformer_lm.activation: \"relu\""},
    {NULL, "causal: true", "causal: false", "transformer_lm.causal: false"},
    {NULL, "num_heads: 8", "num_heads: 7", "transformer_lm.num_heads: 7 does not divide dim 128"},
    {NULL, "num_heads: 8", "num_heads: 0", "transformer_lm.num_heads: 0 is not possible"},
    {NULL, "dim: 128", "dim: ???", "transformer_lm.dim: \"???\": must be an integer"},
    {NULL, "hidden_scale: 2", "hidden_scale: -1", "transformer_lm.hidden_scale: -1"},
    {NULL, "hidden_scale: 2", "hidden_scale: 2.5", NULL},
    {NULL, "modeling: delay", "modeling: parallel", "codebooks_pattern.modeling: \"parallel\""},
    {"codebooks_pattern:", "    - 3\n", "    - 4\n", "codebooks_pattern.delay.delays: only 0, 1, 2"},
    {"codebooks_pattern:", "    - 3\n", "", "codebooks_pattern.delay.delays: only 0, 1, 2"},
    {NULL, "flatten_first: 0", "flatten_first: 1", "codebooks_pattern.delay.flatten_first: 1"},
    {NULL, "interleave_stereo_codebooks:\n  use: false", "interleave_stereo_codebooks:\n  use: true",
     "codebooks_pattern.delay.delays: only 0, 0, 1, 1"},
    {NULL, "sum: []", "sum:\n  - description", "fuser.sum: a list is not supported, only an empty one is"},
    {NULL, "input_interpolate: []", "input_interpolate: [self_wav]", "fuser.input_interpolate: a list"},
    {NULL, "prepend: []", "prepend: [description]", "fuser.prepend: a list is not supported"},
    {NULL, "cross:\n  - description", "cross: []", "fuser.cross: an empty list is not supported"},
    {NULL, "cross_attention_pos_emb: false", "cross_attention_pos_emb: true",
     "fuser.cross_attention_pos_emb"},
    {NULL, "    model: t5\n", "    model: clap\n", "conditioners.description.model: \"clap\""},
    {NULL, "conditioners:\n", "conditioners:\n  style:\n    model: style\n",
     "conditioners.style: is not supported, only description and self_wav are"},
    {NULL, "conditioners:\n", "conditioners:\n  args:\n    merge_text_conditions_p: 0.25\n", NULL},
    {NULL, "finetune: false", "finetune: true", "conditioners.description.t5.finetune: true"},
    {NULL, "normalize_text: false", "normalize_text: true", "t5.normalize_text: true"},
    {NULL, "lm_model: transformer_lm", "lm_model: transformer_lm_magnet",
     "lm_model: \"transformer_lm_magnet\" is not supported, only transformer_lm is: this is MAGNeT; take"},
    {NULL, "lm_model: transformer_lm", "lm_model: flow_matching", "this is JASCO; take a MusicGen"},
    {NULL, "lm_model: transformer_lm", "compression_model: encodec", "describes a codec"},
    {NULL, "segment_duration: 30", "segment_duration: null", "dataset.segment_duration: null"},
    {NULL, "compression_model_n_q: null", "compression_model_n_q: 4", NULL},
    {NULL, "sample_rate: 32000", "sample_rate: ${cycle}\ncycle: ${sample_rate}", "goes in a circle"},
    {NULL, "lm_model: transformer_lm", "lm_model: ${oc.env:LM}", "is a resolver"},
};

static const edit_case style_cases[] = {
    {NULL, "model_name: mert", "model_name: encodec",
     "style.model_name: \"encodec\" is not supported, only mert is"},
    {NULL, "transformer_scale: default", "transformer_scale: none", "only xsmall, default or large is"},
    {NULL, "transformer_scale: default", "transformer_scale: large", NULL},
    {NULL, "eval_q: 3", "eval_q: 7", "style.eval_q: 7 is not supported, only at most n_q_out is"},
    {NULL, "ds_factor: 15", "ds_factor: 0", "conditioners.self_wav.style.ds_factor"},
    {"transformer_scale", "length: 3.0", "length: 60",
     "style.length: 60 is not supported, only 0.5 to 10 seconds"},
    {NULL, "model: style", "model: clap",
     "self_wav.model: \"clap\" is not supported, only chroma_stem or style is"},
    {NULL, "  - self_wav\n", "", "fuser.prepend"},
};

static const edit_case codec_cases[] = {
    {NULL, "quantizer: rvq", "quantizer: no_quant", "FILE: xp.cfg: encodec.quantizer: \"no_quant\""},
    {NULL, "autoencoder: seanet", "autoencoder: dac", "encodec.autoencoder: \"dac\""},
    {"\nencodec:", "causal: false", "causal: true", "encodec.causal: true is not supported, only false is"},
    {NULL, "causal: ${encodec.causal}", "causal: true", "seanet.causal: true"},
    {NULL, "renormalize: false", "renormalize: true", "encodec.renormalize: true"},
    {"\nseanet:", "norm: weight_norm", "norm: time_group_norm", "seanet.norm: \"time_group_norm\""},
    {NULL, "true_skip: true", "true_skip: false", "seanet.true_skip: false"},
    {NULL, "final_activation: null", "final_activation: Tanh", "seanet.decoder.final_activation: \"Tanh\""},
    {NULL, "trim_right_ratio: 1.0", "n_residual_layers: 2",
     "seanet.decoder.n_residual_layers: a decoder that"},
    {"\nseanet:", "encoder: {}", "encoder: {lstm: 1}", "seanet.encoder: a mapping"},
    {NULL, "lstm: 2", "lstm: 0", "seanet.lstm: 0 is not possible: it must be 1 to 16"},
    {NULL, "activation: ELU", "activation: Snake", "seanet.activation: \"Snake\""},
    {NULL, "alpha: 1.0", "alpha: 0.5", "seanet.activation_params.alpha: 0.5"},
    {NULL, "disable_norm_outer_blocks: 0", "disable_norm_outer_blocks: 1",
     "seanet.disable_norm_outer_blocks"},
    {NULL, "pad_mode: constant", "pad_mode: replicate", "seanet.pad_mode: \"replicate\""},
    {NULL, "pad_mode: constant", "pad_mode: reflect", NULL},
    {NULL, "channels: 1", "channels: 2", "encodec.channels: 2"},
    {"\nseanet:", "  - 8\n", "  - 0\n", "seanet.ratios: 0: must be integers"},
    {"\nseanet:", "  - 8\n", "  - 8192\n", "seanet.ratios: their product"},
    {NULL, "compress: 2", "compress: 3", "seanet.compress: 3 does not divide"},
    {NULL, "compression_model: encodec", "lm_model: transformer_lm", "describes a language model"},
    {NULL, "compression_model: encodec", "compression_model: dac", "compression_model: \"dac\""},
};

static void check_case(const char *yaml, const edit_case *c, bool is_codec)
{
    char *text = edited(yaml, c->section, c->from, c->to);
    mg_codec_config codec;
    mg_xp_lm lm;
    const mg_status st =
        is_codec ? mg_xp_config_codec(&codec, "FILE", text) : mg_xp_config_lm(&lm, "FILE", text);

    if (c->message)
        expect_failure(st, MG_ECHECKPOINT, c->message);
    else
        expect_ok(st);
    free(text);
}

static void other_settings_are_refused_by_name(void **state)
{
    char *lm = xp_of("ac-mono", LM), *codec = xp_of("ac-mono", CODEC), *style = xp_of("ac-style", LM);

    (void)state;
    assert_true(lm && codec && style);
    for (size_t i = 0; i < sizeof style_cases / sizeof *style_cases; i++)
        check_case(style, &style_cases[i], false);
    for (size_t i = 0; i < sizeof lm_cases / sizeof *lm_cases; i++) check_case(lm, &lm_cases[i], false);
    for (size_t i = 0; i < sizeof codec_cases / sizeof *codec_cases; i++)
        check_case(codec, &codec_cases[i], true);
    free(lm);
    free(codec);
    free(style);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_model_is_read),
        cmocka_unit_test(the_codec_is_read),
        cmocka_unit_test(other_models_are_read),
        cmocka_unit_test(other_settings_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
