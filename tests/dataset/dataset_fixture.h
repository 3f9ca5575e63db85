/* A dataset whose clips cost nothing: a file of a few bytes that follow from id and seed. */
#ifndef MG_DATASET_FIXTURE_H
#define MG_DATASET_FIXTURE_H

#include "io_fixture.h"

#include "dataset.h"
#include "hash.h"
#include "out_file.h"

static inline mg_dataset_call call_of(const char *out, const char *jobs, mg_layout layout)
{
    return (mg_dataset_call){.out = out,
                             .jobs = jobs,
                             .layout = layout,
                             .suffix = ".flac",
                             .name = "set",
                             .shard_clips = 7,
                             .shard_bytes = 1 << 20,
                             .seed = 7,
                             .n_per_job = 1,
                             .dur_s = 10,
                             .retries = 1,
                             .stale_s = 1};
}

/* The set-up of a test: a folder with a list of jobs, and where the dataset will be. */
enum { FIXTURE_PATH = 300 };
static inline int make_jobs(void **state, char out[FIXTURE_PATH], char jobs[FIXTURE_PATH], const char *text)
{
    if (make_dir(state) != 0) return -1;
    snprintf(out, FIXTURE_PATH, "%s/out", test_dir);
    snprintf(jobs, FIXTURE_PATH, "%s/jobs.jsonl", test_dir);
    put_file(jobs, text, strlen(text));
    return 0;
}

/* To a maker that is alone. */
static inline mg_status deal(mg_dataset *d, mg_dataset_job *job, bool *found)
{
    return mg_dataset_deal_to(d, 0, 1, job, found);
}

/* What a maker does: the file, durably, and a report. */
static inline void make_clip(mg_dataset *d, const mg_dataset_call *call, const mg_dataset_job *job)
{
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE], sha256[65], record[256], data[64];

    const int n = snprintf(data, sizeof data, "%s %lld", job->id, (long long)job->seed);
    snprintf(record, sizeof record, "{\"id\":\"%s\",\"seed\":%lld,\"sampling_rate\":32000}", job->id,
             (long long)job->seed);
    expect_ok(mg_dataset_maker_name(name, call->layout, call->suffix, job->n, job->id));
    expect_ok(mg_path_format(path, "%s/%s", call->out, name));
    *strrchr(path, '/') = '\0';
    expect_ok(mg_out_dir_open(path));
    expect_ok(mg_path_format(path, "%s/%s", call->out, name));
    expect_ok(mg_out_file_put(path, data, (size_t)n));
    expect_ok(mg_hash_bytes(sha256, data, (size_t)n));
    expect_ok(mg_dataset_record(d, &(mg_dataset_outcome){.n = job->n,
                                                         .kind = MG_MADE_DONE,
                                                         .sha256 = sha256,
                                                         .record = record,
                                                         .file_bytes = n,
                                                         .dur_s = 10,
                                                         .took_s = 1}));
}

/* Makes at most n clips. */
static inline int64_t make_some(mg_dataset *d, const mg_dataset_call *call, int64_t n)
{
    mg_dataset_job job;
    bool found = true;
    int64_t made = 0;

    for (; made < n; made++) {
        expect_ok(deal(d, &job, &found));
        if (!found) break;
        make_clip(d, call, &job);
    }
    return made;
}

/* Each of a dataset's parts, part-0 and so on, takes the list, new or changed, and makes what it has to. */
static inline void take_list(int n_parts, const char *list, mg_layout layout)
{
    char out[300], jobs[300];

    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    put_file(jobs, list, strlen(list));
    for (int i = 0; i < n_parts; i++) {
        snprintf(out, sizeof out, "%s/part-%d", test_dir, i);
        mg_dataset_call call = call_of(out, jobs, layout);
        mg_dataset *d;
        call.part = i, call.n_parts = n_parts, call.jobs_changed = MG_JOBS_CHANGED_OK;
        expect_ok(mg_dataset_open(&d, &call));
        make_some(d, &call, 9);
        expect_ok(mg_dataset_finish(d));
        mg_dataset_close(d);
    }
}

static inline char *text_of(const char *name)
{
    int64_t bytes;

    return get_file(in_dir(name), &bytes);
}

static inline void expect_refused(const mg_dataset_call *call, mg_status wanted, const char *part)
{
    mg_dataset *d;

    expect_failure(mg_dataset_open(&d, call), wanted, part);
    assert_null(d);
}

#endif
