/* Sounds for the tests of src/dsp: out of golden files, and tones. */
#ifndef MG_DSP_FIXTURE_H
#define MG_DSP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "sound.h"

static inline mg_sound new_sound(int64_t n_frames, int64_t n_channels, int64_t rate_hz)
{
    mg_sound s = {calloc((size_t)(n_frames * n_channels) + 1, sizeof(float)), n_frames, n_channels, rate_hz};

    if (!s.pcm) fail_msg("no memory");
    return s;
}

/* Planes [C,N] as sound [N,C]. */
static inline mg_sound interleaved(const float *planes, int64_t n_frames, int64_t n_channels, int64_t rate_hz)
{
    mg_sound s = new_sound(n_frames, n_channels, rate_hz);

    for (int64_t i = 0; i < n_frames * n_channels; i++)
        s.pcm[i % n_frames * n_channels + i / n_frames] = planes[i];
    return s;
}

/* An array [N] or [C,N] of a golden file. */
static inline mg_sound golden_sound(const mg_checkpoint *c, const char *name, int64_t rate_hz)
{
    const mg_tensor *t = golden_tensor(c, name);
    float *planes = golden_f32(c, name, NULL);
    mg_sound s = interleaved(planes, t->dim[t->n_dims - 1], t->n_dims == 2 ? t->dim[0] : 1, rate_hz);

    free(planes);
    return s;
}

static inline mg_sound golden_sound_f16(const mg_checkpoint *c, const char *name, int64_t rate_hz)
{
    const mg_tensor *t = golden_tensor(c, name);
    int64_t n;
    uint16_t *halves = golden_copy(c, name, MG_F16, &n);
    float *planes = malloc((size_t)n * sizeof *planes);

    if (!planes) fail_msg("no memory");
    for (int64_t i = 0; i < n; i++) planes[i] = mg_f16_to_f32(halves[i]);
    mg_sound s = interleaved(planes, t->dim[t->n_dims - 1], t->n_dims == 2 ? t->dim[0] : 1, rate_hz);
    free(planes);
    free(halves);
    return s;
}

static inline mg_sound tone(double amplitude, double pitch_hz, double dur_s, int64_t n_channels,
                            int64_t rate_hz)
{
    mg_sound s = new_sound((int64_t)(dur_s * (double)rate_hz), n_channels, rate_hz);

    for (int64_t i = 0; i < s.n_frames * n_channels; i++)
        s.pcm[i] = (float)(amplitude * sin(2 * M_PI * pitch_hz * (double)(i / n_channels) / (double)rate_hz));
    return s;
}

/* Status `wanted`, and a message with `part` in it. */
static inline void expect_failure(mg_status st, mg_status wanted, const char *part)
{
    if (st != wanted || !strstr(mg_last_error(), part))
        fail_msg("status %d, wanted %d; message \"%s\", wanted \"%s\" in it", st, wanted, mg_last_error(),
                 part);
    assert_null(strchr(mg_last_error(), '\n'));
}

#endif
