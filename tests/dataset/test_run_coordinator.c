/* The coordinator of a run on a clock that the test moves, with leaders that are lists of what they were
 * told. */
#include "dataset_fixture.h"

#include "dataset_status.h"
#include "run.h"

enum { N_REPLICAS = 3, TP = 2, N_JOBS = 10, MOST_TOLD = 64 };

static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static char out[FIXTURE_PATH], jobs[FIXTURE_PATH];
static double now_s;
static int64_t date_s;

/* What each leader was told, in order. */
static struct told {
    int64_t say[MOST_TOLD], job[MOST_TOLD];
    bool is_last_try; /* the last one's */
    int n;
} told[N_REPLICAS];

static double tell_now(void *arg)
{
    (void)arg;
    return now_s;
}

static int64_t tell_date(void *arg)
{
    (void)arg;
    return date_s;
}

static mg_status take(void *arg, int rank, mg_run_message *m)
{
    struct told *t = &told[rank / TP];

    (void)arg;
    assert_int_equal(rank % TP, 0);
    assert_true(t->n < MOST_TOLD);
    t->job[t->n] = m->n;
    t->is_last_try = m->is_last_try != 0;
    t->say[t->n++] = m->say;
    return MG_OK;
}

static mg_run_settings settings;
static mg_world world;
static mg_dataset_call call;
static mg_dataset *d;
static mg_run_coordinator *c;

static void open_all(void)
{
    const mg_run_clock clock = {.now_s = tell_now, .date_s = tell_date};
    const mg_run_link link = {.send = take, .timeout_s = 300};

    memset(told, 0, sizeof told);
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(mg_run_coordinator_open(&c, d, &clock, &link, &settings, &world));
}

static void close_all(void)
{
    mg_run_coordinator_close(c);
    mg_dataset_close(d);
}

static int set_up(void **state)
{
    char text[1024] = "";

    for (int i = 0; i < N_JOBS; i++) strcat(text, "{\"prompt\": \"x\", \"duration\": 10}\n");
    if (make_jobs(state, out, jobs, text) != 0) return -1;
    now_s = 1000, date_s = 1000000;
    world = (mg_world){.host = "here", .n_replicas = N_REPLICAS, .tp = TP};
    settings = (mg_run_settings){.out = out, .max_failures = -1, .log_every_s = 1e9, .stop_before_s = 60};
    call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    open_all();
    return 0;
}

static int tear_down(void **state)
{
    unsetenv("SLURM_JOB_END_TIME");
    return drop_dir(state);
}

static void say(int replica, mg_run_message m)
{
    for (int i = 0; i < MG_RUN_TEXTS; i++)
        if (!m.text[i]) m.text[i] = "";
    expect_ok(mg_run_coordinator_take(c, replica * TP, &m));
}

static void ask(int replica, int64_t n)
{
    say(replica, (mg_run_message){.say = MG_RUN_ASK, .n = n});
}

static void result(int replica, int64_t n, mg_outcome_kind kind)
{
    say(replica,
        (mg_run_message){
            .say = MG_RUN_RESULT, .n = n, .outcome = kind, .dur_s = 10, .text = {"", hash, "{\"a\":1}"}});
}

static void tick(double after_s)
{
    now_s += after_s;
    expect_ok(mg_run_coordinator_tick(c));
}

static int64_t last_told(int replica)
{
    return told[replica].n > 0 ? told[replica].say[told[replica].n - 1] : 0;
}

static mg_dataset_counts counts(void)
{
    mg_dataset_counts n;

    mg_dataset_count(d, &n);
    return n;
}

/* One job each, round after round, to those that want one. */
static void test_rounds(void **state)
{
    (void)state;
    ask(0, 2), ask(2, 5);
    tick(0);
    assert_int_equal(told[0].n, 2);
    assert_int_equal(told[1].n, 0);
    assert_int_equal(told[2].n, 5);
    assert_int_equal(told[0].job[0], 0);
    assert_int_equal(told[2].job[0], 1);
    assert_int_equal(told[0].job[1], 2);
    for (int i = 1; i < 5; i++) assert_int_equal(told[2].job[i], i + 2);
    tick(1);
    assert_int_equal(told[2].n, 5);
    ask(1, 9);
    tick(0);
    assert_int_equal(told[1].n, N_JOBS - 7);
    assert_int_equal(counts().in_flight, N_JOBS);
    close_all();
}

