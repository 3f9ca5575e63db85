/* Vector quantisation: each row's nearest code vector, from products that a matrix product has made. Plain C
 * at every level: beside that product it is nothing. */
#include "cpu_codec.h"

typedef struct nearest_job {
    int32_t *ids;          /* [N] */
    float *x;              /* [N,D] */
    const float *products; /* [N,V] */
    const float *table;    /* [V,D] */
    const float *norms;    /* [V] */
    int64_t D, V;
} nearest_job;

/* In the reference's order of operations: it decides between code vectors that are almost equally near. */
static int64_t nearest(const float *products, const float *norms, float square, int64_t V)
{
    float best = -((square - 2 * products[0]) + norms[0]);
    int64_t at = 0;

    for (int64_t v = 1; v < V; v++) {
        const float score = -((square - 2 * products[v]) + norms[v]);
        if (score > best) best = score, at = v;
    }
    return at;
}

static void take_nearest(void *arg, int64_t first, int64_t end, int i_thread)
{
    const nearest_job *job = arg;
    const int64_t D = job->D;

    (void)i_thread;
    for (int64_t n = first; n < end; n++) {
        float *x = job->x + n * D;
        double square = 0;
        for (int64_t i = 0; i < D; i++) square += (double)x[i] * (double)x[i];
        const int64_t v = nearest(job->products + n * job->V, job->norms, (float)square, job->V);
        for (int64_t i = 0; i < D; i++) x[i] -= job->table[v * D + i];
        job->ids[n] = (int32_t)v;
    }
}

mg_status mg_cpu_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                              const mg_tensor *table, const mg_tensor *norms)
{
    const mg_cpu *cpu = ops->ctx;
    nearest_job job = {.ids = ids->data,
                       .x = x->data,
                       .products = products->data,
                       .table = table->data,
                       .norms = norms->data,
                       .D = table->dim[1],
                       .V = table->dim[0]};

    mg_cpu_run(cpu, take_nearest, &job, x->dim[0], x->dim[0] * (2 * job.D + 4 * job.V));
    return MG_OK;
}
