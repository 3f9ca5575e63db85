/* Progress of long work on stderr: a bar on a terminal, a line every few seconds in a log, nothing under -q.
 * Only rank 0 shows it. */
#ifndef MG_PROGRESS_H
#define MG_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mg_progress {
    const char *label; /* borrowed: "generate", "load" */
    const char *unit;  /* borrowed: "steps", "MB" */
    int64_t n_total;
    int64_t n_done;
    int64_t unit_size; /* shown is n / unit_size: 1000000 for bytes shown as MB; 1 after begin */
    double begin_s;
    double shown_s; /* when we last wrote */
    bool shown;     /* anything on the screen yet */
} mg_progress;

void mg_progress_begin(mg_progress *p, const char *label, const char *unit, int64_t n_total);
void mg_progress_update(mg_progress *p, int64_t n_done); /* cheap: a clock read, seldom a write */
void mg_progress_end(mg_progress *p);                    /* finishes the line on a terminal */

#endif
