/* Configurations: the golden ones as they are, and with one thing changed. */
#include "io_fixture.h"

#include "config.h"

#define TINY_MONO MG_GOLDEN_DIR "/checkpoints/tiny-mono"

/* config.json of tiny-mono with `key` of `section` (NULL: top level) set to `value`, or taken away. Good
 * until the next call. */
static const char *edited(const char *section, const char *key, const char *value)
{
    static char text[20000], out[20400];
    char pattern[128];
    const char *at = text;
    FILE *f = fopen(TINY_MONO "/config.json", "rb");

    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    if (section) {
        snprintf(pattern, sizeof pattern, "\"%s\": {", section);
        at = strstr(at, pattern);
        assert_non_null(at);
    }
    snprintf(pattern, sizeof pattern, section ? "\n    \"%s\": " : "\n  \"%s\": ", key);
    at = strstr(at, pattern);
    assert_non_null(at);
    const char *old = at + strlen(pattern), *end = old + strcspn(old, ",\n");
    if (*old == '[') end = strchr(old, ']') + 1;
    if (*old == '{') end = strstr(old, "\n  }") + 4;
    if (value) {
        snprintf(out, sizeof out, "%.*s%s%s", (int)(old - text), text, value, end);
    } else { /* with its comma, this one's or the one before */
        const int keep = (int)(at - text) - (*end != ',');
        snprintf(out, sizeof out, "%.*s%s", keep, text, *end == ',' ? end + 1 : end);
    }
    return out;
}

static mg_status parse_edited(mg_config *c, const char *section, const char *key, const char *value)
{
    const char *text = edited(section, key, value);

    return mg_config_parse(c, "config.json", text, (int64_t)strlen(text));
}

static void golden_models_load(void **state)
{
    mg_config c;

    (void)state;
    expect_ok(mg_config_load(&c, TINY_MONO));
    assert_string_equal(c.model_type, "musicgen");
    assert_true(c.lm.D == 128 && c.lm.L == 2 && c.lm.H == 8 && c.lm.F == 256 && c.lm.V == 64 && c.lm.K == 4);
    assert_true(c.lm.n_channels == 1 && c.lm.max_positions == 600 && c.lm.d_text == 64 && c.lm.project_text);
    assert_true(c.t5.d_model == 64 && c.t5.d_kv == 16 && c.t5.d_ff == 128 && c.t5.n_layers == 2);
    assert_true(c.t5.n_heads == 4 && c.t5.n_buckets == 32 && c.t5.max_distance == 128 && c.t5.eps == 1e-6);
    assert_true(!c.t5.gated && !c.t5.gelu);
    assert_true(c.codec.sampling_rate == 32000 && c.codec.n_filters == 4 && c.codec.hidden_size == 32);
    assert_true(c.codec.codebook_size == 64 && c.codec.codebook_dim == 32 && c.codec.n_lstm_layers == 2);
    assert_true(c.codec.n_ratios == 4 && c.codec.ratio[0] == 8 && c.codec.ratio[1] == 5 &&
                c.codec.ratio[3] == 4);
    assert_true(c.codec.hop == 640 && c.codec.frame_rate == 50 && c.codec.n_codebooks == 4);
    assert_true(c.codec.pad_reflect && !c.codec.conv_shortcut && c.codec.n_channels == 1);
    assert_true(c.generation.has_guidance_scale && c.generation.guidance_scale == 3.0);
    assert_true(!c.generation.has_top_k && c.generation.top_k == 250 && c.generation.temperature == 1.0);

    expect_ok(mg_config_load(&c, MG_GOLDEN_DIR "/checkpoints/tiny-variant"));
    assert_true(!c.lm.project_text && c.lm.d_text == c.lm.D && c.lm.D / c.lm.H == 64);
    assert_true(c.t5.gated && c.t5.gelu && c.t5.n_layers == 3);
    assert_true(c.codec.codebook_size == 128 && c.codec.n_lstm_layers == 1);
}

static void stereo_is_read(void **state)
{
    mg_config c;

    (void)state;
    expect_ok(parse_edited(&c, "decoder", "audio_channels", "2"));
    assert_true(c.lm.n_channels == 2 && c.lm.K == 4 && c.codec.n_channels == 1);
}

