/* mg-dist report of a sweep (bench scaling): a page, a Markdown table, and its plots as SVG and PDF.
 * report_scaling_sweep.c makes figures of the lines, report_scaling_predict.c says what they should be.
 * report_scaling_plot.c has gnuplot draw, report_scaling_say.c says what a plot shows, report_scaling.c
 * writes the page. */
#ifndef MG_REPORT_SCALING_H
#define MG_REPORT_SCALING_H

#include "scaling_results.h"

/* Of a figure over the repeats: the spread is real. */
typedef struct mg_sweep_spread {
    double low, mid, high;
} mg_sweep_spread;

/* A point that was measured; those of the sweep stand in the order of np, tp, batch. */
typedef struct mg_sweep_point {
    mg_scaling_point at;
    char name[64];
    int64_t n_repeats;
    double width, n_threads; /* processors or GPUs of all its ranks; threads of a rank; NaN: not told */
    mg_sweep_spread step_ms, rate, clip_s, fraction; /* rate: seconds of audio a second */
    double part_ms[MG_SCALING_PARTS], split_ms;      /* of the repeat of the median split; NaN: not split */
    double bare_ms; /* of the calls that part_ms[MG_SCALING_ALL_REDUCE] has in a step; NaN: not told */
    mg_sweep_spread first_s, last_s; /* till the first and the last clip of a batch is sound; NaN: not told */
    double joules_s;                 /* a second of sound; NaN: not told */
    double predicted_ms;             /* the step, from other points; NaN: they do not tell enough */
    const mg_scaling_sizes *sizes;
    const char *dtype;
    const char *codes, *binding; /* binding: of the last repeat; NULL: not told */
} mg_sweep_point;

typedef struct mg_sweep {
    mg_scaling_results results;
    mg_sweep_point *point;
    size_t n;
    int64_t least_batch;
} mg_sweep;

enum mg_sweep_plot {
    MG_SWEEP_SPEEDUP,
    MG_SWEEP_FRONT,
    MG_SWEEP_PARTS,
    MG_SWEEP_FLOOR,
    MG_SWEEP_PREDICTED,
    MG_SWEEP_PLOTS
};

/* The lines of DIR; *s is zeroed before. MG_EFAIL if no point was measured. */
mg_status mg_sweep_gather(mg_sweep *s, const char *dir);
void mg_sweep_close(mg_sweep *s);

/* The order of points: by np, tp, batch. 0: the same point. */
int mg_sweep_order(const mg_scaling_point *p, const mg_scaling_point *q);

/* Does this line count: measured, and not superseded? */
bool mg_sweep_counts(const mg_sweep *s, const mg_scaling_result *line);

/* What the lines say of how they were measured. */
enum mg_sweep_fact {
    MG_SWEEP_SHAPE,
    MG_SWEEP_DTYPE,
    MG_SWEEP_BACKEND,
    MG_SWEEP_DEVICE,
    MG_SWEEP_HOST,
    MG_SWEEP_VERSION,
    MG_SWEEP_CLIP,
    MG_SWEEP_SETTINGS,
    MG_SWEEP_FACTS
};

/* All that the lines that count say of it, each once, in their order, joined by "; ". How many that are: a
 * sweep that went on elsewhere has two hosts, and maybe two devices. */
int mg_sweep_facts(mg_text *t, const mg_sweep *s, enum mg_sweep_fact fact);

/* Sums over ranks and waiting for them, as a part of the step; NaN: not split. */
double mg_sweep_sums_share(const mg_sweep_point *p);

/* predicted_ms of all points. */
void mg_sweep_predict(mg_sweep *s);

/* Is there anything to draw? */
bool mg_sweep_has_plot(const mg_sweep *s, enum mg_sweep_plot plot);

/* Does any point tell its energy? */
bool mg_sweep_tells_energy(const mg_sweep *s);

/* Have all repeats of all points the same codes? */
bool mg_sweep_codes_agree(const mg_sweep *s);

/* Points that belong to a curve: one replica, whose T grows (np = T), or replicas of the least T, at the
 * least batch. The first is its base. */
size_t mg_sweep_strong(const mg_sweep *s, const mg_sweep_point **out, size_t most);
size_t mg_sweep_replicas(const mg_sweep *s, const mg_sweep_point **out, size_t most);

/* Is no other point both faster and of a higher rate? */
bool mg_sweep_on_front(const mg_sweep *s, const mg_sweep_point *p);

/* Has a rank as many threads at every point? Not told counts as the same. */
bool mg_sweep_threads_agree(const mg_sweep *s);

/* Two sentences under a plot, computed. */
void mg_sweep_say(mg_text *t, const mg_sweep *s, enum mg_sweep_plot plot);

/* DIR/plots/NAME.gp, .svg and .pdf. False, with the reason, if they cannot be drawn; MG_EFAIL if the folder
 * cannot be written. */
mg_status mg_sweep_check_plots(const char *dir, bool ours); /* as mg_report_plot_check */
mg_status mg_sweep_draw(const mg_sweep *s, const char *dir, bool *drawn, char reason[160]);
extern const char *const mg_sweep_plot_name[MG_SWEEP_PLOTS];

/* The page for DIR, at `path`; report.md and plots/ beside the results. */
mg_status mg_report_scaling(const char *dir, const char *path);

#endif
