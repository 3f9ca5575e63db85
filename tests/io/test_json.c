/* JSON with its limits, and UTF-8. */
#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "json.h"
#include "utf8.h"

/* Parses a copy of exactly that size, so that a sanitizer sees any byte read beyond it. */
static mg_status parse(cJSON **out, const char *text, size_t bytes)
{
    char *copy = malloc(bytes ? bytes : 1);

    assert_non_null(copy);
    memcpy(copy, text, bytes);
    const mg_status st = mg_json_parse(out, "t.json", copy, (int64_t)bytes);
    free(copy);
    return st;
}

static mg_status parse_text(cJSON **out, const char *text)
{
    return parse(out, text, strlen(text));
}

static void refuse(const char *text, size_t bytes, const char *part)
{
    cJSON *value = (cJSON *)"";

    expect_failure(parse(&value, text, bytes), MG_ECHECKPOINT, part);
    assert_null(value);
}

static void refuses_what_is_not_json(void **state)
{
    char deep[200];

    (void)state;
    refuse("", 0, "t.json: not JSON");
    refuse("{", 1, "t.json: not JSON");
    refuse("{\"a\":1} x", 9, "something behind the value at byte 8");
    refuse("{\"a\":\"\xC0\x80\"}", 9, "not UTF-8 at byte 6");
    refuse("{\"a\":1}\0", 8, "a NUL at byte 7");
    refuse("{\"a\\u0000b\":1}", 14, "an escaped NUL");
    refuse("nul", 3, "not JSON");
    memset(deep, '[', sizeof deep);
    refuse(deep, sizeof deep, "nested deeper than 64 at byte 64");
    cJSON *value;
    expect_ok(parse_text(&value, "\"\\\\u0000\" \n")); /* an escaped backslash, then plain text */
    assert_string_equal(value->valuestring, "\\u0000");
    cJSON_Delete(value);
}

static void refuses_too_many_values(void **state)
{
    const size_t n = (size_t)5 << 20;
    char *text = malloc(2 * n + 2);

    (void)state;
    assert_non_null(text);
    text[0] = '[';
    for (size_t i = 0; i < n; i++) memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * n] = ']';
    refuse(text, 2 * n + 1, "more than 4194304 values");
    free(text);
}

static void integers_are_exact(void **state)
{
    cJSON *v;
    int64_t n = 5;
    bool found = true;

    (void)state;
    expect_ok(parse_text(&v,
                         "{\"big\":1000000000000000019884624838656,\"half\":0.5,\"max\":9007199254740991,"
                         "\"over\":9007199254740992,\"f\":144000.0,\"neg\":-3,\"null\":null,\"s\":\"1\"}"));
    expect_ok(mg_json_int(v, "t.json", "max", &n, &found));
    assert_int_equal(n, 9007199254740991);
    expect_ok(mg_json_int(v, "t.json", "f", &n, NULL));
    assert_int_equal(n, 144000);
    expect_ok(mg_json_int(v, "t.json", "neg", &n, NULL));
    assert_int_equal(n, -3);
    expect_ok(mg_json_int(v, "t.json", "null", &n, &found));
    assert_false(found);
    expect_ok(mg_json_int(v, "t.json", "absent", &n, &found));
    assert_false(found);
    assert_int_equal(n, -3);
    expect_failure(mg_json_int(v, "t.json", "big", &n, NULL), MG_ECHECKPOINT, "t.json: big: 1e+30: must be");
    expect_failure(mg_json_int(v, "t.json", "over", &n, NULL), MG_ECHECKPOINT, "over: 9007199254740992");
    expect_failure(mg_json_int(v, "t.json", "half", &n, NULL), MG_ECHECKPOINT, "half: 0.5");
    expect_failure(mg_json_int(v, "t.json", "s", &n, NULL), MG_ECHECKPOINT, "s: \"1\": must be an integer");
    cJSON_Delete(v);
}

