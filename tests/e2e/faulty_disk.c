/* A disk that fails, and a clock that jumps, for any program: LD_PRELOAD this.
 *   FAULT_PATH   part of the path (or of the folder of a file without a name) that calls must have to fail
 *   FAULT_CALLS  which: write fsync rename open lock, read (pread alone) and take (read alone), in any number
 *   FAULT_ERRNO  what they return: 5 is EIO, 28 ENOSPC, 30 EROFS, 116 ESTALE; 0: nothing but FAULT_MS
 *   FAULT_SKIP   so many calls pass before, FAULT_COUNT  and so many fail then (-1: all)
 *   FAULT_MS     and so long they take
 *   FAULT_HOLD   and they wait for as long as there is a file of this name
 *   FAULT_MET    a file that is made when the first of them comes
 *   CLOCK_JUMP   seconds that the wall clock jumps when the first of these calls comes
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long n_seen;
static int has_struck;

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : otherwise;
}

/* Does this call fail? errno is set then. */
static int fails(const char *call, const char *path)
{
    const char *calls = getenv("FAULT_CALLS"), *part = getenv("FAULT_PATH"), *hold = getenv("FAULT_HOLD");
    const char *met = getenv("FAULT_MET");
    const long skip = number("FAULT_SKIP", 0), count = number("FAULT_COUNT", -1), ms = number("FAULT_MS", 0);
    const int error = (int)number("FAULT_ERRNO", 0);

    if (!calls || !part || !strstr(calls, call) || !path || !strstr(path, part)) return 0;
    pthread_mutex_lock(&lock);
    const long i = n_seen++;
    pthread_mutex_unlock(&lock);
    if (i < skip || (count >= 0 && i >= skip + count)) return 0;
    __atomic_store_n(&has_struck, 1, __ATOMIC_RELAXED);
    if (met && i == skip) close(REAL(open)(met, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (ms > 0) usleep((useconds_t)ms * 1000);
    while (hold && access(hold, F_OK) == 0) usleep(10000);
    if (error) errno = error;
    return error != 0;
}

static int fails_at(const char *call, int fd)
{
    char link[64], path[4096];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = '\0';
    return fails(call, path);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return fails_at("write", fd) ? -1 : REAL(write)(fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    return fails_at("write", fd) ? -1 : REAL(pwrite)(fd, data, bytes, at);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    return fails_at("write", fd) ? -1 : REAL(pwrite64)(fd, data, bytes, at);
}

ssize_t read(int fd, void *data, size_t bytes)
{
    return fails_at("take", fd) ? -1 : REAL(read)(fd, data, bytes);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t at)
{
    return fails_at("read", fd) ? -1 : REAL(pread)(fd, data, bytes, at);
}

ssize_t pread64(int fd, void *data, size_t bytes, off64_t at)
{
    return fails_at("read", fd) ? -1 : REAL(pread64)(fd, data, bytes, at);
}

int fsync(int fd)
{
    return fails_at("fsync", fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails_at("fsync", fd) ? -1 : REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to)
{
    return fails("rename", to) ? -1 : REAL(rename)(from, to);
}

int open(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails("open", path) ? -1 : REAL(open)(path, flags, mode);
}

static int set_lock(int (*real)(int, int, ...), int fd, int command, void *arg)
{
    const int locks = command == F_SETLK || command == F_SETLKW;

    return locks && fails_at("lock", fd) ? -1 : real(fd, command, arg);
}

int fcntl(int fd, int command, ...)
{
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return set_lock(REAL(fcntl), fd, command, arg);
}

int fcntl64(int fd, int command, ...)
{
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return set_lock(REAL(fcntl64), fd, command, arg);
}

int flock(int fd, int how)
{
    return fails_at("lock", fd) ? -1 : REAL(flock)(fd, how);
}

static long jump(void)
{
    return __atomic_load_n(&has_struck, __ATOMIC_RELAXED) ? number("CLOCK_JUMP", 0) : 0;
}

time_t time(time_t *out)
{
    const time_t t = REAL(time)(NULL) + jump();

    if (out) *out = t;
    return t;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    const int code = REAL(clock_gettime)(which, t);

    if (code == 0 && which == CLOCK_REALTIME) t->tv_sec += jump();
    return code;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    const int code = REAL(gettimeofday)(t, zone);

    if (code == 0) t->tv_sec += jump();
    return code;
}
