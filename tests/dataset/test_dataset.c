/* Jobs in, clips out, each once: with makers that cost nothing, interrupted at every place. */
#include "dataset_fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "dataset_impl.h"
#include "process.h"

static const char jobs_text[] = "{\"id\": \"a\", \"prompt\": \"x\", \"duration\": 5}\n"
                                "{\"id\": \"b\", \"prompt\": \"y\", \"duration\": 9, \"n\": 2}\n"
                                "{\"prompt\": \"z\", \"seed\": 3}\n";

static const char changed[] = "{\"prompt\": \"w\", \"id\": \"new\"}\n"
                              "{\"id\": \"a\", \"prompt\": \"x\", \"duration\": 5}\n";

static char out[FIXTURE_PATH], jobs[FIXTURE_PATH];

static int set_up(void **state)
{
    return make_jobs(state, out, jobs, jobs_text);
}

static void test_longest_first_and_the_files(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    static const char *const order[] = {"0000002", "b-0", "b-1", "a"};
    mg_dataset *d;
    mg_dataset_job job;
    mg_dataset_counts n;
    bool found;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    for (int i = 0; i < 4; i++) {
        expect_ok(deal(d, &job, &found));
        assert_true(found);
        assert_string_equal(job.id, order[i]);
        make_clip(d, &call, &job);
    }
    expect_ok(deal(d, &job, &found));
    assert_false(found);
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 4);
    assert_int_equal(n.total, 4);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);

    char *metadata = text_of("out/train/metadata.jsonl");
    assert_ptr_equal(strstr(metadata, "{\"file_name\":\"a.flac\",\"id\":\"a\",\"seed\":"), metadata);
    assert_non_null(strstr(metadata, "\n{\"file_name\":\"b-1.flac\",\"id\":\"b-1\""));
    free(metadata);
    char *sums = text_of("out/SHA256SUMS");
    assert_non_null(strstr(sums, "  train/0000002.flac\n"));
    assert_non_null(strstr(sums, "  README.md\n"));
    free(sums);
    char *card = text_of("out/README.md");
    assert_non_null(strstr(card, "| clips | 4 of 4 |"));
    free(card);
}

static void test_goes_on_where_it_stopped(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_counts n;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 2), 2);
    expect_ok(mg_dataset_commit(d));
    assert_int_equal(make_some(d, &call, 1), 1); /* durable and not recorded */
    mg_dataset_close(d);
    assert_int_equal(count_files(in_dir("out/train")), 3);
    expect_ok(
        mg_out_dir_open(in_dir("out/.mg-dist/making/3"))); /* of a replica that the next run does not have */
    put_file(in_dir("out/.mg-dist/making/3/0000003.flac"), "whole", 5);
    put_file(in_dir("out/set-000000.tar"), "theirs", 6); /* named as a shard, and this layout has none */
    put_file(in_dir("out/.set.vm.1.tmp"), "ours", 4);

    expect_ok(mg_dataset_open(&d, &call));
    assert_true(mg_path_exists(in_dir("out/set-000000.tar")));
    assert_false(mg_path_exists(in_dir("out/.set.vm.1.tmp")));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 2);
    assert_int_equal(count_files(in_dir("out/train")), 2); /* it was removed, */
    assert_int_equal(count_files(in_dir("out/.mg-dist/making/3")), 0);
    assert_int_equal(make_some(d, &call, 9), 2);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    assert_int_equal(count_files(in_dir("out/train")), 5);
}

/* A lost rank wrote a clip and never said so; the others ended in order. */
static void test_what_a_lost_rank_left(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    char name[MG_PATH_SIZE], path[MG_PATH_SIZE];
    mg_dataset_job job;
    mg_dataset *d;
    bool found;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 2), 2);
    expect_ok(deal(d, &job, &found));
    assert_true(found);
    expect_ok(mg_dataset_maker_name(name, call.layout, call.suffix, job.n, job.id));
    expect_ok(mg_path_format(path, "%s/%s", call.out, name));
    put_file(path, "whole", 5);
    put_file(in_dir("out/train/\xff.flac"), "other", 5); /* no clip can be called so */
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    assert_int_equal(count_files(in_dir("out/train")), 5); /* with the list */

    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(count_files(in_dir("out/train")), 4);
    mg_dataset_close(d);
}

