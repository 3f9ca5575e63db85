/* Requests out of lines of text, and out of JSON lines and back. */
#include "io_fixture.h"

#include <math.h>

#include "prompt_text.h"
#include "request_list.h"

static mg_status parse(mg_request_list *list, const char *name, const char *text)
{
    return mg_request_list_parse(list, name, text, (int64_t)strlen(text), &(mg_job_format){0});
}

static void lines_of_text(void **state)
{
    mg_request_list list = {0};

    (void)state;
    expect_ok(parse(&list, "dir/list.txt", "\xEF\xBB\xBFone\r\n\n two \n[3]\n"));
    assert_int_equal(list.n, 3);
    assert_string_equal(list.recipe[0].prompt, "one");
    assert_string_equal(list.recipe[0].where, "dir/list.txt: line 1");
    assert_string_equal(list.recipe[1].prompt, " two ");
    assert_string_equal(list.recipe[1].where, "dir/list.txt: line 3");
    assert_string_equal(list.recipe[2].prompt, "[3]");
    const mg_recipe *r = &list.recipe[0];
    assert_true(!r->id && !r->title && !r->negative_prompt && !r->text_states && !r->audio_prompt &&
                !r->melody);
    assert_true(isnan(r->dur_s) && isnan(r->prompt_dur_s) && isnan(r->window_s));
    assert_true(isnan(r->stride_s) && isnan(r->cfg_coef) && isnan(r->cfg_coef_beta));
    assert_true(isnan(r->sampling.top_p) && isnan(r->sampling.temperature));
    assert_true(r->said == (uint64_t)1 << (mg_recipe_key_of(offsetof(mg_recipe, prompt)) - mg_recipe_keys));
    assert_true(r->n_frames == -1 && r->sampling.top_k == -1 && r->seed == -1 && r->n == -1);
    mg_request_list_close(&list);
    mg_request_list_close(&list);
}

static void lines_of_json(void **state)
{
    mg_request_list list = {0};

    (void)state;
    expect_ok(parse(
        &list, "sub/list.jsonl",
        "\xEF\xBB\xBF\n"
        "{\"id\": \"a.1_b-2\", \"title\": \"T\", \"prompt\": \"caf\\u00e9\", \"negative_prompt\": \"noise\","
        " \"text_states\": \"s.npy\", \"audio_prompt\": \"/abs/p.wav\", \"melody\": \"\","
        " \"prompt_duration\": 1.5, \"duration\": 8.2, \"window\": 10, \"extend_stride\": 6,"
        " \"cfg_coef\": 0, \"cfg_coef_beta\": 2, \"top_p\": 0.9, \"temperature\": 1e-3,"
        " \"top_k\": 7, \"seed\": 9007199254740991, \"n\": 4, \"greedy\": false}\r\n"
        "  \n"
        "{\"frames\": 12, \"seed\": null}"));
    assert_int_equal(list.n, 2);
    const mg_recipe *r = &list.recipe[0];
    assert_string_equal(r->id, "a.1_b-2");
    assert_string_equal(r->title, "T");
    assert_string_equal(r->prompt, "caf\xC3\xA9");
    assert_string_equal(r->negative_prompt, "noise");
    assert_string_equal(r->text_states, "sub/s.npy");
    assert_string_equal(r->audio_prompt, "/abs/p.wav");
    assert_string_equal(r->melody, "");
    assert_true(r->prompt_dur_s == 1.5 && r->dur_s == 8.2 && r->window_s == 10);
    assert_true(r->stride_s == 6 && r->cfg_coef == 0 && r->cfg_coef_beta == 2);
    assert_true(r->sampling.top_p == 0.9 && r->sampling.temperature == 1e-3);
    assert_true(r->sampling.top_k == 7 && r->seed == 9007199254740991 && r->n == 4);
    assert_true(MG_SAID(r, sampling.greedy) && !r->sampling.greedy && MG_SAID(r, melody));
    assert_false(MG_SAID(&list.recipe[1], seed));
    assert_string_equal(r->where, "sub/list.jsonl: line 2");
    assert_true(list.recipe[1].n_frames == 12 && list.recipe[1].seed == -1 && !list.recipe[1].prompt);
    assert_string_equal(list.recipe[1].where, "sub/list.jsonl: line 4");
    mg_request_list_close(&list);

    /* JSON by its first character, whatever its name; paths as they are without a folder. */
    expect_ok(parse(&list, "standard input", " \n {\"melody\": \"m.wav\"}"));
    assert_string_equal(list.recipe[0].melody, "m.wav");
    mg_request_list_close(&list);
}

