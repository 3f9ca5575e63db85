/* EnCodec's decoder against transformers and AudioCraft: tiny codecs from their checkpoints, and a few of odd
 * shapes (dilated residual units, zero padding, no clip longer than its padding) from
 * codec_ops.safetensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden_codec.h"
#include "model_files.h"
#include "patched_file.h"

#define TOLERANCE 1e-4 /* 5e-7 observed with the checkpoints, 2.5e-6 with the odd shapes */
#define CODEC_OPS MG_GOLDEN_DIR "/codec_ops.safetensors"

static void check_golden(const char *model)
{
    golden_codec g;

    golden_codec_open(&g, model);
    g.want.n_threads = 2;
    for (mg_cpu_level level = MG_CPU_SCALAR; level <= test_last_level(); level = test_next_level(level)) {
        codec_fixture f;
        char what[256];
        g.want.level = level;
        codec_open(&f, &g.want);
        float *got = codec_decode(&f, g.codes, g.T, g.T), *got_one = codec_decode(&f, g.codes, g.T, 1);
        snprintf(what, sizeof what, "%s, %s, %d frames", model, f.ops->name, (int)g.T);
        golden_close(what, got, g.audio, g.N, TOLERANCE);
        snprintf(what, sizeof what, "%s, %s, 1 frame", model, f.ops->name);
        golden_close(what, got_one, g.one_frame, g.config.hop, TOLERANCE);
        free(got);
        free(got_one);
        codec_close(&f);
    }
    golden_codec_close(&g);
}

static void test_golden(void **state)
{
    (void)state;
    check_golden("tiny-mono");
    check_golden("tiny-stereo");
    check_golden("tiny-variant");
}

/* Zero padding; ac-audiogen: 16 kHz, ratios 8 5 4 2. */
static void check_audiocraft(const char *model)
{
    mg_model_files *files = NULL;
    codec_fixture f;
    char dir[1024], path[128];
    int64_t N;

    snprintf(dir, sizeof dir, "%s/checkpoints/%s", MG_GOLDEN_DIR, model);
    GOLDEN_OK(mg_model_files_open(&files, &(mg_model_request){.codec = dir}, MG_NEED_CODEC));
    snprintf(path, sizeof path, "audiocraft/%s.safetensors", model);
    mg_checkpoint *golden = golden_open(path);
    int32_t *codes = golden_i32(golden, "codec_decode_codes", NULL);
    float *want = golden_f32(golden, "codec_decode_audio", &N);
    codec_open(&f, &(codec_want){.config = &files->config.codec,
                                 .checkpoint = files->codec.checkpoint,
                                 .prefix = files->codec.prefix,
                                 .halves = MG_ENCODEC_DECODER});
    const int64_t T = golden_tensor(golden, "codec_decode_codes")->dim[1];
    assert_int_equal(N, T * files->config.codec.hop);
    assert_false(files->config.codec.pad_reflect);
    float *got = codec_decode(&f, codes, T, T);
    golden_close(model, got, want, N, TOLERANCE);
    f.codec->config.pad_reflect = true;
    float *other = codec_decode(&f, codes, T, T);
    golden_not_close("the other padding", other, want, N, TOLERANCE);
    free(codes);
    free(want);
    free(got);
    free(other);
    codec_close(&f);
    mg_checkpoint_close(golden);
    mg_model_files_close(files);
}

static void test_audiocraft(void **state)
{
    (void)state;
    check_audiocraft("ac-mono");
    check_audiocraft("ac-stereo");
    check_audiocraft("ac-melody");
    check_audiocraft("ac-audiogen");
}

/* One clip of T frames, decoded `stretch` frames at a time. */
static void check_odd(const mg_checkpoint *file, const mg_codec_config *config, int i, int T, int64_t stretch)
{
    char name[64], prefix[32];
    codec_fixture f;
    int64_t N;

    snprintf(prefix, sizeof prefix, "codec%d.", i);
    snprintf(name, sizeof name, "codec%d.codes.%d", i, T);
    int32_t *codes = golden_i32(file, name, NULL);
    snprintf(name, sizeof name, "codec%d.audio.%d", i, T);
    float *want = golden_f32(file, name, &N);
    assert_int_equal(N, T * config->hop);
    codec_open(&f, &(codec_want){.config = config,
                                 .path = CODEC_OPS,
                                 .prefix = prefix,
                                 .halves = MG_ENCODEC_DECODER,
                                 .stretch = stretch,
                                 .block = 3});
    float *got = codec_decode(&f, codes, T, T);
    snprintf(name, sizeof name, "odd codec %d, %d frames by %d", i, T, (int)stretch);
    golden_close(name, got, want, N, TOLERANCE);
    f.codec->config.pad_reflect = !f.codec->config.pad_reflect;
    float *other = codec_decode(&f, codes, T, T);
    golden_not_close("the other padding", other, want, N, TOLERANCE);
    free(codes);
    free(want);
    free(got);
    free(other);
    codec_close(&f);
}

