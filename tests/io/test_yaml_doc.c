/* YAML as omegaconf reads it: kinds of plain words, paths, interpolations, and what is refused. The kinds
 * were taken from omegaconf 2.3's own loader. */
#include "io_fixture.h"

#include "yaml_doc.h"

static mg_yaml *parse(const char *text)
{
    mg_yaml *y;

    expect_ok(mg_yaml_parse(&y, "doc", text, strlen(text)));
    return y;
}

static void refused(const char *text, const char *part)
{
    mg_yaml *y;

    expect_failure(mg_yaml_parse(&y, "doc", text, strlen(text)), MG_ECHECKPOINT, part);
    assert_null(y);
}

static void plain_words_have_their_kinds(void **state)
{
    static const struct {
        const char *text;
        mg_yaml_kind kind;
        double number;
    } cases[] = {
        {"null", MG_YAML_NULL, 0},
        {"~", MG_YAML_NULL, 0},
        {"", MG_YAML_NULL, 0},
        {"true", MG_YAML_BOOL, 0},
        {"off", MG_YAML_BOOL, 0},
        {"y", MG_YAML_STRING, 0},
        {"12", MG_YAML_INT, 12},
        {"-7", MG_YAML_INT, -7},
        {"+1", MG_YAML_INT, 1},
        {"1_000", MG_YAML_INT, 1000},
        {"0x1F", MG_YAML_INT, 31},
        {"0b101", MG_YAML_INT, 5},
        {"010", MG_YAML_INT, 8},
        {"08", MG_YAML_STRING, 0},
        {"0o7", MG_YAML_STRING, 0},
        {"1.0e-08", MG_YAML_FLOAT, 1e-8},
        {"1e-8", MG_YAML_FLOAT, 1e-8},
        {"1.", MG_YAML_FLOAT, 1},
        {".5", MG_YAML_FLOAT, .5},
        {"-.5", MG_YAML_STRING, 0},
        {".", MG_YAML_STRING, 0},
        {"1e", MG_YAML_STRING, 0},
        {"e5", MG_YAML_STRING, 0},
        {"1.5.2", MG_YAML_STRING, 0},
        {"-", MG_YAML_STRING, 0},
        {"'12'", MG_YAML_STRING, 0},
        {"\"true\"", MG_YAML_STRING, 0},
        {"2001-01-01", MG_YAML_STRING, 0},
        {"???", MG_YAML_STRING, 0},
        {"//a/b:c", MG_YAML_STRING, 0},
        {"99999999999999999999", MG_YAML_FLOAT, 0},
    };
    char text[80];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const mg_yaml_node *n;
        snprintf(text, sizeof text, strcmp(cases[i].text, "-") == 0 ? "a: '%s'\n" : "a: %s\n", cases[i].text);
        mg_yaml *y = parse(text);
        expect_ok(mg_yaml_find(y, "a", &n));
        if (n->kind != cases[i].kind || (cases[i].number != 0 && n->number != cases[i].number))
            fail_msg("%s: kind %d, number %g", cases[i].text, n->kind, n->number);
        mg_yaml_close(y);
    }
}

static const char document[] = "device: cuda\n"
                               "sample_rate: 32000\n"
                               "encodec:\n"
                               "  causal: false\n"
                               "  sample_rate: ${sample_rate}\n"
                               "seanet:\n"
                               "  causal: ${encodec.causal}\n"
                               "  rate: ${encodec.sample_rate}\n"
                               "  ratios:\n"
                               "  - 8\n"
                               "  - ${seanet.ratios.0}\n"
                               "name: x-${device}-${seanet.rate}.bin\n"
                               "which: encodec\n"
                               "nested: ${${which}.causal}\n"
                               "section: ${encodec}\n"
                               "plain: \\${device}\n"
                               "user: /checkpoint/${oc.env:USER}/x\n"
                               "relative: ${.device}\n"
                               "missing: ???\n"
                               "nowhere: ${a.b}\n"
                               "here: ${there}\n"
                               "there: ${here}\n"
                               "whole: x${encodec}\n"
                               "open: ${device\n"
                               "twice: 1\n"
                               "twice: 2\n"
                               "none: null\n"
                               "half: 0.5\n";

static void interpolations_are_followed(void **state)
{
    mg_yaml *y = parse(document);
    const mg_yaml_node *n;
    const char *text;
    int64_t i = -1;
    double d = 0;
    bool b = true, found;

    (void)state;
    expect_ok(mg_yaml_bool(y, "seanet.causal", &b, &found));
    assert_true(!b && found);
    b = true;
    expect_ok(mg_yaml_bool(y, "nested", &b, NULL));
    assert_false(b);
    expect_ok(mg_yaml_int(y, "seanet.rate", &i, NULL));
    assert_int_equal(i, 32000);
    expect_ok(mg_yaml_int(y, "section.sample_rate", &i, NULL));
    assert_int_equal(i, 32000);
    expect_ok(mg_yaml_int(y, "seanet.ratios.1", &i, NULL));
    assert_int_equal(i, 8);
    expect_ok(mg_yaml_string(y, "name", &text));
    assert_string_equal(text, "x-cuda-32000.bin");
    expect_ok(mg_yaml_string(y, "plain", &text));
    assert_string_equal(text, "${device}");
    expect_ok(mg_yaml_list(y, "seanet.ratios", &n));
    assert_int_equal(n->n_children, 2);

    expect_ok(mg_yaml_int(y, "none", &i, &found));
    assert_true(!found && i == 8);
    expect_ok(mg_yaml_int(y, "encodec.no.such.key", &i, &found));
    assert_false(found);
    expect_ok(mg_yaml_double(y, "half", &d, NULL));
    assert_true(d == 0.5);
    mg_yaml_close(y);
}

