/* The coordinator's own ceiling, with makers that cost nothing and write no sound: jobs dealt and recorded a
 * second, the start with a million jobs, and memory, which must not grow with the number of jobs.
 * A start must not read the rows of clips that are done either.
 * Limits are of processor time, so that a busy machine changes nothing; both times are printed. The first
 * number of jobs is for every day; MG_MANY_JOBS=1 takes 100,000 and 1,000,000. */
#include "io_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "clock.h"
#include "dataset.h"
#include "run_db_impl.h"

static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static int64_t wanted(int64_t every_day, int64_t all)
{
    return getenv("MG_MANY_JOBS") ? all : every_day;
}

static double processor_s(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

static void write_jobs(const char *path, int64_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (int64_t i = 0; i < n; i++)
        fprintf(f,
                "{\"id\": \"track_%lld\", \"prompt\": \"a calm piano over soft drums, number %lld\", "
                "\"duration\": %lld}\n",
                (long long)i, (long long)i, (long long)(i * 7919 % 20 + 5));
    assert_int_equal(fclose(f), 0);
}

/* Most memory that this process ever had, in MB. */
static double peak_mb(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_maxrss / 1024;
}

static mg_dataset_call call_of(const char *out, const char *jobs)
{
    return (mg_dataset_call){
        .out = out, .jobs = jobs, .suffix = ".flac", .name = "set", .seed = 7, .n_per_job = 1, .dur_s = 10};
}

static void test_many_jobs_in_flight(void **state)
{
    const int64_t n = wanted(20000, 200000), in_flight = wanted(4000, 64000); /* 1,000 replicas of 64 clips */
    int64_t *dealt = malloc((size_t)n * sizeof *dealt);
    char out[300], jobs[300];
    mg_dataset *d;
    mg_dataset_job job;
    mg_dataset_counts counts;
    bool found = true;

    (void)state;
    assert_non_null(dealt);
    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    write_jobs(jobs, n);
    const mg_dataset_call call = call_of(out, jobs);
    expect_ok(mg_dataset_open(&d, &call));
    const double begin_s = mg_clock_s(), begin_cpu_s = processor_s(), begin_mb = peak_mb();
    for (int64_t i = 0; i < n + in_flight; i++) {
        if (i < n) {
            expect_ok(mg_dataset_deal_to(d, 0, 1, &job, &found));
            assert_true(found);
            dealt[i] = job.n;
        }
        if (i < in_flight) continue;
        expect_ok(mg_dataset_record(d, &(mg_dataset_outcome){.n = dealt[i - in_flight],
                                                             .kind = MG_MADE_DONE,
                                                             .sha256 = hash,
                                                             .record = "{\"id\":\"x\",\"seed\":1}",
                                                             .dur_s = 10}));
        if (i % 256 == 255) expect_ok(mg_dataset_commit(d));
    }
    expect_ok(mg_dataset_commit(d));
    const double took_s = mg_clock_s() - begin_s, cpu_s = processor_s() - begin_cpu_s,
                 grown_mb = peak_mb() - begin_mb;
    printf("%lld jobs dealt and recorded: %.0f a second, %.0f a second of processor time; memory %.1f MB, "
           "%.1f MB more than at the start\n",
           (long long)n, (double)n / took_s, (double)n / cpu_s, peak_mb(), grown_mb);
    expect_ok(mg_dataset_deal_to(d, 0, 1, &job, &found));
    assert_false(found);
    mg_dataset_count(d, &counts);
    assert_int_equal(counts.done, n);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    free(dealt);
    assert_true((double)n / cpu_s >= 5000);
    assert_true(grown_mb < 30);
}

static void test_the_start_with_a_million(void **state)
{
    const int64_t n = wanted(100000, 1000000);
    char out[300], jobs[300];
    mg_dataset *d;

    (void)state;
    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    write_jobs(jobs, n);
    const mg_dataset_call call = call_of(out, jobs);
    for (int again = 0; again < 2; again++) {
        const double begin_s = mg_clock_s(), begin_cpu_s = processor_s();
        expect_ok(mg_dataset_open(&d, &call));
        const double took_s = mg_clock_s() - begin_s, cpu_s = processor_s() - begin_cpu_s;
        printf("%lld jobs: %s in %.2f s, %.2f s of processor time; memory %.1f MB\n", (long long)n,
               again ? "found again" : "taken in", took_s, cpu_s, peak_mb());
        mg_dataset_close(d);
        assert_true(cpu_s < 10);
        assert_true(peak_mb() < 100);
    }
}

static int64_t bytes_read(void)
{
    FILE *f = fopen("/proc/self/io", "r");
    long long n = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "rchar: %lld", &n), 1);
    fclose(f);
    return n;
}