static void test_odd_shapes(void **state)
{
    static const int frames[] = {1, 2, 3, 4, 5, 11};
    mg_checkpoint *file = golden_open("codec_ops.safetensors");

    (void)state;
    for (int i = 0; i < N_ODD_CODECS; i++) {
        const mg_codec_config config = codec_odd_config(file, i);
        for (size_t k = 0; k < sizeof frames / sizeof *frames; k++)
            for (int64_t stretch = 1; stretch <= 16; stretch *= 4)
                check_odd(file, &config, i, frames[k], stretch);
    }
    mg_checkpoint_close(file);
}

/* Clips of each of these lengths: the same samples as when all of a clip is decoded at once. */
static void check_stretches(const codec_want *how, const int64_t *T, int n_lengths)
{
    static const int64_t stretch[] = {1, 2, 7, 25}, block[] = {1, 5, 256, 6};
    const int64_t K = how->config->n_codebooks, V = how->config->codebook_size, T_max = T[n_lengths - 1];
    int32_t *codes = malloc((size_t)(K * T_max) * sizeof *codes);
    codec_want whole = *how;
    codec_fixture f, g;

    if (!codes) fail_msg("no memory");
    for (int64_t i = 0; i < K * T_max; i++) codes[i] = (int32_t)((i * 2654435761) >> 7) % (int32_t)V;
    for (int64_t i = 0; i < K * T_max; i++) codes[i] += codes[i] < 0 ? (int32_t)V : 0;
    whole.stretch = whole.block = T_max + 1;
    codec_open(&f, &whole);
    for (size_t s = 0; s < sizeof stretch / sizeof *stretch; s += test_thins() ? 3 : 1) {
        codec_want parts = *how;
        parts.stretch = stretch[s];
        parts.block = block[s];
        parts.n_threads = 1 + (int)s % 2;
        codec_open(&g, &parts);
        for (int i = 0; i < n_lengths; i++) {
            if (test_cuts() && (i % 26 != 2 || T[i] > 300)) continue;
            char what[64];
            snprintf(what, sizeof what, "%d frames by %d", (int)T[i], (int)stretch[s]);
            float *want = codec_decode(&f, codes, T_max, T[i]), *got = codec_decode(&g, codes, T_max, T[i]);
            codec_assert_same_bits(got, want, T[i] * how->config->hop, what);
            free(want);
            free(got);
        }
        codec_close(&g);
    }
    codec_close(&f);
    free(codes);
}

static void test_stretches(void **state)
{
    enum { N_LENGTHS = 82 };
    static const int64_t few[] = {1, 2, 3, 24, 25, 26, 33, 77, 600};
    mg_checkpoint *file = golden_open("codec_ops.safetensors");
    int64_t T[N_LENGTHS];
    golden_codec g;

    (void)state;
    for (int i = 0; i < 80; i++) T[i] = i + 1;
    T[80] = 257, T[81] = 1503;
    for (int i = 0; i < 2 * N_ODD_CODECS; i += test_thins() ? 3 : 1) {
        mg_codec_config config = codec_odd_config(file, i / 2);
        char prefix[32];
        snprintf(prefix, sizeof prefix, "codec%d.", i / 2);
        config.pad_reflect = i % 2;
        check_stretches(
            &(codec_want){
                .config = &config, .path = CODEC_OPS, .prefix = prefix, .halves = MG_ENCODEC_DECODER},
            T, N_LENGTHS);
    }
    mg_checkpoint_close(file);
    golden_codec_open(&g, "tiny-mono");
    check_stretches(&g.want, few, sizeof few / sizeof *few);
    golden_codec_close(&g);
}

/* A channel of stereo, between the other's codes and samples, which stay as they are. */
static void test_channel(void **state)
{
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, "tiny-stereo");
    codec_open(&f, &g.want);
    int32_t *codes = malloc((size_t)(2 * g.K * g.T) * sizeof *codes);
    float *pcm = malloc((size_t)(2 * g.N) * sizeof *pcm);
    float *want = codec_decode(&f, g.codes, g.T, g.T), *got = malloc((size_t)g.N * sizeof *got);
    if (!codes || !pcm || !got) fail_msg("no memory");
    for (int64_t i = 0; i < 2 * g.K * g.T; i++) codes[i] = -1;
    for (int64_t k = 0; k < g.K; k++)
        memcpy(codes + (2 * k + 1) * g.T, g.codes + k * g.T, (size_t)g.T * sizeof *codes);
    for (int64_t i = 0; i < 2 * g.N; i++) pcm[i] = 7;
    GOLDEN_OK(mg_encodec_decode(f.codec, &(mg_encodec_pcm){pcm + 1, 2, g.N},
                                &(mg_encodec_codes){codes + g.T, 2 * g.T, g.T}, 1));
    for (int64_t i = 0; i < g.N; i++) {
        assert_true(pcm[2 * i] == 7);
        got[i] = pcm[2 * i + 1];
    }
    codec_assert_same_bits(got, want, g.N, "right channel");
    free(codes);
    free(pcm);
    free(want);
    free(got);
    codec_close(&f);
    golden_codec_close(&g);
}

