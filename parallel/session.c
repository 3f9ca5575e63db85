/* Everything in the process beside runs before there are threads, and ends in _exit. The thread that waits
 * for MPI_Init is begun behind it. */
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "beside.h"
#include "clock.h"
#include "log.h"
#include "process.h"
#include "status.h"
#include "stop.h"

enum { PATH_BYTES = 512, MOST_DEPTH = 6, MOST_ANCESTORS = 8, WAIT_MS = 10000, STEP_MS = 5, JOIN_GRACE_S = 2 };

typedef struct session {
    char folder[PATH_BYTES];   /* see find_session */
    char segments[PATH_BYTES]; /* how the names in /dev/shm begin; "": none are known */
    pid_t launcher;            /* of this host: mpirun, or its daemon */
} session;

/* The nearest ancestor that is a launcher of Open MPI 4 or 5; 0: there is none. */
static pid_t find_launcher(void)
{
    static const char *const names[] = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"};
    char path[64], name[64];
    pid_t pid = getppid();

    for (int i = 0; i < MOST_ANCESTORS && pid > 1; i++) {
        int parent = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "re");
        const int n = f ? fscanf(f, "%*d (%63[^)]) %*c %d", name, &parent) : 0;
        if (f) fclose(f);
        if (n != 2) return 0;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strcmp(name, names[k]) == 0) return pid;
        pid = parent;
    }
    return 0;
}

/* What the launcher has told us; false if it is not as we know it. Open MPI 4 has
 * …/ompi.HOST.USER/pid.LAUNCHER where mpirun runs and …/ompi.HOST.USER/jf.JOB elsewhere, Open MPI 5
 * …/prterun.HOST.LAUNCHER.USER and …/prted.…: each is of this run and host alone. */
static bool find_session(session *s)
{
    const char *folder = getenv("PMIX_SERVER_TMPDIR"), *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK");
    const char *slash = folder ? strrchr(folder, '/') : NULL;
    struct stat info;

    *s = (session){.launcher = find_launcher()};
    if (!slash || !local || strcmp(local, "0") != 0 || !s->launcher) return false;
    const bool is_four =
        strstr(folder, "/ompi.") && (!strncmp(slash, "/pid.", 5) || !strncmp(slash, "/jf.", 4));
    const bool is_five = !strncmp(slash, "/prterun.", 9) || !strncmp(slash, "/prted.", 7);
    if ((!is_four && !is_five) || strlen(folder) >= sizeof s->folder) return false;
    if (lstat(folder, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != getuid()) return false;
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    return true;
}

static void remove_tree(int parent, const char *name, int depth)
{
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(fd, e->d_name, 0) != 0 && depth > 0) remove_tree(fd, e->d_name, depth - 1);
    }
    closedir(d);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_segments(const char *prefix)
{
    DIR *d = opendir("/dev/shm");

    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

/* Nothing of the rank's is kept open but `fd`, or the launcher would wait for us. */
static void stand_aside(int fd)
{
    char *name = program_invocation_name; /* argv[0]: in a list of processes this is not the rank */

    setsid();
    const size_t n = name ? strlen(name) : 0;
    if (n) memset(name, 0, n);
    if (n) snprintf(name, n + 1, "mg-tidy");
    prctl(PR_SET_NAME, "mg-tidy");
    for (int s = 1; s < 32; s++) signal(s, s == SIGCHLD ? SIG_DFL : SIG_IGN);
    if (dup2(fd, 0) < 0) _exit(0);
    for (long i = 1, most = sysconf(_SC_OPEN_MAX); i < (most > 4096 || most < 0 ? 4096 : most); i++)
        close((int)i);
    if (chdir("/") != 0) _exit(0);
}

static void tidy(session *s)
{
    size_t n = 0;

    for (ssize_t got;
         (got = read(0, s->segments + n, sizeof s->segments - 1 - n)) != 0;) { /* ends with the rank */
        if (got < 0 && errno != EINTR) break;
        if (got > 0) n += (size_t)got;
    }
    for (int t = 0; t < WAIT_MS && mg_process_is_alive(s->launcher) && access(s->folder, F_OK) == 0;
         t += STEP_MS)
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000L * 1000L}, NULL);
    if (mg_process_is_alive(s->launcher)) return; /* it does that itself */
    if (access(s->folder, F_OK) == 0)
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* for the other ranks */
    remove_tree(AT_FDCWD, s->folder, MOST_DEPTH);
    *strrchr(s->folder, '/') = '\0';
    if (strstr(s->folder, "/ompi.")) rmdir(s->folder); /* if no other run of this user is in it */
    if (*s->segments) remove_segments(s->segments);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t over;
    pthread_t thread;
    pid_t launcher; /* 0: there is none, or it is out of our sight */
    double begin_s, timeout_s;
    bool is_first, has_thread, has_joined;
} joining = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock: true if we still wait when a second has passed. */
static bool waits_on(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    while (!joining.has_joined && pthread_cond_timedwait(&joining.over, &joining.lock, &until) == 0) continue;
    return !joining.has_joined;
}

