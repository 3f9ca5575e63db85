/* EnCodec's encoder against transformers and AudioCraft: latents and codes of the tiny codecs, and of the odd
 * shapes in codec_ops.safetensors sounds of any length, down to one sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec_fixture.h"
#include "model_files.h"
#include "patched_file.h"

#define TOLERANCE 1e-4
#define CODEC_OPS MG_GOLDEN_DIR "/codec_ops.safetensors"

/* A golden clip with its latents, turned to time-major, and its codes. */
typedef struct golden_clip {
    mg_model_files *files;
    mg_checkpoint *file;
    int64_t N, T;
    float *audio, *latents; /* [N], [T,hidden_size] */
    int32_t *codes;         /* [K,T] */
    codec_want want;
} golden_clip;

static void golden_clip_open(golden_clip *g, const char *model, const char *golden, const char *name_prefix)
{
    char path[1024], name[64];
    int64_t count;

    *g = (golden_clip){0};
    snprintf(path, sizeof path, "%s/checkpoints/%s", MG_GOLDEN_DIR, model);
    GOLDEN_OK(mg_model_files_open(&g->files, &(mg_model_request){.codec = path}, MG_NEED_CODEC));
    g->file = golden_open(golden);
    const mg_codec_config *c = &g->files->config.codec;
    snprintf(name, sizeof name, "%sencode_audio", name_prefix);
    g->audio = golden_f32(g->file, name, &g->N);
    snprintf(name, sizeof name, "%sencode_codes", name_prefix);
    g->codes = golden_i32(g->file, name, &count);
    g->T = mg_encodec_frames(c, g->N);
    assert_int_equal(count, c->n_codebooks * g->T);
    snprintf(name, sizeof name, "%sencode_latents", name_prefix);
    float *by_channel = golden_f32(g->file, name, &count);
    assert_int_equal(count, c->hidden_size * g->T);
    g->latents = malloc((size_t)count * sizeof *g->latents);
    if (!g->latents) fail_msg("no memory");
    for (int64_t t = 0; t < g->T; t++)
        for (int64_t i = 0; i < c->hidden_size; i++)
            g->latents[t * c->hidden_size + i] = by_channel[i * g->T + t];
    free(by_channel);
    g->want = (codec_want){.config = c,
                           .checkpoint = g->files->codec.checkpoint,
                           .prefix = g->files->codec.prefix,
                           .halves = MG_ENCODEC_ENCODER};
}

static void golden_clip_close(golden_clip *g)
{
    free(g->audio);
    free(g->latents);
    free(g->codes);
    mg_checkpoint_close(g->file);
    mg_model_files_close(g->files);
}

static void check_golden(const char *model, const char *golden, const char *name_prefix, bool pad_reflect)
{
    golden_clip g;

    golden_clip_open(&g, model, golden, name_prefix);
    const int64_t n = g.T * g.want.config->hidden_size, n_codes = g.T * g.want.config->n_codebooks;
    assert_int_equal(g.want.config->pad_reflect, pad_reflect);
    for (mg_cpu_level level = MG_CPU_SCALAR; level <= test_last_level(); level = test_next_level(level)) {
        codec_fixture f;
        char what[256];
        g.want.level = level;
        g.want.n_threads = 1 + (int)level % 2;
        codec_open(&f, &g.want);
        float *latents = codec_latents(&f, g.audio, g.N);
        int32_t *codes = codec_encode(&f, g.audio, g.N);
        snprintf(what, sizeof what, "%s, %s, latents", model, f.ops->name);
        golden_close(what, latents, g.latents, n, TOLERANCE);
        assert_memory_equal(codes, g.codes, (size_t)n_codes * sizeof *codes);
        free(latents);
        free(codes);
        f.codec->config.pad_reflect = !pad_reflect;
        latents = codec_latents(&f, g.audio, g.N);
        golden_not_close("the other padding", latents, g.latents, n, TOLERANCE);
        free(latents);
        codec_close(&f);
    }
    golden_clip_close(&g);
}

