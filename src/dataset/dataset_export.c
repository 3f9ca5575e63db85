/* What follows from the state, written whole: the same state, the same bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_impl.h"
#include "hash.h"
#include "json_text.h"
#include "out_file.h"

enum { BUFFER_BYTES = 1 << 16 };

/* A file on its way, and its hash. */
typedef struct sheet {
    mg_dataset *d;
    mg_out_file file;
    mg_hash *hash;
    char *buffer; /* [BUFFER_BYTES] */
    size_t n;
} sheet;

static mg_status flush(sheet *s)
{
    if (s->n > 0) MG_RETURN(mg_out_file_write(&s->file, s->buffer, s->n));
    s->n = 0;
    return MG_OK;
}

static mg_status put(sheet *s, const char *text)
{
    const size_t bytes = strlen(text);

    MG_RETURN(mg_hash_add(s->hash, text, bytes));
    if (s->n + bytes > BUFFER_BYTES) MG_RETURN(flush(s));
    if (bytes > BUFFER_BYTES) return mg_out_file_write(&s->file, text, bytes);
    memcpy(s->buffer + s->n, text, bytes);
    s->n += bytes;
    return MG_OK;
}

typedef mg_status fill_sheet(sheet *s);

/* OUT/NAME with what `fill` puts, and its hash. */
static mg_status put_sheet(mg_dataset *d, const char *name, fill_sheet *fill, char sha256[65])
{
    mg_status st = MG_OK;
    sheet s = {.d = d, .file = {.fd = -1}, .buffer = malloc(BUFFER_BYTES)};
    char path[MG_PATH_SIZE];
    mg_hash *hash;

    if (!s.buffer) MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory", name));
    MG_TRY(mg_hash_open(&s.hash));
    MG_TRY(mg_dataset_path(path, d, name));
    MG_TRY(mg_out_file_begin(&s.file, path));
    MG_TRY(fill(&s));
    MG_TRY(flush(&s));
    hash = s.hash, s.hash = NULL;
    MG_TRY(mg_hash_end(hash, sha256));
    MG_TRY(mg_run_lock_check(d->lock));
    st = mg_out_file_commit(&s.file);
done:
    mg_out_file_abandon(&s.file);
    mg_hash_close(s.hash);
    free(s.buffer);
    return st;
}

/* `{FIRST` and the record behind its brace. */
static mg_status put_record(sheet *s, const mg_json_text *first, const mg_job_row *row)
{
    mg_json_text t = *first;
    char *text;

    MG_RETURN(mg_json_text_end(&t, &text));
    text[strlen(text) - 1] = ','; /* its closing brace */
    mg_status st = put(s, text);
    free(text);
    if (st == MG_OK) st = put(s, row->record + 1);
    return st == MG_OK ? put(s, "\n") : st;
}

static mg_status put_metadata_row(void *arg, const mg_job_row *row)
{
    static const char folder[] = "train/";
    mg_json_text t = {.layout = MG_JSON_LINE};

    if (strncmp(row->file, folder, strlen(folder)) != 0)
        return mg_fail(MG_EFAIL, "run.db: %.200s: its file is not in %s", row->id, folder);
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "file_name", row->file + strlen(folder));
    return put_record(arg, &t, row);
}

static mg_status put_manifest_row(void *arg, const mg_job_row *row)
{
    sheet *s = arg;
    mg_json_text t = {.layout = MG_JSON_LINE};
    char shard[MG_PATH_SIZE];

    if (row->shard >= 0)
        MG_RETURN(mg_path_format(shard, "%s-%06" PRId64 ".tar", s->d->call.name, row->shard));
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "file", row->file);
    if (row->shard >= 0) mg_json_text_string(&t, "shard", shard);
    mg_json_text_string(&t, "sha256", row->sha256);
    mg_json_text_int(&t, "bytes", row->file_bytes);
    return put_record(s, &t, row);
}

static mg_status put_failure_row(void *arg, const mg_job_row *row)
{
    mg_json_text t = {.layout = MG_JSON_LINE};
    char *text;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "id", row->id);
    mg_json_text_int(&t, "line", row->line);
    mg_json_text_string(&t, "reason", row->reason);
    mg_json_text_int(&t, "tries", row->tries);
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_status st = put(arg, text);
    free(text);
    return st == MG_OK ? put(arg, "\n") : st;
}

