/* Everything in the process beside runs before there are threads, and ends in _exit. */
#include "session.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

enum { PATH_BYTES = 512, MOST_DEPTH = 6, WAIT_MS = 10000, STEP_MS = 5 };

typedef struct session {
    char folder[PATH_BYTES]; /* …/ompi.HOST.USER/pid.LAUNCHER */
    char segments[128];      /* vader_segment.HOST.USER.JOB. */
    pid_t launcher;
} session;

/* What the launcher has told us; false if it is not as we know it. */
static bool find_session(session *s)
{
    const char *folder = getenv("PMIX_SERVER_TMPDIR"), *job = getenv("PMIX_NAMESPACE");
    const char *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK"), *slash = folder ? strrchr(folder, '/') : NULL;
    char host[64] = "", *end;
    struct stat info;

    if (!slash || !job || !local || strcmp(local, "0") != 0 || strncmp(slash, "/pid.", 5) != 0) return false;
    if (!strstr(folder, "/ompi.") || strlen(folder) >= sizeof s->folder) return false;
    const long pid = strtol(slash + 5, &end, 10);
    if (*end || pid <= 1) return false;
    const unsigned long number = strtoul(job, &end, 10);
    if (*end || !isdigit((unsigned char)*job) || gethostname(host, sizeof host - 1) != 0) return false;
    if (lstat(folder, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != getuid()) return false;
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    snprintf(s->segments, sizeof s->segments, "vader_segment.%s.%x.%lx.", host, (unsigned)getuid(), number);
    s->launcher = (pid_t)pid;
    return true;
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
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

static void tidy(const session *s)
{
    char byte;

    while (read(0, &byte, 1) < 0 && errno == EINTR) {} /* ends with the rank */
    for (int t = 0; t < WAIT_MS && !is_gone(s->launcher) && access(s->folder, F_OK) == 0; t += STEP_MS)
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000L * 1000L}, NULL);
    if (!is_gone(s->launcher)) return; /* it does that itself */
    if (access(s->folder, F_OK) == 0)
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* for the other ranks */
    remove_tree(AT_FDCWD, s->folder, MOST_DEPTH);
    remove_segments(s->segments);
}

void mg_session_watch(void)
{
    session s;
    int fd[2];

    if (!find_session(&s) || pipe2(fd, O_CLOEXEC) != 0) return;
    const pid_t child = fork();
    if (child == 0) {
        if (fork() != 0) _exit(0); /* nobody's child */
        stand_aside(fd[0]);
        tidy(&s);
        _exit(0);
    }
    close(fd[0]); /* the other end stays open for as long as this process lives */
    if (child > 0) waitpid(child, NULL, 0);
}
