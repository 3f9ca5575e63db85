/* After AudioCraft 1.3 (modules/chroma.py, ChromaExtractor) and transformers 4.46
 * (MusicgenMelodyFeatureExtractor); the filterbank is librosa's filters.chroma with tuning 0. Samples and
 * powers are floats as there, sums are doubles. */
#include "chroma.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>

enum { WINDOW = 16384, BINS = WINDOW / 2 + 1, MAX_CHROMA = 256 };

struct mg_chroma {
    int64_t n_chroma;
    float *filters;         /* [n_chroma, BINS] */
    float *window;          /* [WINDOW] periodic Hann, its sum of squares 1 */
    float *frame;           /* [WINDOW] */
    float *power;           /* [BINS] */
    kiss_fft_cpx *spectrum; /* [BINS] */
    kiss_fftr_cfg transform;
};

static void make_window(float *window)
{
    const double scale = 1 / sqrt(WINDOW * 0.375); /* 0.375: the mean of a squared Hann window */

    for (int i = 0; i < WINDOW; i++) window[i] = (float)(scale * (0.5 - 0.5 * cos(2 * M_PI * i / WINDOW)));
}

/* Pitch of a bin of the transform, in steps of 1 / n_chroma octave above 27.5 Hz. */
static double pitch(int64_t bin, double rate_hz, double n_chroma)
{
    return n_chroma * log2((double)bin * rate_hz / WINDOW / 27.5);
}

/* How much bin j counts for each pitch class: a bell around it, as wide as the bin, of length 1 over all
 * classes, and a wide bell around octave 5. Row 0 is C. */
static void make_filters(float *filters, int64_t n_chroma, int64_t rate_hz)
{
    const double n = (double)n_chroma, half = nearbyint(n / 2), rate = (double)rate_hz;
    const int64_t a_to_c = 3 * (n_chroma / 12);

    for (int64_t j = 0; j < BINS; j++) {
        const double here = j > 0 ? pitch(j, rate, n) : pitch(1, rate, n) - 1.5 * n;
        const double width = fmax(pitch(j + 1, rate, n) - here, 1), octave = (here / n - 5) / 2;
        double bell[MAX_CHROMA], squares = 0;
        for (int64_t c = 0; c < n_chroma; c++) {
            const double raised = here - (double)c + half + 10 * n;
            const double distance = raised - n * floor(raised / n) - half;
            bell[c] = exp(-0.5 * pow(2 * distance / width, 2));
            squares += bell[c] * bell[c];
        }
        for (int64_t c = 0; c < n_chroma; c++)
            filters[c * BINS + j] =
                (float)(bell[(c + a_to_c) % n_chroma] / sqrt(squares) * exp(-0.5 * octave * octave));
    }
}

mg_status mg_chroma_open(mg_chroma **out, int64_t rate_hz, int64_t n_chroma)
{
    *out = NULL;
    MG_REQUIRE(rate_hz > 0 && n_chroma > 0 && n_chroma <= MAX_CHROMA);
    mg_chroma *c = calloc(1, sizeof *c);
    if (!c) return mg_fail(MG_ENOMEM, "chroma: no memory");
    c->n_chroma = n_chroma;
    c->filters = malloc((size_t)(n_chroma * BINS) * sizeof *c->filters);
    c->window = malloc(WINDOW * sizeof *c->window);
    c->frame = malloc(WINDOW * sizeof *c->frame);
    c->power = malloc(BINS * sizeof *c->power);
    c->spectrum = malloc(BINS * sizeof *c->spectrum);
    c->transform = kiss_fftr_alloc(WINDOW, 0, NULL, NULL);
    if (!c->filters || !c->window || !c->frame || !c->power || !c->spectrum || !c->transform) {
        mg_chroma_close(c);
        return mg_fail(MG_ENOMEM, "chroma: no memory for a transform of %d", WINDOW);
    }
    make_window(c->window);
    make_filters(c->filters, n_chroma, rate_hz);
    *out = c;
    return MG_OK;
}

void mg_chroma_close(mg_chroma *c)
{
    if (!c) return;
    free(c->filters);
    free(c->window);
    free(c->frame);
    free(c->power);
    free(c->spectrum);
    kiss_fftr_free(c->transform);
    free(c);
}

const float *mg_chroma_filters(const mg_chroma *c, int64_t *n_bins)
{
    *n_bins = BINS;
    return c->filters;
}

int64_t mg_chroma_count(int64_t n_samples)
{
    return 1 + (n_samples > WINDOW ? n_samples : WINDOW) / MG_CHROMA_HOP;
}

/* The windowed samples around t MG_CHROMA_HOP. A sound too short for the transform stands between zeros;
 * beyond its ends it is reflected. */
static void take_frame(mg_chroma *c, const float *pcm, int64_t n_samples, int64_t t)
{
    const int64_t n = n_samples > WINDOW ? n_samples : WINDOW, zeros = (n - n_samples) / 2;

    for (int64_t i = 0; i < WINDOW; i++) {
        int64_t at = t * MG_CHROMA_HOP - WINDOW / 2 + i;
        if (at < 0) at = -at;
        if (at >= n) at = 2 * (n - 1) - at;
        at -= zeros;
        c->frame[i] = at >= 0 && at < n_samples ? pcm[at] * c->window[i] : 0;
    }
}

static int32_t loudest(const mg_chroma *c)
{
    int32_t best = 0;
    float most = -1;
    double top = 0;
    float level[MAX_CHROMA];

    for (int64_t i = 0; i < c->n_chroma; i++) {
        double sum = 0;
        for (int64_t j = 0; j < BINS; j++) sum += (double)(c->filters[i * BINS + j] * c->power[j]);
        level[i] = (float)sum;
        top = fmax(top, level[i]);
    }
    for (int64_t i = 0; i < c->n_chroma; i++) {
        const float share = level[i] / (float)fmax(top, 1e-6);
        if (share > most) most = share, best = (int32_t)i;
    }
    return best;
}

mg_status mg_chroma_bins(mg_chroma *c, int32_t *bins, const float *pcm, int64_t n_samples)
{
    MG_REQUIRE(n_samples >= 0);
    const int64_t T = mg_chroma_count(n_samples);

    for (int64_t t = 0; t < T; t++) {
        take_frame(c, pcm, n_samples, t);
        kiss_fftr(c->transform, c->frame, c->spectrum);
        for (int64_t j = 0; j < BINS; j++)
            c->power[j] = c->spectrum[j].r * c->spectrum[j].r + c->spectrum[j].i * c->spectrum[j].i;
        bins[t] = loudest(c);
    }
    return MG_OK;
}
