/* MERT, fp32: sound -> a row of features every 1/75 s. Spec: docs/MODEL.md, "Style" (transformers'
 * HubertModel). One sound at a time, as it is: nobody brings it to a level. */
#ifndef MG_MERT_H
#define MG_MERT_H

#include "config.h"
#include "weights.h"

typedef struct mg_mert mg_mert;

/* Survey or load, by what w->arena is. *out is made on the first call (set it to NULL before) and kept on the
 * second; a call that fails closes it and sets it to NULL. */
mg_status mg_mert_load(mg_mert **out, const mg_mert_config *config, mg_weights *w);
void mg_mert_close(mg_mert *m);

/* Rows that n samples become; 0: they are too few for one. */
int64_t mg_mert_n_rows(const mg_mert_config *c, int64_t n_samples);

/* Take room for sounds of up to n_samples. */
mg_status mg_mert_reserve(mg_mert *m, mg_arena *run, int64_t n_samples);

/* *states [mg_mert_n_rows, D] in the backend's memory, there until the next call: of pcm [n_samples] in host
 * memory. */
mg_status mg_mert_encode(mg_mert *m, mg_tensor *states, const float *pcm, int64_t n_samples);

#endif
