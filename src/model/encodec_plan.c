/* The room that a decoder takes, and which rows of each layer a stretch of sound needs: from the last layer
 * backwards, clipped at the clip's own ends, where the padding stands. A row beyond an end is a reflected
 * row, and that must be there too. */
#include <stdlib.h>

#include "encodec_parts.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rows of input under one row of output, less one. */
static int64_t reach(const mg_conv *c)
{
    return (c->n_taps - 1) * c->dilation;
}

int64_t mg_encodec_pad_left(const mg_conv *c)
{
    return reach(c) - reach(c) / 2;
}

int64_t mg_encodec_pad_right(const mg_conv *c)
{
    return reach(c) / 2;
}

int64_t mg_encodec_cut_left(const mg_conv *c)
{
    const int64_t cut = c->n_taps - c->stride;

    return cut - cut / 2;
}

/* N rows in the whole input. */
static mg_span conv_needs(const mg_conv *c, mg_span out, int64_t N)
{
    const int64_t first = out.first - mg_encodec_pad_left(c), end = out.end + mg_encodec_pad_right(c);
    const int64_t last_mirror = 2 * (N - 1) - (end - 1); /* the lowest row reflected at the end */
    mg_span in = {larger(first, 0), smaller(end, N)};

    if (N <= mg_encodec_pad_left(c)) return (mg_span){0, N};
    if (first < 0) in.end = smaller(larger(in.end, 1 - first), N);
    if (end > N) in.first = larger(smaller(in.first, last_mirror), 0);
    return in;
}

static mg_span up_needs(const mg_conv *c, mg_span out, int64_t N)
{
    const int64_t J = (c->n_taps + c->stride - 1) / c->stride, cut = mg_encodec_cut_left(c);
    const int64_t first = (out.first + cut) / c->stride - (J - 1);

    return (mg_span){larger(first, 0), smaller((out.end - 1 + cut) / c->stride + 1, N)};
}

void mg_encodec_plan(mg_encodec *c, int64_t T, mg_span want)
{
    for (int64_t l = c->n_layers - 1; l >= 0; l--) {
        mg_encodec_layer *layer = &c->layers[l];
        const mg_conv *a = &layer->a.conv;
        layer->out = want;
        layer->in = layer->kind == MG_LAYER_UP ? up_needs(a, want, T * layer->rate_in)
                                               : conv_needs(a, want, T * layer->rate_in);
        want = layer->in;
    }
}

/* Floats of the buffers that hold a stretch, at most. */
typedef struct stretch_room {
    int64_t sound, padded, hidden;
} stretch_room;

/* The same walk with lengths alone. A clip shorter than its padding is first lengthened, to at most
 * reach + 1 rows. */
static stretch_room room_of_layers(const mg_encodec *c)
{
    stretch_room room = {0};
    int64_t n_out = c->stretch * c->config.hop;

    for (int64_t l = c->n_layers - 1; l >= 0; l--) {
        const mg_encodec_layer *layer = &c->layers[l];
        const mg_conv *a = &layer->a.conv;
        int64_t n_in = n_out + reach(a), n_made = n_out * a->c_out;
        if (layer->kind == MG_LAYER_UP) {
            const int64_t M = (n_out - 1) / a->stride + 2, J = (a->n_taps + a->stride - 1) / a->stride;
            n_in = M + J - 1;
            n_made = M * a->stride * a->c_out;
            room.padded = larger(room.padded, n_in * a->c_in);
        } else {
            room.padded = larger(room.padded, (n_in + reach(a) + 1) * a->c_in);
            room.hidden = larger(room.hidden, larger((reach(a) + 1) * a->c_in, n_out * a->c_out));
        }
        room.sound = larger(room.sound, n_made);
        if (l > 0) room.sound = larger(room.sound, n_in * a->c_in); /* layer 0 reads the LSTM's rows */
        n_out = n_in;
    }
    return room;
}

static mg_status take(mg_arena *run, mg_tensor *t, mg_tensor shape)
{
    *t = shape;
    return mg_arena_take(run, &t->data, mg_tensor_bytes(t));
}

mg_status mg_encodec_reserve(mg_encodec *c, mg_arena *run, int64_t T_max)
{
    MG_REQUIRE(T_max > 0 && c->stretch > 0);
    const int64_t C = c->C, K = c->config.n_codebooks, n_gates = smaller(T_max, MG_LSTM_ROWS);
    const mg_conv *first = &c->first.conv;
    const int64_t n_vectors = T_max + 2 * reach(first) + 1; /* the code vectors, padded */
    stretch_room room = room_of_layers(c);

    room.padded = larger(room.padded, n_vectors * first->c_in);
    room.hidden = larger(room.hidden, T_max * first->c_in);
    room.sound = larger(room.sound, (reach(first) + 1) * first->c_in);
    c->T_max = T_max;
    MG_RETURN(take(run, &c->ids, mg_tensor_2d(NULL, MG_I32, T_max, K)));
    MG_RETURN(take(run, &c->x, mg_tensor_2d(NULL, MG_F32, T_max, C)));
    MG_RETURN(take(run, &c->y, mg_tensor_2d(NULL, MG_F32, T_max, C)));
    MG_RETURN(take(run, &c->gates, mg_tensor_2d(NULL, MG_F32, n_gates, 4 * C)));
    MG_RETURN(take(run, &c->state, mg_tensor_2d(NULL, MG_F32, 2, C)));
    MG_RETURN(take(run, &c->sound, mg_tensor_1d(NULL, MG_F32, room.sound)));
    MG_RETURN(take(run, &c->padded, mg_tensor_1d(NULL, MG_F32, room.padded)));
    MG_RETURN(take(run, &c->hidden, mg_tensor_1d(NULL, MG_F32, room.hidden)));
    if (mg_arena_is_measuring(run)) return MG_OK;

    free(c->ids_host);
    free(c->zero_host);
    c->ids_host = calloc((size_t)(T_max * K), sizeof *c->ids_host);
    c->zero_host = calloc((size_t)(2 * C), sizeof *c->zero_host);
    if (!c->ids_host || !c->zero_host)
        return mg_fail(MG_ENOMEM, "encodec: no memory for clips of %lld frames", (long long)T_max);
    return MG_OK;
}
