#include "predict.h"

#include <math.h>
#include <stdio.h>

#include "attended.h"
#include "numbers.h"

/* Operations of a layer: norm and q, k, v; attention; out; the same for the text; the feed-forward's two. */
enum { OPS_PLAIN = 5, OPS_TEXT = 3, OPS_OUTSIDE_LAYERS = 4, SUMS_PLAIN = 2, SUMS_TEXT = 1 };

int64_t mg_predict_weight_bytes(const mg_lm_config *c, mg_format format)
{
    const int64_t self = 4 * c->D * c->D, cross = c->n_chroma ? 0 : 2 * c->D * c->D;
    const int64_t feed_forward = 2 * c->D * c->F;
    const int64_t n = c->L * (self + cross + feed_forward) + c->K * c->V * c->D;
    const int64_t n_4_bits = (c->L - 1) * (self + cross + feed_forward / 2); /* lm_load.c */

    if (format == MG_FORMAT_Q8) return n;
    if (format == MG_FORMAT_Q4) return n - n_4_bits + n_4_bits / 2 + n_4_bits / MG_Q4_GROUP * 2; /* scales */
    return n * (int64_t)mg_dtype_bytes(mg_format_dtype(format));
}

double mg_predict_kv_bytes(const mg_lm_config *c, mg_format format, int64_t n_rows, double n_columns,
                           int64_t n_texts, int64_t S)
{
    const double n_text = c->n_chroma ? 0 : (double)(n_texts * S);
    const double keys =
        2 * (double)c->L * ((double)n_rows * n_columns + n_text); /* and values, of all heads */
    const double values = keys * (double)c->D;

    if (format == MG_FORMAT_Q8) return values + keys * (double)c->H * (double)sizeof(float); /* scales */
    return values * (double)mg_dtype_bytes(mg_format_dtype(format));
}

/* Multiplications of a row, the whole model's; a row without a text skips its block. */
static double values_of(const mg_lm_config *c)
{
    return (double)mg_predict_weight_bytes(c, MG_FORMAT_Q8);
}

/* How fast matrices pass with n rows: between two measured rates the time is a line. */
static double measured_s(const mg_predict_machine *m, double bytes, double n_rows)
{
    const mg_predict_rate *r = m->rate;
    int i = 1;

    if (m->n_rates == 1 || n_rows <= (double)r[0].n_rows) return bytes / r[0].bytes_s;
    while (i < m->n_rates - 1 && (double)r[i].n_rows < n_rows) i++;
    const double from_s = bytes / r[i - 1].bytes_s, to_s = bytes / r[i].bytes_s;
    const double part = (n_rows - (double)r[i - 1].n_rows) / (double)(r[i].n_rows - r[i - 1].n_rows);
    return fmax(from_s + part * (to_s - from_s), bytes / r[0].bytes_s);
}

static double over(double what, double rate)
{
    return rate > 0 ? what / rate : 0;
}

static double products_s(double *reading_s, const mg_predict_step *s, const mg_predict_machine *m)
{
    const double bytes = (double)mg_predict_weight_bytes(&s->config, s->weights) / (double)s->tp;
    const double flop = 2 * values_of(&s->config) / (double)s->tp * (double)s->n_rows;

    if (m->n_rates > 0) {
        *reading_s = bytes / m->rate[0].bytes_s;
        return measured_s(m, bytes, (double)s->n_rows);
    }
    const double read_s = over(bytes, m->read_bytes_s), multiply_s = over(flop, m->product_flop_s);
    *reading_s = read_s;
    return m->overlaps ? fmax(read_s, multiply_s) : read_s + multiply_s;
}

/* Every way to sum gathers the others' rows and adds them here: T - 1 times a rank's own bytes come in. */
static double reduce_s(const mg_predict_step *s, const mg_predict_machine *m)
{
    const mg_lm_config *c = &s->config;
    const double n_sums = (double)(c->L * (SUMS_PLAIN + (c->n_chroma ? 0 : SUMS_TEXT)));
    const double rows = (double)s->n_rows, n_others = (double)(s->tp - 1);
    const double sum_bytes = n_others * 4 * rows * (double)c->D;
    const double gather_bytes = n_others / (double)s->tp * 4 * rows * (double)(c->K * c->V);

    if (s->tp == 1) return 0;
    return n_sums * (m->reduce_s + over(sum_bytes, m->reduce_bytes_s)) + m->reduce_s +
           over(gather_bytes, m->reduce_bytes_s);
}

static bool is_16_bit(mg_format format)
{
    return format != MG_FORMAT_F32;
}

/* A product's kernels on a device, as its rule has them (device_products.h): of few rows it is one. More are
 * packed by another before, and where slices are not short, one more adds them. With fp32 a norm before more
 * than few rows is a kernel of its own. */
static int64_t product_kernels(const mg_predict_step *s, int64_t n_rows, int64_t n_in, int64_t n_slices,
                               bool with_norm)
{
    int64_t n = 0;

    if (!is_16_bit(s->weights)) return 1 + (with_norm && n_rows > MG_FEW_F32_ROWS);
    for (; n_rows > 0; n_rows -= MG_ROWS_AT_ONCE) {
        const int64_t piece = mg_smaller(n_rows, MG_ROWS_AT_ONCE);
        n += piece <= MG_FEW_ROWS ? 1 : 2 + (n_slices > 1 && !mg_slices_are_short(n_in, n_slices, piece));
    }
    return n;
}

