/* Adapters that PEFT has saved, merged: the bytes of each tensor against PEFT's own merge
 * (tests/golden/make_lora.py), and every piece that a rank may ask for against the whole. */
#include "io_fixture.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "checkpoint_read.h"
#include "hash.h"
#include "json.h"
#include "lora.h"
#include "lora_change.h"

#define LORA MG_GOLDEN_DIR "/lora/"

/* All of an entry, malloc'ed. */
static char *read_whole(const mg_checkpoint_entry *e)
{
    const mg_tensor_part part = {0, 1, mg_tensor_count(&e->tensor), mg_tensor_count(&e->tensor)};
    char *out = malloc(mg_tensor_bytes(&e->tensor) + 1);

    assert_non_null(out);
    assert_int_equal(mg_checkpoint_read(e, out, &part, NULL), 0);
    return out;
}

static void hash_entry(char sha256[65], const mg_checkpoint *c, const char *name)
{
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, name);

    if (!e) fail_msg("%s: missing", name);
    char *value = read_whole(e);
    expect_ok(mg_hash_bytes(sha256, value, mg_tensor_bytes(&e->tensor)));
    free(value);
}

/* A piece of an entry, and what of `whole` it must be. */
static void expect_part(const mg_checkpoint_entry *e, const char *whole, mg_tensor_part part)
{
    const size_t size = mg_dtype_bytes(e->tensor.dtype), n_row = (size_t)part.n_cols * size;
    char *got = malloc((size_t)part.n_rows * n_row + 1);

    assert_non_null(got);
    assert_int_equal(mg_checkpoint_read(e, got, &part, NULL), 0);
    for (int64_t i = 0; i < part.n_rows; i++)
        if (memcmp(got + (size_t)i * n_row, whole + (size_t)(part.first + i * part.stride) * size, n_row) !=
            0)
            fail_msg("%s: row %lld of %lld x %lld from %lld on is not that of the whole", e->name,
                     (long long)i, (long long)part.n_rows, (long long)part.n_cols, (long long)part.first);
    free(got);
}

/* Rows, columns and both, as 2, 4 and 8 ranks share them; runs that begin and end anywhere; a piece from its
 * middle that begins inside of a value. */
static void expect_parts(const mg_checkpoint_entry *e)
{
    const mg_tensor *t = &e->tensor;
    const int64_t n = mg_tensor_count(t), O = t->dim[0], I = n / O;
    char *whole = read_whole(e), piece[MG_SAMPLE_BYTES];
    size_t n_piece;

    for (int64_t T = 1; T <= 8; T *= 2)
        for (int64_t rank = 0; rank < T && O % T == 0 && I % T == 0; rank++) {
            expect_part(e, whole, (mg_tensor_part){rank * O / T * I, O / T, I, I});
            expect_part(e, whole, (mg_tensor_part){rank * I / T, O, I / T, I});
            expect_part(e, whole, (mg_tensor_part){rank * O / T * I + rank * I / T, O / T, I / T, I});
        }
    for (int64_t first = 0; first < n; first += n / 7 + 1) {
        expect_part(e, whole, (mg_tensor_part){first, 1, n - first, n - first});
        expect_part(e, whole, (mg_tensor_part){first, 1, 1, n});
        if (first + 2 * I + 3 <= n) expect_part(e, whole, (mg_tensor_part){first, 3, 3, I});
    }
    for (size_t most = 1; most <= 6; most++) {
        expect_ok(mg_checkpoint_sample(piece, &n_piece, e, most));
        const size_t at = (mg_tensor_bytes(t) - n_piece) / 2;
        assert_memory_equal(piece, whole + at, n_piece);
    }
    free(whole);
}

