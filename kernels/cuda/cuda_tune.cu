/* Times the variants of the 16-bit product kernel on the very device, and keeps the fastest for each shape
 * and number of row tiles.
 *
 * As in a step: each variant's products over the matrices of as many layers as hold ROUND_BYTES, one after
 * the other, are a graph, so that the host's launches are not what is timed. Before each round twice as many
 * bytes as the L2 cache holds are read: weights come from memory, in the heads too, of which there is one
 * matrix. Once would do if what was used longest ago went first; which goes is not documented, and if it is
 * any, more than half of 17 MB would stay in 50. Written bytes would leave the cache while the round runs.
 * Variants take turns, so that a clock that rises or falls is fair to all. All reads and writes are in memory
 * of the call's own, but for the weights, which are read, and scratch.
 *
 * The rule's variant stays unless another one's median is below its own by more than LEAST_GAIN, and below
 * its fastest round.
 *
 * By arithmetic it takes 0.17 s on an H100: a model has 6 shapes, and a shape 37 to 40 variants over five
 * numbers of tiles; 4 rounds of each are some 924. 128 MB in each are 118 GB, 35 ms at 3.35 TB/s, or thrice
 * that if most variants are slow. To read 100 MB before each takes 32 ms, to record 231 graphs 35 ms. No
 * GPU has measured it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda_fast.cuh"
#include "cuda_variants.cuh"

extern "C" {
#include "log.h"
}

enum {
    N_ROUNDS = 3, /* that count; one before them does not */
    ROUND_BYTES = 128 << 20,
    A_BYTE = 0x3c, /* of x and of a norm's parameters: 0.0115 as fp32 */
    LINE = 512,
};

static const float LEAST_GAIN = 0.02f;

typedef struct contest {
    mg_cuda *cuda;
    const mg_matrix *const *w;
    int64_t n; /* of w, in a round */
    bool with_norm;
    cudaEvent_t begin, end;
    size_t scratch_bytes, cold_bytes; /* read before a round: of scratch, and a block for the rest */
    char *block, *cold;
    float *x, *y, *norm;
    const char *lacks; /* NULL, or what it lacks to time anything */

    int64_t n_rows;
    int n_variants, variant[MG_N_VARIANTS]; /* the rule's first */
    cudaGraphExec_t graph[MG_N_VARIANTS];   /* NULL: the device refuses it */
    float ms[MG_N_VARIANTS][N_ROUNDS], median_ms[MG_N_VARIANTS];
    char line[LINE];
    int used; /* of line */
} contest;

/* ---- What it needs ---- */

static void say_no_time(contest *c)
{
    (void)cudaGetLastError();
    c->cuda->tells_no_time = true;
    c->lacks = "clock";
}

/* Do the device's events tell a time? */
static mg_status try_events(contest *c)
{
    mg_cuda *cuda = c->cuda;
    float ms;

    if (cudaEventCreateWithFlags(&c->begin, cudaEventDefault) == cudaSuccess &&
        cudaEventCreateWithFlags(&c->end, cudaEventDefault) == cudaSuccess &&
        cudaEventRecord(c->begin, cuda->stream) == cudaSuccess &&
        cudaEventRecord(c->end, cuda->stream) == cudaSuccess) {
        MG_RETURN(mg_cuda_wait(cuda));
        if (cudaEventElapsedTime(&ms, c->begin, c->end) == cudaSuccess) return MG_OK;
    }
    say_no_time(c);
    return MG_OK;
}

static mg_status take_block(contest *c, int64_t n_rows)
{
    const mg_matrix *w = c->w[0];
    const int64_t rows = mg_smaller(n_rows, MG_ROWS_AT_ONCE);
    const int64_t n_x = mg_ceil_div(rows * w->n_in, 64) * 64, n_norm = mg_ceil_div(2 * w->n_in, 64) * 64;
    const int64_t n_y = mg_ceil_div(rows * w->n_out, 64) * 64;
    const size_t held = (size_t)(n_x + n_norm + n_y) * sizeof(float);
    int l2_bytes = 0;

    MG_CUDA(cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, c->cuda->settings.device));
    const size_t most = 2 * (size_t)l2_bytes;
    c->scratch_bytes = c->cuda->scratch_bytes < most ? c->cuda->scratch_bytes : most;
    c->cold_bytes = most - c->scratch_bytes; /* a plan leaves 256 MB, and a B200 has a cache of 126 */
    if (cudaMalloc((void **)&c->block, held + c->cold_bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        c->block = NULL;
        c->lacks = "memory";
        return MG_OK;
    }
    c->x = (float *)c->block;
    c->norm = c->x + n_x;
    c->y = c->norm + n_norm;
    c->cold = c->block + held;
    return mg_cuda_check(cudaMemsetAsync(c->block, A_BYTE, held, c->cuda->stream), "cudaMemsetAsync");
}

