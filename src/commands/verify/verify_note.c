#include <stdarg.h>
#include <stdio.h>

#include "verify.h"

void mg_verify_note(mg_verify *v, const char *name, mg_verify_outcome outcome, const char *format, ...)
{
    va_list args;

    if (v->n_checks == MG_VERIFY_CHECKS) return;
    v->check[v->n_checks].name = name;
    v->check[v->n_checks].outcome = outcome;
    va_start(args, format);
    vsnprintf(v->check[v->n_checks].text, MG_VERIFY_TEXT, format, args);
    va_end(args);
    v->n_checks++;
}