static void merges_are_those_of_peft(void **state)
{
    cJSON *root;
    int n = 0;

    (void)state;
    expect_ok(mg_json_load(&root, LORA "merged.json"));
    for (const cJSON *item = root->child; item; item = item->next) {
        char path[512], before[65], after[65];
        mg_checkpoint *c, *adapter;
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/checkpoints/%s",
                 cJSON_GetObjectItem(item, "model")->valuestring);
        expect_ok(mg_checkpoint_open(&c, path));
        const cJSON *tensors = cJSON_GetObjectItem(item, "tensors");
        hash_entry(before, c, tensors->child->string);
        snprintf(path, sizeof path, LORA "%s", item->string);
        expect_ok(mg_lora_merge(c, path, &adapter));
        hash_entry(after, c, tensors->child->string);
        assert_string_not_equal(before, after);
        for (const cJSON *t = tensors->child; t; t = t->next, n++) {
            hash_entry(after, c, t->string);
            if (strcmp(after, cJSON_GetObjectItem(t, "sha256")->valuestring) != 0)
                fail_msg("%s: %s is not PEFT's", item->string, t->string);
            expect_parts(mg_checkpoint_find(c, t->string));
        }
        expect_ok(mg_checkpoint_check_files(c));
        mg_checkpoint_close(c);
        mg_checkpoint_close(adapter);
    }
    assert_true(n >= 40);
    cJSON_Delete(root);
}

static float noise(void)
{
    static uint32_t x = 1;

    return (float)((x = x * 1664525u + 1013904223u) >> 8) * 0x1p-22f - 2;
}

/* n values of a type in memory, at an odd address. */
static mg_tensor some_values(char *room, mg_dtype dtype, int64_t n_rows, int64_t n_cols)
{
    for (int64_t i = 0; i < n_rows * n_cols; i++) {
        const float value = noise();
        const mg_tensor one = mg_tensor_1d((void *)(uintptr_t)&value, MG_F32, 1);
        expect_ok(mg_tensor_read(room + 1 + i * (int64_t)mg_dtype_bytes(dtype), dtype, &one, 0, 1, NULL));
    }
    return mg_tensor_2d(room + 1, dtype, n_rows, n_cols);
}

static float value_at(const mg_tensor *t, int64_t i)
{
    float value;

    expect_ok(mg_tensor_read(&value, MG_F32, t, i, 1, NULL));
    return value;
}

enum { O = 67, I = 128 + 37, R_MOST = 35 };

/* Is what is read base + scale (the sum over ascending r, fused), rounded to the base's type? */
static void expect_plain_sum(const mg_checkpoint_entry *e, const mg_lora_change *x)
{
    char *whole = read_whole(e), stored[sizeof(double)];
    const mg_tensor merged = {whole, e->tensor.dtype, 2, {e->tensor.dim[0], e->tensor.dim[1], 1, 1}};
    const int64_t R = x->a.dim[0], n_cols = merged.dim[1];

    for (int64_t i = 0; i < O * I; i++) {
        const int64_t out = x->is_embedding ? i % n_cols : i / n_cols,
                      in = x->is_embedding ? i / n_cols : i % n_cols;
        float sum = 0;
        for (int64_t r = 0; r < R; r++)
            sum = fmaf(value_at(&x->b, out * R + r), value_at(&x->a, r * x->a.dim[1] + in), sum);
        const float value = value_at(&e->tensor, i) + sum * x->scale;
        const mg_tensor one = mg_tensor_1d((void *)(uintptr_t)&value, MG_F32, 1);
        expect_ok(mg_tensor_read(stored, merged.dtype, &one, 0, 1, NULL));
        assert_memory_equal(stored, whole + i * (int64_t)mg_dtype_bytes(merged.dtype),
                            mg_dtype_bytes(merged.dtype));
    }
    free(whole);
}

/* Blocks, rests and the processor's own instruction: the bits are those of the plain sum, in all types. */
static void a_product_is_the_plain_sum(void **state)
{
    static const int64_t ranks[] = {1, 3, 4, 9, 16, 17, R_MOST};
    static const mg_dtype types[] = {MG_F32, MG_BF16, MG_F16, MG_F64};
    static char w[8 * O * I + 1], a[8 * R_MOST * I + 1], b[8 * O * R_MOST + 1];

    (void)state;
    for (size_t i = 0; i < 7 * 4 * 2; i++) {
        const mg_dtype base = types[i % 4], adapter = types[(i + i / 8) % 4];
        const bool is_embedding = i / 4 % 2;
        const int64_t R = ranks[i / 8];
        const mg_lora_change x = {.a = some_values(a, adapter, R, I),
                                  .b = some_values(b, adapter, O, R),
                                  .is_embedding = is_embedding,
                                  .scale = 0.3f};
        const mg_checkpoint_entry e = {.name = "w",
                                       .tensor =
                                           some_values(w, base, is_embedding ? I : O, is_embedding ? O : I),
                                       .fd = -1,
                                       .change = &x};
        expect_plain_sum(&e, &x);
        expect_parts(&e);
    }
}