static void mistakes_name_line_and_key(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"prompt\": \"x\"}\n{\"promt\": \"x\"}", "l.jsonl: line 2: promt: no such key"},
        {"{\"prompt\": 3}", "line 1: prompt: 3: must be a string"},
        {"{\"prompt\": \"x\", \"prompt\": \"y\"}", "line 1: prompt: given twice"},
        {"{\"melody\": 0.9}", "line 1: melody: 0.9: must be a string"},
        {"{\"duration\": \"8\"}", "line 1: duration: \"8\": must be a number from 0.001 to 1e+06"},
        {"{\"duration\": 0}", "duration: 0: must be a number"},
        {"{\"duration\": 1e999}", "duration: inf: must be a number"},
        {"{\"frames\": 1.5}", "frames: 1.5: must be a whole number from 1 to 100000000"},
        {"{\"frames\": 0}", "frames: 0: must be a whole number"},
        {"{\"seed\": -1}", "seed: -1: must be a whole number from 0 to 9007199254740991"},
        {"{\"seed\": 9007199254740992}", "seed: 9007199254740992: must be a whole number"},
        {"{\"top_p\": 1.5}", "top_p: 1.5: must be a number from 0 to 1"},
        {"{\"greedy\": 1}", "greedy: 1: must be true or false"},
        {"{\"n\": true}", "n: true: must be a whole number"},
        {"{\"duration\": 1, \"frames\": 3}", "line 1: duration and frames both"},
        {"{\"id\": \"a/b\"}", "line 1: id: \"a/b\": may not hold / "},
        {"{\"id\": \"..\"}", "id: \"..\": may not begin with '.'"},
        {"{\"id\": \"a \"}", "id: \"a \": may not begin with a blank nor end in"},
        {"{\"id\": \"\"}", "id: \"\": is empty"},
        {"{\"prompt\": \"x\"", "l.jsonl: line 1: not JSON"},
        {"{\"prompt\": \"a\\u0000b\"}", "line 1: not JSON: an escaped NUL"},
        {"{\"prompt\": \"x\"} {}", "line 1: not JSON: something behind the value"},
        {"{\"prompt\": \"\xE9\"}", "line 1: byte 13 is not UTF-8"},
        {"{}\n[1]", "line 2: must be a JSON object"},
        {"just text", "line 1: not JSON"}, /* the name says it is JSON */
    };
    mg_request_list list = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_failure(parse(&list, "l.jsonl", cases[i].text), MG_EUSAGE, cases[i].part);
        mg_request_list_close(&list);
    }
    expect_failure(parse(&list, "p.txt", "ok\ncaf\xE9"), MG_EUSAGE, "p.txt: line 2: byte 4 is not UTF-8");
    mg_request_list_close(&list);
    expect_failure(mg_request_list_load(&list, "/nowhere/l.jsonl", &(mg_job_format){0}), MG_EFAIL,
                   "/nowhere/l.jsonl: cannot open");
    mg_request_list_close(&list);

    char *text = malloc(MG_MAX_PROMPT_BYTES + 100);
    assert_non_null(text);
    memcpy(text, "{\"prompt\":\"", 11);
    memset(text + 11, 'a', MG_MAX_PROMPT_BYTES + 1);
    strcpy(text + 12 + MG_MAX_PROMPT_BYTES, "\"}");
    expect_failure(parse(&list, "l.jsonl", text), MG_EUSAGE,
                   "l.jsonl: line 1: prompt: longer than 65536 bytes");
    mg_request_list_close(&list);
    free(text);
}

