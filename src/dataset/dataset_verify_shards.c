/* Shards: each holds the clips that the manifest says, in its order, byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_sound.h"
#include "dataset_verify_impl.h"
#include "hash.h"
#include "job_id.h"
#include "progress.h"
#include "stop.h"
#include "tar_reader.h"
#include "text.h"

static mg_status check_member_sound(const mg_clip_line *line, const mg_tar_member *m)
{
    char path[MG_SHOWN_PATH_SIZE];
    int fd;

    MG_RETURN(mg_dataset_show_bytes(path, &fd, m->data, m->bytes));
    const mg_status st = mg_verify_sound(line, path, m->name);
    mg_dataset_unshow(fd);
    return st;
}

static mg_status check_record(const mg_clip_line *line, const mg_tar_member *m)
{
    mg_clip_line record;

    MG_RETURN(mg_clip_line_parse(&record, m->name, m->data, m->bytes));
    const char *key = mg_clip_line_difference(line, &record);
    const mg_status st =
        key ? mg_fail(MG_EFAIL, "%s: %s: is not that of manifest.jsonl", m->name, key) : MG_OK;
    mg_clip_line_close(&record);
    return st;
}

/* The clip's two members. MG_EFAIL says what is wrong in the shard. */
static mg_status check_sample(const mg_dataset_check *c, const mg_verify_clip *clip, mg_tar_reader *tar)
{
    mg_status st = MG_OK;
    char name[MG_PATH_SIZE], seen[65];
    mg_clip_line line = {0};
    mg_tar_member m;
    bool over;

    MG_TRY(mg_dataset_member_name(name, clip->file, NULL));
    MG_TRY(mg_tar_reader_next(tar, &m, &over));
    if (over || !mg_dataset_is_member(m.name, name))
        MG_TRY(mg_fail(MG_EFAIL, "%s is where %s should be", over ? "its end" : m.name, name));
    MG_TRY(mg_hash_bytes(seen, m.data, (size_t)m.bytes));
    if (strcmp(seen, clip->sha256) != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s is damaged: its sha256 is %.12s…, recorded is %.12s…", name, seen,
                       clip->sha256));
    MG_TRY(mg_verify_read_line(&line, c, clip));
    st = check_member_sound(&line, &m);
    if (st == MG_EFAIL) {
        char why[400];
        snprintf(why, sizeof why, "%.399s", mg_last_error());
        MG_TRY(mg_fail(MG_EFAIL, "%s %s", name, why));
    }
    MG_TRY(st);
    MG_TRY(mg_tar_reader_next(tar, &m, &over));
    MG_TRY(mg_dataset_member_name(name, clip->file, ".json"));
    if (over || !mg_dataset_is_member(m.name, name))
        MG_TRY(mg_fail(MG_EFAIL, "%s is where %s should be", over ? "its end" : m.name, name));
    st = check_record(&line, &m);
done:
    mg_clip_line_close(&line);
    return st;
}

static mg_status check_members(const mg_dataset_check *c, const mg_verify_shard *s, const char *path)
{
    mg_status st = MG_OK;
    mg_tar_reader tar;
    mg_tar_member m;
    bool over;

    MG_RETURN(mg_tar_reader_open(&tar, path));
    tar.name = s->name;
    for (size_t i = s->first; i < s->end; i++) {
        MG_TRY(mg_stop_check()); /* it may be many gigabytes */
        MG_TRY(check_sample(c, &c->clip[i], &tar));
    }
    MG_TRY(mg_tar_reader_next(&tar, &m, &over));
    if (!over) st = mg_fail(MG_EFAIL, "%s is in it, and not in manifest.jsonl", m.name);
done:
    mg_tar_reader_close(&tar);
    return st;
}