/* Attention over a clip's text and its out product, and before them the norm and q. */
static int64_t text_kernels(const mg_predict_step *s, const mg_predict_machine *m, int64_t n_slices)
{
    const mg_lm_config *c = &s->config;
    const mg_attended sizes = {s->n_clips, s->n_tokens, c->D, c->H / s->tp, n_slices};
    const int64_t q = product_kernels(s, s->n_clips, c->D, 1, true);

    if (is_16_bit(s->weights) && s->kv == s->weights && c->D == c->H * MG_SEGMENT_E && m->n_sms > 0 &&
        mg_attended_pays(&sizes, m->n_sms, MG_PREDICT_BLOCK_BYTES))
        return q + 1;
    return q + 1 + product_kernels(s, s->n_clips, c->D / s->tp, n_slices, false);
}

int64_t mg_predict_launches(const mg_predict_step *s, const mg_predict_machine *m)
{
    const mg_lm_config *c = &s->config;
    const int64_t n_slices = MG_TP_SLICES / s->tp;

    if (!m->is_device) return c->L * (OPS_PLAIN + (c->n_chroma ? 0 : OPS_TEXT)) + OPS_OUTSIDE_LAYERS;
    const int64_t text = c->n_chroma ? 0 : text_kernels(s, m, n_slices);
    const int64_t behind_norm = product_kernels(s, s->n_rows, c->D, 1, true);
    const int64_t out = product_kernels(s, s->n_rows, c->D / s->tp, n_slices, false);
    const int64_t fc2 = product_kernels(s, s->n_rows, c->F / s->tp, n_slices, false);
    return c->L * (2 * behind_norm + 1 + out + fc2 + text) + behind_norm + OPS_OUTSIDE_LAYERS - 1;
}

void mg_predict_step_time(mg_predict_times *out, const mg_predict_step *s, const mg_predict_machine *m)
{
    const mg_lm_config *c = &s->config;
    const double kv = mg_predict_kv_bytes(c, s->kv, s->n_rows, s->n_keys, s->n_clips, s->n_tokens);

    *out = (mg_predict_times){0};
    out->part_s[MG_PREDICT_PRODUCTS] = products_s(&out->reading_s, s, m);
    out->part_s[MG_PREDICT_ATTENTION] = over(kv / (double)s->tp, m->attend_bytes_s);
    out->part_s[MG_PREDICT_REDUCE] = reduce_s(s, m);
    out->part_s[MG_PREDICT_SAMPLING] = (double)(s->n_clips * c->K) * m->draw_s;
    out->part_s[MG_PREDICT_LAUNCHES] = (double)mg_predict_launches(s, m) * m->launch_s;
    for (int i = 0; i < MG_PREDICT_OUTSIDE; i++) out->step_s += out->part_s[i];
    out->part_s[MG_PREDICT_OUTSIDE] = fmax(over(s->outside_bytes, m->outside_bytes_s) - out->step_s, 0);
    out->step_s += out->part_s[MG_PREDICT_OUTSIDE];
}

static int64_t channels_of(const mg_lm_config *c)
{
    return c->n_channels > 1 ? c->n_channels : 1;
}

int64_t mg_predict_clip_steps(const mg_lm_config *c, int64_t n_frames)
{
    return n_frames + c->K / channels_of(c) - 1;
}

/* n clips end together, and are decoded in lots. */
static double codec_s(const mg_lm_config *c, int64_t n, double dur_s, const mg_predict_machine *m)
{
    const int64_t n_sounds = n * channels_of(c), lot = m->n_decoded > 0 ? m->n_decoded : 1;
    const int64_t n_lots = (n_sounds + lot - 1) / lot;

    return dur_s * ((double)n_lots * m->decode_lot_s + (double)n_sounds * m->decode_sound_s);
}

double mg_predict_clip_s(const mg_predict_step *step, int64_t n_frames, double dur_s,
                         const mg_predict_machine *m)
{
    const int64_t n_steps = mg_predict_clip_steps(&step->config, n_frames);
    const int64_t prefix = step->config.n_chroma ? step->config.chroma_length + step->n_tokens : 0;
    mg_predict_step mean = *step;
    mg_predict_times t;

    mean.n_keys = (double)prefix + (double)(n_steps + 1) / 2;
    mg_predict_step_time(&t, &mean, m);
    return (double)n_steps * t.step_s + codec_s(&step->config, step->n_clips, dur_s, m) +
           (double)step->n_clips * m->text_s;
}

double mg_predict_run_s(const mg_predict_step *step, int64_t n_replicas, int64_t n, int64_t n_frames,
                        double dur_s, double model_bytes, const mg_predict_machine *m)
{
    const int64_t n_mine = (n + n_replicas - 1) / n_replicas, n_left = n_mine % step->n_clips;
    const double n_rounds = (double)(n_mine / step->n_clips);
    mg_predict_step last = *step;
    double run_s = over(model_bytes, m->load_bytes_s);

    last.n_clips = n_left, last.n_rows = n_left * (step->n_rows / step->n_clips);
    if (n_rounds > 0) run_s += n_rounds * mg_predict_clip_s(step, n_frames, dur_s, m);
    if (n_left > 0) run_s += mg_predict_clip_s(&last, n_frames, dur_s, m);
    return run_s;
}

bool mg_predict_is_group(int64_t tp)
{
    return tp == 1 || tp == 2 || tp == 4 || tp == MG_TP_SLICES;
}

void mg_predict_check_group(char reason[160], const mg_lm_config *c, int64_t tp)
{
    reason[0] = '\0';
    if (!mg_predict_is_group(tp))
        (void)snprintf(reason, 160, "a group has 1, 2, 4 or 8 ranks");
    else if (c->H % tp || c->F % MG_TP_SLICES)
        (void)snprintf(reason, 160, "T = %lld does not divide %lld heads", (long long)tp, (long long)c->H);
}