/* Outcomes are durable a second after the last time, and not before; the next run makes the rest again. */
static void test_commits(void **state)
{
    (void)state;
    ask(0, 4);
    tick(0.5);
    result(0, told[0].job[0], MG_MADE_DONE);
    tick(0.25);
    close_all(); /* dies */
    open_all();
    assert_int_equal(counts().done, 0);
    ask(0, 4);
    tick(0);
    result(0, told[0].job[0], MG_MADE_DONE);
    result(0, told[0].job[1], MG_MADE_DONE);
    tick(1);
    result(0, told[0].job[2], MG_MADE_DONE);
    tick(0.5);
    close_all();
    open_all();
    assert_int_equal(counts().done, 2);
    close_all();
}

static void finish_all(int replica)
{
    ask(replica, N_JOBS);
    tick(0);
    for (int i = 0; i < N_JOBS; i++) result(replica, told[replica].job[i], MG_MADE_DONE);
}

/* Leaders may go when all is made and each has said where it is. */
static void test_the_end(void **state)
{
    (void)state;
    finish_all(1);
    say(0, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {"a"}});
    say(1, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {"b"}});
    tick(0);
    assert_int_equal(last_told(0), 0);
    say(2, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {"c"}});
    tick(0);
    for (int i = 0; i < N_REPLICAS; i++) assert_int_equal(last_told(i), MG_RUN_OVER);
    expect_ok(mg_run_coordinator_settle(c));
    expect_ok(mg_run_coordinator_verdict(c));
    close_all();
}

/* Sixty seconds before the job's end nothing new begins; what is given back waits for the next run. */
static void test_end_of_the_job(void **state)
{
    (void)state;
    close_all();
    setenv("SLURM_JOB_END_TIME", "1000100", 1);
    open_all();
    for (int i = 0; i < N_REPLICAS; i++) say(i, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {"a"}});
    ask(0, 2);
    date_s = 1000039;
    tick(0);
    assert_int_equal(told[0].n, 2);
    date_s = 1000040;
    ask(1, 1);
    tick(0);
    for (int i = 0; i < N_REPLICAS; i++) assert_int_equal(last_told(i), MG_RUN_STOP);
    assert_int_equal(told[1].n, 1);
    result(0, told[0].job[0], MG_MADE_BACK);
    tick(0);
    assert_int_equal(last_told(0), MG_RUN_STOP);
    result(0, told[0].job[1], MG_MADE_DONE);
    tick(0);
    assert_int_equal(last_told(0), MG_RUN_OVER);
    expect_ok(mg_run_coordinator_settle(c));
    assert_int_equal(mg_run_coordinator_verdict(c), MG_EUNFINISHED);
    close_all();
}

static void test_too_many_failures(void **state)
{
    (void)state;
    settings.max_failures = 1;
    ask(0, 3);
    tick(0);
    result(0, told[0].job[0], MG_MADE_FAILED);
    assert_int_equal(last_told(1), 0);
    result(0, told[0].job[1], MG_MADE_FAILED);
    assert_int_equal(last_told(1), MG_RUN_STOP);
    result(0, told[0].job[2], MG_MADE_BACK);
    expect_ok(mg_run_coordinator_settle(c));
    assert_int_equal(mg_run_coordinator_verdict(c), MG_EFAIL);
    close_all();
}

/* Two of three report every two seconds, for so long. */
static mg_status listen(double for_s, bool third_too)
{
    mg_status st = MG_OK;

    for (double s = 0; s < for_s && st == MG_OK; s += 2) {
        for (int i = 0; i < (third_too ? 3 : 2); i++)
            say(i, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {i == 2 ? "far" : "a", "song-7 song-8"}});
        now_s += 2;
        st = mg_run_coordinator_tick(c);
    }
    return st;
}

static double silence_in_status(int replica)
{
    mg_dataset_status s;

    expect_ok(mg_dataset_status_load(&s, out));
    assert_int_equal(s.n_replicas, N_REPLICAS);
    const double silent_s = s.replica[replica].silent_s;
    mg_dataset_status_close(&s);
    return silent_s;
}

