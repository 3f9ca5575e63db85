/* Any bytes as a file of jobs, in every form: records that are one line of UTF-8, or one sentence; and an
 * end. */
#include <string.h>

#include "fuzz.h"
#include "job_reader.h"
#include "utf8.h"

static void read_all(const char *text, int64_t bytes, const mg_job_format *how)
{
    mg_job_reader *r;
    mg_job_record record;
    bool over = false;
    int64_t n = 0;

    mg_clear_error();
    if (mg_job_reader_open_text(&r, "fuzz", text, bytes, how) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        return;
    }
    while (!over) {
        const mg_status st = mg_job_reader_next(r, &record, &over);
        FUZZ_CHECK(n++ <= bytes);
        FUZZ_CHECK(st == MG_OK || st == MG_EUSAGE);
        if (st != MG_OK) {
            FUZZ_CHECK(!over && strncmp(mg_last_error(), "fuzz: line ", 11) == 0);
        } else if (!over) {
            FUZZ_CHECK(record.bytes == (int64_t)strlen(record.text) && record.line >= 1);
            FUZZ_CHECK(!strchr(record.text, '\n') && mg_utf8_bad_offset(record.text, record.bytes) < 0);
        }
    }
    mg_job_reader_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;

    for (int form = MG_JOBS_AUTO; form <= MG_JOBS_TEXT; form++)
        read_all(text, (int64_t)bytes, &(mg_job_format){.form = (mg_job_form)form});
    read_all(text, (int64_t)bytes, &(mg_job_format){.form = MG_JOBS_CSV, .prompt_column = "caption"});
    read_all(text, (int64_t)bytes,
             &(mg_job_format){.form = MG_JOBS_JSON, .prompt_column = "a", .id_column = "b"});
    return 0;
}
