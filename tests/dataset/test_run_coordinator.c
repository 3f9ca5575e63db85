/* The coordinator of a run on a clock that the test moves, with leaders that are lists of what they were
 * told. */
#include "dataset_fixture.h"

#include "run.h"

enum { N_REPLICAS = 3, TP = 2, N_JOBS = 10, MOST_TOLD = 64 };

static char out[300], jobs[300];
static double now_s;
static int64_t date_s;

/* What each leader was told, in order. */
static struct told {
    int64_t say[MOST_TOLD], job[MOST_TOLD];
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
    const mg_run_link link = {.send = take};

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

    if (make_dir(state) != 0) return -1;
    for (int i = 0; i < N_JOBS; i++) strcat(text, "{\"prompt\": \"x\", \"duration\": 10}\n");
    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    put_file(jobs, text, strlen(text));
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
    say(replica, (mg_run_message){
                     .say = MG_RUN_RESULT, .n = n, .outcome = kind, .dur_s = 10, .text = {"", "00", "{}"}});
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_of_the_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_failures, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
