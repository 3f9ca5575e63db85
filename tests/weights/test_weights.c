/* Loading: every missing tensor is listed, wrong shapes and values are named, the dialects of weight
 * normalisation give one convolution, a file out of alignment loads, and random weights are repeatable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "checkpoint_read.h"
#include "lora_change.h"
#include "model_fixture.h"
#include "patched_file.h"
#include "weights_source.h"

#define TINY_MONO MG_GOLDEN_DIR "/checkpoints/tiny-mono"

static const char fc1[] = "decoder.model.decoder.layers.1.fc1.weight";

static int setup(void **state)
{
    if (fixture_setup(state)) return 1;
    fixture *f = *state;
    GOLDEN_OK(mg_config_load(&f->config, TINY_MONO));
    return 0;
}

/* Survey T5 and LM of a checkpoint file; the message stays in mg_last_error. */
static mg_status survey(fixture *f, const char *path, int *n_problems)
{
    mg_arena measured = mg_arena_measure("weights");
    mg_comm *comm;
    mg_weights w;

    GOLDEN_OK(mg_comm_self_open(&comm));
    GOLDEN_OK(mg_checkpoint_open(&f->checkpoint, path));
    mg_weights_init(&w, f->ops, f->checkpoint, &measured, "text_encoder.");
    GOLDEN_OK(mg_t5_load(&f->t5, &f->config.t5, &w));
    w.prefix = "";
    GOLDEN_OK(mg_lm_load(&f->lm, &f->config.lm, (mg_lm_formats){MG_FORMAT_F32, MG_FORMAT_F32}, comm, &w));
    const mg_status st = mg_weights_check_survey(&w);
    *n_problems = w.n_problems;
    mg_weights_close(&w);
    mg_t5_close(f->t5);
    mg_lm_close(f->lm);
    mg_comm_close(comm);
    mg_checkpoint_close(f->checkpoint);
    f->t5 = NULL;
    f->lm = NULL;
    return st;
}

static void test_all_missing_are_listed(void **state)
{
    static const char *const lost[3] = {"text_encoder.encoder.block.1.layer.0.SelfAttention.k.weight",
                                        "decoder.model.decoder.layers.0.encoder_attn.v_proj.weight",
                                        "decoder.lm_heads.2.weight"};
    patched_file p = {0};
    int n_problems;

    patched_read(&p, TINY_MONO "/model.safetensors");
    for (int i = 0; i < 3; i++) {
        char renamed[128];
        snprintf(renamed, sizeof renamed, "lost.%d", i);
        assert_int_equal(patched_rename(&p, lost[i], renamed), 1);
    }
    patched_write(&p, 0);
    assert_int_equal(survey(*state, p.path, &n_problems), MG_ECHECKPOINT);
    assert_int_equal(n_problems, 3);
    for (int i = 0; i < 3; i++) assert_non_null(strstr(mg_last_error(), lost[i]));
    patched_close(&p);
    GOLDEN_OK(survey(*state, TINY_MONO, &n_problems));
    assert_int_equal(n_problems, 0);
}

/* A file of something else: lines of one pattern are one, with their count, and all are counted. */
static void test_hundred_missing(void **state)
{
    int n_problems, n_lines = 0, n_all = 0;

    assert_int_equal(survey(*state, MG_GOLDEN_DIR "/sampler.safetensors", &n_problems), MG_ECHECKPOINT);
    assert_true(n_problems > 50);
    for (const char *line = strchr(mg_last_error(), '\n'); line; line = strchr(line + 1, '\n')) {
        const char *end = strchr(line + 1, '\n'), *count = strstr(line, "  (");
        int n = 1;
        if (sscanf(line + 1, "  ... and %d more", &n) != 1 && count && (!end || count < end))
            assert_int_equal(sscanf(count, "  (%d)", &n), 1);
        n_all += n;
        n_lines++;
    }
    assert_int_equal(n_all, n_problems);
    assert_in_range(n_lines, 5, 21);
}

