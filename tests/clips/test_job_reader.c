/* Job files of every form against what Python's csv and json modules say of them (tests/golden/make_jobs.py),
 * and bad ones. */
#include "job_reader_fixture.h"

#include <unistd.h>

#define GOLDEN MG_GOLDEN_DIR "/jobs/"

static void expect_golden(const char *path, const mg_job_format *how, const char *wanted_path)
{
    int64_t bytes;
    char *wanted = get_file(wanted_path, &bytes), *line = wanted;
    mg_job_reader *r;

    expect_ok(mg_job_reader_open(&r, path, how));
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        expect_next(r, 0, line);
    }
    expect_over(r);
    free(wanted);
}

static void test_csv_as_python_writes_it(void **state)
{
    (void)state;
    expect_golden(GOLDEN "jobs.csv", &(mg_job_format){0}, GOLDEN "jobs.jsonl");
    expect_golden(GOLDEN "quoted.csv", &(mg_job_format){0}, GOLDEN "jobs.jsonl");
    expect_golden(GOLDEN "jobs.tsv", &(mg_job_format){0}, GOLDEN "jobs.jsonl");
    expect_golden(GOLDEN "jobs.jsonl", &(mg_job_format){0}, GOLDEN "jobs.jsonl");
    expect_golden(GOLDEN "musiccaps.csv.gz", &(mg_job_format){0}, GOLDEN "musiccaps.jsonl");
    expect_golden(GOLDEN "musiccaps.csv.gz",
                  &(mg_job_format){.form = MG_JOBS_CSV, .prompt_column = "caption", .id_column = "ytid"},
                  GOLDEN "musiccaps.jsonl");
}

/* A quote that does not begin a field is a character: 12" in one row and 7" in the next do not join them. */
static void test_bare_quotes_as_python_reads_them(void **state)
{
    (void)state;
    expect_golden(GOLDEN "bare.csv", &(mg_job_format){0}, GOLDEN "bare.csv.jsonl");
    expect_golden(GOLDEN "bare-two.csv", &(mg_job_format){0}, GOLDEN "bare-two.csv.jsonl");
    expect_golden(GOLDEN "bare.tsv", &(mg_job_format){0}, GOLDEN "bare.tsv.jsonl");
}

static mg_job_reader *open_named(const char *text, const mg_job_format *how)
{
    mg_job_reader *r;

    expect_ok(mg_job_reader_open_text(&r, "a.jsonl", text, (int64_t)strlen(text), how));
    return r;
}

/* A name that was mistyped would make clips without text. */
static void test_named_keys_must_be_there(void **state)
{
    const mg_job_format captoin = {.prompt_column = "captoin"}, mood = {.prompt_column = "mood"},
                        track = {.id_column = "track"}, nowhere = {.id_column = "nowhere"};

    (void)state;
    mg_job_reader *r = open_named("{\"caption\": \"x\"}\n{\"captoin\": \"y\"}\n", &captoin);
    expect_refused(r, "a.jsonl: line 1: there is no key \"captoin\"");
    expect_next(r, 2, "{\"prompt\": \"y\"}");
    expect_over(r);
    r = open_named(
        "{\"mood\": null}\n{\"mood\": [\"x\"]}\n{\"mood\": 1.5}\n{\"mood\": \"x\", \"mood\": \"y\"}\n"
        "{\"mood\": \"a\\u0000b\"}\n{\"mood\": \"a\"}{\"mood\": \"b\"}\n[]\n",
        &mood);
    expect_next(r, 1, "{}");
    expect_refused(r, "line 2: mood: [\"x\"]: must be a text");
    expect_refused(r, "line 3: mood: 1.5: must be a text");
    expect_refused(r, "line 4: mood: given twice");
    expect_refused(r, "line 5: not JSON: an escaped NUL");
    expect_refused(r, "line 6: not JSON: something behind the value");
    expect_refused(r, "line 7: not a JSON object");
    expect_over(r);
    r = open_named("{\"track\": 7, \"caption\": \"x\"}\n{\"track\": 8, \"prompt\": \"x\"}\n{\"track\": 9}\n",
                   &track);
    expect_next(r, 1, "{\"prompt\": \"x\", \"id\": \"7\"}");
    expect_next(r, 2, "{\"prompt\": \"x\", \"id\": \"8\"}");
    expect_refused(r, "line 3: there is no key \"prompt\"");
    expect_over(r);
    r = open_named("{\"prompt\": \"x\", \"id\": \"y\"}\n", &nowhere);
    expect_refused(r, "there is no key \"nowhere\"");
    expect_over(r);
}

