/* The room that the halves take: as much as a stretch of the longest clip needs, which is the same for every
 * clip; around the LSTM as much as a block of each clip at hand. */
#include <stdlib.h>

#include "encodec_impl.h"

/* Values of the buffers, at most. */
typedef struct room {
    int64_t sound, padded, hidden, rows_lstm, ids, host;
} room;

static void raise(int64_t *most, int64_t n)
{
    if (n > *most) *most = n;
}

/* The walk of mg_encodec_plan with lengths alone: n_out rows of layer end-1 are wanted; returns the rows that
 * layer `first` reads. A clip that is not longer than its padding is lengthened, to at most span rows. */
static int64_t room_of_layers(room *r, const mg_encodec_half *half, int64_t first, int64_t end, int64_t n_out)
{
    for (int64_t l = end - 1; l >= first; l--) {
        const mg_encodec_layer *layer = &half->layers[l];
        const mg_conv *a = &layer->a.conv;
        const int64_t span = (a->n_taps - 1) * a->dilation + 1;
        int64_t n_in = (n_out - 1) * a->stride + span, n_made = n_out * a->c_out;
        if (layer->kind == MG_LAYER_UP) {
            const int64_t M = (n_out - 1) / a->stride + 2, J = (a->n_taps + a->stride - 1) / a->stride;
            n_in = M + J - 1;
            n_made = M * a->stride * a->c_out;
            raise(&r->padded, n_in * a->c_in);
        } else {
            raise(&r->padded, (n_in + span) * a->c_in);
            raise(&r->hidden, span * a->c_in);
            if (layer->kind == MG_LAYER_RESIDUAL) raise(&r->hidden, n_out * a->c_out);
        }
        raise(&r->sound, n_made);
        raise(&r->sound, n_in * a->c_in);
        n_out = n_in;
    }
    return n_out;
}

/* `step` rows of output at once. Returns the rows that the first layer reads. */
static int64_t room_of_half(room *r, const mg_encodec *c, const mg_encodec_half *half, int64_t step)
{
    const int64_t n_needed = room_of_layers(r, half, half->n_before, half->n_layers, step);

    raise(&r->rows_lstm, n_needed);
    return room_of_layers(r, half, 0, half->n_before, c->stretch);
}

static mg_status take(mg_arena *run, mg_tensor *t, mg_tensor shape)
{
    *t = shape;
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

static mg_status take_host(mg_encodec *c, const room *r)
{
    free(c->stretch_host);
    free(c->clip);
    c->stretch_bytes = (size_t)r->host * sizeof(float);
    c->stretch_host = malloc(c->stretch_bytes);
    c->clip = calloc((size_t)c->n_at_once, sizeof *c->clip);
    if (!c->stretch_host || !c->clip)
        return mg_fail(MG_ENOMEM, "encodec: no memory for a stretch of %lld frames", (long long)c->stretch);
    return MG_OK;
}

mg_status mg_encodec_reserve(mg_encodec *c, mg_arena *run, int64_t n_at_once)
{
    MG_REQUIRE(c->stretch > 0 && c->block > 0 && (c->decoder.is_there || c->encoder.is_there));
    MG_REQUIRE(n_at_once > 0 && n_at_once <= MG_ENCODEC_MOST_AT_ONCE);
    const int64_t B = n_at_once, C = c->C, K = c->config.n_codebooks, L = c->config.n_lstm_layers;
    const int64_t n_frames = c->stretch * c->config.hop;
    room r = {0};

    if (c->decoder.is_there) {
        const int64_t n_vectors = room_of_half(&r, c, &c->decoder, n_frames);
        raise(&r.ids, n_vectors * K);
        raise(&r.host, n_vectors * K);
        raise(&r.host, n_frames);
    }
    if (c->encoder.is_there) {
        raise(&r.host, room_of_half(&r, c, &c->encoder, c->stretch));
        raise(&r.hidden, c->stretch * c->config.codebook_size);
        raise(&r.ids, c->stretch * K);
        raise(&r.host, c->stretch * K);
    }
    const int64_t n_block = r.rows_lstm > c->block ? r.rows_lstm : c->block; /* rows that are added at once */
    raise(&r.sound, B * n_block * C);
    c->n_at_once = B;
    c->n_window = r.rows_lstm + n_block;
    MG_RETURN(take(run, &c->x, mg_tensor_1d(NULL, MG_F32, B * n_block * C)));
    for (int i = 0; i < 2; i++)
        MG_RETURN(take(run, &c->window[i], mg_tensor_2d(NULL, MG_F32, B * c->n_window, C)));
    MG_RETURN(take(run, &c->gates, mg_tensor_1d(NULL, MG_F32, B * n_block * 4 * C)));
    MG_RETURN(take(run, &c->state, mg_tensor_3d(NULL, MG_F32, L * B, 2, C)));
    MG_RETURN(take(run, &c->sound, mg_tensor_1d(NULL, MG_F32, r.sound)));
    MG_RETURN(take(run, &c->padded, mg_tensor_1d(NULL, MG_F32, r.padded)));
    MG_RETURN(take(run, &c->hidden, mg_tensor_1d(NULL, MG_F32, r.hidden)));
    MG_RETURN(take(run, &c->ids, mg_tensor_1d(NULL, MG_I32, r.ids)));
    return mg_arena_is_measuring(run) ? MG_OK : take_host(c, &r);
}
