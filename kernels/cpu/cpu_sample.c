#include "cpu_sample.h"

#include <string.h>

#include "arena.h"
#include "cpu_run.h"
#include "cpu_sampler.h"

typedef struct sample_job {
    const mg_cpu *cpu;
    int32_t *codes;
    const float *logits;  /* [R,N,W] */
    int64_t N, W, V;      /* tokens; columns of a piece; codes of a codebook */
    const mg_draw *draws; /* [n] */
    size_t room_bytes;    /* of a thread, in the backend's scratch */
} sample_job;

mg_status mg_cpu_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                            int32_t pad)
{
    const int64_t n = mg_tensor_count(ids), n_cells = mg_tensor_count(codes);
    const int32_t *cell = cells->data, *code = codes->data;
    int32_t *id = ids->data;

    (void)ops;
    for (int64_t i = 0; i < n; i++) {
        if (cell[i] >= n_cells)
            return mg_fail(MG_EBUG, "gather_ids: cell %d: outside the grid", (int)cell[i]);
        id[i] = cell[i] < 0 ? pad : code[cell[i]];
    }
    return MG_OK;
}

/* The V logits of a codebook: where they stand, or in `room` if they cross pieces. */
static const float *row_of(const sample_job *j, int64_t token, int64_t k, float *room)
{
    const int64_t first = k * j->V, end = first + j->V, W = j->W;

    for (int64_t c = first, n; c < end; c += n) {
        const int64_t left = W - c % W;
        const float *from = j->logits + (c / W * j->N + token) * W + c % W;
        if (c == first && left >= j->V) return from;
        n = left < end - c ? left : end - c;
        memcpy(room + (c - first), from, (size_t)n * sizeof *room);
    }
    return room;
}

static void sample_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    const sample_job *j = arg;
    mg_cpu_sampler s = mg_cpu_sampler_over((char *)j->cpu->scratch + (size_t)i_thread * j->room_bytes, j->V);

    for (int64_t u = first; u < end; u++) {
        const mg_draw *d = &j->draws[u];
        if (d->cell < 0) continue;
        const float *logits = row_of(j, d->token[0], d->k, s.row[0]);
        for (int role = d->n_roles - 1; role > 0; role--) {
            const float *from = row_of(j, d->token[role], d->k, s.row[1]);
            mg_cpu_guide(s.row[0], logits, from, role == 2 ? d->beta : d->coef, j->V);
            logits = s.row[0];
        }
        j->codes[d->cell] = mg_cpu_sampler_draw(&s, logits, &d->how, d->uniform);
    }
}

static bool is_draw(const sample_job *j, const mg_draw *d, int64_t n_cells, int64_t K)
{
    if (d->cell < 0) return true;
    if (d->cell >= n_cells || d->k < 0 || d->k >= K || d->n_roles < 1 || d->n_roles > MG_MAX_ROLES)
        return false;
    for (int role = 0; role < d->n_roles; role++)
        if (d->token[role] < 0 || d->token[role] >= j->N) return false;
    return true;
}

mg_status mg_cpu_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                        const mg_draw *draws, int64_t n)
{
    const mg_cpu *cpu = ops->ctx;
    const size_t need = (mg_cpu_sampler_bytes(V) + MG_ARENA_ALIGN - 1) & ~(size_t)(MG_ARENA_ALIGN - 1);
    const int64_t K = logits->dim[0] * logits->dim[2] / V;
    sample_job job = {cpu, codes->data, logits->data, logits->dim[1], logits->dim[2], V, draws, need};

    for (int64_t i = 0; i < n; i++)
        if (!is_draw(&job, &draws[i], mg_tensor_count(codes), K))
            return mg_fail(MG_EBUG, "sample: draw %lld: cell %d, codebook %d: outside the grid or the logits",
                           (long long)i, (int)draws[i].cell, (int)draws[i].k);
    MG_REQUIRE(need <= cpu->scratch_bytes);
    if (need * (size_t)mg_threads_count(cpu->threads) <= cpu->scratch_bytes)
        mg_threads_run(cpu->threads, sample_units, &job, n);
    else
        sample_units(&job, 0, n, 0); /* codebooks of a size that nobody has */
    return MG_OK;
}
