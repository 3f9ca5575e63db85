#include <stdarg.h>
#include <stdio.h>

#include "show.h"
#include "verify.h"

void mg_verify_note(mg_verify *v, const char *name, mg_verify_outcome outcome, const char *format, ...)
{
    va_list args;

    if (v->n_checks == MG_VERIFY_CHECKS) return;
    v->check[v->n_checks].name = name;
    v->check[v->n_checks].outcome = outcome;
    va_start(args, format);
    mg_show_vformat(v->check[v->n_checks].text, MG_VERIFY_TEXT, format, args);
    va_end(args);
    v->n_checks++;
}

void mg_verify_note_error(mg_verify *v, const char *name)
{
    if (v->n_checks == MG_VERIFY_CHECKS) return;
    mg_verify_note(v, name, MG_VERIFY_FAILED, "%s", "");
    snprintf(v->check[v->n_checks - 1].text, MG_VERIFY_TEXT, "%s", mg_last_error());
}
