/* Each message is one write(2), so that lines of different ranks do not mix. The terminal's last line may
 * hold a progress bar: a lock keeps threads from tearing it. */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "show.h"
#include "status.h"

static mg_log_level log_level = MG_LOG_NORMAL;
static int log_rank;
static char log_host[64];

static pthread_mutex_t terminal = PTHREAD_MUTEX_INITIALIZER; /* for bar_on_screen, and one line at a time */
static bool bar_on_screen;

void mg_log_init(mg_log_level level, int rank, const char *host)
{
    log_level = level;
    log_rank = rank;
    snprintf(log_host, sizeof log_host, "%s", host ? host : "");
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
    while (n > 0) {
        const ssize_t wrote = write(STDERR_FILENO, text, n);
        if (wrote <= 0) return;
        text += wrote, n -= (size_t)wrote;
    }
}

/* `text` is fit to be shown. */
static void write_line(const char *tag, const char *text)
{
    char where[80] = "", *line = NULL;

    if (log_rank > 0) snprintf(where, sizeof where, "[%s:%d] ", log_host, log_rank);
    const int n = asprintf(&line, "%s%s%s\n", where, tag, text);
    if (n < 0) return; /* no memory to complain with */
    pthread_mutex_lock(&terminal);
    if (bar_on_screen) write_all("\r\033[K", 4);
    bar_on_screen = false;
    write_all(line, (size_t)n);
    pthread_mutex_unlock(&terminal);
    free(line);
}

static void write_format(const char *tag, const char *format, va_list args)
{
    const int n = mg_show_vformat(NULL, 0, format, args);
    char *text = malloc((size_t)n + 1);

    if (!text) return;
    mg_show_vformat(text, (size_t)n + 1, format, args);
    write_line(tag, text);
    free(text);
}

#define WRITE_LINE(tag)                  \
    do {                                 \
        va_list args;                    \
        va_start(args, format);          \
        write_format(tag, format, args); \
        va_end(args);                    \
    } while (0)

void mg_log_info(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_NORMAL) WRITE_LINE("");
}

void mg_log_detail(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_VERBOSE) WRITE_LINE("");
}

void mg_log_detail_text(const char *text)
{
    if (log_rank == 0 && log_level >= MG_LOG_VERBOSE) write_line("", text);
}

void mg_log_warn(const char *format, ...)
{
    WRITE_LINE("mg-dist: warning: ");
}

void mg_log_error(const char *format, ...)
{
    WRITE_LINE("mg-dist: error: ");
}

void mg_log_last_error(void)
{
    write_line("mg-dist: error: ", mg_last_error());
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
