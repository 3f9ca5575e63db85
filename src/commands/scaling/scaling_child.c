#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_shapes.h"
#include "clock.h"
#include "in_file.h"
#include "path.h"
#include "scaling.h"
#include "stop.h"
#include "text.h"
#include "utf8.h"

enum { PRINTED_BYTES = 1 << 20, SAID_BYTES = 16 << 20, KILL_AFTER_S = 10 };

static mg_status add(mg_scaling_command *c, const char *word, size_t n)
{
    MG_RETURN(mg_grow(&c->word, &c->capacity, c->n + 2, sizeof *c->word, "command"));
    c->word[c->n] = strndup(word, n);
    c->word[c->n + 1] = NULL;
    return c->word[c->n++] ? MG_OK : mg_fail(MG_ENOMEM, "command: no memory");
}

static mg_status add_word(mg_scaling_command *c, const char *word)
{
    return add(c, word, strlen(word));
}

static mg_status add_option(mg_scaling_command *c, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    MG_RETURN(add_word(c, name));
    return add_word(c, text);
}

/* Words between blanks. */
static mg_status add_words(mg_scaling_command *c, const char *words)
{
    while (words && *words) {
        const size_t n = strcspn(words, " \t");
        if (n > 0) MG_RETURN(add(c, words, n));
        words += n + (words[n] != '\0');
    }
    return MG_OK;
}

static bool is_srun(const mg_scaling_settings *s)
{
    return strcmp(mg_path_name(s->launcher), "srun") == 0;
}

/* A point of one rank needs no launcher, unless it is to say where that rank is. */
static bool is_launched(const mg_scaling_settings *s, const mg_scaling_point *p)
{
    return p->np > 1 || is_srun(s) || s->hostfile || getenv("SLURM_JOB_ID");
}

/* How many nodes the ranks fill, each as the allocation says, or 0: unless it is told, srun spreads the ranks
 * over all nodes, and a group over several. */
static int64_t count_nodes(const mg_scaling_settings *s, const mg_scaling_point *p)
{
    const char *text = getenv("SLURM_NTASKS_PER_NODE");
    char *end = NULL;
    const long long per_node = is_srun(s) && text ? strtoll(text, &end, 10) : 0;

    return per_node > 0 && end && *end == '\0' ? (p->np + per_node - 1) / per_node : 0;
}

/* mpirun alone binds two ranks to a core each and more to a socket: a rank would have other processors at
 * each point, and one rank without a launcher all. Unbound, each takes its share of them. */
static bool is_to_unbind(const mg_scaling_settings *s)
{
    static const char *const own[] = {"bind", "map-by", "cpu", "rankfile", "-rf"};
    const char *name = mg_path_name(s->launcher), *args = s->launcher_args;
    bool says = false;

    for (size_t i = 0; args && i < sizeof own / sizeof *own; i++) says = says || strstr(args, own[i]);
    return !says && (strcmp(name, "mpirun") == 0 || strcmp(name, "mpiexec") == 0);
}

static mg_status add_launcher(mg_scaling_command *c, const mg_scaling_settings *s, const mg_scaling_point *p)
{
    MG_RETURN(add_word(c, s->launcher));
    MG_RETURN(add_option(c, "-n", p->np));
    if (count_nodes(s, p) > 0) MG_RETURN(add_option(c, "-N", count_nodes(s, p)));
    if (s->hostfile) MG_RETURN(add_word(c, "--hostfile"));
    if (s->hostfile) MG_RETURN(add_word(c, s->hostfile));
    if (is_to_unbind(s)) MG_RETURN(add_words(c, "--bind-to none"));
    return add_words(c, s->launcher_args);
}

mg_status mg_scaling_command_make(mg_scaling_command *c, const mg_scaling_settings *s,
                                  const mg_scaling_point *p)
{
    char program[MG_PATH_SIZE], seconds[32];

    *c = (mg_scaling_command){0};
    MG_RETURN(mg_path_program(program));
    if (is_launched(s, p)) MG_RETURN(add_launcher(c, s, p));
    MG_RETURN(add_word(c, program));
    MG_RETURN(add_words(c, "bench step"));
    if (s->model)
        MG_RETURN(add_word(c, s->model));
    else
        MG_RETURN(add_words(c, "--shape"));
    if (!s->model) MG_RETURN(add_word(c, mg_bench_shape_name(s->shape)));
    MG_RETURN(add_words(c, "--split --json --decode --seconds"));
    (void)snprintf(seconds, sizeof seconds, "%.*g", mg_double_shown_digits(s->dur_s), s->dur_s);
    MG_RETURN(add_word(c, seconds));
    MG_RETURN(add_option(c, "--tp", p->tp));
    MG_RETURN(add_option(c, "--batch", p->batch));
    MG_RETURN(add_option(c, "--steps", s->n_steps));
    MG_RETURN(add_option(c, "--warmup", s->n_warmup));
    return add_words(c, s->bench_args);
}

