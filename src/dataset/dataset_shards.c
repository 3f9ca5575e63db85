/* Shards: clips wait in .mg-dist/parts until all before them are settled, so that a shard holds its clips in
 * the order of the jobs whatever finished first. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_impl.h"
#include "log.h"
#include "stop.h"
#include "tar_writer.h"
#include "text.h"

static mg_status part_path(char out[MG_PATH_SIZE], const mg_dataset *d, const mg_job_row *row)
{
    char name[MG_PATH_SIZE];

    MG_RETURN(mg_dataset_maker_name(name, d->call.layout, d->call.suffix, row->n, row->id));
    return mg_dataset_path(out, d, name);
}

/* What it takes in a shard, with the .json beside it. */
static int64_t room_of(const mg_job_row *row)
{
    return mg_tar_writer_room(row->file_bytes) +
           mg_tar_writer_room((int64_t)strlen(row->record ? row->record : ""));
}

static mg_status add_sample(mg_dataset *d, const mg_job_row *row, mg_tar_writer *t)
{
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE];

    MG_RETURN(part_path(path, d, row));
    MG_RETURN(mg_dataset_member_name(name, row->file, NULL));
    MG_RETURN(mg_tar_writer_add_file(t, name, path, row->file_bytes));
    MG_RETURN(mg_dataset_member_name(name, row->file, ".json"));
    return mg_tar_writer_add(t, name, row->record, (int64_t)strlen(row->record));
}

typedef mg_status visit_clip(mg_dataset *d, const mg_job_row *row, mg_tar_writer *t);

/* The clips first … last that are done and in that shard; -1: in none. */
static mg_status each_clip(mg_dataset *d, int64_t first, int64_t last, int64_t shard, visit_clip *visit,
                           mg_tar_writer *t)
{
    mg_job_row row;
    bool found = true;

    for (int64_t n = first; n <= last; n = row.n + 1) {
        MG_RETURN(mg_run_db_next(d->db, MG_JOB_DONE, n, &row, &found));
        if (!found || row.n > last) break;
        if (row.shard == shard) MG_RETURN(visit(d, &row, t));
    }
    return MG_OK;
}

static mg_status remove_part(mg_dataset *d, const mg_job_row *row, mg_tar_writer *t)
{
    char path[MG_PATH_SIZE];
    (void)t;

    MG_RETURN(part_path(path, d, row));
    unlink(path); /* what stays is removed by the next start */
    return MG_OK;
}

static mg_status shard_name(char out[MG_PATH_SIZE], const mg_dataset *d, int64_t n)
{
    return mg_path_format(out, "%s-%06" PRId64 ".tar", d->call.name, n);
}

/* Write the clips first … last, record the shard, and only then let go of their parts. */
static mg_status close_shard(mg_dataset *d, int64_t first, int64_t last)
{
    mg_status st = MG_OK;
    mg_tar_writer tar = {.file = {.fd = -1}};
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE], sha256[65];

    MG_TRY(shard_name(name, d, d->n_shards));
    MG_TRY(mg_dataset_path(path, d, name));
    MG_TRY(mg_tar_writer_begin(&tar, path));
    MG_TRY(each_clip(d, first, last, -1, add_sample, &tar));
    MG_TRY(mg_run_lock_check(d->lock));
    MG_TRY(mg_tar_writer_commit(&tar, sha256));
    const mg_shard_row row = {d->n_shards, name, sha256, d->shard_n_clips, tar.bytes};
    MG_TRY(mg_run_db_add_shard(d->db, &row, first, last));
    MG_TRY(mg_run_db_commit(d->db));
    d->n_shards++;
done:
    mg_tar_writer_abandon(&tar);
    return st;
}

static mg_status close_at(mg_dataset *d, int64_t next)
{
    const int64_t first = d->shard_first, last = next - 1;
    const bool any = d->shard_n_clips > 0;

    if (any) MG_RETURN(close_shard(d, first, last));
    d->shard_first = next; /* it is closed, whatever becomes of its parts */
    d->shard_n_clips = d->shard_bytes = 0;
    return any ? each_clip(d, first, last, d->n_shards - 1, remove_part, NULL) : MG_OK;
}

mg_status mg_dataset_close_shards(mg_dataset *d, bool last)
{
    mg_job_row row;
    bool found;
    int64_t n_jobs;

    MG_RETURN(mg_run_db_n_jobs(d->db, &n_jobs));
    while (d->shard_next < n_jobs) {
        MG_RETURN(mg_run_db_find(d->db, d->shard_next, &row, &found));
        if (found && row.state == MG_JOB_WAITING) break;
        if (found && row.state == MG_JOB_DONE && row.shard < 0) {
            const int64_t room = room_of(&row);
            if (d->shard_n_clips > 0 &&
                (d->shard_n_clips >= d->call.shard_clips || d->shard_bytes + room > d->call.shard_bytes))
                MG_RETURN(close_at(d, d->shard_next));
            d->shard_n_clips++;
            d->shard_bytes += room;
        }
        d->shard_next++;
    }
    return last && d->shard_next == n_jobs ? close_at(d, n_jobs) : MG_OK;
}

/* Clips whose part is not as it was recorded. */
typedef struct lost_parts {
    mg_dataset *d;
    int64_t *n; /* of the rows */
    size_t n_lost, capacity;
    int64_t n_gone; /* of them, with jobs that are in no list any more */
} lost_parts;

static mg_status look_at_part(void *arg, const mg_job_row *row)
{
    lost_parts *l = arg;
    char path[MG_PATH_SIZE];
    struct stat info = {0};

    MG_RETURN(mg_stop_check());
    MG_RETURN(part_path(path, l->d, row));
    if (stat(path, &info) != 0 && errno != ENOENT) /* a disk that is away for a moment has lost nothing */
        return mg_fail(MG_EFAIL, "%s: cannot look at it: %s; when the disk works, the same command goes on",
                       path, strerror(errno));
    if (S_ISREG(info.st_mode) && info.st_size == row->file_bytes) return MG_OK;
    MG_RETURN(mg_grow(&l->n, &l->capacity, l->n_lost + 1, sizeof *l->n, "shards"));
    l->n[l->n_lost++] = row->n;
    l->n_gone += row->at < 0;
    return MG_OK;
}

mg_status mg_dataset_find_lost_parts(mg_dataset *d)
{
    lost_parts l = {.d = d};
    mg_status st = mg_run_db_each_in_no_shard(d->db, look_at_part, &l);
    char gone[64] = "";

    if (l.n_gone > 0) snprintf(gone, sizeof gone, ", %" PRId64 " lost, for their jobs are gone", l.n_gone);
    for (size_t i = 0; i < l.n_lost && st == MG_OK; i++) st = mg_run_db_forget(d->db, l.n[i]);
    if (st == MG_OK && l.n_lost > 0)
        mg_log_warn(
            "%s/parts: of %zu clip%s that waited for a shard the file is missing or cut short: %" PRId64
            " made again%s",
            d->own, l.n_lost, mg_plural((int64_t)l.n_lost), (int64_t)l.n_lost - l.n_gone, gone);
    free(l.n);
    return st;
}

static mg_status count_shard(void *arg, const mg_shard_row *row)
{
    *(int64_t *)arg = row->n + 1;
    return MG_OK;
}

mg_status mg_dataset_find_shards(mg_dataset *d)
{
    return mg_run_db_each_shard(d->db, count_shard, &d->n_shards);
}
