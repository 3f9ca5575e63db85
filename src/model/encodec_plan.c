/* Which rows of each layer a stretch needs: from the last layer backwards, clipped at the clip's own ends,
 * where the padding stands. A row beyond an end is a reflected row, and that must be there too. */
#include "encodec_impl.h"
#include "numbers.h"

/* Rows of input from the first to the last one under a row of output. */
static int64_t reach(const mg_conv *c)
{
    return (c->n_taps - 1) * c->dilation;
}

int64_t mg_encodec_pad_left(const mg_conv *c)
{
    const int64_t pad = reach(c) + 1 - c->stride;

    return pad - pad / 2;
}

static int64_t count_out(const mg_encodec_layer *layer, int64_t N)
{
    const int64_t stride = layer->a.conv.stride;

    return layer->kind == MG_LAYER_UP ? N * stride : (N + stride - 1) / stride;
}

int64_t mg_encodec_pad_right(const mg_conv *c, int64_t N)
{
    const int64_t last = (N + c->stride - 1) / c->stride - 1; /* row of output */

    return mg_encodec_under(c, (mg_span){last, last + 1}).end - N;
}

mg_span mg_encodec_under(const mg_conv *c, mg_span out)
{
    const int64_t left = mg_encodec_pad_left(c);

    return (mg_span){out.first * c->stride - left, (out.end - 1) * c->stride + reach(c) + 1 - left};
}

int64_t mg_encodec_cut_left(const mg_conv *c)
{
    const int64_t cut = c->n_taps - c->stride;

    return cut - cut / 2;
}

/* N rows in the whole input. */
static mg_span conv_needs(const mg_conv *c, mg_span out, int64_t N)
{
    const mg_span under = mg_encodec_under(c, out);
    const int64_t last_mirror = 2 * (N - 1) - (under.end - 1); /* the lowest row reflected at the end */
    mg_span in = {mg_larger(under.first, 0), mg_smaller(under.end, N)};

    if (N <= mg_larger(mg_encodec_pad_left(c), mg_encodec_pad_right(c, N))) return (mg_span){0, N};
    if (under.first < 0) in.end = mg_smaller(mg_larger(in.end, 1 - under.first), N);
    if (under.end > N) in.first = mg_larger(mg_smaller(in.first, last_mirror), 0);
    return in;
}

static mg_span up_needs(const mg_conv *c, mg_span out, int64_t N)
{
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride, cut = mg_encodec_cut_left(c);
    const int64_t first = (out.first + cut) / c->stride - (J - 1);

    return (mg_span){mg_larger(first, 0), mg_smaller((out.end - 1 + cut) / c->stride + 1, N)};
}

void mg_encodec_measure(mg_encodec_half *half, int64_t N)
{
    for (int64_t l = 0; l < half->n_layers; l++) {
        mg_encodec_layer *layer = &half->layers[l];
        layer->N_in = N;
        layer->N_out = N = count_out(layer, N);
    }
}

void mg_encodec_plan(mg_encodec_half *half, int64_t first, int64_t end, mg_span want)
{
    for (int64_t l = end - 1; l >= first; l--) {
        mg_encodec_layer *layer = &half->layers[l];
        const mg_conv *a = &layer->a.conv;
        layer->out = want;
        layer->in =
            layer->kind == MG_LAYER_UP ? up_needs(a, want, layer->N_in) : conv_needs(a, want, layer->N_in);
        want = layer->in;
    }
}
