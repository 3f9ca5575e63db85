/* The parser over tables of its own: what arrives where, and what a table may not contain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "cli.h"

typedef struct settings {
    int shape;
    bool loud;
    int64_t count, other;
    double weight;
    const char *name;
    mg_strings words;
    int colour;
    int64_t size, part;
} settings;

#define AT(field) offsetof(settings, field)

static const mg_option options[] = {
    {.name = "WHAT",
     .type = MG_OPT_CHOICE,
     .is_operand = true,
     .offset = AT(shape),
     .choices = "round|square",
     .group = "G",
     .help = "shape"},
    {.name = "loud", .letter = 'l', .type = MG_OPT_FLAG, .offset = AT(loud), .group = "G", .help = "noise"},
    {.name = "count",
     .alias = "number",
     .letter = 'n',
     .type = MG_OPT_INT,
     .offset = AT(count),
     .arg = "N",
     .preset = "3",
     .low = 0,
     .high = 10,
     .group = "G",
     .help = "how many"},
    {.name = "other",
     .type = MG_OPT_INT,
     .offset = AT(other),
     .arg = "N",
     .low = 0,
     .high = INFINITY,
     .group = "G",
     .help = "no default"},
    {.name = "weight",
     .type = MG_OPT_FLOAT,
     .offset = AT(weight),
     .arg = "F",
     .low = -1,
     .high = 1,
     .group = "G",
     .help = "how heavy"},
    {.name = "name", .type = MG_OPT_STRING, .offset = AT(name), .arg = "TEXT", .group = "G", .help = "who"},
    {.name = "word",
     .type = MG_OPT_STRINGS,
     .offset = AT(words),
     .arg = "TEXT",
     .group = "G",
     .help = "what"},
    {.name = "colour",
     .type = MG_OPT_CHOICE,
     .offset = AT(colour),
     .preset = "green",
     .choices = "red|green",
     .group = "G",
     .help = "hue"},
    {.name = "size", .type = MG_OPT_SIZE, .offset = AT(size), .arg = "SIZE", .group = "G", .help = "bytes"},
    {.name = "part",
     .type = MG_OPT_SIZE,
     .offset = AT(part),
     .arg = "SIZE",
     .low = 1,
     .high = 1e6,
     .in_mb = true,
     .group = "G",
     .help = "a number alone is MB"},
};

static mg_status run(mg_context *context, const void *s)
{
    (void)context;
    (void)s;
    return MG_OK;
}

static mg_command command_of(const mg_option *table, int n)
{
    return (mg_command){.name = "draw",
                        .summary = "s",
                        .usage = "u",
                        .options = table,
                        .n_options = n,
                        .settings_bytes = sizeof(settings),
                        .run = run};
}

enum { MOST_WORDS = 16 };

/* Parse "draw …" of the words up to NULL. */
static mg_status parse(mg_cli *cli, const char *const *words)
{
    static mg_command command;
    char *argv[MOST_WORDS] = {"mg-dist", "draw"};
    int argc = 2;

    command = command_of(options, sizeof options / sizeof *options);
    for (; words[argc - 2]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 2];
    return mg_cli_parse(cli, &command, 1, argc, argv);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_values_arrive(void **state)
{
    mg_cli cli;
    (void)state;

    assert_int_equal(parse(&cli, WORDS("square", "-l", "--number=7", "--weight", "-0.5", "--name", "a=b",
                                       "--word", "one", "--word=", "--colour", "red")),
                     MG_OK);
    const settings *s = cli.settings;
    assert_int_equal(s->shape, 1);
    assert_true(s->loud);
    assert_int_equal(s->count, 7);
    assert_int_equal(s->other, -1);
    assert_true(s->weight == -0.5);
    assert_string_equal(s->name, "a=b");
    assert_int_equal(s->words.n, 2);
    assert_string_equal(s->words.item[0], "one");
    assert_string_equal(s->words.item[1], "");
    assert_int_equal(s->colour, 0);
    assert_true(isnan(cli.comm_timeout_s));
    mg_cli_close(&cli);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"0", 0},   {"500M", 500000000}, {"1.5GB", 1500000000}, {"5 gb", 5000000000},
                 {"7B", 7},  {"8Gi", 8ll << 30},  {"3kib", 3072},        {"2TiB", 2ll << 40},
                 {"M", -1},  {"4 parsecs", -1},   {"4 GBit", -1},        {"4BB", -1},
                 {"4i", -1}, {"-1", -1},          {"nan", -1},           {"1e10TB", -1}};
    mg_cli cli;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const mg_status st = parse(&cli, WORDS("square", "--size", cases[i].text));
        assert_int_equal(st, cases[i].bytes < 0 ? MG_EUSAGE : MG_OK);
        if (st == MG_OK) assert_int_equal(((const settings *)cli.settings)->size, cases[i].bytes);
        mg_cli_close(&cli);
    }
}