static void a_value_is_shown(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {{"2.5", "2.5"},
                 {"1e999", "inf"},
                 {"[1,{\"a\":null}]", "[1,{\"a\":null}]"},
                 {"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\u00e9bbbbbbb\"",
                  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"}};
    char shown[MG_JSON_SHOWN];
    cJSON *v;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_ok(parse_text(&v, cases[i].text));
        mg_json_show(shown, v);
        assert_string_equal(shown, cases[i].shown);
        cJSON_Delete(v);
    }
    mg_json_show(shown, NULL);
    assert_string_equal(shown, "nothing");
}

static void types_are_checked(void **state)
{
    cJSON *v;
    double d = 1.5;
    bool b = false;
    const char *s;
    const cJSON *part;

    (void)state;
    expect_ok(
        parse_text(&v, "{\"d\":2.5,\"b\":true,\"s\":\"x\",\"o\":{},\"a\":[],\"inf\":1e999,\"x\":1,\"x\":2}"));
    expect_ok(mg_json_double(v, "t", "d", &d, NULL));
    assert_true(d == 2.5);
    expect_ok(mg_json_bool(v, "t", "b", &b, NULL));
    assert_true(b);
    expect_ok(mg_json_string(v, "t", "s", &s));
    assert_string_equal(s, "x");
    expect_ok(mg_json_string(v, "t", "none", &s));
    assert_null(s);
    expect_ok(mg_json_object(v, "t", "o", &part));
    assert_non_null(part);
    expect_ok(mg_json_array(v, "t", "a", &part));
    assert_non_null(part);
    expect_failure(mg_json_double(v, "t", "inf", &d, NULL), MG_ECHECKPOINT,
                   "t: inf: inf: must be a finite number");
    expect_failure(mg_json_double(v, "t", "s", &d, NULL), MG_ECHECKPOINT,
                   "t: s: \"x\": must be a finite number");
    expect_failure(mg_json_bool(v, "t", "d", &b, NULL), MG_ECHECKPOINT, "t: d: 2.5: must be true or false");
    expect_failure(mg_json_string(v, "t", "d", &s), MG_ECHECKPOINT, "t: d: 2.5: must be a string");
    expect_failure(mg_json_object(v, "t", "a", &part), MG_ECHECKPOINT, "t: a: must be a JSON object");
    expect_failure(mg_json_array(v, "t", "o", &part), MG_ECHECKPOINT, "t: o: must be a JSON array");
    expect_failure(mg_json_double(v, "t", "x", &d, NULL), MG_ECHECKPOINT, "t: x: given twice");
    expect_failure(mg_json_double(v->child, "t", "x", &d, NULL), MG_ECHECKPOINT, "t: must be a JSON object");
    cJSON_Delete(v);
}

static void files_load(void **state)
{
    cJSON *v;

    (void)state;
    expect_failure(mg_json_load(&v, in_dir("none.json")), MG_EFAIL, "none.json: cannot open: No such file");
    expect_failure(mg_json_load(&v, test_dir), MG_EFAIL, "cannot read: Is a directory");
    expect_ok(mg_json_load(&v, MG_GOLDEN_DIR "/tokenizer/tokenizer_config.json")); /* holds 1e30 */
    cJSON_Delete(v);
}

static void utf8_is_told_from_bytes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes, bad;
    } cases[] = {
        {"", 0, -1},
        {"plain", 5, -1},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xB5", 9, -1},
        {"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", 10, -1}, /* the last of all, and around the surrogates */
        {"ab\x80", 3, 2},                                     /* a continuation alone */
        {"\xC0\xAF", 2, 0},                                   /* overlong */
        {"\xC1\xBF", 2, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"a\xED\xA0\x80", 4, 1},    /* a surrogate */
        {"\xF4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", 4, 0},
        {"x\xE2\x82", 3, 1}, /* cut off */
        {"\xF0\x9F\x8E"
         "a",
         4, 0},
        {"\xFF", 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(mg_utf8_bad_offset(cases[i].text, cases[i].bytes), cases[i].bad);
}

/* Every code point, by the definition of the encoding. */
static void utf8_takes_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        unsigned char s[4];
        int n = 0;
        if (c < 0x80) {
            s[n++] = (unsigned char)c;
        } else {
            const int extra = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
            static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
            s[n++] = (unsigned char)(lead[extra] | c >> (6 * extra));
            for (int i = extra - 1; i >= 0; i--) s[n++] = (unsigned char)(0x80 | (c >> (6 * i) & 0x3F));
        }
        const bool legal = c < 0x110000 && !(c >= 0xD800 && c < 0xE000);
        assert_int_equal(mg_utf8_bad_offset((const char *)s, n), legal ? -1 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(refuses_too_many_values),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(a_value_is_shown),
        cmocka_unit_test_setup_teardown(files_load, make_dir, drop_dir),
        cmocka_unit_test(utf8_is_told_from_bytes),
        cmocka_unit_test(utf8_takes_every_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
