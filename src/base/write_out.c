#include "write_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int write_all(int fd, const char *p, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n <= 0) return n < 0 ? errno : EIO;
        p += n, bytes -= (size_t)n;
    }
    return 0;
}

/* SIGPIPE comes to the thread that writes: it is held back meanwhile, and taken away if it is of this write.
 */
int mg_write_out(int fd, const void *data, size_t bytes)
{
    sigset_t pipe_signal, before, pending;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    sigpending(&pending);
    const int error = write_all(fd, data, bytes);
    if (error == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

mg_status mg_write_out_end(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return MG_OK;
    return mg_fail(MG_EFAIL, "standard output: cannot write%s%s", errno ? ": " : "",
                   errno ? strerror(errno) : "");
}
