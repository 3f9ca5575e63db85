/* What a survey found wrong, collected and told at once. */
#include <stdarg.h>

#include "lines.h"
#include "log.h"
#include "weights.h"

void mg_weights_problem(mg_weights *w, const char *format, ...)
{
    va_list args;

    w->n_problems++; /* if the text below fails, this still does */
    if (w->problems.n) mg_text_add(&w->problems, "\n");
    va_start(args, format);
    mg_text_vshow(&w->problems, format, args);
    va_end(args);
}

mg_status mg_weights_check_survey(const mg_weights *w)
{
    const char *problems = w->problems.data ? w->problems.data : "";
    mg_text t = {0};

    if (!w->n_problems) return MG_OK;
    if (w->n_problems > MG_LINES_MOST) mg_log_detail_text(problems);
    mg_text_format(&t, "checkpoint: %d tensor%s missing or wrong:\n", w->n_problems,
                   w->n_problems == 1 ? "" : "s");
    mg_status st = mg_lines_group(&t, problems, MG_LINES_MOST);
    if (st == MG_OK) st = mg_text_fail(&t, MG_ECHECKPOINT);
    mg_text_reset(&t);
    return st;
}
