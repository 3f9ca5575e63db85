/* Ids against those of transformers' T5Tokenizer, from both forms of the tokenizer's file. */
#include "io_fixture.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>

#include "json.h"
#include "tokenizer.h"

#define SPIECE  MG_GOLDEN_DIR "/tokenizer/spiece.model"
#define TOKJSON MG_GOLDEN_DIR "/tokenizer/tokenizer.json"

static const char *const forms[] = {SPIECE, TOKJSON, MG_GOLDEN_DIR "/tokenizer"};

/* Number of the ids that differ from the case's, a difference in length counting as one. */
static int count_differences(const mg_tokenizer *t, const char *text, const cJSON *want)
{
    int32_t *ids;
    int64_t n, i = 0;
    int n_wrong = 0;

    expect_ok(mg_tokenizer_encode(t, text, &ids, &n));
    for (const cJSON *id = want->child; id; id = id->next, i++) {
        if (i < n && ids[i] != id->valueint) n_wrong++;
    }
    if (i != n) n_wrong++;
    free(ids);
    return n_wrong;
}

static void golden_cases_are_exact(void **state)
{
    cJSON *root;
    const cJSON *cases;

    (void)state;
    expect_ok(mg_json_load(&root, MG_GOLDEN_DIR "/tokenizer_cases.json"));
    expect_ok(mg_json_array(root, "cases", "cases", &cases));
    assert_int_equal(cJSON_GetArraySize(cases), 34);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        mg_tokenizer *t;
        expect_ok(mg_tokenizer_open(&t, forms[i]));
        assert_int_equal(mg_tokenizer_size(t), 1100);
        for (const cJSON *c = cases->child; c; c = c->next) {
            const char *text;
            const cJSON *want;
            expect_ok(mg_json_string(c, "case", "text", &text));
            expect_ok(mg_json_array(c, "case", "slow", &want));
            if (count_differences(t, text, want)) fail_msg("%s: \"%s\"", forms[i], text);
        }
        mg_tokenizer_close(t);
    }
    cJSON_Delete(root);
    mg_tokenizer_close(NULL);
}

/* The sibling: another model's tokenizer must not pass. */
static void another_tokenizer_differs(void **state)
{
    cJSON *root;
    const cJSON *cases;
    mg_tokenizer *t;
    int n_wrong = 0;

    (void)state;
    expect_ok(mg_json_load(&root, MG_GOLDEN_DIR "/tokenizer_cases.json"));
    expect_ok(mg_json_array(root, "cases", "cases", &cases));
    expect_ok(mg_tokenizer_open(&t, MG_GOLDEN_DIR "/../../models/mg-demo"));
    for (const cJSON *c = cases->child; c; c = c->next)
        n_wrong += count_differences(t, c->child->valuestring, c->child->next) > 0;
    assert_in_range(n_wrong, 20, 34);
    mg_tokenizer_close(t);
    cJSON_Delete(root);
}

/* Special tokens are found wherever they stand, and only whole ones. Ids of "techno" are 83 348 211. */
static void special_tokens_are_cut_out(void **state)
{
    static const struct {
        const char *text;
        int n;
        int32_t ids[12];
    } cases[] = {
        {"</s>", 1, {1}},
        {"techno</s>", 4, {83, 348, 211, 1}},
        {"techno </s> ", 4, {83, 348, 211, 1}}, /* blanks after it are no text */
        {"</s>techno", 5, {1, 83, 348, 211, 1}},
        {"techno<pad>techno", 8, {83, 348, 211, 0, 83, 348, 211, 1}},
        {"<extra_id_0><extra_id_9><extra_id_10><extra_id_99>", 5, {1099, 1090, 1089, 1000, 1}},
        {"<unk><unk>", 3, {2, 2, 1}},
    };
    static const char *const plain[] = {"<extra_id_100>", "<extra_id_01>", "<extra_id_>", "<extra_id_5",
                                        "<extra_id_-1>",  "<Pad>",         "<",           "< /s>"};

    (void)state;
    for (int form = 0; form < 2; form++) {
        mg_tokenizer *t;
        int32_t *ids;
        int64_t n;
        expect_ok(mg_tokenizer_open(&t, forms[form]));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            expect_ok(mg_tokenizer_encode(t, cases[i].text, &ids, &n));
            assert_int_equal(n, cases[i].n);
            assert_memory_equal(ids, cases[i].ids, (size_t)n * sizeof *ids);
            free(ids);
        }
        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
            expect_ok(mg_tokenizer_encode(t, plain[i], &ids, &n));
            for (int64_t j = 0; j < n; j++) assert_true(ids[j] < 1000);
            assert_true(n > 1 && ids[n - 1] == 1);
            free(ids);
        }
        mg_tokenizer_close(t);
    }
}