static void test_wrong_shape_is_named(void **state)
{
    patched_file p = {0};
    int n_problems;

    patched_read(&p, TINY_MONO "/model.safetensors");
    char *entry = strstr(p.header, fc1), *shape = entry ? strstr(entry, "[256,128]") : NULL;
    assert_non_null(shape);
    memcpy(shape, "[128,256]", 9);
    patched_write(&p, 0);
    assert_int_equal(survey(*state, p.path, &n_problems), MG_ECHECKPOINT);
    assert_int_equal(n_problems, 1);
    assert_non_null(strstr(mg_last_error(), fc1));
    assert_non_null(strstr(mg_last_error(), "shape [128,256], expected [256,128]"));
    patched_close(&p);
}

/* Load a part of one matrix; the packed bytes come back in f->weights. */
static mg_status load_part(fixture *f, const mg_checkpoint *c, mg_format format, mg_matrix *m,
                           const mg_weights_part *part)
{
    const mg_matrix shape = {.format = format, .n_out = part->n_rows, .n_in = part->n_cols, .n_slices = 1};
    mg_weights w;

    fixture_arena(f, &f->weights, "weights", mg_matrix_bytes(f->ops, &shape) + MG_ARENA_ALIGN);
    memset(f->weights.base, 0, f->weights.size_bytes);
    mg_weights_init(&w, f->ops, c, &f->weights, "");
    const mg_status st = mg_weights_matrix(&w, m, format, 1, part, 1);
    mg_weights_close(&w);
    return st;
}

static mg_status load_matrix(fixture *f, const mg_checkpoint *c, mg_format format, mg_matrix *m)
{
    const mg_weights_part part = {fc1, 256, 128, 0, 256, 0, 128};

    return load_part(f, c, format, m, &part);
}

static void release_weights(fixture *f)
{
    mg_ops_release(f->ops, f->weights.base, f->weights.size_bytes);
    f->weights = (mg_arena){0};
}

static void test_bad_values_are_counted(void **state)
{
    const float nan_value = NAN, infinite = -INFINITY;
    patched_file p = {0};
    mg_checkpoint *c;
    fixture *f = *state;
    mg_matrix m;

    patched_read(&p, TINY_MONO "/model.safetensors");
    memcpy(patched_tensor(&p, fc1) + 4 * 1000, &nan_value, 4);
    memcpy(patched_tensor(&p, fc1) + 4 * 1001, &infinite, 4);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&c, p.path));
    assert_int_equal(load_matrix(f, c, MG_FORMAT_BF16, &m), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), fc1));
    assert_non_null(strstr(mg_last_error(), "2 of 32768"));
    release_weights(f);

    const char *norm = "decoder.model.decoder.layers.1.final_layer_norm.bias";
    const int64_t D = 128;
    mg_arena arena;
    mg_tensor t;
    mg_weights w;
    mg_checkpoint_close(c);
    memcpy(patched_tensor(&p, norm), &nan_value, 4);
    unlink(p.path);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&c, p.path));
    fixture_arena(f, &arena, "weights", 4096);
    mg_weights_init(&w, f->ops, c, &arena, "");
    assert_int_equal(mg_weights_tensor(&w, &t, norm, 0, 1, &D), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), norm));
    mg_ops_release(f->ops, arena.base, arena.size_bytes);
    mg_weights_close(&w);
    mg_checkpoint_close(c);
    patched_close(&p);
}

/* What fp16 cannot hold: bf16 can, and 65519 is 65504 in fp16. Among them a NaN is what is wrong. */
static void test_large_values_are_counted(void **state)
{
    static const float large[3] = {65519, -65520, 1e30f};
    const float nan_value = NAN;
    patched_file p = {0};
    mg_checkpoint *c;
    fixture *f = *state;
    mg_matrix m;

    patched_read(&p, TINY_MONO "/model.safetensors");
    memcpy(patched_tensor(&p, fc1) + 4 * 32700, large, sizeof large);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&c, p.path));
    GOLDEN_OK(load_matrix(f, c, MG_FORMAT_BF16, &m));
    release_weights(f);
    assert_int_equal(load_matrix(f, c, MG_FORMAT_F16, &m), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), fc1));
    assert_non_null(strstr(mg_last_error(), "2 of 32768 values in"));
    assert_non_null(strstr(mg_last_error(), "beyond what fp16 can hold; use --dtype bf16"));
    release_weights(f);
    mg_checkpoint_close(c);

    memcpy(patched_tensor(&p, fc1), &nan_value, 4);
    unlink(p.path);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&c, p.path));
    assert_int_equal(load_matrix(f, c, MG_FORMAT_F16, &m), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "1 of 32768 values in"));
    assert_non_null(strstr(mg_last_error(), "NaN or Inf"));
    release_weights(f);
    mg_checkpoint_close(c);
    patched_close(&p);
}

