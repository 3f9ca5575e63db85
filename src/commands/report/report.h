/* mg-dist report: a dataset as one page. report_gather.c reads the state, report_listen.c the sounds,
 * report_page.c writes the page, report_plot.c its figures. */
#ifndef MG_REPORT_H
#define MG_REPORT_H

#include "dataset.h"
#include "text.h"

enum { MG_REPORT_COLUMNS = 240 }; /* of a waveform */

/* A clip that was opened. */
typedef struct mg_report_clip {
    int64_t n; /* its row */
    char *id, *prompt, *file, *shard;
    int64_t seed;
    double dur_s;
    bool embed; /* wanted on the page */
    /* what its sound is */
    bool read;
    char *bytes;
    int64_t n_bytes;
    double lufs, peak; /* lufs NaN: too short or too quiet to measure */
    float low[MG_REPORT_COLUMNS], high[MG_REPORT_COLUMNS];
} mg_report_clip;

/* Outcomes that have one reason in common. */
typedef struct mg_report_reason {
    char *pattern, *example, *id; /* names and numbers left out; one of them as it stands, and whose */
    int64_t n;
} mg_report_reason;

typedef struct mg_report_reasons {
    mg_report_reason *item; /* the most frequent first, once all are in */
    size_t n, capacity;
    int64_t n_others; /* outcomes of kinds that came when there were too many */
} mg_report_reasons;

typedef struct mg_report {
    const char *dir;
    mg_run_db *db;
    mg_run_counts count;
    int64_t n_bytes;
    char *name, *layout, *state, *model, *dtype, *level, *version, *settings, *seed, *format, *gate;
    double *end, *length; /* [n_done] when each ended, seconds since 1970; and how long it is */
    double *failed_at;    /* [n_failed] */
    size_t n_done, n_failed, done_capacity, length_capacity, failed_capacity;
    bool with_gate;
    int64_t n_made_again;                /* clips that are there after the gate refused others */
    mg_report_reasons failures, remarks; /* why jobs failed; what the gate says of clips that are there */
    mg_report_clip *clip;                /* those that are opened, in the order of the jobs */
    size_t n_clips;
} mg_report;

/* All that the state says. */
mg_status mg_report_gather(mg_report *r);
void mg_report_close(mg_report *r);

/* Choose n_measured of the clips, all alike spread over the dataset, n_embedded of them for the page, and
 * read and measure them. A sound that cannot be read is left out, and the page says how many. */
mg_status mg_report_listen(mg_report *r, int64_t n_measured, int64_t n_embedded);

/* The page, appended. */
mg_status mg_report_page(mg_text *t, const mg_report *r);

/* 1, 2 or 5 times a power of ten: `range` in about `n` of them. */
double mg_report_nice_step(double range, double n);

/* Figures, as SVG. `values` may be in any order; what is NaN is left out. */
void mg_report_histogram(mg_text *t, const double *values, size_t n, const char *unit, const char *label);

/* How many had come at which time: of two lists, each in order. */
void mg_report_progress(mg_text *t, const double *done, size_t n_done, const double *failed, size_t n_failed);
void mg_report_waveform(mg_text *t, const mg_report_clip *c);

#endif
