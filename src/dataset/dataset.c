/* Opening and closing: the folder, the lock, the state, and what must not have changed. */
#include "dataset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "choice_words.h"
#include "dataset_impl.h"
#include "log.h"
#include "out_file.h"
#include "rng.h"
#include "text.h"

/* Empty, or one of ours. */
static mg_status check_folder(const char *out)
{
    DIR *folder;
    const char *other = NULL;
    char name[256] = "";

    if (mg_path_has(out, MG_DATASET_OWN "/run.db")) return MG_OK;
    folder = opendir(out);
    if (!folder && (errno == ENOENT || errno == ENOTDIR)) return MG_OK; /* what makes it says what is wrong */
    if (!folder) return mg_fail(MG_EFAIL, "%s: cannot open: %s", out, strerror(errno));
    for (struct dirent *e; !other && (e = readdir(folder));) {
        if (e->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s", e->d_name);
        other = name;
    }
    closedir(folder);
    return other
               ? mg_fail(
                     MG_EUSAGE,
                     "option --out: %s: holds other things (%s) and is no dataset of ours; name a new folder",
                     out, other)
               : MG_OK;
}

/* Of two values those members that differ, if both are JSON objects: "duration 10, temperature none". */
static void tell_apart(mg_text *mine, const char *value, const char *other)
{
    cJSON *a = cJSON_Parse(value), *b = cJSON_Parse(other);
    const cJSON *const side[] = {a, b};

    for (int s = 0; s < 2 && cJSON_IsObject(a) && cJSON_IsObject(b); s++)
        for (const cJSON *m = side[s]->child; m; m = m->next) {
            const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, m->string);
            const cJSON *y = cJSON_GetObjectItemCaseSensitive(b, m->string);
            if ((s == 1 && x) || cJSON_Compare(x, y, true)) continue;
            char *text = x ? cJSON_PrintUnformatted(x) : NULL;
            mg_text_format(mine, "%s%s %s", mine->n ? ", " : "", m->string, text ? text : "none");
            cJSON_free(text);
        }
    if (!mine->n) mg_text_add(mine, value);
    cJSON_Delete(a);
    cJSON_Delete(b);
}

static mg_status refuse_kind(const mg_dataset *d, const char *name, const char *value, const char *noted)
{
    mg_text was = {0}, is = {0};

    tell_apart(&was, noted, value);
    tell_apart(&is, value, noted);
    const mg_status st =
        mg_fail(MG_EUSAGE,
                "%s: was begun with %s %.200s, and this run has %.200s: the dataset would be of two kinds; "
                "say the same, or name another folder",
                d->out, name, was.data ? was.data : noted, is.data ? is.data : value);
    mg_text_reset(&was);
    mg_text_reset(&is);
    return st;
}

/* Noted by the first run, compared by all others. What is not `fixed` may change before the first clip. */
static mg_status claim(mg_dataset *d, const char *name, const char *value, bool fixed)
{
    mg_status st = MG_OK;
    char *noted = NULL;
    bool is_untouched = false;

    MG_RETURN(mg_run_db_read_note(d->db, name, &noted));
    if (noted && strcmp(noted, value) == 0) goto done;
    if (noted && !fixed) MG_TRY(mg_run_db_is_untouched(d->db, &is_untouched));
    st = noted && !is_untouched ? refuse_kind(d, name, value, noted) : mg_run_db_note(d->db, name, value);
done:
    free(noted);
    return st;
}

mg_status mg_dataset_claim_value(mg_dataset *d, const char *name, const char *value)
{
    return claim(d, name, value, false);
}

static mg_status settle_claims(mg_dataset *d)
{
    char layout[MG_CHOICE_WORD_SIZE], part[48] = "";

    mg_choice_word(layout, MG_LAYOUT_CHOICES, (int)d->call.layout);
    if (d->call.n_parts > 0)
        snprintf(part, sizeof part, "%" PRId64 "/%" PRId64, d->call.part, d->call.n_parts);
    MG_RETURN(claim(d, "layout", layout, true));
    MG_RETURN(claim(d, "format", d->call.suffix, true));
    MG_RETURN(claim(d, "name", d->call.name, true));
    return claim(d, "shard", part, true);
}

