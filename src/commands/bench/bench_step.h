/* A step of the language model that is measured. bench_model.c has the model, bench_step.c times its steps;
 * bench_behind.c looks into those behind them. */
#ifndef MG_BENCH_STEP_H
#define MG_BENCH_STEP_H

#include "bench.h"
#include "bench_power.h"
#include "lm.h"

typedef struct mg_step_bench {
    mg_bench *b;
    mg_lm_config config;
    int64_t n_clips, n_rows, first_position, n_steps, n_warmup, n_groups, n_together, n_tokens, n_frames;
    int64_t n_behind; /* steps after the timed ones */
    mg_memory_block weights, run;
    mg_lm *lm;
    int32_t *cells, *row, *position, *text; /* host, [n_tokens, K], [n_tokens] x 3 */
    float *logits;                          /* [n_rows, K, V] */
    mg_draw *draws;                         /* [n_clips, K] */
    double *step_s, *fraction;              /* [n_steps]: time, and the floor's part of it */
    double *gbps;                           /* [n_groups]: the ceiling around each group of steps */
    mg_bench_power power;                   /* of the timed steps */
} mg_step_bench;

/* What the sizes in `s` ask for. Closing what is half open is legal. */
mg_status mg_step_bench_open(mg_step_bench *s);
void mg_step_bench_close(mg_step_bench *s);

bool mg_step_bench_on_device(const mg_step_bench *s);

/* The i-th step: one column for each row. */
mg_status mg_step_bench_feed(mg_step_bench *s, int64_t i, const mg_draw *draws, int64_t n_draws);

/* And its logits, which stay on a device: there a run queues its steps and draws beside them. */
mg_status mg_step_bench_run(mg_step_bench *s, int64_t i);

/* Wait for all that was asked for. */
mg_status mg_step_bench_wait(mg_step_bench *s);

/* The columns that steps behind the timed ones may take. */
int64_t mg_step_bench_n_behind(const mg_bench *b);

/* From the i-th step on, as far as the settings want it: the parts of some steps that draw codes, or on a
 * device what draws add, and a hash of the codes; and each kind of operation alone. Collective over the
 * world. */
mg_status mg_step_bench_behind(mg_step_bench *s, int64_t i);

#endif
