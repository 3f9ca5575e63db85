/* MERT. Ported from transformers' modeling_hubert.py, HubertModel with HubertEncoder (4.46).
 *
 *     pcm [n] -> convolutions, the first one's channels each normalised over time; GELU behind each -> [S,C]
 *       -> layer norm, projection -> h [S,D] -> h + GELU(grouped convolution of h) -> layer norm
 *       -> L layers of (attention, residual, layer norm; feed-forward, residual, layer norm) -> states [S,D]
 *
 * The first convolution is a product with few inputs, so the mean and the variance of its channels over time
 * follow from the mean and the covariance of its windows: the norm goes into its weight, excerpt by excerpt,
 * and its rows, the largest here, need not be looked at. */
#include "mert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder_layers.h"
#include "numbers.h"
#include "stop.h"

enum { NAME_SIZE = 96 };

struct mg_mert {
    mg_mert_config config;
    const mg_ops *ops; /* borrowed */
    float *first_host; /* [C,n_taps] of the first convolution, then gamma [C], beta [C] of its norm */
    mg_conv *conv;     /* [n_convs]; the first one is not used */
    mg_encoder_norm projection_norm, norm;
    mg_encoder_linear projection;
    mg_conv *pos;       /* [n_pos_groups] */
    mg_tensor pos_bias; /* [n_pos_groups,D/n_pos_groups] */
    mg_encoder_layers layers;

    int64_t n_samples;       /* that there is room for */
    float *wide_host;        /* windows of the sound; rows cut into groups; a weight */
    float *rows_host;        /* [S,D] */
    mg_encoder_linear first; /* with its norm in it */
    mg_tensor wide;          /* flat: what wide_host is uploaded to */
    mg_tensor a, b;          /* flat: rows of the convolutions, in turns */
    mg_tensor h;             /* [S,D] */
};

static int64_t n_rows_of(const mg_mert_config *c, int64_t n_samples, int64_t n_convs)
{
    int64_t n = n_samples;

    for (int64_t i = 0; i < n_convs; i++)
        n = n < c->conv_kernel[i] ? 0 : (n - c->conv_kernel[i]) / c->conv_stride[i] + 1;
    return n;
}

int64_t mg_mert_n_rows(const mg_mert_config *c, int64_t n_samples)
{
    return n_rows_of(c, n_samples, c->n_convs);
}

static mg_status load_convs(mg_mert *m, mg_weights *w)
{
    const mg_mert_config *c = &m->config;
    const int64_t C = c->conv_dim[0], dim[3] = {C, 1, c->conv_kernel[0]};
    float *norm = m->first_host + C * c->conv_kernel[0];
    char name[NAME_SIZE];

    MG_RETURN(mg_weights_keep(w, m->first_host, "feature_extractor.conv_layers.0.conv.weight", 3, dim));
    MG_RETURN(mg_weights_keep(w, norm, "feature_extractor.conv_layers.0.layer_norm.weight", 1, &C));
    MG_RETURN(mg_weights_keep(w, norm + C, "feature_extractor.conv_layers.0.layer_norm.bias", 1, &C));
    for (int64_t i = 1; i < c->n_convs; i++) {
        m->conv[i] = (mg_conv){.c_in = c->conv_dim[i - 1],
                               .c_out = c->conv_dim[i],
                               .n_taps = c->conv_kernel[i],
                               .stride = c->conv_stride[i],
                               .dilation = 1};
        snprintf(name, sizeof name, "feature_extractor.conv_layers.%lld.conv", (long long)i);
        MG_RETURN(mg_weights_conv(w, &m->conv[i], NULL, name));
    }
    return MG_OK;
}

static mg_status load_all(mg_mert *m, mg_weights *w)
{
    const mg_mert_config *c = &m->config;
    const int64_t C = c->conv_dim[c->n_convs - 1], per = c->D / c->n_pos_groups;

    MG_RETURN(load_convs(m, w));
    MG_RETURN(mg_encoder_load_norm(&m->projection_norm, w, "feature_projection.layer_norm.", C));
    MG_RETURN(mg_encoder_load_linear(&m->projection, w, "feature_projection.projection.", c->D, C, true));
    for (int64_t g = 0; g < c->n_pos_groups; g++)
        m->pos[g] = (mg_conv){.c_in = per, .c_out = per, .n_taps = c->n_pos_taps, .stride = 1, .dilation = 1};
    MG_RETURN(
        mg_weights_conv_groups(w, m->pos, c->n_pos_groups, &m->pos_bias, "encoder.pos_conv_embed.conv"));
    MG_RETURN(mg_encoder_load_norm(&m->norm, w, "encoder.layer_norm.", c->D));
    return mg_encoder_load(&m->layers, w);
}

