#include "progress.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum { BAR_WIDTH = 30, LEAST_BAR_WIDTH = 5 };
#define BAR_EVERY_S  0.1
#define LINE_EVERY_S 5.0

/* Columns of the terminal that a file is; 0: it is none. One that does not say has as many as one likes. */
static int columns_of(int fd)
{
    struct winsize size = {0};

    if (!isatty(fd)) return 0;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : INT_MAX;
}

/* mpirun hands its ranks a pipe for stderr and copies what comes to its own: under it, its own is what
 * counts. */
static int columns_of_parent(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/fd/2", (long)getppid());
    const int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    const int n = columns_of(fd);
    close(fd);
    return n;
}

static int columns(void)
{
    const int n = columns_of(STDERR_FILENO);

    return n == 0 && getenv("OMPI_COMM_WORLD_RANK") ? columns_of_parent() : n;
}

/* One on which a line can be written anew. */
static bool on_terminal(void)
{
    static int known = -1;
    const char *term = getenv("TERM");

    if (mg_log_is_json()) return false;
    if (known < 0) known = columns() > 0 && !(term && strcmp(term, "dumb") == 0);
    return known;
}

static int format_time(char *out, size_t size, double s)
{
    if (s < 60) return snprintf(out, size, "%.0f s", s);
    if (s < 3600) return snprintf(out, size, "%d min %02d s", (int)s / 60, (int)s % 60);
    return snprintf(out, size, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
}

/* A longer line breaks, and each would be a new one: the rate goes first, then the bar. `most`: columns. */
static void draw(char *out, size_t size, const mg_progress *p, double part, double rate, const char *left,
                 int most)
{
    char bar[BAR_WIDTH + 1], speed[64], end[64];

    snprintf(speed, sizeof speed, "  %.1f %s/s", rate, p->unit);
    snprintf(end, sizeof end, "  %s left", left);
    const int n_others = (int)(strlen(p->label) + strlen(" [] 100 %") + strlen(end));
    if (most < n_others + BAR_WIDTH + (int)strlen(speed)) *speed = '\0';
    const int n_free = most - n_others - (int)strlen(speed), n = n_free < BAR_WIDTH ? n_free : BAR_WIDTH;
    if (n < LEAST_BAR_WIDTH) {
        snprintf(out, size, "%s %3.0f %%%s", p->label, 100 * part, end);
    } else {
        memset(bar, '-', (size_t)n);
        memset(bar, '#', (size_t)(part < 1 ? part * n : n));
        bar[n] = '\0';
        snprintf(out, size, "%s [%s] %3.0f %%%s%s", p->label, bar, 100 * part, speed, end);
    }
    if (most < (int)strlen(out)) out[most] = '\0';
}

static void show(mg_progress *p, double now_s)
{
    const double part = p->n_total > 0 ? (double)p->n_done / (double)p->n_total : 1.0;
    const double spent_s = now_s - p->begin_s;
    const double rate = spent_s > 0 ? (double)p->n_done / spent_s : 0, size = (double)p->unit_size;
    char left[32] = "?", line[256];

    if (rate > 0) format_time(left, sizeof left, (double)(p->n_total - p->n_done) / rate);
    if (on_terminal()) {
        const int n = columns();
        draw(line, sizeof line, p, part, rate / size, left, n > 1 ? n - 1 : INT_MAX);
        mg_log_bar(line);
    } else {
        const mg_log_figure figures[] = {
            {"done", (double)p->n_done / size},
            {"total", (double)p->n_total / size},
            {"rate", rate / size},
            {"left_s", rate > 0 ? (double)(p->n_total - p->n_done) / rate : NAN}};
        mg_log_figures(figures, 4, "%s: %3.0f %%, %.0f of %.0f %s, %.1f %s/s, %s left", p->label, 100 * part,
                       (double)p->n_done / size, (double)p->n_total / size, p->unit, rate / size, p->unit,
                       left);
    }
    p->shown_s = now_s;
    p->shown = true;
}

void mg_progress_begin(mg_progress *p, const char *label, const char *unit, int64_t n_total)
{
    *p = (mg_progress){
        .label = label, .unit = unit, .n_total = n_total, .unit_size = 1, .begin_s = mg_clock_s()};
    p->shown_s = p->begin_s;
}

void mg_progress_update(mg_progress *p, int64_t n_done)
{
    p->n_done = n_done;
    if (mg_log_get_level() < MG_LOG_NORMAL || mg_log_rank() != 0) return;
    const double now_s = mg_clock_s();
    if (now_s - p->shown_s >= (on_terminal() ? BAR_EVERY_S : LINE_EVERY_S)) show(p, now_s);
}

void mg_progress_end(mg_progress *p)
{
    if (on_terminal() && mg_log_get_level() >= MG_LOG_NORMAL && mg_log_rank() == 0) {
        show(p, mg_clock_s());
        mg_log_bar_end();
    }
}