static void drop_graphs(contest *c)
{
    for (int i = 0; i < MG_N_VARIANTS; i++) {
        if (c->graph[i]) (void)cudaGraphExecDestroy(c->graph[i]);
        c->graph[i] = NULL;
    }
}

/* After a failure the stream may hold work that uses the block. */
static void close_contest(contest *c, mg_status st)
{
    if (st != MG_OK) (void)cudaStreamSynchronize(c->cuda->stream);
    drop_graphs(c);
    if (c->block) (void)cudaFree(c->block);
    if (c->begin) (void)cudaEventDestroy(c->begin);
    if (c->end) (void)cudaEventDestroy(c->end);
}

/* ---- A contest of the variants for some rows ---- */

static mg_status put_products(const contest *c, int variant)
{
    const int64_t n_in = c->w[0]->n_in;
    const mg_rows x = {c->x, n_in, n_in, n_in, c->n_rows};
    const mg_row_norm norm = {c->norm, c->norm + n_in, 1e-5f};
    mg_finish to = {};

    to.y = c->y;
    to.row_stride = c->w[0]->n_out;
    for (int64_t i = 0; i < c->n; i++)
        MG_RETURN(mg_product_half_by(c->cuda, variant, &to, &x, c->w[i], c->with_norm ? &norm : NULL));
    return MG_OK;
}

/* A variant that the device refuses has no graph; a fault of the device itself comes again with the next
 * call. */
static void record(contest *c, int i)
{
    cudaGraph_t graph = NULL;

    if (cudaStreamBeginCapture(c->cuda->stream, cudaStreamCaptureModeRelaxed) == cudaSuccess) {
        const mg_status st = put_products(c, c->variant[i]);
        const cudaError_t error = cudaStreamEndCapture(c->cuda->stream, &graph);
        if (st != MG_OK) mg_clear_error();
        if (st == MG_OK && error == cudaSuccess &&
            cudaGraphInstantiate(&c->graph[i], graph, 0) != cudaSuccess)
            c->graph[i] = NULL;
        if (error == cudaSuccess && graph) (void)cudaGraphDestroy(graph);
    }
    (void)cudaGetLastError();
}

