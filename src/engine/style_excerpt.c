#include "style_excerpt.h"

#include <math.h>

#include "audio_file.h"
#include "resample.h"
#include "stop.h"

#define RESAMPLE_MARGIN_S 0.1 /* of a sound behind an excerpt, which resampling reads */

static int64_t count_frames(const mg_config *config, double dur_s)
{
    return (int64_t)(dur_s * (double)config->codec.sampling_rate);
}

mg_status mg_style_excerpt_find(int64_t *first, int64_t *n, const mg_config *config, const mg_clip *clip,
                                int64_t n_all)
{
    const double start_s = clip->style_start_s; /* NaN: it is the middle */

    *n = count_frames(config, clip->style_dur_s);
    *first = isnan(start_s) ? (n_all - *n) / 2 : count_frames(config, start_s);
    if (*n <= n_all && *first <= n_all - *n) return MG_OK;
    return mg_fail(MG_EFAIL,
                   "style: %s: ends after %.2f s, and the excerpt has %g s%s: give --style-duration, "
                   "--style-start (in a list style_duration, style_start), or a longer sound",
                   clip->melody, (double)n_all / (double)config->codec.sampling_rate, clip->style_dur_s,
                   isnan(start_s) ? "" : " from its start on");
}

int64_t mg_style_excerpt_heard(const mg_config *config, double dur_s)
{
    return mg_resample_count(count_frames(config, dur_s), config->codec.sampling_rate,
                             config->style.mert.sampling_rate);
}

mg_status mg_style_excerpt_read(mg_sound *out, const mg_config *config, const mg_clip *clip)
{
    const double most_s = clip->style_start_s + clip->style_dur_s + RESAMPLE_MARGIN_S; /* NaN: all of it */
    mg_status st = MG_OK;
    mg_sound file = {0}, all = {0}, part;
    int64_t first, n;

    MG_TRY(mg_audio_file_read(&file, clip->melody, most_s));
    MG_TRY(mg_sound_convert_unless(&all, &file, config->codec.sampling_rate, config->lm.n_channels,
                                   mg_stop_check));
    MG_TRY(mg_style_excerpt_find(&first, &n, config, clip, all.n_frames));
    part = all;
    part.pcm += first * all.n_channels;
    part.n_frames = n;
    MG_TRY(mg_sound_convert_unless(out, &part, config->style.mert.sampling_rate, 1, mg_stop_check));
done:
    mg_sound_close(&file);
    mg_sound_close(&all);
    return st;
}
