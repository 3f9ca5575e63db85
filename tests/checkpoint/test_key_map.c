/* Names of every dialect, there and back. */
#include "io_fixture.h"

#include "key_map.h"

#define DECODER "decoder.model.decoder."

static const struct {
    mg_dialect dialect;
    const char *source, *target;
    int i_part, n_parts;
} names[] = {
    {MG_DIALECT_HF, "text_encoder.shared.weight", "text_encoder.shared.weight", 0, 1},
    {MG_DIALECT_HF, "audio_encoder.decoder.layers.0.conv.weight_g",
     "audio_encoder.decoder.layers.0.conv.weight_g", 0, 1},
    {MG_DIALECT_HF, DECODER "layers.0.fc1.weight", DECODER "layers.0.fc1.weight", 0, 1},
    {MG_DIALECT_HF, "encoder.block.3.layer.0.SelfAttention.q.weight",
     "encoder.block.3.layer.0.SelfAttention.q.weight", 0, 1},
    {MG_DIALECT_HF, "model.decoder.layers.12.self_attn.q_proj.weight",
     DECODER "layers.12.self_attn.q_proj.weight", 0, 1},
    {MG_DIALECT_HF, "lm_heads.3.weight", "decoder.lm_heads.3.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "emb.3.weight", DECODER "embed_tokens.3.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.47.self_attn.in_proj_weight",
     DECODER "layers.47.self_attn.q_proj.weight", 0, 3},
    {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.0.cross_attention.in_proj_weight",
     DECODER "layers.0.encoder_attn.v_proj.weight", 2, 3},
    {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.0.cross_attention.out_proj.weight",
     DECODER "layers.0.encoder_attn.out_proj.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.0.norm_cross.bias",
     DECODER "layers.0.encoder_attn_layer_norm.bias", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.9.norm2.weight",
     DECODER "layers.9.final_layer_norm.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "out_norm.weight", DECODER "layer_norm.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "linears.0.weight", "decoder.lm_heads.0.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "condition_provider.conditioners.description.output_proj.bias",
     "enc_to_dec_proj.bias", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_LM, "condition_provider.conditioners.self_wav.output_proj.weight",
     "audio_enc_to_dec_proj.weight", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "encoder.model.0.conv.conv.weight_g", "encoder.layers.0.conv.weight_g", 0,
     1},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.0.conv.conv.parametrizations.weight.original0",
     "decoder.layers.0.conv.parametrizations.weight.original0", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.4.block.1.conv.conv.weight_v",
     "decoder.layers.4.block.1.conv.weight_v", 0, 1},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.1.lstm.bias_hh_l1", "decoder.layers.1.lstm.bias_hh_l1", 0,
     1},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "quantizer.vq.layers.2._codebook.embed",
     "quantizer.layers.2.codebook.embed", 0, 1},
};

static void names_go_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mg_key_target target[MG_KEY_PARTS], back[MG_KEY_SPELLINGS];
        const int n = mg_key_map(target, names[i].dialect, names[i].source);
        assert_int_equal(n, names[i].n_parts);
        const mg_key_target *t = &target[names[i].i_part];
        assert_string_equal(t->name, names[i].target);
        assert_int_equal(t->i_part, names[i].i_part);
        assert_int_equal(t->n_parts, names[i].n_parts);
        const int n_back = mg_key_map_back(back, names[i].dialect, names[i].target);
        int k = 0;
        while (k < n_back && strcmp(back[k].name, names[i].source) != 0) k++;
        if (k == n_back) fail_msg("%s does not lead back to %s", names[i].target, names[i].source);
        assert_int_equal(back[k].i_part, names[i].i_part);
        assert_int_equal(back[k].n_parts, names[i].n_parts);
        const char *one[1] = {names[i].source};
        assert_int_equal(mg_key_map_detect(one, 1), names[i].dialect);
    }
}

