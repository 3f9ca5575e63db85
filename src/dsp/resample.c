/* After julius 0.2.7 (resample.py, ResampleFrac: 24 zero crossings, rolloff 0.945). Output j lies at input
 * time j from / to; its phase is j mod `to`, both rates divided by their greatest common divisor. Each phase
 * has its own weights, made in groups that fit into a small table.
 *
 * By hand: libsoxr 0.1.3 sounds as good, but the codes of an audio prompt must be AudioCraft's, whose
 * resampler this equals to 1e-5. */
#include "resample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    ZEROS = 24,            /* zero crossings of the sinc on each side */
    LANES = 8,             /* partial sums of a dot product; a kernel's length is a multiple of it */
    RUN = 2048,            /* outputs made from one stretch of input */
    TABLE_BYTES = 1 << 22, /* of kernels; 44.1 to 32 kHz takes 92 KB */
    MADE_AT_ONCE = 1 << 16 /* outputs: some milliseconds */
};
static const double rolloff = 0.945;

typedef struct resampler {
    int64_t from, to; /* the rates, reduced */
    int64_t width;    /* a kernel reaches from floor(time) - width to floor(time) + width */
    int64_t n_taps;   /* 2 width + 1, rounded up */
    int64_t group;    /* phases in the table */
    float *table;     /* [group, n_taps] */
    float *stretch;   /* one channel of the input, with what the kernels reach on both sides */
    mg_status (*stop)(void);
    int64_t n_made; /* outputs since it was asked */
} resampler;

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

int64_t mg_resample_count(int64_t n_frames, int64_t from_hz, int64_t to_hz)
{
    const int64_t divisor = common_divisor(from_hz, to_hz), from = from_hz / divisor, to = to_hz / divisor;

    return n_frames / from * to + n_frames % from * to / from;
}

/* What of the input the outputs of one run touch. */
static int64_t stretch_count(const resampler *r)
{
    return (RUN - 1) * r->from / r->to + 2 + r->n_taps;
}

static void resampler_close(resampler *r)
{
    free(r->table);
    free(r->stretch);
}

static mg_status resampler_open(resampler *r, int64_t from_hz, int64_t to_hz)
{
    const int64_t divisor = common_divisor(from_hz, to_hz);

    r->from = from_hz / divisor, r->to = to_hz / divisor;
    const double base = (double)(r->from < r->to ? r->from : r->to) * rolloff;
    r->width = (int64_t)ceil(ZEROS * (double)r->from / base);
    r->n_taps = (2 * r->width + 1 + LANES - 1) / LANES * LANES;
    const int64_t kernel_bytes = r->n_taps * (int64_t)sizeof *r->table;
    r->group = TABLE_BYTES / kernel_bytes;
    if (r->group < 1) r->group = 1;
    if (r->group > r->to) r->group = r->to;
    r->table = malloc((size_t)(r->group * kernel_bytes));
    r->stretch = malloc((size_t)stretch_count(r) * sizeof *r->stretch);
    return r->table && r->stretch ? MG_OK
                                  : mg_fail(MG_ENOMEM, "resample: %lld to %lld Hz: no memory for its kernels",
                                            (long long)from_hz, (long long)to_hz);
}

/* Times are floats in julius' order of operations: with thousands of phases that moves a kernel by 1e-5. */
static void make_kernel(const resampler *r, float *kernel, int64_t phase)
{
    const float base = (float)((double)(r->from < r->to ? r->from : r->to) * rolloff);
    const float shift = (float)(-(double)phase / (double)r->to);
    const int64_t first = phase * r->from / r->to - r->width;
    double sum = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (int64_t m = 0; m < r->n_taps; m++) {
            const float t = (shift + (float)(first + m) / (float)r->from) * base;
            const double x = M_PI * (double)t, edge = cos(x / ZEROS / 2);
            const double weight = fabsf(t) >= ZEROS ? 0 : (x == 0 ? 1 : sin(x) / x) * edge * edge;
            if (pass == 0) sum += weight;
            if (pass == 1) kernel[m] = (float)(weight / sum);
        }
    }
}

/* Channel c of the frames first … first + n - 1; what lies outside repeats the first or the last one. */
static void take_stretch(float *stretch, const mg_sound *in, int64_t c, int64_t first, int64_t n)
{
    const int64_t C = in->n_channels, N = in->n_frames;

    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i < 0 ? 0 : first + i >= N ? N - 1 : first + i;
        stretch[i] = in->pcm[at * C + c];
    }
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum[LANES] = {0};

    for (int64_t i = 0; i < n; i += LANES)
        for (int64_t k = 0; k < LANES; k++) sum[k] += a[i + k] * b[i + k];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Adds channel c of the input to outputs j … end - 1, whose phases are in the table from `first_phase` on.
 * out [*, stride]: the channel's first value. */
