/* EnCodec's decoder against transformers: two tiny codecs from their checkpoint folders, and a few of odd
 * shapes (dilated residual units, zero padding, no clip longer than its padding) from codec_ops.safetensors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cpu.h"
#include "encodec_parts.h"
#include "golden.h"
#include "patched_file.h"

#define TOLERANCE 1e-4 /* 5e-7 observed with the checkpoints, 2.5e-6 with the odd shapes */

typedef struct codec_fixture {
    mg_threads *threads;
    mg_ops *ops;
    mg_checkpoint *checkpoint;
    mg_arena weights, run;
    mg_encodec *codec;
} codec_fixture;

static mg_arena real_arena(const codec_fixture *f, const mg_arena *measured)
{
    void *block = NULL;

    GOLDEN_OK(f->ops->alloc(f->ops->ctx, &block, measured->peak_bytes));
    return mg_arena_over(measured->name, block, measured->peak_bytes);
}

static mg_status load(codec_fixture *f, mg_arena *arena, const mg_codec_config *config, const char *prefix)
{
    mg_weights w;
    mg_status st = MG_OK;

    mg_weights_init(&w, f->ops, f->checkpoint, arena, prefix);
    MG_TRY(mg_encodec_load(&f->codec, config, &w));
    st = mg_weights_verdict(&w);
done:
    mg_weights_close(&w);
    return st;
}

/* A decoder at any level of instructions. stretch 0: its own choice. */
static void fixture_open(codec_fixture *f, const mg_codec_config *config, const char *weights_path,
                         const char *prefix, mg_cpu_level level, int n_threads, int64_t stretch,
                         int64_t T_max)
{
    mg_arena measured = mg_arena_measure("weights");

    *f = (codec_fixture){0};
    GOLDEN_OK(mg_threads_open(&f->threads, n_threads, 0));
    GOLDEN_OK(mg_cpu_open(&f->ops, level, f->threads));
    if (weights_path) GOLDEN_OK(mg_checkpoint_open(&f->checkpoint, weights_path));
    GOLDEN_OK(load(f, &measured, config, prefix));
    f->weights = real_arena(f, &measured);
    GOLDEN_OK(load(f, &f->weights, config, prefix));
    assert_int_equal(f->weights.used_bytes, measured.used_bytes);
    if (stretch) f->codec->stretch = stretch;
    measured = mg_arena_measure("run");
    GOLDEN_OK(mg_encodec_reserve(f->codec, &measured, T_max));
    f->run = real_arena(f, &measured);
    GOLDEN_OK(mg_encodec_reserve(f->codec, &f->run, T_max));
    assert_int_equal(f->run.used_bytes, measured.used_bytes);
}

static void fixture_close(codec_fixture *f)
{
    mg_encodec_close(f->codec);
    f->ops->release(f->ops->ctx, f->weights.base, f->weights.size_bytes);
    f->ops->release(f->ops->ctx, f->run.base, f->run.size_bytes);
    mg_checkpoint_close(f->checkpoint);
    f->ops->close(f->ops);
    mg_threads_close(f->threads);
}

static float *decode(const codec_fixture *f, const int32_t *codes, int64_t T)
{
    const int64_t N = T * f->codec->config.hop;
    float *pcm = malloc((size_t)N * sizeof *pcm);

    if (!pcm) fail_msg("no memory");
    for (int64_t n = 0; n < N; n++) pcm[n] = NAN;
    GOLDEN_OK(mg_encodec_decode(f->codec, pcm, codes, T));
    return pcm;
}

static void assert_same_bits(const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a)) fail_msg("sample %d: %.9g and %.9g", (int)i, a[i], b[i]);
}

/* One of the tiny checkpoints with what transformers decodes from it. */
typedef struct golden_codec {
    mg_codec_config config;
    mg_checkpoint *file;
    char dir[1024];
    int64_t K, T, N;
    int32_t *codes;
    float *audio, *one_frame;
} golden_codec;

static void golden_codec_open(golden_codec *g, const char *root, const char *model)
{
    mg_config config;
    char path[1024];

    snprintf(g->dir, sizeof g->dir, "%s/checkpoints/%s", root, model);
    GOLDEN_OK(mg_config_load(&config, g->dir));
    g->config = config.codec;
    snprintf(path, sizeof path, "%s/hf/%s.codec.safetensors", root, model);
    GOLDEN_OK(mg_checkpoint_open(&g->file, path));
    g->codes = golden_i32(g->file, "decode_codes", NULL);
    g->K = golden_tensor(g->file, "decode_codes")->dim[0];
    g->T = golden_tensor(g->file, "decode_codes")->dim[1];
    g->audio = golden_f32(g->file, "decode_audio", &g->N);
    g->one_frame = golden_f32(g->file, "decode_one_frame_audio", NULL);
    assert_int_equal(g->K, g->config.n_codebooks);
    assert_int_equal(g->N, g->T * g->config.hop);
}

