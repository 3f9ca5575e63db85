/* A line for each damage of a dataset, printed as it is found. */
#include <stdarg.h>
#include <stdio.h>

#include "show.h"
#include "verify_dataset.h"

void mg_verify_account_add(mg_verify_account *a, bool is_fault, const char *format, ...)
{
    mg_text t = {0};
    va_list args;
    char *text;

    va_start(args, format);
    mg_text_vshow(&t, format, args);
    va_end(args);
    a->n_damaged += is_fault;
    if (mg_text_end(&t, &text, "verify") != MG_OK ||
        mg_grow(&a->line, &a->capacity, a->n + 1, sizeof *a->line, "verify") != MG_OK) {
        a->failed = true;
        return;
    }
    a->line[a->n++] = text;
    if (a->settings->json) return;
    fputs(text, stdout); /* fit to be shown */
    fputs("\n", stdout);
    fflush(stdout);
}