static mg_status make(mg_mert *m, const mg_mert_config *c, const mg_ops *ops)
{
    const mg_encoder_shape shape = {
        .D = c->D,
        .n_layers = c->n_layers,
        .n_heads = c->n_heads,
        .F = c->F,
        .eps = c->eps,
        .has_bias = true,
        .names = {"encoder.layers", "attention.q_proj.", "attention.k_proj.", "attention.v_proj.",
                  "attention.out_proj.", "feed_forward.intermediate_dense.", "feed_forward.output_dense.",
                  "layer_norm.", "final_layer_norm."}};

    m->config = *c;
    m->ops = ops;
    m->first_host = calloc((size_t)(c->conv_dim[0] * (c->conv_kernel[0] + 2)), sizeof *m->first_host);
    m->conv = calloc((size_t)c->n_convs, sizeof *m->conv);
    m->pos = calloc((size_t)c->n_pos_groups, sizeof *m->pos);
    if (!m->first_host || !m->conv || !m->pos) return mg_fail(MG_ENOMEM, "mert: no memory to load it");
    return mg_encoder_init(&m->layers, &shape, ops);
}

mg_status mg_mert_load(mg_mert **out, const mg_mert_config *config, mg_weights *w)
{
    mg_status st = MG_OK;
    mg_mert *m = *out;

    if (!m) {
        m = *out = calloc(1, sizeof *m);
        if (!m) return mg_fail(MG_ENOMEM, "mert: %zu bytes", sizeof *m);
        MG_TRY(make(m, config, w->ops));
    }
    MG_TRY(load_all(m, w));
done:
    if (st != MG_OK) {
        mg_mert_close(m);
        *out = NULL;
    }
    return st;
}

void mg_mert_close(mg_mert *m)
{
    if (!m) return;
    mg_encoder_reset(&m->layers);
    free(m->first_host);
    free(m->conv);
    free(m->pos);
    free(m->wide_host);
    free(m->rows_host);
    free(m);
}

static mg_status take(mg_arena *run, mg_tensor *t, int64_t d0, int64_t d1)
{
    *t = d1 ? mg_tensor_2d(NULL, MG_F32, d0, d1) : mg_tensor_1d(NULL, MG_F32, d0);
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

mg_status mg_mert_reserve(mg_mert *m, mg_arena *run, int64_t n_samples)
{
    const mg_mert_config *c = &m->config;
    const int64_t C = c->conv_dim[0], n_taps = c->conv_kernel[0], S = mg_mert_n_rows(c, n_samples);
    const int64_t n_columns = (S + c->n_pos_taps - 1) * c->D;
    const int64_t n_wide =
        mg_larger(mg_larger(n_rows_of(c, n_samples, 1) * n_taps, C * (n_taps + 1)), n_columns);
    int64_t n_a = mg_larger(n_rows_of(c, n_samples, 1) * C, S * c->D), n_b = 1;

    MG_REQUIRE(S > 0);
    for (int64_t i = 1; i < c->n_convs; i++)
        n_b = mg_larger(n_b, n_rows_of(c, n_samples, i + 1) * c->conv_dim[i]);
    m->n_samples = n_samples;
    m->first.w = (mg_matrix){.format = MG_FORMAT_F32, .n_out = C, .n_in = n_taps, .n_slices = 1};
    MG_RETURN(mg_arena_take(run, &m->first.w.data, mg_matrix_bytes(m->ops, &m->first.w)));
    MG_RETURN(take(run, &m->first.bias, C, 0));
    MG_RETURN(take(run, &m->wide, n_wide, 0));
    MG_RETURN(take(run, &m->a, mg_larger(n_a, n_b), 0)); /* GELU of b's rows too */
    MG_RETURN(take(run, &m->b, n_b, 0));
    MG_RETURN(take(run, &m->h, S, c->D));
    MG_RETURN(mg_encoder_reserve(&m->layers, run, S));
    if (mg_arena_is_measuring(run)) return MG_OK;

    free(m->wide_host);
    free(m->rows_host);
    m->wide_host = calloc((size_t)n_wide, sizeof *m->wide_host);
    m->rows_host = calloc((size_t)(S * c->D), sizeof *m->rows_host);
    if (!m->wide_host || !m->rows_host)
        return mg_fail(MG_ENOMEM, "mert: no memory for sounds of %lld samples", (long long)n_samples);
    return MG_OK;
}

/* Of N windows [N,n]: the mean of each place, and the covariance of any two. */
typedef struct moments {
    double mean[MG_MAX_MERT_TAPS], covariance[MG_MAX_MERT_TAPS][MG_MAX_MERT_TAPS];
} moments;

static void find_moments(moments *of, const float *windows, int64_t N, int64_t n)
{
    *of = (moments){0};
    for (int64_t r = 0; r < N; r++)
        for (int64_t i = 0; i < n; i++) of->mean[i] += windows[r * n + i];
    for (int64_t i = 0; i < n; i++) of->mean[i] /= (double)N;
    for (int64_t r = 0; r < N; r++) {
        double x[MG_MAX_MERT_TAPS];
        for (int64_t i = 0; i < n; i++) x[i] = windows[r * n + i] - of->mean[i];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) of->covariance[i][j] += x[i] * x[j];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) of->covariance[i][j] /= (double)N;
}

