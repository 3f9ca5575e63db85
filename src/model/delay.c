/* The delay pattern, in closed form: codebook k of column j holds frame j - 1 - delay(k). */
#include "delay.h"

static int64_t n_delays(const mg_delay *d)
{
    return d->K / d->n_channels;
}

static int64_t delay_of(const mg_delay *d, int64_t k)
{
    return k / d->n_channels;
}

int64_t mg_delay_columns(const mg_delay *d, int64_t T)
{
    return T + n_delays(d);
}

int64_t mg_delay_frame(const mg_delay *d, int64_t T, int64_t k, int64_t j)
{
    const int64_t t = j - 1 - delay_of(d, k);

    return t >= 0 && t < T ? t : -1;
}