/* One after the other, each rounded; what is whole is put in the place of what was before. What does not fit
 * is counted. */
static void changes_follow_each_other(void **state)
{
    float one[4] = {1, 1, 1, 1}, two[4] = {2, 2, 2, 2}, many[4] = {65000, 65000, 65000, 65000};
    uint16_t w[4], got[4];
    const mg_lora_change add = {
        .a = mg_tensor_2d(two, MG_F32, 1, 2), .b = mg_tensor_2d(one, MG_F32, 2, 1), .scale = 1};
    const mg_lora_change whole = {
        .before = &add, .is_whole = true, .whole = mg_tensor_2d(many, MG_F32, 2, 2)};
    mg_lora_change last = add, most = add;
    const mg_tensor_part all = {0, 2, 2, 2};
    int64_t n_over = 0;

    (void)state;
    for (int i = 0; i < 4; i++) w[i] = mg_f32_to_f16(5);
    mg_checkpoint_entry e = {
        .name = "w", .tensor = mg_tensor_2d(w, MG_F16, 2, 2), .file = "", .fd = -1, .change = &add};
    assert_int_equal(mg_checkpoint_read(&e, got, &all, &n_over), 0);
    assert_int_equal(got[3], mg_f32_to_f16(7));
    last.before = &whole;
    e.change = &last; /* 65000 + 2: each of them is rounded to 64992 or 65024 */
    assert_int_equal(mg_checkpoint_read(&e, got, &all, &n_over), 0);
    assert_int_equal(got[3], mg_f32_to_f16(mg_f16_to_f32(mg_f32_to_f16(65000)) + 2));
    assert_int_equal(n_over, 0);
    most.before = &whole, most.scale = 1000;
    e.change = &most;
    assert_int_equal(mg_checkpoint_read(&e, got, &all, &n_over), 0);
    assert_int_equal(n_over, 4);
    assert_int_equal(got[0], 0x7c00);
}

/* A tensor's other name has its change as well; a part of it cannot. */
static void another_name_is_changed_too(void **state)
{
    static const char name[] = "decoder.model.decoder.layers.0.self_attn.q_proj.weight";
    mg_key_target whole = {.name = "other", .n_parts = 1}, part = {.name = "half", .i_part = 1, .n_parts = 2};
    mg_checkpoint *c, *adapter;
    char before[65], after[65];

    (void)state;
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
    hash_entry(before, c, name);
    expect_ok(mg_lora_merge(c, LORA "plain", &adapter));
    const char *source = mg_checkpoint_find(c, name)->source;
    expect_ok(mg_checkpoint_alias(c, &whole, source));
    hash_entry(after, c, name);
    assert_string_not_equal(before, after);
    hash_entry(before, c, "other");
    assert_string_equal(before, after);
    expect_failure(mg_checkpoint_alias(c, &part, source), MG_ECHECKPOINT,
                   "only a part of it would be half: merge the adapter");
    mg_checkpoint_close(c);
    mg_checkpoint_close(adapter);
}

/* The adapter of `from` with one word of its config changed, in the test's folder. */
static void put_changed(const char *from, const char *what, const char *by)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors"};

    for (int i = 0; i < 2; i++) {
        char path[512];
        int64_t bytes;
        snprintf(path, sizeof path, LORA "%s/%s", from, names[i]);
        char *data = get_file(path, &bytes), *text = malloc((size_t)bytes + 100);
        const char *at = i == 0 && what ? strstr(data, what) : NULL;
        assert_non_null(text);
        if (i == 0 && what && !at) fail_msg("%s is not in the config", what);
        size_t n = (size_t)bytes;
        memcpy(text, data, n);
        if (at) n = (size_t)sprintf(text, "%.*s%s%s", (int)(at - data), data, by, at + strlen(what));
        put_file(in_dir(names[i]), text, n);
        free(data);
        free(text);
    }
}