static void test_shards_hold_the_order_of_jobs(void **state)
{
    char many[4000] = "";
    mg_dataset_call call = call_of(out, in_dir("many.txt"), MG_LAYOUT_WEBDATASET);
    mg_dataset *d;
    char one[65], two[65];

    (void)state;
    for (int i = 0; i < 20; i++) strcat(many, "a prompt\n");
    put_file(in_dir("many.txt"), many, strlen(many));
    char path[300];
    snprintf(path, sizeof path, "%s/many.txt", test_dir);
    call.jobs = path;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 99), 20);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    expect_ok(mg_hash_file(one, in_dir("out/set-000001.tar")));
    assert_true(mg_path_exists(in_dir("out/set-000002.tar")));
    assert_false(mg_path_exists(in_dir("out/set-000003.tar")));
    assert_int_equal(count_files(in_dir("out/.mg-dist/parts")), 0);

    /* the same in another order, with interruptions */
    char other[300];
    snprintf(other, sizeof other, "%s/other", test_dir);
    call.out = other;
    mg_dataset_job held;
    bool found;
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(deal(d, &held, &found)); /* never made by this run */
    assert_int_equal(make_some(d, &call, 12), 12);
    expect_ok(mg_dataset_commit(d));
    assert_false(mg_path_exists(in_dir("other/set-000000.tar")));
    mg_dataset_close(d);
    assert_int_equal(unlink(in_dir("other/.mg-dist/parts/0000000002.flac")), 0); /* somebody makes room, */
    put_file(in_dir("other/.mg-dist/parts/0000000005.flac"), "cut", 3);          /* or a disk loses them */
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 3), 3);
    expect_ok(mg_dataset_commit(d)); /* the next clip settles the first shard's size */
    mg_dataset_close(d);
    put_file(in_dir("other/set-000001.tar"), "half", 4); /* of a run that died between file and row */
    expect_ok(mg_dataset_open(&d, &call));
    assert_true(mg_path_exists(in_dir("other/set-000000.tar")));
    assert_int_equal(make_some(d, &call, 99), 7);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    expect_ok(mg_hash_file(two, in_dir("other/set-000001.tar")));
    assert_string_equal(one, two);
    char *a = text_of("out/SHA256SUMS"), *b = text_of("other/SHA256SUMS");
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void test_failures_and_second_tries(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_job job;
    mg_dataset_counts n;
    bool found;
    int64_t first_seed, n_again;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(deal(d, &job, &found));
    first_seed = job.seed;
    assert_string_equal(job.refused, "");
    expect_ok(
        mg_dataset_record(d, &(mg_dataset_outcome){.n = job.n, .kind = MG_MADE_BAD, .reason = "silence"}));
    expect_ok(deal(d, &job, &found)); /* the same, with another seed */
    assert_string_equal(job.id, "0000002");
    assert_int_equal(job.attempt, 1);
    assert_true(job.seed != first_seed);
    assert_string_equal(job.refused, "silence");
    expect_ok(
        mg_dataset_record(d, &(mg_dataset_outcome){.n = job.n, .kind = MG_MADE_BAD, .reason = "dc, loop"}));
    expect_ok(deal(d, &job, &found));
    assert_int_equal(job.attempt, 2);
    assert_string_equal(job.refused, "silence; dc, loop");
    expect_ok(mg_dataset_record(
        d, &(mg_dataset_outcome){.n = job.n, .kind = MG_MADE_FAILED, .reason = "too \"long\""}));
    for (int i = 0; i < 2; i++) { /* one retry, then the run ends and the job waits for the next */
        expect_ok(deal(d, &job, &found));
        assert_string_equal(job.id, "b-0");
        const mg_dataset_outcome o = {.n = job.n, .kind = MG_MADE_PASSING, .reason = "EIO"};
        if (i == 0) expect_ok(mg_dataset_record(d, &o));
        if (i == 1) expect_failure(mg_dataset_record(d, &o), MG_EFAIL, "clip b-0: EIO");
    }
    expect_ok(deal(d, &job, &found));
    expect_ok(mg_dataset_record(d, &(mg_dataset_outcome){.n = job.n, .kind = MG_MADE_BACK}));
    expect_failure(mg_dataset_record(d, &(mg_dataset_outcome){.n = job.n}), MG_EBUG, "was not dealt");
    mg_dataset_count(d, &n);
    assert_int_equal(n.failed, 1);
    expect_ok(mg_dataset_finish(d));
    expect_ok(mg_run_db_retry(d->db, &n_again));
    assert_int_equal(n_again, 1);
    mg_dataset_close(d); /* not committed: undone */
    char *failures = text_of("out/failures.jsonl");
    assert_non_null(
        strstr(failures, "{\"id\":\"0000002\",\"line\":3,\"reason\":\"too \\\"long\\\"\",\"tries\":1}\n"));
    free(failures);
}

/* As a run opens it: what the model is, is known later. */
static mg_dataset *open_with(const mg_dataset_call *call, const char *model)
{
    mg_dataset *d;

    expect_ok(mg_dataset_open(&d, call));
    expect_ok(mg_dataset_claim_value(d, "model", model));
    expect_ok(mg_dataset_commit(d));
    return d;
}

