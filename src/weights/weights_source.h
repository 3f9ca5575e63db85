/* Where the numbers of a weight come from: a mapped checkpoint entry, or a cheap random generator. Shared by
 * weights.c (matrices, tensors) and weights_conv.c; not for the stages. */
#ifndef MG_WEIGHTS_SOURCE_H
#define MG_WEIGHTS_SOURCE_H

#include "checkpoint_read.h"
#include "weights.h"

enum { MG_RANDOM_COUNT = 262139 }; /* 1 MiB of floats, a prime: rows of a matrix do not repeat soon */

/* Uniform values of standard deviation `scale` around `mean`, the same for the same name: a block that wraps.
 */
typedef struct mg_random_block {
    float *value;    /* [MG_RANDOM_COUNT], malloc'ed by open */
    int64_t i_value; /* the next one */
} mg_random_block;

mg_status mg_random_block_open(mg_random_block *r, const char *name, float scale, float mean);
void mg_random_block_close(mg_random_block *r);

/* The entry `prefix + name` with exactly these dims and a floating-point dtype, or *out = NULL: for random
 * weights, and during the survey for a tensor that is missing or wrong, which goes into the table of
 * problems. A load pass fails instead: MG_ECHECKPOINT. */
mg_status mg_weights_find(mg_weights *w, const mg_checkpoint_entry **out, const char *name, int n_dims,
                          const int64_t *dim);

/* A block of an entry, seen as [.., n_cols_all], for the backend to load: fetched from the file by whichever
 * thread asks, or in memory where there is no file and nothing to be merged. */
typedef struct mg_weights_rows {
    const mg_checkpoint_entry *e;
    int64_t n_cols_all, first_row, first_col;
    int error;          /* of the last read that failed */
    int64_t zero_bytes; /* of pieces that were read and held zeros alone */
} mg_weights_rows;

/* Rows [first_row, +n_rows), columns [first_col, +n_cols). The result borrows `r` and the entry. */
mg_host_matrix mg_weights_rows_of(mg_weights_rows *r, const mg_checkpoint_entry *e, int64_t n_cols_all,
                                  int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols);

/* `n` values of an entry from `first` on, as fp32: 0 or an errno. NaN and Inf are added to *n_bad. From any
 * thread. */
int mg_weights_read(float *dst, const mg_checkpoint_entry *e, int64_t first, int64_t n, int64_t *n_bad);

/* `n` fp32 values [n] of tensor `name` in host memory, random ones included; dims as for find. */
mg_status mg_weights_host(mg_weights *w, float *dst, const char *name, int n_dims, const int64_t *dim);

/* Say that `n` values of the source (of a random one: NULL) are behind us, for the count and the progress. */
void mg_weights_consume(mg_weights *w, const mg_checkpoint_entry *e, int64_t n);

/* MG_ECHECKPOINT naming the tensor, its file and the count, if n_bad > 0. */
mg_status mg_weights_check(const mg_checkpoint_entry *e, int64_t n_bad);

/* The same of an entry that became fp16: whether its values were none before, or are too large. Reads it
 * again. */
mg_status mg_weights_check_f16(const mg_checkpoint_entry *e, int64_t n_bad);

/* Note it if so many bytes of an entry are zeros, piece by piece, as no training leaves them. */
void mg_weights_note_zeros(mg_weights *w, const mg_checkpoint_entry *e, int64_t zero_bytes);

#endif
