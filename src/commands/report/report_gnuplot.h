/* Plots drawn by gnuplot. Its scripts hold their data and stay, for whoever wants them otherwise. */
#ifndef MG_REPORT_GNUPLOT_H
#define MG_REPORT_GNUPLOT_H

#include "text.h"

/* What is drawn: gnuplot's commands, but for the terminal. */
typedef void mg_plot_put(mg_text *t, const void *arg);

/* FOLDER/NAME.gp, .svg and .pdf. *drawn is false, with the reason, if they cannot be drawn. MG_EFAIL if the
 * folder cannot be written. */
mg_status mg_report_plot(const char *folder, const char *name, mg_plot_put *put, const void *arg, bool *drawn,
                         char reason[160]);

#endif
