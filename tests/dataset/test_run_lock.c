/* The lock of a dataset: kept fresh by itself, and let alone once it is another's. */
#include "dataset_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "process.h"
#include "run_lock.h"

enum { PATIENCE = 1000 }; /* looks, 20 ms apart: on a busy machine a thread comes late */

static const char others[] = "elsewhere 12 7\n";
static char path[300], aside[310], out[300], jobs[300];

static int set_up(void **state)
{
    if (make_dir(state) != 0) return -1;
    snprintf(path, sizeof path, "%s/lock", test_dir);
    snprintf(aside, sizeof aside, "%s.aside", path);
    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    return 0;
}

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static struct timespec touched(const char *of)
{
    struct stat info;

    assert_int_equal(stat(of, &info), 0);
    return info.st_mtim;
}

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static void assert_others(const char *of)
{
    int64_t bytes;
    char *text = get_file(of, &bytes);

    assert_string_equal(text, others);
    free(text);
}

/* Nobody has to think of it: loading a model and writing lists take longer than another host waits. */
static void test_is_kept_fresh(void **state)
{
    mg_run_lock *l;

    (void)state;
    expect_ok(mg_run_lock_take(&l, path, 0.6));
    const struct timespec first = touched(path);
    for (int i = 0; i < PATIENCE && !is_later(touched(path), first); i++) wait_ms(20);
    assert_true(is_later(touched(path), first));
    expect_ok(mg_run_lock_check(l));
    assert_false(mg_run_lock_is_lost(l));
    mg_run_lock_release(l);
    assert_false(mg_path_exists(path));
}

static void test_of_another_is_let_alone(void **state)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    mg_run_lock *l;

    (void)state;
    expect_ok(mg_run_lock_take(&l, path, 0.6));
    put_file(aside, others, strlen(others));
    assert_int_equal(utimensat(AT_FDCWD, aside, old, 0), 0);
    assert_int_equal(rename(aside, path), 0);
    for (int i = 0; i < PATIENCE && !mg_run_lock_is_lost(l); i++) wait_ms(20);
    assert_true(mg_run_lock_is_lost(l)); /* its own thread has seen it */
    assert_int_equal(touched(path).tv_sec, 1000);
    assert_false(mg_run_lock_holds(l));
    expect_failure(mg_run_lock_check(l), MG_EFAIL, "lock: process 12 of host elsewhere has taken over");
    mg_run_lock_release(l);
    assert_others(path);
}

static void *give_back(void *arg)
{
    (void)arg;
    wait_ms(1000);
    return rename(aside, path) == 0 ? NULL : path;
}

/* Who finds out that it is not stale after all gives it back; somebody may also remove it. */
static void test_gone(void **state)
{
    mg_run_lock *l;
    pthread_t giver;
    void *failed;

    (void)state;
    expect_ok(mg_run_lock_take(&l, path, 60));
    assert_int_equal(rename(path, aside), 0);
    assert_false(mg_run_lock_holds(l)); /* as long as it may be nobody's */
    assert_false(mg_run_lock_is_lost(l));
    assert_int_equal(pthread_create(&giver, NULL, give_back, NULL), 0);
    expect_ok(mg_run_lock_check(l));
    assert_int_equal(pthread_join(giver, &failed), 0);
    assert_null(failed);
    mg_run_lock_release(l);
    expect_ok(mg_run_lock_take(&l, path, 0.6));
    assert_int_equal(unlink(path), 0);
    expect_failure(mg_run_lock_check(l), MG_EFAIL, "lock: is gone");
    assert_true(mg_run_lock_is_lost(l));
    mg_run_lock_release(l);
}

static atomic_bool touches;

static void *touch_on(void *arg)
{
    for (; touches; wait_ms(100)) utimensat(AT_FDCWD, path, NULL, 0);
    return arg;
}

/* One that says this is touched while we wait for it, and then no more. */
static void check_is_waited_for(const char *text, const char *part)
{
    mg_run_lock *l;
    pthread_t toucher;
    int64_t bytes;

    put_file(path, text, strlen(text));
    touches = true;
    assert_int_equal(pthread_create(&toucher, NULL, touch_on, NULL), 0);
    expect_failure(mg_run_lock_take(&l, path, 5), MG_EFAIL, part);
    touches = false;
    assert_int_equal(pthread_join(toucher, NULL), 0);
    char *now = get_file(path, &bytes);
    assert_string_equal(now, text);
    free(now);
    expect_ok(mg_run_lock_take(&l, path, 0.7)); /* it was left */
    mg_run_lock_release(l);
}

/* Of another host: not taken while it is touched. */
static void test_of_another_that_lives(void **state)
{
    (void)state;
    check_is_waited_for(others, "a run is at work here: process 12 of host elsewhere");
}

/* Its host is called as ours, and is another: a process of that number is not to be asked for here. */
static void test_of_a_namesake(void **state)
{
    char text[160], host[65];

    (void)state;
    assert_int_equal(gethostname(host, sizeof host), 0);
    const uint32_t other = mg_process_machine() ^ 1;
    snprintf(text, sizeof text, "%s %d 7 %08x\n", host, INT_MAX, other ? other : 2);
    check_is_waited_for(text, "a run is at work here: process 2147483647");
}