static void test_golden(void **state)
{
    (void)state;
    check_golden("tiny-mono", "hf/tiny-mono.codec.safetensors", "", true);
    check_golden("tiny-stereo", "hf/tiny-stereo.codec.safetensors", "", true);
    check_golden("tiny-variant", "hf/tiny-variant.codec.safetensors", "", true);
}

static void test_audiocraft(void **state)
{
    (void)state;
    check_golden("ac-mono", "audiocraft/ac-mono.safetensors", "codec_", false);
    check_golden("ac-stereo", "audiocraft/ac-stereo.safetensors", "codec_", false);
    check_golden("ac-melody", "audiocraft/ac-melody.safetensors", "codec_", false);
    check_golden("ac-audiogen", "audiocraft/ac-audiogen.safetensors", "codec_", false);
}

/* The first convolution by itself, over the whole clip. */
static void test_first_conv(void **state)
{
    golden_clip g;
    codec_fixture f;
    void *block = NULL;

    (void)state;
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    codec_open(&f, &g.want);
    const mg_encodec_conv *first = &f.codec->encoder.layers[0].a;
    const int64_t N = g.N, C = first->conv.c_out, left = mg_encodec_pad_left(&first->conv),
                  right = mg_encodec_pad_right(&first->conv, N);
    const size_t bytes = (size_t)(N + N + left + right + N * C) * sizeof(float);
    GOLDEN_OK(mg_ops_alloc(f.ops, &block, bytes));
    mg_tensor x = mg_tensor_2d(block, MG_F32, N, 1),
              padded = mg_tensor_2d((float *)block + N, MG_F32, N + left + right, 1),
              y = mg_tensor_2d((float *)padded.data + N + left + right, MG_F32, N, C);
    GOLDEN_OK(mg_upload(f.ops, x.data, g.audio, mg_tensor_bytes(&x)));
    GOLDEN_OK(mg_pad(f.ops, &padded, &x, left, right, MG_PAD_REFLECT, MG_ACT_NONE));
    GOLDEN_OK(mg_conv1d(f.ops, &y, &padded, &first->conv, &first->bias, false));
    float *want = golden_f32(g.file, "encode_first_conv", NULL), *got = malloc((size_t)(N * C) * sizeof *got);
    float *rows = malloc(mg_tensor_bytes(&y));
    if (!got || !rows) fail_msg("no memory");
    GOLDEN_OK(mg_download(f.ops, rows, y.data, mg_tensor_bytes(&y)));
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) got[c * N + n] = rows[n * C + c];
    free(rows);
    golden_close("first convolution", got, want, N * C, TOLERANCE);
    free(want);
    free(got);
    mg_ops_release(f.ops, block, bytes);
    codec_close(&f);
    golden_clip_close(&g);
}

static codec_want odd_want(const mg_codec_config *config, int i, char prefix[32])
{
    snprintf(prefix, 32, "codec%d.", i);
    return (codec_want){.config = config,
                        .path = CODEC_OPS,
                        .prefix = prefix,
                        .halves = MG_ENCODEC_ENCODER | MG_ENCODEC_DECODER};
}