/* An adapter's product, added to what a rank loads of a matrix: the packed bytes are those of merged weights,
 * of rows, of columns and of both, in all formats. */
static void test_adapter_is_added_in_parts(void **state)
{
    static const mg_weights_part parts[] = {{fc1, 256, 128, 0, 256, 0, 128},
                                            {fc1, 256, 128, 64, 64, 0, 128},
                                            {fc1, 256, 128, 0, 256, 64, 64},
                                            {fc1, 256, 128, 128, 64, 0, 64}};
    static const mg_format formats[] = {MG_FORMAT_F32, MG_FORMAT_BF16, MG_FORMAT_F16, MG_FORMAT_Q8,
                                        MG_FORMAT_Q4};
    enum { R = 5 };
    float a[R * 128], b[256 * R];
    const mg_lora_change change = {
        .a = mg_tensor_2d(a, MG_F32, R, 128), .b = mg_tensor_2d(b, MG_F32, 256, R), .scale = 0.3f};
    const mg_tensor_part all = {0, 256, 128, 128};
    patched_file p = {0};
    mg_checkpoint *plain, *merged;
    fixture *f = *state;
    mg_matrix m;

    for (int i = 0; i < R * 128; i++) a[i] = (float)(i * 37 % 101 - 50) / 64;
    for (int i = 0; i < R * 256; i++) b[i] = (float)(i * 53 % 103 - 51) / 256;
    GOLDEN_OK(mg_checkpoint_open(&plain, TINY_MONO "/model.safetensors"));
    GOLDEN_OK(mg_checkpoint_change(plain, fc1, &change, NULL));
    patched_read(&p, TINY_MONO "/model.safetensors");
    float *value = malloc(256 * 128 * sizeof *value);
    assert_non_null(value);
    assert_int_equal(mg_checkpoint_read(mg_checkpoint_find(plain, fc1), value, &all, NULL), 0);
    memcpy(patched_tensor(&p, fc1), value, 256 * 128 * sizeof *value);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&merged, p.path));
    for (size_t i = 0; i < 4 * sizeof formats / sizeof *formats; i++) {
        GOLDEN_OK(load_part(f, plain, formats[i / 4], &m, &parts[i % 4]));
        const mg_arena got = f->weights;
        GOLDEN_OK(load_part(f, merged, formats[i / 4], &m, &parts[i % 4]));
        assert_memory_equal(got.base, f->weights.base, mg_matrix_bytes(f->ops, &m));
        mg_ops_release(f->ops, got.base, got.size_bytes);
        release_weights(f);
    }
    b[7 * R] = NAN;
    assert_int_equal(load_matrix(f, plain, MG_FORMAT_BF16, &m), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "128 of 32768 values in"));
    assert_non_null(strstr(mg_last_error(), ", with the adapter, are NaN or Inf"));
    release_weights(f);
    free(value);
    mg_checkpoint_close(plain);
    mg_checkpoint_close(merged);
    patched_close(&p);
}

/* Zeros count where a piece of the file is nothing else: rows of zeros among others are no hole. */
static void test_zeros_of_a_piece(void **state)
{
    enum { O = 8, I = 16 };
    static float w[O][I], kept[O][I], got[O][I];
    const mg_lora_change change = {.is_whole = true, .whole = mg_tensor_2d(kept, MG_F32, O, I)};
    const mg_checkpoint_entry e = {
        .name = "w", .tensor = mg_tensor_2d(w, MG_F32, O, I), .file = "", .fd = -1, .change = &change};
    mg_weights_rows rows;

    (void)state;
    for (int o = 0; o < O; o += 2) kept[o][3] = 1;
    mg_host_matrix m = mg_weights_rows_of(&rows, &e, I, 0, O, 0, I);
    m.read(m.read_arg, got, 0, O, 0, I);
    assert_memory_equal(got, kept, sizeof kept);
    assert_int_equal(rows.zero_bytes, 0);
    m.read(m.read_arg, got, 1, 1, 0, I);
    assert_int_equal(rows.zero_bytes, sizeof *got);
    m = mg_weights_rows_of(&rows, &e, I, 0, O, 0, 8);
    m.read(m.read_arg, got, 0, O, 0, 8);
    assert_int_equal(rows.zero_bytes, O / 2 * 8 * sizeof(float));
}