static mg_status settle_seed(mg_dataset *d)
{
    char text[32], *noted = NULL;
    uint64_t drawn;

    d->seed = d->call.seed;
    if (d->seed < 0) {
        MG_RETURN(mg_run_db_read_note(d->db, "seed", &noted));
        if (noted) {
            d->seed = strtoll(noted, NULL, 10);
            free(noted);
            return MG_OK;
        }
        if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
            return mg_fail(MG_EFAIL, "seed: cannot draw one: %s", strerror(errno));
        d->seed = (int64_t)(drawn % MG_SEED_LIMIT);
    }
    snprintf(text, sizeof text, "%" PRId64, d->seed);
    return claim(d, "seed", text, false);
}

static mg_status open_state(mg_dataset *d)
{
    char path[MG_PATH_SIZE];
    int64_t n;

    MG_RETURN(mg_dataset_own_path(path, d->out, "run.db"));
    if (d->call.resume == MG_RESUME_ONLY && d->is_new)
        return mg_fail(MG_EUSAGE, "option --resume only: %s: there is no dataset to go on with", d->out);
    MG_RETURN(mg_run_db_open(&d->db, path, d->lock));
    MG_RETURN(mg_run_db_n_jobs(d->db, &n));
    d->is_new = d->is_new && n == 0; /* a network's file system may not have shown it */
    if (d->call.resume == MG_RESUME_NEVER && n > 0)
        return mg_fail(MG_EUSAGE, "option --resume never: %s: a dataset is there already", d->out);
    return n > 0 ? mg_run_db_index_states(d->db) : MG_OK;
}

static mg_status open_jobs(mg_dataset *d)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_dataset_own_path(path, d->out, "jobs.jsonl"));
    d->jobs_fd = open(path, O_RDONLY | O_CLOEXEC);
    return d->jobs_fd >= 0 ? MG_OK : mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
}

static mg_status count(mg_dataset *d)
{
    mg_run_counts c;

    MG_RETURN(mg_run_db_count(d->db, &c));
    d->counts = (mg_dataset_counts){
        .total = c.waiting + c.done + c.failed, .done = c.done, .failed = c.failed, .done_s = c.done_s};
    return MG_OK;
}

/* Clips whose jobs left the list long ago may wait still: earlier versions left such, and merges that are cut
 * off do. */
static mg_status drop_left(mg_dataset *d)
{
    int64_t n;

    MG_RETURN(mg_run_db_drop_unmoved(d->db, &n));
    if (n > 0)
        mg_log_warn("run: %" PRId64 " clip%s not done dropped: no job of the list asks for %s any more", n,
                    mg_plural(n), n == 1 ? "it" : "them");
    return MG_OK;
}

mg_status mg_dataset_take_folder(mg_dataset *d, double stale_s)
{
    enum { TRIES = 3 };
    char path[MG_PATH_SIZE], parts[MG_PATH_SIZE];
    mg_status st;
    int i = 0;

    MG_RETURN(mg_path_format(d->out, "%s", d->call.out));
    MG_RETURN(mg_path_format(d->own, "%s/" MG_DATASET_OWN, d->call.out));
    MG_RETURN(mg_dataset_own_path(parts, d->out, "parts"));
    MG_RETURN(mg_dataset_own_path(path, d->out, "lock"));
    do { /* while one waits, who had it may be refused, and remove the folder with the lock */
        mg_out_made_note(&d->made, parts);
        MG_RETURN(mg_out_dir_open(parts));
        st = mg_run_lock_take(&d->lock, path, stale_s);
    } while (st == MG_EFAIL && !mg_path_is_folder(d->own) && ++i < TRIES);
    if (st != MG_OK && mg_path_exists(path)) d->made = (mg_out_made){0}; /* they are another run's */
    MG_RETURN(st);
    MG_RETURN(mg_dataset_own_path(path, d->out, "run.db"));
    d->is_new = !mg_path_exists(path); /* asked under the lock: who held it may have made it */
    return MG_OK;
}