static void expect_other_model(const mg_dataset_call *call, const char *model, const char *message)
{
    mg_dataset *d;

    expect_ok(mg_dataset_open(&d, call));
    expect_failure(mg_dataset_claim_value(d, "model", model), MG_EUSAGE, message);
    mg_dataset_abandon(d, false);
}

static void test_what_may_not_change(void **state)
{
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_counts n;

    (void)state;
    call.resume = MG_RESUME_ONLY;
    expect_refused(&call, MG_EUSAGE, "there is no dataset to go on with");
    call.resume = MG_RESUME_AUTO;
    d = open_with(&call, "one");
    assert_int_equal(make_some(d, &call, 2), 2);
    expect_ok(mg_dataset_commit(d));
    expect_refused(&call, MG_EFAIL, "a run is at work here: process ");
    mg_dataset_close(d);
    expect_other_model(&call, "two", "was begun with model one, and this run has two");
    call.seed = 8;
    expect_refused(&call, MG_EUSAGE, "was begun with seed 7");
    call.seed = -1;
    call.layout = MG_LAYOUT_WEBDATASET;
    expect_refused(&call, MG_EUSAGE, "was begun with layout audiofolder");
    call.layout = MG_LAYOUT_AUDIOFOLDER;
    call.resume = MG_RESUME_NEVER;
    expect_refused(&call, MG_EUSAGE, "a dataset is there already");
    call.resume = MG_RESUME_AUTO;
    put_file(jobs, changed, sizeof changed - 1);
    expect_refused(&call, MG_EUSAGE, "the jobs are not those that");
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    expect_ok(mg_dataset_open(&d, &call)); /* 0000002 and b-0 are done; b-1 is gone; a and new wait */
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 2);
    assert_int_equal(n.total, 4);
    assert_int_equal(make_some(d, &call, 9), 2);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    put_file(jobs, "{\"id\": \"B-0\"}\n", 14); /* b-0 is done, and keeps its name */
    expect_refused(&call, MG_EUSAGE,
                   "line 1: id \"B-0\" and \"b-0\", which is done and in the list no more, are one file");
    call.jobs_changed = MG_JOBS_CHANGED_REFUSE;
    call.jobs = NULL;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
}

/* Nothing was made with what was wrong: a mended list, and another model, are no other dataset. */
static void test_what_may_change_before_the_first_clip(void **state)
{
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_counts n;

    (void)state;
    mg_dataset_close(open_with(&call, "one"));
    call.layout = MG_LAYOUT_WEBDATASET;
    expect_refused(&call, MG_EUSAGE, "was begun with layout audiofolder");
    call.layout = MG_LAYOUT_AUDIOFOLDER;
    put_file(jobs, changed, sizeof changed - 1);
    call.seed = 8;
    d = open_with(&call, "two");
    assert_int_equal(mg_dataset_seed(d), 8);
    mg_dataset_count(d, &n);
    assert_int_equal(n.total, 2);
    assert_int_equal(make_some(d, &call, 1), 1);
    expect_ok(mg_dataset_commit(d));
    mg_dataset_close(d);
    expect_other_model(&call, "one", "was begun with model two, and this run has one");
}

/* Killed when the changed file had its name and the state did not know it yet. */
static void test_jobs_of_a_change_that_was_cut_off(void **state)
{
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_job job;
    bool found;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    put_file(in_dir("out/.mg-dist/jobs.jsonl"), changed, sizeof changed - 1);
    call.jobs = NULL;
    expect_refused(&call, MG_EUSAGE,
                   "jobs.jsonl: holds other jobs than the state was made with; give --jobs");
    call.jobs = jobs;
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(deal(d, &job, &found));
    assert_true(found);
    assert_string_equal(job.text, "{\"prompt\": \"z\", \"seed\": 3}");
    mg_dataset_close(d);
}

/* As earlier versions and merges that were cut off leave them. */
static void test_jobs_that_left_the_list_and_wait(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_counts n;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(mg_run_db_move(d->db, &(mg_job_row){.n = 0, .at = -1, .bytes = 9}));
    expect_ok(mg_run_db_move(d->db, &(mg_job_row){.n = 2, .at = MG_JOB_MOVED(5), .bytes = 9}));
    expect_ok(mg_dataset_commit(d));
    mg_dataset_close(d);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.total, 2);
    assert_int_equal(make_some(d, &call, 9), 2);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
}

