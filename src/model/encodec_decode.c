/* EnCodec's decoder: running it. The code vectors, the first convolution and the LSTM run over the whole
 * clip, at 50 rows a second; the rest, where rows become samples, over one stretch after the other. */
#include "encodec_parts.h"

/* Rows [first, …) of a layer, in one of the buffers. */
typedef struct rows {
    mg_tensor t; /* [N,C] */
    int64_t first;
} rows;

static mg_tensor view(const mg_tensor *flat, int64_t N, int64_t C)
{
    return mg_tensor_2d(flat->data, MG_F32, N, C);
}

static rows rows_within(const rows *r, mg_span span)
{
    return (rows){mg_tensor_rows(&r->t, span.first - r->first, span.end - span.first), span.first};
}

/* act(x) with its padding, in c->padded: what the convolution needs for rows `out`. N rows in the whole
 * input. Reflection needs more rows than it adds: a shorter input is lengthened with zeros first, in `room`,
 * and what that adds beyond the end is not read. */
static mg_status pad_for(mg_encodec *c, rows *padded, const rows *x, const mg_conv *conv, int64_t N,
                         mg_span out, const mg_tensor *room, mg_act act)
{
    const int64_t left = mg_encodec_pad_left(conv), end = out.end + mg_encodec_pad_right(conv);
    const int64_t before = x->first == 0 && out.first < left ? left - out.first : 0;
    const mg_pad_mode mode = c->config.pad_reflect ? MG_PAD_REFLECT : MG_PAD_ZERO;
    mg_tensor from = x->t;

    if (mode == MG_PAD_REFLECT && N <= left) { /* the left side is never the shorter one */
        from = view(room, left + 1, conv->c_in);
        MG_RETURN(mg_pad(c->ops, &from, &x->t, 0, left + 1 - N, MG_PAD_ZERO, act));
        N = left + 1;
        act = MG_ACT_NONE;
    }
    const int64_t after = end > N ? end - N : 0;
    *padded = (rows){view(&c->padded, before + from.dim[0] + after, conv->c_in), x->first - before};
    return mg_pad(c->ops, &padded->t, &from, before, after, mode, act);
}

/* y = the convolution's rows `out`, or y += them. */
static mg_status conv_rows(mg_encodec *c, mg_tensor *y, const rows *padded, const mg_encodec_conv *conv,
                           mg_span out, bool accumulate)
{
    const mg_conv *g = &conv->conv;
    const mg_span under = {out.first - mg_encodec_pad_left(g), out.end + mg_encodec_pad_right(g)};
    const rows x = rows_within(padded, under);

    return mg_conv1d(c->ops, y, &x.t, g, &conv->bias, accumulate);
}

/* Each of these takes rows layer->in in *x and leaves rows layer->out there, in c->sound. */

static mg_status run_up(mg_encodec *c, rows *x, const mg_encodec_layer *layer)
{
    const mg_conv *g = &layer->a.conv;
    const int64_t r = g->stride, J = (g->n_taps + r - 1) / r, cut = mg_encodec_cut_left(g);
    const int64_t first = (layer->out.first + cut) / r, M = (layer->out.end - 1 + cut) / r + 1 - first;
    const int64_t before = layer->in.first - (first - (J - 1)), after = first + M - layer->in.end;
    mg_tensor padded = view(&c->padded, M + J - 1, g->c_in);
    rows y = {view(&c->sound, M * r, g->c_out), first * r - cut};

    MG_RETURN(mg_pad(c->ops, &padded, &x->t, before, after, MG_PAD_ZERO, MG_ACT_ELU));
    MG_RETURN(mg_conv_transpose1d(c->ops, &y.t, &padded, g, &layer->a.bias));
    *x = rows_within(&y, layer->out);
    return MG_OK;
}

static mg_status run_residual(mg_encodec *c, rows *x, const mg_encodec_layer *layer, int64_t N)
{
    const mg_conv *a = &layer->a.conv;
    const int64_t n = layer->out.end - layer->out.first;
    rows padded;
    mg_tensor hidden = view(&c->hidden, n, a->c_out), active = view(&c->padded, n, a->c_out);

    MG_RETURN(pad_for(c, &padded, x, a, N, layer->out, &c->hidden, MG_ACT_ELU));
    MG_RETURN(conv_rows(c, &hidden, &padded, &layer->a, layer->out, false));
    MG_RETURN(mg_pad(c->ops, &active, &hidden, 0, 0, MG_PAD_ZERO, MG_ACT_ELU));
    *x = rows_within(x, layer->out);
    return mg_conv1d(c->ops, &x->t, &active, &layer->b.conv, &layer->b.bias, true);
}

