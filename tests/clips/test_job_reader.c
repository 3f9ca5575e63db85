/* Job files of every form against what Python's csv and json modules say of them (tests/golden/make_jobs.py),
 * and bad ones. */
#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "job_reader.h"

#define GOLDEN MG_GOLDEN_DIR "/jobs/"

static mg_job_reader *open_text(const char *name, const char *text)
{
    mg_job_reader *r;

    expect_ok(mg_job_reader_open_text(&r, name, text, (int64_t)strlen(text), &(mg_job_format){0}));
    return r;
}

/* The next record is this JSON value, of this line. */
static void expect_next(mg_job_reader *r, int64_t line, const char *wanted)
{
    mg_job_record record;
    bool over;

    expect_ok(mg_job_reader_next(r, &record, &over));
    assert_false(over);
    assert_int_equal(record.bytes, strlen(record.text));
    assert_null(strchr(record.text, '\n'));
    if (line > 0) assert_int_equal(record.line, line);
    cJSON *got = cJSON_Parse(record.text), *expected = cJSON_Parse(wanted);
    assert_non_null(expected);
    if (!cJSON_Compare(got, expected, true)) fail_msg("%s\nis not %s", record.text, wanted);
    cJSON_Delete(got);
    cJSON_Delete(expected);
}

static void expect_refused(mg_job_reader *r, const char *part)
{
    mg_job_record record;
    bool over;

    expect_failure(mg_job_reader_next(r, &record, &over), MG_EUSAGE, part);
    assert_false(over);
}

static void expect_over(mg_job_reader *r)
{
    mg_job_record record;
    bool over;

    for (int i = 0; i < 2; i++) {
        expect_ok(mg_job_reader_next(r, &record, &over));
        assert_true(over);
    }
    mg_job_reader_close(r);
}

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
    expect_no_reader("a.csv", "prompt,n\n", &by_name, "there is no column \"text\" in the header");
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
        cmocka_unit_test(test_lines_and_arrays),
        cmocka_unit_test(test_bad_records_are_passed_over),
        cmocka_unit_test(test_headers_that_cannot_be_used),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