/* A clip after another one sounds as it does alone: no state is left behind. */
static void test_again(void **state)
{
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, "tiny-variant");
    g.want.stretch = 4;
    codec_open(&f, &g.want);
    float *want = codec_decode(&f, g.codes, g.T, 9);
    free(codec_decode(&f, g.codes, g.T, g.T));
    float *got = codec_decode(&f, g.codes, g.T, 9);
    codec_assert_same_bits(got, want, 9 * g.config.hop, "again");
    free(want);
    free(got);
    codec_close(&f);
    golden_codec_close(&g);
}

/* Clips of these lengths at hand together, and some more: each sounds as it does alone. */
static void check_together(const codec_want *how, const int64_t *T, int n)
{
    enum { MOST = 16 };
    const int64_t K = how->config->n_codebooks, V = how->config->codebook_size, hop = how->config->hop;
    mg_encodec_codes codes[MOST];
    mg_encodec_pcm pcm[MOST];
    codec_fixture f;

    for (int i = 0; i < n; i++) {
        codes[i] = (mg_encodec_codes){malloc((size_t)(K * T[i]) * sizeof(int32_t)), T[i], T[i]};
        pcm[i] = (mg_encodec_pcm){calloc((size_t)(T[i] * hop), sizeof(float)), 1, T[i] * hop};
        if (!codes[i].codes || !pcm[i].pcm) fail_msg("no memory");
        for (int64_t k = 0; k < K * T[i]; k++)
            codes[i].codes[k] = (int32_t)(((uint64_t)(k + 31 * i) * 2654435761U >> 7) % (uint64_t)V);
    }
    for (int64_t n_at_once = 2; n_at_once <= 5; n_at_once += 3) {
        codec_want want = *how;
        want.n_at_once = n_at_once;
        codec_open(&f, &want);
        GOLDEN_OK(mg_encodec_decode(f.codec, pcm, codes, n));
        for (int i = 0; i < n; i++) {
            char what[64];
            snprintf(what, sizeof what, "clip %d of %d frames, %d at once", i, (int)T[i], (int)n_at_once);
            float *alone = codec_decode(&f, codes[i].codes, T[i], T[i]);
            codec_assert_same_bits(pcm[i].pcm, alone, pcm[i].N, what);
            memset(pcm[i].pcm, 0, (size_t)pcm[i].N * sizeof(float));
            free(alone);
        }
        codec_close(&f);
    }
    for (int i = 0; i < n; i++) free(codes[i].codes), free(pcm[i].pcm);
}

static void test_together(void **state)
{
    static const int64_t some[] = {1, 33, 7, 300, 26, 2, 25, 61, 1}, equal[] = {9, 9, 9};
    mg_checkpoint *file = golden_open("codec_ops.safetensors");
    golden_codec g;

    (void)state;
    for (int i = 0; i < N_ODD_CODECS; i++) {
        const mg_codec_config config = codec_odd_config(file, i);
        char prefix[32];
        snprintf(prefix, sizeof prefix, "codec%d.", i);
        const codec_want want = {.config = &config,
                                 .path = CODEC_OPS,
                                 .prefix = prefix,
                                 .halves = MG_ENCODEC_DECODER,
                                 .block = 7,
                                 .stretch = 4};
        check_together(&want, some + (test_cuts() ? 4 : 0), test_cuts() ? 4 : 9);
    }
    mg_checkpoint_close(file);
    golden_codec_open(&g, "tiny-mono");
    g.want.n_threads = 2;
    check_together(&g.want, test_cuts() ? equal : some, test_cuts() ? 3 : 9);
    golden_codec_close(&g);
}

