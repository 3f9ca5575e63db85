#include "io_fixture.h"

#include <sched.h>
#include <stdatomic.h>

#include "threads.h"

enum { MAX_UNITS = 1000, MAX_THREADS = 5 };

typedef struct job {
    int n_threads;
    int64_t n_units;
    atomic_int seen[MAX_UNITS];
    atomic_int n_wrong;
} job;

static void count_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    job *j = arg;

    if (first < 0 || first >= end || end > j->n_units || i_thread < 0 || i_thread >= j->n_threads) {
        atomic_fetch_add(&j->n_wrong, 1);
        return;
    }
    for (int64_t i = first; i < end; i++) atomic_fetch_add(&j->seen[i], 1);
}

/* Each unit once. */
static void run_one(mg_threads *t, int64_t n_units)
{
    static job j;

    memset(&j, 0, sizeof j);
    j.n_threads = mg_threads_count(t), j.n_units = n_units;
    mg_threads_run(t, count_units, &j, n_units);
    assert_int_equal(atomic_load(&j.n_wrong), 0);
    for (int64_t i = 0; i < n_units; i++) assert_int_equal(atomic_load(&j.seen[i]), 1);
}

static void each_unit_runs_once(void **state)
{
    static const int64_t n_units[] = {0, 1, 2, 3, 4, 5, 7, 100, MAX_UNITS};

    (void)state;
    for (int may_spin = 0; may_spin < 2; may_spin++) {
        for (int n = 1; n <= MAX_THREADS; n++) {
            mg_threads *t;
            expect_ok(mg_threads_open(&t, n, may_spin));
            assert_int_equal(mg_threads_count(t), n);
            for (size_t i = 0; i < sizeof n_units / sizeof *n_units; i++) run_one(t, n_units[i]);
            mg_threads_close(t);
        }
    }
}

static void add_range(void *arg, int64_t first, int64_t end, int i_thread)
{
    int64_t *sums = arg;

    for (int64_t i = first; i < end; i++) sums[i_thread * 16] += i;
}

/* What the helpers wrote is seen by the caller, job after job; nothing hangs or is lost. */
static void many_short_jobs(void **state)
{
    (void)state;
    for (int may_spin = 0; may_spin < 2; may_spin++) {
        mg_threads *t;
        int64_t sums[3 * 16] = {0};
        const int n_jobs = may_spin ? 6000 : 3000;
        expect_ok(mg_threads_open(&t, 3, may_spin));
        for (int i = 0; i < n_jobs; i++) {
            mg_threads_run(t, add_range, sums, 10);
            assert_int_equal(sums[0] + sums[16] + sums[32], 45 * (int64_t)(i + 1));
        }
        mg_threads_close(t);
    }
}

static void opens_and_closes_often(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        mg_threads *t;
        expect_ok(mg_threads_open(&t, 1 + i % 4, i % 2));
        if (i % 3) run_one(t, 4);
        mg_threads_close(t);
    }
    mg_threads_close(NULL);
}

static void counts_the_processors_it_may_use(void **state)
{
    cpu_set_t all, one;
    size_t first = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(mg_threads_available(), CPU_COUNT(&all));
    while (!CPU_ISSET(first, &all)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(mg_threads_available(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_unit_runs_once),
        cmocka_unit_test(many_short_jobs),
        cmocka_unit_test(opens_and_closes_often),
        cmocka_unit_test(counts_the_processors_it_may_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
