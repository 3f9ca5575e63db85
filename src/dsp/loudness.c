/* After torchaudio 2.5 (functional.loudness, treble_biquad, highpass_biquad) and after ITU-R BS.1770-4, in
 * doubles: the same gates, other filters.
 *
 * By hand: --strategy loudness must give AudioCraft's level, and libebur128 1.2.6 is up to 1.9 dB from
 * torchaudio on the recorded clips. With a meter here, the standard's filters are twenty lines more. */
#include "loudness.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAX_CHANNELS = 5, LEAST_RATE_HZ = 4000 }; /* below it the shelf lies beyond what the rate holds */
static const double channel_weight[MAX_CHANNELS] = {1, 1, 1, 1.41, 1.41};
static const double bias = -0.691, silent_below = -70, relative_gate = -10;

typedef struct biquad {
    double b[3], a[2]; /* divided by a0 */
    double x[2], y[2]; /* what went in and came out last */
} biquad;

/* What a channel passes through; each stage is cut to ±limit. */
typedef struct weighting {
    biquad shelf, pass;
    double limit;
} weighting;

static biquad make_biquad(double b0, double b1, double b2, double a0, double a1, double a2)
{
    return (biquad){.b = {b0 / a0, b1 / a0, b2 / a0}, .a = {a1 / a0, a2 / a0}};
}

/* 4 dB more above 1500 Hz. */
static biquad torchaudio_shelf(double rate_hz)
{
    const double w = 2 * M_PI * 1500 / rate_hz, alpha = sin(w) / (2 * M_SQRT1_2), A = pow(10, 4.0 / 40);
    const double t1 = 2 * sqrt(A) * alpha, t2 = (A - 1) * cos(w), t3 = (A + 1) * cos(w);

    return make_biquad(A * (A + 1 + t2 + t1), -2 * A * (A - 1 + t3), A * (A + 1 + t2 - t1), A + 1 - t2 + t1,
                       2 * (A - 1 - t3), A + 1 - t2 - t1);
}

/* Nothing below 38 Hz. */
static biquad torchaudio_pass(double rate_hz)
{
    const double w = 2 * M_PI * 38 / rate_hz, alpha = sin(w) / (2 * 0.5), c = cos(w);

    return make_biquad((1 + c) / 2, -1 - c, (1 + c) / 2, 1 + alpha, -2 * c, 1 - alpha);
}

/* The standard has tables for 48 kHz. These are their analogue prototypes, which give the tables back there
 * and serve any rate: frequency, gain and Q as libebur128 and pyloudnorm have them. */
static biquad standard_shelf(double rate_hz)
{
    const double K = tan(M_PI * 1681.974450955533 / rate_hz), Q = 0.7071752369554196;
    const double V = pow(10, 3.999843853973347 / 20), V_band = pow(V, 0.4996667741545416);

    return make_biquad(V + V_band * K / Q + K * K, 2 * (K * K - V), V - V_band * K / Q + K * K,
                       1 + K / Q + K * K, 2 * (K * K - 1), 1 - K / Q + K * K);
}

/* Its numerator is 1 -2 1, not divided: the gain above is 1 but for a hair. */
static biquad standard_pass(double rate_hz)
{
    const double K = tan(M_PI * 38.13547087602444 / rate_hz), Q = 0.5003270373238773;
    const double a0 = 1 + K / Q + K * K;

    return make_biquad(a0, -2 * a0, a0, a0, 2 * (K * K - 1), 1 - K / Q + K * K);
}

static weighting make_weighting(bool as_torchaudio, double rate_hz)
{
    if (as_torchaudio) return (weighting){torchaudio_shelf(rate_hz), torchaudio_pass(rate_hz), 1};
    return (weighting){standard_shelf(rate_hz), standard_pass(rate_hz), INFINITY};
}

/* What comes out is cut; what the filter remembers is not. */
static double filter(biquad *f, double x, double limit)
{
    const double y =
        f->b[0] * x + f->b[1] * f->x[0] + f->b[2] * f->x[1] - f->a[0] * f->y[0] - f->a[1] * f->y[1];

    f->x[1] = f->x[0], f->x[0] = x;
    f->y[1] = f->y[0], f->y[0] = y;
    return fmin(fmax(y, -limit), limit);
}

/* energy [n_blocks]: the mean square of channel c in each block, filtered. */
static void measure_blocks(double *energy, int64_t n_blocks, int64_t block, int64_t hop, const mg_sound *s,
                           int64_t c, weighting w)
{
    int64_t n_begun = 0, n_ended = 0;
    double sum = 0;

    for (int64_t n = 0; n_ended < n_blocks; n++) {
        if (n_begun < n_blocks && n == n_begun * hop) energy[n_begun++] = sum;
        const double x = filter(&w.shelf, (double)s->pcm[n * s->n_channels + c], w.limit);
        const double y = filter(&w.pass, x, w.limit);
        sum += y * y;
        if (n + 1 == n_ended * hop + block) {
            energy[n_ended] = (sum - energy[n_ended]) / (double)block;
            n_ended++;
        }
    }
}

static double loudness_of(double weighted_energy)
{
    return bias + 10 * log10(weighted_energy);
}

/* The loudness of the mean energy of the blocks louder than the gate; NaN if there is none. */
static double gated(const double *weighted, int64_t n_blocks, double gate)
{
    double sum = 0;
    int64_t n = 0;

    for (int64_t i = 0; i < n_blocks; i++)
        if (loudness_of(weighted[i]) > gate) sum += weighted[i], n++;
    return n > 0 ? loudness_of(sum / (double)n) : NAN;
}

static mg_status measure(double *lufs, const mg_sound *s, bool as_torchaudio)
{
    *lufs = NAN;
    MG_REQUIRE(s->rate_hz > 0 && s->n_channels >= 1 && s->n_channels <= MAX_CHANNELS);
    const int64_t block = llrint(0.4 * (double)s->rate_hz), hop = llrint(0.25 * (double)block);
    if (s->rate_hz < LEAST_RATE_HZ || s->n_frames < block) return MG_OK;
    const int64_t n_blocks = (s->n_frames - block) / hop + 1;
    double *weighted = calloc((size_t)(2 * n_blocks), sizeof *weighted), *energy = weighted + n_blocks;

    if (!weighted) return mg_fail(MG_ENOMEM, "loudness: no memory for %lld blocks", (long long)n_blocks);
    for (int64_t c = 0; c < s->n_channels; c++) {
        measure_blocks(energy, n_blocks, block, hop, s, c, make_weighting(as_torchaudio, (double)s->rate_hz));
        for (int64_t i = 0; i < n_blocks; i++) weighted[i] += channel_weight[c] * energy[i];
    }
    const double relative = gated(weighted, n_blocks, silent_below) + relative_gate;
    *lufs = gated(weighted, n_blocks, fmax(silent_below, relative));
    free(weighted);
    return MG_OK;
}

mg_status mg_loudness(double *lufs, const mg_sound *s)
{
    return measure(lufs, s, true);
}

mg_status mg_loudness_standard(double *lufs, const mg_sound *s)
{
    return measure(lufs, s, false);
}
