/* Lists of measured numbers: all of them are NaN, or none. */
#ifndef MG_NUMBERS_H
#define MG_NUMBERS_H

#include <stdint.h>

void mg_numbers_sort(double *list, int64_t n); /* ascending */

/* Of n >= 1 numbers the one in the middle, or the mean of the two that are. Sorts them. */
double mg_numbers_median(double *list, int64_t n);

#endif
