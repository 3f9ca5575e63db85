/* How every fallible function reports: a status code up, one sentence at the origin.
 *
 * The place that discovers a fault calls `return mg_fail(code, "noun: value: reason and remedy")`.
 * Nobody above adds to it or repeats it. An owning function ends in one label, `done:`. */
#ifndef MG_STATUS_H
#define MG_STATUS_H

#include <stdbool.h>

typedef enum mg_status {
    MG_OK = 0,
    MG_EFAIL,       /* a run-time error: a file, the system */
    MG_EUSAGE,      /* what the user asked for makes no sense */
    MG_EPARTIAL,    /* finished, but some jobs failed */
    MG_ECHECKPOINT, /* a bad checkpoint or config */
    MG_EFIT,        /* does not fit in memory, or no such device */
    MG_ECOMM,       /* another rank failed or left */
    MG_ESTOPPED,    /* a signal asked us to stop */
    MG_EUNFINISHED, /* stopped early in good order: the same command goes on */
    MG_EBUG,        /* a broken contract: our fault */
    MG_ENOMEM,
    MG_EDEVICE, /* the device failed, and nothing that is asked of it will succeed */
} mg_status;

/* Record the message (printf style, one sentence, no newline) for this thread and return `code`. Control
 * characters of %s arguments are escaped (show.h). */
mg_status mg_fail(mg_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a text of several lines that is already fit to be shown (show.h). Copied; not mg_last_error().
 */
mg_status mg_fail_text(mg_status code, const char *text);

/* The message of this thread's last mg_fail; "" if there was none. Borrowed until the next mg_fail. */
const char *mg_last_error(void);

/* Forget the message (tests, and a fault that was handled). */
void mg_clear_error(void);

/* An error as a value: how it travels from the thread that found it to another, or stays with the one clip
 * that it is of. A longer message is cut, between two characters. */
typedef struct mg_fault {
    mg_status st;
    char text[480];
} mg_fault;

/* `st` with this thread's message, which is forgotten here; no fault, {MG_OK, ""}, if st is MG_OK. */
mg_fault mg_fault_take(mg_status st);

/* Record the fault's message for this thread, as mg_fail does, and return its status. */
mg_status mg_fault_raise(const mg_fault *f);

/* No clip's own fault: the next one would meet it too, so it is the end of the run and marks no clip. */
bool mg_status_is_common(mg_status st);

/* A stop that was asked for, whether or not the same command goes on. */
bool mg_status_is_stop(mg_status st);

/* The process exit code for a status: 0 1 2 3 4 5 6, 75 for MG_EUNFINISHED, 130 for MG_ESTOPPED. Used by
 * main.c alone. */
int mg_exit_code(mg_status st);

/* Inside an owning function that has `mg_status st` and a label `done:`. */
#define MG_TRY(call)                \
    do {                            \
        st = (call);                \
        if (st != MG_OK) goto done; \
    } while (0)

/* In a function that owns nothing yet: hand the status up. */
#define MG_RETURN(call)               \
    do {                              \
        const mg_status st_ = (call); \
        if (st_ != MG_OK) return st_; \
    } while (0)

/* A contract at a front door. On in release builds: NDEBUG never changes behaviour. */
#define MG_REQUIRE(cond)                                                 \
    do {                                                                 \
        if (!(cond)) return mg_fail(MG_EBUG, "%s: %s", __func__, #cond); \
    } while (0)

#endif