/* The golden clip among others at hand is the golden one still. */
static void test_golden_together(void **state)
{
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, "tiny-mono");
    g.want.n_at_once = 3;
    codec_open(&f, &g.want);
    float *got = calloc((size_t)(2 * g.N + g.config.hop), sizeof *got);
    if (!got) fail_msg("no memory");
    const mg_encodec_codes codes[] = {{g.codes, g.T, 1}, {g.codes, g.T, g.T}, {g.codes, g.T, g.T}};
    const mg_encodec_pcm pcm[] = {
        {got, 1, g.config.hop}, {got + g.config.hop, 1, g.N}, {got + g.config.hop + g.N, 1, g.N}};
    GOLDEN_OK(mg_encodec_decode(f.codec, pcm, codes, 3));
    golden_close("one frame", got, g.one_frame, g.config.hop, TOLERANCE);
    golden_close("beside it", got + g.config.hop, g.audio, g.N, TOLERANCE);
    golden_close("and once more", got + g.config.hop + g.N, g.audio, g.N, TOLERANCE);
    free(got);
    codec_close(&f);
    golden_codec_close(&g);
}

/* Each of these tensors matters. */
static void test_perturbed(void **state)
{
    static const char *const names[] = {
        "quantizer.layers.3.codebook.embed",       "decoder.layers.0.conv.weight_v",
        "decoder.layers.1.lstm.weight_hh_l1",      "decoder.layers.1.lstm.bias_ih_l0",
        "decoder.layers.6.conv.weight_g",          "decoder.layers.9.conv.bias",
        "decoder.layers.10.block.3.conv.weight_v", "decoder.layers.15.conv.weight_v",
    };
    golden_codec g;
    char path[1100];

    (void)state;
    if (test_thins()) skip(); /* which tensors matter is the model's, whatever the backend */
    golden_codec_open(&g, "tiny-mono");
    snprintf(path, sizeof path, "%s/model.safetensors", g.dir);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        patched_file p = {0};
        codec_fixture f;
        char name[128];
        float value;
        snprintf(name, sizeof name, "audio_encoder.%s", names[i]);
        patched_read(&p, path);
        char *at = patched_tensor(&p, name) + (i == 0 ? 4 * g.codes[3 * g.T] * g.config.codebook_dim : 0);
        memcpy(&value, at, sizeof value);
        value += 0.5F;
        memcpy(at, &value, sizeof value);
        patched_write(&p, 0);
        g.want.path = p.path;
        codec_open(&f, &g.want);
        float *got = codec_decode(&f, g.codes, g.T, g.T);
        golden_not_close(names[i], got, g.audio, g.N, TOLERANCE);
        free(got);
        codec_close(&f);
        patched_close(&p);
    }
    golden_codec_close(&g);
}

static void test_bad_codes(void **state)
{
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, "tiny-mono");
    const mg_encodec_codes codes = {g.codes, g.T, g.T}, fewer = {g.codes, g.T, g.T - 1};
    const mg_encodec_pcm pcm = {g.audio, 1, g.N};
    codec_open(&f, &g.want);
    g.codes[2 * g.T + 5] = 64;
    assert_int_equal(mg_encodec_decode(f.codec, &pcm, &codes, 1), MG_EFAIL);
    assert_string_equal(mg_last_error(), "codes: 64: codebook 2, frame 5: must be in 0 … 63");
    g.codes[g.T] = -1;
    assert_int_equal(mg_encodec_decode(f.codec, &pcm, &codes, 1), MG_EFAIL);
    assert_string_equal(mg_last_error(), "codes: -1: codebook 1, frame 0: must be in 0 … 63");
    assert_int_equal(mg_encodec_decode(f.codec, &pcm, &fewer, 1), MG_EBUG);
    assert_int_equal(mg_encodec_encode(f.codec, &codes, &pcm, 1), MG_EBUG); /* that half is not there */
    codec_close(&f);
    golden_codec_close(&g);
}

/* What the codec does not do is a problem of the survey, beside the missing tensors, those of the half that
 * nobody asked for included. */
static void test_unsupported(void **state)
{
    static const char *const found[] = {"audio_channels: 2", "use_conv_shortcut",
                                        "decoder.layers.1.lstm.weight_ih_l2",
                                        "encoder.layers.13.lstm.weight_ih_l2"};
    mg_arena measured = mg_arena_measure("weights");
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, "tiny-mono");
    codec_backend(&f, &g.want);
    g.config.n_channels = 2;
    g.config.conv_shortcut = true;
    g.config.n_lstm_layers = 3;
    assert_int_equal(codec_load(&f, &measured, &g.want), MG_ECHECKPOINT);
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        assert_non_null(strstr(mg_last_error(), found[i]));
    mg_encodec_close(NULL);
    codec_close(&f);
    golden_codec_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_audiocraft),
        cmocka_unit_test(test_odd_shapes),  cmocka_unit_test(test_stretches),
        cmocka_unit_test(test_channel),     cmocka_unit_test(test_again),
        cmocka_unit_test(test_together),    cmocka_unit_test(test_golden_together),
        cmocka_unit_test(test_perturbed),   cmocka_unit_test(test_bad_codes),
        cmocka_unit_test(test_unsupported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
