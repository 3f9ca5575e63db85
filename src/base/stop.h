/* SIGINT and SIGTERM become a flag that long work looks at. The second SIGINT ends the process at once. */
#ifndef MG_STOP_H
#define MG_STOP_H

#include <stdbool.h>

#include "status.h"

/* Install the handlers. Once, from main.c. */
void mg_stop_begin(void);

bool mg_stop_requested(void);

/* MG_OK, or MG_ESTOPPED with its message if a signal asked us to stop. */
mg_status mg_stop_check(void);

#endif
