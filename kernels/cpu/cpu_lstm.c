/* The LSTM: the inputs' share of all gates in one product, then row by row the share of the row before.
 * That recurrence reads all of w_hh each time (16.8 MB in the real codec): the product cuts its columns the
 * same way each time, so each thread finds its half in the cache. Several sequences share that reading: their
 * rows of one time, gathered in the scratch, are one product. */
#include <string.h>

#include "cpu_codec.h"
#include "cpu_codec_kernels.h"
#include "cpu_gemm.h"

/* Sequences whose recurrences go together. */
typedef struct recurrence {
    const mg_matrix *w_hh;
    float *y, *gates, *state; /* of the first sequence */
    const int64_t *n_rows;    /* [B] */
    int64_t B, C;
} recurrence;

/* A sequence alone: nothing is moved. */
static void recur_one(mg_cpu *cpu, const recurrence *r)
{
    const mg_cpu_codec_kernels *kernels = mg_cpu_codec_at(cpu->level);
    const int64_t C = r->C, N = r->n_rows[0];
    const float *h = r->state;

    for (int64_t n = 0; n < N; n++) {
        float *gates = r->gates + n * 4 * C, *y = r->y + n * C;
        mg_cpu_gemm(cpu, gates, 4 * C, h, C, 1, r->w_hh, NULL, MG_ACT_NONE, true);
        kernels->lstm_cell(y, r->state + C, gates, C);
        h = y;
    }
    if (N > 0) memcpy(r->state, h, (size_t)C * sizeof *h);
}

/* Row n of each sequence that has one; false if none has. */
static bool recur_row(mg_cpu *cpu, const recurrence *r, int64_t n)
{
    const mg_cpu_codec_kernels *kernels = mg_cpu_codec_at(cpu->level);
    const int64_t C = r->C;
    const size_t h_bytes = (size_t)C * sizeof(float);
    float *const h = cpu->scratch, *const gates = h + r->B * C;
    int64_t n_live = 0, first = 0, i = 0;

    for (int64_t b = 0; b < r->B; first += r->n_rows[b], b++) {
        if (n >= r->n_rows[b]) continue;
        memcpy(h + n_live * C, n > 0 ? r->y + (first + n - 1) * C : r->state + 2 * b * C, h_bytes);
        memcpy(gates + n_live * 4 * C, r->gates + (first + n) * 4 * C, 4 * h_bytes);
        n_live++;
    }
    if (n_live == 0) return false;
    mg_cpu_gemm(cpu, gates, 4 * C, h, C, n_live, r->w_hh, NULL, MG_ACT_NONE, true);
    first = 0;
    for (int64_t b = 0; b < r->B; first += r->n_rows[b], b++) {
        float *state = r->state + 2 * b * C, *y = r->y + (first + n) * C;
        if (n >= r->n_rows[b]) continue;
        kernels->lstm_cell(y, state + C, gates + i++ * 4 * C, C);
        if (n == r->n_rows[b] - 1) memcpy(state, y, h_bytes);
    }
    return true;
}

mg_status mg_cpu_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                      const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                      mg_tensor *state)
{
    mg_cpu *cpu = ops->ctx;
    const int64_t N = x->dim[0], I = x->dim[1], C = y->dim[1], B = state->dim[0];
    const int64_t fit = (int64_t)(cpu->scratch_bytes / sizeof(float)) / (5 * C), most = fit > 1 ? fit : 1;
    int64_t first = 0;

    MG_REQUIRE(mg_cpu_gemm_scratch_bytes(cpu, w_hh) == 0); /* what is gathered there would be lost */
    mg_cpu_gemm(cpu, gates->data, 4 * C, x->data, I, N, w_ih, bias->data, MG_ACT_NONE, false);
    for (int64_t b = 0; b < B; b += most) {
        const recurrence r = {.w_hh = w_hh,
                              .y = (float *)y->data + first * C,
                              .gates = (float *)gates->data + first * 4 * C,
                              .state = (float *)state->data + 2 * b * C,
                              .n_rows = n_rows_host + b,
                              .B = B - b < most ? B - b : most,
                              .C = C};
        if (r.B == 1) recur_one(cpu, &r);
        for (int64_t n = 0; r.B > 1 && recur_row(cpu, &r, n); n++) continue;
        for (int64_t i = 0; i < r.B; i++) first += r.n_rows[i];
    }
    return MG_OK;
}