/* *ms NULL: a round that does not count. */
static mg_status run_round(contest *c, int i, float *ms)
{
    mg_cuda *cuda = c->cuda;
    float took_ms = 0;

    MG_RETURN(mg_read_through(cuda, cuda->scratch, c->scratch_bytes));
    if (c->cold_bytes > 0) MG_RETURN(mg_read_through(cuda, c->cold, c->cold_bytes));
    const bool begun = cudaEventRecord(c->begin, cuda->stream) == cudaSuccess;
    const cudaError_t error = cudaGraphLaunch(c->graph[i], cuda->stream);
    if (error == cudaErrorMemoryAllocation) { /* a graph takes some when it runs first */
        (void)cudaGetLastError();
        c->lacks = "memory";
        return mg_cuda_wait(cuda);
    }
    MG_RETURN(mg_cuda_check(error, "cudaGraphLaunch"));
    const bool ended = cudaEventRecord(c->end, cuda->stream) == cudaSuccess;
    MG_RETURN(mg_cuda_wait(cuda));
    if (!begun || !ended || cudaEventElapsedTime(&took_ms, c->begin, c->end) != cudaSuccess) say_no_time(c);
    if (ms) *ms = took_ms / (float)c->n;
    return MG_OK;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Of c->variant: the fastest, or the first. */
static int winner(contest *c)
{
    int best = 0;

    for (int i = 0; i < c->n_variants; i++) {
        qsort(c->ms[i], N_ROUNDS, sizeof c->ms[i][0], by_size);
        c->median_ms[i] = c->ms[i][N_ROUNDS / 2];
        if (c->median_ms[i] < (1 - LEAST_GAIN) * c->median_ms[0] && c->median_ms[i] < c->ms[0][0] &&
            c->median_ms[i] < c->median_ms[best])
            best = i;
    }
    return best;
}

/* 2x8, 2x8 packed, 16x4 tiled 8, 4x1 whole 4: the last two by their warps. */
static void name_variant(char name[32], const mg_variant *v)
{
    int n = snprintf(name, 32, "%dx%d", v->n_tiles, v->steps);

    if (v->n_threads)
        snprintf(name + n, 32 - (size_t)n, " %s %d", v->whole ? "whole" : "tiled", v->n_threads / 32);
    else if (v->packs)
        snprintf(name + n, 32 - (size_t)n, " packed");
}

static void say_rows(contest *c, int best)
{
    const mg_variant *all = mg_variants(c->w[0]->format, c->with_norm);
    char name[32], rule[32], was[96] = ", as the rule says";

    name_variant(name, &all[c->variant[best]]);
    name_variant(rule, &all[c->variant[0]]);
    if (best) snprintf(was, sizeof was, ", the rule's %s %.2f us", rule, (double)c->median_ms[0] * 1e3);
    c->used += snprintf(c->line + c->used, sizeof c->line - (size_t)c->used, "; %lld row%s: %s %.2f us%s",
                        (long long)c->n_rows, c->n_rows == 1 ? "" : "s", name,
                        (double)c->median_ms[best] * 1e3, was);
    if (c->used > LINE - 1) c->used = LINE - 1;
}

static mg_status hold_contest(contest *c, int n_tiles)
{
    mg_cuda *cuda = c->cuda;
    const mg_matrix *w = c->w[0];

    if (mg_choice_find(cuda, w, c->with_norm, c->n_rows) || cuda->n_choices == MG_MOST_CHOICES) return MG_OK;
    c->n_variants = mg_variant_candidates(c->variant, cuda, w, c->with_norm, c->n_rows);
    if (c->n_variants == 1) return MG_OK;
    for (int i = 0; i < c->n_variants; i++) {
        for (int round = 0; round < N_ROUNDS; round++) c->ms[i][round] = INFINITY;
        record(c, i);
    }
    if (!c->graph[0]) c->lacks = "memory";
    for (int round = -1; round < N_ROUNDS; round++)
        for (int i = 0; i < c->n_variants && !c->lacks; i++)
            if (c->graph[i]) MG_RETURN(run_round(c, i, round < 0 ? NULL : &c->ms[i][round]));
    drop_graphs(c);
    if (c->lacks) return MG_OK;
    const int best = winner(c);
    cuda->choices[cuda->n_choices++] = {w->n_out,
                                        w->n_in,
                                        (int32_t)w->format,
                                        w->n_slices,
                                        c->with_norm,
                                        n_tiles,
                                        best ? c->variant[best] : MG_BY_CHOICE};
    say_rows(c, best);
    return MG_OK;
}

mg_status mg_cuda_tune(const mg_ops *ops, const mg_matrix *const *w, int64_t n, bool with_norm,
                       int64_t n_rows)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const int64_t held = ROUND_BYTES / (int64_t)mg_packed_matrix_bytes(w[0]) + 1;
    contest c = {};
    mg_status st = MG_OK;

    MG_REQUIRE(!cuda->recording);
    if (w[0]->format == MG_FORMAT_F32 || cuda->tells_no_time) return MG_OK;
    if (cuda->fast) n_rows = mg_smaller(n_rows, MG_FAST_ABOVE_ROWS); /* the rest is cuBLASLt's */
    c.cuda = cuda;
    c.w = w;
    c.n = mg_smaller(n, held);
    c.with_norm = with_norm && mg_product_takes_norm(w[0], n_rows);
    MG_TRY(try_events(&c));
    if (!c.lacks) MG_TRY(take_block(&c, n_rows));
    for (int n_tiles = 1; n_tiles <= mg_row_tiles(n_rows) && !c.lacks; n_tiles *= 2) {
        c.n_rows = mg_smaller(n_rows, n_tiles * 8);
        MG_TRY(hold_contest(&c, n_tiles));
    }
    if (c.used)
        mg_log_detail("products of %lld x %lld %s%s%s", (long long)w[0]->n_out, (long long)w[0]->n_in,
                      mg_format_name(w[0]->format), c.with_norm ? " behind a norm" : "", c.line);
    if (c.lacks)
        mg_log_detail("products of %lld x %lld %s: as the rule says: no %s to time them",
                      (long long)w[0]->n_out, (long long)w[0]->n_in, mg_format_name(w[0]->format), c.lacks);
done:
    close_contest(&c, st);
    return st;
}
