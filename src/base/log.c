/* Each message is one write(2), so that lines of different ranks do not mix. The terminal's last line may
 * hold a progress bar: a lock keeps threads from tearing it. */
#include "log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "show.h"
#include "status.h"
#include "text.h"
#include "write_out.h"

static mg_log_level log_level = MG_LOG_NORMAL;
static int log_rank;
static bool as_json;
static char log_host[64];

static pthread_mutex_t terminal = PTHREAD_MUTEX_INITIALIZER; /* for bar_on_screen, and one line at a time */
static bool bar_on_screen;

void mg_log_init(mg_log_level level, int rank, const char *host)
{
    log_level = level;
    log_rank = rank;
    snprintf(log_host, sizeof log_host, "%s", host ? host : "");
}

void mg_log_set_json(bool json)
{
    as_json = json;
}

bool mg_log_is_json(void)
{
    return as_json;
}

mg_log_level mg_log_get_level(void)
{
    return log_level;
}

int mg_log_rank(void)
{
    return log_rank;
}

/* All of it, or as much as stderr takes: there is nowhere left to complain. */
static void write_all(const char *text, size_t n)
{
    (void)mg_write_out(STDERR_FILENO, text, n);
}

enum { DETAIL, INFO, WARNING, ERROR };
static const char *const tags[] = {"", "", "mg-dist: warning: ", "mg-dist: error: "};
static const char *const words[] = {"detail", "info", "warning", "error"};

static void make_json(mg_text *t, int kind, const char *text, const mg_log_figure *figure, int n)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    clock_gettime(CLOCK_REALTIME, &now);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    mg_text_format(t, "{\"level\":\"%s\",\"time\":\"%s.%03ldZ\",\"rank\":%d,\"host\":", words[kind], when,
                   now.tv_nsec / 1000000, log_rank);
    mg_text_quote(t, log_host);
    mg_text_add(t, ",\"message\":");
    mg_text_quote(t, text);
    for (int i = 0; i < n; i++) {
        mg_text_format(t, "%s\"%s\":", i == 0 ? ",\"figures\":{" : ",", figure[i].name);
        if (isfinite(figure[i].value))
            mg_text_format(t, "%.*g", mg_double_digits(figure[i].value), figure[i].value);
        else
            mg_text_add(t, "null");
    }
    mg_text_add(t, n > 0 ? "}}\n" : "}\n");
}

/* `text` is fit to be shown. */
static void write_line(int kind, const char *text, const mg_log_figure *figure, int n)
{
    mg_text t = {0};

    if (as_json)
        make_json(&t, kind, text, figure, n);
    else if (log_rank > 0)
        mg_text_format(&t, "[%s:%d] %s%s\n", log_host, log_rank, tags[kind], text);
    else
        mg_text_format(&t, "%s%s\n", tags[kind], text);
    if (!t.failed) { /* else there is no memory to complain with */
        pthread_mutex_lock(&terminal);
        if (bar_on_screen) write_all("\r\033[K", 4);
        bar_on_screen = false;
        write_all(t.data, t.n);
        pthread_mutex_unlock(&terminal);
    }
    mg_text_reset(&t);
}

static void write_format(int kind, const mg_log_figure *figure, int n, const char *format, va_list args)
{
    mg_text t = {0};

    mg_text_vshow(&t, format, args);
    if (!t.failed) write_line(kind, t.data ? t.data : "", figure, n);
    mg_text_reset(&t);
}

#define WRITE_LINE(kind, figure, n)                  \
    do {                                             \
        va_list args;                                \
        va_start(args, format);                      \
        write_format(kind, figure, n, format, args); \
        va_end(args);                                \
    } while (0)

void mg_log_info(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_NORMAL) WRITE_LINE(INFO, NULL, 0);
}

void mg_log_figures(const mg_log_figure *figure, int n, const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_NORMAL) WRITE_LINE(INFO, figure, n);
}

void mg_log_detail(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_VERBOSE) WRITE_LINE(DETAIL, NULL, 0);
}

void mg_log_detail_text(const char *text)
{
    if (log_rank == 0 && log_level >= MG_LOG_VERBOSE) write_line(DETAIL, text, NULL, 0);
}

void mg_log_warn(const char *format, ...)
{
    WRITE_LINE(WARNING, NULL, 0);
}

void mg_log_error(const char *format, ...)
{
    WRITE_LINE(ERROR, NULL, 0);
}

void mg_log_last_error(void)
{
    write_line(ERROR, mg_last_error(), NULL, 0);
}

void mg_log_bar(const char *line)
{
    char *text;
    const int n = asprintf(&text, "\r%s\033[K", line);

    if (n < 0) return;
    pthread_mutex_lock(&terminal);
    write_all(text, (size_t)n);
    bar_on_screen = true;
    pthread_mutex_unlock(&terminal);
    free(text);
}

void mg_log_bar_end(void)
{
    pthread_mutex_lock(&terminal);
    if (bar_on_screen) write_all("\n", 1);
    bar_on_screen = false;
    pthread_mutex_unlock(&terminal);
}