static void long_texts_are_whole(void **state)
{
    enum { N = 4000 };
    char *text = malloc(N * 7 + 1);

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < N; i++) memcpy(text + 7 * i, "techno ", 8);
    for (int form = 0; form < 2; form++) {
        mg_tokenizer *t;
        int32_t *ids;
        int64_t n;
        expect_ok(mg_tokenizer_open(&t, forms[form]));
        expect_ok(mg_tokenizer_encode(t, text, &ids, &n));
        assert_int_equal(n, 3 * N + 1);
        for (int64_t i = 0; i < 3 * N; i++) assert_int_equal(ids[i], ids[i % 3]);
        free(ids);
        mg_tokenizer_close(t);
    }
    free(text);
}

static void text_must_be_utf8(void **state)
{
    mg_tokenizer *t;
    int32_t *ids = NULL;
    int64_t n;

    (void)state;
    expect_ok(mg_tokenizer_open(&t, SPIECE));
    expect_failure(mg_tokenizer_encode(t, "caf\xE9 music", &ids, &n), MG_EUSAGE,
                   "byte 4 of the text is not UTF-8");
    assert_null(ids);
    expect_failure(mg_tokenizer_encode(t, "\xC0\xAF", &ids, &n), MG_EUSAGE, "byte 1 of the text");
    expect_failure(mg_tokenizer_encode(t, "a\xED\xA0\x80", &ids, &n), MG_EUSAGE, "byte 2 of the text");
    mg_tokenizer_close(t);
}

static mg_status open_bytes(const char *data, int64_t bytes, bool is_json)
{
    mg_tokenizer *t;
    char *copy = malloc((size_t)bytes + 1);

    assert_non_null(copy);
    memcpy(copy, data, (size_t)bytes);
    const mg_status st = mg_tokenizer_parse(&t, "tok", copy, bytes, is_json);
    if (st != MG_OK) assert_null(t);
    mg_tokenizer_close(t);
    free(copy);
    return st;
}

static void broken_models_are_refused(void **state)
{
    int64_t bytes;
    char *model = get_file(SPIECE, &bytes);

    (void)state;
    expect_failure(open_bytes("", 0, false), MG_ECHECKPOINT, "tok: not a SentencePiece model");
    expect_failure(open_bytes("hello", 5, false), MG_ECHECKPOINT, "tok: ");
    for (int64_t n = 1; n < bytes; n += n < 3000 ? 1 : 4999) {
        if (open_bytes(model, n, false) == MG_OK)
            fail_msg("%lld bytes of %lld pass", (long long)n, (long long)bytes);
    }
    expect_ok(open_bytes(model, bytes, false));

    /* The normalisation table: every step of its trie is checked before the library takes it. */
    char *charsmap = memmem(model, (size_t)bytes, "nmt_nfkc", 8) + 8 + 4;
    const uint32_t n_trie =
        (uint8_t)charsmap[0] | (uint32_t)(uint8_t)charsmap[1] << 8 | (uint32_t)(uint8_t)charsmap[2] << 16;
    assert_int_equal(n_trie, 179200);
    for (uint32_t i = 0; i < n_trie; i += 4001 & ~3u) charsmap[4 + i + 3] ^= 0x7C; /* offsets far outside */
    expect_failure(open_bytes(model, bytes, false), MG_ECHECKPOINT, "tok: its normalisation table is broken");
    free(model);
}

static void replace_json(const char *from, const char *to, const char *part)
{
    int64_t bytes;
    char *text = get_file(TOKJSON, &bytes), *out = malloc((size_t)bytes + 100);
    char *at = strstr(text, from);

    assert_non_null(out);
    if (!at) fail_msg("%s is not in tokenizer.json", from);
    const int n = sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    if (part)
        expect_failure(open_bytes(out, n, true), MG_ECHECKPOINT, part);
    else
        expect_ok(open_bytes(out, n, true));
    free(text);
    free(out);
}

