/* What a sweep has measured: OUT/results.jsonl, one JSON object a line, one line a repeat of a point; and the
 * same as OUT/results.csv. Lines are only ever added, each in one write: a sweep that is killed leaves
 * at most its last line cut off. Of two lines of one repeat the later counts. */
#ifndef MG_SCALING_RESULTS_H
#define MG_SCALING_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "text.h"

enum { MG_SCALING_FRAME_RATE = 50 }; /* columns of a second of sound */

typedef enum mg_scaling_status {
    MG_SCALING_OK,
    MG_SCALING_SKIPPED, /* it cannot be: T does not divide the ranks, it does not fit */
    MG_SCALING_FAILED,
} mg_scaling_status;

extern const char *const mg_scaling_status_name[]; /* by mg_scaling_status: "ok" */

enum mg_scaling_part {
    MG_SCALING_PRODUCTS,
    MG_SCALING_ATTENTION,
    MG_SCALING_ALL_REDUCE,
    MG_SCALING_WAITING,
    MG_SCALING_SAMPLING,
    MG_SCALING_REST,
    MG_SCALING_PARTS
};

/* A point of the grid. */
typedef struct mg_scaling_point {
    int64_t np, tp, batch; /* ranks in all, ranks of a group, clips at once of a replica */
} mg_scaling_point;

/* What a step computes: the model's sizes, and its own. */
typedef struct mg_scaling_sizes {
    int64_t n_layers, width, feed_forward, n_books, n_entries; /* 0: not said, by an older version */
    int64_t n_rows, n_keys, n_tokens; /* rows of a replica; columns that each attends to; of each text */
} mg_scaling_sizes;

/* A line. What is not said is "" or NaN. */
typedef struct mg_scaling_result {
    mg_scaling_point point;
    int64_t repeat; /* from 1; 0: of a skipped point */
    mg_scaling_status status;
    char reason[240];                 /* why it was skipped or failed */
    char version[64], settings[1024]; /* of the program; what the whole sweep has in common */
    char host[64], backend[64], device[160], shape[64], dtype[16], codes[20];
    mg_scaling_sizes sizes;
    double dur_s; /* of a clip */
    double step_ms, step_min_ms, step_p95_ms;
    double bytes, read_gbps, fraction; /* of all replicas: a step's bytes; of the memory floor */
    double x_real_time;                /* seconds of audio a second: the sum over replicas */
    double part_ms[MG_SCALING_PARTS], split_step_ms;
    double n_sums, sum_bytes, bare_ms; /* calls of a group in a step; their bytes; their time alone */
    double decode_first_ms,
        decode_batch_ms;  /* from codes to sound: the first clips, at once; all of a batch */
    double n_threads;     /* of a rank, for its products */
    double joules;        /* of a step, all ranks together */
    char energy_from[16]; /* "rapl", "nvidia-smi" */
    char *binding;        /* where each rank was; NULL: not said */
} mg_scaling_result;

typedef struct mg_scaling_results {
    mg_scaling_result *item; /* in the order of the file */
    size_t n, capacity;
    int64_t whole_bytes; /* of the file, without a last line that is cut off */
    bool was_cut;
} mg_scaling_results;

/* One line; `name` is what an error calls it. MG_EFAIL if it is no such object; then nothing is owned. */
mg_status mg_scaling_parse(mg_scaling_result *out, const char *name, const char *text, int64_t bytes);
void mg_scaling_result_close(mg_scaling_result *r);

/* DIR/results.jsonl; no file is no results. MG_EFAIL names the line that is wrong. */
mg_status mg_scaling_read(mg_scaling_results *r, const char *dir);
void mg_scaling_close(mg_scaling_results *r);

/* The last of this point's lines with this repeat, or NULL. */
const mg_scaling_result *mg_scaling_find(const mg_scaling_results *r, const mg_scaling_point *p,
                                         int64_t repeat);

/* Seconds from the start of a clip's first step: to the end of its last, draws of codes included where they
 * are told; till the first lot of the clips that a replica makes at once is sound, and till the last is. NaN:
 * not told. */
double mg_scaling_steps_s(const mg_scaling_result *r);
double mg_scaling_first_s(const mg_scaling_result *r);
double mg_scaling_last_s(const mg_scaling_result *r);

/* Processors that a point's ranks use together, or GPUs: what its speed is to be held against. Where threads
 * are not told, ranks. */
double mg_scaling_width(const mg_scaling_result *r);

/* Steps a second of all groups of tp ranks together, each by the median of its ranks' steps, step_s [n_ranks,
 * n_steps], which are sorted: how fast one group is, is no other's loss or gain. */
double mg_scaling_rate(double *step_s, int64_t n_steps, int n_ranks, int tp);

/* "np4-tp2-b8". */
const char *mg_scaling_point_name(char out[64], const mg_scaling_point *p);

/* The table: a head, and a line for each repeat that counts. */
void mg_scaling_csv(mg_text *t, const mg_scaling_results *r);

/* A comma, and the text in quotes, as RFC 4180 has it; or the number, nothing for NaN, which reads back as
 * the same. */
void mg_scaling_csv_field(mg_text *t, const char *text);
void mg_scaling_csv_number(mg_text *t, double v);

#endif
