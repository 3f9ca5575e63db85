/* A process as the kernel shows it: at work, stopped, ended and not waited for, gone; and its processors. */
#include "io_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "threads.h"

enum { POSSIBLE = 4096 };

/* In place of the kernel: one of a machine that could have more processors than a cpu_set_t has room for. */
int sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set)
{
    (void)pid;
    if (bytes * 8 < POSSIBLE) {
        errno = EINVAL;
        return -1;
    }
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(3, bytes, set);
    CPU_SET_S(700, bytes, set);
    CPU_SET_S(2000, bytes, set);
    return 0;
}

static void follows_a_process_to_its_end(void **state)
{
    siginfo_t info;
    const pid_t child = fork();

    (void)state;
    if (child == 0)
        for (;;) pause();
    const uint64_t begun = mg_process_start_ticks(child);
    assert_true(begun >= mg_process_start_ticks(getpid()) && begun > 0);
    assert_true(mg_process_is_alive(child) && !mg_process_is_stopped(child));
    kill(child, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
    assert_true(mg_process_is_alive(child) && mg_process_is_stopped(child));
    kill(child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(kill(child, 0), 0); /* its number is taken still */
    assert_int_equal(mg_process_start_ticks(child), begun);
    assert_false(mg_process_is_alive(child));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(mg_process_is_alive(child) || mg_process_is_stopped(child) || mg_process_start_ticks(child));
}

static void knows_no_others(void **state)
{
    (void)state;
    assert_true(mg_process_is_alive(getpid()) && mg_process_is_alive(1));
    assert_false(mg_process_is_alive(0) || mg_process_is_alive(-1) || mg_process_is_alive(0x7fffffff));
    assert_int_equal(mg_process_start_ticks(0x7fffffff), 0);
}

static void finds_the_processors_of_a_large_machine(void **state)
{
    cpu_set_t set;

    (void)state;
    assert_int_equal(mg_process_processors(&set, 0), 3);
    assert_int_equal(CPU_COUNT(&set), 2);
    assert_true(CPU_ISSET(3, &set) && CPU_ISSET(700, &set));
    assert_int_equal(mg_threads_available(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_a_process_to_its_end),
        cmocka_unit_test(knows_no_others),
        cmocka_unit_test(finds_the_processors_of_a_large_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
