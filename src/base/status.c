/* The last error of each thread, and the one table from status to exit code. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

#include "show.h"
#include "utf8.h"

enum { MESSAGE_BYTES = 128 * 1024 }; /* room for a table of every missing tensor */

static _Thread_local char last_error[MESSAGE_BYTES];

mg_status mg_fail(mg_status code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    mg_show_vformat(last_error, sizeof last_error, format, args);
    va_end(args);
    return code;
}

mg_status mg_fail_text(mg_status code, const char *text)
{
    snprintf(last_error, sizeof last_error, "%s", text);
    return code;
}

const char *mg_last_error(void)
{
    return last_error;
}

void mg_clear_error(void)
{
    last_error[0] = '\0';
}

mg_fault mg_fault_take(mg_status st)
{
    mg_fault f = {.st = st};

    if (st == MG_OK) return f;
    mg_utf8_copy(f.text, sizeof f.text, last_error);
    mg_clear_error();
    return f;
}

mg_status mg_fault_raise(const mg_fault *f)
{
    return f->st == MG_OK ? MG_OK : mg_fail_text(f->st, f->text);
}

bool mg_status_is_common(mg_status st)
{
    return st == MG_EBUG || st == MG_ENOMEM || st == MG_EDEVICE || st == MG_ECOMM || st == MG_ESTOPPED;
}

bool mg_status_is_stop(mg_status st)
{
    return st == MG_ESTOPPED || st == MG_EUNFINISHED;
}

int mg_exit_code(mg_status st)
{
    switch (st) {
    case MG_OK: return 0;
    case MG_EUSAGE: return 2;
    case MG_EPARTIAL: return 3;
    case MG_ECHECKPOINT: return 4;
    case MG_EFIT:
    case MG_ENOMEM: return 5;
    case MG_ECOMM:
    case MG_EDEVICE: return 6; /* as a rank that is lost: another start, on GPUs that work, goes on */
    case MG_ESTOPPED: return 130;
    case MG_EUNFINISHED: return 75; /* EX_TEMPFAIL */
    case MG_EFAIL:
    case MG_EBUG: return 1;
    }
    return 1;
}
