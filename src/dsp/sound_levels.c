#include "sound_levels.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "loudness.h"

/* A value between two samples is a sum over REACH of them on each side: a sinc under Hann's window. */
enum { PHASES = 4, REACH = 12, N_TAPS = 2 * REACH, BLOCK = 256 };
static const float silent_below = 1e-3f;

typedef struct interpolator {
    float tap[PHASES - 1][N_TAPS];
} interpolator;

/* x(n + p/PHASES) = sum over k of tap[p-1][k] x[n + k - (REACH-1)] */
static void make_taps(interpolator *f)
{
    for (int p = 1; p < PHASES; p++)
        for (int k = 0; k < N_TAPS; k++) {
            const double t = k - (REACH - 1) - (double)p / PHASES;
            f->tap[p - 1][k] = (float)(sin(M_PI * t) / (M_PI * t) * 0.5 * (1 + cos(M_PI * t / REACH)));
        }
}

/* Samples first … first + n of a channel; nothing is before or behind the sound. */
static void take_channel(float *to, const mg_sound *s, int64_t c, int64_t first, int64_t n)
{
    memset(to, 0, (size_t)n * sizeof *to);
    for (int64_t i = first < 0 ? -first : 0; i < n && first + i < s->n_frames; i++)
        to[i] = s->pcm[(first + i) * s->n_channels + c];
}

static float peak_between(const interpolator *f, const mg_sound *s, int64_t c)
{
    float x[BLOCK + N_TAPS], y[BLOCK], most = 0;

    for (int64_t first = -REACH; first < s->n_frames; first += BLOCK) {
        take_channel(x, s, c, first - (REACH - 1), BLOCK + N_TAPS);
        for (int p = 0; p < PHASES - 1; p++) {
            memset(y, 0, sizeof y);
            for (int k = 0; k < N_TAPS; k++)
                for (int i = 0; i < BLOCK; i++) y[i] += f->tap[p][k] * x[i + k];
            for (int i = 0; i < BLOCK; i++) most = fmaxf(most, fabsf(y[i]));
        }
    }
    return most;
}

static double to_db(float amplitude)
{
    return 20 * log10((double)amplitude);
}

static bool is_silent(const mg_sound *s, int64_t frame)
{
    for (int64_t c = 0; c < s->n_channels; c++)
        if (fabsf(s->pcm[frame * s->n_channels + c]) > silent_below) return false;
    return true;
}

mg_status mg_sound_measure(mg_sound_levels *out, const mg_sound *s)
{
    const int64_t n = s->n_frames * s->n_channels;
    int64_t n_start = 0, n_end = 0;
    float sample_peak = 0, true_peak;
    interpolator f;

    *out = (mg_sound_levels){.loudness_lufs = NAN};
    MG_REQUIRE(s->rate_hz > 0 && s->n_channels >= 1);
    MG_RETURN(mg_loudness_standard(&out->loudness_lufs, s));
    for (int64_t i = 0; i < n; i++) {
        sample_peak = fmaxf(sample_peak, fabsf(s->pcm[i]));
        out->n_over += fabsf(s->pcm[i]) > 1;
    }
    make_taps(&f);
    true_peak = sample_peak;
    for (int64_t c = 0; c < s->n_channels; c++) true_peak = fmaxf(true_peak, peak_between(&f, s, c));
    out->sample_peak_dbfs = to_db(sample_peak);
    out->true_peak_dbtp = to_db(true_peak);
    while (n_start < s->n_frames && is_silent(s, n_start)) n_start++;
    while (n_end < s->n_frames && is_silent(s, s->n_frames - 1 - n_end)) n_end++;
    out->silence_start_s = (double)n_start / (double)s->rate_hz;
    out->silence_end_s = (double)n_end / (double)s->rate_hz;
    return MG_OK;
}
