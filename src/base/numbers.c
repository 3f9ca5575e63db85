#include "numbers.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void mg_numbers_sort(double *list, int64_t n)
{
    if (n > 0) qsort(list, (size_t)n, sizeof *list, ascending);
}

double mg_numbers_median(double *list, int64_t n)
{
    mg_numbers_sort(list, n);
    return (list[(n - 1) / 2] + list[n / 2]) / 2;
}
