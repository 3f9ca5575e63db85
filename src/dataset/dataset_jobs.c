/* Jobs in: read once from first to last, each checked, copied to jobs.jsonl and entered as a row. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_impl.h"
#include "hash.h"
#include "job_id.h"
#include "log.h"
#include "numbers.h"
#include "out_file.h"
#include "request_list.h"

enum { BUFFER_BYTES = 1 << 18 };

/* One reading of a job file. */
typedef struct intake {
    const mg_dataset_call *call;
    mg_run_db *db; /* where rows go; NULL: only the hash is wanted */
    mg_job_reader *reader;
    mg_hash *hash;
    mg_out_file *copy; /* NULL: nothing is kept */
    char *buffer;      /* [BUFFER_BYTES] before it */
    size_t n_buffer;
    int64_t at; /* bytes of jobs.jsonl */
    int64_t n_records, n_clips;
    int64_t next_n;               /* of a row to add */
    bool merge;                   /* rows are there already: a changed file */
    int before_fd;                /* where their jobs stood; -1: that is lost */
    int64_t n_other, first_shard; /* clips that are done, of jobs that are others now; of those, the shard */
    char first_other[1024];
    mg_dataset_needs needs;
    int64_t n_bad;
    char first_bad[1024]; /* the first fault */
    mg_dataset_say *say;  /* NULL: nobody wants to hear all */
    void *say_arg;
} intake;

static mg_status flush(intake *in)
{
    if (in->n_buffer > 0 && in->copy) MG_RETURN(mg_out_file_write(in->copy, in->buffer, in->n_buffer));
    in->n_buffer = 0;
    return MG_OK;
}

static mg_status put(intake *in, const char *data, size_t bytes)
{
    MG_RETURN(mg_hash_add(in->hash, data, bytes));
    in->at += (int64_t)bytes;
    if (!in->copy) return MG_OK;
    if (in->n_buffer + bytes > BUFFER_BYTES) MG_RETURN(flush(in));
    if (bytes > BUFFER_BYTES) return mg_out_file_write(in->copy, data, bytes);
    memcpy(in->buffer + in->n_buffer, data, bytes);
    in->n_buffer += bytes;
    return MG_OK;
}

static void note_fault(void *arg)
{
    intake *in = arg;

    if (in->n_bad++ == 0) snprintf(in->first_bad, sizeof in->first_bad, "%.1000s", mg_last_error());
    if (in->say) in->say(in->say_arg, mg_last_error());
}

/* Whose clip number i of the whole file is. */
static bool is_ours(const mg_dataset_call *call, int64_t i)
{
    return call->n_parts <= 0 || i % call->n_parts == call->part;
}

static void note_other(intake *in, const mg_job_row *row, const mg_recipe *r)
{
    if (in->n_other++ > 0) return;
    snprintf(in->first_other, sizeof in->first_other,
             "%.700s: clip %.200s is done, and of another job than this%s", r->where, row->id,
             r->id ? "" : " (a job without an id has its number in the list: new ones go to the end)");
}

/* A clip that is done stays only if it is the job's still. One that failed is tried again with a job that is
 * mended. */
static mg_status meet_again(intake *in, const mg_job_row *old, const mg_job_record *record,
                            const mg_recipe *r)
{
    const bool done = old->state == MG_JOB_DONE;
    bool same;

    if (!done && old->state != MG_JOB_FAILED) return MG_OK;
    MG_RETURN(mg_dataset_is_same_job(&same, in->before_fd, old, record->text, record->bytes, r));
    if (same) return MG_OK;
    if (done) note_other(in, old, r);
    if (done && old->shard >= 0) {
        if (in->first_shard < 0 || old->shard < in->first_shard) in->first_shard = old->shard;
        return MG_OK;
    }
    return mg_run_db_forget(in->db, old->n);
}

static mg_status add_row(intake *in, mg_job_row *row, const mg_job_record *record, const mg_recipe *r)
{
    mg_job_row old;
    bool found = false;

    if (in->merge) MG_RETURN(mg_run_db_find_id(in->db, row->id, row->fold, &old, &found));
    if (found && old.at >= 0) /* it has been moved */
        return mg_fail(MG_EUSAGE, "%s: id \"%.200s\" is that of line %lld too", r->where, row->id,
                       (long long)old.line);
    if (found) {
        row->n = old.n;
        MG_RETURN(meet_again(in, &old, record, r));
        return mg_run_db_move(in->db, row);
    }
    row->n = in->next_n++;
    return mg_run_db_add(in->db, row);
}

