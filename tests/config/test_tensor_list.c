/* The lists of tensors and the written configs, against checkpoints that transformers and AudioCraft made. */
#include "io_fixture.h"

#include "checkpoint.h"
#include "config_text.h"
#include "hash.h"
#include "tensor_list.h"
#include "xp_config.h"

#define FORMS MG_GOLDEN_DIR "/checkpoints/"

/* How many of the listed tensors the checkpoint holds in this shape. */
static int64_t count_found(const mg_tensor_list *list, const mg_checkpoint *c, const char *prefix)
{
    char name[256];
    int64_t n = 0;

    for (int64_t i = 0; i < list->n; i++) {
        const mg_listed_tensor *t = &list->tensor[i];
        snprintf(name, sizeof name, "%s%s", prefix, t->name);
        const mg_checkpoint_entry *e = mg_checkpoint_find(c, name);
        n += e && mg_tensor_is(&e->tensor, e->tensor.dtype, t->n_dims, t->dim);
    }
    return n;
}

static void count_all(mg_config *g, const mg_checkpoint *c, int64_t *n_listed, int64_t *n_found)
{
    mg_tensor_list lm = {0}, t5 = {0}, codec = {0};

    expect_ok(mg_tensor_list_lm(&lm, &g->lm));
    expect_ok(mg_tensor_list_t5(&t5, &g->t5));
    expect_ok(mg_tensor_list_codec(&codec, &g->codec));
    *n_listed = lm.n + t5.n + codec.n;
    *n_found = count_found(&lm, c, "") + count_found(&t5, c, "text_encoder.") +
               count_found(&codec, c, "audio_encoder.");
    mg_tensor_list_close(&lm);
    mg_tensor_list_close(&t5);
    mg_tensor_list_close(&codec);
}

/* Every tensor that transformers stores, and no other. */
static void the_lists_are_what_transformers_stores(void **state)
{
    static const char *const models[] = {FORMS "tiny-mono", FORMS "tiny-variant"};

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        mg_checkpoint *c;
        mg_config g;
        int64_t n_listed, n_found;
        expect_ok(mg_config_load(&g, models[i]));
        expect_ok(mg_checkpoint_open(&c, models[i]));
        count_all(&g, c, &n_listed, &n_found);
        assert_int_equal(n_listed, mg_checkpoint_count(c));
        assert_int_equal(n_found, n_listed);
        g.lm.L++; /* and the comparison can fail */
        g.codec.n_lstm_layers++;
        count_all(&g, c, &n_listed, &n_found);
        assert_int_equal(n_listed, mg_checkpoint_count(c) + 16 + 8);
        assert_int_equal(n_found, mg_checkpoint_count(c));
        mg_checkpoint_close(c);
    }
}

/* AudioCraft's own names, by way of key_map.h, the transposed convolutions included. */
static void the_codec_is_spelled_as_audiocraft_does(void **state)
{
    mg_checkpoint *c;
    mg_codec_config codec;
    mg_tensor_list list = {0};
    int64_t n_found = 0;

    (void)state;
    expect_ok(mg_checkpoint_open(&c, FORMS "ac-mono/compression_state_dict.bin"));
    expect_ok(mg_xp_config_codec(&codec, "xp.cfg", mg_checkpoint_xp_config(c)));
    expect_ok(mg_tensor_list_codec(&list, &codec));
    assert_int_equal(list.n, mg_checkpoint_n_sources(c));
    for (int64_t i = 0; i < list.n; i++) {
        mg_key_target spelling[MG_KEY_SPELLINGS];
        const int n = mg_key_map_back(spelling, MG_DIALECT_AUDIOCRAFT_CODEC, list.tensor[i].name);
        assert_true(n > 0);
        const char *name = spelling[n > 1 && list.tensor[i].transposed].name;
        for (size_t k = 0; k < mg_checkpoint_n_sources(c); k++)
            n_found += strcmp(mg_checkpoint_source_at(c, k)->name, name) == 0;
    }
    assert_int_equal(n_found, list.n);
    mg_tensor_list_close(&list);
    mg_checkpoint_close(c);
}

static void a_config_reads_back(void **state)
{
    static const char *const models[] = {FORMS "tiny-mono", FORMS "tiny-variant", FORMS "tiny-stereo",
                                         FORMS "tiny-melody", FORMS "tiny-stereo-melody"};

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        mg_config g, back;
        mg_generation_config generation;
        char *text;
        expect_ok(mg_config_load(&g, models[i]));
        expect_ok(mg_config_text(&text, &g, MG_F32));
        expect_ok(mg_config_parse(&back, "config.json", text, (int64_t)strlen(text)));
        free(text);
        assert_memory_equal(&back.t5, &g.t5, sizeof g.t5);
        assert_memory_equal(&back.lm, &g.lm, sizeof g.lm);
        assert_memory_equal(&back.codec, &g.codec, sizeof g.codec);
        expect_ok(mg_config_text_generation(&text, &g, 0));
        expect_ok(
            mg_config_parse_generation(&generation, "generation_config.json", text, (int64_t)strlen(text)));
        free(text);
        assert_int_equal(generation.max_length, g.generation.max_length);
        assert_true(generation.guidance_scale == g.generation.guidance_scale);
    }
}