/* AudioCraft's manifest (audiocraft.data.audio_dataset.AudioMeta), paths relative to the folder. */
static mg_status put_audiocraft_row(void *arg, const mg_job_row *row)
{
    mg_json_text t = {.layout = MG_JSON_LINE};
    const char *rate = strstr(row->record, "\"sampling_rate\":");
    char *text;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "path", row->file);
    mg_json_text_number(&t, "duration", row->dur_s);
    mg_json_text_int(&t, "sample_rate", rate ? strtoll(rate + strlen("\"sampling_rate\":"), NULL, 10) : 0);
    mg_json_text_string(&t, "amplitude", NULL);
    mg_json_text_string(&t, "weight", NULL);
    mg_json_text_string(&t, "info_path", NULL);
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_status st = put(arg, text);
    free(text);
    return st == MG_OK ? put(arg, "\n") : st;
}

static mg_status fill_metadata(sheet *s)
{
    return mg_run_db_each(s->d->db, MG_JOB_DONE, put_metadata_row, s);
}

static mg_status fill_manifest(sheet *s)
{
    return mg_run_db_each(s->d->db, MG_JOB_DONE, put_manifest_row, s);
}

static mg_status fill_failures(sheet *s)
{
    return mg_run_db_each(s->d->db, MG_JOB_FAILED, put_failure_row, s);
}

static mg_status fill_audiocraft(sheet *s)
{
    return mg_run_db_each(s->d->db, MG_JOB_DONE, put_audiocraft_row, s);
}

/* As sha256sum -c reads it. */
static mg_status put_sum(sheet *s, const char *sha256, const char *name)
{
    MG_RETURN(put(s, sha256));
    MG_RETURN(put(s, "  "));
    MG_RETURN(put(s, name));
    return put(s, "\n");
}

static mg_status put_sum_row(void *arg, const mg_job_row *row)
{
    return put_sum(arg, row->sha256, row->file);
}

static mg_status put_sum_shard(void *arg, const mg_shard_row *row)
{
    return put_sum(arg, row->sha256, row->file);
}

static const char *const listed[] = {"train/metadata.jsonl", "egs/train/data.jsonl", "failures.jsonl",
                                     "manifest.jsonl", "README.md"};

static mg_status fill_sums(sheet *s)
{
    char path[MG_PATH_SIZE], sha256[65];

    if (s->d->call.layout == MG_LAYOUT_WEBDATASET)
        MG_RETURN(mg_run_db_each_shard(s->d->db, put_sum_shard, s));
    else
        MG_RETURN(mg_run_db_each(s->d->db, MG_JOB_DONE, put_sum_row, s));
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        MG_RETURN(mg_dataset_path(path, s->d, listed[i]));
        if (!mg_path_exists(path)) continue;
        MG_RETURN(mg_hash_file_unless(sha256, path, NULL));
        MG_RETURN(put_sum(s, sha256, listed[i]));
    }
    return MG_OK;
}

mg_status mg_dataset_export(mg_dataset *d)
{
    char sha256[65], path[MG_PATH_SIZE];

    if (d->call.layout != MG_LAYOUT_WEBDATASET) {
        MG_RETURN(mg_dataset_path(path, d, "train"));
        MG_RETURN(mg_out_dir_open(path));
    }
    if (d->call.layout == MG_LAYOUT_AUDIOFOLDER)
        MG_RETURN(put_sheet(d, "train/metadata.jsonl", fill_metadata, sha256));
    if (d->call.layout == MG_LAYOUT_AUDIOCRAFT) {
        MG_RETURN(mg_dataset_path(path, d, "egs/train"));
        MG_RETURN(mg_out_dir_open(path));
        MG_RETURN(put_sheet(d, "egs/train/data.jsonl", fill_audiocraft, sha256));
    }
    MG_RETURN(put_sheet(d, "manifest.jsonl", fill_manifest, sha256));
    MG_RETURN(put_sheet(d, "failures.jsonl", fill_failures, sha256));
    MG_RETURN(mg_run_lock_check(d->lock));
    MG_RETURN(mg_dataset_put_card(d));
    return put_sheet(d, "SHA256SUMS", fill_sums, sha256);
}
