/* Clips' way through a half of EnCodec. The layers run over one stretch after the other, each on just the
 * rows that the stretch needs, so rows near a cut are made twice. The LSTM, which must see each row once and
 * in order, is fed in blocks: its state and the rows of it that the next stretch reaches back to are kept. It
 * takes a block of each clip at hand at once; the layers take one clip after the other. */
#include "encodec_impl.h"
#include "stop.h"

mg_status mg_encodec_view(mg_tensor *out, const mg_tensor *flat, int64_t N, int64_t C)
{
    MG_REQUIRE(N >= 0 && C > 0 && N * C <= flat->dim[0]);
    *out = mg_tensor_2d(flat->data, flat->dtype, N, C);
    return MG_OK;
}

static mg_encodec_rows rows_within(const mg_encodec_rows *r, mg_span span)
{
    return (mg_encodec_rows){mg_tensor_rows(&r->t, span.first - r->first, span.end - span.first), span.first};
}

/* act(x) with its padding, in c->padded: what the convolution needs for rows `out` of N input rows in all.
 * Reflection needs more rows than it adds: a shorter input is lengthened with zeros first, in c->hidden, and
 * what that adds beyond the end is not read. */
static mg_status pad_for(mg_encodec *c, mg_encodec_rows *padded, const mg_encodec_rows *x,
                         const mg_conv *conv, int64_t N, mg_span out, mg_act act)
{
    const int64_t left = mg_encodec_pad_left(conv), right = mg_encodec_pad_right(conv, N);
    const int64_t most = left > right ? left : right;
    const mg_span under = mg_encodec_under(conv, out);
    const int64_t before = x->first == 0 && under.first < 0 ? -under.first : 0;
    const mg_pad_mode mode = c->config.pad_reflect ? MG_PAD_REFLECT : MG_PAD_ZERO;
    mg_tensor from = x->t;

    if (mode == MG_PAD_REFLECT && N <= most) {
        MG_RETURN(mg_encodec_view(&from, &c->hidden, most + 1, conv->c_in));
        MG_RETURN(mg_pad(c->ops, &from, &x->t, 0, most + 1 - N, MG_PAD_ZERO, act));
        N = most + 1;
        act = MG_ACT_NONE;
    }
    const int64_t after = under.end > N ? under.end - N : 0;
    padded->first = x->first - before;
    MG_RETURN(mg_encodec_view(&padded->t, &c->padded, before + from.dim[0] + after, conv->c_in));
    return mg_pad(c->ops, &padded->t, &from, before, after, mode, act);
}

/* y = the convolution's rows `out`. */
static mg_status conv_rows(mg_encodec *c, mg_tensor *y, const mg_encodec_rows *padded,
                           const mg_encodec_conv *conv, mg_span out)
{
    const mg_encodec_rows x = rows_within(padded, mg_encodec_under(&conv->conv, out));

    return mg_conv1d(c->ops, y, &x.t, &conv->conv, &conv->bias, false);
}

/* Each of these takes rows layer->in in *x and leaves rows layer->out there. */

static mg_status run_conv(mg_encodec *c, mg_encodec_rows *x, const mg_encodec_layer *layer)
{
    const mg_conv *a = &layer->a.conv;
    mg_encodec_rows padded;

    MG_RETURN(pad_for(c, &padded, x, a, layer->N_in, layer->out, layer->act));
    MG_RETURN(mg_encodec_view(&x->t, &c->sound, layer->out.end - layer->out.first, a->c_out));
    x->first = layer->out.first;
    return conv_rows(c, &x->t, &padded, &layer->a, layer->out);
}

static mg_status run_up(mg_encodec *c, mg_encodec_rows *x, const mg_encodec_layer *layer)
{
    const mg_conv *g = &layer->a.conv;
    const int64_t r = g->stride, J = (g->n_taps + r - 1) / r, cut = mg_encodec_cut_left(g);
    const int64_t first = (layer->out.first + cut) / r, M = (layer->out.end - 1 + cut) / r + 1 - first;
    const int64_t before = layer->in.first - (first - (J - 1)), after = first + M - layer->in.end;
    mg_encodec_rows y = {.first = first * r - cut};
    mg_tensor padded;

    MG_RETURN(mg_encodec_view(&padded, &c->padded, M + J - 1, g->c_in));
    MG_RETURN(mg_pad(c->ops, &padded, &x->t, before, after, MG_PAD_ZERO, MG_ACT_ELU));
    MG_RETURN(mg_encodec_view(&y.t, &c->sound, M * r, g->c_out));
    MG_RETURN(mg_conv_transpose1d(c->ops, &y.t, &padded, g, &layer->a.bias));
    *x = rows_within(&y, layer->out);
    return MG_OK;
}