/* What a record's reader refuses is not repaired on the way to it. */
static void test_captions_keep_what_is_wrong(void **state)
{
    static const char *const same[] = {"{\"caption\": \"a\\u0000b\"}",
                                       "{\"caption\": \"a\"}{\"caption\": \"b\"}"};
    mg_job_record record;
    bool over;

    (void)state;
    for (int i = 0; i < 2; i++) {
        mg_job_reader *r = open_text("a.jsonl", same[i]);
        expect_ok(mg_job_reader_next(r, &record, &over));
        assert_string_equal(record.text, same[i]);
        mg_job_reader_close(r);
    }
}

static void test_lines_and_arrays(void **state)
{
    (void)state;
    mg_job_reader *r = open_text("a", "\xEF\xBB\xBF\n {\"prompt\": \"x\"}\r\n\n{\"n\": 2}");
    expect_next(r, 2, "{\"prompt\": \"x\"}");
    expect_next(r, 4, "{\"n\": 2}");
    expect_over(r);
    r = open_text("a.json", "\n[\n{\"prompt\": \"a, ] } \\\" b\",\n \"n\": 1},\n\n {\"id\": \"q\"}\n]\n");
    expect_next(r, 3, "{\"prompt\": \"a, ] } \\\" b\", \"n\": 1}");
    expect_next(r, 6, "{\"id\": \"q\"}");
    expect_over(r);
    expect_over(open_text("a.json", "[]"));
    expect_over(open_text("a.jsonl", ""));
    expect_over(open_text("a.csv", ""));
    expect_over(open_text("a.csv", "prompt,n\r\n\r\n"));
    r = open_text("a.txt", "drums\r\n\n  {piano}\n");
    expect_next(r, 1, "{\"prompt\": \"drums\"}");
    expect_next(r, 3, "{\"prompt\": \"  {piano}\"}");
    expect_over(r);
    mg_job_reader *named;
    const char text[] = "{\"caption\": \"x\", \"n\": 3, \"key\": 12}\n";
    expect_ok(mg_job_reader_open_text(&named, "a.jsonl", text, sizeof text - 1,
                                      &(mg_job_format){.prompt_column = "caption", .id_column = "key"}));
    expect_next(named, 1, "{\"prompt\": \"x\", \"id\": \"12\"}");
    expect_over(named);
}

/* By content, whatever the name says or does not say. */
static void test_forms_are_recognised(void **state)
{
    static const char *const names[] = {"a", "a.txt", "standard input", "a.list"};
    mg_job_reader *r;

    (void)state;
    for (int i = 0; i < 4; i++) {
        r = open_text(names[i], "\xEF\xBB\xBF [\"a\", \"b \\\"c\\\"\",\n{\"prompt\": \"d\"}]");
        expect_next(r, 1, "{\"prompt\": \"a\"}");
        expect_next(r, 1, "{\"prompt\": \"b \\\"c\\\"\"}");
        expect_next(r, 2, "{\"prompt\": \"d\"}");
        expect_over(r);
        r = open_text(names[i], "id,Caption , seed\nx,\"soft, slow\",7\n");
        expect_next(r, 2, "{\"id\": \"x\", \"prompt\": \"soft, slow\", \"seed\": 7}");
        expect_over(r);
        r = open_text(names[i], "text\tn\r\na, b\t2\r\n");
        expect_next(r, 2, "{\"prompt\": \"a, b\", \"n\": 2}");
        expect_over(r);
        r = open_text(names[i], "{\"n\": 1}\n{}");
        expect_next(r, 1, "{\"n\": 1}");
        expect_next(r, 2, "{}");
        expect_over(r);
        r = open_text(names[i], "[Verse 1] soft\n{loud} drums\nprompt, fast\n[3]\n");
        expect_next(r, 1, "{\"prompt\": \"[Verse 1] soft\"}");
        expect_next(r, 2, "{\"prompt\": \"{loud} drums\"}");
        expect_next(r, 3, "{\"prompt\": \"prompt, fast\"}");
        expect_next(r, 4, "{\"prompt\": \"[3]\"}");
        expect_over(r);
    }
    r = open_text("a.csv", "audio_prompt,n\nx.wav,2\n"); /* something else to follow */
    expect_next(r, 2, "{\"audio_prompt\": \"x.wav\", \"n\": 2}");
    expect_over(r);
    r = open_text("a.csv", "prompt\nslow\n");
    expect_next(r, 2, "{\"prompt\": \"slow\"}");
    expect_over(r);
    r = open_text("a.csv", "prompt,n,\nslow,2,\n"); /* a spreadsheet's last column, which is empty */
    expect_next(r, 2, "{\"prompt\": \"slow\", \"n\": 2}");
    expect_over(r);
    const char words[] = "mood\nslow\n";
    expect_ok(
        mg_job_reader_open_text(&r, "a", words, sizeof words - 1, &(mg_job_format){.prompt_column = "mood"}));
    expect_next(r, 2, "{\"prompt\": \"slow\"}");
    expect_over(r);
}

