/* A changed job file, or another number of clips for its jobs: does an id that was there before still stand
 * for the same clip? Where a list has no ids they are the numbers of its jobs, and a line in the middle moves
 * all behind it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_impl.h"
#include "hash.h"
#include "in_file.h"
#include "json_lines.h"
#include "request_list.h"

/* By what the two jobs say; paths as they are written. */
static mg_status compare_asked(bool *same, const char *a, int64_t a_bytes, const char *b, int64_t b_bytes)
{
    mg_status st = MG_OK;
    mg_request_list both = {0};

    *same = a_bytes == b_bytes && memcmp(a, b, (size_t)a_bytes) == 0;
    if (*same) return MG_OK;
    st = mg_request_list_add(&both, "jobs.jsonl", "", a, a_bytes);
    if (st == MG_EUSAGE) { /* by the rules of an earlier version: it asked for something else */
        mg_clear_error();
        st = MG_OK;
        goto done;
    }
    MG_TRY(st);
    MG_TRY(mg_request_list_add(&both, "jobs.jsonl", "", b, b_bytes));
    *same = mg_recipe_same_asked(&both.recipe[0], &both.recipe[1]);
done:
    mg_request_list_close(&both);
    return st;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* What the job said is not to be had any more: what was recorded of the clip has the texts that made it. */
static mg_status compare_record(bool *same, const mg_job_row *old, const mg_recipe *now)
{
    mg_clip_line line = {0};

    *same = old->record != NULL; /* a failure may be mended */
    if (!old->record) return MG_OK;
    MG_RETURN(mg_clip_line_parse(&line, "run.db", old->record, (int64_t)strlen(old->record)));
    *same = same_text(line.prompt, now->prompt) && same_text(line.negative_prompt, now->negative_prompt);
    mg_clip_line_close(&line);
    return MG_OK;
}

mg_status mg_dataset_is_same_job(bool *same, int before_fd, const mg_job_row *old, const char *text,
                                 int64_t bytes, const mg_recipe *now)
{
    const int64_t at = MG_JOB_MOVED(old->at);

    if (before_fd < 0 || at < 0) return compare_record(same, old, now);
    char *was = malloc((size_t)old->bytes + 1);
    if (!was) return mg_fail(MG_ENOMEM, "a job: %lld bytes", (long long)old->bytes);
    const int error = mg_in_file_copy(before_fd, was, at, old->bytes);
    const mg_status st = error ? mg_fail(MG_EFAIL, "jobs.jsonl: cannot read: %s", strerror(error))
                               : compare_asked(same, was, old->bytes, text, bytes);
    free(was);
    return st;
}

mg_status mg_dataset_open_before(int *fd, const char *path, const char *noted)
{
    char sha256[65];

    if (!mg_path_exists(path)) return MG_OK;
    MG_RETURN(mg_hash_file(sha256, path));
    if (strcmp(sha256, noted) != 0) return MG_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? MG_OK : mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
}

static const char note_name[] = "n"; /* earlier versions noted none */

mg_status mg_dataset_note_n(mg_dataset *d)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, d->call.n_per_job);
    return mg_run_db_note(d->db, note_name, text);
}

mg_status mg_dataset_read_n(const mg_dataset *d, int64_t *n)
{
    char *noted;

    MG_RETURN(mg_run_db_read_note(d->db, note_name, &noted));
    *n = noted ? strtoll(noted, NULL, 10) : d->call.n_per_job;
    free(noted);
    return MG_OK;
}

mg_status mg_dataset_refuse_jobs(const mg_dataset *d, bool same_list, int64_t n_before)
{
    if (!same_list)
        return mg_fail(MG_EUSAGE,
                       "%s: the jobs are not those that %s was begun with; --jobs-changed ok adds the new "
                       "ones, keeps clips that are done and drops jobs that are gone and not done",
                       d->call.jobs, d->out);
    return mg_fail(
        MG_EUSAGE,
        "%s: was begun with --n %" PRId64 ", and this run has --n %" PRId64
        ": say the same; or --jobs-changed ok, which adds the clips that are new, keeps those that "
        "are done and drops those that are asked for no more and not done",
        d->out, n_before, d->call.n_per_job);
}