static mg_status run_residual(mg_encodec *c, mg_encodec_rows *x, const mg_encodec_layer *layer)
{
    const mg_conv *a = &layer->a.conv;
    const int64_t n = layer->out.end - layer->out.first;
    mg_encodec_rows padded;
    mg_tensor hidden, active;

    MG_RETURN(pad_for(c, &padded, x, a, layer->N_in, layer->out, MG_ACT_ELU));
    MG_RETURN(mg_encodec_view(&hidden, &c->hidden, n, a->c_out));
    MG_RETURN(conv_rows(c, &hidden, &padded, &layer->a, layer->out));
    MG_RETURN(mg_encodec_view(&active, &c->padded, n, a->c_out));
    MG_RETURN(mg_pad(c->ops, &active, &hidden, 0, 0, MG_PAD_ZERO, MG_ACT_ELU));
    *x = rows_within(x, layer->out);
    return mg_conv1d(c->ops, &x->t, &active, &layer->b.conv, &layer->b.bias, true);
}

/* Layers [first, end), as planned: rows `in` of the first one's input to rows `out` of the last one's output,
 * in c->sound. */
static mg_status run_layers(mg_encodec *c, mg_encodec_rows *x, const mg_encodec_half *half, int64_t first,
                            int64_t end)
{
    for (int64_t l = first; l < end; l++) {
        const mg_encodec_layer *layer = &half->layers[l];
        if (c->heeds_stop) MG_RETURN(mg_stop_check());
        switch (layer->kind) {
        case MG_LAYER_CONV: MG_RETURN(run_conv(c, x, layer)); break;
        case MG_LAYER_UP: MG_RETURN(run_up(c, x, layer)); break;
        case MG_LAYER_RESIDUAL: MG_RETURN(run_residual(c, x, layer)); break;
        }
    }
    return MG_OK;
}

/* Of clip i, what stands before the LSTM: its rows `want` in x, a stretch at a time. */
static mg_status run_before(mg_encodec *c, const mg_encodec_flow *flow, int64_t i, mg_tensor *all,
                            mg_span want)
{
    mg_encodec_half *half = flow->half;
    const mg_encodec_layer *layer = half->layers;

    for (int64_t t = want.first; t < want.end; t += c->stretch) {
        const mg_span part = {t, want.end - t < c->stretch ? want.end : t + c->stretch};
        mg_tensor to = mg_tensor_rows(all, t - want.first, part.end - t);
        mg_encodec_plan(half, 0, half->n_before, part);
        mg_encodec_rows x = {.first = layer->in.first};
        MG_RETURN(mg_encodec_view(&x.t, &c->sound, layer->in.end - layer->in.first, layer->a.conv.c_in));
        MG_RETURN(flow->read(c, flow->arg, i, &x.t, layer->in));
        MG_RETURN(run_layers(c, &x, half, 0, half->n_before));
        MG_RETURN(mg_copy(c->ops, &to, &x.t));
    }
    return MG_OK;
}

/* y = LSTM(x) + x, of n_rows [B] rows of each clip; the states go on from the rows before. */
static mg_status run_lstm(mg_encodec *c, const mg_encodec_half *half, mg_tensor *y, const mg_tensor *x,
                          const int64_t *n_rows, int64_t B)
{
    mg_tensor gates;

    MG_RETURN(mg_encodec_view(&gates, &c->gates, x->dim[0], 4 * c->C));
    if (c->config.n_lstm_layers == 0) return mg_copy(c->ops, y, x);
    for (int64_t l = 0; l < c->config.n_lstm_layers; l++) {
        const mg_encodec_lstm *lstm = &half->lstm[l];
        mg_tensor state = mg_tensor_rows(&c->state, l * B, B);
        MG_RETURN(mg_lstm(c->ops, y, l == 0 ? x : y, n_rows, &lstm->w_ih, &lstm->w_hh, &lstm->bias, &gates,
                          &state));
    }
    return mg_add(c->ops, y, x);
}

/* The clip's next rows of output, and what each layer behind the LSTM needs for them. */
static mg_span plan_next(const mg_encodec_flow *flow, int64_t i, const mg_encodec_clip *clip)
{
    mg_encodec_half *half = flow->half;
    const int64_t left = clip->N_out - clip->n;
    const mg_span want = {clip->n, left < flow->step ? clip->N_out : clip->n + flow->step};

    mg_encodec_measure(half, flow->length(flow->arg, i));
    mg_encodec_plan(half, half->n_before, half->n_layers, want);
    return want;
}

static int64_t rows_end(const mg_encodec_clip *clip)
{
    return clip->rows.first + clip->rows.t.dim[0];
}

/* Rows of clip i that the LSTM is to add for the clip's next output: none if all are there, else a block at
 * least, so that its weights pass through the cache once a block. Rows before those are let go of; `x`, which
 * is cut to the rows added, gets what stands before the LSTM. */