/* All the golden clips of an odd codec, `stretch` frames at a time. */
static void check_odd(const mg_checkpoint *file, const mg_codec_config *config, int i, int64_t stretch)
{
    char prefix[32], name[64];
    codec_want want = odd_want(config, i, prefix);
    codec_fixture f;
    int n_clips = 0;

    want.stretch = stretch;
    want.block = 1 + stretch / 2;
    codec_open(&f, &want);
    for (int64_t N = 1; N < 30 * config->hop; N++) {
        snprintf(name, sizeof name, "codec%d.encode.audio.%d", i, (int)N);
        if (!mg_checkpoint_find(file, name)) continue;
        n_clips++;
        float *audio = golden_f32(file, name, NULL);
        snprintf(name, sizeof name, "codec%d.encode.latents.%d", i, (int)N);
        float *latents = golden_f32(file, name, NULL), *got = codec_latents(&f, audio, N);
        snprintf(name, sizeof name, "codec%d.encode.codes.%d", i, (int)N);
        int32_t *codes = golden_i32(file, name, NULL), *got_codes = codec_encode(&f, audio, N);
        const int64_t T = mg_encodec_frames(config, N);
        snprintf(name, sizeof name, "odd codec %d, %d samples by %d frames", i, (int)N, (int)stretch);
        golden_close(name, got, latents, T * config->hidden_size, TOLERANCE);
        assert_memory_equal(got_codes, codes, (size_t)(config->n_codebooks * T) * sizeof *codes);
        free(audio);
        free(latents);
        free(got);
        free(codes);
        free(got_codes);
    }
    assert_true(n_clips >= 11);
    codec_close(&f);
}

static void test_odd_shapes(void **state)
{
    mg_checkpoint *file = golden_open("codec_ops.safetensors");

    (void)state;
    for (int i = 0; i < N_ODD_CODECS; i++) {
        const mg_codec_config config = codec_odd_config(file, i);
        for (int64_t stretch = 1; stretch <= 64; stretch *= 4) check_odd(file, &config, i, stretch);
    }
    mg_checkpoint_close(file);
}

/* Sounds of 1 … n_short samples, and one of n_long: the same latents as when all is encoded at once. */
static void check_stretches(const codec_want *how, int64_t n_short, int64_t by, int64_t n_long)
{
    static const int64_t stretch[] = {1, 2, 7, 25}, block[] = {1, 5, 256, 6};
    codec_want whole = *how;
    codec_fixture f, g;
    float *pcm = malloc((size_t)n_long * sizeof *pcm);

    if (!pcm) fail_msg("no memory");
    for (int64_t n = 0; n < n_long; n++) pcm[n] = sinf((float)n * 0.7F) * cosf((float)(n * n % 1009));
    whole.stretch = whole.block = n_long / how->config->hop + 2;
    codec_open(&f, &whole);
    for (size_t s = 0; s < sizeof stretch / sizeof *stretch; s += test_thins() ? 3 : 1) {
        codec_want parts = *how;
        parts.stretch = stretch[s];
        parts.block = block[s];
        parts.n_threads = 1 + (int)s % 2;
        codec_open(&g, &parts);
        const int64_t end = test_cuts() ? n_short : n_long, step = test_cuts() ? 40 * by : by;
        for (int64_t N = 1; N <= end; N = N < n_short ? N + step : N < end ? end : N + 1) {
            const int64_t T = mg_encodec_frames(how->config, N);
            char what[64];
            snprintf(what, sizeof what, "%d samples by %d frames", (int)N, (int)stretch[s]);
            float *want = codec_latents(&f, pcm, N), *got = codec_latents(&g, pcm, N);
            codec_assert_same_bits(got, want, T * how->config->hidden_size, what);
            int32_t *want_codes = codec_encode(&f, pcm, N), *codes = codec_encode(&g, pcm, N);
            codec_assert_same_bits(codes, want_codes, T * how->config->n_codebooks, what);
            free(want);
            free(got);
            free(want_codes);
            free(codes);
        }
        codec_close(&g);
    }
    codec_close(&f);
    free(pcm);
}

static void test_stretches(void **state)
{
    mg_checkpoint *file = golden_open("codec_ops.safetensors");
    golden_clip g;

    (void)state;
    for (int i = 0; i < 2 * N_ODD_CODECS; i += test_thins() ? 3 : 1) {
        char prefix[32];
        mg_codec_config config = codec_odd_config(file, i / 2);
        const codec_want want = odd_want(&config, i / 2, prefix);
        config.pad_reflect = i % 2;
        check_stretches(&want, 80, 1, 1500 * config.hop + 1);
        check_stretches(&want, 80 * config.hop, 7, 257 * config.hop);
    }
    mg_checkpoint_close(file);
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    check_stretches(&g.want, 5000, 331, 171 * 640 + 77);
    golden_clip_close(&g);
}