/* A group whose leader says nothing more ends the run, as a lost rank does, and is named. */
static void test_a_silent_replica(void **state)
{
    (void)state;
    expect_ok(listen(20, true));
    expect_ok(listen(300, false));
    assert_true(silence_in_status(2) >= 298);
    assert_true(silence_in_status(1) <= 2);
    expect_failure(listen(20, false), MG_ECOMM, "run: replica 2 (rank 4, host far) has said nothing for 31");
    assert_non_null(strstr(mg_last_error(), "at hand: song-7 song-8"));
    close_all();
}

/* Steps of two minutes, and then one that takes ten times as long: it came back before. */
static void test_a_slow_replica(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        expect_ok(listen(2, true));
        expect_ok(listen(120, false));
    }
    expect_ok(listen(2, true));
    expect_ok(listen(1100, false));
    expect_failure(listen(200, false), MG_ECOMM, "replica 2");
    close_all();
}

/* A job that was suspended, all of it: nobody has been silent while we listened. */
static void test_a_suspended_job(void **state)
{
    (void)state;
    expect_ok(listen(20, true));
    for (int i = 0; i < 3; i++) {
        tick(7200);
        expect_ok(listen(2, true));
    }
    /* and a coordinator whose own steps are long listens all the same */
    mg_status st = MG_OK;
    int n = 0;
    for (; n < 100 && st == MG_OK; n++) {
        for (int i = 0; i < 2; i++) say(i, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {"a"}});
        now_s += 90;
        st = mg_run_coordinator_tick(c);
    }
    assert_int_equal(st, MG_ECOMM);
    assert_true(n <= 12);
    close_all();
}

/* The first replica is dealt a clip, and cannot read its files. */
static int64_t deal_unread(void)
{
    ask(0, 1);
    tick(0);
    const int64_t n = told[0].job[0];
    result(0, n, MG_MADE_UNREAD);
    return n;
}

/* A file on a disk that is away: by another replica, and the last one says what it says. A node that lost its
 * disk ends the run before it has failed every clip. */
static void test_files_that_are_away(void **state)
{
    (void)state;
    const int64_t n = deal_unread();
    ask(0, 1);
    tick(0);
    assert_int_equal(told[0].n, 2);
    assert_int_not_equal(told[0].job[1], n);
    ask(1, 1);
    tick(0);
    assert_int_equal(told[1].job[0], n);
    assert_true(told[1].is_last_try);
    assert_false(told[0].is_last_try);
    result(1, n, MG_MADE_FAILED);
    result(0, told[0].job[1], MG_MADE_DONE);
    assert_int_equal(counts().failed, 1);
    close_all();
}

/* Replicas of one host have its disks in common: the second try is on another one. */
static void test_files_that_a_host_cannot_read(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        say(i, (mg_run_message){.say = MG_RUN_AT_HAND, .text = {i < 2 ? "near" : "far", ""}});
    const int64_t n = deal_unread();
    ask(1, 1);
    tick(0);
    assert_int_equal(told[1].n, 1);
    assert_int_not_equal(told[1].job[0], n);
    ask(2, 1);
    tick(0);
    assert_int_equal(told[2].job[0], n);
    assert_true(told[2].is_last_try);
    close_all();
}

static void test_a_disk_that_is_lost(void **state)
{
    (void)state;
    world.n_replicas = 1;
    close_all();
    char text[2048] = "";
    for (int i = 0; i < 30; i++) strcat(text, "{\"prompt\": \"x\", \"duration\": 10}\n");
    put_file(jobs, text, strlen(text));
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    open_all();
    ask(0, 30);
    tick(0);
    assert_int_equal(told[0].n, 30);
    for (int i = 0; i < 5; i++) result(0, told[0].job[i], MG_MADE_UNREAD);
    for (int i = 5; i < 7; i++)
        result(0, told[0].job[i], MG_MADE_DONE); /* of no file: says nothing of the disk */
    for (int i = 7; i < 21; i++) result(0, told[0].job[i], MG_MADE_UNREAD);
    mg_run_message m = {.say = MG_RUN_RESULT,
                        .n = told[0].job[21],
                        .outcome = MG_MADE_UNREAD,
                        .text = {"a.wav: cannot open", "", ""}};
    expect_failure(mg_run_coordinator_take(c, 0, &m), MG_EFAIL,
                   "could not read the files of 20 clips in a row, the last one: a.wav: cannot open");
    assert_int_equal(counts().failed, 0);
    close_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_of_the_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_silent_replica, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_slow_replica, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_suspended_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_are_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_a_host_cannot_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_disk_that_is_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
