/* What a step of the language model and a clip should take, from a few constants of the machine: bytes over
 * bandwidth, arithmetic over its rate, a time for every launch and every sum over ranks, the codec and the
 * text encoder. docs/PERFORMANCE.md has the formulas, and where the constants of devices come from.
 *
 * All of it is arithmetic: nothing is measured or allocated here. The same formulas serve `plan`, the report
 * of `bench scaling`, and whoever chooses a batch or the ranks of a group. */
#ifndef MG_PREDICT_H
#define MG_PREDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ops.h"

/* A group has 1, 2, 4 or 8 ranks. */
enum { MG_PREDICT_GROUPS = 4, MG_PREDICT_MAX_RATES = 8 };

/* How fast matrices pass through products with this many rows: measured. */
typedef struct mg_predict_rate {
    int64_t n_rows;
    double bytes_s; /* of a rank's matrices */
} mg_predict_rate;

/* One rank's share of a machine while all ranks of its node work. Zeros are "takes no time". */
typedef struct mg_predict_machine {
    char name[64];
    bool overlaps;         /* a product reads and multiplies at once: the longer counts, not the sum */
    bool shares_host;      /* a device whose memory is the host's */
    double memory_bytes;   /* of a device; 0: the host's, which is not known here */
    double overhead_bytes; /* of a device's memory that its driver and libraries take */
    double read_bytes_s;   /* of matrices */
    double attend_bytes_s; /* of keys and values */
    double product_flop_s; /* in products with many rows; a multiplication and an addition are two */
    double launch_s;       /* of each operation of a step, however small */
    bool is_device;        /* its operations are those of kernels/cuda */
    int64_t n_sms;         /* of a device where kernels overlap and a block has 227 KB; else 0 */
    double reduce_s;       /* of a sum or a gathering over the group, however small */
    double reduce_bytes_s; /* of the other ranks' numbers in a longer one; 0: as fast as may be */
    double draw_s;         /* of a code */
    double decode_sound_s; /* of the codec, for a second of a channel's sound, */
    double decode_lot_s; /* and for a second of what is decoded at once, however many: the LSTM's matrices */
    int64_t n_decoded;   /* channels' sounds at once; 0: one */
    double text_s;       /* of the text encoder, for a text */
    double load_bytes_s; /* of a checkpoint's bytes when the run starts */
    double outside_bytes_s; /* of layers that come from outside the memory at every step, beside its work */
    int n_rates;            /* 0: products are read_bytes_s and product_flop_s */
    mg_predict_rate rate[MG_PREDICT_MAX_RATES]; /* [n_rates] by ascending rows */
} mg_predict_machine;

/* A step: what runs in it. */
typedef struct mg_predict_step {
    mg_lm_config config;
    mg_format weights, kv;   /* of the matrices, and of keys and values */
    int64_t tp;              /* ranks of the group */
    int64_t n_clips, n_rows; /* clips at once; rows: two a clip under guidance */
    double n_keys;           /* columns that a row attends to, its own included; and a prefix */
    int64_t n_tokens;        /* of each clip's text */
    double outside_bytes;    /* of a rank's layers, that come at every step */
} mg_predict_step;

typedef enum mg_predict_part {
    MG_PREDICT_PRODUCTS,
    MG_PREDICT_ATTENTION,
    MG_PREDICT_REDUCE,
    MG_PREDICT_SAMPLING,
    MG_PREDICT_LAUNCHES,
    MG_PREDICT_OUTSIDE, /* waiting for layers that come slower than the rest of the step takes */
    MG_PREDICT_PARTS
} mg_predict_part;

/* In seconds. */
typedef struct mg_predict_times {
    double part_s[MG_PREDICT_PARTS];
    double step_s;    /* their sum */
    double reading_s; /* of it: reading matrices, what more clips at once would share */
} mg_predict_times;

/* Operations of a step: on a device its kernels, but for what the sums over ranks are counted with. */
int64_t mg_predict_launches(const mg_predict_step *step, const mg_predict_machine *m);

void mg_predict_step_time(mg_predict_times *out, const mg_predict_step *step, const mg_predict_machine *m);

/* Steps of a clip of `n_frames` frames: the delay of its codebooks added. */
int64_t mg_predict_clip_steps(const mg_lm_config *config, int64_t n_frames);

/* A whole clip of n_frames frames, one of step->n_clips that a group makes at once: its steps with n_keys in
 * the mean, and then the codec and the text encoder for all of them. The codec takes several at once.
 * step->n_keys is not looked at. */
double mg_predict_clip_s(const mg_predict_step *step, int64_t n_frames, double dur_s,
                         const mg_predict_machine *m);

/* `n` clips dealt to `n_replicas` groups; a replica has step->n_clips at once, and what is left over in its
 * last round. Reading the model's weights, `model_bytes` on each rank, comes before it. */
double mg_predict_run_s(const mg_predict_step *step, int64_t n_replicas, int64_t n, int64_t n_frames,
                        double dur_s, double model_bytes, const mg_predict_machine *m);

/* Bytes of the matrices that one step streams, the whole model's: cross-attention's K and V projections run
 * once a clip and are not among them; embeddings, positions and norms (under 0.1 %) are not counted. */
int64_t mg_predict_weight_bytes(const mg_lm_config *c, mg_format format);

/* Bytes of keys and values that one step reads, the whole model's: `n_rows` sequences of `n_columns` columns
 * each, and `n_texts` texts of S tokens. */
double mg_predict_kv_bytes(const mg_lm_config *c, mg_format format, int64_t n_rows, double n_columns,
                           int64_t n_texts, int64_t S);

/* 1, 2, 4 or 8: may a group have so many ranks? */
bool mg_predict_is_group(int64_t tp);

/* Why a group of tp ranks cannot share the model, or "" if it can. */
void mg_predict_check_group(char reason[160], const mg_lm_config *c, int64_t tp);

/* The table of devices by name; NULL: there is no such device. `i` from 0: the i-th, NULL behind the last.
 * Constants are those of matrices in `format`. */
const char *mg_predict_device_name(int i);
bool mg_predict_device(mg_predict_machine *out, const char *name, mg_format format);

/* The same of a rank of the table's "cpu" that has n_cores: its arithmetic is as much as they are, and it
 * reads as fast as they can, up to what the socket's memory gives. Other devices stay as they are. */
enum { MG_PREDICT_HOST_CORES = 56 }; /* that it has in the table */
bool mg_predict_device_cores(mg_predict_machine *out, const char *name, mg_format format, int64_t n_cores);

/* A GPU that is known, and that this program does not run on. */
bool mg_predict_is_too_old(const char *name);

/* Of an n_sms device: shared memory that a block may ask for, less what kernels have of their own. */
enum { MG_PREDICT_BLOCK_BYTES = (227 << 10) - 256 };

/* A step of the one GPU that the table was held against took from so many to so many times as long
 * (docs/PERFORMANCE.md, "Devices"). */
#define MG_PREDICT_LEAST_OFF 1.4
#define MG_PREDICT_MOST_OFF  2.4

#endif
