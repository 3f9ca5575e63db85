#include "run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "beside.h"
#include "clock.h"
#include "out_file.h"
#include "process.h"
#include "stop.h"

#define ENDING_S 3.0

enum { TOUCHES = 6 }; /* while another waits */

/* How long it may have no name. Who finds out that it is not stale after all takes its name away for a moment
 * (remove_file_of); NFS may answer from memory for a minute that a file is not there (acdirmax). */
#define GONE_TIMES 2.0 /* of stale_s */
#define GONE_S     0.5 /* who is asked to stop, or closes, has not so long */

typedef mg_run_holder holder;

struct mg_run_lock {
    char path[MG_PATH_SIZE];
    holder self;    /* who has it */
    double touch_s; /* from one touch to the next; 0: it is another rank's, and watched */
    double gone_s;  /* so long without a name, it is lost */
    atomic_bool is_lost;
    pthread_mutex_t lock; /* for all that follows */
    double unseen_s;      /* since when it has had none; 0: it has one */
    pthread_cond_t wake;
    bool closing;
    holder taker; /* of a lost one; pid 0: nobody is there */
    pthread_t thread;
};

static void describe_self(holder *h)
{
    if (gethostname(h->host, sizeof h->host) != 0) snprintf(h->host, sizeof h->host, "?");
    h->host[sizeof h->host - 1] = '\0';
    h->pid = getpid();
    h->begun = mg_process_start_ticks(h->pid);
    h->machine = mg_process_machine();
}

static bool is_same(const holder *a, const holder *b)
{
    return a->pid == b->pid && a->begun == b->begun && a->machine == b->machine &&
           strcmp(a->host, b->host) == 0;
}

/* What the file says: 1: it is there, 0: it is not, -1: errno says why it cannot be read. One that is being
 * written names nobody: pid 0. `toucher` touches the very file that was read, if it is its own. */
static int read_holder(holder *h, const char *path, const holder *toucher)
{
    FILE *f = fopen(path, "re");

    *h = (holder){.host = "?"};
    if (!f) return errno == ENOENT ? 0 : -1;
    errno = 0;
    if (fscanf(f, "%64s %" SCNd64 " %" SCNu64 " %" SCNx64, h->host, &h->pid, &h->begun, &h->machine) < 3)
        h->pid = 0;
    const int code = ferror(f) ? (errno ? errno : EIO) : 0;
    if (!code && toucher && is_same(h, toucher)) (void)futimens(fileno(f), NULL);
    fclose(f);
    errno = code;
    return code ? -1 : 1;
}

/* 1: taken, 0: somebody has it, -1: errno says why not. */
static int create(const char *path, const holder *self)
{
    char text[160];
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0) return errno == EEXIST ? 0 : -1;
    const int n = snprintf(text, sizeof text, "%s %" PRId64 " %" PRIu64 " %08" PRIx64 "\n", self->host,
                           self->pid, self->begun, self->machine);
    errno = ENOSPC; /* what a short write does not say */
    const int code = write(fd, text, (size_t)n) == n ? mg_out_sync(fd) : errno;
    close(fd);
    if (!code) return 1;
    unlink(path);
    errno = code;
    return -1;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* When it was touched last: 1: that is known, 0: it is gone, -1: it cannot be told now. It is opened for
 * that: a network's file system may answer stat alone from memory. */
static int read_touch(struct timespec *at, const char *path)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return errno == ENOENT ? 0 : -1;
    const bool known = fstat(fd, &info) == 0;
    close(fd);
    if (known) *at = info.st_mtim;
    return known ? 1 : -1;
}

/* Of another host we only see whether the file is touched. */
static bool is_left(const char *path, double stale_s)
{
    struct timespec first = {0}, now;
    bool has_first = false;
    const double begin_s = mg_clock_s();

    while (!mg_stop_requested()) {
        const bool is_last = mg_clock_s() - begin_s >= stale_s; /* before the look: we may be suspended too */
        const int there = read_touch(&now, path);
        if (there == 0) return true;
        if (there > 0 && has_first && !same_time(&first, &now)) return false;
        if (there > 0) first = now, has_first = true;
        if (is_last) return has_first && there > 0;
        nanosleep(&(struct timespec){0, 200000000}, NULL);
    }
    return false;
}

