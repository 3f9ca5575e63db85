/* Messages on stderr, from any thread. Rank 0 writes all kinds, other ranks only warnings and errors.
 * Control characters of %s arguments are escaped (show.h). Under MPI each line of a rank other than 0 begins
 * with "[host:rank] ". */
#ifndef MG_LOG_H
#define MG_LOG_H

#include <stdbool.h>

typedef enum mg_log_level { MG_LOG_QUIET, MG_LOG_NORMAL, MG_LOG_VERBOSE } mg_log_level;

/* Once, from main.c: level and who we are. `host` is copied. */
void mg_log_init(mg_log_level level, int rank, const char *host);

/* JSON lines instead of text: {"level":"info","time":"2026-11-28T21:00:00.123Z","rank":0,"host":"node1",
 * "message":"…"}, with "figures":{"done":3,…} where there are any. Levels: detail, info, warning, error. */
void mg_log_set_json(bool json);
bool mg_log_is_json(void);

mg_log_level mg_log_get_level(void);
int mg_log_rank(void);

/* Rank 0 only, dropped by -q. A line each; no newline in the text. */
void mg_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with its figures, which a program reads in JSON lines. What is NaN is null there. */
typedef struct mg_log_figure {
    const char *name; /* "clips_per_s" */
    double value;
} mg_log_figure;
void mg_log_figures(const mg_log_figure *figure, int n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Rank 0 only, shown by -v. */
void mg_log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for lines that are already fit to be shown (show.h). */
void mg_log_detail_text(const char *text);

/* Any rank, never dropped: "mg-dist: warning: …", "mg-dist: error: …". */
void mg_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mg_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* mg_last_error() as an error, with its line breaks. */
void mg_log_last_error(void);

/* Show `line` as the terminal's last line, in place of the bar before it. The next message replaces it, and
 * mg_log_bar_end leaves it where it is. Only for a terminal (progress.h). */
void mg_log_bar(const char *line);
void mg_log_bar_end(void);

#endif
