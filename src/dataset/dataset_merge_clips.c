/* From a shard's folder to the dataset's: the file, durably, and then the row. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_merge_impl.h"
#include "hash.h"
#include "in_file.h"
#include "out_file.h"
#include "progress.h"
#include "stop.h"

enum { COMMIT_CLIPS = 256 };
#define MOST_BYTES ((int64_t)1 << 34)

static bool cannot_link(int error)
{
    return error == EXDEV || error == EPERM || error == EMLINK || error == ENOTSUP || error == ENOSYS ||
           error == EACCES;
}

/* Bytes that are read are looked at too: whoever copies damage gives it a sum of its own. */
static mg_status put_sound(const char *to, const char *from, const char *sha256, const char *data,
                           int64_t bytes)
{
    char seen[65];

    MG_RETURN(mg_hash_bytes(seen, data, (size_t)bytes));
    if (sha256 && strcmp(seen, sha256) != 0)
        return mg_fail(MG_EFAIL, "%s: is damaged: its sha256 is %.12s…, recorded is %.12s…", from, seen,
                       sha256);
    return mg_out_file_put(to, data, (size_t)bytes);
}

/* TO becomes FROM's content: as a hard link, or copied. A file that is there was not recorded. */
static mg_status take_file(mg_merge *m, const char *to, const char *from, const char *sha256, bool *linked)
{
    char *data;
    int64_t bytes;

    *linked = false;
    unlink(to);
    if (!m->call->copies) {
        if (link(from, to) == 0) {
            *linked = true;
            return MG_OK;
        }
        if (!cannot_link(errno))
            return mg_fail(MG_EFAIL, "%s: cannot link %s: %s", to, from, strerror(errno));
    }
    MG_RETURN(mg_in_file_read(&data, &bytes, from, MOST_BYTES));
    const mg_status st = put_sound(to, from, sha256, data, bytes);
    free(data);
    return st;
}

/* The row's member of its shard. */
static mg_status take_member(mg_merge *m, mg_merge_source *s, const char *to, const mg_job_row *row)
{
    char path[MG_PATH_SIZE], name[MG_PATH_SIZE];
    mg_tar_member member;

    MG_RETURN(mg_dataset_member_name(name, row->file, NULL));
    MG_RETURN(mg_merge_find_sound(&member, s, row->shard, name));
    if (member.bytes != row->file_bytes)
        return mg_fail(MG_EFAIL, "%s: %s: is not as long as recorded; mg-dist verify says what is wrong",
                       s->dir, name);
    m->done->copied++;
    MG_RETURN(mg_path_format(path, "%s: %s", s->dir, name));
    return put_sound(to, path, row->sha256, member.data, member.bytes);
}

/* What AudioCraft reads beside the sound. */
static mg_status take_info(mg_merge *m, const char *to, const char *from)
{
    char info_to[MG_PATH_SIZE], info_from[MG_PATH_SIZE];
    const char *a = strrchr(to, '.'), *b = strrchr(from, '.');
    bool linked;

    MG_RETURN(mg_path_format(info_to, "%.*s.json", (int)(a - to), to));
    MG_RETURN(mg_path_format(info_from, "%.*s.json", (int)(b - from), from));
    return take_file(m, info_to, info_from, NULL, &linked);
}

static mg_status take_sound(mg_merge *m, mg_merge_source *s, int64_t n, const mg_job_row *row)
{
    const mg_dataset_call *c = &m->d->call;
    char name[MG_PATH_SIZE], to[MG_PATH_SIZE], from[MG_PATH_SIZE], folder[MG_PATH_SIZE];
    bool linked;

    MG_RETURN(mg_dataset_maker_name(name, c->layout, c->suffix, n, row->id));
    MG_RETURN(mg_dataset_path(to, m->d, name));
    MG_RETURN(mg_path_folder(folder, to));
    if (!mg_path_is_folder(folder)) MG_RETURN(mg_out_dir_open(folder));
    if (c->layout == MG_LAYOUT_WEBDATASET && row->shard >= 0) return take_member(m, s, to, row);
    if (c->layout == MG_LAYOUT_WEBDATASET)
        MG_RETURN(mg_dataset_maker_name(name, c->layout, c->suffix, row->n, row->id));
    else
        MG_RETURN(mg_path_format(name, "%s", row->file));
    MG_RETURN(mg_path_format(from, "%s/%s", s->dir, name));
    if (mg_path_bytes(from) != row->file_bytes)
        return mg_fail(MG_EFAIL,
                       "%s: is missing, or not as long as recorded; mg-dist verify %s says what is wrong",
                       from, s->dir);
    if (c->layout == MG_LAYOUT_AUDIOCRAFT) MG_RETURN(take_info(m, to, from));
    MG_RETURN(take_file(m, to, from, row->sha256, &linked));
    m->done->linked += linked;
    m->done->copied += !linked;
    return MG_OK;
}