/* Keys left out take the defaults of transformers' classes. */
static void absent_keys_take_defaults(void **state)
{
    const char *text = "{\"model_type\":\"musicgen\",\"text_encoder\":{},\"decoder\":{},"
                       "\"audio_encoder\":{\"use_causal_conv\":false,\"target_bandwidths\":[2.2]}}";
    mg_config c;

    (void)state;
    expect_ok(mg_config_parse(&c, "config.json", text, (int64_t)strlen(text)));
    assert_true(c.lm.D == 1024 && c.lm.L == 24 && c.lm.H == 16 && c.lm.F == 4096 && c.lm.V == 2048);
    assert_true(c.lm.K == 4 && c.lm.n_channels == 1 && c.lm.max_positions == 2048);
    assert_true(c.t5.d_model == 512 && c.t5.n_layers == 6 && c.t5.vocab_size == 32128 && !c.t5.gated);
    assert_true(c.lm.project_text && c.lm.d_text == 512);
    assert_true(c.codec.sampling_rate == 24000 && c.codec.hop == 320 && c.codec.frame_rate == 75);
    assert_true(c.codec.n_codebooks == 2 && c.codec.codebook_dim == 128 && c.codec.pad_reflect);
    assert_true(c.codec.conv_shortcut);
    assert_true(c.generation.guidance_scale == 3.0 && c.generation.do_sample);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *section, *key, *value, *part;
    } cases[] = {
        {NULL, "model_type", "\"musicgen_melody\"",
         "decoder: model_type: \"musicgen_decoder\" is not supported, only \"musicgen_melody_decoder\" is"},
        {NULL, "model_type", "\"bark\"",
         "model_type: \"bark\" is not supported, only \"musicgen\" and \"musicgen_melody\" are"},
        {NULL, "model_type", NULL, "model_type: missing"},
        {NULL, "model_type", "7", "model_type: 7: must be a string"},
        {NULL, "decoder", "[]", "decoder: must be a JSON object"},
        {NULL, "text_encoder", "null", "text_encoder: the section is missing"},
        {"decoder", "hidden_size", "0", "config.json: decoder: hidden_size: 0 is not possible"},
        {"decoder", "hidden_size", "-128", "hidden_size: -128 is not possible"},
        {"decoder", "hidden_size", "1e15", "hidden_size: 1000000000000000 is not possible"},
        {"decoder", "hidden_size", "128.5", "hidden_size: 128.5: must be an integer"},
        {"decoder", "hidden_size", "\"128\"", "hidden_size: \"128\": must be an integer"},
        {"decoder", "num_attention_heads", "7", "num_attention_heads: 7 does not divide hidden_size 128"},
        {"decoder", "num_codebooks", "0", "num_codebooks: 0 is not possible: it must be 1 to 16"},
        {"decoder", "num_codebooks", "17", "num_codebooks: 17 is not possible"},
        {"decoder", "audio_channels", "3", "audio_channels: 3 is not possible"},
        {"decoder", "num_hidden_layers", "1000000", "num_hidden_layers: 1000000"},
        {"decoder", "activation_function", "\"relu\"",
         "activation_function: \"relu\" is not supported, only \"gelu\" is"},
        {"decoder", "model_type", "\"musicgen_melody_decoder\"",
         "\"musicgen_melody_decoder\" is not supported"},
        {"decoder", "max_position_embeddings", "0", "max_position_embeddings: 0 is not possible"},
        {"text_encoder", "feed_forward_proj", "\"gelu\"",
         "text_encoder: feed_forward_proj: \"gelu\" is not supported"},
        {"text_encoder", "feed_forward_proj", "\"gated-gelu\"", "is_gated_act: contradicts"},
        {"text_encoder", "dense_act_fn", "\"silu\"",
         "dense_act_fn: \"silu\" is not supported, only \"relu\" is"},
        {"text_encoder", "num_heads", "0", "num_heads: 0 is not possible"},
        {"text_encoder", "layer_norm_epsilon", "0", "layer_norm_epsilon: 0 is not possible"},
        {"text_encoder", "relative_attention_max_distance", "8", "relative_attention_num_buckets: 32"},
        {"audio_encoder", "use_causal_conv", "true", "audio_encoder: use_causal_conv: true is not supported"},
        {"audio_encoder", "use_causal_conv", NULL, "use_causal_conv: true is not supported"},
        {"audio_encoder", "normalize", "true", "normalize: true is not supported"},
        {"audio_encoder", "chunk_length_s", "1.0", "chunk_length_s: 1 is not supported, only null is"},
        {"audio_encoder", "norm_type", "\"time_group_norm\"",
         "norm_type: \"time_group_norm\" is not supported"},
        {"audio_encoder", "pad_mode", "\"replicate\"", "pad_mode: \"replicate\" is not supported"},
        {"audio_encoder", "audio_channels", "2", "audio_encoder: audio_channels: 2 is not possible"},
        {"audio_encoder", "codebook_dim", "16", "codebook_dim: 16 must equal hidden_size 32"},
        {"audio_encoder", "compress", "3", "compress: 3 does not divide num_filters 4"},
        {"audio_encoder", "num_residual_layers", "16", "dilates beyond"},
        {"audio_encoder", "upsampling_ratios", "[]", "upsampling_ratios: is empty"},
        {"audio_encoder", "upsampling_ratios", "[8, 0]", "upsampling_ratios: 0: must be integers of 1 to"},
        {"audio_encoder", "upsampling_ratios", "[8, \"5\"]", "upsampling_ratios: \"5\": must be an integer"},
        {"audio_encoder", "upsampling_ratios", "[1,1,1,1,1,1,1,1,1]", "upsampling_ratios: more than 8"},
        {"audio_encoder", "upsampling_ratios", "[65536, 65536]", "their product is over 65536"},
        {"audio_encoder", "target_bandwidths", "[]",
         "target_bandwidths: nothing: its last element must be a number"},
        {"audio_encoder", "target_bandwidths", "[100]", "100 kbit/s at 50 frames/s make 200 codebooks"},
        {"audio_encoder", "model_type", "\"dac\"", "model_type: \"dac\" is not supported"},
    };
    mg_config c;

    (void)state;
    expect_ok(parse_edited(&c, "decoder", "hidden_size", "128")); /* the editing itself does no harm */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(parse_edited(&c, cases[i].section, cases[i].key, cases[i].value), MG_ECHECKPOINT,
                       cases[i].part);
}

