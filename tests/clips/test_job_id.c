/* Ids against Python's unicodedata and hashlib (tests/golden/make_jobs.py), and those that are refused. */
#include "io_fixture.h"

#include <cjson/cJSON.h>

#include "job_id.h"

static const char *text_of(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItem(o, key)->valuestring;
}

static void check_line(const char *line)
{
    cJSON *o = cJSON_Parse(line);
    char id[MG_JOB_ID_SIZE], fold[4 * MG_JOB_ID_SIZE];
    int64_t seed;

    assert_non_null(o);
    expect_ok(mg_job_id_check(id, "x", text_of(o, "id")));
    assert_string_equal(id, text_of(o, "nfc"));
    expect_ok(mg_job_id_fold(fold, id));
    assert_string_equal(fold, text_of(o, "fold"));
    expect_ok(mg_job_id_seed(&seed, 7, id, 0));
    assert_int_equal(seed, (int64_t)cJSON_GetObjectItem(o, "seed")->valuedouble);
    expect_ok(mg_job_id_seed(&seed, 7, id, 1));
    assert_int_equal(seed, (int64_t)cJSON_GetObjectItem(o, "again")->valuedouble);
    assert_true(seed >= 0 && seed < (int64_t)1 << 53);
    cJSON_Delete(o);
}

static void test_as_python_says(void **state)
{
    int64_t bytes;
    char *text = get_file(MG_GOLDEN_DIR "/jobs/ids.jsonl", &bytes), *line = text;
    int n = 0;

    (void)state;
    for (char *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        *end = '\0';
        check_line(line);
    }
    assert_int_equal(n, 12);
    free(text);
}

static void refused(const char *id, const char *part)
{
    char out[MG_JOB_ID_SIZE];

    expect_failure(mg_job_id_check(out, "a.csv: line 3", id), MG_EUSAGE, part);
    assert_non_null(strstr(mg_last_error(), "a.csv: line 3: id: "));
}

static void test_refused(void **state)
{
    char longer[302] = "";

    (void)state;
    memset(longer, 'x', 300);
    refused("../../x", "may not hold /");
    refused("a\\b", "may not hold /");
    refused("..", "may not begin with '.'");
    refused(".x", "may not begin with '.'");
    refused("x.", "may not begin with a blank nor end in '.'");
    refused(" x", "may not begin with a blank");
    refused("", "is empty");
    refused("a\nb", "holds a control character");
    refused("\xff", "is not UTF-8");
    refused(longer, "longer than 200 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_python_says), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