/* The child of the test below: 0 if all is as it should be. */
static int be_suspended(const mg_dataset_call *call)
{
    mg_dataset *d;
    mg_dataset_job job;
    bool found;

    if (mg_dataset_open(&d, call) != MG_OK) return 1;
    if (deal(d, &job, &found) != MG_OK || !found) return 2;
    make_clip(d, call, &job); /* in the state, and not committed */
    raise(SIGSTOP);
    if (mg_dataset_commit(d) != MG_EFAIL) return 3;
    if (!strstr(mg_last_error(), "process 12 of host elsewhere has taken over")) return 4;
    if (mg_dataset_finish(d) != MG_EFAIL) return 5;
    if (mg_dataset_put(d, MG_DATASET_STATUS, in_dir("out/.mg-dist/status.json"), strdup("{}")) != MG_OK)
        return 6;
    mg_dataset_close(d);
    return 0;
}

static char *contents(const char *name, int64_t *bytes)
{
    return get_file(in_dir(name), bytes);
}

/* A job that a scheduler suspends for longer than another host waits: when it goes on it writes nothing, not
 * even by undoing what it had begun, and the other one finds all that was committed. */
static void test_suspended(void **state)
{
    static const char text[] = "{\"id\": \"a\"}\n{\"id\": \"b\"}\n{\"id\": \"c\"}\n";
    static const char *const names[] = {"out/.mg-dist/run.db", "out/.mg-dist/run.db-journal"};
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    char *before[2];
    int64_t n_before[2], bytes;
    mg_dataset *d;
    mg_dataset_counts n;
    int how;

    (void)state;
    put_file(jobs, text, strlen(text));
    const pid_t child = fork();
    if (child == 0) _exit(be_suspended(&call));
    assert_int_equal(waitpid(child, &how, WUNTRACED), child);
    assert_true(WIFSTOPPED(how));
    for (int i = 0; i < 2; i++) before[i] = contents(names[i], &n_before[i]);
    assert_true(n_before[1] > 0); /* it was about to write */
    put_file(in_dir("out/.mg-dist/lock"), others, strlen(others));
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    assert_others(in_dir("out/.mg-dist/lock"));
    for (int i = 0; i < 2; i++) {
        char *after = contents(names[i], &bytes);
        assert_int_equal(bytes, n_before[i]);
        assert_memory_equal(after, before[i], (size_t)bytes);
        free(after);
        free(before[i]);
    }
    assert_false(mg_path_exists(in_dir("out/.mg-dist/status.json")));
    assert_false(mg_path_exists(in_dir("out/manifest.jsonl")));
    assert_int_equal(unlink(in_dir("out/.mg-dist/lock")), 0);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 0);
    assert_int_equal(n.total, 3);
    mg_dataset_close(d);
}

/* A disk that does not answer for a moment: the run goes on, and nothing is left out. */
static void test_cannot_be_read_now(void **state)
{
    static const char text[] = "{\"id\": \"a\"}\n";
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset *d;
    mg_dataset_job job;
    mg_dataset_counts n;
    char lock[MG_PATH_SIZE];
    bool found;

    (void)state;
    call.retries = 5; /* the second try comes after 0.2 s, and we may be later than it */
    put_file(jobs, text, strlen(text));
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(deal(d, &job, &found));
    assert_true(found);
    expect_ok(mg_dataset_start_writer(d));
    expect_ok(mg_path_format(lock, "%s/.mg-dist/lock", out));
    assert_int_equal(rename(lock, aside), 0);
    assert_int_equal(symlink("lock", lock), 0); /* ELOOP */
    expect_ok(mg_dataset_put(d, MG_DATASET_STATUS, in_dir("out/.mg-dist/status.json"), strdup("{}")));
    make_clip(d, &call, &job);
    expect_ok(mg_dataset_commit(d));
    wait_ms(300);
    assert_int_equal(rename(aside, lock), 0);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 1);
    mg_dataset_close(d);
    assert_true(mg_path_exists(in_dir("out/.mg-dist/status.json")));
    assert_true(mg_path_exists(in_dir("out/manifest.jsonl")));
    assert_false(mg_path_exists(lock));
}

/* Another rank of the run that holds it. */
static void test_watched(void **state)
{
    mg_run_lock *l, *watched;
    mg_run_holder holder;

    (void)state;
    expect_ok(mg_run_lock_take(&l, path, 60));
    mg_run_lock_tell(l, &holder);
    assert_int_equal(rename(path, aside), 0); /* not seen as yet on its host */
    expect_ok(mg_run_lock_watch(&watched, path, &holder, 60));
    assert_int_equal(rename(aside, path), 0);
    expect_ok(mg_run_lock_check(watched));
    mg_run_lock_release(watched);
    assert_true(mg_path_exists(path));
    mg_run_lock_release(l);
    put_file(path, others, strlen(others)); /* taken over while a model was loaded */
    expect_ok(mg_run_lock_watch(&watched, path, &holder, 60));
    expect_failure(mg_run_lock_check(watched), MG_EFAIL, "process 12 of host elsewhere has taken over");
    assert_true(mg_run_lock_is_lost(watched));
    mg_run_lock_release(watched);
    assert_others(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_kept_fresh, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_of_another_is_let_alone, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_gone, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_of_another_that_lives, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_of_a_namesake, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_cannot_be_read_now, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_watched, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_suspended, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