/* Of a size whose number may stand alone, the variable says the same. */
static void test_sizes_with_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"500", 500000000},
                 {"0.5", 500000},
                 {"1000000", 1000000000000},
                 {"500MB", 500000000},
                 {"7B", 7},
                 {"8Gi", 8ll << 30},
                 {"0", -1},
                 {"1000001", -1},
                 {"5000000000", -1},
                 {"-1", -1}};
    mg_cli cli;
    (void)state;

    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const char *text = cases[i / 2].text;
        if (i % 2) setenv("MGDIST_PART", text, 1);
        const mg_status st =
            i % 2 ? parse(&cli, WORDS("square")) : parse(&cli, WORDS("square", "--part", text));
        assert_int_equal(st, cases[i / 2].bytes < 0 ? MG_EUSAGE : MG_OK);
        if (st == MG_OK) assert_int_equal(((const settings *)cli.settings)->part, cases[i / 2].bytes);
        mg_cli_close(&cli);
        unsetenv("MGDIST_PART");
    }
    assert_int_equal(parse(&cli, WORDS("square", "--part", "5000000000")), MG_EUSAGE);
    assert_non_null(strstr(mg_last_error(),
                           "a number alone counts in MB, up to 1000000; write its unit, like "
                           "5000000000B"));
    mg_cli_close(&cli);
}

static void expect_absent(const settings *s)
{
    assert_false(s->loud);
    assert_int_equal(s->count, 3);
    assert_int_equal(s->other, -1);
    assert_true(isnan(s->weight));
    assert_null(s->name);
    assert_int_equal(s->words.n, 0);
    assert_int_equal(s->colour, 1);
}

static void test_absent_values(void **state)
{
    const mg_command command = command_of(options, sizeof options / sizeof *options);
    mg_cli cli;
    settings plain;
    (void)state;

    assert_int_equal(parse(&cli, WORDS("round")), MG_OK);
    expect_absent(cli.settings);
    mg_cli_close(&cli);

    memset(&plain, 0x55, sizeof plain); /* without a command line */
    setenv("MGDIST_COUNT", "9", 1);
    mg_cli_preset(&command, &plain);
    unsetenv("MGDIST_COUNT");
    expect_absent(&plain);
    assert_int_equal(plain.shape, -1);
}

static void refused(const char *const *words, const char *message)
{
    mg_cli cli;

    assert_int_equal(parse(&cli, words), MG_EUSAGE);
    if (!strstr(mg_last_error(), message)) fail_msg("\"%s\" is not in \"%s\"", message, mg_last_error());
    mg_cli_close(&cli);
}

static void test_refusals(void **state)
{
    (void)state;
    refused(WORDS("-l"), "WHAT: missing; one of round|square");
    refused(WORDS("oval"), "WHAT: \"oval\": must be one of round|square");
    refused(WORDS("round", "round"), "\"round\": a word too many");
    refused(WORDS("round", "--count", "11"), "option --count: \"11\": must be a whole number from 0 to 10");
    refused(WORDS("round", "--other", "-4"), "must be a whole number, at least 0");
    refused(WORDS("round", "--weight", "1.01"), "must be a number from -1 to 1");
    refused(WORDS("round", "--color", "red"), "option --color: unknown; did you mean --colour?");
    refused(WORDS("round", "--numbre", "1"), "did you mean --number?");
    refused(WORDS("round", "--verbos"), "did you mean --verbose?");
    refused(WORDS("round", "--count"), "option --count: the value N is missing");
    refused(WORDS("round", "--loud=1"), "option --loud: takes no value");
    refused(WORDS("round", "-n"), "option --count: the value N is missing");
    refused(WORDS("round", "-q", "--verbose"), "quiet and verbose");
}

