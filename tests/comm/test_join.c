/* The wait for MPI_Init: a rank that is not the first leaves a second to the one that is, and goes on if all
 * are there meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "session.h"

enum { TOO_LATE = 77, TRIES = 10 };

/* Exit code of one whose MPI_Init takes 1.4 s, when 1 s is over and its last second is not. A busy machine
 * may keep it for longer: TOO_LATE. */
static int join_late(void)
{
    int how;
    const pid_t child = fork();

    if (child == 0) {
        const double begin_s = mg_clock_s();
        mg_session_join_begin(false, 1);
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 400000000}, NULL);
        if (mg_clock_s() - begin_s > 1.8) _exit(TOO_LATE);
        mg_session_join_end();
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* and nothing ends it later */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void test_last_rank_comes_late(void **state)
{
    int code = TOO_LATE;

    (void)state;
    for (int i = 0; i < TRIES && code == TOO_LATE; i++) code = join_late();
    assert_int_equal(code, 0);
}

static void test_nobody_comes(void **state)
{
    int how;
    const pid_t child = fork();

    (void)state;
    if (child == 0) {
        mg_session_join_begin(false, 1);
        for (;;) pause();
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_rank_comes_late),
        cmocka_unit_test(test_nobody_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