/* Rank 0 tells the others: nothing is lost, down to the last bit and the odd character; a rank without texts
 * still knows which are there. */
static void packed_and_unpacked(void **state)
{
    mg_request_list list = {0}, again = {0}, bare = {0};
    mg_request_pack pack, copy;
    mg_recipe r;

    (void)state;
    mg_recipe_init(&r);
    expect_ok(mg_request_list_append(&list, &r)); /* nothing said */
    MG_SAY(&r, prompt, "\xE2\x99\xAA \"{[,]}\"\n\x01 \xF0\x9F\x8E\xB9");
    MG_SAY(&r, negative_prompt, "");
    MG_SAY(&r, dur_s, 0.1 + 0.2);
    MG_SAY(&r, sampling.greedy, false);
    r.where = "somewhere";
    expect_ok(mg_request_list_append(&list, &r));
    expect_ok(mg_request_list_pack(&pack, &list));
    expect_ok(mg_request_pack_open(&copy, pack.n, pack.text_bytes));
    memcpy(copy.recipe, pack.recipe, (size_t)pack.n * sizeof *pack.recipe);
    memcpy(copy.text, pack.text, (size_t)pack.text_bytes);
    expect_ok(mg_request_list_unpack(&again, &pack, true));
    expect_ok(mg_request_list_unpack(&bare, &copy, false));
    mg_request_pack_close(&pack);
    mg_request_pack_close(&copy);

    assert_int_equal(again.n, 2);
    assert_true(again.recipe[0].said == 0 && !again.recipe[0].prompt);
    const mg_recipe *a = &again.recipe[1];
    assert_string_equal(a->prompt, r.prompt);
    assert_string_equal(a->negative_prompt, "");
    assert_string_equal(a->where, "somewhere");
    assert_true(a->said == r.said && a->dur_s == 0.1 + 0.2 && isnan(a->window_s) && !a->melody);
    assert_string_equal(bare.recipe[1].prompt, "-");
    assert_string_equal(bare.recipe[1].negative_prompt, "");
    assert_true(!bare.recipe[1].melody && bare.recipe[1].dur_s == a->dur_s && bare.n_kept == 0);
    mg_request_list_close(&again);
    mg_request_list_close(&bare);
    mg_request_list_close(&list);

    expect_ok(mg_request_list_pack(&pack, &list)); /* none */
    expect_ok(mg_request_list_unpack(&again, &pack, true));
    assert_int_equal(again.n, 0);
    mg_request_list_close(&again);
    mg_request_pack_close(&pack);
}

static void files_find_theirs_beside_them(void **state)
{
    mg_request_list list = {0};
    const char *text = "{\"audio_prompt\": \"p.wav\", \"melody\": \"../m.wav\"}\n";
    char want[600];

    (void)state;
    put_file(in_dir("l.jsonl"), text, strlen(text));
    expect_ok(mg_request_list_load(&list, in_dir("l.jsonl"), &(mg_job_format){0}));
    snprintf(want, sizeof want, "%s/p.wav", test_dir);
    assert_string_equal(list.recipe[0].audio_prompt, want);
    snprintf(want, sizeof want, "%s/../m.wav", test_dir);
    assert_string_equal(list.recipe[0].melody, want);
    mg_request_list_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text),
        cmocka_unit_test(lines_of_json),
        cmocka_unit_test(mistakes_name_line_and_key),
        cmocka_unit_test(packed_and_unpacked),
        cmocka_unit_test_setup_teardown(files_find_theirs_beside_them, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
