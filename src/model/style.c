/* The style encoder. Ported from AudioCraft's StyleConditioner, StreamingTransformer and
 * ResidualVectorQuantizer (1.4.0a2).
 *
 *     pcm -> MERT -> [S,768] -> projection -> h [S,D] -> + sinusoids -> L layers of (layer norm, attention,
 *       residual; layer norm, feed-forward, residual) -> batch norm -> the nearest of each codebook, summed
 *       -> every ds_factor-th row
 *
 * From the batch norm on a row depends on itself alone: only the rows that are kept are made, on the host. */
#include "style.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder_layers.h"
#include "lm.h"
#include "mert.h"

struct mg_style {
    mg_style_config config;
    const mg_ops *ops; /* borrowed */
    mg_mert *mert;
    mg_encoder_linear embed;
    mg_encoder_layers layers;
    float *mean_host, *var_host; /* [D], of the batch norm */
    float *codebooks_host;       /* [K,V,D] */

    int64_t n_samples; /* that there is room for */
    float *rows_host;  /* [S,D] */
    mg_tensor h;       /* [S,D] */
    mg_tensor added;   /* [S,D]: what knows where a row stands */
};

static mg_status load_own(mg_style *s, mg_weights *w)
{
    const mg_style_config *c = &s->config;
    const int64_t table_dim[2] = {c->codebook_size, c->D};
    char name[64];

    MG_RETURN(mg_encoder_load_linear(&s->embed, w, "embed.", c->D, c->mert.D, true));
    MG_RETURN(mg_encoder_load(&s->layers, w));
    if (c->batch_norm) {
        MG_RETURN(mg_weights_keep(w, s->mean_host, "batch_norm.running_mean", 1, &c->D));
        MG_RETURN(mg_weights_keep(w, s->var_host, "batch_norm.running_var", 1, &c->D));
    }
    for (int64_t k = 0; k < c->n_codebooks; k++) {
        snprintf(name, sizeof name, "rvq.vq.layers.%lld._codebook.embed", (long long)k);
        MG_RETURN(mg_weights_keep(w, s->codebooks_host + k * c->codebook_size * c->D, name, 2, table_dim));
    }
    return MG_OK;
}

static mg_status make(mg_style *s, const mg_style_config *c, const mg_ops *ops)
{
    const mg_encoder_shape shape = {.D = c->D,
                                    .n_layers = c->n_layers,
                                    .n_heads = c->n_heads,
                                    .F = c->F,
                                    .eps = 1e-5,
                                    .norm_first = true,
                                    .names = {.layers = "transformer.layers",
                                              .q = "self_attn.in_proj_",
                                              .o = "self_attn.out_proj.",
                                              .up = "linear1.",
                                              .down = "linear2.",
                                              .norm_attention = "norm1.",
                                              .norm_ff = "norm2."}};
    const size_t n_codes = (size_t)(c->n_codebooks * c->codebook_size * c->D);

    MG_REQUIRE(c->D >= 4 && c->D % 2 == 0 && c->ds_factor > 0);
    MG_REQUIRE(c->n_layers > 0 && c->n_heads > 0 && c->D % c->n_heads == 0 && c->n_codebooks > 0);
    s->config = *c;
    s->ops = ops;
    s->mean_host = calloc((size_t)c->D, sizeof *s->mean_host);
    s->var_host = calloc((size_t)c->D, sizeof *s->var_host);
    s->codebooks_host = calloc(n_codes, sizeof *s->codebooks_host);
    if (!s->mean_host || !s->var_host || !s->codebooks_host)
        return mg_fail(MG_ENOMEM, "style: no memory for %lld codebooks", (long long)c->n_codebooks);
    return mg_encoder_init(&s->layers, &shape, ops);
}

/* MERT's tensors are in a checkpoint of their own: `w` reads that in between. */
static mg_status load_mert(mg_style *s, mg_weights *w, const mg_checkpoint *mert, const char *prefix)
{
    const mg_checkpoint *own = w->checkpoint;
    const char *own_prefix = w->prefix;

    w->checkpoint = mert, w->prefix = prefix;
    const mg_status st = mg_mert_load(&s->mert, &s->config.mert, w);
    w->checkpoint = own, w->prefix = own_prefix;
    return st;
}

mg_status mg_style_load(mg_style **out, const mg_style_config *config, mg_weights *w,
                        const mg_checkpoint *mert, const char *mert_prefix)
{
    mg_status st = MG_OK;
    mg_style *s = *out;

    if (!s) {
        s = *out = calloc(1, sizeof *s);
        if (!s) return mg_fail(MG_ENOMEM, "style: %zu bytes", sizeof *s);
        MG_TRY(make(s, config, w->ops));
    }
    MG_TRY(load_own(s, w));
    MG_TRY(load_mert(s, w, mert, mert_prefix));
done:
    if (st != MG_OK) {
        mg_style_close(s);
        *out = NULL;
    }
    return st;
}