static void test_bad_jobs(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"id\": \"../x\"}\n", "line 1: id: \"../x\": may not hold /"},
        {"{\"id\": \"x\"}\n{\"id\": \"y\"}\n{\"id\": \"x\"}\n", "line 3: id \"x\" is that of line 1 too"},
        {"{\"id\": \"x\"}\n{\"id\": \"X\"}\n",
         "line 2: id \"X\" and \"x\" of line 1 are one file where names ignore case"},
        {"{\"id\": \"caf\xC3\xA9\"}\n{\"id\": \"cafe\xCC\x81\"}\n",
         "line 2: id \"caf\xC3\xA9\" is that of line 1 too"},
        {"{\"seed\": 9007199254740992}\n",
         "line 1: seed: 9007199254740992: must be a whole number from 0 to 9007199254740991"},
        {"{\"colour\": 1}\n{}\n{\"n\": 0}\n{\n", "(and 2 more; run --check lists all)"},
        {"\n", "holds no job"},
    };
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    int64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(jobs, cases[i].text, strlen(cases[i].text));
        expect_refused(&call, MG_EUSAGE, cases[i].part);
        expect_failure(mg_dataset_check_jobs(&call, NULL, NULL, &n), MG_EUSAGE, cases[i].part);
    }
    put_file(jobs, jobs_text, sizeof jobs_text - 1);
    expect_ok(mg_dataset_check_jobs(&call, NULL, NULL, &n));
    assert_int_equal(n, 4);
    put_file(in_dir("other"), "", 0);
    mg_dataset_call elsewhere = call;
    elsewhere.out = test_dir;
    expect_refused(&elsewhere, MG_EUSAGE, "holds other things");
}

static void test_a_stale_lock(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    char host[65], text[160];
    siginfo_t info;
    mg_dataset *d;

    (void)state;
    gethostname(host, sizeof host);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    assert_false(mg_path_exists(in_dir("out/.mg-dist/lock")));
    snprintf(text, sizeof text, "%s %d 1\n", host, (int)getpid()); /* our number, another time */
    put_file(in_dir("out/.mg-dist/lock"), text, strlen(text));
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    const pid_t ended = fork(); /* and where nobody waits for it, as in many containers */
    if (ended == 0) _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)ended, &info, WEXITED | WNOWAIT), 0);
    snprintf(text, sizeof text, "%s %d %" PRIu64 "\n", host, (int)ended, mg_process_start_ticks(ended));
    put_file(in_dir("out/.mg-dist/lock"), text, strlen(text));
    snprintf(text, sizeof text, "out/.clip.flac.%d.tmp", (int)ended);
    put_file(in_dir(text), "half", 4);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    assert_false(mg_path_exists(in_dir(text)));
    assert_int_equal(waitpid(ended, NULL, 0), ended);
    put_file(in_dir("out/.mg-dist/lock"), "elsewhere 12 1\n", 15); /* touched by nobody for a second */
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
}

/* Nothing comes back from jobs that were never read: dealing itself must say so, or a run waits for ever. */
static void test_jobs_that_cannot_be_read(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_status st = MG_OK;
    mg_dataset_job job;
    mg_dataset *d;
    bool found;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(truncate(in_dir("out/.mg-dist/jobs.jsonl"), 0), 0);
    expect_ok(mg_dataset_start_writer(d));
    for (int i = 0; i < 1000 && st == MG_OK; i++) {
        st = deal(d, &job, &found);
        assert_false(found);
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    assert_int_equal(st, MG_EFAIL);
    assert_non_null(strstr(mg_last_error(), "jobs.jsonl: cannot read"));
    mg_dataset_close(d);
}

/* As a file server does that has not given up yet on a host that died. */
static void test_a_state_that_is_let_go_late(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_run_db *db;
    char path[MG_PATH_SIZE], c;
    int ends[2];

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    expect_ok(mg_path_format(path, "%s/.mg-dist/run.db", out));
    assert_int_equal(pipe(ends), 0);
    const pid_t holder = fork();
    if (holder == 0) {
        const bool held = mg_run_db_open(&db, path, NULL) == MG_OK && write(ends[1], "x", 1) == 1;
        nanosleep(&(struct timespec){1, 0}, NULL);
        _exit(held ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &c, 1), 1);
    close(ends[0]);
    expect_ok(mg_run_db_open(&db, path, NULL));
    mg_run_db_close(db);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_longest_first_and_the_files, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_goes_on_where_it_stopped, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_what_a_lost_rank_left, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_shards_hold_the_order_of_jobs, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_failures_and_second_tries, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_what_may_change_before_the_first_clip, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_what_may_not_change, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_jobs_of_a_change_that_was_cut_off, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_jobs_that_left_the_list_and_wait, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_bad_jobs, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_stale_lock, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_jobs_that_cannot_be_read, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_state_that_is_let_go_late, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