/* A job's clips: "ID", or "ID-0", "ID-1", … */
static mg_status add_clips(intake *in, const mg_recipe *r, int64_t at, const mg_job_record *record)
{
    const char *where = r->where;
    const int64_t n = r->n > 0 ? r->n : in->call->n_per_job;
    const double dur_s = r->n_frames > 0    ? (double)r->n_frames / 50
                         : !isnan(r->dur_s) ? r->dur_s
                                            : in->call->dur_s;
    char id[MG_JOB_ID_SIZE], name[MG_JOB_ID_SIZE + 32], checked[MG_JOB_ID_SIZE];

    if (r->id)
        MG_RETURN(mg_job_id_check(id, where, r->id));
    else
        snprintf(id, sizeof id, "%07" PRId64, in->n_records);
    for (int64_t i = 0; i < n; i++) {
        mg_job_row row = {.at = at,
                          .bytes = record->bytes,
                          .line = record->line,
                          .copy = i,
                          .size = (int64_t)(dur_s * 1000)};
        if (!is_ours(in->call, in->n_clips++)) continue;
        snprintf(name, sizeof name, n > 1 ? "%s-%lld" : "%s", id, (long long)i);
        MG_RETURN(mg_job_id_check(checked, where, name));
        MG_RETURN(mg_job_id_fold_hash(&row.fold, checked));
        row.id = checked;
        MG_RETURN(add_row(in, &row, record, r));
    }
    return MG_OK;
}

static void add_needs(mg_dataset_needs *n, const mg_recipe *r)
{
    const char *const texts[] = {r->prompt, r->negative_prompt};

    n->with_text |= r->prompt && *r->prompt && !r->text_states;
    n->with_negative |= r->negative_prompt && *r->negative_prompt;
    n->with_states |= r->text_states && *r->text_states;
    n->with_audio_prompt |= r->audio_prompt && *r->audio_prompt;
    n->with_melody |= r->melody && *r->melody;
    for (int i = 0; i < 2; i++)
        if (texts[i]) n->text_bytes = mg_larger(n->text_bytes, (int64_t)strlen(texts[i]));
    n->n_frames = mg_larger(n->n_frames, r->n_frames);
    if (!isnan(r->dur_s)) n->dur_ms = mg_larger(n->dur_ms, (int64_t)ceil(r->dur_s * 1000));
    if (!isnan(r->window_s)) n->window_ms = mg_larger(n->window_ms, (int64_t)ceil(r->window_s * 1000));
    n->without_length += r->n_frames <= 0 && isnan(r->dur_s);
    if (MG_SAID(r, style_dur_s)) n->style_ms = mg_larger(n->style_ms, (int64_t)ceil(r->style_dur_s * 1000));
}

enum { NEED_INTS = sizeof(mg_dataset_needs) / sizeof(int64_t), NEED_TEXT = NEED_INTS * 24 };

static mg_status note_needs(mg_dataset *d, const mg_dataset_needs *needs)
{
    const int64_t *value = (const int64_t *)needs;
    char text[NEED_TEXT] = "";
    size_t n = 0;

    for (int i = 0; i < NEED_INTS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRId64, i ? " " : "", value[i]);
    return mg_run_db_note(d->db, "needs", text);
}

/* An earlier version noted no style_ms: its jobs may ask for the longest that there is. */
mg_status mg_dataset_get_needs(mg_dataset *d, mg_dataset_needs *needs)
{
    const double most_s = mg_recipe_key_of(offsetof(mg_recipe, style_dur_s))->high;
    int64_t *value = (int64_t *)needs;
    char *text, *end;

    *needs = (mg_dataset_needs){.style_ms = (int64_t)ceil(most_s * 1000)};
    MG_RETURN(mg_run_db_read_note(d->db, "needs", &text));
    const char *p = text;
    for (int i = 0; p && *p && i < NEED_INTS; i++, p = end) value[i] = strtoll(p, &end, 10);
    free(text);
    return MG_OK;
}