/* transformers does not project where the decoder names the width it attends. */
static void cross_attention_width_must_fit(void **state)
{
    const char *format = "{\"model_type\":\"musicgen\",\"text_encoder\":{\"d_model\":%d},\"decoder\":"
                         "{\"cross_attention_hidden_size\":%d},\"audio_encoder\":{\"use_causal_conv\":false,"
                         "\"target_bandwidths\":[2.2]}}";
    char text[400];
    mg_config c;

    (void)state;
    snprintf(text, sizeof text, format, 1024, 1024);
    expect_ok(mg_config_parse(&c, "c", text, (int64_t)strlen(text)));
    assert_false(c.lm.project_text);
    snprintf(text, sizeof text, format, 768, 768);
    expect_failure(mg_config_parse(&c, "c", text, (int64_t)strlen(text)), MG_ECHECKPOINT,
                   "c: decoder: cross_attention_hidden_size: 768 does not go with");
}

static void generation_says_what_it_says(void **state)
{
    mg_generation_config g;
    const char *text =
        "{\"top_k\": 50, \"top_p\": 0.9, \"temperature\": null, \"do_sample\": false, \"max_length\": 1500}";

    (void)state;
    expect_ok(mg_config_parse_generation(&g, "g.json", text, (int64_t)strlen(text)));
    assert_true(g.has_top_k && g.top_k == 50 && g.has_top_p && g.top_p == 0.9 && g.has_do_sample &&
                !g.do_sample);
    assert_true(!g.has_temperature && g.temperature == 1.0 && !g.has_guidance_scale && g.max_length == 1500);
    expect_failure(mg_config_parse_generation(&g, "g.json", "{\"top_k\":-1}", 12), MG_ECHECKPOINT,
                   "g.json: top_k: -1");
    expect_failure(mg_config_parse_generation(&g, "g.json", "{\"top_p\":2}", 11), MG_ECHECKPOINT, "top_p: 2");
    expect_failure(mg_config_parse_generation(&g, "g.json", "{\"temperature\":0}", 17), MG_ECHECKPOINT,
                   "temperature: 0");
    expect_failure(mg_config_parse_generation(&g, "g.json", "[]", 2), MG_ECHECKPOINT,
                   "g.json: must be a JSON object");
}

static void folders_load(void **state)
{
    mg_config c;
    mg_t5_config t5;
    mg_codec_config codec;
    const char *t5_json = "{\"model_type\":\"t5\",\"d_model\":768,\"feed_forward_proj\":\"gated-gelu\"}";
    const char *codec_json =
        "{\"model_type\":\"encodec\",\"use_causal_conv\":false,\"sampling_rate\":32000,"
        "\"upsampling_ratios\":[8,5,4,4],\"target_bandwidths\":[2.2],\"use_conv_shortcut\":false}";
    int64_t bytes;

    (void)state;
    expect_failure(mg_config_load(&c, test_dir), MG_EFAIL, "config.json: cannot open: No such file");
    char *text = get_file(TINY_MONO "/config.json", &bytes);
    put_file(in_dir("config.json"), text, (size_t)bytes);
    expect_ok(mg_config_load(&c, test_dir)); /* without a generation_config.json */
    assert_false(c.generation.has_guidance_scale);
    put_file(in_dir("generation_config.json"), "{", 1);
    expect_failure(mg_config_load(&c, test_dir), MG_ECHECKPOINT, "generation_config.json: not JSON");
    free(text);

    put_file(in_dir("config.json"), t5_json, strlen(t5_json));
    expect_ok(mg_config_load_t5(&t5, test_dir));
    assert_true(t5.d_model == 768 && t5.gated && t5.gelu && t5.d_ff == 2048);
    expect_failure(mg_config_load_codec(&codec, test_dir), MG_ECHECKPOINT,
                   "config.json: model_type: \"t5\" is not");
    put_file(in_dir("config.json"), codec_json, strlen(codec_json));
    expect_ok(mg_config_load_codec(&codec, test_dir));
    assert_true(codec.hop == 640 && codec.frame_rate == 50 && codec.n_codebooks == 4 &&
                codec.n_filters == 32);
    expect_failure(mg_config_load(&c, test_dir), MG_ECHECKPOINT, "model_type: \"encodec\" is not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models_load),
        cmocka_unit_test(stereo_is_read),
        cmocka_unit_test(absent_keys_take_defaults),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(cross_attention_width_must_fit),
        cmocka_unit_test(generation_says_what_it_says),
        cmocka_unit_test_setup_teardown(folders_load, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
