/* A dataset's folder may be somebody else's: shards to merge, a dataset to report on. What its state says is
 * looked at before it names a file or is gone through. */
#include <math.h>
#include <string.h>

#include "dataset.h"
#include "job_id.h"
#include "run_db_impl.h"

#define MOST_JOBS  INT64_C(9999999999) /* ten digits, as parts have them */
#define MOST_BYTES ((int64_t)1 << 28)  /* of a job: MG_JOB_RECORD_BYTES, and what escapes add */

/* One line, as it is put into lists and names. */
static bool is_line(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F) return false;
    return text != NULL;
}

static bool is_hash(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* {…} with something in it: a list's line is made of it by another member before the first. */
static bool is_object(const char *text)
{
    const size_t n = text ? strlen(text) : 0;

    return n > 2 && text[0] == '{' && text[n - 1] == '}' && is_line(text);
}

static const char *wrong_in(const mg_job_row *row)
{
    char id[MG_JOB_ID_SIZE];

    if (row->n < 0 || row->n > MOST_JOBS) return "n";
    if (!row->id || mg_job_id_check(id, "", row->id) != MG_OK) return "id";
    if (row->bytes < 0 || row->bytes > MOST_BYTES) return "bytes";
    if (row->state != MG_JOB_DONE) return NULL;
    if (!row->file || !mg_dataset_file_fits(row->file)) return "file";
    if (!is_hash(row->sha256)) return "sha256";
    if (row->file_bytes < 0) return "file_bytes";
    if (!is_object(row->record)) return "record";
    return isfinite(row->dur_s) ? NULL : "dur_s";
}

static mg_status refuse(const mg_run_db *db, const char *what, int64_t n, const char *wrong)
{
    return mg_fail(MG_EFAIL, "%s: %s %lld: %s: is not as mg-dist writes it: damaged, or made by hand",
                   db->path, what, (long long)n, wrong);
}

mg_status mg_run_db_check_job(const mg_run_db *db, const mg_job_row *row)
{
    const char *wrong = wrong_in(row);

    return wrong ? refuse(db, "job", row->n, wrong) : MG_OK;
}

mg_status mg_run_db_check_shard(const mg_run_db *db, const mg_shard_row *row)
{
    const char *wrong = row->n < 0 || row->n > MOST_JOBS                  ? "n"
                        : !row->file || !mg_dataset_shard_fits(row->file) ? "file"
                        : !is_hash(row->sha256)                           ? "sha256"
                                                                          : NULL;

    return wrong ? refuse(db, "shard", row->n, wrong) : MG_OK;
}
