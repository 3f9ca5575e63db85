/* From a checkpoint's names to tensors in a backend's memory. Each stage (T5, LM, EnCodec) asks twice for
 * what its architecture needs: over a measuring arena, to see what is there and how many bytes, and over the
 * real one.
 *
 * The first pass, the *survey*, finds every missing tensor and every wrong shape before anything is
 * allocated: mg_weights_check_survey reports them all at once, or, with a list of requests, mapping_report.h
 * checks them together with the tensors that no stage asked for. The second pass, the *load*, converts and
 * counts NaN and Inf. */
#ifndef MG_WEIGHTS_H
#define MG_WEIGHTS_H

#include "arena.h"
#include "checkpoint.h"
#include "ops.h"
#include "progress.h"
#include "text.h"

/* A tensor that a stage asked for in its survey. */
typedef struct mg_weights_request {
    const mg_checkpoint *checkpoint;
    const char *prefix; /* of its part; borrowed from mg_weights_init's caller */
    char *name;         /* with the prefix */
    int n_dims;
    int64_t dim[MG_MAX_DIMS];
} mg_weights_request;

typedef struct mg_weights_requests {
    mg_weights_request *list; /* [n], in the order of asking */
    size_t n, capacity;
} mg_weights_requests;

void mg_weights_requests_close(mg_weights_requests *r);

typedef struct mg_weights {
    const mg_ops *ops;
    const mg_checkpoint *checkpoint; /* NULL: random weights of the right shape, for benchmarks */
    mg_arena *arena;                 /* measuring: survey */
    bool is_packed;                /* the arena holds already what a load would put there: only lay it out */
    const char *prefix;            /* put before every name: "text_encoder.", or "" for a folder of its own */
    mg_progress *progress;         /* source bytes; may be NULL */
    int64_t n_read_bytes;          /* source bytes seen so far */
    mg_weights_requests *requests; /* a survey adds to it what it asks for; may be NULL */
    int n_problems;
    mg_text problems;                  /* one line each; mg_weights_close frees it */
    int n_hollow;                      /* tensors that a load found many zeros in */
    const mg_checkpoint_entry *hollow; /* the first of them */
    int64_t hollow_bytes;              /* zeros in all of them */
} mg_weights;

/* A block of rows and columns of the source tensor `name`, [n_rows_all, n_cols_all] in the file. */
typedef struct mg_weights_part {
    const char *name; /* without prefix */
    int64_t n_rows_all, n_cols_all;
    int64_t first_row, n_rows, first_col, n_cols;
} mg_weights_part;

void mg_weights_init(mg_weights *w, const mg_ops *ops, const mg_checkpoint *checkpoint, mg_arena *arena,
                     const char *prefix);
void mg_weights_close(mg_weights *w);

/* Is it in the checkpoint? True for random weights. */
bool mg_weights_has(const mg_weights *w, const char *name);

/* A matrix stacked from parts (q, k and v, say), all of the same n_cols. */
mg_status mg_weights_matrix(mg_weights *w, mg_matrix *out, mg_format format, int n_slices,
                            const mg_weights_part *parts, int n_parts);

/* fp32 tensors as they stand: any shape, the file's dims must equal `dim`. If count is 0, one tensor named
 * `format`. Else `count` of them, one behind the other, named by `format` with %d = 0 … count-1; out has a
 * leading dim. */
mg_status mg_weights_tensor(mg_weights *w, mg_tensor *out, const char *format, int count, int n_dims,
                            const int64_t *dim);

/* The sum of two vectors [n]: an LSTM's bias_ih + bias_hh. */
mg_status mg_weights_sum(mg_weights *w, mg_tensor *out, const char *name_a, const char *name_b, int64_t n);

/* `count` vectors [n], one behind the other: the biases of a stacked matrix. */
mg_status mg_weights_stack(mg_weights *w, mg_tensor *out, const char *const *names, int count, int64_t n);

/* A convolution `name`.{weight_g,weight_v | parametrizations.weight.original{0,1} | weight}, fused in fp64:
 * w = g v/|v|, the norm over all dims but the first. c's geometry is set by the caller; sets c->data, and
 * bias [c_out], which is NULL if it has none. */
mg_status mg_weights_conv(mg_weights *w, mg_conv *c, mg_tensor *bias, const char *name);

/* One whose channels are cut into groups, each of which sees its own alone: c [n_groups], all of one
 * geometry, bias [n_groups, c_out]. The norm is over all dims but the last: each tap has its g. */
mg_status mg_weights_conv_groups(mg_weights *w, mg_conv *c, int64_t n_groups, mg_tensor *bias,
                                 const char *name);

/* A tensor that stays in host memory, dst [n]: survey or load. */
mg_status mg_weights_keep(mg_weights *w, float *dst, const char *name, int n_dims, const int64_t *dim);

/* Record a problem of the survey: "NAME: what". With a list of requests, missing tensors and wrong shapes are
 * not recorded here. */
void mg_weights_problem(mg_weights *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After a load: a warning if tensors held zeros over many pages, which no training leaves: a file of the
 * right length whose middle never came (a parallel download that was stopped, a disk that lost its power). */
void mg_weights_say_zeros(const mg_weights *w);

/* MG_OK, or MG_ECHECKPOINT with all problems, one a line (as far as a message has room; w->problems has all).
 */
mg_status mg_weights_check_survey(const mg_weights *w);

#endif
