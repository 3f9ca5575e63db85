/* Tokens that a fine-tune added, against transformers' own ids: T5Tokenizer where there is a spiece.model,
 * T5TokenizerFast where there is none (tests/golden/make_added_tokens.py). */
#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "json.h"
#include "tokenizer.h"

#define GOLDEN MG_GOLDEN_DIR "/tokenizer/"

static void put_text(const char *name, const char *text)
{
    put_file(in_dir(name), text, strlen(text));
}

static void drop_all(void)
{
    static const char *const names[] = {"spiece.model", "tokenizer.json", "tokenizer_config.json",
                                        "added_tokens.json", "special_tokens_map.json"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_dir(names[i]));
}

/* The golden tokenizer.json with other added tokens and a changed value, as the variant has it. */
static void put_json(const cJSON *variant, const cJSON *tokens)
{
    cJSON *root;
    const cJSON *change = cJSON_GetObjectItem(variant, "change");

    expect_ok(mg_json_load(&root, GOLDEN "tokenizer.json"));
    cJSON_ReplaceItemInObject(root, "added_tokens", cJSON_Duplicate(tokens, true));
    for (const cJSON *c = change->child; c; c = c->next) {
        const char *dot = strchr(c->string, '.');
        char first[64];
        snprintf(first, sizeof first, "%.*s", (int)(dot - c->string), c->string);
        cJSON_ReplaceItemInObject(cJSON_GetObjectItem(root, first), dot + 1, cJSON_Duplicate(c, true));
    }
    char *text = cJSON_PrintUnformatted(root);
    put_text("tokenizer.json", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

static void put_variant(const cJSON *variant)
{
    static const char *const side[] = {"tokenizer_config.json", "added_tokens.json",
                                       "special_tokens_map.json"};
    const cJSON *tokens = cJSON_GetObjectItem(variant, "added_tokens_of_json");
    int64_t bytes;

    drop_all();
    if (cJSON_IsTrue(cJSON_GetObjectItem(variant, "slow"))) {
        char *model = get_file(GOLDEN "spiece.model", &bytes);
        put_file(in_dir("spiece.model"), model, (size_t)bytes);
        free(model);
    }
    if (cJSON_IsArray(tokens)) put_json(variant, tokens);
    for (int i = 0; i < 3; i++) {
        const cJSON *text = cJSON_GetObjectItem(variant, side[i]);
        if (cJSON_IsString(text)) put_text(side[i], text->valuestring);
    }
}

/* 1 if the ids differ; the first difference of all is printed. */
static int differs(const mg_tokenizer *t, const char *variant, const cJSON *c, bool say)
{
    const char *text = cJSON_GetObjectItem(c, "text")->valuestring;
    const cJSON *want = cJSON_GetObjectItem(c, "ids");
    int32_t *ids;
    int64_t n, i = 0;
    bool same = true;

    expect_ok(mg_tokenizer_encode(t, text, &ids, &n));
    for (const cJSON *id = want->child; id; id = id->next, i++)
        same = same && i < n && ids[i] == id->valueint;
    same = same && i == n;
    for (i = 0; i < n; i++) assert_in_range(ids[i], 0, mg_tokenizer_size(t) - 1);
    if (!same && say) {
        printf("%s: \"%s\":", variant, text);
        for (i = 0; i < n; i++) printf(" %d", ids[i]);
        printf("  wanted");
        for (const cJSON *id = want->child; id; id = id->next) printf(" %d", id->valueint);
        printf("\n");
    }
    free(ids);
    return !same;
}

/* A fast tokenizer puts a second </s> behind a text that ends with one; ours does not (tokenizer.h). */
static bool ends_twice(const cJSON *c)
{
    const cJSON *ids = cJSON_GetObjectItem(c, "ids");
    const int n = cJSON_GetArraySize(ids);

    return n > 1 && cJSON_GetArrayItem(ids, n - 1)->valueint == cJSON_GetArrayItem(ids, n - 2)->valueint;
}

static void ids_are_those_of_transformers(void **state)
{
    cJSON *root;
    int n_wrong = 0, n = 0;

    (void)state;
    expect_ok(mg_json_load(&root, MG_GOLDEN_DIR "/added_tokens.json"));
    for (const cJSON *v = cJSON_GetObjectItem(root, "variants")->child; v; v = v->next) {
        const char *name = cJSON_GetObjectItem(v, "name")->valuestring;
        mg_tokenizer *t;
        put_variant(v);
        expect_ok(mg_tokenizer_open(&t, test_dir));
        for (const cJSON *c = cJSON_GetObjectItem(v, "cases")->child; c; c = c->next) {
            if (!cJSON_IsTrue(cJSON_GetObjectItem(v, "slow")) && ends_twice(c)) continue;
            n_wrong += differs(t, name, c, true);
            n++;
        }
        mg_tokenizer_close(t);
    }
    assert_true(n > 900);
    assert_int_equal(n_wrong, 0);
    cJSON_Delete(root);
    drop_all();
}

/* The sibling: without what stands beside the pieces most of it is otherwise. */
static void without_the_files_it_is_otherwise(void **state)
{
    cJSON *root;
    mg_tokenizer *t;
    int n_wrong = 0;

    (void)state;
    expect_ok(mg_json_load(&root, MG_GOLDEN_DIR "/added_tokens.json"));
    const cJSON *all_flags = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "variants"), 1);
    expect_ok(mg_tokenizer_open(&t, GOLDEN "spiece.model"));
    for (const cJSON *c = cJSON_GetObjectItem(all_flags, "cases")->child; c; c = c->next)
        n_wrong += differs(t, "", c, false);
    assert_true(n_wrong > 30);
    mg_tokenizer_close(t);
    cJSON_Delete(root);
}

static void lies_are_refused(void **state)
{
    static const struct {
        const char *file, *text, *says;
    } cases[] = {
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"a\"}}}",
         "\"x\": -1 is no id"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"1100\": {}}}",
         "an added token without text"},
        {"tokenizer_config.json",
         "{\"added_tokens_decoder\": {\"1100\": {\"content\": \"a\", \"lstrip\": 1}}}",
         "lstrip: 1: must be true or false"},
        {"tokenizer_config.json", "{\"extra_ids\": -1}", "extra_ids: -1 is not possible"},
        {"tokenizer_config.json", "{\"extra_ids\": 7, \"additional_special_tokens\": [\"<extra_id_0>\"]}",
         "names 1 <extra_id_n>, and extra_ids is 7"},
        {"tokenizer_config.json", "[]", "tokenizer_config.json: must be a JSON object"},
        {"added_tokens.json", "{\"a\": \"b\"}", "\"a\": -1 is no id"},
        {"added_tokens.json", "{\"a\": 99999999}", "\"a\": 99999999 is no id"},
        {"special_tokens_map.json", "{", "special_tokens_map.json: not JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_tokenizer *t;
        int64_t bytes;
        char *model = get_file(GOLDEN "spiece.model", &bytes);
        drop_all();
        put_file(in_dir("spiece.model"), model, (size_t)bytes);
        put_text(cases[i].file, cases[i].text);
        expect_failure(mg_tokenizer_open(&t, test_dir), MG_ECHECKPOINT, cases[i].says);
        assert_null(t);
        free(model);
    }
    drop_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_are_those_of_transformers, make_dir, drop_dir),
        cmocka_unit_test(without_the_files_it_is_otherwise),
        cmocka_unit_test_setup_teardown(lies_are_refused, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
