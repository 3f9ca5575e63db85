/* Writing where nobody may read, or nobody reads yet. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "write_out.h"

enum { MANY = 1 << 18 }; /* more than a pipe holds */

static void a_pipe_without_a_reader_is_an_error(void **state)
{
    (void)state;
    int fd[2];
    sigset_t pending;

    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(pipe(fd), 0);
    close(fd[0]);
    assert_int_equal(mg_write_out(fd[1], "x", 1), EPIPE);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE)); /* nor does it come later */
    close(fd[1]);
    assert_int_equal(mg_write_out(fd[1], "x", 1), EBADF);
}

static void *read_late(void *arg)
{
    static char data[MANY];
    size_t n = 0;

    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    for (ssize_t got; n < MANY && (got = read(*(int *)arg, data + n, MANY - n)) > 0;) n += (size_t)got;
    return (void *)(uintptr_t)(n == MANY && !memchr(data, 0, MANY));
}

static void one_that_does_not_block_is_waited_for(void **state)
{
    (void)state;
    static char data[MANY];
    pthread_t reader;
    void *whole;
    int fd[2];

    memset(data, 'x', sizeof data);
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_late, fd), 0);
    assert_int_equal(mg_write_out(fd[1], data, MANY), 0);
    pthread_join(reader, &whole);
    assert_non_null(whole);
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_without_a_reader_is_an_error),
        cmocka_unit_test(one_that_does_not_block_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
