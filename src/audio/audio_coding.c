#include "audio_coding.h"

#include <math.h>
#include <stdio.h>

/* Opus: libsndfile's level is linear from 256 to 6 kbit/s a channel. */
enum { OPUS_MOST = 256, OPUS_LEAST = 6, OPUS_USUAL = 96 };

/* MP3 has these constant rates, by the version of MPEG that the sampling rate takes. */
typedef struct mp3_rates {
    int64_t least_hz;
    int kbps[15];
} mp3_rates;

static const mp3_rates mp3[] = {
    {32000, {32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}},
    {16000, {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}},
    {0, {8, 16, 24, 32, 40, 48, 56, 64}},
};

static const int *mp3_rates_of(int64_t rate_hz)
{
    int i = 0;

    while (rate_hz < mp3[i].least_hz) i++;
    return mp3[i].kbps;
}

/* libsndfile's level is linear from the most to the least of a list; LAME takes the nearest in it. */
static double mp3_level(int64_t kbps, int64_t rate_hz)
{
    const int *rates = mp3_rates_of(rate_hz);
    int n = 0;

    while (rates[n]) n++;
    return (double)(rates[n - 1] - kbps) / (rates[n - 1] - rates[0]);
}

double mg_audio_coding_level(const mg_audio_coding *c, int64_t rate_hz, int64_t n_channels)
{
    const double quality_level = 1 - c->quality / 10;

    switch (c->format) {
    case MG_AUDIO_OGG: return c->has_quality ? quality_level : NAN;
    case MG_AUDIO_OPUS:
        return (OPUS_MOST -
                (c->bitrate_kbps > 0 ? (double)c->bitrate_kbps / (double)n_channels : OPUS_USUAL)) /
               (OPUS_MOST - OPUS_LEAST);
    case MG_AUDIO_MP3:
        if (c->has_quality) return quality_level;
        return c->bitrate_kbps > 0 ? mp3_level(c->bitrate_kbps, rate_hz) : 0;
    default: return NAN;
    }
}

static mg_status check_mp3(int64_t kbps, int64_t rate_hz)
{
    const int *rates = mp3_rates_of(rate_hz);
    char all[100] = "";
    size_t n = 0;

    for (int i = 0; rates[i]; i++) {
        if (rates[i] == kbps) return MG_OK;
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%d", i ? ", " : "", rates[i]);
    }
    return mg_fail(MG_EUSAGE, "option --bitrate: %lld: mp3 at %lld Hz has %s", (long long)kbps,
                   (long long)rate_hz, all);
}

mg_status mg_audio_coding_check_rates(const mg_audio_coding *c, const char *word, int64_t rate_hz,
                                      int64_t n_channels)
{
    const bool is_mp3 = c->format == MG_AUDIO_MP3, is_opus = c->format == MG_AUDIO_OPUS;

    if (c->bitrate_kbps > 0 && !is_mp3 && !is_opus)
        return mg_fail(MG_EUSAGE, "option --bitrate: goes with --format mp3 and opus, not %s%s", word,
                       c->format == MG_AUDIO_OGG ? ", which has --quality" : "");
    if (c->has_quality && !is_mp3 && c->format != MG_AUDIO_OGG)
        return mg_fail(MG_EUSAGE, "option --quality: goes with --format ogg and mp3, not %s%s", word,
                       is_opus ? ", which has --bitrate" : "");
    if (c->has_quality && c->bitrate_kbps > 0)
        return mg_fail(MG_EUSAGE,
                       "options --bitrate and --quality: a constant and a variable rate; give one");
    if (c->bitrate_kbps <= 0) return MG_OK;
    if (is_mp3) return check_mp3(c->bitrate_kbps, rate_hz);
    if (c->bitrate_kbps >= OPUS_LEAST * n_channels && c->bitrate_kbps <= OPUS_MOST * n_channels) return MG_OK;
    return mg_fail(MG_EUSAGE, "option --bitrate: %lld: opus with %lld channel%s has %lld to %lld",
                   (long long)c->bitrate_kbps, (long long)n_channels, n_channels == 1 ? "" : "s",
                   (long long)(OPUS_LEAST * n_channels), (long long)(OPUS_MOST * n_channels));
}
