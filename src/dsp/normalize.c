/* After AudioCraft 1.3 (data/audio_utils.py, normalize_audio and normalize_loudness) with normalize=True. */
#include "normalize.h"

#include <math.h>

#include "loudness.h"

static const double too_quiet_rms = 2e-3;

static double from_db(double db)
{
    return pow(10, db / 20);
}

static void scale(mg_sound *s, double gain)
{
    const float g = (float)gain;

    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++) s->pcm[i] *= g;
}

/* How many samples were beyond the limit. */
static int64_t cut(mg_sound *s, double limit)
{
    const float l = (float)limit;
    int64_t n = 0;

    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++) {
        n += s->pcm[i] > l || s->pcm[i] < -l;
        s->pcm[i] = fminf(fmaxf(s->pcm[i], -l), l);
    }
    return n;
}

static double peak(const mg_sound *s)
{
    float most = 0;

    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++) most = fmaxf(most, fabsf(s->pcm[i]));
    return most;
}

static double rms(const mg_sound *s)
{
    const int64_t n = s->n_frames * s->n_channels;
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)s->pcm[i] * s->pcm[i];
    return n > 0 ? sqrt(sum / (double)n) : 0;
}

/* Of the mean over the channels. */
static double mono_rms(const mg_sound *s)
{
    const int64_t N = s->n_frames, C = s->n_channels;
    double sum = 0;

    for (int64_t n = 0; n < N; n++) {
        double frame = 0;
        for (int64_t c = 0; c < C; c++) frame += (double)s->pcm[n * C + c];
        frame /= (double)C;
        sum += frame * frame;
    }
    return N > 0 ? sqrt(sum / (double)N) : 0;
}

/* A gain that no float holds means silence: it stays as it is. */
static void scale_to(mg_sound *s, double wanted, double is)
{
    const double gain = wanted / is;

    if (isfinite((float)gain)) scale(s, gain);
}

static mg_status to_loudness(mg_sound *s, const mg_normalization *how)
{
    double lufs = NAN;

    if (rms(s) >= too_quiet_rms) MG_RETURN(mg_loudness(&lufs, s));
    if (isnan(lufs)) return MG_OK;
    scale(s, from_db(-how->loudness_headroom_db - lufs));
    for (int64_t i = 0; i < s->n_frames * s->n_channels && how->loudness_compressor; i++)
        s->pcm[i] = tanhf(s->pcm[i]);
    return MG_OK;
}

mg_status mg_normalize(int64_t *n_cut, mg_sound *s, const mg_normalization *how)
{
    *n_cut = 0;
    MG_REQUIRE(s->n_frames >= 0 && s->n_channels >= 1);
    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++)
        if (!isfinite(s->pcm[i]))
            return mg_fail(MG_EFAIL, "sound: sample %lld of channel %lld is %s",
                           (long long)(i / s->n_channels), (long long)(i % s->n_channels),
                           isnan(s->pcm[i]) ? "not a number" : "infinite");
    switch (how->strategy) {
    case MG_STRATEGY_PEAK: scale_to(s, from_db(-how->peak_headroom_db), peak(s)); break;
    case MG_STRATEGY_LOUDNESS:
        MG_RETURN(to_loudness(s, how));
        *n_cut = cut(s, 1);
        break;
    case MG_STRATEGY_RMS:
        scale_to(s, from_db(-how->rms_headroom_db), mono_rms(s));
        *n_cut = cut(s, 1);
        break;
    case MG_STRATEGY_CLIP: *n_cut = cut(s, from_db(-how->peak_headroom_db)); break;
    case MG_STRATEGY_NONE: break;
    }
    return MG_OK;
}