/* w [C,n] and bias [C] whose product with these windows is normalised over them, channel by channel. */
static void fold_norm(const mg_mert *m, float *w, float *bias, const moments *of)
{
    const int64_t C = m->config.conv_dim[0], n = m->config.conv_kernel[0];
    const float *gamma = m->first_host + C * n, *beta = gamma + C;

    for (int64_t c = 0; c < C; c++) {
        const float *row = m->first_host + c * n;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++) sum += of->covariance[i][j] * row[j];
            variance += row[i] * sum;
            mean += row[i] * of->mean[i];
        }
        const double scale = gamma[c] / sqrt((variance > 0 ? variance : 0) + 1e-5);
        for (int64_t i = 0; i < n; i++) w[c * n + i] = (float)(row[i] * scale);
        bias[c] = (float)(beta[c] - mean * scale);
    }
}

/* x [N,C] = GELU of the first convolution, normalised. */
static mg_status run_first(mg_mert *m, mg_tensor *x, const float *pcm, int64_t n_samples)
{
    const mg_mert_config *c = &m->config;
    const int64_t C = c->conv_dim[0], n = c->conv_kernel[0], N = n_rows_of(c, n_samples, 1);
    const mg_tensor windows = mg_tensor_2d(m->wide.data, MG_F32, N, n);
    float *host = m->wide_host, *bias = host + C * n;
    moments of;
    int64_t n_bad = 0;

    for (int64_t r = 0; r < N; r++)
        memcpy(host + r * n, pcm + r * c->conv_stride[0], (size_t)n * sizeof *host);
    MG_RETURN(mg_upload(m->ops, windows.data, host, mg_tensor_bytes(&windows)));
    find_moments(&of, host, N, n);
    fold_norm(m, host, bias, &of);
    const mg_host_matrix w = {.data = host, .dtype = MG_F32, .n_rows = C, .n_cols = n, .row_stride = n};
    MG_RETURN(mg_matrix_load(m->ops, &m->first.w, 0, &w, &n_bad));
    MG_RETURN(mg_upload(m->ops, m->first.bias.data, bias, mg_tensor_bytes(&m->first.bias)));
    *x = mg_tensor_2d(m->a.data, MG_F32, N, C);
    return mg_encoder_apply(m->ops, x, &windows, &m->first, MG_ACT_GELU, false);
}

static mg_status run_convs(mg_mert *m, mg_tensor *x, const float *pcm, int64_t n_samples)
{
    const mg_mert_config *c = &m->config;

    MG_RETURN(run_first(m, x, pcm, n_samples));
    for (int64_t i = 1; i < c->n_convs; i++) {
        mg_tensor y = mg_tensor_2d(m->b.data, MG_F32, n_rows_of(c, n_samples, i + 1), c->conv_dim[i]);
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_conv1d(m->ops, &y, x, &m->conv[i], NULL, false));
        *x = mg_tensor_2d(m->a.data, MG_F32, y.dim[0], y.dim[1]);
        MG_RETURN(mg_pad(m->ops, x, &y, 0, 0, MG_PAD_ZERO, MG_ACT_GELU));
    }
    return MG_OK;
}