void mg_style_close(mg_style *s)
{
    if (!s) return;
    mg_mert_close(s->mert);
    mg_encoder_reset(&s->layers);
    free(s->mean_host);
    free(s->var_host);
    free(s->codebooks_host);
    free(s->rows_host);
    free(s);
}

int64_t mg_style_n_rows(const mg_style_config *c, int64_t n_samples)
{
    return (mg_mert_n_rows(&c->mert, n_samples) + c->ds_factor - 1) / c->ds_factor;
}

mg_status mg_style_reserve(mg_style *s, mg_arena *run, int64_t n_samples)
{
    const int64_t S = mg_mert_n_rows(&s->config.mert, n_samples), D = s->config.D;

    MG_RETURN(mg_mert_reserve(s->mert, run, n_samples));
    MG_RETURN(mg_encoder_reserve(&s->layers, run, S));
    s->n_samples = n_samples;
    s->h = s->added = mg_tensor_2d(NULL, MG_F32, S, D);
    MG_RETURN(mg_arena_take(run, &s->h.data, mg_tensor_bytes(&s->h)));
    MG_RETURN(mg_arena_take(run, &s->added.data, mg_tensor_bytes(&s->added)));
    if (mg_arena_is_measuring(run)) return MG_OK;

    free(s->rows_host);
    s->rows_host = calloc((size_t)(S * D), sizeof *s->rows_host);
    return s->rows_host
               ? MG_OK
               : mg_fail(MG_ENOMEM, "style: no memory for excerpts of %lld samples", (long long)n_samples);
}

static mg_status add_positions(mg_style *s, mg_tensor *h)
{
    const int64_t S = h->dim[0];
    const mg_tensor added = mg_tensor_rows(&s->added, 0, S);

    mg_lm_positions(s->rows_host, S, s->config.D);
    MG_RETURN(mg_upload(s->ops, added.data, s->rows_host, mg_tensor_bytes(&added)));
    return mg_add(s->ops, h, &added);
}

/* As in training's evaluation: by the means and variances that training has gathered. */
static void normalise(const mg_style *s, float *row)
{
    for (int64_t i = 0; i < s->config.D; i++) {
        const double var = s->var_host[i] > 0 ? s->var_host[i] : 0;
        row[i] = (float)(((double)row[i] - s->mean_host[i]) / sqrt(var + 1e-5));
    }
}

/* The code vector of `table` that is nearest to x; the first of equals. */
static const float *nearest(const float *table, int64_t V, int64_t D, const float *x)
{
    const float *best = table;
    double least = INFINITY;

    for (int64_t v = 0; v < V; v++) {
        const float *code = table + v * D;
        double sum = 0;
        for (int64_t i = 0; i < D; i++) {
            const double d = (double)x[i] - code[i];
            sum += d * d;
        }
        if (sum < least) least = sum, best = code;
    }
    return best;
}

/* row = the sum of the nearest code vectors; `left` [D] is scratch: what the codebooks so far leave of it. */
static void quantise(const mg_style *s, float *row, float *left, int64_t n_codebooks)
{
    const int64_t V = s->config.codebook_size, D = s->config.D;

    memcpy(left, row, (size_t)D * sizeof *row);
    memset(row, 0, (size_t)D * sizeof *row);
    for (int64_t k = 0; k < n_codebooks; k++) {
        const float *code = nearest(s->codebooks_host + k * V * D, V, D, left);
        for (int64_t i = 0; i < D; i++) {
            left[i] -= code[i];
            row[i] += code[i];
        }
    }
}

/* Every ds_factor-th of rows_host [S,D]. */
static void keep_rows(mg_style *s, float *rows, int64_t S, int64_t n_codebooks)
{
    const mg_style_config *c = &s->config;

    for (int64_t r = 0; r < S; r += c->ds_factor, rows += c->D) {
        memcpy(rows, s->rows_host + r * c->D, (size_t)c->D * sizeof *rows);
        if (c->batch_norm) normalise(s, rows);
        quantise(s, rows, s->rows_host + r * c->D, n_codebooks);
    }
}

mg_status mg_style_encode(mg_style *s, float *rows_host, const float *pcm, int64_t n_samples,
                          int64_t n_codebooks)
{
    const mg_style_config *c = &s->config;
    mg_tensor states, h;

    MG_REQUIRE(s->rows_host && n_samples <= s->n_samples);
    MG_REQUIRE(n_codebooks > 0 && n_codebooks <= c->n_codebooks);
    MG_RETURN(mg_mert_encode(s->mert, &states, pcm, n_samples));
    h = mg_tensor_rows(&s->h, 0, states.dim[0]);
    MG_RETURN(mg_encoder_apply(s->ops, &h, &states, &s->embed, MG_ACT_NONE, false));
    MG_RETURN(add_positions(s, &h));
    MG_RETURN(mg_encoder_run(&s->layers, &h));
    MG_RETURN(mg_download(s->ops, s->rows_host, h.data, mg_tensor_bytes(&h)));
    keep_rows(s, rows_host, h.dim[0], n_codebooks);
    return MG_OK;
}
