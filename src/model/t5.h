/* T5 encoder, fp32: token ids -> text states. Spec: docs/MODEL.md §T5 (transformers' T5EncoderModel).
 * Only a replica's leader has one. One text at a time, unpadded: a result never depends on its neighbours. */
#ifndef MG_T5_H
#define MG_T5_H

#include "config.h"
#include "weights.h"

typedef struct mg_t5 mg_t5;

/* Survey or load, by what w->arena is. *out is made on the first call (set it to NULL before) and kept on the
 * second; a call that fails closes it and sets it to NULL. */
mg_status mg_t5_load(mg_t5 **out, const mg_t5_config *config, mg_weights *w);
void mg_t5_close(mg_t5 *t5);

/* Take room for texts of up to S_max tokens. */
mg_status mg_t5_reserve(mg_t5 *t5, mg_arena *run, int64_t S_max);

/* states_host [S, d_model] fp32, from ids [S] in host memory. Waits for them. */
mg_status mg_t5_encode(mg_t5 *t5, float *states_host, const int32_t *ids, int64_t S);

/* The row of the relative-bias table for `distance` = key index - query index. */
int64_t mg_t5_bucket(int64_t distance, int64_t n_buckets, int64_t max_distance);

#endif