static void test_what_a_file_is_not_taken_for(void **state)
{
    static const struct {
        const char *name, *text, *part;
    } heads[] = {
        {"a", "prompt\nslow\n",
         "a: its first line may be a header or a text; say what it is: --prompts-format"},
        {"a.txt", "Text\nslow\n", "may be a header or a text"},
        {"a.csv", "{\"prompt\": \"x\"}", "a.csv: its name says a table, and it begins as JSON"},
        {"a.tsv.gz", "[{\"prompt\": \"x\"}]", "its name says a table"},
        {"a.csv", ",prompt\n0,x\n", "line 1: the first column of the header has no name"},
        {"a.csv", "prompt\tn\nx\t2\n", "tabs part its fields"},
        {"a.csv", "mood,n\nx,2\n",
         "line 1: no column is called prompt, caption or text: \"mood\", \"n\"; --prompt-column"},
        {"a.csv", "caption,text\nx,y\n", "line 1: more than one column may hold the prompt"},
        {"a.xlsx", "PK\x03\x04 a", "it is a ZIP archive, as .xlsx"},
        {"a.parquet", "PAR1 a", "it is a Parquet file"},
        {"a", "<!DOCTYPE html>\n<p>x\n", "it begins as a page of HTML"},
        {"a.txt", "<html>\n", "it begins as a page of HTML"},
        {"a", "<?xml version=\"1.0\"?>\n", "it begins as XML"},
        {"a.yaml", "- slow\n- fast\n", "it begins as a list in YAML or Markdown"},
        {"a.md", "* slow\n\n* fast\n", "it begins as a list in YAML or Markdown"},
        {"a", "prompts:\n  - slow\n", "it begins as a list in YAML or Markdown"},
        {"a.yml", "---\n- slow\n", "it begins as YAML"},
        {"a.yml", "- prompt: slow\n  seed: 1\n", "it begins as a list in YAML"},
        {"a.yml", "prompt: slow\nseed: 1\n", "it begins with a key and its value"},
        {"a.py", "prompts = [\"slow\"]\n", "it begins with a key and its value"},
        {"a.toml", "[[clip]]\ntext = \"slow\"\n", "it begins as TOML"},
        {"a.ini", "[a]\nx = slow\n", "it begins as TOML or an INI file"},
        {"a.xml", "<list><p>slow</p></list>\n", "it begins as XML or HTML"},
        {"a.svg", "<svg>\n<g>\n", "it begins as XML or HTML"},
        {"a.md", "# Prompts\n\nslow\n", "it begins with a heading or a remark"},
        {"a.md", "| mood | n |\n|---|---|\n", "it begins as a table in Markdown"},
        {"a.md", "1. slow\n2. fast\n", "it begins as a numbered list"},
        {"a.sh", "#!/bin/sh\n", "it begins as a script"},
        {"a.srt", "1\n00:00:01,000 --> 00:00:02,000\nslow\n", "it begins as subtitles"},
        {"a.txt", "\"slow\"\n\"fast\"\n", "its texts stand in quotes"},
        {"a.txt", "\"slow\",\n\"fast\",\n", "its texts stand in quotes"},
        {"a.csv", "| prompt | n |\n|---|---|\n", "it begins as a table in Markdown"},
        {"a.txt", " prompt | n\n--------+---\n slow | 2\n", "it begins as a table in Markdown"},
        {"a.csv", "sep=;\nmood;n\nx;2\n", "line 2: no column is called prompt, caption or text"},
        {"a.txt", "slow\rfast\r", "a.txt: its lines end in CR alone"},
        {"a.csv", "prompt,n\rslow,2\r", "its lines end in CR alone"},
        {"a.csv", "\xff\xfep", "a.csv: it is UTF-16: save it as UTF-8"},
        {"a.txt", "\xfe\xff", "it is UTF-16"},
        {"a.xls", "\xd0\xcf\x11\xe0\xa1", "it is a file of an old Excel"},
        {"a.arrow", "ARROW1", "it is an Arrow file"},
        {"data", "\xff\xff\xff\xff\x10", "it is an Arrow stream"},
        {"a.csv.zst", "\x28\xb5\x2f\xfd", "it is packed by zstd"},
        {"a.wav", "RIFF", "it is a sound: --audio-prompt"},
    };
    mg_job_reader *r;

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        expect_failure(mg_job_reader_open_text(&r, heads[i].name, heads[i].text,
                                               (int64_t)strlen(heads[i].text), &(mg_job_format){0}),
                       MG_EUSAGE, heads[i].part);
}

