/* Configurations out of pickles: what AudioCraft's own exporter made of the golden one, and layouts that
 * PyYAML 6.0 gives for odd values. */
#include "io_fixture.h"

#include "omegaconf.h"
#include "torch_file.h"
#include "yaml_writer.h"

static void check_export(const char *training, const char *exported)
{
    mg_torch_file *from, *to;
    char *yaml;

    expect_ok(mg_torch_file_open(&from, training));
    expect_ok(mg_torch_file_open(&to, exported));
    const mg_pickle_value *cfg = mg_pickle_get(mg_torch_file_root(from), "xp.cfg");
    const mg_pickle_value *wanted = mg_pickle_get(mg_torch_file_root(to), "xp.cfg");
    assert_true(mg_omegaconf_is(cfg) && !mg_omegaconf_is(wanted));
    expect_ok(mg_omegaconf_to_yaml(&yaml, "xp.cfg", cfg));
    assert_string_equal(yaml, wanted->text.data);
    free(yaml);
    mg_torch_file_close(from);
    mg_torch_file_close(to);
}

static void golden_configurations_give_the_same_text(void **state)
{
    (void)state;
    check_export(MG_GOLDEN_DIR "/checkpoints/ac-mono-training/checkpoint.th",
                 MG_GOLDEN_DIR "/checkpoints/ac-mono/state_dict.bin");
    check_export(MG_GOLDEN_DIR "/checkpoints/ac-mono-training/codec_checkpoint.th",
                 MG_GOLDEN_DIR "/checkpoints/ac-mono/compression_state_dict.bin");
}

/* One opcode string; strlen will do, for none of them holds a NUL. */
static mg_status dump(char **yaml, const char *pickle)
{
    mg_pickle *store = NULL;
    const mg_pickle_value *root;

    *yaml = NULL;
    expect_ok(mg_pickle_read(&store, &root, "pickle", pickle, strlen(pickle), NULL));
    const mg_status st = mg_omegaconf_to_yaml(yaml, "FILE: xp.cfg", root);
    mg_pickle_close(store);
    return st;
}

static void objects_are_unwrapped(void **state)
{
    /* DictConfig{_parent: itself, _content: {a: AnyNode{_val: 3}, b: ListConfig{_content: [None, '${a}']},
     * c: DictConfig{_content: '???'}, d: {}}} */
    static const char pickle[] = "comegaconf.dictconfig\nDictConfig\n)\x81p0\n}(V_parent\ng0\nV_content\n}("
                                 "Va\ncomegaconf.nodes\nAnyNode\n)\x81}(V_parent\ng0\nV_val\nI3\nub"
                                 "Vb\ncomegaconf.listconfig\nListConfig\n)\x81}V_content\n](NV${a}\nesb"
                                 "Vc\ncomegaconf.dictconfig\nDictConfig\n)\x81}V_content\nV???\nsb"
                                 "Vd\n}uub.";
    char *yaml;

    (void)state;
    expect_ok(dump(&yaml, pickle));
    assert_string_equal(yaml, "a: 3\nb:\n- null\n- ${a}\nc: ???\nd: {}\n");
    free(yaml);
}

static void what_has_no_form_is_refused(void **state)
{
    char *yaml, deep[400] = "}Va\n";

    (void)state;
    expect_failure(dump(&yaml, "]."), MG_ECHECKPOINT, "FILE: xp.cfg: is no configuration");
    expect_failure(dump(&yaml, "}Va\ncpathlib\nPosixPath\n(Vx\ntRs."), MG_ECHECKPOINT,
                   "FILE: xp.cfg: a: is neither a text");
    expect_failure(dump(&yaml, "}Va\nC\x01zs."), MG_ECHECKPOINT, "a: is neither a text");
    expect_failure(dump(&yaml, "})Vx\ns."), MG_ECHECKPOINT, "a key");
    expect_failure(dump(&yaml, "}Va\ncomegaconf.nodes\nAnyNode\n)\x81s."), MG_ECHECKPOINT, "without a value");
    expect_failure(dump(&yaml, "}Va\nV\\u0000\xff\ns."), MG_ECHECKPOINT, "is not UTF-8");
    memset(deep + 4, ']', 70);
    memset(deep + 74, 'a', 69);
    strcpy(deep + 143, "s.");
    expect_failure(dump(&yaml, deep), MG_ECHECKPOINT, "deeper than 64");
    /* a node that is its own value, and a list that is its own item */
    expect_failure(dump(&yaml, "}Va\ncomegaconf.nodes\nAnyNode\n)\x81p0\n}V_val\ng0\nsbs."), MG_ECHECKPOINT,
                   "without a value");
    expect_failure(dump(&yaml, "}Va\n]p0\ng0\nas."), MG_ECHECKPOINT, "deeper than 64");
    /* ten lists of ten times the one before */
    expect_failure(dump(&yaml, "}Va\n](NNNNNNNNNNep0\n0](g0\ng0\ng0\ng0\ng0\ng0\ng0\ng0\ng0\ng0\nep1\n0]("
                               "g1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\nep2\n0](g2\ng2\ng2\ng2\ng2\ng2\ng2\n"
                               "g2\ng2\ng2\nep3\n0](g3\ng3\ng3\ng3\ng3\ng3\ng3\ng3\ng3\ng3\nes."),
                   MG_ECHECKPOINT, "more than");
}

