/* The LSTM: the inputs' share of all gates in one product, then row by row the share of the row before.
 * That recurrence reads all of w_hh each time (16.8 MB in the real codec): the product cuts its columns the
 * same way each time, so each thread finds its half in the cache. */
#include <string.h>

#include "cpu_codec.h"
#include "cpu_codec_kernels.h"
#include "cpu_gemm.h"

mg_status mg_cpu_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w_ih,
                      const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates, mg_tensor *state)
{
    mg_cpu *cpu = ops->ctx;
    const int64_t N = x->dim[0], I = x->dim[1], C = y->dim[1];
    const mg_cpu_codec_kernels *kernels = mg_cpu_codec_at(cpu->level);
    float *h_state = state->data, *c = h_state + C;
    const float *h = h_state;

    mg_cpu_gemm(cpu, gates->data, 4 * C, x->data, I, N, w_ih, bias->data, MG_ACT_NONE, false);
    for (int64_t n = 0; n < N; n++) {
        float *row_gates = (float *)gates->data + n * 4 * C, *row_h = (float *)y->data + n * C;
        mg_cpu_gemm(cpu, row_gates, 4 * C, h, C, 1, w_hh, NULL, MG_ACT_NONE, true);
        kernels->lstm_cell(row_h, c, row_gates, C);
        h = row_h;
    }
    if (N > 0) memcpy(h_state, h, (size_t)C * sizeof *h);
    return MG_OK;
}
