/* The language model whose steps are measured: random weights of the true shape, random texts and codes. */
#include <stdlib.h>

#include "bench_step.h"
#include "numbers.h"
#include "rng.h"
#include "stop.h"

void mg_step_bench_close(mg_step_bench *s)
{
    mg_bench_power_close(&s->power);
    mg_lm_close(s->lm);
    mg_memory_block_close(&s->weights);
    mg_memory_block_close(&s->run);
    free(s->cells);
    free(s->row);
    free(s->position);
    free(s->text);
    free(s->logits);
    free(s->draws);
    free(s->step_s);
    free(s->fraction);
    free(s->gbps);
}

static mg_status open_host(mg_step_bench *s)
{
    const size_t N = (size_t)s->n_tokens, K = (size_t)s->config.K, V = (size_t)s->config.V;

    s->cells = calloc(N * K, sizeof *s->cells);
    s->row = calloc(N, sizeof *s->row);
    s->position = calloc(N, sizeof *s->position);
    s->text = calloc(N, sizeof *s->text);
    s->logits = calloc((size_t)s->n_rows * K * V, sizeof *s->logits);
    s->draws = calloc((size_t)s->n_clips * K, sizeof *s->draws);
    s->step_s = calloc((size_t)s->n_steps, sizeof *s->step_s);
    s->fraction = calloc((size_t)s->n_steps, sizeof *s->fraction);
    s->gbps = calloc((size_t)s->n_groups, sizeof *s->gbps);
    if (!s->cells || !s->row || !s->position || !s->text || !s->logits || !s->draws || !s->step_s ||
        !s->fraction || !s->gbps)
        return mg_fail(MG_ENOMEM, "bench: %zu rows", N);
    for (size_t i = 0; i < N; i++) {
        s->row[i] = (int32_t)i;
        s->text[i] = (int32_t)i; /* read for the rows with text alone, which come first */
    }
    return MG_OK;
}

/* Random texts, and random codes for every slot. */
static mg_status set_inputs(mg_step_bench *s)
{
    const int64_t K = s->config.K, n_states = s->b->settings->n_tokens * s->config.d_text;
    float *states = calloc((size_t)n_states, sizeof *states);
    int32_t *codes = calloc((size_t)(K * s->n_frames), sizeof *codes);
    mg_status st = MG_OK;

    if (!states || !codes) MG_TRY(mg_fail(MG_ENOMEM, "bench: %lld numbers", (long long)n_states));
    for (int64_t i = 0; i < n_states; i++) states[i] = (float)mg_rng_uniform(1, i, 0) - 0.5F;
    for (int64_t clip = 0; clip < s->n_clips; clip++) {
        for (int64_t i = 0; i < K * s->n_frames; i++)
            codes[i] = (int32_t)(mg_rng_uniform((uint64_t)clip, i, 0) * (double)s->config.V);
        MG_TRY(mg_lm_set_text(s->lm, clip, states, s->b->settings->n_tokens));
        MG_TRY(mg_lm_put_codes(s->lm, clip, codes, s->n_frames, s->n_frames));
    }
done:
    free(states);
    free(codes);
    return st;
}

/* Weights, then room, each surveyed and then taken. */
static mg_status open_model(mg_step_bench *s)
{
    const mg_bench *b = s->b;
    const int64_t n_frames = mg_larger(
        s->first_position + s->n_warmup + s->n_steps + s->n_groups + s->n_behind + 1, b->settings->n_prefill);
    const mg_lm_limits limits = {
        .n_rows = s->n_rows,
        .n_texts = s->n_clips,
        .n_tokens = s->n_tokens,
        .n_logits = s->n_rows,
        .T_max = n_frames,
        .S_max = s->b->settings->n_tokens,
        .n_slots = s->n_clips,
        .n_frames = n_frames,
    };
    mg_status st = MG_OK;
    mg_arena measure = mg_arena_measure("weights"), arena;
    mg_weights w;

    s->n_frames = n_frames;
    mg_weights_init(&w, b->backend.ops, NULL, &measure, "");
    MG_TRY(mg_lm_load(&s->lm, &s->config, b->backend.formats, b->backend.group, &w));
    MG_TRY(mg_weights_check_survey(&w));
    MG_TRY(mg_memory_block_open(&s->weights, &arena, b->backend.ops, &measure));
    w.arena = &arena;
    MG_TRY(mg_lm_load(&s->lm, &s->config, b->backend.formats, b->backend.group, &w));

    measure = mg_arena_measure("run");
    MG_TRY(mg_lm_reserve(s->lm, &measure, &limits));
    MG_TRY(mg_memory_block_open(&s->run, &arena, b->backend.ops, &measure));
    /* keys of columns that were never fed are zeros: the codes drawn are defined */
    if (b->settings->split || b->settings->kernels) {
        mg_tensor room = mg_tensor_1d(s->run.data, MG_F32, (int64_t)(s->run.bytes / sizeof(float)));
        MG_TRY(mg_zero(b->backend.ops, &room));
    }
    MG_TRY(mg_lm_reserve(s->lm, &arena, &limits));
    MG_TRY(mg_lm_tune(s->lm));
    MG_TRY(set_inputs(s));
done:
    mg_weights_close(&w);
    return st;
}

mg_status mg_step_bench_open(mg_step_bench *s)
{
    MG_RETURN(open_host(s));
    return open_model(s);
}

bool mg_step_bench_on_device(const mg_step_bench *s)
{
    return s->b->backend.ops->space == MG_DEVICE;
}

mg_status mg_step_bench_wait(mg_step_bench *s)
{
    int32_t code[MG_MAX_CODEBOOKS];

    return mg_lm_get_codes(s->lm, 0, code, 1, 0, 1);
}

mg_status mg_step_bench_feed(mg_step_bench *s, int64_t i, const mg_draw *draws, int64_t n_draws)
{
    const int64_t K = s->config.K;

    for (int64_t n = 0; n < s->n_rows; n++) {
        s->position[n] = (int32_t)(s->first_position + i);
        for (int64_t k = 0; k < K; k++) s->cells[n * K + k] = mg_lm_cell(s->lm, n % s->n_clips, k, i);
    }
    const mg_lm_batch batch = {s->n_rows, s->n_clips, true, s->cells, s->row, s->position, s->text};
    return mg_lm_step(s->lm, &batch, draws, n_draws);
}

mg_status mg_step_bench_run(mg_step_bench *s, int64_t i)
{
    MG_RETURN(mg_stop_check());
    MG_RETURN(mg_step_bench_feed(s, i, NULL, 0));
    return mg_step_bench_on_device(s) ? MG_OK : mg_lm_logits(s->lm, s->logits);
}