static void what_is_not_done_is_refused_by_name(void **state)
{
    static const struct {
        const char *what, *by, *says;
    } cases[] = {
        {"\"use_dora\": false", "\"use_dora\": true",
         "use_dora: true is not supported: merge the adapter in Python"},
        {"\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"",
         "peft_type: IA3 is not supported, only LORA: merge"},
        {"\"bias\": \"none\"", "\"bias\": \"some\"", "bias: some is not supported"},
        {"\"init_lora_weights\": false", "\"init_lora_weights\": \"pissa_niter_4\"",
         "init_lora_weights: pissa_niter_4 is not supported: merge the adapter in Python"},
        {"\"init_lora_weights\": false", "\"init_lora_weights\": \"olora\"",
         "init_lora_weights: olora is not supported"},
        {"\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true", "fan_in_fan_out"},
        {"\"layer_replication\": null", "\"layer_replication\": [[0, 1]]", "layer_replication"},
        {"\"use_dora\": false", "\"trainable_token_indices\": {\"embed_tokens.0\": [0, 5]}", /* PEFT 0.21's */
         "trainable_token_indices: what it says is not supported: merge the adapter in Python"},
        {"\"use_dora\": false", "\"kasa_config\": {\"beta\": 0.0001}", "kasa_config"},
        {"\"use_dora\": false", "\"use_bdlora\": {\"nblocks\": 1}", "use_bdlora"},
        {"\"use_dora\": false", "\"lora_ga_config\": {\"scale\": \"stable\"}", "lora_ga_config"},
        {"\"use_dora\": false", "\"velora_config\": {\"scale\": 1}", "velora_config"},
        {"\"use_dora\": false", "\"monteclora_config\": {\"n\": 2}", "monteclora_config"},
        {"\"alpha_pattern\": {}", "\"alpha_pattern\": {\"a.*\": 2}", "only plain names are supported"},
        {"\"alpha_pattern\": {}", "\"alpha_pattern\": {\"q_proj\": 1e999}",
         "alpha_pattern: inf is not possible"},
        {"\"lora_alpha\": 16", "\"lora_alpha\": \"x\"", "lora_alpha: \"x\": must be a finite number"},
    };
    mg_checkpoint *c, *adapter;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_changed("plain", cases[i].what, cases[i].by);
        expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
        expect_failure(mg_lora_merge(c, test_dir, &adapter), MG_ECHECKPOINT, cases[i].says);
        mg_checkpoint_close(c);
    }
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-variant")); /* of other widths */
    expect_failure(mg_lora_merge(c, LORA "plain", &adapter), MG_ECHECKPOINT, "do not go with the model's");
    expect_failure(mg_lora_merge(c, MG_GOLDEN_DIR, &adapter), MG_EFAIL, "no adapter_config.json");
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/encodec-hf")); /* of another kind */
    expect_failure(mg_lora_merge(c, LORA "plain", &adapter), MG_ECHECKPOINT,
                   "the language model has no such tensor");
    mg_checkpoint_close(c);
    expect_failure(mg_lora_refuse(LORA "plain"), MG_ECHECKPOINT,
                   "a LORA adapter for example/tiny-mono, not a model: give it as --lora, beside --model");
    expect_ok(mg_checkpoint_open(&c, LORA "plain/adapter_model.safetensors"));
    expect_failure(mg_lora_check_merged(c, "F"), MG_ECHECKPOINT,
                   "F: an adapter's weights (base_model.model.");
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, LORA "half-embedding/adapter_model.safetensors"));
    expect_failure(mg_lora_check_merged(c, "F"), MG_ECHECKPOINT,
                   "F: weights with an adapter that is not merged");
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
    expect_ok(mg_lora_check_merged(c, "F"));
    mg_checkpoint_close(c);
    expect_failure(mg_lora_refuse(LORA "plain/adapter_model.safetensors"), MG_ECHECKPOINT,
                   "a LORA adapter for");
    expect_ok(mg_lora_refuse(MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_are_those_of_peft),
        cmocka_unit_test(a_product_is_the_plain_sum),
        cmocka_unit_test(changes_follow_each_other),
        cmocka_unit_test(another_name_is_changed_too),
        cmocka_unit_test_setup_teardown(what_is_not_done_is_refused_by_name, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
