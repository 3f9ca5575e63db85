#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "text.h"

static void add_line(mg_figures *r, const char *name, const char *value, bool is_number)
{
    if (mg_grow(&r->line, &r->capacity, r->n_lines + 1, sizeof *r->line, "bench") != MG_OK) {
        mg_clear_error();
        r->is_short = true;
        return;
    }
    (void)snprintf(r->line[r->n_lines].name, sizeof r->line[0].name, "%s", name);
    r->line[r->n_lines].value = strdup(value);
    r->line[r->n_lines++].is_number = is_number;
}

void mg_figures_text(mg_figures *r, const char *name, const char *value)
{
    add_line(r, name, value, false);
}

void mg_figures_int(mg_figures *r, const char *name, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    add_line(r, name, text, true);
}

void mg_figures_number(mg_figures *r, const char *name, double value, int n_decimals)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.*f", n_decimals, value);
    add_line(r, name, text, true);
}

double mg_figures_value(const mg_figures *r, const char *name)
{
    for (size_t i = 0; i < r->n_lines; i++)
        if (strcmp(r->line[i].name, name) == 0 && r->line[i].value) return strtod(r->line[i].value, NULL);
    return 0;
}

mg_status mg_figures_print(const mg_figures *r, FILE *to, bool json)
{
    mg_text t = {0};
    mg_status st = MG_OK;

    if (r->is_short) MG_TRY(mg_fail(MG_ENOMEM, "bench: no memory for all figures"));
    for (size_t i = 0; i < r->n_lines; i++) {
        const char *value = r->line[i].value;
        if (!value) MG_TRY(mg_fail(MG_ENOMEM, "bench: %s: no memory", r->line[i].name));
        const bool is_none = r->line[i].is_number && strchr(value, 'n'); /* nan and inf */
        if (!json) {
            mg_text_format(&t, "%-20s %s\n", r->line[i].name, is_none ? "-" : value);
            continue;
        }
        mg_text_format(&t, "%s\"%s\": ", i ? ", " : "{", r->line[i].name);
        if (r->line[i].is_number)
            mg_text_add(&t, is_none ? "null" : value);
        else
            mg_text_quote(&t, value);
    }
    if (json) mg_text_add(&t, "}\n");
    MG_TRY(mg_text_check(&t, "report"));
    (void)fwrite(t.data, 1, t.n, to);
    (void)fflush(to);
done:
    mg_text_reset(&t);
    return st;
}

void mg_figures_reset(mg_figures *r)
{
    for (size_t i = 0; i < r->n_lines; i++) free(r->line[i].value);
    free(r->line);
    *r = (mg_figures){0};
}
