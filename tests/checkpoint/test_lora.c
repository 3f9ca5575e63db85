/* Adapters that PEFT has saved, merged: the bytes of each tensor against PEFT's own merge
 * (tests/golden/make_lora.py). */
#include "io_fixture.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "hash.h"
#include "json.h"
#include "lora.h"
#include "lora_product.h"

#define LORA MG_GOLDEN_DIR "/lora/"

static void hash_entry(char sha256[65], const mg_checkpoint *c, const char *name)
{
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, name);

    if (!e) fail_msg("%s: missing", name);
    expect_ok(mg_hash_bytes(sha256, e->tensor.data, mg_tensor_bytes(&e->tensor)));
}

static void merges_are_those_of_peft(void **state)
{
    cJSON *root;
    int n = 0;

    (void)state;
    expect_ok(mg_json_load(&root, LORA "merged.json"));
    for (const cJSON *item = root->child; item; item = item->next) {
        char path[512], before[65], after[65];
        mg_checkpoint *c;
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/checkpoints/%s",
                 cJSON_GetObjectItem(item, "model")->valuestring);
        expect_ok(mg_checkpoint_open(&c, path));
        const cJSON *tensors = cJSON_GetObjectItem(item, "tensors");
        hash_entry(before, c, tensors->child->string);
        snprintf(path, sizeof path, LORA "%s", item->string);
        expect_ok(mg_lora_merge(c, path, NULL));
        hash_entry(after, c, tensors->child->string);
        assert_string_not_equal(before, after);
        for (const cJSON *t = tensors->child; t; t = t->next, n++) {
            hash_entry(after, c, t->string);
            if (strcmp(after, cJSON_GetObjectItem(t, "sha256")->valuestring) != 0)
                fail_msg("%s: %s is not PEFT's", item->string, t->string);
        }
        expect_ok(mg_checkpoint_check_files(c));
        mg_checkpoint_close(c);
    }
    assert_true(n >= 40);
    cJSON_Delete(root);
}

/* Blocks, rests and the processor's own instruction: the bits are those of the plain sum. */
static void a_product_is_the_plain_sum(void **state)
{
    enum { O = 3, I = 256 + 37, R_MOST = 9 };
    static float c[O * R_MOST], v[R_MOST * I], w[O * I];
    uint32_t x = 1;

    (void)state;
    for (int64_t R = 1; R <= R_MOST; R++) {
        for (int i = 0; i < O * R_MOST; i++) c[i] = (float)((x = x * 1664525u + 1013904223u) >> 8) - 0x1p23f;
        for (int i = 0; i < R_MOST * I; i++) v[i] = (float)((x = x * 1664525u + 1013904223u) >> 8) - 0x1p23f;
        memset(w, 0, sizeof w);
        mg_lora_add_product(w, c, v, O, R, I, 0.3f);
        for (int64_t o = 0; o < O; o++)
            for (int64_t i = 0; i < I; i++) {
                float sum = 0;
                for (int64_t r = 0; r < R; r++) sum = fmaf(c[o * R + r], v[r * I + i], sum);
                assert_true(w[o * I + i] == sum * 0.3f);
            }
    }
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
        {"\"alpha_pattern\": {}", "\"alpha_pattern\": {\"^a\": 2}", "only plain names are supported"},
        {"\"lora_alpha\": 16", "\"lora_alpha\": \"x\"", "lora_alpha: must be a finite number"},
    };
    mg_checkpoint *c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_changed("plain", cases[i].what, cases[i].by);
        expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
        expect_failure(mg_lora_merge(c, test_dir, NULL), MG_ECHECKPOINT, cases[i].says);
        mg_checkpoint_close(c);
    }
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/tiny-variant")); /* of other widths */
    expect_failure(mg_lora_merge(c, LORA "plain", NULL), MG_ECHECKPOINT, "do not go with the model's");
    expect_failure(mg_lora_merge(c, MG_GOLDEN_DIR, NULL), MG_EFAIL, "no adapter_config.json");
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/checkpoints/encodec-hf")); /* of another kind */
    expect_failure(mg_lora_merge(c, LORA "plain", NULL), MG_ECHECKPOINT,
                   "the language model has no such tensor");
    mg_checkpoint_close(c);
    expect_failure(mg_lora_refuse(LORA "plain"), MG_ECHECKPOINT,
                   "a LORA adapter for example/tiny-mono, not a model: give it as --lora, beside --model");
    expect_ok(mg_lora_refuse(MG_GOLDEN_DIR "/checkpoints/tiny-mono"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_are_those_of_peft),
        cmocka_unit_test(a_product_is_the_plain_sum),
        cmocka_unit_test_setup_teardown(what_is_not_done_is_refused_by_name, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