static void faults_name_the_key(void **state)
{
    mg_yaml *y = parse(document);
    const mg_yaml_node *n;
    const char *text;
    int64_t i;
    bool b;

    (void)state;
    expect_failure(mg_yaml_string(y, "user", &text), MG_ECHECKPOINT, "doc: user: oc.env:USER is a resolver");
    expect_failure(mg_yaml_string(y, "relative", &text), MG_ECHECKPOINT, "relative interpolation");
    expect_failure(mg_yaml_string(y, "missing", &text), MG_ECHECKPOINT,
                   "doc: missing: \"???\": must be a text");
    expect_failure(mg_yaml_string(y, "nowhere", &text), MG_ECHECKPOINT,
                   "a.b is interpolated, but there is no");
    expect_failure(mg_yaml_find(y, "here", &n), MG_ECHECKPOINT, "goes in a circle");
    expect_failure(mg_yaml_find(y, "whole", &n), MG_ECHECKPOINT, "a list or a mapping inside a text");
    expect_failure(mg_yaml_find(y, "open", &n), MG_ECHECKPOINT, "no closing brace");
    expect_failure(mg_yaml_find(y, "twice", &n), MG_ECHECKPOINT, "given twice");
    expect_failure(mg_yaml_int(y, "half", &i, NULL), MG_ECHECKPOINT, "doc: half: 0.5: must be an integer");
    expect_failure(mg_yaml_bool(y, "sample_rate", &b, NULL), MG_ECHECKPOINT, "must be true or false");
    expect_failure(mg_yaml_list(y, "encodec", &n), MG_ECHECKPOINT, "a mapping: must be a list");
    mg_yaml_close(y);
}

/* 16 keys, each eight times the one before. */
static void interpolations_cannot_explode(void **state)
{
    char text[4000];
    size_t n = (size_t)snprintf(text, sizeof text, "a0: xxxxxxxx\n");
    const mg_yaml_node *node;

    (void)state;
    for (int i = 1; i < 16; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "a%d: ", i);
        for (int k = 0; k < 8; k++) n += (size_t)snprintf(text + n, sizeof text - n, "${a%d}", i - 1);
        n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    }
    mg_yaml *y = parse(text);
    expect_ok(mg_yaml_find(y, "a2", &node));
    assert_int_equal(strlen(node->text), 8 * 64);
    expect_failure(mg_yaml_find(y, "a15", &node), MG_ECHECKPOINT, "");
    mg_yaml_close(y);
}

static void hostile_text_is_refused(void **state)
{
    char *deep = malloc(2 << 20);

    (void)state;
    refused("", "must be a mapping");
    refused("- a\n", "must be a mapping");
    refused("a: &x [1]\nb: *x\n", "line 2: aliases are not supported");
    refused("<<: {a: 1}\n", "merge keys");
    refused("a: 1\n---\nb: 2\n", "more than one document");
    refused("? [a]\n: b\n", "a key that is no text");
    refused("a: \"\\0\"\n", "a NUL");
    refused("a: [1, 2\n", "not YAML");
    refused("a: \"\xff\"\n", "not YAML");
    assert_non_null(deep);
    memset(deep, '[', 100);
    memcpy(deep, "a: ", 3);
    deep[100] = '\0';
    refused(deep, "deeper than 64");
    memcpy(deep, "a: [", 4);
    memset(deep + 4, ',', 300000);
    for (int i = 4; i < 300000; i += 2) deep[i] = '1';
    strcpy(deep + 300000, "]");
    refused(deep, "more than 100000 values");
    memset(deep, ' ', 2 << 20);
    deep[(2 << 20) - 1] = '\0';
    refused(deep, "more than 1 MiB");
    free(deep);
}

static void folded_and_quoted_text_is_read(void **state)
{
    mg_yaml *y = parse("a: one two\n  three\nb: 'it''s'\nc: \"x\\\n  y\"\nd: ''\ne:\n- []\n- {}\n");
    const char *text;
    const mg_yaml_node *n;

    (void)state;
    expect_ok(mg_yaml_string(y, "a", &text));
    assert_string_equal(text, "one two three");
    expect_ok(mg_yaml_string(y, "b", &text));
    assert_string_equal(text, "it's");
    expect_ok(mg_yaml_string(y, "c", &text));
    assert_string_equal(text, "xy");
    expect_ok(mg_yaml_string(y, "d", &text));
    assert_string_equal(text, "");
    expect_ok(mg_yaml_find(y, "e.1", &n));
    assert_true(n->kind == MG_YAML_DICT && !n->child);
    mg_yaml_close(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_words_have_their_kinds), cmocka_unit_test(interpolations_are_followed),
        cmocka_unit_test(faults_name_the_key),          cmocka_unit_test(interpolations_cannot_explode),
        cmocka_unit_test(hostile_text_is_refused),      cmocka_unit_test(folded_and_quoted_text_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