/* Text as PyYAML writes it: quotes, folds and escapes. */
static void strings_are_quoted_as_pyyaml_does(void **state)
{
    static const struct {
        const char *text, *yaml;
    } cases[] = {
        {"cuda", "k: cuda\n"},
        {"", "k: ''\n"},
        {"yes", "k: 'yes'\n"},
        {"y", "k: 'y'\n"},
        {"1e-8", "k: '1e-8'\n"},
        {"1_000", "k: '1_000'\n"},
        {"nan", "k: 'nan'\n"},
        {"null", "k: 'null'\n"},
        {"2001-01-01", "k: '2001-01-01'\n"},
        {"12:30:45", "k: '12:30:45'\n"},
        {"???", "k: ???\n"},
        {"${a.b}", "k: ${a.b}\n"},
        {"//a/b:c", "k: //a/b:c\n"},
        {"a: b", "k: 'a: b'\n"},
        {"it's", "k: it's\n"},
        {"'x'", "k: '''x'''\n"},
        {"a #b", "k: 'a #b'\n"},
        {"- a", "k: '- a'\n"},
        {" a", "k: ' a'\n"},
        {"a\nb", "k: 'a\n\n  b'\n"},
        {"a\tb", "k: \"a\\tb\"\n"},
        {"\xC3\xA9\xE2\x99\xAB", "k: \xC3\xA9\xE2\x99\xAB\n"},
        {"\xC3\xA9\xF0\x9F\x8E\xB5", "k: \"\xC3\xA9\\U0001F3B5\"\n"}, /* PyYAML leaves it as it is */
        {"\xF0\x9F\x8E\xB5\x01", "k: \"\\U0001F3B5\\x01\"\n"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c",
         "k: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n  b c\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_yaml_writer *w;
        char *yaml;
        expect_ok(mg_yaml_writer_open(&w, "doc"));
        expect_ok(mg_yaml_writer_begin(w, false));
        expect_ok(mg_yaml_writer_string(w, "k", 1));
        expect_ok(mg_yaml_writer_string(w, cases[i].text, strlen(cases[i].text)));
        expect_ok(mg_yaml_writer_end(w, false));
        expect_ok(mg_yaml_writer_finish(w, &yaml));
        assert_string_equal(yaml, cases[i].yaml);
        free(yaml);
        mg_yaml_writer_close(w);
    }
}

static void numbers_are_written_as_python_does(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{1e-8, "1.0e-08"},
                 {1.5e-10, "1.5e-10"},
                 {0.1, "0.1"},
                 {3, "3.0"},
                 {-0.0, "-0.0"},
                 {1e16, "1.0e+16"},
                 {1e15, "1000000000000000.0"},
                 {1e-4, "0.0001"},
                 {1e-5, "1.0e-05"},
                 {123456.789, "123456.789"},
                 {5e-324, "5.0e-324"},
                 {1.0 / 3, "0.3333333333333333"}};
    char text[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_yaml_format_double(text, cases[i].v);
        assert_string_equal(text, cases[i].text);
    }
    mg_yaml_format_double(text, -1 / 0.0);
    assert_string_equal(text, "-.inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_configurations_give_the_same_text),
        cmocka_unit_test(objects_are_unwrapped),
        cmocka_unit_test(what_has_no_form_is_refused),
        cmocka_unit_test(strings_are_quoted_as_pyyaml_does),
        cmocka_unit_test(numbers_are_written_as_python_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