/* Rows of each strided convolution's output for awkward lengths, and the zeros or reflections on its right:
 * the tables of transformers' own lengths. */
static void test_lengths(void **state)
{
    enum { N_DOWN = 4 };
    static const struct {
        int64_t N, rows[N_DOWN], right[N_DOWN];
    } cases[] = {{32000, {8000, 2000, 400, 50}, {2, 2, 2, 4}},
                 {33333, {8334, 2084, 417, 53}, {5, 4, 3, 11}},
                 {641, {161, 41, 9, 2}, {5, 5, 6, 11}},
                 {640, {160, 40, 8, 1}, {2, 2, 2, 4}}};
    golden_clip g;
    codec_fixture f;

    (void)state;
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    codec_open(&f, &g.want);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n_down = 0;
        mg_encodec_measure(&f.codec->encoder, cases[i].N);
        for (int64_t l = 0; l < f.codec->encoder.n_layers; l++) {
            const mg_encodec_layer *layer = &f.codec->encoder.layers[l];
            if (layer->a.conv.stride == 1) continue;
            assert_int_equal(layer->N_out, cases[i].rows[n_down]);
            assert_int_equal(mg_encodec_pad_right(&layer->a.conv, layer->N_in), cases[i].right[n_down]);
            n_down++;
        }
        assert_int_equal(n_down, N_DOWN);
    }
    codec_close(&f);
    golden_clip_close(&g);
}

/* A channel of stereo; and both halves in one codec: what was encoded can be decoded. */
static void test_channel(void **state)
{
    golden_clip g;
    codec_fixture f;

    (void)state;
    golden_clip_open(&g, "tiny-stereo", "hf/tiny-stereo.codec.safetensors", "");
    g.want.halves = MG_ENCODEC_ENCODER | MG_ENCODEC_DECODER;
    codec_open(&f, &g.want);
    const int64_t K = g.want.config->n_codebooks, T = g.T;
    float *both = malloc((size_t)(2 * g.N) * sizeof *both);
    int32_t *codes = malloc((size_t)(2 * K * T) * sizeof *codes);
    if (!both || !codes) fail_msg("no memory");
    for (int64_t n = 0; n < g.N; n++) both[2 * n] = NAN, both[2 * n + 1] = g.audio[n];
    for (int64_t i = 0; i < 2 * K * T; i++) codes[i] = -7;
    GOLDEN_OK(mg_encodec_encode(f.codec, &(mg_encodec_codes){codes + T, 2 * T, T},
                                &(mg_encodec_pcm){both + 1, 2, g.N}, 1));
    for (int64_t k = 0; k < K; k++) {
        assert_memory_equal(codes + (2 * k + 1) * T, g.codes + k * T, (size_t)T * sizeof *codes);
        assert_int_equal(codes[2 * k * T], -7);
    }
    free(codec_decode(&f, g.codes, T, T));
    int32_t *again = codec_encode(&f, g.audio, g.N);
    assert_memory_equal(again, g.codes, (size_t)(K * T) * sizeof *codes);
    free(again);
    free(both);
    free(codes);
    codec_close(&f);
    golden_clip_close(&g);
}

