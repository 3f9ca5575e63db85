/* Plots drawn by gnuplot. Its scripts hold their data and stay, for whoever wants them otherwise. */
#ifndef MG_REPORT_GNUPLOT_H
#define MG_REPORT_GNUPLOT_H

#include "text.h"

/* What is drawn: gnuplot's commands, but for the terminal. */
typedef void mg_plot_put(mg_text *t, const void *arg);

/* Names below the columns of a plot, readable however many they are. */
void mg_plot_names(mg_text *t, size_t n);

/* Ticks of a logarithmic axis ("x", "y") from `low` to `high`: 1, 2 and 5 of each power of ten. */
void mg_plot_log_ticks(mg_text *t, const char *axis, double low, double high);

/* The remedy for a file in the way of one whose name is not to be chosen. */
#define MG_REPORT_AWAY "move it away, or it would be replaced"

/* MG_EUSAGE if there is a file of such a plot, and it is not ours. */
mg_status mg_report_plot_check(const char *folder, const char *name, bool ours);

/* FOLDER/NAME.gp, .svg and .pdf, wide enough for n_columns names. *drawn is false, with the reason, if they
 * cannot be drawn. MG_EFAIL if the folder cannot be written. */
mg_status mg_report_plot(const char *folder, const char *name, mg_plot_put *put, const void *arg,
                         size_t n_columns, bool *drawn, char reason[160]);

#endif