static mg_status take_record(intake *in, const mg_job_record *record, const char *name, const char *folder)
{
    mg_status st = MG_OK;
    mg_request_list one = {0};
    char where[MG_JOB_WHERE_SIZE];
    const int64_t at = in->at;

    mg_job_where(where, name, record->line);
    if (in->db) MG_TRY(mg_request_list_add(&one, where, folder, record->text, record->bytes));
    MG_TRY(put(in, record->text, (size_t)record->bytes));
    MG_TRY(put(in, "\n", 1));
    if (in->db) add_needs(&in->needs, &one.recipe[0]);
    if (in->say) mg_dataset_check_inputs(&one.recipe[0], note_fault, in);
    if (in->db) MG_TRY(add_clips(in, &one.recipe[0], at, record));
done:
    mg_request_list_close(&one);
    return st;
}

/* All records. A bad one is noted, and then the rest is only looked at. */
static mg_status take_all(intake *in)
{
    const char *name = mg_job_reader_name(in->reader), *slash = strrchr(in->call->jobs, '/');
    char folder[MG_PATH_SIZE] = "";
    mg_job_record record;
    bool over = false;

    if (slash) MG_RETURN(mg_path_format(folder, "%.*s/", (int)(slash - in->call->jobs), in->call->jobs));
    for (;; in->n_records++) {
        mg_status st = mg_job_reader_next(in->reader, &record, &over);
        if (over) break;
        if (st == MG_OK) st = take_record(in, &record, name, folder);
        if (st == MG_EUSAGE)
            note_fault(in);
        else
            MG_RETURN(st);
    }
    return flush(in);
}

/* The two jobs of a clash: all of one that is in the list, of the other its id and where that is. */
static mg_status find_pair(intake *in, int64_t first, int64_t n, char id[MG_JOB_ID_SIZE], char where[64],
                           mg_job_row *row)
{
    bool found;

    MG_RETURN(mg_run_db_find(in->db, n, row, &found));
    MG_REQUIRE(found);
    const bool has_left = row->at < 0;
    if (!has_left) MG_RETURN(mg_run_db_find(in->db, first, row, &found));
    MG_REQUIRE(found);
    snprintf(id, MG_JOB_ID_SIZE, "%s", row->id);
    if (row->at < 0)
        snprintf(where, 64, ", which is done and in the list no more,");
    else
        snprintf(where, 64, " of line %" PRId64, row->line);
    MG_RETURN(mg_run_db_find(in->db, has_left ? first : n, row, &found));
    MG_REQUIRE(found);
    return MG_OK;
}

/* Two jobs that would share a file. A hash in common is not enough: their ids are compared. */
static mg_status check_clash(void *arg, int64_t first, int64_t n)
{
    intake *in = arg;
    mg_job_row row;
    char a[MG_JOB_ID_SIZE], where[64], folded[2][4 * MG_JOB_ID_SIZE];

    MG_RETURN(find_pair(in, first, n, a, where, &row));
    MG_RETURN(mg_job_id_fold(folded[0], a));
    MG_RETURN(mg_job_id_fold(folded[1], row.id));
    if (strcmp(folded[0], folded[1]) != 0) return MG_OK;
    if (strcmp(a, row.id) == 0)
        (void)mg_fail(MG_EUSAGE, "%s: line %lld: id \"%.200s\" is that%s too", mg_job_reader_name(in->reader),
                      (long long)row.line, a, where);
    else
        (void)mg_fail(MG_EUSAGE,
                      "%s: line %lld: id \"%.200s\" and \"%.200s\"%s are one file where names ignore case or "
                      "composition; rename one",
                      mg_job_reader_name(in->reader), (long long)row.line, row.id, a, where);
    note_fault(in);
    return MG_OK;
}

/* Two that would be one sample of a shard. */
static mg_status check_key_clash(void *arg, int64_t first, int64_t n)
{
    intake *in = arg;
    mg_job_row row;
    char a[MG_JOB_ID_SIZE], where[64];

    MG_RETURN(find_pair(in, first, n, a, where, &row));
    if (strcmp(a, row.id) == 0) return MG_OK; /* said already */
    (void)mg_fail(MG_EUSAGE,
                  "%s: line %lld: id \"%.200s\" and \"%.200s\"%s have one name in a shard, where a '.' is a "
                  "'_' and \"__\" in front \"-_\"; rename one, or take another --layout",
                  mg_job_reader_name(in->reader), (long long)row.line, row.id, a, where);
    note_fault(in);
    return MG_OK;
}