static void test_what_may_be_two_things_is_refused(void **state)
{
    static const struct {
        const char *name, *text, *part;
    } records[] = {
        {"a.jsonl", "{\n  \"prompt\": \"x\"\n}\n",
         "a.jsonl: line 1: not JSON: the object does not end in its line"},
        {"a", "{\n  \"prompt\": \"x\",\n", "or all of them in an array"},
        {"a.json", "[\"\\x\"]", "line 1: a text that is not JSON"},
        {"a.jsonl", "\"slow\" piano\n", "line 1: a text that is not JSON"},
        {"a.jsonl", "{\"prompt\": \"x\"},\n", "line 1: a comma behind the object: JSON lines have none"},
        {"a.txt", "slow\rpiano\nx\n", "line 1: a carriage return within the line"},
    };
    mg_job_reader *r;

    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        r = open_text(records[i].name, records[i].text);
        expect_refused(r, records[i].part);
        mg_job_reader_close(r);
    }
    r = open_text("a", "slow piano\n{\"prompt\": \"x\"}\n");
    expect_next(r, 1, "{\"prompt\": \"slow piano\"}");
    expect_refused(r, "a: line 2: JSON in a list that begins as text; --prompts-format text");
    expect_over(r);
    r = open_text("a", "text, loud, fast\nslow piano\n");
    expect_refused(r, "line 2: 1 field, the header has 3; if it is no table, --prompts-format text");
    expect_over(r);
    r = open_text("a", "- one line\nslow piano\n<genre> x\nKey: C minor\n"); /* texts, all of them */
    expect_next(r, 1, "{\"prompt\": \"- one line\"}");
    expect_next(r, 2, "{\"prompt\": \"slow piano\"}");
    expect_next(r, 3, "{\"prompt\": \"<genre> x\"}");
    expect_next(r, 4, "{\"prompt\": \"Key: C minor\"}");
    expect_over(r);
    r = open_text(
        "a.json",
        "[{\"caption\": \"x\", \"seed\": 9007199254740991}, {\"text\": \"y\"}, {\"caption\": \"c\", "
        "\"text\": \"t\"}, {\"prompt\": \"p\", \"text\": \"t\"}]");
    expect_next(r, 1, "{\"prompt\": \"x\", \"seed\": 9007199254740991}");
    expect_next(r, 1, "{\"prompt\": \"y\"}");
    expect_next(r, 1, "{\"caption\": \"c\", \"text\": \"t\"}"); /* which? whoever reads it refuses it */
    expect_next(r, 1, "{\"prompt\": \"p\", \"text\": \"t\"}");
    expect_over(r);
    r = open_text("a.jsonl", "\"slow\"\n{\"prompt\": \"fast\"}\n");
    expect_next(r, 1, "{\"prompt\": \"slow\"}");
    expect_next(r, 2, "{\"prompt\": \"fast\"}");
    expect_over(r);
    r = open_text("a",
                  "#1 hit\n1. FC Koeln, a march\n\"Summertime\" on a trumpet\n[Chorus]\na | b\n"); /* texts */
    expect_next(r, 1, "{\"prompt\": \"#1 hit\"}");
    expect_next(r, 2, "{\"prompt\": \"1. FC Koeln, a march\"}");
    expect_next(r, 3, "{\"prompt\": \"\\\"Summertime\\\" on a trumpet\"}");
    expect_next(r, 4, "{\"prompt\": \"[Chorus]\"}");
    expect_next(r, 5, "{\"prompt\": \"a | b\"}");
    expect_over(r);
    const char word[] = "prompt\n{\"x\": 1}\n";
    expect_ok(
        mg_job_reader_open_text(&r, "a", word, sizeof word - 1, &(mg_job_format){.form = MG_JOBS_TEXT}));
    expect_next(r, 1, "{\"prompt\": \"prompt\"}");
    expect_next(r, 2, "{\"prompt\": \"{\\\"x\\\": 1}\"}");
    expect_over(r);
}

static void test_standard_input(void **state)
{
    int ends[2];
    const int saved = dup(STDIN_FILENO);
    mg_job_reader *r;

    (void)state;
    assert_true(saved >= 0 && pipe(ends) == 0);
    assert_int_equal(write(ends[1], "one\ntwo\n", 8), 8);
    close(ends[1]);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    expect_ok(mg_job_reader_open(&r, "-", &(mg_job_format){0}));
    expect_next(r, 1, "{\"prompt\": \"one\"}");
    expect_next(r, 2, "{\"prompt\": \"two\"}");
    assert_string_equal(mg_job_reader_name(r), "standard input");
    expect_over(r);
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    close(saved);
}

