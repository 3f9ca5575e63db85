#include "quality.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECES_PER_SECOND = 20,
    MOST_PERIOD = 500,
    LEAST_STRETCH = 25
}; /* the last two in columns: 10 s, 0.5 s */
#define MOST_DB 200.0

typedef struct channel_sums {
    double sum, squares;
} channel_sums;

int64_t mg_quality_count_not_finite(const mg_sound *s)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n_frames * s->n_channels; i++) n += !isfinite(s->pcm[i]);
    return n;
}

static channel_sums add_up(const mg_sound *s, int64_t channel, int64_t first, int64_t end)
{
    channel_sums x = {0};

    for (int64_t n = first; n < end; n++) {
        const double v = (double)s->pcm[n * s->n_channels + channel];
        x.sum += v;
        x.squares += v * v;
    }
    return x;
}

/* Share of pieces whose loudest channel is below the limit. The last piece may be shorter. */
static double silent_share(const mg_sound *s, double silence_db)
{
    const int64_t N = s->n_frames,
                  piece = s->rate_hz > PIECES_PER_SECOND ? s->rate_hz / PIECES_PER_SECOND : 1;
    const double limit = pow(10, silence_db / 10);
    int64_t n_silent = 0, n_pieces = 0;

    for (int64_t first = 0; first < N; first += piece, n_pieces++) {
        const int64_t end = first + piece < N ? first + piece : N;
        bool silent = true;
        for (int64_t c = 0; c < s->n_channels && silent; c++)
            silent = add_up(s, c, first, end).squares / (double)(end - first) < limit;
        n_silent += silent;
    }
    return n_pieces > 0 ? (double)n_silent / (double)n_pieces : 1;
}

/* Of the rms that two sums of squares have, one below the other. */
static double db_below(double low, double high)
{
    if (high <= 0) return 0;
    const double db = low > 0 ? 10 * log10(high / low) : MOST_DB;
    return db < MOST_DB ? db : MOST_DB;
}

void mg_quality_measure_sound(mg_quality *q, const mg_sound *s, double silence_db)
{
    double low = INFINITY, high = 0;

    q->silence = q->dc = q->dead_channel_db = 0;
    q->n_not_finite = mg_quality_count_not_finite(s);
    if (q->n_not_finite > 0) return;
    q->silence = silent_share(s, silence_db);
    for (int64_t c = 0; c < s->n_channels; c++) {
        const channel_sums x = add_up(s, c, 0, s->n_frames);
        if (x.squares > 0) q->dc = fmax(q->dc, fabs(x.sum) / sqrt(x.squares * (double)s->n_frames));
        low = fmin(low, x.squares);
        high = fmax(high, x.squares);
    }
    if (s->n_channels > 1) q->dead_channel_db = db_below(low, high);
}

/* Columns of codes: that of codebook k at time t is at[k * stride + t]. */
typedef struct columns {
    const int32_t *at;
    int64_t stride, T;
} columns;

/* The longest run of columns that are those of `period` columns before, in codebooks first … end-1. */
static int64_t longest_run(const columns *c, int64_t first, int64_t end, int64_t period)
{
    int64_t longest = 0, run = 0;

    for (int64_t t = period; t < c->T; t++) {
        bool same = true;
        for (int64_t k = first; k < end && same; k++)
            same = c->at[k * c->stride + t] == c->at[k * c->stride + t - period];
        run = same ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    return longest;
}

void mg_quality_measure_codes(mg_quality *q, const int32_t *codes, int64_t K, int64_t T, int64_t first,
                              int64_t n_channels)
{
    const columns c = {codes + first, T, T - first};
    int64_t repeat = 0, loop = 0;

    for (int64_t k = 0; k < n_channels && k < K; k++) {
        const int64_t run = longest_run(&c, k, k + 1, 1);
        if (run + 1 >= LEAST_STRETCH && run + 1 > repeat) repeat = run + 1;
    }
    for (int64_t period = 1; period <= c.T / 2 && period <= MOST_PERIOD; period++) {
        const int64_t run = longest_run(&c, 0, K, period);
        if (run < period || run + period < LEAST_STRETCH) continue; /* played twice at least */
        if (run + period > loop) loop = run + period;
    }
    q->repeat = c.T > 0 ? (double)repeat / (double)c.T : 0;
    q->loop = c.T > 0 ? (double)loop / (double)c.T : 0;
}

/* The signs with a limit, in the order in which they are named. */
static const struct {
    const char *word;
    size_t value, limit;
} signs[] = {
    {"silence", offsetof(mg_quality, silence), offsetof(mg_quality_limits, silence)},
    {"clipping", offsetof(mg_quality, clipping), offsetof(mg_quality_limits, clipping)},
    {"dc", offsetof(mg_quality, dc), offsetof(mg_quality_limits, dc)},
    {"dead channel", offsetof(mg_quality, dead_channel_db), offsetof(mg_quality_limits, dead_channel_db)},
    {"repeat", offsetof(mg_quality, repeat), offsetof(mg_quality_limits, repeat)},
    {"loop", offsetof(mg_quality, loop), offsetof(mg_quality_limits, loop)},
};

static void write_faults(char *out, size_t size, const mg_quality *q, const mg_quality_limits *limits,
                         bool with_numbers)
{
    size_t n = 0;

    *out = '\0';
    if (q->n_not_finite > 0)
        n = (size_t)snprintf(out, size, with_numbers ? "not a number in %lld samples" : "not a number",
                             (long long)q->n_not_finite);
    for (size_t i = 0; i < sizeof signs / sizeof *signs && n < size; i++) {
        const double value = *(const double *)((const char *)q + signs[i].value);
        const double limit = *(const double *)((const char *)limits + signs[i].limit);
        if (!(value > limit)) continue;
        const char *comma = n ? ", " : "";
        n += (size_t)(with_numbers ? snprintf(out + n, size - n, "%s%s %.3g (limit %.3g)", comma,
                                              signs[i].word, value, limit)
                                   : snprintf(out + n, size - n, "%s%s", comma, signs[i].word));
    }
}

void mg_quality_words(char out[MG_QUALITY_WORDS_SIZE], const mg_quality *q, const mg_quality_limits *limits)
{
    write_faults(out, MG_QUALITY_WORDS_SIZE, q, limits, false);
}

void mg_quality_describe(char out[MG_QUALITY_TEXT_SIZE], const mg_quality *q, const mg_quality_limits *limits)
{
    write_faults(out, MG_QUALITY_TEXT_SIZE, q, limits, true);
}
