/* Of two numbers, and of many. */
#ifndef MG_NUMBERS_H
#define MG_NUMBERS_H

#include <stdint.h>

static inline int64_t mg_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t mg_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Ascending. Of a list all are NaN, or none. */
void mg_numbers_sort(double *list, int64_t n);

/* Of n >= 1 numbers the one in the middle, or the mean of the two that are. Sorts them. */
double mg_numbers_median(double *list, int64_t n);

#endif