static mg_status run_last(mg_encodec *c, rows *x, const mg_encodec_layer *layer, int64_t N)
{
    rows padded;

    MG_RETURN(pad_for(c, &padded, x, &layer->a.conv, N, layer->out, &c->hidden, MG_ACT_ELU));
    *x = (rows){view(&c->sound, layer->out.end - layer->out.first, layer->a.conv.c_out), layer->out.first};
    return conv_rows(c, &x->t, &padded, &layer->a, layer->out, false);
}

/* Samples [want.first, want.end), from the LSTM's rows `whole`. */
static mg_status decode_stretch(mg_encodec *c, float *pcm_host, const rows *whole, mg_span want)
{
    const int64_t T = whole->t.dim[0];

    mg_encodec_plan(c, T, want);
    rows x = rows_within(whole, c->layers[0].in);
    for (int64_t l = 0; l < c->n_layers; l++) {
        const mg_encodec_layer *layer = &c->layers[l];
        const int64_t N = T * layer->rate_in;
        switch (layer->kind) {
        case MG_LAYER_UP: MG_RETURN(run_up(c, &x, layer)); break;
        case MG_LAYER_RESIDUAL: MG_RETURN(run_residual(c, &x, layer, N)); break;
        case MG_LAYER_LAST: MG_RETURN(run_last(c, &x, layer, N)); break;
        }
    }
    return c->ops->download(c->ops->ctx, pcm_host + want.first, x.t.data, mg_tensor_bytes(&x.t));
}

/* y = LSTM(x) + x over the whole clip; the state is carried from one block of rows to the next. */
static mg_status run_lstm(mg_encodec *c, mg_tensor *y, const mg_tensor *x)
{
    const int64_t T = x->dim[0], C = c->C;

    for (int64_t l = 0; l < c->config.n_lstm_layers; l++) {
        const mg_encodec_lstm *lstm = &c->lstm[l];
        MG_RETURN(c->ops->upload(c->ops->ctx, c->state.data, c->zero_host, mg_tensor_bytes(&c->state)));
        for (int64_t t = 0; t < T; t += MG_LSTM_ROWS) {
            const int64_t n = T - t < MG_LSTM_ROWS ? T - t : MG_LSTM_ROWS;
            const mg_tensor from = mg_tensor_rows(l == 0 ? x : y, t, n);
            mg_tensor to = mg_tensor_rows(y, t, n), gates = view(&c->gates, n, 4 * C);
            MG_RETURN(mg_lstm(c->ops, &to, &from, &lstm->w_ih, &lstm->w_hh, &lstm->bias, &gates, &c->state));
        }
    }
    return mg_add(c->ops, y, x);
}

/* The code vectors and the first convolution: y [T,C]. */
static mg_status run_first(mg_encodec *c, mg_tensor *y, int64_t T)
{
    const mg_span all = {0, T};
    const mg_tensor ids = mg_tensor_rows(&c->ids, 0, T);
    rows vectors = {view(&c->hidden, T, c->config.hidden_size), 0}, padded;

    MG_RETURN(c->ops->upload(c->ops->ctx, ids.data, c->ids_host, mg_tensor_bytes(&ids)));
    MG_RETURN(mg_embed(c->ops, &vectors.t, &c->tables, &ids, NULL, NULL));
    MG_RETURN(pad_for(c, &padded, &vectors, &c->first.conv, T, all, &c->sound, MG_ACT_NONE));
    return conv_rows(c, y, &padded, &c->first, all, false);
}

static mg_status take_codes(mg_encodec *c, const int32_t *codes, int64_t T)
{
    const int64_t K = c->config.n_codebooks, V = c->config.codebook_size;

    for (int64_t k = 0; k < K; k++)
        for (int64_t t = 0; t < T; t++) {
            const int32_t code = codes[k * T + t];
            if (code < 0 || code >= V)
                return mg_fail(MG_EFAIL, "codes: %d: codebook %lld, frame %lld: must be in 0 … %lld", code,
                               (long long)k, (long long)t, (long long)(V - 1));
            c->ids_host[t * K + k] = code;
        }
    return MG_OK;
}

mg_status mg_encodec_decode(mg_encodec *c, float *pcm_host, const int32_t *codes, int64_t T)
{
    MG_REQUIRE(T > 0 && T <= c->T_max);
    const int64_t N = T * c->config.hop, step = c->stretch * c->config.hop;
    mg_tensor x = mg_tensor_rows(&c->x, 0, T);
    const rows y = {mg_tensor_rows(&c->y, 0, T), 0};
    mg_tensor to = y.t;

    MG_RETURN(take_codes(c, codes, T));
    MG_RETURN(run_first(c, &x, T));
    MG_RETURN(run_lstm(c, &to, &x));
    for (int64_t n = 0; n < N; n += step) {
        const mg_span want = {n, n + step < N ? n + step : N};
        MG_RETURN(decode_stretch(c, pcm_host, &y, want));
    }
    return MG_OK;
}