static void an_upsampling_layer_has_two_spellings(void **state)
{
    mg_key_target target[MG_KEY_PARTS], back[MG_KEY_SPELLINGS];

    (void)state;
    assert_int_equal(mg_key_map(target, MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.3.convtr.convtr.bias"),
                     1);
    assert_string_equal(target[0].name, "decoder.layers.3.conv.bias");
    assert_int_equal(mg_key_map_back(back, MG_DIALECT_AUDIOCRAFT_CODEC, target[0].name), 2);
    assert_string_equal(back[0].name, "decoder.model.3.conv.conv.bias");
    assert_string_equal(back[1].name, "decoder.model.3.convtr.convtr.bias");
}

static void wrappers_are_dropped(void **state)
{
    static const struct {
        mg_dialect dialect;
        const char *source, *target; /* NULL: no rule */
    } cases[] = {
        {MG_DIALECT_AUDIOCRAFT_LM, "module.emb.0.weight", DECODER "embed_tokens.0.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM, "model.emb.0.weight", DECODER "embed_tokens.0.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM, "_orig_mod.module.emb.0.weight", DECODER "embed_tokens.0.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM,
         "_fsdp_wrapped_module.transformer.layers.1._fsdp_wrapped_module._checkpoint_wrapped_module.linear1."
         "weight",
         DECODER "layers.1.fc1.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM, "module.module.transformer.module.layers.1.linear1.weight",
         DECODER "layers.1.fc1.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.1.self_attn.mha.out_proj.weight",
         DECODER "layers.1.self_attn.out_proj.weight"},
        {MG_DIALECT_AUDIOCRAFT_CODEC, "module.quantizer.vq.layers.0._codebook.embed",
         "quantizer.layers.0.codebook.embed"},
        {MG_DIALECT_HF, "model." DECODER "layers.0.fc1.weight", DECODER "layers.0.fc1.weight"},
        {MG_DIALECT_HF, "model.decoder.layers.0.conv.weight_g", "decoder.layers.0.conv.weight_g"},
        {MG_DIALECT_HF, "model.decoder.layers.0.fc1.weight", DECODER "layers.0.fc1.weight"},
        {MG_DIALECT_AUDIOCRAFT_LM, "emb.0.wieght", NULL},
        {MG_DIALECT_AUDIOCRAFT_LM, "emb.x.weight", NULL},
        {MG_DIALECT_AUDIOCRAFT_LM, "emb..weight", NULL},
        {MG_DIALECT_AUDIOCRAFT_LM, "emb.0.weight.more", NULL},
        {MG_DIALECT_AUDIOCRAFT_LM, "transformer.layers.0.self_attn.in_proj_bias", NULL},
        {MG_DIALECT_HF, "something.weight", NULL},
        {MG_DIALECT_HF, "text_encoder.", NULL},
        {MG_DIALECT_HF, "", NULL},
        {MG_DIALECT_HF, "model.", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_key_target target[MG_KEY_PARTS];
        const int n = mg_key_map(target, cases[i].dialect, cases[i].source);
        if (n != (cases[i].target != NULL)) fail_msg("%s: %d targets", cases[i].source, n);
        if (n) assert_string_equal(target[0].name, cases[i].target);
    }
    char *endless = malloc(3000);
    mg_key_target target[MG_KEY_PARTS];
    assert_non_null(endless);
    memset(endless, 'a', 2999);
    endless[2999] = '\0';
    memcpy(endless, "text_encoder.", 13);
    assert_int_equal(mg_key_map(target, MG_DIALECT_HF, endless), 0);
    free(endless);
}

static void what_may_be_left_over(void **state)
{
    static const char *const may[] = {"audio_encoder.quantizer.layers.0.codebook.embed_avg",
                                      "quantizer.layers.3.codebook.inited",
                                      "audio_encoder.encoder.layers.0.conv.weight_g",
                                      "encoder.layers.13.lstm.bias_hh_l0",
                                      "audio_encoder.encoder.layers.1.block.3.conv.weight_v",
                                      "encoder.layers.1.shortcut.conv.bias",
                                      "decoder.block.0.layer.0.SelfAttention.q.weight",
                                      "lm_head.weight",
                                      "text_encoder.encoder.embed_tokens.weight",
                                      "some.norm.num_batches_tracked",
                                      "condition_provider.conditioners.self_wav.chroma.spec.window"};
    static const char *const must_not[] = {"audio_encoder.decoder.layers.0.conv.weight_g",
                                           "quantizer.layers.0.codebook.embed",
                                           "decoder.model.decoder.layers.0.fc1.weight",
                                           "encoder.block.0.layer.0.SelfAttention.q.weight",
                                           "encoder.layers.12.attention.q_proj.weight",
                                           "encoder.layers.12.final_layer_norm.bias",
                                           "decoder.lm_heads.0.weight",
                                           "lm_heads.0.weight",
                                           "foo",
                                           ""};
    const char *const none[] = {"lm_logits", "t5_ids"};

    (void)state;
    for (size_t i = 0; i < sizeof may / sizeof *may; i++)
        if (!mg_key_map_is_ignorable(may[i])) fail_msg("%s must be ignorable", may[i]);
    for (size_t i = 0; i < sizeof must_not / sizeof *must_not; i++)
        if (mg_key_map_is_ignorable(must_not[i])) fail_msg("%s must not be ignorable", must_not[i]);
    assert_int_equal(mg_key_map_detect(none, 2), MG_DIALECT_UNKNOWN);
    assert_int_equal(mg_key_map_detect(none, 0), MG_DIALECT_UNKNOWN);
}

static void parts_share_a_file(void **state)
{
    (void)state;
    assert_true(mg_key_map_is_of_part("text_encoder.shared.weight", "text_encoder."));
    assert_false(mg_key_map_is_of_part("audio_encoder.shared.weight", "text_encoder."));
    assert_false(mg_key_map_is_of_part("decoder.lm_heads.0.weight", "text_encoder."));
    assert_true(mg_key_map_is_of_part("decoder.lm_heads.0.weight", ""));
    assert_true(mg_key_map_is_of_part("style_encoder.embed.weight", ""));
    assert_false(mg_key_map_is_of_part("text_encoder.shared.weight", ""));
    assert_false(mg_key_map_is_of_part("audio_encoder.shared.weight", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_there_and_back), cmocka_unit_test(an_upsampling_layer_has_two_spellings),
        cmocka_unit_test(wrappers_are_dropped),    cmocka_unit_test(what_may_be_left_over),
        cmocka_unit_test(parts_share_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
