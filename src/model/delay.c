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

/* MusicgenForCausalLM.build_delay_pattern_mask (4.46). */
void mg_delay_mask(const mg_delay *d, int32_t *mask, const int32_t *ids, int64_t L0, int64_t M)
{
    const int64_t C = n_delays(d);

    for (int64_t k = 0; k < d->K; k++) {
        const int64_t c = delay_of(d, k);
        for (int64_t j = 0; j < M; j++) {
            int32_t *cell = &mask[k * M + j];
            if (M < 2 * C - 1)
                *cell = -1;
            else if (j <= c || j >= M - C + 1 + c)
                *cell = d->pad;
            else
                *cell = j - c < L0 ? ids[k * L0 + j - c] : -1;
        }
    }
}
