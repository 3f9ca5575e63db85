/* Seeds of what a dataset holds: its state, a shard, sums, lines; and of what a sweep has measured. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "out_file.h"
#include "run_db.h"
#include "seeds.h"
#include "tar_writer.h"

static const char line[] =
    "{\"file\":\"train/"
    "a.flac\",\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"bytes\":9,"
    "\"id\":\"a\",\"prompt\":\"slow\",\"negative_prompt\":\"\",\"title\":\"\",\"seed\":7,\"duration\":1.5,"
    "\"sampling_rate\":32000,\"channels\":1,\"recipe\":\"{}\"}";
static const char swept[] =
    "{\"np\":2,\"tp\":2,\"batch\":4,\"repeat\":1,\"status\":\"ok\",\"duration\":10,\"version\":\"0.1.0\","
    "\"settings\":\"tiny\",\"result\":{\"host\":\"node1\",\"codes\":\"db66fdc39e0744c5\",\"ms_per_step\":0."
    "281,"
    "\"ms_per_step_min\":0.157,\"ms_per_step_p95\":0.568,\"bytes_per_step\":7049216,\"read_gbps\":6.69,"
    "\"fraction_of_floor\":3.776,\"x_real_time\":71.09,\"split_step_ms\":1.1607,\"split_products_ms\":0.4294,"
    "\"split_rest_ms\":-0.0120,\"layers\":2,\"width\":128,\"rows\":8,\"position\":252,\"sums_per_step\":7,"
    "\"bare_all_reduce_ms\":0.0149,\"decode_first_ms\":9.5,\"decode_batch_ms\":20,\"joules_per_step\":0.5,"
    "\"energy_"
    "from\":\"rapl\","
    "\"device\":\"2 x CPU\","
    "\"binding\":\"node1: 0 cores 0-1 numa 0\"}}";
static const char skipped[] =
    "{\"np\":1,\"tp\":2,\"batch\":4,\"repeat\":0,\"status\":\"skipped\",\"duration\":10,"
    "\"reason\":\"T = 2\"}";
static const char sums[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef  train/a.flac\n"
                           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef  README.md\n";

static mg_status put_tar(const char *folder)
{
    char path[4096], name[150], sha256[65];
    mg_tar_writer t;
    mg_status st = MG_OK;

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    MG_RETURN(mg_out_dir_open(folder));
    snprintf(path, sizeof path, "%.3000s/shard", folder);
    MG_TRY(mg_tar_writer_begin(&t, path));
    MG_TRY(mg_tar_writer_add(&t, "a.flac", "sound", 5));
    MG_TRY(mg_tar_writer_add(&t, "a.json", line, sizeof line - 1));
    MG_TRY(mg_tar_writer_add(&t, name, "", 0));
    MG_TRY(mg_tar_writer_commit(&t, sha256));
done:
    mg_tar_writer_abandon(&t);
    return st;
}

/* One clip of each kind, and a shard. */
static mg_status put_state(const char *folder)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const mg_job_row done = {.n = 1,
                             .state = MG_JOB_DONE,
                             .tries = 1,
                             .file = "train/a.flac",
                             .sha256 = hash,
                             .file_bytes = 9,
                             .record = "{\"id\":\"a\",\"prompt\":\"slow\"}",
                             .dur_s = 1.5};
    const mg_job_row failed = {.n = 2, .state = MG_JOB_FAILED, .tries = 1, .reason = "b.wav: cannot open"};
    const mg_shard_row shard = {.file = "set-000000.tar", .sha256 = hash, .n_clips = 1, .bytes = 9};
    static const char *const ids[] = {"w", "a", "b"};
    char path[4096];
    mg_run_db *db;
    mg_status st = MG_OK;

    MG_RETURN(mg_out_dir_open(folder));
    snprintf(path, sizeof path, "%.3000s/small", folder);
    unlink(path);
    MG_RETURN(mg_run_db_open(&db, path, NULL));
    for (int i = 0; i < 3; i++)
        MG_TRY(mg_run_db_add(db, &(mg_job_row){.n = i, .id = ids[i], .fold = i, .bytes = 20, .size = 1500}));
    MG_TRY(mg_run_db_index(db));
    MG_TRY(mg_run_db_end_job(db, &done));
    MG_TRY(mg_run_db_end_job(db, &failed));
    MG_TRY(mg_run_db_add_shard(db, &shard, 0, 1));
    MG_TRY(mg_run_db_note(db, "layout", "webdataset"));
    MG_TRY(mg_run_db_note(db, "name", "set"));
    MG_TRY(mg_run_db_commit(db));
done:
    mg_run_db_close(db);
    snprintf(path, sizeof path, "%.3000s/small-journal", folder);
    unlink(path); /* it is empty */
    return st;
}

mg_status seeds_of_datasets(const char *out)
{
    char folder[4096];

    snprintf(folder, sizeof folder, "%.3000s/state", out);
    MG_RETURN(put_state(folder));

    snprintf(folder, sizeof folder, "%.3000s/tar", out);
    MG_RETURN(put_tar(folder));
    snprintf(folder, sizeof folder, "%.3000s/sums", out);
    MG_RETURN(mg_out_dir_open(folder));
    MG_RETURN(seed_put(folder, "two", "", 0, sums, sizeof sums - 1));
    snprintf(folder, sizeof folder, "%.3000s/clip_line", out);
    MG_RETURN(mg_out_dir_open(folder));
    MG_RETURN(seed_put(folder, "manifest", "", 0, line, sizeof line - 1));
    snprintf(folder, sizeof folder, "%.3000s/scaling", out);
    MG_RETURN(mg_out_dir_open(folder));
    MG_RETURN(seed_put(folder, "measured", "", 0, swept, sizeof swept - 1));
    return seed_put(folder, "skipped", "", 0, skipped, sizeof skipped - 1);
}