static mg_status check_shard(const mg_dataset_check *c, mg_verify_shard *s)
{
    char path[MG_PATH_SIZE], seen[65], text[MG_PATH_SIZE], why[1024] = "";
    const mg_sum *sum = mg_sum_list_find(&c->sums, s->name);

    MG_RETURN(mg_verify_path(path, c, s->name));
    if (mg_path_bytes(path) < 0) {
        snprintf(text, sizeof text, "%.3000s: missing, with its %zu clip%s", s->name, s->end - s->first,
                 mg_plural((int64_t)(s->end - s->first)));
        s->finding = strdup(text);
        return MG_OK;
    }
    MG_RETURN(mg_hash_file(seen, path));
    const bool same = sum && strcmp(seen, sum->sha256) == 0;
    const mg_status st = check_members(c, s, path);
    if (st != MG_OK && st != MG_EFAIL) return st;
    if (st == MG_EFAIL) snprintf(why, sizeof why, "%.1000s", mg_last_error());
    const size_t n = strlen(s->name);
    const char *behind = strncmp(why, s->name, n) == 0 && why[n] == ':' ? why + n + 2 : why;
    s->list_is_wrong = same && *why; /* the tar is what it was: then the list is not */
    if (s->list_is_wrong)
        snprintf(text, sizeof text, "manifest.jsonl: %.1000s: %s", s->name, behind);
    else if (*why)
        snprintf(text, sizeof text, "%.1000s: %s", s->name, behind);
    else if (sum && !same)
        snprintf(text, sizeof text,
                 "SHA256SUMS: line %lld: is not the hash of %.1000s, whose clips are whole",
                 (long long)sum->line, s->name);
    if (*why || (sum && !same)) s->finding = strdup(text);
    return MG_OK;
}

static void check_range(void *arg, int64_t first, int64_t end, int i_thread)
{
    const mg_dataset_check *c = arg;
    (void)i_thread;

    for (int64_t i = first; i < end; i++)
        if (check_shard(c, &c->shard[i]) != MG_OK) c->shard[i].finding = strdup(mg_last_error());
}

/* Clips whose shard is not closed yet. */
static mg_status check_waiting(mg_dataset_check *c, const mg_verify_clip *clip)
{
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE], seen[65] = "";
    mg_job_row row;
    bool found = false;
    int64_t fold;

    if (c->db) {
        MG_RETURN(mg_job_id_fold_hash(&fold, clip->id));
        MG_RETURN(mg_run_db_find_id(c->db, clip->id, fold, &row, &found));
    }
    if (found) {
        MG_RETURN(mg_dataset_maker_name(name, MG_LAYOUT_WEBDATASET, strrchr(clip->file, '.'), row.n, row.id));
        MG_RETURN(mg_verify_path(path, c, name));
        if (mg_path_bytes(path) >= 0) MG_RETURN(mg_hash_file(seen, path));
    }
    c->v->n_bytes += clip->file_bytes;
    if (strcmp(seen, clip->sha256) == 0) return MG_OK;
    return mg_verify_say(c, clip->file, MG_N_LISTS, MG_REMEDY_CLIP,
                         "%s: in no shard, and %s where it waits for one", clip->file,
                         *seen ? "damaged" : "not");
}

mg_status mg_verify_shards(mg_dataset_check *c)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    mg_progress progress;
    const size_t batch = (size_t)mg_threads_count(c->threads);

    mg_progress_begin(&progress, "verify", "shards", (int64_t)c->n_shards);
    for (size_t i = 0; i < c->n_shards && st == MG_OK; i += batch) {
        const size_t n = c->n_shards - i < batch ? c->n_shards - i : batch;
        mg_dataset_check some = *c;
        some.shard += i;
        mg_threads_run(c->threads, check_range, &some, (int64_t)n);
        st = mg_stop_check(); /* what was found then may be the stop */
        for (size_t k = i; k < i + n && st == MG_OK; k++) {
            const mg_verify_shard *s = &c->shard[k];
            const bool of_sums = s->finding && strncmp(s->finding, "SHA256SUMS", 10) == 0;
            const mg_verify_list list = of_sums            ? MG_LIST_SUMS
                                        : s->list_is_wrong ? MG_LIST_MANIFEST
                                                           : MG_N_LISTS;
            if (mg_verify_path(path, c, s->name) == MG_OK && mg_path_bytes(path) > 0)
                c->v->n_files++, c->v->n_bytes += mg_path_bytes(path);
            if (s->finding)
                st = mg_verify_say(c, s->name, list, list < MG_N_LISTS ? MG_REMEDY_LISTS : MG_REMEDY_CLIP,
                                   "%s", s->finding);
        }
        mg_progress_update(&progress, (int64_t)(i + n));
    }
    mg_progress_end(&progress);
    for (size_t i = 0; i < c->n_clips && st == MG_OK; i++)
        if (c->clip[i].i_shard < 0) st = check_waiting(c, &c->clip[i]);
    return st;
}