/* The columns of each group of rows [S,D] as rows of its own, [n_rows,D/n_groups], one group behind the
 * other; the first `before` of them, and those behind the S, are zeros. */
static void cut(float *groups, const float *rows, int64_t S, int64_t D, int64_t n_groups, int64_t before,
                int64_t n_rows)
{
    const int64_t per = D / n_groups;

    memset(groups, 0, (size_t)(n_groups * n_rows * per) * sizeof *groups);
    for (int64_t g = 0; g < n_groups; g++)
        for (int64_t s = 0; s < S; s++)
            memcpy(groups + (g * n_rows + before + s) * per, rows + s * D + g * per,
                   (size_t)per * sizeof *rows);
}

/* Back again, without the zeros. */
static void join(float *rows, const float *groups, int64_t S, int64_t D, int64_t n_groups)
{
    const int64_t per = D / n_groups;

    for (int64_t g = 0; g < n_groups; g++)
        for (int64_t s = 0; s < S; s++)
            memcpy(rows + s * D + g * per, groups + (g * S + s) * per, (size_t)per * sizeof *rows);
}

/* h += GELU(the grouped convolution of h): a row sees n_pos_taps / 2 rows before it, and as many behind less
 * one where that is even. */
static mg_status add_positions(mg_mert *m, mg_tensor *h)
{
    const mg_mert_config *c = &m->config;
    const int64_t S = h->dim[0], G = c->n_pos_groups, per = c->D / G, n_rows = S + c->n_pos_taps - 1;
    const mg_tensor columns = mg_tensor_2d(m->wide.data, MG_F32, G * n_rows, per);
    const mg_tensor sums = mg_tensor_2d(m->a.data, MG_F32, G * S, per);
    mg_tensor active = mg_tensor_2d(m->wide.data, MG_F32, G * S, per),
              joined = mg_tensor_2d(m->a.data, MG_F32, S, c->D);

    MG_RETURN(mg_download(m->ops, m->rows_host, h->data, mg_tensor_bytes(h)));
    cut(m->wide_host, m->rows_host, S, c->D, G, c->n_pos_taps / 2, n_rows);
    MG_RETURN(mg_upload(m->ops, columns.data, m->wide_host, mg_tensor_bytes(&columns)));
    for (int64_t g = 0; g < G; g++) {
        const mg_tensor x = mg_tensor_rows(&columns, g * n_rows, n_rows),
                        row = mg_tensor_rows(&m->pos_bias, g, 1), bias = mg_tensor_1d(row.data, MG_F32, per);
        mg_tensor y = mg_tensor_rows(&sums, g * S, S);
        MG_RETURN(mg_conv1d(m->ops, &y, &x, &m->pos[g], &bias, false));
    }
    MG_RETURN(mg_pad(m->ops, &active, &sums, 0, 0, MG_PAD_ZERO, MG_ACT_GELU));
    MG_RETURN(mg_download(m->ops, m->wide_host, active.data, mg_tensor_bytes(&active)));
    join(m->rows_host, m->wide_host, S, c->D, G);
    MG_RETURN(mg_upload(m->ops, joined.data, m->rows_host, mg_tensor_bytes(&joined)));
    return mg_add(m->ops, h, &joined);
}

mg_status mg_mert_encode(mg_mert *m, mg_tensor *states, const float *pcm, int64_t n_samples)
{
    const mg_mert_config *c = &m->config;
    const mg_encoder_norm *before = &m->projection_norm, *after = &m->norm;
    mg_tensor x, h;

    MG_REQUIRE(m->wide_host && n_samples <= m->n_samples && mg_mert_n_rows(c, n_samples) > 0);
    MG_RETURN(run_convs(m, &x, pcm, n_samples));
    h = mg_tensor_rows(&m->h, 0, x.dim[0]);
    MG_RETURN(mg_layer_norm(m->ops, &x, &x, &before->gamma, &before->beta, (float)c->eps));
    MG_RETURN(mg_encoder_apply(m->ops, &h, &x, &m->projection, MG_ACT_NONE, false));
    MG_RETURN(add_positions(m, &h));
    MG_RETURN(mg_layer_norm(m->ops, &h, &h, &after->gamma, &after->beta, (float)c->eps));
    MG_RETURN(mg_encoder_run(&m->layers, &h));
    *states = h;
    return MG_OK;
}
