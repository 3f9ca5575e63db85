/* mg-dist report A B: two sweeps, point by point. report_compare.c finds what each point has to do with the
 * other sweep's. report_compare_say.c says it in words. report_compare_write.c writes it as a page, as
 * Markdown, as CSV and as JSON. */
#ifndef MG_REPORT_COMPARE_H
#define MG_REPORT_COMPARE_H

#include "report_scaling.h"

typedef enum mg_compare_verdict {
    MG_COMPARE_WITHIN,  /* the repeats of the one and the other overlap */
    MG_COMPARE_FASTER,  /* every repeat of B takes less time than every one of A */
    MG_COMPARE_SLOWER,  /* more */
    MG_COMPARE_UNTOLD,  /* one repeat alone has no spread */
    MG_COMPARE_LACKING, /* one sweep has not measured it */
    MG_COMPARE_VERDICTS
} mg_compare_verdict;

extern const char *const mg_compare_word[MG_COMPARE_VERDICTS];

typedef struct mg_compare_point {
    mg_scaling_point at;
    const mg_sweep_point *of[2]; /* A's and B's; NULL: it has not measured it */
    mg_compare_verdict verdict;
    mg_sweep_spread ratio; /* B's time of a step over A's, with the spread of both */
    double chance;         /* that repeats of the same thing lie so by chance; NaN: untold, or lacking */
    char note[320];        /* what the sweep that lacks it says of it */
} mg_compare_point;

typedef struct mg_compare {
    const char *dir[2];
    mg_sweep sweep[2];
    mg_compare_point *point; /* in the order of np, tp, batch */
    size_t n, n_of[MG_COMPARE_VERDICTS];
    char *fact[2][MG_SWEEP_FACTS]; /* what was measured: model, number format, … */
} mg_compare;

extern const char *const mg_compare_fact[MG_SWEEP_FACTS];

/* Do the sweeps differ in this fact? Not where one does not tell it, as those of older versions. */
bool mg_compare_differs(const mg_compare *c, int fact);

/* Sentences: what differs beyond the spread, and how much of it chance explains. */
void mg_compare_say(mg_text *t, const mg_compare *c);

/* Sentences on what else differs between the sweeps; nothing if nothing does. */
void mg_compare_say_facts(mg_text *t, const mg_compare *c);

void mg_compare_markdown(mg_text *t, const mg_compare *c);
void mg_compare_csv(mg_text *t, const mg_compare *c);
mg_status mg_compare_json(mg_text *t, const mg_compare *c);

/* `svg` NULL: there is no plot, for this reason. */
mg_status mg_compare_page(mg_text *t, const mg_compare *c, const char *svg, const char *reason);

/* The page at `path`; compare.md, .csv and .json, and plots/compare.*, in the folder B. */
mg_status mg_report_compare(const char *a, const char *b, const char *path);

#endif