static mg_status feed(mg_encodec *c, const mg_encodec_flow *flow, int64_t i_first, int64_t i, mg_tensor *x)
{
    mg_encodec_clip *clip = &c->clip[i];
    const mg_encodec_layer *after = &flow->half->layers[flow->half->n_before];
    const int64_t done = rows_end(clip);
    mg_tensor next;

    *x = mg_tensor_rows(x, 0, 0);
    if (clip->n == clip->N_out) return MG_OK;
    plan_next(flow, i_first + i, clip);
    const mg_span need = after->in;
    if (need.end <= done) return MG_OK;
    MG_REQUIRE(need.first >= clip->rows.first && need.first <= done);
    const int64_t want = need.end - done < flow->block ? done + flow->block : need.end, T = after->N_in;
    const mg_span fresh = {done, want < T ? want : T};
    const mg_tensor old = mg_tensor_rows(&clip->rows.t, need.first - clip->rows.first, done - need.first);
    MG_REQUIRE(fresh.end - need.first <= c->n_window);
    clip->i_window = !clip->i_window;
    next = mg_tensor_rows(&c->window[clip->i_window], i * c->n_window, old.dim[0]);
    if (old.dim[0]) MG_RETURN(mg_copy(c->ops, &next, &old));
    clip->rows = (mg_encodec_rows){next, need.first};
    x->dim[0] = fresh.end - fresh.first;
    return run_before(c, flow, i_first + i, x, fresh);
}

/* The LSTM's next block, of each of B clips that needs one. */
static mg_status advance(mg_encodec *c, const mg_encodec_flow *flow, int64_t i_first, int64_t B)
{
    int64_t n_rows[MG_ENCODEC_MOST_AT_ONCE], n = 0;
    mg_tensor x, y;

    for (int64_t i = 0; i < B; i++) {
        x = mg_tensor_2d((float *)c->x.data + n * c->C, MG_F32, 0, c->C);
        MG_RETURN(feed(c, flow, i_first, i, &x));
        n += n_rows[i] = x.dim[0];
    }
    if (n == 0) return MG_OK;
    MG_RETURN(mg_encodec_view(&x, &c->x, n, c->C));
    MG_RETURN(mg_encodec_view(&y, &c->sound, n, c->C));
    MG_RETURN(run_lstm(c, flow->half, &y, &x, n_rows, B));
    n = 0;
    for (int64_t i = 0; i < B; n += n_rows[i++]) {
        mg_encodec_clip *clip = &c->clip[i];
        const int64_t n_kept = clip->rows.t.dim[0];
        const mg_tensor made = mg_tensor_rows(&y, n, n_rows[i]);
        if (n_rows[i] == 0) continue;
        mg_tensor to = mg_tensor_rows(&c->window[clip->i_window], i * c->n_window + n_kept, n_rows[i]);
        MG_RETURN(mg_copy(c->ops, &to, &made));
        clip->rows.t.dim[0] += n_rows[i];
    }
    return MG_OK;
}

/* As much of clip i's output as the rows of the LSTM that are there allow. */
static mg_status write_out(mg_encodec *c, const mg_encodec_flow *flow, int64_t i_first, int64_t i)
{
    mg_encodec_clip *clip = &c->clip[i];
    mg_encodec_half *half = flow->half;

    while (clip->n < clip->N_out) {
        const mg_span want = plan_next(flow, i_first + i, clip), in = half->layers[half->n_before].in;
        if (in.end > rows_end(clip)) return MG_OK;
        mg_encodec_rows x = rows_within(&clip->rows, in);
        MG_RETURN(run_layers(c, &x, half, half->n_before, half->n_layers));
        MG_RETURN(flow->write(c, flow->arg, i_first + i, &x.t, want));
        clip->n = want.end;
    }
    return MG_OK;
}

/* Clips [i_first, i_first + B), from their beginnings to their ends. */
static mg_status run_together(mg_encodec *c, const mg_encodec_flow *flow, int64_t i_first, int64_t B)
{
    mg_encodec_half *half = flow->half;
    bool more = true;

    for (int64_t i = 0; i < B; i++) {
        const int64_t N = flow->length(flow->arg, i_first + i);
        MG_REQUIRE(N > 0);
        mg_encodec_measure(half, N);
        c->clip[i] = (mg_encodec_clip){.N_out = half->layers[half->n_layers - 1].N_out,
                                       .rows.t = mg_tensor_rows(&c->window[0], i * c->n_window, 0)};
    }
    if (c->config.n_lstm_layers > 0) MG_RETURN(mg_zero(c->ops, &c->state));
    while (more) {
        MG_RETURN(advance(c, flow, i_first, B));
        more = false;
        for (int64_t i = 0; i < B; i++) {
            MG_RETURN(write_out(c, flow, i_first, i));
            more = more || c->clip[i].n < c->clip[i].N_out;
        }
    }
    return MG_OK;
}

mg_status mg_encodec_run(mg_encodec *c, const mg_encodec_flow *flow, int64_t n)
{
    MG_REQUIRE(flow->half->is_there && c->stretch_host && flow->step > 0);
    for (int64_t i = 0; i < n; i += c->n_at_once)
        MG_RETURN(run_together(c, flow, i, n - i < c->n_at_once ? n - i : c->n_at_once));
    return MG_OK;
}