static void golden_codec_close(golden_codec *g)
{
    free(g->codes);
    free(g->audio);
    free(g->one_frame);
    mg_checkpoint_close(g->file);
}

static void check_golden(const char *root, const char *model)
{
    golden_codec g;
    int32_t first[MG_MAX_CODEBOOKS];

    golden_codec_open(&g, root, model);
    for (int64_t k = 0; k < g.K; k++) first[k] = g.codes[k * g.T];
    for (int level = MG_CPU_SCALAR; level <= (int)mg_cpu_best_level(); level++) {
        codec_fixture f;
        char what[256];
        fixture_open(&f, &g.config, g.dir, "audio_encoder.", (mg_cpu_level)level, 2, 0, g.T);
        float *got = decode(&f, g.codes, g.T), *got_one = decode(&f, first, 1);
        snprintf(what, sizeof what, "%s, %s, %d frames", model, f.ops->name, (int)g.T);
        golden_close(what, got, g.audio, g.N, TOLERANCE);
        snprintf(what, sizeof what, "%s, %s, 1 frame", model, f.ops->name);
        golden_close(what, got_one, g.one_frame, g.config.hop, TOLERANCE);
        free(got);
        free(got_one);
        fixture_close(&f);
    }
    golden_codec_close(&g);
}

static void test_golden(void **state)
{
    (void)state;
    check_golden(MG_GOLDEN_DIR, "tiny-mono");
    check_golden(MG_GOLDEN_DIR, "tiny-variant");
}

static void test_golden_shared(void **state)
{
    char path[1024];

    (void)state;
    if (golden_shared_missing("hf/tiny-stereo.codec.safetensors", path, sizeof path)) return;
    check_golden(MG_SHARED_DIR "/golden", "tiny-stereo");
}

/* The decoders of odd shape in codec_ops.safetensors: config as its `geometry` says. */
static mg_codec_config odd_config(const mg_checkpoint *file, int i)
{
    char name[64];
    int64_t count;

    snprintf(name, sizeof name, "codec%d.geometry", i);
    int32_t *g = golden_i32(file, name, &count);
    mg_codec_config c = {.n_channels = 1,
                         .codebook_size = 16,
                         .n_filters = g[0],
                         .hidden_size = g[1],
                         .codebook_dim = g[1],
                         .n_residual_layers = g[2],
                         .kernel_size = g[3],
                         .last_kernel_size = g[4],
                         .residual_kernel_size = g[5],
                         .dilation_growth = g[6],
                         .compress = g[7],
                         .n_lstm_layers = g[8],
                         .pad_reflect = g[9],
                         .n_ratios = count - 10,
                         .hop = 1};
    for (int64_t k = 0; k < c.n_ratios; k++) c.hop *= c.ratio[k] = g[10 + k];
    snprintf(name, sizeof name, "codec%d.codes.1", i);
    c.n_codebooks = golden_tensor(file, name)->dim[0];
    free(g);
    return c;
}

/* One clip of T frames, decoded `stretch` frames at a time. */
static void check_odd(const mg_checkpoint *file, const mg_codec_config *config, int i, int T, int64_t stretch)
{
    char name[64], prefix[16];
    codec_fixture f;
    int64_t n_samples;

    snprintf(prefix, sizeof prefix, "codec%d.", i);
    snprintf(name, sizeof name, "codec%d.codes.%d", i, T);
    int32_t *codes = golden_i32(file, name, NULL);
    snprintf(name, sizeof name, "codec%d.audio.%d", i, T);
    float *want = golden_f32(file, name, &n_samples);
    assert_int_equal(n_samples, T * config->hop);
    fixture_open(&f, config, MG_GOLDEN_DIR "/codec_ops.safetensors", prefix, MG_CPU_AUTO, 1, stretch, T);
    float *got = decode(&f, codes, T);
    snprintf(name, sizeof name, "odd codec %d, %d frames by %d", i, T, (int)stretch);
    golden_close(name, got, want, n_samples, TOLERANCE);
    f.codec->config.pad_reflect = !f.codec->config.pad_reflect;
    float *other = decode(&f, codes, T);
    golden_not_close("the other padding", other, want, n_samples, TOLERANCE);
    free(codes);
    free(want);
    free(got);
    free(other);
    fixture_close(&f);
}

static void test_odd_shapes(void **state)
{
    static const int frames[] = {1, 2, 3, 4, 5, 11};
    mg_checkpoint *file = golden_open("codec_ops.safetensors");

    (void)state;
    for (int i = 0; i < 2; i++) {
        const mg_codec_config config = odd_config(file, i);
        for (size_t k = 0; k < sizeof frames / sizeof *frames; k++)
            for (int64_t stretch = 1; stretch <= 16; stretch *= 4)
                check_odd(file, &config, i, frames[k], stretch);
    }
    mg_checkpoint_close(file);
}

