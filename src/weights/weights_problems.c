/* What a survey found wrong, collected and told at once. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights.h"

enum { PROBLEM_SIZE = 1024 };

void mg_weights_problem(mg_weights *w, const char *format, ...)
{
    char line[PROBLEM_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    w->n_problems++;
    mg_text_format(&w->problems, "%s%s", w->problems.n ? "\n" : "",
                   line); /* if it fails, the count still does */
}

mg_status mg_weights_check_survey(const mg_weights *w)
{
    static const char format[] = "checkpoint: %d tensor%s missing or wrong:\n%.*s%s";
    const char *problems = w->problems.n ? w->problems.data : "", *plural = w->n_problems == 1 ? "" : "s";
    const size_t all = strlen(problems);
    char more[32];
    int n_told = 1;

    if (!w->n_problems) return MG_OK;
    const mg_status st = mg_fail(MG_ECHECKPOINT, format, w->n_problems, plural, (int)all, problems, "");
    const char *list = strchr(mg_last_error(), '\n');
    size_t kept = list ? strlen(list + 1) : 0;
    if (kept == all) return st;

    /* A message has only so much room: end on a whole line and count the rest. */
    kept = kept > sizeof more ? kept - sizeof more : 0;
    while (kept && problems[kept] != '\n') kept--;
    for (size_t i = 0; i < kept; i++) n_told += problems[i] == '\n';
    snprintf(more, sizeof more, "\n... and %d more", w->n_problems - n_told);
    return mg_fail(MG_ECHECKPOINT, format, w->n_problems, plural, (int)kept, problems, more);
}