static void add_run(const resampler *r, float *out, int64_t stride, const mg_sound *in, int64_t c, int64_t j,
                    int64_t end, int64_t first_phase)
{
    const int64_t first = j * r->from / r->to - r->width;
    const int64_t last = (end - 1) * r->from / r->to - r->width + r->n_taps - 1;

    take_stretch(r->stretch, in, c, first, last - first + 1);
    for (; j < end; j++) {
        const float *kernel = r->table + (j % r->to - first_phase) * r->n_taps;
        const int64_t at = j * r->from / r->to - r->width;
        out[j * stride] += dot(kernel, r->stretch + (at - first), r->n_taps);
    }
}

/* Outputs j … last - 1 of all channels; their phases are in the table from `first_phase` on. */
static mg_status add_runs(resampler *r, mg_sound *out, const mg_sound *in, int64_t n_in, int64_t j,
                          int64_t last, int64_t first_phase)
{
    const int64_t C = out->n_channels;

    for (; j < last; j += RUN) {
        const int64_t end = j + RUN < last ? j + RUN : last;
        if (r->stop && r->n_made >= MADE_AT_ONCE) {
            MG_RETURN(r->stop());
            r->n_made = 0;
        }
        r->n_made += (end - j) * n_in;
        for (int64_t c = 0; c < n_in; c++) add_run(r, out->pcm + c % C, C, in, c, j, end, first_phase);
    }
    return MG_OK;
}

/* Adds the first n_in channels of the input to the channels c % out->n_channels of the (zeroed) output. If
 * one table holds all phases, the outputs need not be taken period by period. */
static mg_status resample(resampler *r, mg_sound *out, const mg_sound *in, int64_t n_in)
{
    const int64_t N = out->n_frames;
    const bool at_once = r->group == r->to;

    for (int64_t phase = 0; phase < r->to; phase += r->group) {
        const int64_t n = phase + r->group < r->to ? r->group : r->to - phase;
        for (int64_t i = 0; i < n; i++) make_kernel(r, r->table + i * r->n_taps, phase + i);
        for (int64_t start = 0; start < N; start += at_once ? N : r->to) {
            const int64_t last = at_once ? N : start + phase + n;
            MG_RETURN(add_runs(r, out, in, n_in, start + phase, last < N ? last : N, phase));
        }
    }
    return MG_OK;
}

static void copy_channels(mg_sound *out, const mg_sound *in, int64_t n_in)
{
    const int64_t C = out->n_channels;

    for (int64_t n = 0; n < out->n_frames; n++)
        for (int64_t c = 0; c < n_in; c++) out->pcm[n * C + c % C] += in->pcm[n * in->n_channels + c];
}

/* Many to one: the sum becomes the mean. One to many: the first is copied to the others. */
static void finish_channels(mg_sound *out, int64_t n_in)
{
    const int64_t C = out->n_channels;

    for (int64_t n = 0; n < out->n_frames && C == 1 && n_in > 1; n++) out->pcm[n] /= (float)n_in;
    for (int64_t n = 0; n < out->n_frames; n++)
        for (int64_t c = n_in; c < C; c++) out->pcm[n * C + c] = out->pcm[n * C];
}

mg_status mg_sound_convert(mg_sound *out, const mg_sound *in, int64_t rate_hz, int64_t n_channels)
{
    return mg_sound_convert_unless(out, in, rate_hz, n_channels, NULL);
}

mg_status mg_sound_convert_unless(mg_sound *out, const mg_sound *in, int64_t rate_hz, int64_t n_channels,
                                  mg_status (*stop)(void))
{
    mg_status st = MG_OK;
    resampler r = {.stop = stop};

    *out = (mg_sound){0};
    MG_REQUIRE(in->rate_hz > 0 && rate_hz > 0 && in->n_frames >= 0 && in->n_channels >= 1);
    MG_REQUIRE(n_channels == 1 || n_channels == 2);
    const int64_t n_in = n_channels == 2 && in->n_channels > 2 ? 2 : in->n_channels;
    const int64_t N = mg_resample_count(in->n_frames, in->rate_hz, rate_hz);
    if (N == 0)
        return mg_fail(MG_EFAIL, "sound: %lld frames of %lld Hz are too short to make one of %lld Hz",
                       (long long)in->n_frames, (long long)in->rate_hz, (long long)rate_hz);
    *out = (mg_sound){calloc((size_t)(N * n_channels), sizeof(float)), N, n_channels, rate_hz};
    if (!out->pcm)
        MG_TRY(mg_fail(MG_ENOMEM, "sound: no memory for %lld frames of %lld channels", (long long)N,
                       (long long)n_channels));
    if (in->rate_hz == rate_hz) {
        copy_channels(out, in, n_in);
    } else {
        MG_TRY(resampler_open(&r, in->rate_hz, rate_hz));
        MG_TRY(resample(&r, out, in, n_in));
    }
    finish_channels(out, n_in);
done:
    resampler_close(&r);
    if (st != MG_OK) mg_sound_close(out);
    return st;
}
