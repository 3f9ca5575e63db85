/* Each message is one write(2), so that lines of different ranks do not mix. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "progress.h"

static mg_log_level log_level = MG_LOG_NORMAL;
static int log_rank;
static char log_host[64];

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

static void write_line(const char *tag, const char *format, va_list args)
{
    char where[80] = "", *text = NULL, *line = NULL;
    int n;

    if (log_rank > 0) snprintf(where, sizeof where, "[%s:%d] ", log_host, log_rank);
    if (vasprintf(&text, format, args) < 0) return; /* no memory to complain with */
    n = asprintf(&line, "%s%s%s\n", where, tag, text);
    free(text);
    if (n < 0) return;
    mg_progress_clear_line();
    for (int at = 0; at < n;) {
        const ssize_t wrote = write(STDERR_FILENO, line + at, (size_t)(n - at));
        if (wrote <= 0) break; /* nowhere left to complain */
        at += (int)wrote;
    }
    free(line);
}

#define WRITE_LINE(tag)                \
    do {                               \
        va_list args;                  \
        va_start(args, format);        \
        write_line(tag, format, args); \
        va_end(args);                  \
    } while (0)

void mg_log_info(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_NORMAL) WRITE_LINE("");
}

void mg_log_detail(const char *format, ...)
{
    if (log_rank == 0 && log_level >= MG_LOG_VERBOSE) WRITE_LINE("");
}

void mg_log_warn(const char *format, ...)
{
    WRITE_LINE("mg-dist: warning: ");
}

void mg_log_error(const char *format, ...)
{
    WRITE_LINE("mg-dist: error: ");
}
