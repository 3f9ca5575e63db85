/* The program's voice on stderr. Rank 0 speaks; every rank may speak of an error.
 * Under MPI each line is prefixed "[host:rank] " on ranks other than 0. */
#ifndef MG_LOG_H
#define MG_LOG_H

typedef enum mg_log_level { MG_LOG_QUIET, MG_LOG_NORMAL, MG_LOG_VERBOSE } mg_log_level;

/* Once, from main.c: level and who we are. `host` is copied. */
void mg_log_init(mg_log_level level, int rank, const char *host);

mg_log_level mg_log_get_level(void);
int mg_log_rank(void);

/* Rank 0 only, dropped by -q. A line each; no newline in the text. */
void mg_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Rank 0 only, shown by -v. */
void mg_log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Any rank, never dropped: "mg-dist: warning: …", "mg-dist: error: …". */
void mg_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mg_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