static void test_bad_records_are_passed_over(void **state)
{
    (void)state;
    mg_job_reader *r = open_text("a.csv", "prompt,duration\nx,1,2\n\"a\"b,3\ny,4\n\xff,5\nz,\n\"open\nx,1\n");
    expect_refused(r, "a.csv: line 2: 3 fields, the header has 2");
    expect_refused(r, "line 3: text beside a quoted field");
    expect_next(r, 4, "{\"prompt\": \"y\", \"duration\": 4}");
    expect_refused(r, "line 5: byte 1 is not UTF-8");
    expect_next(r, 6, "{\"prompt\": \"z\"}");
    expect_refused(r, "line 7: a quote is opened and never closed");
    expect_over(r);
    r = open_text("a.json", "[{\"n\": 1}, , {\"n\": 2}");
    expect_next(r, 1, "{\"n\": 1}");
    expect_refused(r, "nothing between two commas");
    expect_refused(r, "the array has no end");
    expect_over(r);
    r = open_text("a.json", "[{\"n\": 1},\n]");
    expect_next(r, 1, "{\"n\": 1}");
    expect_refused(r, "line 2: nothing between a comma and the end of the array");
    expect_over(r);
    r = open_text("a.json", "[{\"n\": 1}] x");
    expect_next(r, 1, "{\"n\": 1}");
    expect_refused(r, "something stands behind the array");
    expect_over(r);

    char *longer = malloc(MG_JOB_RECORD_BYTES + 16);
    memset(longer, 'x', MG_JOB_RECORD_BYTES + 8);
    memcpy(longer + MG_JOB_RECORD_BYTES + 8, "\n{}\n", 5);
    r = open_text("a.jsonl", longer);
    expect_refused(r, "line 1: longer than 4194304 bytes");
    expect_next(r, 2, "{}");
    expect_over(r);
    free(longer);
}

static void expect_no_reader(const char *name, const char *text, const mg_job_format *how, const char *part)
{
    mg_job_reader *r;

    expect_failure(mg_job_reader_open_text(&r, name, text, (int64_t)strlen(text), how), MG_EUSAGE, part);
    assert_null(r);
}

static void test_headers_that_cannot_be_used(void **state)
{
    const mg_job_format by_name = {.prompt_column = "text"}, plain = {0};

    (void)state;
    expect_no_reader("a.csv", "prompt,n\n", &by_name,
                     "there is no column \"text\" in the header: \"prompt\", \"n\"");
    expect_no_reader("a.csv", "prompt,n, n\n", &plain, "the header names the column \"n\" twice");
    expect_no_reader("a.csv", "\"a\"b,n\n", &plain, "the header has text beside a quoted name");
    expect_no_reader("a.txt", "drums\n", &by_name, "plain text has no columns");
}

static void test_files_that_cannot_be_read(void **state)
{
    mg_job_reader *r;
    mg_job_record record;
    bool over = false;
    int64_t bytes;
    mg_status st = MG_OK;

    (void)state;
    expect_failure(mg_job_reader_open(&r, in_dir("none"), &(mg_job_format){0}), MG_EFAIL, "No such file");
    expect_failure(mg_job_reader_open(&r, test_dir, &(mg_job_format){0}), MG_EFAIL, "Is a directory");
    char *packed = get_file(GOLDEN "musiccaps.csv.gz", &bytes);
    put_file(in_dir("cut.csv.gz"), packed, (size_t)bytes - 20);
    free(packed);
    st = mg_job_reader_open(&r, in_dir("cut.csv.gz"), &(mg_job_format){0});
    while (st == MG_OK && !over) st = mg_job_reader_next(r, &record, &over);
    expect_failure(st, MG_EFAIL, "the packed file is cut off");
    mg_job_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_as_python_writes_it),
        cmocka_unit_test(test_bare_quotes_as_python_reads_them),
        cmocka_unit_test(test_named_keys_must_be_there),
        cmocka_unit_test(test_captions_keep_what_is_wrong),
        cmocka_unit_test(test_lines_and_arrays),
        cmocka_unit_test(test_forms_are_recognised),
        cmocka_unit_test(test_what_a_file_is_not_taken_for),
        cmocka_unit_test(test_what_may_be_two_things_is_refused),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_bad_records_are_passed_over),
        cmocka_unit_test(test_headers_that_cannot_be_used),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