/* A file that shrinks while it is open: an error, not a signal. */
static void test_shrunk_file(void **state)
{
    patched_file p = {0};
    mg_checkpoint *c;
    fixture *f = *state;
    mg_matrix m;

    patched_read(&p, TINY_MONO "/model.safetensors");
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&c, p.path));
    assert_int_equal(truncate(p.path, 100000), 0);
    assert_int_equal(load_matrix(f, c, MG_FORMAT_BF16, &m), MG_EFAIL);
    assert_non_null(strstr(mg_last_error(), p.path));
    assert_non_null(strstr(mg_last_error(), fc1));
    release_weights(f);
    mg_checkpoint_close(c);
    patched_close(&p);
}

static void test_unaligned_data(void **state)
{
    patched_file p = {0};
    mg_checkpoint *straight, *crooked;
    fixture *f = *state;
    mg_matrix a, b;

    patched_read(&p, TINY_MONO "/model.safetensors");
    patched_write(&p, 3);
    GOLDEN_OK(mg_checkpoint_open(&straight, TINY_MONO));
    GOLDEN_OK(mg_checkpoint_open(&crooked, p.path));
    assert_int_not_equal((uintptr_t)mg_checkpoint_find(crooked, fc1)->tensor.data % 4, 0);
    GOLDEN_OK(load_matrix(f, straight, MG_FORMAT_F32, &a));
    const mg_arena first = f->weights;
    GOLDEN_OK(load_matrix(f, crooked, MG_FORMAT_F32, &b));
    assert_memory_equal(first.base, f->weights.base, first.used_bytes);
    release_weights(f);
    f->weights = first;
    release_weights(f);
    mg_checkpoint_close(straight);
    mg_checkpoint_close(crooked);
    patched_close(&p);
}

/* The convolution's bytes, malloc'ed, as the backend lays them out; `like` holds its weight_v. */
static float *load_conv(fixture *f, const char *path, const char *name, const mg_checkpoint *like,
                        size_t *bytes)
{
    mg_conv conv = {.stride = 1, .dilation = 1};
    mg_tensor bias;
    mg_weights w;
    mg_checkpoint *c;
    char key[256];

    GOLDEN_OK(mg_checkpoint_open(&c, path));
    snprintf(key, sizeof key, "%s.weight_v", name);
    const mg_tensor *v = golden_tensor(like, key);
    snprintf(key, sizeof key, "%s.bias", name);
    conv.c_out = golden_tensor(like, key)->dim[0];
    conv.transposed = v->dim[0] != conv.c_out;
    conv.c_in = v->dim[conv.transposed ? 0 : 1];
    conv.n_taps = v->dim[2];
    if (conv.transposed) conv.stride = conv.n_taps / 2;
    *bytes = mg_conv_bytes(f->ops, &conv);
    fixture_arena(f, &f->weights, "weights", *bytes + 4096);
    memset(f->weights.base, 0, f->weights.size_bytes);
    mg_weights_init(&w, f->ops, c, &f->weights, "");
    GOLDEN_OK(mg_weights_conv(&w, &conv, &bias, name));
    float *copy = malloc(*bytes);
    assert_non_null(copy);
    memcpy(copy, conv.data, *bytes);
    release_weights(f);
    mg_weights_close(&w);
    mg_checkpoint_close(c);
    return copy;
}

