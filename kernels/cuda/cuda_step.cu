/* A step of the language model in few launches: norm, product and cache in one kernel, product and residual
 * in one; and all of a step's launches in a graph, recorded when its key is seen first. What changes from
 * step to step is read from device memory, so one recording serves all steps of its size. */
#include "cuda_step.cuh"

#include "cuda_matrix.cuh"
#include "cuda_transformer.cuh"

static mg_finish_kv cache_of(const mg_cuda *cuda, const mg_kv_place *into)
{
    mg_finish_kv kv = {};

    if (!into) return kv;
    kv.k = into->kv->k;
    kv.v = into->kv->v;
    kv.row = (const int32_t *)into->kv_row->data;
    kv.pos = (const int32_t *)into->pos->data;
    kv.fault = cuda->fault;
    kv.first_col = into->first_col;
    kv.format = into->kv->format;
    kv.n_rows = (int32_t)into->kv->n_rows;
    kv.H = (int32_t)into->kv->n_heads;
    kv.T_max = (int32_t)into->kv->T_max;
    kv.E = (int32_t)into->kv->E;
    return kv;
}

mg_status mg_cuda_norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                              const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t N = x->dim[0];
    const mg_row_norm row_norm = {(const float *)norm->gamma->data, (const float *)norm->beta->data,
                                  norm->eps};
    mg_rows rows = {(const float *)x->data, w->n_in, w->n_in, w->n_in, N};
    mg_finish to = {};

    to.y = (float *)y->data;
    to.row_stride = w->n_out;
    to.act = act;
    to.kv = cache_of(cuda, into);
    if (mg_product_takes_norm(w, N)) return mg_product(cuda, &to, &rows, w, &row_norm);
    MG_RETURN(mg_cuda_layer_norm(ops, a, x, norm->gamma, norm->beta, norm->eps));
    rows.x = (const float *)a->data;
    return mg_product(cuda, &to, &rows, w, NULL);
}

mg_status mg_cuda_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                             const mg_matrix *w)
{
    const mg_rows rows = {(const float *)x->data, w->n_in, w->n_in, w->n_in, x->dim[0]};
    mg_finish to = {};

    (void)product;
    to.y = (float *)y->data;
    to.row_stride = w->n_out;
    to.accumulate = true;
    return mg_product(mg_cuda_of(ops), &to, &rows, w, NULL);
}

/* Put the recording of `key` first, where it is; false: there is none. */
static bool find_step(mg_cuda *cuda, uint64_t key)
{
    for (int i = 0; i < cuda->n_steps; i++) {
        if (cuda->steps[i].key != key) continue;
        const mg_recording found = cuda->steps[i];
        for (; i > 0; i--) cuda->steps[i] = cuda->steps[i - 1];
        cuda->steps[0] = found;
        return true;
    }
    return false;
}

/* Drop the recordings from `first` on; none of them runs any more. */
static void drop_steps(mg_cuda *cuda, int first)
{
    for (; cuda->n_steps > first; cuda->n_steps--) {
        const mg_recording *last = &cuda->steps[cuda->n_steps - 1];
        if (last->graph) (void)cudaGraphExecDestroy(last->graph);
    }
}

mg_status mg_cuda_step_begin(const mg_ops *ops, uint64_t key, bool *replay)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    MG_REQUIRE(!cuda->recording);
    *replay = find_step(cuda, key);
    if (*replay) return MG_OK;
    if (cuda->n_steps == MG_MAX_RECORDINGS) { /* the one that was not used for longest */
        MG_RETURN(mg_cuda_wait(cuda));
        drop_steps(cuda, MG_MAX_RECORDINGS - 1);
    }
    for (int i = cuda->n_steps++; i > 0; i--) cuda->steps[i] = cuda->steps[i - 1];
    cuda->steps[0] = {key, NULL};
    cuda->recording = true;
    /* Relaxed: NCCL puts what a non-blocking communicator is called for into the stream from a thread of its
     * own. */
    return mg_cuda_check(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeRelaxed),
                         "recording a step");
}

/* Runs the first recording, which is made of `graph` if it is new. */
static cudaError_t start(mg_cuda *cuda, cudaGraph_t graph)
{
    mg_recording *step = &cuda->steps[0];

    if (!step->graph) {
        const cudaError_t error = cudaGraphInstantiate(&step->graph, graph, 0);
        if (error != cudaSuccess) {
            step->graph = NULL;
            return error;
        }
    }
    return cudaGraphLaunch(step->graph, cuda->stream);
}

/* Recordings take memory of the device, which no plan counts. Where there is none left for this one, the
 * others make room for it; but in a group no rank may record again what the others replay. */
mg_status mg_cuda_step_end(const mg_ops *ops)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    mg_status st = MG_OK;
    cudaGraph_t graph = NULL;

    if (cuda->recording) {
        cuda->recording = false;
        MG_CUDA(cudaStreamEndCapture(cuda->stream, &graph));
    }
    cudaError_t error = start(cuda, graph);
    if (error == cudaErrorMemoryAllocation && cuda->n_steps > 1 && !cuda->is_in_group) {
        (void)cudaGetLastError();
        MG_TRY(mg_cuda_wait(cuda));
        drop_steps(cuda, 1);
        error = start(cuda, graph);
    }
    MG_TRY(mg_cuda_check(error, "a recorded step"));
done:
    if (graph) (void)cudaGraphDestroy(graph);
    return st;
}

void mg_cuda_step_forget(const mg_ops *ops)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    cudaGraph_t graph = NULL;

    if (cuda->recording) { /* a call of that step has failed */
        cuda->recording = false;
        if (cudaStreamEndCapture(cuda->stream, &graph) == cudaSuccess && graph) (void)cudaGraphDestroy(graph);
        (void)cudaGetLastError();
    }
    /* Not for ever: a sum that a lost rank will never bring is given up, and then the stream runs out. */
    if (cuda->n_steps && cuda->stream && mg_cuda_wait(cuda) != MG_OK)
        (void)cudaStreamSynchronize(cuda->stream);
    drop_steps(cuda, 0);
}
