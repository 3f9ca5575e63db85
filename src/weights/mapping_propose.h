/* How well an unexpected tensor would stand for a missing one. Private to mapping_*.c. */
#ifndef MG_MAPPING_PROPOSE_H
#define MG_MAPPING_PROPOSE_H

#include "checkpoint.h"

/* One missing target. */
typedef struct mg_mapping_target {
    const char *name;
    int n_dims;
    const int64_t *dim; /* [n_dims] */
    double place;       /* about where in the file's order it should lie; < 0: unknown */
    mg_key_target spelling[MG_KEY_SPELLINGS + 1]; /* ours, and the dialect's */
    int n_spellings;
} mg_mapping_target;

void mg_mapping_target_init(mg_mapping_target *t, mg_dialect dialect, const char *name, int n_dims,
                            const int64_t *dim, double place);

/* 0 … 1; 0 unless it holds floating-point numbers in the shape of one of the spellings: *i_spelling says of
 * which. `place`: of the source, in the file's order. What cannot come to `least` is 0. */
double mg_mapping_confidence(const mg_mapping_target *t, int *i_spelling, const char *source,
                             const mg_tensor *tensor, size_t place, double least);

/* Bytes of the whole components that two names end with alike. */
size_t mg_mapping_common_tail(const char *a, const char *b);

#endif