static void test_dialects_of_a_convolution(void **state)
{
    static float pairs[1 << 20], fuseds[1 << 20];
    fixture *f = *state;
    patched_file p = {0};
    mg_checkpoint *like;
    int64_t n = 0;
    int n_convs = 0;

    patched_read(&p, TINY_MONO "/model.safetensors");
    assert_true(patched_rename(&p, ".weight_g\"", ".parametrizations.weight.original0\"") > 10);
    assert_true(patched_rename(&p, ".weight_v\"", ".parametrizations.weight.original1\"") > 10);
    patched_write(&p, 0);
    GOLDEN_OK(mg_checkpoint_open(&like, TINY_MONO));
    for (size_t i = 0; i < mg_checkpoint_count(like); i++) {
        const char *entry = mg_checkpoint_at(like, i)->name, *end = strstr(entry, ".weight_v");
        size_t bytes, bytes_renamed, bytes_fused;
        char name[256];
        if (!end) continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - entry), entry);
        float *pair = load_conv(f, TINY_MONO, name, like, &bytes);
        float *renamed = load_conv(f, p.path, name, like, &bytes_renamed);
        float *fused =
            load_conv(f, MG_GOLDEN_DIR "/checkpoints/tiny-mono-fused-no-positions", name, like, &bytes_fused);
        assert_true(bytes == bytes_renamed && bytes == bytes_fused);
        assert_memory_equal(pair, renamed, bytes);
        const int64_t count = (int64_t)(bytes / sizeof *pair);
        assert_true(n + count <= (int64_t)(sizeof pairs / sizeof *pairs));
        memcpy(pairs + n, pair, bytes);
        memcpy(fuseds + n, fused, bytes);
        n += count;
        n_convs++;
        free(pair);
        free(renamed);
        free(fused);
    }
    assert_int_equal(n_convs, 28);
    golden_close("convolutions fused here and by torch", pairs, fuseds, n, 1e-6);
    pairs[1] += 1e-3f;
    golden_not_close("convolution", pairs, fuseds, n, 1e-6);
    mg_checkpoint_close(like);
    patched_close(&p);
}

/* Survey and load count the same source bytes: the progress bar ends at its end. */
static void test_both_passes_count_the_same_bytes(void **state)
{
    fixture *f = *state;
    int64_t n_bytes[2];
    mg_arena measured = mg_arena_measure("weights"), real;
    mg_checkpoint *c;

    GOLDEN_OK(mg_checkpoint_open(&c, TINY_MONO));
    for (int pass = 0; pass < 2; pass++) {
        mg_weights w;
        if (pass) fixture_arena(f, &real, "weights", measured.peak_bytes);
        mg_weights_init(&w, f->ops, c, pass ? &real : &measured, "text_encoder.");
        GOLDEN_OK(mg_t5_load(&f->t5, &f->config.t5, &w));
        n_bytes[pass] = w.n_read_bytes;
        mg_weights_close(&w);
    }
    assert_true(n_bytes[0] == n_bytes[1] && n_bytes[0] > 100000);
    assert_int_equal(real.used_bytes, measured.used_bytes);
    mg_t5_close(f->t5);
    f->t5 = NULL;
    mg_ops_release(f->ops, real.base, real.size_bytes);
    mg_checkpoint_close(c);
}

static void test_random_weights_are_repeatable(void **state)
{
    fixture *f = *state;
    const int64_t dim[2] = {70, 4001};
    float *host[2];
    double sum = 0, square = 0;

    for (int i = 0; i < 2; i++) {
        mg_arena arena;
        mg_tensor t;
        mg_weights w;
        fixture_arena(f, &arena, "weights", 2 << 20);
        mg_weights_init(&w, f->ops, NULL, &arena, "");
        GOLDEN_OK(mg_weights_tensor(&w, &t, "some.weight", 0, 2, dim));
        host[i] = fixture_host(f, &t);
        mg_ops_release(f->ops, arena.base, arena.size_bytes);
        mg_weights_close(&w);
    }
    const int64_t n = dim[0] * dim[1];
    assert_memory_equal(host[0], host[1], (size_t)n * sizeof *host[0]);
    for (int64_t i = 0; i < n; i++) sum += host[0][i], square += (double)host[0][i] * host[0][i];
    assert_true(fabs(sum / (double)n) < 1e-3);
    assert_true(fabs(sqrt(square / (double)n * 4001) - 1) < 0.05);
    free(host[0]);
    free(host[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_missing_are_listed),
        cmocka_unit_test(test_hundred_missing),
        cmocka_unit_test(test_wrong_shape_is_named),
        cmocka_unit_test(test_bad_values_are_counted),
        cmocka_unit_test(test_large_values_are_counted),
        cmocka_unit_test(test_adapter_is_added_in_parts),
        cmocka_unit_test(test_zeros_of_a_piece),
        cmocka_unit_test(test_shrunk_file),
        cmocka_unit_test(test_unaligned_data),
        cmocka_unit_test(test_dialects_of_a_convolution),
        cmocka_unit_test(test_both_passes_count_the_same_bytes),
        cmocka_unit_test(test_random_weights_are_repeatable),
    };

    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