enum { IN_A_SHARD = 1000 };

/* The state as an earlier version left it: without indexes of states. */
static void end_jobs(int64_t n_done, mg_layout layout)
{
    char record[1200], file[64], name[64];
    mg_run_db *db;

    memset(record, 'x', sizeof record);
    memcpy(record, "{\"id\":\"", 7);
    memcpy(record + sizeof record - 3, "\"}", 3);
    expect_ok(mg_run_db_open(&db, in_dir("out/.mg-dist/run.db"), NULL));
    for (int64_t i = 0; i < n_done; i++) {
        snprintf(file, sizeof file,
                 layout == MG_LAYOUT_WEBDATASET ? "track_%lld.flac" : "train/track_%lld.flac", (long long)i);
        expect_ok(mg_run_db_end_job(
            db,
            &(mg_job_row){
                .n = i, .state = MG_JOB_DONE, .file = file, .sha256 = hash, .record = record, .dur_s = 10}));
        if (layout != MG_LAYOUT_WEBDATASET || (i + 1) % IN_A_SHARD != 0) continue;
        const int64_t shard = i / IN_A_SHARD;
        snprintf(name, sizeof name, "set-%06lld.tar", (long long)shard);
        expect_ok(mg_run_db_add_shard(db, &(mg_shard_row){shard, name, hash, IN_A_SHARD, 1},
                                      shard * IN_A_SHARD, i));
    }
    expect_ok(mg_run_db_note(db, "state", "stopped"));
    expect_ok(mg_run_db_commit(db));
    expect_ok(mg_run_db_do(db, "DROP INDEX IF EXISTS job_state; DROP INDEX IF EXISTS job_left"));
    mg_run_db_close(db);
}

static void start_where_clips_are_made(mg_layout layout)
{
    const int64_t n = wanted(10000, 1000000), n_done = n / 10 * 9;
    char out[300], jobs[300];
    mg_dataset *d;
    mg_dataset_job job;
    mg_dataset_counts counts;
    struct stat state;
    bool found;

    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    write_jobs(jobs, n);
    mg_dataset_call call = call_of(out, jobs);
    call.layout = layout, call.shard_clips = IN_A_SHARD, call.shard_bytes = INT64_C(1) << 30;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    end_jobs(n_done, layout);
    assert_int_equal(stat(in_dir("out/.mg-dist/run.db"), &state), 0);
    for (int again = 0; again < 2; again++) { /* the first one makes the indexes */
        const double begin_s = mg_clock_s(), begin_cpu_s = processor_s();
        const int64_t before = bytes_read();
        expect_ok(mg_dataset_open(&d, &call));
        expect_ok(mg_dataset_commit(d));
        expect_ok(mg_dataset_deal_to(d, 0, 1, &job, &found));
        const int64_t bytes = bytes_read() - before;
        printf("%lld jobs, %lld done: %s in %.2f s, %.2f s of processor time; %.1f MB read, of a state of "
               "%.1f\n",
               (long long)n, (long long)n_done, again ? "found again" : "taken over", mg_clock_s() - begin_s,
               processor_s() - begin_cpu_s, (double)bytes / 1e6, (double)state.st_size / 1e6);
        assert_true(found);
        assert_true(job.n >= n_done);
        mg_dataset_count(d, &counts);
        assert_int_equal(counts.done, n_done);
        assert_int_equal(counts.total, n);
        assert_true(counts.done_s == 10 * (double)n_done);
        mg_dataset_close(d);
        if (again) assert_true(bytes < state.st_size / 3);
    }
}

static void test_a_start_reads_no_clips(void **state)
{
    (void)state;
    start_where_clips_are_made(MG_LAYOUT_AUDIOFOLDER);
}

static void test_a_start_reads_no_shards_clips(void **state)
{
    (void)state;
    start_where_clips_are_made(MG_LAYOUT_WEBDATASET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_jobs_in_flight, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_the_start_with_a_million, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_start_reads_no_clips, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_start_reads_no_shards_clips, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