mg_status mg_dataset_open(mg_dataset **out, const mg_dataset_call *call)
{
    mg_status st = MG_OK;
    mg_dataset *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d) return mg_fail(MG_ENOMEM, "dataset: %zu bytes", sizeof *d);
    d->call = *call;
    d->jobs_fd = -1;
    MG_TRY(mg_dataset_check_outside(call->out, true));
    MG_TRY(check_folder(call->out));
    MG_TRY(mg_dataset_take_folder(d, call->stale_s > 0 ? call->stale_s : MG_RUN_LOCK_STALE_S));
    MG_TRY(open_state(d));
    MG_TRY(settle_claims(d));
    MG_TRY(settle_seed(d));
    MG_TRY(mg_dataset_take_jobs(d));
    MG_TRY(drop_left(d));
    MG_TRY(open_jobs(d));
    MG_TRY(mg_dataset_find_shards(d));
    MG_TRY(mg_dataset_recover(d));
    MG_TRY(mg_run_db_first_open(d->db, &d->shard_next));
    d->shard_first = d->shard_next;
    MG_TRY(mg_run_db_read_note(d->db, "state", &d->was));
    MG_TRY(mg_run_db_note(d->db, "state", "running"));
    MG_TRY(mg_run_db_commit(d->db));
    MG_TRY(mg_run_db_shrink(d->db));
    MG_TRY(count(d));
    *out = d;
done:
    if (st != MG_OK) mg_dataset_abandon(d, false);
    return st;
}

/* What a start has put into OUT/.mg-dist, but for the lock; under the lock. */
static void remove_state(const mg_dataset *d)
{
    static const char *const names[] = {"jobs.jsonl", "run.db-journal", "run.db"};
    char path[MG_PATH_SIZE];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mg_dataset_own_path(path, d->out, names[i]) == MG_OK) unlink(path);
    if (mg_dataset_own_path(path, d->out, "making") == MG_OK)
        mg_out_remove_folder(AT_FDCWD, path); /* its makers' */
}

/* It is as finished, or stopped, as it was: its lists are right. */
static void restore_state(mg_dataset *d)
{
    if (!d->db || !d->was || d->has_changed_jobs) return;
    if (mg_run_db_note(d->db, "state", d->was) == MG_OK) (void)mg_run_db_commit(d->db);
}

static void close_all(mg_dataset *d, bool restores, bool removes)
{
    (void)mg_dataset_stop_writer(d);
    if (d->jobs_fd >= 0) close(d->jobs_fd);
    if (restores) restore_state(d);
    mg_run_db_close(d->db);
    /* Who has the lock by now works in the folders, and so does who made a state that was there. */
    const bool undoes = removes && (!d->lock || (d->is_new && mg_run_lock_holds(d->lock)));
    if (undoes && d->is_new) remove_state(d);
    mg_run_lock_release(d->lock);
    if (undoes) mg_out_made_undo(&d->made);
    mg_dataset_rows_drop(&d->pending);
    mg_dataset_list_drop(&d->window);
    mg_dataset_list_drop(&d->unread);
    mg_dataset_drop_flight(d);
    free(d->was);
    free(d);
}

void mg_dataset_close(mg_dataset *d)
{
    if (d) close_all(d, false, false);
}

void mg_dataset_abandon(mg_dataset *d, bool keeps_new)
{
    if (d) close_all(d, true, !keeps_new);
}

void mg_dataset_count(const mg_dataset *d, mg_dataset_counts *counts)
{
    *counts = d->counts;
    counts->in_flight = d->n_in_flight;
}

void mg_dataset_tell_holder(const mg_dataset *d, mg_run_holder *out)
{
    mg_run_lock_tell(d->lock, out);
}

int64_t mg_dataset_seed(const mg_dataset *d)
{
    return d->seed;
}

mg_status mg_dataset_check_space(mg_dataset *d, double bytes_per_s)
{
    const bool shards = d->call.layout == MG_LAYOUT_WEBDATASET;
    mg_run_counts n;
    struct statvfs disk;

    MG_RETURN(mg_run_db_count(d->db, &n));
    if (n.waiting == 0 || statvfs(d->out, &disk) != 0) return MG_OK;
    const double clip = bytes_per_s * (double)n.waiting_ms / 1000 / (double)n.waiting;
    const double n_clips = (double)(d->call.shard_clips < n.waiting ? d->call.shard_clips : n.waiting);
    double need = shards ? clip * n_clips : clip;
    if (shards && need > (double)d->call.shard_bytes) need = (double)d->call.shard_bytes;
    if (shards) need *= 2; /* its clips wait beside it until it is whole */
    const double has = (double)disk.f_bavail * (double)disk.f_frsize;
    if (has >= need) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %.1f MB are free, and %s takes %.1f MB at least; make room%s", d->out,
                   has / 1e6, shards ? "a shard with the clips that wait for it" : "a clip", need / 1e6,
                   shards ? ", or give a smaller --shard-size" : "");
}
