#include "run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "process.h"
#include "stop.h"

#define ENDING_S 3.0

typedef struct holder {
    char host[65];
    long pid;
    uint64_t begun; /* when the process began, in the kernel's ticks: a number is given again */
} holder;

static void describe_self(holder *h)
{
    if (gethostname(h->host, sizeof h->host) != 0) snprintf(h->host, sizeof h->host, "?");
    h->host[sizeof h->host - 1] = '\0';
    h->pid = (long)getpid();
    h->begun = mg_process_start_ticks(h->pid);
}

/* What the file says; false if it is not there. A file that cannot be read so names nobody. */
static bool read_holder(holder *h, const char *path)
{
    FILE *f = fopen(path, "r");

    *h = (holder){.host = "?"};
    if (!f) return false;
    if (fscanf(f, "%64s %ld %" SCNu64, h->host, &h->pid, &h->begun) != 3) h->pid = 0;
    fclose(f);
    return true;
}

/* 1: taken, 0: somebody has it, -1: errno says why not. */
static int create(const char *path, const holder *self)
{
    char text[160];
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0) return errno == EEXIST ? 0 : -1;
    const int n = snprintf(text, sizeof text, "%s %ld %" PRIu64 "\n", self->host, self->pid, self->begun);
    const bool whole = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    const int code = errno;
    close(fd);
    if (whole) return 1;
    unlink(path);
    errno = code;
    return -1;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Of another host we only see whether the file is touched. */
static bool is_left(const char *path, double stale_s)
{
    struct stat first, now;
    const double begin_s = mg_clock_s();

    if (stat(path, &first) != 0) return true;
    while (mg_clock_s() - begin_s < stale_s && !mg_stop_requested()) {
        nanosleep(&(struct timespec){0, 200000000}, NULL);
        if (stat(path, &now) != 0) return true;
        if (!same_time(&first.st_mtim, &now.st_mtim)) return false;
    }
    return !mg_stop_requested();
}

static bool is_alive(const holder *h)
{
    const uint64_t begun = mg_process_start_ticks(h->pid);

    return mg_process_is_alive(h->pid) && (!begun || begun == h->begun);
}

static bool is_stale(const holder *h, const holder *self, const char *path, double stale_s)
{
    if (strcmp(h->host, self->host) != 0) return is_left(path, stale_s);
    if (h->pid <= 0) return is_left(path, 1); /* being written, or cut off */
    const double begin_s = mg_clock_s();
    while (is_alive(h)) { /* the rest of a run that a launcher is ending is soon gone */
        if (mg_clock_s() - begin_s > (stale_s < ENDING_S ? stale_s : ENDING_S) || mg_stop_requested())
            return false;
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
    return true;
}

/* The stale file out of the way, and no other: somebody else may have been faster. */
static void remove_stale(const char *path, const holder *stale)
{
    char aside[MG_PATH_SIZE];
    holder moved;

    if (mg_path_format(aside, "%s.%ld", path, (long)getpid()) != MG_OK || rename(path, aside) != 0) return;
    if (read_holder(&moved, aside) &&
        (moved.pid != stale->pid || moved.begun != stale->begun || strcmp(moved.host, stale->host) != 0)) {
        if (link(aside, path) != 0) unlink(aside); /* the new holder's: give it back */
    }
    unlink(aside);
}

mg_status mg_run_lock_take(mg_run_lock *lock, const char *path, double stale_s)
{
    holder self, other;

    lock->path[0] = '\0';
    describe_self(&self);
    for (int attempt = 0; attempt < 8; attempt++) {
        const int taken = create(path, &self);
        if (taken < 0) return mg_fail(MG_EFAIL, "%s: cannot create: %s", path, strerror(errno));
        if (taken > 0) return mg_path_format(lock->path, "%s", path);
        if (!read_holder(&other, path)) continue;
        if (!is_stale(&other, &self, path, stale_s)) {
            MG_RETURN(mg_stop_check());
            return mg_fail(MG_EFAIL,
                           "%s: a run is at work here: process %ld of host %s; wait for its end, or stop it",
                           path, other.pid, other.host);
        }
        remove_stale(path, &other);
    }
    return mg_fail(MG_EFAIL,
                   "%s: others take it again and again; is a second run being started over and over?", path);
}

void mg_run_lock_touch(const mg_run_lock *lock)
{
    if (lock->path[0]) utimensat(AT_FDCWD, lock->path, NULL, 0);
}

void mg_run_lock_release(mg_run_lock *lock)
{
    if (lock->path[0]) unlink(lock->path);
    lock->path[0] = '\0';
}