static bool is_alive(const holder *h)
{
    const uint64_t begun = mg_process_start_ticks(h->pid);

    return mg_process_is_alive(h->pid) && (!begun || begun == h->begun);
}

/* Can its process be asked? */
static bool is_here(const holder *h, const holder *self)
{
    return strcmp(h->host, self->host) == 0 && (!h->machine || h->machine == self->machine);
}

static bool is_stale(const holder *h, const holder *self, const char *path, double stale_s)
{
    if (!is_here(h, self)) return is_left(path, stale_s);
    if (h->pid <= 0) return is_left(path, 1); /* being written, or cut off */
    const double begin_s = mg_clock_s();
    while (is_alive(h)) { /* the rest of a run that a launcher is ending is soon gone */
        if (mg_clock_s() - begin_s > (stale_s < ENDING_S ? stale_s : ENDING_S) || mg_stop_requested())
            return false;
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
    return true;
}

/* The file of that holder out of the way, and no other's: somebody else may have been faster. */
static void remove_file_of(const char *path, const holder *of)
{
    char aside[MG_PATH_SIZE];
    holder moved;

    if (mg_path_format(aside, "%s.%ld", path, (long)getpid()) != MG_OK || rename(path, aside) != 0) return;
    const int there = read_holder(&moved, aside, NULL);
    if (there < 0 || (there > 0 && !is_same(&moved, of)))
        (void)!link(aside, path); /* the new holder's, or nobody knows whose: it is given back */
    unlink(aside);
}

/* 1: it is ours, 0: it is lost, -1: errno says why that cannot be told now. Under the lock. One without a
 * name, or that names nobody yet, is nobody's to write by. If its name does not come back it is lost:
 * somebody has removed it, or has taken it over, and has come to his end. */
static int look(mg_run_lock *l, bool touches)
{
    holder now;

    if (l->is_lost) return 0;
    const int there = read_holder(&now, l->path, touches ? &l->self : NULL);
    if (there < 0) return -1;
    if (there > 0 && is_same(&now, &l->self)) {
        l->unseen_s = 0;
        return 1;
    }
    if (now.pid <= 0) {
        const double at_s = mg_clock_s(), most_s = mg_stop_requested() ? GONE_S : l->gone_s;
        if (l->unseen_s <= 0) l->unseen_s = at_s;
        errno = ENOENT;
        if (at_s - l->unseen_s < most_s) return -1;
    }
    l->taker = now;
    l->is_lost = true;
    return 0;
}

/* The same from any thread. One that has no name is waited for, for up to most_s. */
static int ask(mg_run_lock *l, double most_s)
{
    const double begin_s = mg_clock_s();

    for (;;) {
        pthread_mutex_lock(&l->lock);
        const int ours = look(l, false), code = errno;
        pthread_mutex_unlock(&l->lock);
        errno = code;
        if (ours >= 0 || code != ENOENT || mg_clock_s() - begin_s >= most_s) return ours;
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
}

static mg_status say_lost(const mg_run_lock *l)
{
    if (l->taker.pid > 0)
        return mg_fail(MG_EFAIL,
                       "%s: process %" PRId64
                       " of host %s has taken over, while this run was suspended or did not "
                       "reach the disk: nothing more is written here; what is recorded stays, and later the "
                       "same command goes on",
                       l->path, l->taker.pid, l->taker.host);
    return mg_fail(
        MG_EFAIL,
        "%s: is gone: somebody removed it, or took over while this run was suspended: nothing more "
        "is written here; what is recorded stays, and the same command goes on",
        l->path);
}

/* A suspended process wakes here at once, for the time is over, and learns what has become of its lock. */
static void *keep_fresh(void *arg)
{
    mg_run_lock *l = arg;
    struct timespec until;
    double whole_s;

    pthread_mutex_lock(&l->lock);
    while (!l->closing && !l->is_lost) {
        const double fraction_s = modf(mg_clock_s() + l->touch_s, &whole_s);
        until = (struct timespec){.tv_sec = (time_t)whole_s, .tv_nsec = (long)(fraction_s * 1e9)};
        if (pthread_cond_timedwait(&l->wake, &l->lock, &until) == 0) continue;
        (void)look(l, true); /* what cannot be told now may be told next time */
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* The file is ours: from now on it is touched. */
static mg_status hold(mg_run_lock **out, const char *path, const holder *self, double stale_s)
{
    mg_status st = MG_OK;
    mg_run_lock *l = calloc(1, sizeof *l);

    if (!l) MG_TRY(mg_fail(MG_ENOMEM, "lock: %zu bytes", sizeof *l));
    MG_TRY(mg_path_format(l->path, "%s", path));
    l->self = *self;
    l->touch_s = stale_s / TOUCHES;
    l->gone_s = GONE_TIMES * stale_s;
    pthread_mutex_init(&l->lock, NULL);
    mg_beside_cond_init(&l->wake);
    MG_TRY(mg_beside_start(&l->thread, "lock", keep_fresh, l));
    *out = l;
    return MG_OK;
done:
    remove_file_of(path, self);
    free(l);
    return st;
}

mg_status mg_run_lock_take(mg_run_lock **out, const char *path, double stale_s)
{
    holder self, other;

    *out = NULL;
    describe_self(&self);
    for (int attempt = 0; attempt < 8; attempt++) {
        const int taken = create(path, &self);
        if (taken < 0) return mg_fail(MG_EFAIL, "%s: cannot create: %s", path, strerror(errno));
        if (taken > 0) return hold(out, path, &self, stale_s);
        const int there = read_holder(&other, path, NULL);
        if (there < 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
        if (there == 0) continue;
        if (!is_stale(&other, &self, path, stale_s)) {
            MG_RETURN(mg_stop_check());
            return mg_fail(MG_EFAIL,
                           "%s: a run is at work here: process %" PRId64
                           " of host %s; wait for its end, or stop it",
                           path, other.pid, other.host);
        }
        remove_file_of(path, &other);
    }
    return mg_fail(MG_EFAIL,
                   "%s: others take it again and again; is a second run being started over and over?", path);
}

void mg_run_lock_tell(const mg_run_lock *l, mg_run_holder *out)
{
    *out = l->self;
}

mg_status mg_run_lock_watch(mg_run_lock **out, const char *path, const mg_run_holder *of, double stale_s)
{
    mg_run_lock *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l) return mg_fail(MG_ENOMEM, "lock: %zu bytes", sizeof *l);
    const mg_status st = mg_path_format(l->path, "%s", path);
    if (st != MG_OK) {
        free(l);
        return st;
    }
    l->self = *of;
    l->gone_s = GONE_TIMES * stale_s;
    pthread_mutex_init(&l->lock, NULL);
    *out = l;
    return MG_OK;
}

mg_status mg_run_lock_check(mg_run_lock *l)
{
    const int ours = l ? ask(l, INFINITY) : 1, code = errno;

    if (ours > 0) return MG_OK;
    return ours == 0 ? say_lost(l) : mg_fail(MG_EFAIL, "%s: cannot read: %s", l->path, strerror(code));
}

bool mg_run_lock_holds(mg_run_lock *l)
{
    return !l || ask(l, GONE_S) > 0;
}

bool mg_run_lock_is_lost(const mg_run_lock *l)
{
    return l && l->is_lost;
}

void mg_run_lock_release(mg_run_lock *l)
{
    if (!l) return;
    if (l->touch_s > 0) {
        pthread_mutex_lock(&l->lock);
        l->closing = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
        if (mg_run_lock_holds(l)) remove_file_of(l->path, &l->self);
        pthread_cond_destroy(&l->wake);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}
