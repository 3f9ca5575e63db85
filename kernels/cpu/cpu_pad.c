/* Rows before and after, and the activation on the way: what every convolution of the codec reads. */
#include <string.h>

#include "cpu_codec.h"

typedef struct pad_job {
    float *y;       /* [left + N + right, C] */
    const float *x; /* [N, C] */
    int64_t N, C, left;
    mg_pad_mode mode;
    mg_act act;
    const mg_cpu *cpu;
} pad_job;

static void pad_span(const pad_job *job, float *y, const float *x, int64_t n)
{
    if (job->act == MG_ACT_NONE)
        memcpy(y, x, (size_t)n * sizeof *y);
    else
        mg_cpu_act(job->cpu, y, x, n, job->act);
}

static void pad_edge_row(const pad_job *job, int64_t row)
{
    const int64_t at = row - job->left, C = job->C;
    const int64_t mirror = at < 0 ? -at : 2 * (job->N - 1) - at;

    if (job->mode == MG_PAD_REFLECT)
        pad_span(job, job->y + row * C, job->x + mirror * C, C);
    else
        memset(job->y + row * C, 0, (size_t)C * sizeof *job->y);
}

static void pad_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    const pad_job *job = arg;
    const int64_t left = job->left, C = job->C;
    const int64_t body = first > left ? first : left;
    const int64_t body_end = end < left + job->N ? end : left + job->N;

    (void)i_thread;
    for (int64_t row = first; row < end && row < left; row++) pad_edge_row(job, row);
    if (body < body_end) pad_span(job, job->y + body * C, job->x + (body - left) * C, (body_end - body) * C);
    for (int64_t row = first > left + job->N ? first : left + job->N; row < end; row++)
        pad_edge_row(job, row);
}

mg_status mg_cpu_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                     mg_pad_mode mode, mg_act act)
{
    const mg_cpu *cpu = ops->ctx;
    const int64_t N = x->dim[0], C = x->dim[1], n_rows = left + N + right;
    pad_job job = {
        .y = y->data, .x = x->data, .N = N, .C = C, .left = left, .mode = mode, .act = act, .cpu = cpu};

    mg_cpu_run(cpu, pad_rows, &job, n_rows, n_rows * C * (act == MG_ACT_NONE ? 1 : 8));
    return MG_OK;
}
