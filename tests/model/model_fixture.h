/* A loaded model for tests: backend, checkpoint, T5 and language model of one golden folder, in arenas of the
 * size that the survey asked for. Include after cmocka.h. */
#ifndef MG_MODEL_FIXTURE_H
#define MG_MODEL_FIXTURE_H

#include "golden.h"
#include "lm.h"
#include "t5.h"
#include "test_backend.h"

typedef struct fixture {
    mg_threads *threads;
    mg_ops *ops;
    mg_checkpoint *checkpoint;
    mg_config config;
    mg_arena weights, run;
    mg_t5 *t5;
    mg_lm *lm;
    mg_comm *own_comm, *group; /* group: of the language model, in the backend's memory */
} fixture;

/* How a fixture is opened; zeros are good: fp32, one rank, the best level, one thread, no T5. */
typedef struct fixture_want {
    const char *dir; /* full path of a checkpoint folder, or NULL: tests/golden/checkpoints/`model` */
    const char *weights_path; /* weights from elsewhere */
    mg_format format;         /* of the language model's matrices */
    bool kv_int8;             /* its caches in 8 bits, not as suits the matrices */
    mg_comm *comm;
    mg_cpu_level level;
    int n_threads;
    bool with_t5, no_lm;
    int64_t n_random;    /* layers of random weights in the place of the checkpoint's; 0: the checkpoint */
    int64_t n_outside;   /* layers of the language model that come when a step reaches them */
    mg_lm_limits limits; /* zeros: enough for the golden cases */
} fixture_want;

static inline void fixture_backend(fixture *f, mg_cpu_level level, int n_threads)
{
    GOLDEN_OK(mg_threads_open(&f->threads, n_threads > 0 ? n_threads : 1, 0));
    GOLDEN_OK(test_backend_open(&f->ops, level, f->threads));
}

/* A test's setup and teardown: *state is a fixture of a backend alone. */
static inline int fixture_setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    if (!f) return 1;
    fixture_backend(f, MG_CPU_AUTO, 1);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture *f = *state;

    mg_ops_close(f->ops);
    mg_threads_close(f->threads);
    free(f);
    return 0;
}

static inline void fixture_arena(fixture *f, mg_arena *a, const char *name, size_t bytes)
{
    void *block;

    GOLDEN_OK(mg_ops_alloc(f->ops, &block, bytes ? bytes : MG_ARENA_ALIGN));
    *a = mg_arena_over(name, block, bytes);
}

static inline mg_status fixture_load(fixture *f, mg_arena *arena, const fixture_want *want, mg_comm *comm)
{
    const mg_lm_formats formats = {want->format,
                                   want->kv_int8 ? MG_FORMAT_Q8 : mg_format_of_kv(want->format)};
    mg_weights w;
    mg_status st = MG_OK;

    mg_weights_init(&w, f->ops, f->checkpoint, arena, "text_encoder.");
    if (want->with_t5) MG_TRY(mg_t5_load(&f->t5, &f->config.t5, &w));
    w.prefix = "";
    if (!want->no_lm) MG_TRY(mg_lm_load(&f->lm, &f->config.lm, formats, comm, &w));
    st = mg_weights_check_survey(&w);
done:
    mg_weights_close(&w);
    return st;
}

static inline mg_status fixture_reserve(fixture *f, mg_arena *arena, const mg_lm_limits *limits)
{
    if (f->t5) MG_RETURN(mg_t5_reserve(f->t5, arena, limits->S_max));
    return f->lm ? mg_lm_reserve(f->lm, arena, limits) : MG_OK;
}

static inline void fixture_open(fixture *f, const char *model, const fixture_want *want)
{
    mg_lm_limits limits = want->limits;
    mg_comm *comm = want->comm;
    char dir[1024];

    *f = (fixture){0};
    fixture_backend(f, want->level, want->n_threads);
    snprintf(dir, sizeof dir, "%s/checkpoints/%s", MG_GOLDEN_DIR, model);
    if (want->dir) snprintf(dir, sizeof dir, "%s", want->dir);
    GOLDEN_OK(mg_config_load(&f->config, dir));
    if (want->n_random)
        f->config.lm.L = want->n_random;
    else
        GOLDEN_OK(mg_checkpoint_open(&f->checkpoint, want->weights_path ? want->weights_path : dir));
    if (!comm) {
        GOLDEN_OK(mg_comm_self_open(&f->own_comm));
        comm = f->own_comm;
    }
    comm = f->group = test_group_open(comm, f->ops);
    mg_arena measured = mg_arena_measure("weights");
    GOLDEN_OK(fixture_load(f, &measured, want, comm));
    const int64_t saved =
        want->n_outside ? mg_lm_outside_saves(mg_lm_get_layer_size(f->lm), want->n_outside) : 0;
    if (want->n_outside) mg_lm_leave_outside(f->lm, want->n_outside);
    fixture_arena(f, &f->weights, "weights", (size_t)((int64_t)measured.peak_bytes - saved));
    GOLDEN_OK(fixture_load(f, &f->weights, want, comm));

    if (!limits.n_rows) limits = (mg_lm_limits){8, 4, 72, 72, 80, 32, 4, 80};
    measured = mg_arena_measure("run");
    GOLDEN_OK(fixture_reserve(f, &measured, &limits));
    fixture_arena(f, &f->run, "run", measured.peak_bytes);
    GOLDEN_OK(fixture_reserve(f, &f->run, &limits));
}

static inline void fixture_close(fixture *f)
{
    mg_t5_close(f->t5);
    mg_lm_close(f->lm);
    mg_comm_close(f->group);
    mg_comm_close(f->own_comm);
    if (f->weights.base) mg_ops_release(f->ops, f->weights.base, f->weights.size_bytes);
    if (f->run.base) mg_ops_release(f->ops, f->run.base, f->run.size_bytes);
    mg_checkpoint_close(f->checkpoint);
    mg_ops_close(f->ops);
    mg_threads_close(f->threads);
}

/* Host copy of an fp32 backend tensor; the caller frees it. */
static inline float *fixture_host(const fixture *f, const mg_tensor *t)
{
    float *host = malloc(mg_tensor_bytes(t));

    if (!host) fail_msg("no memory");
    GOLDEN_OK(mg_download(f->ops, host, t->data, mg_tensor_bytes(t)));
    return host;
}

/* A forward pass over ids [N,K] (host; PAD = V), by way of the codes of slot 0. logits [N,K,V]. */
static inline mg_status fixture_forward(mg_lm *lm, int64_t K, int64_t V, mg_lm_batch batch,
                                        const int32_t *ids, float *logits)
{
    const int64_t N = batch.n_tokens;
    int32_t *codes = calloc((size_t)(2 * N * K), sizeof *codes), *cells = codes + N * K;
    mg_status st = MG_OK;

    if (!codes) fail_msg("no memory");
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < K; k++) {
            codes[k * N + n] = ids[n * K + k];
            cells[n * K + k] = ids[n * K + k] == V ? -1 : mg_lm_cell(lm, 0, k, n);
        }
    batch.cells = cells;
    batch.with_logits = true;
    MG_TRY(mg_lm_put_codes(lm, 0, codes, N, N));
    MG_TRY(mg_lm_step(lm, &batch, NULL, 0));
    MG_TRY(mg_lm_logits(lm, logits));
done:
    free(codes);
    return st;
}

#endif