/* Sounds of three lengths at hand, two at once: each has the codes that it has alone. */
static void test_together(void **state)
{
    golden_clip g;
    codec_fixture f;
    mg_encodec_codes codes[3];
    mg_encodec_pcm pcm[3];

    (void)state;
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    g.want.n_at_once = 2;
    codec_open(&f, &g.want);
    const int64_t K = g.want.config->n_codebooks, N[3] = {g.N / 3 + 5, g.N, 1};
    for (int i = 0; i < 3; i++) {
        const int64_t T = mg_encodec_frames(g.want.config, N[i]);
        codes[i] = (mg_encodec_codes){calloc((size_t)(K * T), sizeof(int32_t)), T, T};
        pcm[i] = (mg_encodec_pcm){g.audio, 1, N[i]};
        if (!codes[i].codes) fail_msg("no memory");
    }
    GOLDEN_OK(mg_encodec_encode(f.codec, codes, pcm, 3));
    for (int i = 0; i < 3; i++) {
        int32_t *alone = codec_encode(&f, g.audio, N[i]);
        assert_memory_equal(codes[i].codes, alone, (size_t)(K * codes[i].T) * sizeof *alone);
        free(alone);
    }
    assert_memory_equal(codes[1].codes, g.codes, (size_t)(K * g.T) * sizeof *g.codes);
    for (int i = 0; i < 3; i++) free(codes[i].codes);
    codec_close(&f);
    golden_clip_close(&g);
}

/* What is not asked for takes no memory. */
static void test_halves(void **state)
{
    static const int halves[] = {MG_ENCODEC_DECODER, MG_ENCODEC_ENCODER,
                                 MG_ENCODEC_DECODER | MG_ENCODEC_ENCODER};
    size_t bytes[3];
    golden_clip g;

    (void)state;
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    for (int i = 0; i < 3; i++) {
        codec_fixture f;
        g.want.halves = halves[i];
        codec_open(&f, &g.want);
        bytes[i] = f.weights.used_bytes;
        codec_close(&f);
    }
    assert_true(bytes[0] < bytes[2] && bytes[1] < bytes[2]);
    assert_true(bytes[2] < bytes[0] + bytes[1]); /* the tables are in both */
    golden_clip_close(&g);
}

/* Each of these tensors matters. */
static void test_perturbed(void **state)
{
    static const char *const names[] = {
        "encoder.layers.0.conv.weight_v",      "encoder.layers.1.block.1.conv.bias",
        "encoder.layers.6.conv.weight_g",      "encoder.layers.10.block.3.conv.weight_v",
        "encoder.layers.13.lstm.weight_hh_l1", "encoder.layers.13.lstm.bias_ih_l0",
        "encoder.layers.15.conv.weight_v",     "quantizer.layers.0.codebook.embed",
    };
    char path[1100];
    golden_clip g;

    (void)state;
    if (test_thins()) skip(); /* which tensors matter is the model's, whatever the backend */
    golden_clip_open(&g, "tiny-mono", "hf/tiny-mono.codec.safetensors", "");
    g.want.prefix = "audio_encoder.";
    const int64_t n = g.T * g.want.config->hidden_size, n_codes = g.T * g.want.config->n_codebooks;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const bool is_table = strstr(names[i], "embed") != NULL;
        patched_file p = {0};
        codec_fixture f;
        char name[128];
        float value;
        snprintf(path, sizeof path, "%s/checkpoints/tiny-mono/model.safetensors", MG_GOLDEN_DIR);
        snprintf(name, sizeof name, "audio_encoder.%s", names[i]);
        patched_read(&p, path);
        char *at = patched_tensor(&p, name) + (is_table ? 4 * g.codes[0] * g.want.config->codebook_dim : 0);
        memcpy(&value, at, sizeof value);
        value += is_table ? 100 : 0.5F;
        memcpy(at, &value, sizeof value);
        patched_write(&p, 0);
        g.want.path = p.path;
        codec_open(&f, &g.want);
        float *latents = codec_latents(&f, g.audio, g.N);
        int32_t *codes = codec_encode(&f, g.audio, g.N);
        if (is_table)
            assert_memory_not_equal(codes, g.codes, (size_t)n_codes * sizeof *codes);
        else
            golden_not_close(names[i], latents, g.latents, n, TOLERANCE);
        free(latents);
        free(codes);
        codec_close(&f);
        patched_close(&p);
    }
    golden_clip_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_audiocraft),
        cmocka_unit_test(test_first_conv), cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_stretches),  cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_channel),    cmocka_unit_test(test_together),
        cmocka_unit_test(test_halves),     cmocka_unit_test(test_perturbed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