static void test_environment(void **state)
{
    mg_cli cli;
    (void)state;

    setenv("MGDIST_COUNT", "9", 1);
    setenv("MGDIST_WORD", "sky", 1);
    setenv("MGDIST_NAME", "", 1);
    setenv("MGDIST_HELP", "1", 1);
    assert_int_equal(parse(&cli, WORDS("round")), MG_OK);
    assert_int_equal(((const settings *)cli.settings)->count, 9);
    assert_int_equal(((const settings *)cli.settings)->words.n, 1);
    assert_null(((const settings *)cli.settings)->name); /* empty is not given */
    assert_int_equal(cli.action, MG_CLI_RUN);
    mg_cli_close(&cli);

    assert_int_equal(parse(&cli, WORDS("round", "--count", "2", "--word", "sea")), MG_OK);
    assert_int_equal(((const settings *)cli.settings)->count, 2);
    assert_int_equal(((const settings *)cli.settings)->words.n, 1);
    assert_string_equal(((const settings *)cli.settings)->words.item[0], "sea");
    mg_cli_close(&cli);

    setenv("MGDIST_COUNT", "99", 1);
    refused(WORDS("round"), "environment MGDIST_COUNT: \"99\": must be");
    unsetenv("MGDIST_COUNT");
    unsetenv("MGDIST_WORD");
    unsetenv("MGDIST_NAME");
    unsetenv("MGDIST_HELP");
}

/* A variable that is meant for other commands. */
static void test_environment_is_forgotten(void **state)
{
    mg_cli cli;
    settings s;
    (void)state;

    setenv("MGDIST_COUNT", "9", 1);
    setenv("MGDIST_OTHER", "9", 1);
    setenv("MGDIST_NAME", "them", 1);
    setenv("MGDIST_WORD", "sky", 1);
    setenv("MGDIST_LOUD", "1", 1);
    setenv("MGDIST_COLOUR", "red", 1);
    assert_int_equal(parse(&cli, WORDS("round", "--other", "8")), MG_OK);
    s = *(const settings *)cli.settings;
    mg_cli_forget_environment(&cli, &s, "count|other|name|word|loud");
    assert_int_equal(s.count, 3);  /* its preset */
    assert_int_equal(s.other, 8);  /* said on the command line */
    assert_int_equal(s.colour, 0); /* not asked for */
    assert_null(s.name);
    assert_int_equal(s.words.n, 0);
    assert_false(s.loud);
    mg_cli_close(&cli);
    static const char *const names[] = {"COUNT", "OTHER", "NAME", "WORD", "LOUD", "COLOUR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32];
        snprintf(name, sizeof name, "MGDIST_%s", names[i]);
        unsetenv(name);
    }
}

static void test_actions(void **state)
{
    mg_cli cli;
    (void)state;

    assert_int_equal(parse(&cli, WORDS("--help")), MG_OK); /* the missing WHAT does not matter */
    assert_int_equal(cli.action, MG_CLI_HELP);
    mg_cli_close(&cli);
    assert_int_equal(parse(&cli, WORDS("round", "--version", "--nonsense")), MG_OK);
    assert_int_equal(cli.action, MG_CLI_VERSION);
    mg_cli_close(&cli);
}

static void bad_table(mg_option first, mg_option second)
{
    const mg_option table[] = {first, second};
    const mg_command command = command_of(table, 2);

    assert_int_equal(mg_cli_check(&command, 1), MG_EBUG);
}

