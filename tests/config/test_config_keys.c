/* The list of keys: each word of it does what its column says, golden models say nothing that is not in it,
 * and the table in docs/CHECKPOINTS.md is the list. */
#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "config_keys.h"
#include "json.h"

static const mg_keys_facts facts = {.V = 64, .sampling_rate = 32000, .n_chroma = 12, .n_channels = 1};

/* What is said of {"KEY": VALUE}. */
static char *said_of(mg_keys_file file, const char *key, const char *value)
{
    mg_text notes = {0};
    char text[600], *out;
    cJSON *root;

    if (file >= MG_KEYS_XP_LM) {
        snprintf(text, sizeof text, "%s: %s\n", key, value);
        for (char *dot; (dot = strrchr(text, '.')) && dot < strchr(text, ':');) { /* a.b: v -> a: {b: v} */
            char below[600];
            snprintf(below, sizeof below, "{%s}", dot + 1);
            below[strcspn(below, "\n")] = '\0';
            if (below[strlen(below) - 1] != '}') strcat(below, "}");
            snprintf(dot, sizeof text - (size_t)(dot - text), ": %s", below);
        }
        expect_ok(mg_config_keys_check_xp(&notes, file, text, "F"));
    } else {
        snprintf(text, sizeof text, "{\"%s\": %s}", key, value);
        expect_ok(mg_json_parse(&root, "F", text, (int64_t)strlen(text)));
        expect_ok(mg_config_keys_check(&notes, file, &facts, root, "F"));
        cJSON_Delete(root);
    }
    expect_ok(mg_text_end(&notes, &out, "test"));
    return out;
}

static void expect_said(mg_keys_file file, const char *key, const char *value, const char *says)
{
    char *got = said_of(file, key, value);

    if (says ? !strstr(got, says) : *got)
        fail_msg("%s: %s %s: \"%s\"", mg_config_keys_of(file)->file, key, value, got);
    if (says && !strstr(got, key)) fail_msg("%s is not named: %s", key, got);
    free(got);
}

/* Every key of a list with a value that is nobody's. */
static void try_words(mg_keys_file file, const char *words, const char *says)
{
    const char *odd = file >= MG_KEYS_XP_LM ? "oddity" : "\"oddity\"";

    for (const char *at = words + strspn(words, " "); *at; at += strspn(at, " ")) {
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)strcspn(at, " ="), at);
        at += strcspn(at, " ");
        if (strlen(key) > 2 && strcmp(key + strlen(key) - 2, ".*") == 0) key[strlen(key) - 1] = 'x';
        expect_said(file, key, odd, says);
    }
}

static void every_word_does_what_its_column_says(void **state)
{
    (void)state;
    for (int f = 0; f < MG_KEYS_FILES; f++) {
        const mg_keys_list *list = mg_config_keys_of((mg_keys_file)f);
        try_words((mg_keys_file)f, list->used, NULL);
        try_words((mg_keys_file)f, list->refused, NULL); /* by its reader: test_config.c, test_xp_config.c */
        try_words((mg_keys_file)f, list->said, "not done here");
        try_words((mg_keys_file)f, list->silent, NULL);
        expect_said((mg_keys_file)f, "newly_invented", "7", "unknown key, not looked at: newly_invented");
        expect_said((mg_keys_file)f, "newly_invented", "null", NULL);
    }
    expect_said(MG_KEYS_XP_LM, "transformer_lm.newly_invented", "7", "unknown key");
    expect_said(MG_KEYS_XP_CODEC, "seanet.newly_invented", "7", "unknown key");
    expect_said(MG_KEYS_XP_LM, "conditioners.self_wav.chroma_stem.newly_invented", "7", "unknown key");
}