/* Nobody can be told. Where all ranks wait in vain the first one speaks, and its launcher ends the others.
 * The last rank may come within that second. */
static void end_alone(mg_status st)
{
    if (!joining.is_first && !waits_on()) return;
    mg_log_last_error();
    _exit(mg_exit_code(st));
}

static mg_status look_around(int n_gone, int n_told)
{
    const double waited_s = mg_clock_s() - joining.begin_s;

    if (n_gone > JOIN_GRACE_S)
        return mg_fail(MG_ECOMM,
                       "MPI_Init: the launcher (pid %d) is gone, and this rank could not join the others",
                       (int)joining.launcher);
    if (n_told > JOIN_GRACE_S) return mg_stop_check();
    if (waited_s >= joining.timeout_s)
        return mg_fail(MG_ECOMM, "MPI_Init: waited %.0f s for the launcher and the other ranks", waited_s);
    return MG_OK;
}

/* MPI itself ends most ranks that lose their launcher, or that it tells to stop: they are given JOIN_GRACE_S
 * for that. */
static void *wait_for_join(void *unused)
{
    mg_status st = MG_OK;

    (void)unused;
    pthread_mutex_lock(&joining.lock);
    for (int n_gone = 0, n_told = 0; st == MG_OK && waits_on();) {
        n_gone = joining.launcher && !mg_process_is_alive(joining.launcher) ? n_gone + 1 : 0;
        n_told += mg_stop_requested();
        st = look_around(n_gone, n_told);
    }
    if (st != MG_OK) end_alone(st);
    pthread_mutex_unlock(&joining.lock);
    return NULL;
}

void mg_session_join_begin(bool is_first, double timeout_s)
{
    joining.launcher = find_launcher();
    joining.is_first = is_first;
    joining.begin_s = mg_clock_s();
    joining.timeout_s = timeout_s;
    joining.has_joined = false;
    mg_beside_cond_init(&joining.over);
    joining.has_thread = pthread_create(&joining.thread, NULL, wait_for_join, NULL) == 0;
}

void mg_session_join_end(void)
{
    if (!joining.has_thread) return;
    pthread_mutex_lock(&joining.lock);
    joining.has_joined = true;
    pthread_cond_signal(&joining.over);
    pthread_mutex_unlock(&joining.lock);
    pthread_join(joining.thread, NULL);
    pthread_cond_destroy(&joining.over);
    joining.has_thread = false;
}

void mg_session_heed(void)
{
    if (joining.launcher && joining.launcher == getppid()) mg_stop_with_parent(joining.launcher);
}

bool mg_session_processors(cpu_set_t *out)
{
    return joining.launcher && mg_process_processors(out, joining.launcher) > 0;
}

int mg_session_watch(void)
{
    session s;
    int fd[2];

    if (!find_session(&s) || pipe2(fd, O_CLOEXEC) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
        if (fork() != 0) _exit(0); /* nobody's child */
        stand_aside(fd[0]);
        tidy(&s);
        _exit(0);
    }
    close(fd[0]); /* the other end stays open for as long as this process lives */
    if (child > 0) waitpid(child, NULL, 0);
    return fd[1];
}

/* Open MPI's shared memory is called vader_segment.HOST.USER.JOB.RANK, in version 5 sm_segment.…: what is
 * mapped here says how that of all ranks of the host begins. */
void mg_session_tell(int fd)
{
    static const char *const names[] = {"/dev/shm/vader_segment.", "/dev/shm/sm_segment."};
    char line[PATH_BYTES + 256];
    bool told = false;
    FILE *f = fd >= 0 ? fopen("/proc/self/maps", "re") : NULL;

    while (f && !told && fgets(line, sizeof line, f)) {
        for (int k = 0; k < 2 && !told; k++) {
            const char *path = strstr(line, names[k]), *end = path ? strrchr(path, '.') : NULL;
            if (!path || end + 1 - path >= PATH_BYTES) continue;
            const char *name = path + sizeof "/dev/shm/" - 1;
            told = write(fd, name, (size_t)(end + 1 - name)) > 0;
        }
    }
    if (f) fclose(f);
}