static mg_status check_ids(intake *in)
{
    MG_RETURN(mg_run_db_index(in->db));
    MG_RETURN(mg_run_db_each_clash(in->db, check_clash, in));
    if (in->call->layout != MG_LAYOUT_WEBDATASET) return MG_OK;
    return mg_run_db_each_key_clash(in->db, check_key_clash, in);
}

/* Those behind the first one that changes too, and with them what is in no list any more. */
static mg_status forget_shards(intake *in)
{
    mg_run_counts was, is;

    MG_RETURN(mg_run_db_count(in->db, &was));
    MG_RETURN(mg_run_db_forget_shards(in->db, in->first_shard));
    MG_RETURN(mg_run_db_count(in->db, &is));
    if (is.gone > was.gone)
        mg_log_warn("run: shards are made again: with them %" PRId64
                    " of their clips are lost, whose jobs are gone",
                    is.gone - was.gone);
    return MG_OK;
}

/* Clips that are done, and whose jobs ask for something else now: they are made again if that is wished. */
static mg_status settle_others(intake *in)
{
    char more[64] = "";

    if (in->n_other == 0) return MG_OK;
    if (in->n_other > 1) snprintf(more, sizeof more, ", and %" PRId64 " more like it", in->n_other - 1);
    if (in->call->jobs_changed != MG_JOBS_CHANGED_AGAIN)
        return mg_fail(MG_EUSAGE, "%s%s; --jobs-changed again makes such clips again", in->first_other, more);
    if (in->first_shard >= 0) MG_RETURN(forget_shards(in));
    return mg_run_db_note(in->db, "state", "running"); /* so that their files are swept */
}

static mg_status conclude(intake *in)
{
    const char *name = mg_job_reader_name(in->reader);

    if (in->n_bad == 1) return mg_fail(MG_EUSAGE, "%s", in->first_bad);
    if (in->n_bad > 1)
        return mg_fail(MG_EUSAGE, "%s (and %" PRId64 " more; run --check lists all)", in->first_bad,
                       in->n_bad - 1);
    return in->n_clips == 0 ? mg_fail(MG_EUSAGE, "%s: holds no job", name) : settle_others(in);
}

/* Read all into rows and, if `copy` is given, there. `sha256` is of the jobs as they are kept. */
static mg_status read_jobs(intake *in, char sha256[65])
{
    mg_status st = MG_OK;
    mg_hash *hash;
    int64_t n_dropped;

    in->buffer = malloc(BUFFER_BYTES);
    if (!in->buffer) MG_TRY(mg_fail(MG_ENOMEM, "jobs: %d bytes", BUFFER_BYTES));
    MG_TRY(mg_job_reader_open(&in->reader, in->call->jobs, &in->call->how));
    MG_TRY(mg_hash_open(&in->hash));
    MG_TRY(take_all(in));
    if (in->db && in->merge) MG_TRY(mg_run_db_drop_unmoved(in->db, &n_dropped)); /* their names are free */
    if (in->db) MG_TRY(check_ids(in));
    if (in->db) MG_TRY(conclude(in));
    hash = in->hash, in->hash = NULL;
    st = mg_hash_end(hash, sha256);
done:
    free(in->buffer);
    in->buffer = NULL;
    mg_hash_close(in->hash);
    in->hash = NULL;
    mg_job_reader_close(in->reader);
    in->reader = NULL;
    return st;
}

mg_status mg_dataset_check_jobs(const mg_dataset_call *call, mg_dataset_say *say, void *arg, int64_t *n_clips)
{
    mg_status st = MG_OK;
    intake in = {.call = call, .say = say, .say_arg = arg};
    char sha256[65];

    MG_TRY(mg_dataset_check_outside(call->out, true));
    MG_TRY(mg_run_db_open(&in.db, "", NULL)); /* SQLite's temporary file, gone when it is closed */
    st = read_jobs(&in, sha256);
    *n_clips = in.n_clips;
done:
    mg_run_db_close(in.db);
    return st;
}