static void neutral_values_are_not_said(void **state)
{
    (void)state;
    expect_said(MG_KEYS_GENERATION, "repetition_penalty", "1.0", NULL);
    expect_said(MG_KEYS_GENERATION, "repetition_penalty", "1.2", "repetition_penalty 1.2");
    expect_said(MG_KEYS_GENERATION, "num_beams", "1", NULL);
    expect_said(MG_KEYS_GENERATION, "num_beams", "4", "num_beams 4");
    expect_said(MG_KEYS_GENERATION, "typical_p", "0.9", "typical_p 0.9");
    expect_said(MG_KEYS_GENERATION, "suppress_tokens", "[]", NULL);
    expect_said(MG_KEYS_GENERATION, "suppress_tokens", "[3]", "suppress_tokens [3]");
    expect_said(MG_KEYS_GENERATION, "pad_token_id", "64", NULL);
    expect_said(MG_KEYS_GENERATION, "pad_token_id", "63", "pad_token_id 63");
    expect_said(MG_KEYS_GENERATION, "min_p", "0.1", NULL);
    expect_said(MG_KEYS_PROCESSOR, "sampling_rate", "44100", "sampling_rate 44100");
    expect_said(MG_KEYS_T5, "scale_decoder_outputs", "true", NULL); /* transformers 5 writes it */
    expect_said(MG_KEYS_TOKENIZER_CONFIG, "sp_model_kwargs", "{\"alpha\": 0.1}", "sp_model_kwargs");
    expect_said(MG_KEYS_TOKENIZER_CONFIG, "tokenizer_class", "\"T5TokenizerFast\"", NULL);
    expect_said(MG_KEYS_XP_LM, "transformer_lm.two_step_cfg", "true", "two_step_cfg true");
    expect_said(MG_KEYS_XP_LM, "transformer_lm.max_period", "10000.0", NULL);
}

/* One note a line, of one file and of several. */
static void notes_are_lines(void **state)
{
    mg_text notes = {0};
    cJSON *root;

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "B" : "A", text[] = "{\"num_beams\": 4, \"newly_invented\": 7}";
        expect_ok(mg_json_parse(&root, name, text, sizeof text - 1));
        expect_ok(mg_config_keys_check(&notes, MG_KEYS_GENERATION, &facts, root, name));
        cJSON_Delete(root);
    }
    assert_string_equal(notes.data, "A: not done here, where the reference does it: num_beams 4\n"
                                    "A: unknown key, not looked at: newly_invented\n"
                                    "B: not done here, where the reference does it: num_beams 4\n"
                                    "B: unknown key, not looked at: newly_invented");
    mg_text_reset(&notes);
}

/* transformers 5 writes processor_config.json alone, with the feature extractor's keys one level down. */
static void keys_of_a_nested_feature_extractor(void **state)
{
    char *said = said_of(MG_KEYS_PROCESSOR, "feature_extractor",
                         "{\"feature_size\": 12, \"sampling_rate\": 44100, \"n_fft\": 4096}");

    (void)state;
    assert_string_equal(said,
                        "F: not done here, where the reference does it: sampling_rate 44100, n_fft 4096");
    free(said);
    said = said_of(MG_KEYS_PROCESSOR, "feature_extractor", "{\"sampling_rate\": 32000, \"n_fft\": 16384}");
    assert_string_equal(said, "");
    free(said);
}

/* A folder without generation_config.json: the keys of its config.json count then. */
static void legacy_keys_of_config_json(void **state)
{
    mg_text notes = {0};
    cJSON *root;

    (void)state;
    expect_ok(mg_json_load(&root, MG_GOLDEN_DIR "/checkpoints/tiny-mono/config.json"));
    const cJSON *decoder = cJSON_GetObjectItem(root, "decoder");
    expect_ok(mg_config_keys_check_legacy(&notes, &facts, decoder, "F"));
    assert_int_equal(notes.n, 0);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(root, "decoder"), "repetition_penalty",
                              cJSON_CreateNumber(1.5));
    expect_ok(mg_config_keys_check_legacy(&notes, &facts, decoder, "F"));
    assert_non_null(strstr(notes.data, "repetition_penalty 1.5"));
    mg_text_reset(&notes);
    cJSON_Delete(root);
}

/* To renew it: MG_PRINT_KEYS=1 test_config_keys, and put what it prints between the two marks. */
static void documentation_has_the_table(void **state)
{
    int64_t bytes;
    char *text = get_file(MG_GOLDEN_DIR "/../../docs/CHECKPOINTS.md", &bytes), *table;

    (void)state;
    expect_ok(mg_config_keys_table(&table));
    if (getenv("MG_PRINT_KEYS")) fputs(table, stdout);
    text = realloc(text, (size_t)bytes + 1);
    assert_non_null(text);
    text[bytes] = '\0';
    if (!strstr(text, table))
        fail_msg("docs/CHECKPOINTS.md does not hold the list: see the comment above this test");
    free(table);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_does_what_its_column_says),
        cmocka_unit_test(neutral_values_are_not_said),
        cmocka_unit_test(notes_are_lines),
        cmocka_unit_test(keys_of_a_nested_feature_extractor),
        cmocka_unit_test(legacy_keys_of_config_json),
        cmocka_unit_test(documentation_has_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
