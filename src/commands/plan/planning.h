/* mg-dist plan: which layout of ranks makes the clips, and how long it should take. planning_memory.c asks
 * the program's own memory plan; planning_measure.c measures the constants of this machine;
 * planning_layouts.c predicts every layout (predict.h) and chooses; planning_say.c and planning_json.c tell
 * it, planning_sbatch.c writes the job. */
#ifndef MG_PLANNING_H
#define MG_PLANNING_H

#include <strings.h>

#include "machine_options.h"
#include "model_files.h"
#include "predict.h"
#include "replica.h"
#include "text.h"

typedef struct mg_planning_settings {
    mg_model_request model;
    int shape; /* mg_bench_shape; without a model */
    int64_t n_nodes, most_nodes, n_per_node, memory_bytes, n_clips;
    double dur_s;
    const char *gpu, *deadline, *sbatch, *jobs, *out;
    bool measure, overwrite, json;
    mg_machine machine;
} mg_planning_settings;

/* As generate takes it: a language model may stand without a model. Else a shape is planned for. */
static inline bool mg_planning_has_model(const mg_planning_settings *s)
{
    return s->model.model || s->model.lm;
}

/* Names of devices are taken in any case of letters. */
static inline bool mg_planning_is_cpu(const mg_planning_settings *s)
{
    return strcasecmp(s->gpu, "cpu") == 0;
}

/* Cores of a rank of a CPU. */
static inline int64_t mg_planning_cores(const mg_planning_settings *s)
{
    return s->machine.threads > 0 ? s->machine.threads : MG_PREDICT_HOST_CORES;
}

/* A group of tp ranks with n_clips clips at once in each. */
typedef struct mg_planning_layout {
    int64_t tp, n_replicas, n_clips;
    int64_t n_outside; /* layers that come from outside the memory */
    bool fits;
    double outside_bytes;             /* of a rank, that come at every step */
    double leader_bytes, other_bytes; /* of a rank */
    double weight_bytes;              /* of leader_bytes: what is read when the run starts */
    mg_predict_times times;           /* of a step in the middle of a clip */
    double clips_h, run_s, node_h;
} mg_planning_layout;

enum { MG_PLANNING_BATCHES = 8, MG_PLANNING_LAYOUTS = MG_PREDICT_GROUPS * MG_PLANNING_BATCHES };

/* The memory of one clip at a time, part by part, with groups of tp ranks: leader's and another rank's. */
typedef struct mg_planning_memory {
    int64_t tp;
    mg_replica_bytes leader, other;
} mg_planning_memory;

typedef struct mg_planning {
    const mg_planning_settings *settings;
    mg_config config;
    mg_lm_formats formats;
    bool has_least_nodes; /* settings->n_nodes was found: no fewer keep the deadline */
    bool as_stored;       /* the formats are those of the model's files */
    int64_t n_frames, n_tokens;
    double memory_bytes, deadline_s; /* 0: not known; no deadline */
    int64_t n_threads; /* of a rank of a CPU, in the job: asked for or measured with; 0: neither */
    mg_memory_limits limits;
    mg_predict_machine machine;
    mg_planning_memory memory[MG_PREDICT_GROUPS];
    int n_memories;
    mg_planning_layout layout[MG_PLANNING_LAYOUTS];
    int n_layouts, chosen; /* -1: none fits */
    int unasked;           /* what runs without --tp and --batch (layout.h); -1: it is none of these */
    char refused[256];     /* groups that cannot be, and why */
} mg_planning;

/* Memory of all groups that can be, and the layouts with their bytes. */
mg_status mg_planning_measure_memory(mg_planning *p);

/* What a rank needs of its device, or a CPU of its host, with layers outside (lm.h). */
size_t mg_planning_outside_bytes(const mg_replica_bytes *b, int64_t n_outside);

/* Constants of the ranks that were started. Collective over the world, which it splits. */
mg_status mg_planning_measure_machine(mg_planning *p, mg_world *w);

/* Predict all layouts and choose one; of those that end alike, one that keeps the deadline if any does. */
void mg_planning_choose(mg_planning *p);

/* What the run takes in this layout of a node, on so many nodes. */
double mg_planning_run_s(const mg_planning *p, const mg_planning_layout *l, int64_t n_nodes);

/* The least nodes, of any layout that fits, with which the run ends within limit_s; 0: no number up to
 * `most`. More nodes than clips are of no use. */
enum { MG_PLANNING_MOST_NODES = 100000 };
int64_t mg_planning_nodes_for(const mg_planning *p, double limit_s, int64_t most);

/* Bytes of the clips as 16-bit samples. */
double mg_planning_sound_bytes(const mg_planning *p);

/* The sentences: why this layout, and what would make it twice as fast. */
void mg_planning_time(mg_text *t, double run_s); /* "1.5 h" */
void mg_planning_why(mg_text *t, const mg_planning *p);
void mg_planning_faster(mg_text *t, const mg_planning *p);
void mg_planning_print(mg_text *t, const mg_planning *p);
mg_status mg_planning_print_json(mg_text *t, const mg_planning *p);
void mg_planning_sbatch(mg_text *t, const mg_planning *p);

#endif
