/* Time that only goes forward. */
#ifndef MG_CLOCK_H
#define MG_CLOCK_H

#include <stdint.h>

/* Seconds since an arbitrary start, CLOCK_MONOTONIC. */
double mg_clock_s(void);

#endif
