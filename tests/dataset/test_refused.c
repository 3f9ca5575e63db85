/* A start that is refused leaves nothing behind. */
#include "dataset_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "out_folder.h"

static char out[FIXTURE_PATH], jobs[FIXTURE_PATH];

static int set_up(void **state)
{
    return make_jobs(state, out, jobs, "{\"id\": \"a\", \"prompt\": \"x\"}\n");
}

/* What a start has made itself goes with it; what was there stays. */
static void test_a_refused_start_leaves_nothing(void **state)
{
    char deep[320], bad[320];
    mg_dataset_call call = call_of(deep, jobs, MG_LAYOUT_WEBDATASET);
    mg_dataset *d;

    (void)state;
    snprintf(deep, sizeof deep, "%s/new/below//", test_dir);
    snprintf(bad, sizeof bad, "%s", in_dir("bad.jsonl"));
    put_file(bad, "{\"prompt\": 1}\n", 14);
    call.resume = MG_RESUME_ONLY;
    expect_refused(&call, MG_EUSAGE, "no dataset to go on with");
    assert_false(mg_path_exists(in_dir("new")));
    call.resume = MG_RESUME_AUTO;
    call.jobs = bad;
    expect_refused(&call, MG_EUSAGE, "bad.jsonl: line 1: prompt");
    assert_false(mg_path_exists(in_dir("new")));
    call.jobs = jobs;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_abandon(d, false); /* its model is missing, say */
    assert_false(mg_path_exists(in_dir("new")));
    assert_int_equal(mkdir(out, 0777), 0);
    call.out = out;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_abandon(d, false);
    assert_true(mg_out_folder_is_free(out) && mg_path_exists(out));
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_abandon(d, true); /* one that was stopped before its first clip stays */
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_abandon(d, false);
    call.jobs = NULL;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
}

static void expect_state(const char *want)
{
    char path[MG_PATH_SIZE], *state;
    mg_run_db *db;

    expect_ok(mg_path_format(path, "%s/.mg-dist/run.db", out));
    expect_ok(mg_run_db_open_to_read(&db, path));
    expect_ok(mg_run_db_read_note(db, "state", &state));
    assert_string_equal(state, want);
    free(state);
    mg_run_db_close(db);
}

/* A dataset that is whole stays so. */
static void test_a_refused_start_changes_nothing(void **state)
{
    static const char more[] = "{\"id\": \"a\", \"prompt\": \"x\"}\n{\"id\": \"b\"}\n";
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 9), 1);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    expect_state("finished");
    for (int stopped = 0; stopped < 2; stopped++) {
        expect_ok(mg_dataset_open(&d, &call));
        (void)mg_fail(MG_EFIT, "does not fit");
        mg_dataset_abandon(d, stopped);
        assert_string_equal(mg_last_error(), "does not fit");
        expect_state("finished");
    }
    put_file(jobs, more, sizeof more - 1); /* its lists are not those of the new jobs */
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_abandon(d, false);
    expect_state("running");
}

/* The same list asks for other clips when a job that does not say has more of them. */
static void test_another_number_of_clips_a_job(void **state)
{
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset_counts n;
    mg_dataset *d;

    (void)state;
    for (call.n_per_job = 3; call.n_per_job >= 2; call.n_per_job--) { /* no clip is made: it may change */
        expect_ok(mg_dataset_open(&d, &call));
        mg_dataset_count(d, &n);
        assert_int_equal(n.total, call.n_per_job);
        mg_dataset_close(d);
    }
    call.n_per_job = 2;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 9), 2);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    call.n_per_job = 3;
    expect_refused(&call, MG_EUSAGE, "was begun with --n 2, and this run has --n 3");
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 9), 1);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    call.jobs = NULL; /* whoever names no list asks for what there is */
    call.n_per_job = 1;
    call.jobs_changed = MG_JOBS_CHANGED_REFUSE;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 3);
    assert_int_equal(n.total, 3);
    mg_dataset_close(d);
}

/* Who waits for the lock meanwhile finds neither it nor its folder, and makes them. */
static void test_a_refused_start_is_waited_for(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    int code;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    const pid_t other = fork();
    if (other == 0) {
        const mg_status st = mg_dataset_open(&d, &call);
        _exit(st != MG_OK && !strstr(mg_last_error(), "a run is at work here"));
    }
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    mg_dataset_abandon(d, false);
    assert_int_equal(waitpid(other, &code, 0), other);
    assert_int_equal(code, 0);
}

/* Who has taken the lock over meanwhile works in the folders. */
static void test_a_refused_start_leaves_others_theirs(void **state)
{
    static const char other[] = "elsewhere 7 7\n";
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_WEBDATASET);
    mg_dataset *d;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    put_file(in_dir("out/.mg-dist/lock"), other, sizeof other - 1);
    mg_dataset_abandon(d, false);
    assert_true(mg_path_exists(in_dir("out/.mg-dist/run.db")));
    assert_true(mg_path_is_folder(in_dir("out/.mg-dist/parts")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_refused_start_leaves_nothing, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_refused_start_changes_nothing, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_another_number_of_clips_a_job, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_refused_start_is_waited_for, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_refused_start_leaves_others_theirs, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
