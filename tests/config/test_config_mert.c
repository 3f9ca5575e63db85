/* MERT's config.json: its defaults, its own sizes, and what differs from MERT-v1 named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config.h"
#include "io_fixture.h"

static mg_status parse(mg_mert_config *c, const char *text)
{
    return mg_config_parse_mert(c, "config.json", text, (int64_t)strlen(text));
}

/* Keys left out take the defaults of its MERTConfig, which are MERT-v1-95M's. */
static void absent_keys_take_defaults(void **state)
{
    mg_mert_config c;

    (void)state;
    expect_ok(parse(&c, "{}"));
    assert_true(c.sampling_rate == 24000 && c.D == 768 && c.n_layers == 12 && c.n_heads == 12 && c.F == 3072);
    assert_true(c.n_convs == 7 && c.conv_dim[6] == 512 && c.n_pos_taps == 128 && c.n_pos_groups == 16);
    assert_true(c.conv_kernel[0] == 10 && c.conv_kernel[4] == 3 && c.conv_kernel[6] == 2);
    assert_true(c.conv_stride[0] == 5 && c.conv_stride[6] == 2 && c.eps == 1e-5);
}

static void sizes_are_read(void **state)
{
    mg_mert_config c;

    (void)state;
    expect_ok(parse(&c,
                    "{\"model_type\":\"mert_model\",\"hidden_size\":24,\"num_attention_heads\":2,"
                    "\"conv_dim\":[8,12],\"conv_kernel\":[10,3],\"conv_stride\":[5,2],"
                    "\"num_conv_pos_embedding_groups\":4,\"layer_norm_eps\":1e-4,\"attention_relax\":-1.0,"
                    "\"feature_extractor_cqt\":false,\"conv_bias\":false,\"sample_rate\":16000}"));
    assert_true(c.D == 24 && c.n_heads == 2 && c.n_convs == 2 && c.conv_dim[0] == 8 && c.conv_dim[1] == 12);
    assert_true(c.conv_kernel[1] == 3 && c.conv_stride[1] == 2 && c.n_pos_groups == 4 && c.eps == 1e-4);
    assert_true(c.sampling_rate == 16000);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"[]", "must be a JSON object"},
        {"{\"model_type\":\"wav2vec2\"}",
         "model_type: \"wav2vec2\" is not supported, only \"mert_model\" is"},
        {"{\"feat_extract_norm\":\"layer\"}",
         "feat_extract_norm: \"layer\" is not supported, only \"group\" is"},
        {"{\"feat_extract_activation\":\"relu\"}", "feat_extract_activation: \"relu\" is not supported"},
        {"{\"hidden_act\":\"gelu_new\"}", "hidden_act: \"gelu_new\" is not supported, only \"gelu\" is"},
        {"{\"conv_bias\":true}", "config.json: conv_bias: true is not supported, only false is"},
        {"{\"feat_proj_layer_norm\":false}", "feat_proj_layer_norm: false is not supported, only true is"},
        {"{\"do_stable_layer_norm\":true}", "do_stable_layer_norm: true is not supported"},
        {"{\"conv_pos_batch_norm\":true}", "conv_pos_batch_norm: true is not supported"},
        {"{\"deepnorm\":true}", "deepnorm: true is not supported"},
        {"{\"feature_extractor_cqt\":true}", "feature_extractor_cqt: true is not supported"},
        {"{\"attention_relax\":32.0}", "attention_relax: 32 is not supported, only -1 is"},
        {"{\"hidden_size\":0}", "hidden_size: 0 is not possible"},
        {"{\"num_attention_heads\":7}", "num_attention_heads: 7 does not divide hidden_size 768"},
        {"{\"num_conv_pos_embedding_groups\":7}",
         "num_conv_pos_embedding_groups: 7 does not divide hidden_size 768"},
        {"{\"num_conv_pos_embeddings\":0}", "num_conv_pos_embeddings: 0 is not possible"},
        {"{\"layer_norm_eps\":0}", "layer_norm_eps: 0 is not possible"},
        {"{\"conv_dim\":[]}", "conv_dim: is empty"},
        {"{\"conv_dim\":[8,8]}", "conv_dim: 2 layers, but conv_kernel has 7 and conv_stride 7"},
        {"{\"conv_stride\":[1,1,1,1,1,1,1,1,1]}", "conv_stride: more than 8 are not supported"},
        {"{\"conv_stride\":[5,0]}", "conv_stride: 0: must be an integer of 1 to 64"},
        {"{\"conv_kernel\":[65]}", "conv_kernel: 65: must be an integer of 1 to 64"},
        {"{\"conv_kernel\":[\"3\"]}", "conv_kernel: \"3\": must be an integer"},
        {"{\"conv_kernel\":3}", "conv_kernel: must be a JSON array"},
    };
    mg_mert_config c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(parse(&c, cases[i].text), MG_ECHECKPOINT, cases[i].part);
}

static void a_folder_loads(void **state)
{
    mg_mert_config c;
    char path[1200];

    (void)state;
    snprintf(path, sizeof path, "%s/config.json", test_dir);
    assert_int_equal(mg_config_load_mert(&c, test_dir), MG_EFAIL);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"num_hidden_layers\":3}", f);
    fclose(f);
    expect_ok(mg_config_load_mert(&c, test_dir));
    assert_int_equal(c.n_layers, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_take_defaults),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test_setup_teardown(a_folder_loads, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
