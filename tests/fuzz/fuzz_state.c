/* Any bytes as a dataset's state: one sentence, or rows whose names stay in the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"
#include "fuzz.h"

static char folder[] = "/tmp/fuzz_state.XXXXXX", path[MG_PATH_SIZE];

static void clean(void)
{
    unlink(path);
    rmdir(folder);
}

static void put(const uint8_t *data, size_t bytes)
{
    if (!*path) {
        FUZZ_CHECK(mkdtemp(folder) && mg_path_format(path, "%s/run.db", folder) == MG_OK);
        atexit(clean);
    }
    FILE *f = fopen(path, "wb");
    FUZZ_CHECK(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0);
}

static mg_status see_note(void *arg, const char *name, const char *value)
{
    (void)arg, (void)name, (void)value; /* either may be NULL */
    return MG_OK;
}

static mg_status see_job(void *arg, const mg_job_row *row)
{
    char name[MG_PATH_SIZE];

    (void)arg;
    FUZZ_CHECK(row->n >= 0 && row->bytes >= 0 && row->id[0] != '.' && !strchr(row->id, '/'));
    for (int layout = 0; layout <= MG_LAYOUT_AUDIOCRAFT; layout++) {
        FUZZ_CHECK(mg_dataset_file_name(name, (mg_layout)layout, ".flac", row->n, row->id) == MG_OK);
        FUZZ_CHECK(mg_path_stays(name) && !strchr(name, '\n'));
    }
    if (row->state != MG_JOB_DONE) return MG_OK;
    FUZZ_CHECK(mg_path_stays(row->file) && !strchr(row->file, '\n') && !strchr(row->sha256, '\n'));
    FUZZ_CHECK(row->record[0] == '{' && strlen(row->record) > 2 && !strchr(row->record, '\n'));
    return MG_OK;
}

static mg_status see_shard(void *arg, const mg_shard_row *row)
{
    (void)arg;
    FUZZ_CHECK(mg_path_stays(row->file) && !strchr(row->file, '\n') && !strchr(row->sha256, '\n'));
    return MG_OK;
}

static void check(mg_status st)
{
    FUZZ_CHECK(st == MG_OK || (st == MG_EFAIL && mg_last_error()[0] && !strchr(mg_last_error(), '\n')));
    mg_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_run_counts counts;
    mg_run_db *db;
    mg_job_row row;
    bool found;

    put(data, bytes);
    mg_clear_error();
    const mg_status st = mg_run_db_open_to_read(&db, path);
    check(st);
    if (st != MG_OK) return 0;
    check(mg_run_db_each_note(db, see_note, NULL));
    check(mg_run_db_count(db, &counts));
    for (int state = MG_JOB_WAITING; state <= MG_JOB_GONE; state++)
        check(mg_run_db_each(db, (mg_job_state)state, see_job, NULL));
    check(mg_run_db_each_shard(db, see_shard, NULL));
    check(mg_run_db_find(db, 1, &row, &found));
    check(mg_run_db_find_id(db, "a", 0, &row, &found));
    mg_run_db_close(db);
    return 0;
}