void mg_scaling_command_text(mg_text *t, const mg_scaling_command *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const char *word = c->word[i];
        const bool is_plain =
            *word &&
            strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+@") ==
                strlen(word);
        if (i > 0) mg_text_add(t, " ");
        if (is_plain)
            mg_text_add(t, word);
        else
            mg_text_quote_shell(t, word);
    }
}

void mg_scaling_command_close(mg_scaling_command *c)
{
    for (size_t i = 0; i < c->n; i++) free(c->word[i]);
    free(c->word);
    *c = (mg_scaling_command){0};
}

static bool is_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char file[MG_PATH_SIZE];

    if (strchr(name, '/')) return access(name, X_OK) == 0;
    while (path && *path) {
        const size_t n = strcspn(path, ":");
        if (mg_path_format(file, "%.*s/%s", (int)n, path, name) == MG_OK && access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

mg_status mg_scaling_check_launcher(const mg_scaling_settings *s, const mg_scaling_grid *g)
{
    if (is_srun(s) && s->hostfile)
        return mg_fail(MG_EUSAGE,
                       "option --hostfile: srun takes its hosts from the allocation; leave it out");
    if (s->hostfile && access(s->hostfile, R_OK))
        return mg_fail(MG_EUSAGE, "option --hostfile: %s: %s", s->hostfile, strerror(errno));
    for (size_t i = 0; i < g->n; i++)
        if (!g->cell[i].reason[0] && is_launched(s, &g->cell[i].point) && !is_in_path(s->launcher))
            return mg_fail(MG_EUSAGE,
                           "option --launcher: %s: there is no such program; name another, or measure one "
                           "rank alone with --np 1 --tp 1",
                           s->launcher);
    return MG_OK;
}

/* In the child. It ends with us: a sweep that was killed must not measure beside the next one. */
static _Noreturn void become(const mg_scaling_command *c, int printed, int said, pid_t parent)
{
    const int null = open("/dev/null", O_RDONLY);

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setenv("MGDIST_LOG_FORMAT", "text", 1); /* we look for sentences in it */
    if (getppid() != parent || null < 0 || dup2(null, 0) < 0 || dup2(printed, 1) < 0 || dup2(said, 2) < 0)
        _exit(126);
    (void)execvp(c->word[0], c->word);
    _exit(127);
}

/* Wait for it, with the clock and the user's signals in view. */
static mg_status await(pid_t child, double limit_s, int *status, bool *was_late)
{
    const struct timespec nap = {0, 20000000};
    const double begin_s = mg_clock_s();
    double ended_s = NAN; /* when it was told to end */
    mg_status st = MG_OK;

    *was_late = false;
    for (;;) {
        const pid_t got = waitpid(child, status, WNOHANG);
        const double now_s = mg_clock_s();
        if (got == child) return st;
        if (got < 0 && errno != EINTR) return mg_fail(MG_EFAIL, "waitpid: %s", strerror(errno));
        if (isnan(ended_s)) {
            st = mg_stop_check();
            *was_late = st == MG_OK && now_s - begin_s > limit_s;
            if (st != MG_OK || *was_late) (void)kill(child, SIGTERM), ended_s = now_s;
        } else if (now_s - ended_s > KILL_AFTER_S) {
            (void)kill(child, SIGKILL);
        }
        (void)nanosleep(&nap, NULL);
    }
}

/* The sentence that says what was wrong: the last of ours, else the first that has a letter. */
static void find_reason(char *out, size_t size, const char *said)
{
    const char *ours = NULL, *at = said;
    mg_text shown = {0};

    while ((at = strstr(at, "mg-dist: error: ")) != NULL) ours = at += strlen("mg-dist: error: ");
    if (!ours)
        for (ours = said; *ours && !((*ours | 32) >= 'a' && (*ours | 32) <= 'z');) ours++;
    mg_text_show(&shown, "%.*s", (int)strcspn(ours, "\n"), ours); /* results.jsonl takes UTF-8 alone */
    mg_utf8_copy(out, size, shown.data ? shown.data : "");
    mg_text_reset(&shown);
}

static void judge(mg_scaling_outcome *o, int status, bool was_late, double limit_s, const char *said)
{
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (code == 0 && o->json && o->json[0] == '{') {
        o->status = MG_SCALING_OK;
        return;
    }
    o->status = code == 2 || code == 5 ? MG_SCALING_SKIPPED : MG_SCALING_FAILED; /* usage; does not fit */
    find_reason(o->reason, sizeof o->reason, said);
    if (was_late)
        (void)snprintf(o->reason, sizeof o->reason, "not done within %g s", limit_s);
    else if (code == 127)
        (void)snprintf(o->reason, sizeof o->reason, "the launcher cannot be started");
    else if (strstr(said, "not enough slots"))
        (void)snprintf(
            o->reason, sizeof o->reason,
            "more ranks than cores, or than slots of the hostfile; --launcher-args=--oversubscribe "
            "starts them all the same");
    else if (!o->reason[0] && code < 0)
        (void)snprintf(o->reason, sizeof o->reason, "ended by signal %d", WTERMSIG(status));
    else if (!o->reason[0])
        (void)snprintf(o->reason, sizeof o->reason, "exit code %d, and no word", code);
}

/* What one of its errors says from `what` on, else NULL. */
static const char *find_error(const char *said, const char *what)
{
    const char *found = NULL;

    while (!found && (said = strstr(said, "error: ")) != NULL) {
        const size_t n = strcspn(said, "\n");
        found = memmem(said, n, what, strlen(what));
        said += n;
    }
    return found;
}

/* A node that cannot be reached or is stuck; or a GPU that failed, perhaps by the point's own doing. */
static void find_loss(mg_scaling_outcome *o, const char *said)
{
    const char *gpu = find_error(said, "cuda: GPU ");

    o->has_lost = find_error(said, ": waited ") || find_error(said, "Task launch for ");
    if (gpu) (void)snprintf(o->gpu, sizeof o->gpu, "%.*s", (int)strcspn(gpu, ")\n"), gpu);
}

static mg_status open_file(int *fd, char path[MG_PATH_SIZE], const char *dir, const char *name,
                           const char *end)
{
    MG_RETURN(mg_path_format(path, "%s/logs/%s.%s", dir, name, end));
    *fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return *fd < 0 ? mg_fail(MG_EFAIL, "%s: cannot be written: %s", path, strerror(errno)) : MG_OK;
}

/* The last line printed that is an object: launchers may print before it. */
static void keep_object(char *text)
{
    char *at = strrchr(text, '{');

    while (at && at > text && at[-1] != '\n') at--;
    memmove(text, at ? at : "", at ? strlen(at) + 1 : 1);
    text[strcspn(text, "\n")] = '\0';
}

/* The end of a file that a child wrote, at most so much of it: a loop may fill it with its complaints. */
static mg_status read_end(char **out, const char *path, int64_t most_bytes)
{
    mg_mapped_file f;

    MG_RETURN(mg_in_file_map(&f, path));
    const int64_t n = f.bytes < most_bytes ? f.bytes : most_bytes;
    *out = strndup(f.data ? f.data + (f.bytes - n) : "", (size_t)n);
    mg_in_file_unmap(&f);
    return *out ? MG_OK : mg_fail(MG_ENOMEM, "%s: no memory for %lld bytes", path, (long long)n);
}

mg_status mg_scaling_run_child(mg_scaling_outcome *o, const mg_scaling_settings *s,
                               const mg_scaling_command *c, const char *name)
{
    char printed_path[MG_PATH_SIZE] = "", said_path[MG_PATH_SIZE] = "", *said = NULL;
    int printed = -1, said_fd = -1, status = 0;
    bool was_late;
    const pid_t parent = getpid();
    const double begin_s = mg_clock_s();
    mg_status st = MG_OK;

    *o = (mg_scaling_outcome){.status = MG_SCALING_FAILED};
    MG_TRY(open_file(&printed, printed_path, s->out, name, "out"));
    MG_TRY(open_file(&said_fd, said_path, s->out, name, "log"));
    const pid_t child = fork();
    if (child == 0) become(c, printed, said_fd, parent);
    if (child < 0) MG_TRY(mg_fail(MG_EFAIL, "fork: %s", strerror(errno)));
    MG_TRY(await(child, s->limit_s, &status, &was_late));
    o->wall_s = mg_clock_s() - begin_s;
    MG_TRY(read_end(&o->json, printed_path, PRINTED_BYTES));
    MG_TRY(read_end(&said, said_path, SAID_BYTES));
    keep_object(o->json);
    judge(o, status, was_late, s->limit_s, said);
    if (o->status == MG_SCALING_FAILED && !was_late && (is_srun(s) || getenv("SLURM_JOB_ID")))
        find_loss(o, said);
    /* By a scheduler that wants the nodes: the next point would be told so, too. We tell ranks that are late,
     * and mpirun those beside one that crashed. */
    if (o->status != MG_SCALING_OK && !was_late && is_srun(s) &&
        strstr(said, "mg-dist: error: stopped by SIG"))
        MG_TRY(mg_fail(MG_EUNFINISHED,
                       "scaling: %s: its ranks were told to stop: what is measured is kept, and the same "
                       "command goes on",
                       name));
done:
    if (printed >= 0) close(printed);
    if (said_fd >= 0) close(said_fd);
    if (printed_path[0]) (void)unlink(printed_path);
    if (said_path[0] && o->status == MG_SCALING_OK) (void)unlink(said_path);
    free(said);
    return st;
}
