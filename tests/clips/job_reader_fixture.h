/* What is read, record by record. */
#ifndef MG_JOB_READER_FIXTURE_H
#define MG_JOB_READER_FIXTURE_H

#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "job_reader.h"

static inline mg_job_reader *open_text(const char *name, const char *text)
{
    mg_job_reader *r;

    expect_ok(mg_job_reader_open_text(&r, name, text, (int64_t)strlen(text), &(mg_job_format){0}));
    return r;
}

/* The next record is this JSON value, of this line. */
static inline void expect_next(mg_job_reader *r, int64_t line, const char *wanted)
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

static inline void expect_refused(mg_job_reader *r, const char *part)
{
    mg_job_record record;
    bool over;

    expect_failure(mg_job_reader_next(r, &record, &over), MG_EUSAGE, part);
    assert_false(over);
}

static inline void expect_over(mg_job_reader *r)
{
    mg_job_record record;
    bool over;

    for (int i = 0; i < 2; i++) {
        expect_ok(mg_job_reader_next(r, &record, &over));
        assert_true(over);
    }
    mg_job_reader_close(r);
}

#endif