static void xp_cfg_reads_back(void **state)
{
    mg_config g;
    mg_xp_lm lm;
    mg_codec_config codec;
    char *text;

    (void)state;
    expect_ok(mg_config_load(&g, FORMS "tiny-mono"));
    g.lm.n_channels = 2;
    g.lm.K = 8;
    expect_ok(mg_config_text_xp_lm(&text, &g, "it's t5", 12.5));
    expect_ok(mg_xp_config_lm(&lm, "xp.cfg", text));
    free(text);
    assert_string_equal(lm.t5_name, "it's t5");
    assert_true(lm.segment_s == 12.5);
    assert_int_equal(lm.lm.D, g.lm.D);
    assert_int_equal(lm.lm.F, g.lm.F);
    assert_int_equal(lm.lm.K, 8);
    assert_int_equal(lm.lm.n_channels, 2);
    assert_int_equal(lm.lm.V, g.lm.V);
    expect_ok(mg_config_text_xp_codec(&text, &g));
    expect_ok(mg_xp_config_codec(&codec, "xp.cfg", text));
    free(text);
    assert_memory_equal(&codec, &g.codec, sizeof codec);
    g.lm.D = 98, g.lm.F = 110; /* 110 / 98 x 98 is less than 110 in fp64 */
    expect_failure(mg_config_text_xp_lm(&text, &g, "t5-base", 0), MG_ECHECKPOINT, "hidden_scale");
}

/* A melody model's window must give as many frames of melody as the model has room for: 1 + int(s rate) //
 * 4096. */
static void xp_cfg_of_a_melody_reads_back(void **state)
{
    static const struct {
        int64_t chroma_length, max_length;
        double window_s, expected_s; /* 0: any that fits */
    } cases[] = {{235, 1500, 0, 30}, {235, 200, 0, 30},   {35, 200, 0, 0}, {35, 220, 0, 4.4},
                 {36, 0, 4.5, 4.5},  {235, 1500, 12, 30}, {1, 1500, 0, 0}, {1000, 1500, 0, 0}};
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_config g;
        mg_xp_lm lm;
        expect_ok(mg_config_load(&g, FORMS "tiny-melody"));
        g.lm.chroma_length = cases[i].chroma_length;
        g.generation.has_max_length = cases[i].max_length > 0;
        g.generation.max_length = cases[i].max_length;
        expect_ok(mg_config_text_xp_lm(&text, &g, "t5-base", cases[i].window_s));
        expect_ok(mg_xp_config_lm(&lm, "xp.cfg", text));
        free(text);
        assert_true(lm.melody);
        assert_int_equal(lm.lm.n_chroma, 12);
        assert_int_equal(1 + (int64_t)(lm.segment_s * 32000) / 4096, cases[i].chroma_length);
        if (cases[i].expected_s > 0) assert_true(lm.segment_s == cases[i].expected_s);
    }
}

/* The formula's two ends: int(1000 kbps // (10 rate)) codebooks, and bits enough to read them all. */
static void the_bandwidth_says_how_many_codebooks(void **state)
{
    (void)state;
    assert_true(mg_config_text_bandwidth(
                    &(mg_codec_config){.codebook_size = 2048, .n_codebooks = 4, .frame_rate = 50}) == 2.2);
    for (int64_t bits = 4; bits <= 14; bits++)
        for (int64_t n = 1; n <= MG_MAX_CODEBOOKS; n++)
            for (int64_t rate = 25; rate <= 86; rate++) {
                const mg_codec_config c = {.codebook_size = 1 << bits, .n_codebooks = n, .frame_rate = rate};
                const double kbps = mg_config_text_bandwidth(&c);
                assert_int_equal((int64_t)(1000 * kbps / (double)(10 * rate)), n);
                if (bits <= 10) assert_true((int64_t)(1000 * kbps / (double)(bits * rate)) >= n);
            }
}

static void a_blob_is_named_as_git_does(void **state)
{
    char hash[65];

    (void)state;
    put_file(in_dir("empty"), "", 0);
    expect_ok(mg_hash_git_file(hash, in_dir("empty")));
    assert_string_equal(hash, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    put_file(in_dir("hello"), "hello\n", 6);
    expect_ok(mg_hash_git_file(hash, in_dir("hello")));
    assert_string_equal(hash, "ce013625030ba8dba906f756967f9e9ca394464a");
    expect_failure(mg_hash_git_file(hash, in_dir("gone")), MG_EFAIL, "cannot open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lists_are_what_transformers_stores),
        cmocka_unit_test(the_codec_is_spelled_as_audiocraft_does),
        cmocka_unit_test(a_config_reads_back),
        cmocka_unit_test(xp_cfg_reads_back),
        cmocka_unit_test(xp_cfg_of_a_melody_reads_back),
        cmocka_unit_test(the_bandwidth_says_how_many_codebooks),
        cmocka_unit_test_setup_teardown(a_blob_is_named_as_git_does, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