/* Without what takes blanks away, they stay: ids of tokenizers 0.20.3. */
static void blanks_are_the_normalizers(void **state)
{
    static const int32_t wanted[] = {3, 385, 154, 46, 3, 3, 80, 40, 153, 201, 5, 3, 3, 47, 3, 1};
    static const char from[] = "\"normalizer\": {";
    int64_t bytes, n;
    char *text = get_file(TOKJSON, &bytes), *at = strstr(text, from);
    mg_tokenizer *t;
    int32_t *ids;

    (void)state;
    assert_non_null(at);
    at[1] = 'N'; /* another key */
    expect_ok(mg_tokenizer_parse(&t, "tok", text, bytes, true));
    expect_ok(mg_tokenizer_encode(t, "  Two  blanks  x ", &ids, &n));
    assert_int_equal(n, sizeof wanted / sizeof *wanted);
    assert_memory_equal(ids, wanted, sizeof wanted);
    free(ids);
    mg_tokenizer_close(t);
    free(text);
}

static void other_tokenizers_are_refused_by_name(void **state)
{
    (void)state;
    replace_json("\"Unigram\"", "\"BPE\"", "tok: model.type: \"BPE\" is not supported");
    replace_json("\"unk_id\": 2", "\"unk_id\": 0", "unk_id 2");
    replace_json("\"byte_fallback\": false", "\"byte_fallback\": true", "no byte_fallback");
    replace_json("\"Precompiled\"", "\"Lowercase\"", "normalizer: type \"Lowercase\" is not supported");
    replace_json("\"Metaspace\"", "\"ByteLevel\"", "pre_tokenizer: type \"ByteLevel\" is not supported");
    replace_json("\"replacement\": \"\xe2\x96\x81\"", "\"replacement\": \"_\"",
                 "pre_tokenizer: replacement \"_\" is not supported: T5's is U+2581");
    replace_json("\"prepend_scheme\": \"always\"", "\"prepend_scheme\": \"never\"",
                 "no space before the text");
    replace_json("\"prepend_scheme\": \"always\"", "\"add_prefix_space\": true",
                 NULL); /* as older files say it */
    replace_json("\"precompiled_charsmap\": \"", "\"precompiled_charsmap\": \"!", "not base64");
    replace_json("\"vocab\"", "\"words\"", "model.vocab: missing");
    replace_json("\"<pad>\",\n        0.0", "\"[PAD]\",\n        0.0", "model.vocab: entry 0 is \"[PAD]\"");
    replace_json("\"<extra_id_98>\",\n        0.0", "\"other\",\n        0.0",
                 "\"other\" behind the <extra_id_n>");
    replace_json("\"<extra_id_99>\",\n        0.0", "\"other\",\n        0.0",
                 NULL); /* 99 of them: still in order */
    expect_failure(open_bytes("{}", 2, true), MG_ECHECKPOINT, "tok: model: missing");
    expect_failure(open_bytes("[]", 2, true), MG_ECHECKPOINT, "tok: must be a JSON object");
    expect_failure(open_bytes("", 0, true), MG_ECHECKPOINT, "tok: not JSON");
}

static void folders_are_searched(void **state)
{
    mg_tokenizer *t;

    (void)state;
    expect_failure(mg_tokenizer_open(&t, test_dir), MG_EFAIL, "neither spiece.model nor tokenizer.json");
    expect_failure(mg_tokenizer_open(&t, in_dir("gone.model")), MG_EFAIL,
                   "gone.model: cannot open: No such file");
    put_file(in_dir("tokenizer.json"), "{}", 2);
    expect_failure(mg_tokenizer_open(&t, test_dir), MG_ECHECKPOINT, "tokenizer.json: model: missing");
    put_file(in_dir("spiece.model"), "x", 1);
    expect_failure(mg_tokenizer_open(&t, test_dir), MG_ECHECKPOINT,
                   "spiece.model: not a SentencePiece model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases_are_exact),
        cmocka_unit_test(another_tokenizer_differs),
        cmocka_unit_test(special_tokens_are_cut_out),
        cmocka_unit_test(long_texts_are_whole),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(broken_models_are_refused),
        cmocka_unit_test(blanks_are_the_normalizers),
        cmocka_unit_test(other_tokenizers_are_refused_by_name),
        cmocka_unit_test_setup_teardown(folders_are_searched, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