/* Whatever is decoded at once, by however many threads: the same samples. */
static void test_stretches(void **state)
{
    static const int64_t stretch[] = {1, 2, 3, 5, 7, 16, 36, 37, 50};
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, MG_GOLDEN_DIR, "tiny-mono");
    fixture_open(&f, &g.config, g.dir, "audio_encoder.", MG_CPU_AUTO, 1, 0, g.T);
    float *want = decode(&f, g.codes, g.T);
    fixture_close(&f);
    for (size_t i = 0; i < sizeof stretch / sizeof *stretch; i++)
        for (int n_threads = 1; n_threads <= 4; n_threads += 3) {
            fixture_open(&f, &g.config, g.dir, "audio_encoder.", MG_CPU_AUTO, n_threads, stretch[i], g.T + 5);
            float *got = decode(&f, g.codes, g.T);
            assert_same_bits(got, want, g.N);
            free(got);
            fixture_close(&f);
        }
    free(want);
    golden_codec_close(&g);
}

/* A clip after another one sounds as it does alone: no state is left behind. */
static void test_again(void **state)
{
    golden_codec g;
    codec_fixture f;

    (void)state;
    golden_codec_open(&g, MG_GOLDEN_DIR, "tiny-variant");
    fixture_open(&f, &g.config, g.dir, "audio_encoder.", MG_CPU_AUTO, 1, 4, g.T);
    float *want = decode(&f, g.codes, 9);
    free(decode(&f, g.codes, g.T));
    float *got = decode(&f, g.codes, 9);
    assert_same_bits(got, want, 9 * g.config.hop);
    free(want);
    free(got);
    fixture_close(&f);
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
    golden_codec_open(&g, MG_GOLDEN_DIR, "tiny-mono");
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
        fixture_open(&f, &g.config, p.path, "audio_encoder.", MG_CPU_AUTO, 1, 0, g.T);
        float *got = decode(&f, g.codes, g.T);
        golden_not_close(names[i], got, g.audio, g.N, TOLERANCE);
        free(got);
        fixture_close(&f);
        patched_close(&p);
    }
    golden_codec_close(&g);
}

static void test_bad_codes(void **state)
{
    golden_codec g;
    codec_fixture f;
    float *pcm;

    (void)state;
    golden_codec_open(&g, MG_GOLDEN_DIR, "tiny-mono");
    pcm = malloc((size_t)g.N * sizeof *pcm);
    fixture_open(&f, &g.config, g.dir, "audio_encoder.", MG_CPU_AUTO, 1, 0, g.T);
    g.codes[2 * g.T + 5] = 64;
    assert_int_equal(mg_encodec_decode(f.codec, pcm, g.codes, g.T), MG_EFAIL);
    assert_string_equal(mg_last_error(), "codes: 64: codebook 2, frame 5: must be in 0 … 63");
    g.codes[g.T] = -1;
    assert_int_equal(mg_encodec_decode(f.codec, pcm, g.codes, g.T), MG_EFAIL);
    assert_string_equal(mg_last_error(), "codes: -1: codebook 1, frame 0: must be in 0 … 63");
    assert_int_equal(mg_encodec_decode(f.codec, pcm, g.codes, g.T + 1), MG_EBUG);
    free(pcm);
    fixture_close(&f);
    golden_codec_close(&g);
}

/* What the decoder does not do is a problem of the survey, beside the missing tensors. */
static void test_unsupported(void **state)
{
    golden_codec g;
    codec_fixture f = {0};
    mg_arena measured = mg_arena_measure("weights");
    mg_weights w;

    (void)state;
    golden_codec_open(&g, MG_GOLDEN_DIR, "tiny-mono");
    GOLDEN_OK(mg_threads_open(&f.threads, 1, 0));
    GOLDEN_OK(mg_cpu_open(&f.ops, MG_CPU_AUTO, f.threads));
    GOLDEN_OK(mg_checkpoint_open(&f.checkpoint, g.dir));
    g.config.n_channels = 2;
    g.config.conv_shortcut = true;
    g.config.n_lstm_layers = 3;
    mg_weights_init(&w, f.ops, f.checkpoint, &measured, "audio_encoder.");
    GOLDEN_OK(mg_encodec_load(&f.codec, &g.config, &w));
    assert_int_equal(mg_weights_verdict(&w), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "audio_channels: 2"));
    assert_non_null(strstr(mg_last_error(), "use_conv_shortcut"));
    assert_non_null(strstr(mg_last_error(), "decoder.layers.1.lstm.weight_ih_l2"));
    mg_weights_close(&w);
    mg_encodec_close(f.codec);
    mg_encodec_close(NULL);
    mg_checkpoint_close(f.checkpoint);
    f.ops->close(f.ops);
    mg_threads_close(f.threads);
    golden_codec_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_golden_shared),
        cmocka_unit_test(test_odd_shapes), cmocka_unit_test(test_stretches),
        cmocka_unit_test(test_again),      cmocka_unit_test(test_perturbed),
        cmocka_unit_test(test_bad_codes),  cmocka_unit_test(test_unsupported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
