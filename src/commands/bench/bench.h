/* What the benchmarks share: settings, the machine they run on, and a report that is printed as a table or as
 * one JSON object. bench_step.c, bench_parts.c, bench_load.c, bench_quality.c and bench_read.c measure;
 * cmd_bench.c opens and dispatches. */
#ifndef MG_BENCH_H
#define MG_BENCH_H

#include "arena.h"
#include "comm.h"
#include "config.h"
#include "machine.h"
#include "machine_options.h"
#include "memory_block.h"

enum mg_bench_what {
    MG_BENCH_STEP,
    MG_BENCH_DECODE,
    MG_BENCH_ENCODE,
    MG_BENCH_T5,
    MG_BENCH_ALLREDUCE,
    MG_BENCH_LOAD,
    MG_BENCH_QUALITY
};

typedef struct mg_bench_settings {
    int what;  /* mg_bench_what */
    int shape; /* mg_bench_shape */
    int64_t batch, n_steps, n_warmup, position, n_prefill, n_tokens;
    double dur_s;
    const char *model, *text_encoder, *codec, *tokenizer;
    const char *list; /* of sounds and their texts */
    bool no_guidance, split, decode, kernels, json;
    bool no_floor; /* of a step: its time alone, not against what memory can do at that moment */
    mg_machine machine;
} mg_bench_settings;

typedef struct mg_figure {
    char name[32], *value; /* NULL: memory was short */
    bool is_number;        /* quoted in JSON otherwise */
} mg_figure;

/* A list of names and values, in order. Values are formatted when they are added. */
typedef struct mg_figures {
    mg_figure *line;
    size_t n_lines, capacity;
    bool is_short; /* memory was, for a line */
} mg_figures;

void mg_figures_text(mg_figures *r, const char *name, const char *value);
void mg_figures_int(mg_figures *r, const char *name, int64_t value);
void mg_figures_number(mg_figures *r, const char *name, double value, int n_decimals);
/* 0: it has no such number. */
double mg_figures_value(const mg_figures *r, const char *name);
/* A table, or one JSON object. What is no number there is "-", or null. */
mg_status mg_figures_print(const mg_figures *r, FILE *to, bool json);
void mg_figures_reset(mg_figures *r);

typedef struct mg_bench {
    const mg_bench_settings *settings;
    const mg_world *world;
    mg_comm *comm; /* of this rank's tensor-parallel group: of all ranks, but in `step`; borrowed */
    mg_backend backend, beside;
    const mg_config *sizes; /* of decode, encode and t5; NULL: the published ones */
    mg_figures report;
} mg_bench;

mg_status mg_bench_step(mg_bench *b);
mg_status mg_bench_decode(mg_bench *b);
mg_status mg_bench_encode(mg_bench *b);
mg_status mg_bench_t5(mg_bench *b);
mg_status mg_bench_allreduce(mg_bench *b);

/* What the sounds of n_clips clips take, once their codes are there, so many together as a run's finisher
 * takes: the first lot, and all. All leaders at once; medians over them. Collective over the world. */
mg_status mg_bench_sounds(mg_bench *b, const mg_lm_config *config, int64_t n_clips);
mg_status mg_bench_load(mg_bench *b);
mg_status mg_bench_quality(mg_bench *b);

/* "device": what computes. "binding": the host, processors, memories and GPU of each rank. Collective over
 * the world. */
mg_status mg_bench_report_places(const mg_bench *b, mg_figures *r);

/* How fast all ranks together read memory, through each rank's own pool of threads, or each on its device:
 * the ceiling of everything that streams weights. Collective over `comm`. */
typedef struct mg_bench_reader {
    const mg_backend *backend; /* borrowed */
    mg_comm *comm;             /* borrowed */
    char *block;               /* this rank's share: on huge pages of the host, or the device's */
    size_t bytes;
    double gbps; /* the last probe's; 1 GB = 1e9 bytes */
} mg_bench_reader;

/* `step_bytes`: what all ranks read in a step; the block has as many, between 512 MiB and 2 GiB and at most
 * half of the memory that is free; on a device, whose cache is small, 512 MiB. Collective. */
mg_status mg_bench_reader_open(mg_bench_reader *r, const mg_backend *backend, mg_comm *comm,
                               double step_bytes);
mg_status mg_bench_reader_probe(mg_bench_reader *r);
void mg_bench_reader_close(mg_bench_reader *r);

#endif
