/* mg-dist bench scaling: bench step over a grid of ranks, groups and batches. Each point is a launcher's
 * process of its own, so that one that crashes costs only itself. scaling_grid.c says which points there are
 * and why others cannot be; scaling_child.c runs one; scaling_folder.c keeps what it said.
 * cmd_bench_scaling.c goes round the grid, and goes on where an earlier call stopped. */
#ifndef MG_SCALING_H
#define MG_SCALING_H

#include "config.h"
#include "scaling_results.h"

typedef struct mg_scaling_settings {
    const char *np, *tp, *batch; /* lists: "1,2,4" */
    const char *model, *out, *launcher, *launcher_args, *hostfile, *bench_args;
    int shape; /* mg_bench_shape */
    int mixed; /* no, ok */
    int64_t n_repeats, n_steps, n_warmup;
    double dur_s, limit_s;
    bool strong, weak, batch_sweep, dry_run, retry_failed;
} mg_scaling_settings;

typedef struct mg_scaling_cell {
    mg_scaling_point point;
    char reason[160]; /* why it cannot be; "" if it can */
} mg_scaling_cell;

typedef struct mg_scaling_grid {
    mg_scaling_cell *cell;
    size_t n, capacity, n_possible;
} mg_scaling_grid;

/* All points that the settings ask for. MG_EUSAGE if a list is wrong or no point is possible. */
mg_status mg_scaling_grid_make(mg_scaling_grid *g, const mg_scaling_settings *s, const mg_lm_config *config);
void mg_scaling_grid_close(mg_scaling_grid *g);

/* A point's command line, each word malloc'ed, NULL behind the last. */
typedef struct mg_scaling_command {
    char **word;
    size_t n, capacity;
} mg_scaling_command;

mg_status mg_scaling_command_make(mg_scaling_command *c, const mg_scaling_settings *s,
                                  const mg_scaling_point *p);
void mg_scaling_command_text(mg_text *t, const mg_scaling_command *c); /* as a shell takes it */
void mg_scaling_command_close(mg_scaling_command *c);

/* MG_EUSAGE if a point needs the launcher and it is not there. */
mg_status mg_scaling_check_launcher(const mg_scaling_settings *s, const mg_scaling_grid *g);

/* What became of a child. */
typedef struct mg_scaling_outcome {
    mg_scaling_status status;
    char reason[240]; /* unless it is MG_SCALING_OK */
    char *json;       /* what it printed, one line; the caller frees it */
    double wall_s;
    bool has_lost; /* a node, by its own words: the points to come would, too */
    char gpu[160]; /* that failed */
} mg_scaling_outcome;

/* Run it. What it says goes to OUT/logs/NAME.log, which stays unless all is well. MG_ESTOPPED after a signal:
 * the child is ended. */
mg_status mg_scaling_run_child(mg_scaling_outcome *o, const mg_scaling_settings *s,
                               const mg_scaling_command *c, const char *name);

/* A sweep at work. */
typedef struct mg_scaling_sweep {
    const mg_scaling_settings *settings;
    mg_scaling_grid grid;
    mg_scaling_results results;
    char *common;  /* what all lines have in common */
    char gpu[160]; /* that failed at the point before */
    int fd;        /* results.jsonl, locked; -1: not open */
} mg_scaling_sweep;

/* Open the results for adding, alone, and read what is there. MG_EUSAGE if that is of another sweep. */
mg_status mg_scaling_open(mg_scaling_sweep *w);

/* Write down what became of a repeat; `command` may be NULL. What cannot be read back has failed. */
mg_status mg_scaling_keep(mg_scaling_sweep *w, const mg_scaling_point *p, int64_t repeat,
                          mg_scaling_outcome *o, const mg_scaling_command *command);

#endif