/* `noted`: the hash of the jobs that are there, and are changed; NULL: there are none yet. */
static mg_status enter_jobs(mg_dataset *d, const char *noted)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], sha256[65];
    mg_out_file copy = {.fd = -1};
    intake in = {.call = &d->call,
                 .db = d->db,
                 .copy = &copy,
                 .merge = noted != NULL,
                 .before_fd = -1,
                 .first_shard = -1};

    d->has_changed_jobs = true;
    MG_TRY(mg_run_db_n_jobs(d->db, &in.next_n));
    MG_TRY(mg_dataset_own_path(path, d->out, "jobs.jsonl"));
    if (noted) MG_TRY(mg_dataset_open_before(&in.before_fd, path, noted));
    if (noted) MG_TRY(mg_run_db_unmove(d->db));
    MG_TRY(mg_out_file_begin(&copy, path));
    MG_TRY(read_jobs(&in, sha256));
    MG_TRY(mg_run_db_index_states(d->db));
    MG_TRY(note_needs(d, &in.needs));
    MG_TRY(mg_run_db_note(d->db, "jobs", sha256));
    MG_TRY(mg_dataset_note_n(d));
    MG_TRY(mg_run_lock_check(d->lock));
    MG_TRY(mg_out_file_commit(&copy));
    st = mg_run_db_commit(d->db);
done:
    if (in.before_fd >= 0) close(in.before_fd);
    mg_out_file_abandon(&copy);
    return st;
}

/* A run that took a changed job file and was killed before it was recorded has left that one's jobs here.
 * What the state tells of places in the file does not hold for it. */
static mg_status mend_copy(mg_dataset *d, const char *noted)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], sha256[65] = "";
    mg_out_file copy = {.fd = -1};
    intake in = {.call = &d->call, .copy = &copy};

    MG_RETURN(mg_dataset_own_path(path, d->out, "jobs.jsonl"));
    if (mg_path_exists(path)) MG_RETURN(mg_hash_file(sha256, path));
    if (strcmp(sha256, noted) == 0) return MG_OK;
    if (!d->call.jobs)
        return mg_fail(MG_EUSAGE, "%s: holds other jobs than the state was made with; give --jobs FILE again",
                       path);
    MG_TRY(mg_out_file_begin(&copy, path));
    MG_TRY(read_jobs(&in, sha256));
    if (strcmp(sha256, noted) != 0) MG_TRY(mg_fail(MG_EFAIL, "%s: changes while it is read", d->call.jobs));
    MG_TRY(mg_run_lock_check(d->lock));
    st = mg_out_file_commit(&copy);
done:
    mg_out_file_abandon(&copy);
    return st;
}

/* Is it the same file? Its jobs were checked when it was new. */
static mg_status compare_jobs(mg_dataset *d, const char *noted, bool *same)
{
    char sha256[65];
    intake in = {.call = &d->call};

    MG_RETURN(read_jobs(&in, sha256));
    *same = in.n_bad == 0 && strcmp(sha256, noted) == 0;
    return MG_OK;
}

mg_status mg_dataset_take_jobs(mg_dataset *d)
{
    mg_status st = MG_OK;
    char *noted = NULL;
    bool same = true, is_untouched = true;
    int64_t n_before = d->call.n_per_job;

    MG_RETURN(mg_run_db_read_note(d->db, "jobs", &noted));
    if (!noted)
        return d->call.jobs ? enter_jobs(d, NULL)
                            : mg_fail(MG_EUSAGE, "%s: no jobs were given yet; name them with --jobs", d->out);
    if (d->call.jobs) MG_TRY(compare_jobs(d, noted, &same));
    if (d->call.jobs) MG_TRY(mg_dataset_read_n(d, &n_before));
    if (same && n_before == d->call.n_per_job) {
        st = mend_copy(d, noted);
        goto done;
    }
    if (d->call.jobs_changed == MG_JOBS_CHANGED_REFUSE) MG_TRY(mg_run_db_is_untouched(d->db, &is_untouched));
    if (!is_untouched) MG_TRY(mg_dataset_refuse_jobs(d, same, n_before));
    st = enter_jobs(d, noted);
done:
    free(noted);
    return st;
}