static mg_status take_outcome(mg_merge *m, int64_t n, const mg_job_row *row)
{
    mg_dataset *d = m->d;
    mg_job_row mine = *row;
    char file[MG_PATH_SIZE];

    mine.n = n;
    if (row->state == MG_JOB_DONE) {
        MG_RETURN(mg_dataset_file_name(file, d->call.layout, d->call.suffix, n, row->id));
        mine.file = file;
        d->counts.done++;
        d->counts.done_s += row->dur_s;
    } else {
        d->counts.failed++;
    }
    return mg_dataset_enter(d, &mine);
}

static mg_status take_clip(mg_merge *m, int64_t n, bool *changed)
{
    const mg_merge_item *item = &m->item[n];
    mg_merge_source *s = &m->source[item->i_source];
    mg_job_row mine, row;
    bool found, there;

    *changed = false;
    MG_RETURN(mg_run_db_find(s->db, item->n, &row, &found));
    MG_RETURN(mg_run_db_find(m->d->db, n, &mine, &there));
    if (!found || !there || strcmp(row.id, mine.id) != 0)
        return mg_fail(MG_EUSAGE, "%s: was merged from other shards; name a new folder", m->call->out);
    if (mine.state == MG_JOB_DONE || row.state == MG_JOB_WAITING || row.state == mine.state) return MG_OK;
    if (mine.state == MG_JOB_FAILED) m->d->counts.failed--;
    if (mine.state == MG_JOB_GONE) m->d->counts.total++; /* a run dropped it when a merge had been cut off */
    if (row.state == MG_JOB_DONE) MG_RETURN(take_sound(m, s, n, &row));
    *changed = true;
    return take_outcome(m, n, &row);
}

/* What hard links made in a folder is durable when it is synced. */
static mg_status sync_folders(const mg_dataset *d, int64_t first, int64_t last)
{
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE], folder[MG_PATH_SIZE];

    if (d->call.layout == MG_LAYOUT_WEBDATASET) return MG_OK; /* its parts are files that were synced */
    for (int64_t n = first; n <= last; n += MG_DATASET_FOLDER_FILES - n % MG_DATASET_FOLDER_FILES) {
        MG_RETURN(mg_dataset_file_name(name, d->call.layout, d->call.suffix, n, "x"));
        MG_RETURN(mg_dataset_path(path, d, name));
        MG_RETURN(mg_path_folder(folder, path));
        MG_RETURN(mg_out_sync_folder(folder));
    }
    return MG_OK;
}

mg_status mg_merge_take_clips(mg_merge *m)
{
    mg_status st = MG_OK;
    int64_t first = 0, n_changed = 0;
    mg_progress progress;
    bool changed;

    mg_progress_begin(&progress, "merge", "clips", (int64_t)m->n_items);
    for (int64_t n = 0; n < (int64_t)m->n_items; n++) {
        MG_TRY(take_clip(m, n, &changed));
        n_changed += changed;
        if (n_changed > 0 && n_changed % COMMIT_CLIPS == 0 && changed) {
            MG_TRY(sync_folders(m->d, first, n));
            MG_TRY(mg_dataset_commit(m->d));
            first = n + 1;
        }
        mg_progress_update(&progress, n + 1);
        MG_TRY(mg_stop_check());
    }
    MG_TRY(sync_folders(m->d, first, (int64_t)m->n_items - 1));
    st = mg_dataset_commit(m->d);
done:
    mg_progress_end(&progress);
    return st;
}