static void test_tables_are_checked(void **state)
{
    const mg_command command = command_of(options, sizeof options / sizeof *options);
    const mg_option good = {.name = "good", .type = MG_OPT_FLAG, .group = "G", .help = "h"};
    mg_option bad = {.name = "bad",
                     .letter = 'b',
                     .type = MG_OPT_INT,
                     .arg = "N",
                     .low = 0,
                     .high = 9,
                     .preset = "4",
                     .group = "G",
                     .help = "h"};
    mg_option worse;
    (void)state;

    assert_int_equal(mg_cli_check(&command, 1), MG_OK);
    worse = bad, worse.name = "good";
    bad_table(good, worse);
    worse = bad, worse.alias = "good";
    bad_table(good, worse);
    worse = bad, worse.letter = 'q'; /* everybody's -q */
    bad_table(good, worse);
    worse = bad, worse.name = "help";
    bad_table(good, worse);
    worse = bad, worse.help = "";
    bad_table(good, worse);
    worse = bad, worse.help = NULL;
    bad_table(good, worse);
    worse = bad, worse.arg = NULL;
    bad_table(good, worse);
    worse = bad, worse.preset = "ten";
    bad_table(good, worse);
    worse = bad, worse.preset = "10"; /* out of its own range */
    bad_table(good, worse);
    worse = bad, worse.low = 9;
    bad_table(good, worse);
    worse = bad, worse.type = MG_OPT_CHOICE;
    bad_table(good, worse);

    mg_option list = good, word = good;
    list.type = MG_OPT_STRINGS, list.is_operand = true;
    word.type = MG_OPT_STRING, word.is_operand = true, word.name = "word";
    bad_table(list, word); /* nothing would be left for it */
}

/* What would do nothing is named, each option once; variables, defaults and operands are not. */
static void test_idle_options(void **state)
{
    char *words[] = {"mg-dist", "draw", "round", "--count", "4", "--other=5", "-n", "6"};
    const mg_command command = command_of(options, (int)(sizeof options / sizeof *options));
    mg_cli cli;
    (void)state;

    assert_int_equal(setenv("MGDIST_WEIGHT", "0.5", 1), 0);
    assert_int_equal(mg_cli_parse(&cli, &command, 1, 8, words), MG_OK);
    assert_int_equal(mg_cli_refuse_idle(&cli, "WHAT|loud|weight", "here"), MG_OK);
    assert_int_equal(mg_cli_refuse_idle(&cli, "count|loud", "here"), MG_EUSAGE);
    assert_string_equal(mg_last_error(), "option --count: has no effect here");
    assert_int_equal(mg_cli_refuse_idle(&cli, "other|count|weight", "here"), MG_EUSAGE);
    assert_string_equal(mg_last_error(), "options --count, --other: have no effect here");
    mg_cli_close(&cli);
    assert_int_equal(unsetenv("MGDIST_WEIGHT"), 0);
}

/* An operand that is a list takes all the words there are. */
static void test_list_of_operands(void **state)
{
    mg_option table[] = {
        {.name = "WHAT", .type = MG_OPT_STRING, .is_operand = true, .group = "G", .help = "h"},
        {.name = "FILE", .type = MG_OPT_STRINGS, .is_operand = true, .group = "G", .help = "h"},
        {.name = "loud", .type = MG_OPT_FLAG, .group = "G", .help = "h"}};
    char *words[] = {"mg-dist", "draw", "it", "a", "--loud", "b", "-", "c"},
         *few[] = {"mg-dist", "draw", "it"};
    const mg_command command = command_of(table, 3);
    mg_cli cli;
    (void)state;

    table[0].offset = AT(name), table[1].offset = AT(words), table[2].offset = AT(loud);
    assert_int_equal(mg_cli_check(&command, 1), MG_OK);
    assert_int_equal(mg_cli_parse(&cli, &command, 1, 8, words), MG_OK);
    const settings *s = cli.settings;
    assert_string_equal(s->name, "it");
    assert_true(s->loud);
    assert_int_equal(s->words.n, 4);
    assert_string_equal(s->words.item[0], "a");
    assert_string_equal(s->words.item[2], "-");
    assert_string_equal(s->words.item[3], "c");
    mg_cli_close(&cli);

    assert_int_equal(mg_cli_parse(&cli, &command, 1, 3, few), MG_EUSAGE);
    assert_non_null(strstr(mg_last_error(), "FILE: missing; mg-dist "));
    mg_cli_close(&cli);

    table[1].is_optional = true;
    assert_int_equal(mg_cli_parse(&cli, &command, 1, 3, few), MG_OK);
    assert_int_equal(((const settings *)cli.settings)->words.n, 0);
    mg_cli_close(&cli);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sizes_with_a_unit),
        cmocka_unit_test(test_absent_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_is_forgotten),
        cmocka_unit_test(test_idle_options),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_tables_are_checked),
        cmocka_unit_test(test_list_of_operands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
